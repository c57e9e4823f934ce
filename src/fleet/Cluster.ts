/**
 * Agents that are found: Effect Cluster, in which every agent is a runner and the coordinator is none.
 *
 * They are looked for once, before the run. A call whose connection breaks fails and is never sent a second time. What else is done
 * so that a run stays what it is, docs/cluster.md tells.
 *
 * @since 0.2.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fleet from "../engine/Fleet.ts"
import { AgentFailed, PROTOCOL } from "../engine/LoadAgent.ts"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentToken from "./AgentToken.ts"
import * as ClusterAddress from "./ClusterAddress.ts"
import * as AgentEntity from "./internal/agentEntity.ts"
import * as LocalRunners from "./internal/localRunners.ts"
import { openDirectory } from "./internal/openDirectory.ts"
import * as RunnerLinks from "./internal/runnerLinks.ts"
import { search } from "./internal/search.ts"
import { type Calling, type Reached } from "./Sockets.ts"

/**
 * Where to look, and how agents are called; see `Sockets`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Looking extends Calling {
  readonly cluster: ClusterAddress.ClusterAddress
}

/**
 * - `expect`: how many agents are wanted. It is waited for so many, and no more are taken: those that are free, in their order.
 *   `null` for all that answer, as soon as any does
 * - `withinSeconds`: how long they may take to come
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends Looking {
  readonly expect: number | null
  readonly withinSeconds: number
}

/**
 * An agent that is said to be there: it, or why it cannot be used.
 *
 * @category models
 * @since 0.2.0
 */
export interface Seen {
  readonly name: string
  readonly agent: Result.Result<Reached, AgentFailed>
}

/** How long an agent has to say that it is there, when it is looked for. */
const PING_MILLIS = 3_000
const HELLO_MILLIS = 5_000
/** An agent is lost when nothing is heard of it for so long. */
const SILENCE_SECONDS = 5
/** How often an agent that works on a call is asked whether it is still there, in milliseconds. */
const WATCH_MILLIS = 1_000
/** Then it has the rest of the time in which it is not lost. */
const WATCH_PING_MILLIS = SILENCE_SECONDS * 1_000 - WATCH_MILLIS
/** Agents that are asked at a time. */
const AT_A_TIME = 64

const failed = (description: string) => new AgentFailed({ description })

/** Why an agent cannot be used, of whatever came instead of its answer. */
const why = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it is just ending. Start it again"
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

const silent = (millis: number) => new RunnerLinks.LinkLost({ problem: `it has not answered for ${millis / 1_000} s` })

/** It listens, and says nothing to its name: it has another one. */
const misnamed = (name: string) =>
  failed(
    `${name}: it answers, but not to this name. Does it run with --cluster, and with --advertise ${name} if it advertises anything?`
  )

/** Of agents that have answered, those that are to be used. */
const choose = (
  answers: ReadonlyArray<Result.Result<Reached, AgentFailed>>,
  expect: number | null
): Result.Result<ReadonlyArray<Reached>, AgentFailed> => {
  const usable = answers.flatMap((answer) => (Result.isSuccess(answer) ? [answer.success] : []))
  const free = usable.filter(({ profile }) => profile.session === null)
  const wanted = expect ?? answers.length
  if (free.length >= wanted) return Result.succeed(free.slice(0, wanted))
  const problems = answers.flatMap((answer) => {
    if (Result.isFailure(answer)) return [answer.failure.description]
    const { name, profile } = answer.success
    if (profile.session === null) return []
    return [
      `${name}: it works for another run (${profile.session}). Wait until that has ended, or start one more agent`
    ]
  })
  const [first = "", ...others] = problems
  return Result.fail(
    others.length === 0
      ? failed(first)
      : failed([`${free.length} of ${wanted} agents can be used`, ...problems.map((line) => `  ${line}`)].join("\n"))
  )
}

/** Connections to agents, and what can be asked of them. */
const open = Effect.fnUntraced(function* ({ cluster, credentials, token, version }: Looking) {
  const links = RunnerLinks.make({ credentials, token, tlsName: cluster.tlsName })
  const runners = Context.get(yield* Layer.build(links.layer), Runners.Runners)
  const ping = (address: AgentAddress.AgentAddress, millis = PING_MILLIS) =>
    runners.ping(AgentEntity.toRunnerAddress(address)).pipe(
      Effect.catchTag("RunnerUnavailable", () => Effect.fail(links.lost(address))),
      Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.fail(silent(millis)) })
    )

  const reach = Effect.fnUntraced(function* (
    address: AgentAddress.AgentAddress,
    clientOf: Effect.Success<typeof AgentEntity.LoadAgent.client>
  ): Effect.fn.Return<Reached, AgentFailed> {
    const name = AgentAddress.format(address)
    const client = clientOf(name)
    const profile = yield* client.Hello({ protocol: PROTOCOL, version }).pipe(
      Effect.catchCause((cause) => Effect.fail(failed(`${name}: ${why(cause)}`))),
      Effect.timeoutOrElse({ duration: HELLO_MILLIS, orElse: () => Effect.fail(misnamed(name)) })
    )
    const agent = Fleet.fromClient({
      name,
      client,
      profile,
      silenceSeconds: SILENCE_SECONDS,
      gone: Effect.forever(Effect.delay(ping(address, WATCH_PING_MILLIS), WATCH_MILLIS)),
      close: runners.onRunnerUnavailable(AgentEntity.toRunnerAddress(address))
    })
    // What it has kept may be asked for just after the connection was lost: a ping that fails makes it anew. It is waited for once
    let isAway = false
    const again = Effect.suspend(() =>
      ping(address, WATCH_MILLIS).pipe(
        isAway ? (once) => once : Effect.retry(Schedule.spaced(100)),
        Effect.timeout(SILENCE_SECONDS * 1_000),
        Effect.match({
          onSuccess: () => {
            isAway = false
          },
          onFailure: () => {
            isAway = true
          }
        })
      )
    )
    return {
      ...agent,
      profile,
      account: (session) => Effect.andThen(again, agent.account(session)),
      collect: (wanted) => Stream.unwrap(Effect.as(again, agent.collect(wanted))),
      release: (session) => Effect.andThen(again, agent.release(session))
    }
  })

  return {
    // Closed when it has been looked into: a run does not depend on it
    list: Effect.scoped(Effect.flatMap(openDirectory(cluster), ({ list }) => list)),
    ping,
    /** Asks agents who they are. From now on the cluster is these. */
    meet: Effect.fnUntraced(function* (found: ReadonlyArray<AgentAddress.AgentAddress>) {
      const sharding = yield* Layer.build(
        Sharding.layer.pipe(
          Layer.provide([
            AgentEntity.layerConfig(null),
            LocalRunners.layer(found.map(AgentEntity.toRunner)),
            Layer.succeed(Runners.Runners, runners),
            RunnerHealth.layerNoop,
            MessageStorage.layerNoop,
            // Below the sharding, which makes the clients of agents
            AgentToken.layerClient(token)
          ])
        )
      )
      const clientOf = yield* Effect.provideContext(AgentEntity.LoadAgent.client, sharding)
      return yield* Effect.forEach(found, (address) => Effect.result(reach(address, clientOf)), {
        concurrency: AT_A_TIME
      })
    })
  }
})

/**
 * Looks for agents and asks them who they are. It fails when not enough of them come in time, and when one that is needed does not
 * let us in, is of another version, or works for another run; the message says which one it is and what to do.
 *
 * Connections end with the scope.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Cluster.make")(function* (
  options: Options
): Effect.fn.Return<ReadonlyArray<Reached>, AgentFailed, Scope.Scope | FileSystem.FileSystem> {
  const { cluster, expect, withinSeconds } = options
  const { list, meet, ping } = yield* open(options)
  const found = yield* search({ list, ping, expect, withinSeconds, where: ClusterAddress.format(cluster) })
  return yield* Effect.fromResult(choose(yield* meet(found), expect))
})

/**
 * Looks once, and gives all agents that are said to be there, or why one cannot be used. It fails when it cannot be looked.
 *
 * @category constructors
 * @since 0.2.0
 */
export const look = Effect.fn("Cluster.look")(function* (
  options: Looking
): Effect.fn.Return<ReadonlyArray<Seen>, AgentFailed, Scope.Scope | FileSystem.FileSystem> {
  const { list, meet, ping } = yield* open(options)
  const listed = yield* Effect.mapError(list, ({ message }) => failed(message))
  const pinged = yield* Effect.forEach(
    listed,
    (address) => Effect.map(Effect.result(ping(address)), (pong) => ({ address, pong })),
    { concurrency: AT_A_TIME }
  )
  const answering = pinged.flatMap(({ address, pong }) => (Result.isSuccess(pong) ? [address] : []))
  const met = new Map(Arr.zip(answering, yield* meet(answering)))
  return pinged.map(({ address, pong }) => {
    const name = AgentAddress.format(address)
    const problem = Result.isFailure(pong) ? failed(`${name}: ${pong.failure.message}`) : misnamed(name)
    return { name, agent: met.get(address) ?? Result.fail(problem) }
  })
})

/**
 * See `make`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Fleet.Fleet, AgentFailed, FileSystem.FileSystem> =>
  Layer.effect(
    Fleet.Fleet,
    Effect.map(make(options), (agents) => ({ agents }))
  )
