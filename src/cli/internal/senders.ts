import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import * as Fleet from "../../engine/Fleet.ts"
import { type AgentFailed } from "../../engine/LoadAgent.ts"
import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as Capacity from "../../fleet/Capacity.ts"
import { type CommandError, usage } from "../CommandError.ts"
import { type loadTest } from "../flags.ts"
import * as Workers from "../Workers.ts"
import * as FleetAccess from "./fleetAccess.ts"
import { checkAgents, type Load, shareOf, workersOf } from "./load.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

type FleetLayer = Layer.Layer<Fleet.Fleet, AgentFailed, FileSystem.FileSystem>

/**
 * Who sends the requests: the thread that keeps what becomes of them, several threads, or agents on other machines.
 *
 * - `workers`: how many threads of this process
 */
export type Senders =
  | { readonly _tag: "Here" }
  | { readonly _tag: "Workers"; readonly workers: number }
  | { readonly _tag: "Agents"; readonly layer: FleetLayer }

/** How long agents of a cluster may take to come. */
const WITHIN_SECONDS = 60

/** Flags that mean something only with agents. */
const ofAgents = (input: Input) =>
  [
    ["--token-file", input.tokenFile],
    ["--tls-cert", input.tlsCert],
    ["--tls-key", input.tlsKey],
    ["--tls-ca", input.tlsCa],
    ["--expect-agents", Option.map(input.expectAgents, String)]
  ] as const

const agentsOf = Effect.fnUntraced(function* (
  input: Input,
  load: Load
): Effect.fn.Return<FleetLayer | null, CommandError, FileSystem.FileSystem> {
  const { agents, cluster, expectAgents } = input
  if (Option.isNone(agents) && Option.isNone(cluster)) {
    const alone = ofAgents(input).flatMap(([flag, value]) => (Option.isSome(value) ? [flag] : []))
    return alone.length === 0 ? null : yield* usage(`${alone.join(", ")}: only with --agents or --cluster`)
  }
  if (Option.isSome(agents) && Option.isSome(cluster)) {
    return yield* usage("--agents names the agents, --cluster finds them: leave out one of the two")
  }
  if (input.workers !== 1) return yield* usage("--workers are threads of this machine: leave it out with agents")
  if (Option.isSome(agents) && Option.isSome(expectAgents)) {
    return yield* usage("--expect-agents: only with --cluster; those that --agents names must all be there")
  }
  const expected = Option.isSome(agents) ? agents.value.length : Option.getOrNull(expectAgents)
  yield* checkAgents(expected ?? 1, load)
  const place = Option.isSome(cluster) ? yield* FleetAccess.clusterOf(cluster.value) : null
  const calling = yield* FleetAccess.callingOf(input)
  if (Option.isSome(agents)) {
    const { layer } = yield* Effect.promise(() => import("../../fleet/Sockets.ts"))
    return layer({ ...calling, addresses: agents.value })
  }
  if (place === null) return null
  const { layer } = yield* Effect.promise(() => import("../../fleet/Cluster.ts"))
  return layer({ ...calling, cluster: place, expect: expected, withinSeconds: WITHIN_SECONDS })
})

/** Who is to send a load. Wrong use ends here, before anybody is called. */
export const sendersOf = Effect.fnUntraced(function* (input: Input, load: Load) {
  const layer = yield* agentsOf(input, load)
  if (layer !== null) return { _tag: "Agents", layer } satisfies Senders as Senders
  const workers = yield* workersOf(input.workers, load)
  const senders: Senders = workers === 1 ? { _tag: "Here" } : { _tag: "Workers", workers }
  return senders
})

const isLoopback = ({ name }: Fleet.Agent): boolean =>
  Option.match(AgentAddress.parse(name), { onNone: () => false, onSome: AgentAddress.isLoopback })

/** Says what there is to know of agents before they get to work, and refuses what they cannot do. */
const checked = Effect.fnUntraced(function* (agents: ReadonlyArray<Fleet.Agent>, load: Load, quiet: boolean) {
  yield* checkAgents(agents.length, load)
  const away = agents.filter((agent) => !isLoopback(agent)).map(({ name }) => name)
  if (load.config.llmApi === "simulated" && away.length > 0) {
    return yield* usage(
      `--llm-api simulated: the simulated server is on this machine alone, and ${away.join(", ")} cannot reach it. Start llmperf serve where all agents reach it, and name it with --api-base`
    )
  }
  if (quiet) return
  const named = agents.flatMap(({ name, profile }) => (profile === null ? [] : [{ name, profile }]))
  for (const concern of Capacity.concerns(named, shareOf(load, agents.length))) yield* Console.error(concern)
})

/** The agents, ready to be prepared; `null` when this thread sends. They go with the scope. */
export const start = Effect.fnUntraced(function* (senders: Senders, load: Load, quiet: boolean) {
  if (senders._tag === "Here") return null
  const layer = senders._tag === "Workers" ? Workers.layer(senders.workers) : senders.layer
  const context = yield* Layer.build(layer)
  const { agents } = yield* Effect.provideContext(Fleet.Fleet, context)
  if (senders._tag === "Agents") yield* checked(agents, load, quiet)
  return agents
})
