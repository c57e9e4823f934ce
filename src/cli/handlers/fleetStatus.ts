import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import type * as Fleet from "../../engine/Fleet.ts"
import { type AgentFailed } from "../../engine/LoadAgent.ts"
import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as Clocks from "../../fleet/Clocks.ts"
import * as Sockets from "../../fleet/Sockets.ts"
import * as FleetConsole from "../../output/FleetConsole.ts"
import * as Screen from "../../output/Screen.ts"
import { usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { callingOf, clusterOf } from "../internal/fleetAccess.ts"
import { type fleetStatusFlags } from "../internal/fleetFlags.ts"

type Input = Command.Command.Config.Infer<typeof fleetStatusFlags>

const answerOf = (name: string, agent: Sockets.Reached) =>
  Effect.map(Clocks.measure(agent), (clock): FleetConsole.Line => ({
    name,
    answer: { ...agent.profile, clock },
    problem: null
  }))

/** What it says before anything else is its problem, without its name, which stands beside it. */
const problemOf = (name: string, error: AgentFailed | Fleet.AgentLost): FleetConsole.Line => {
  const problem = error._tag === "AgentFailed" ? error.description : error.problem
  return { name, answer: null, problem: problem.replace(`${name}: `, "") }
}

/** Asks one agent. */
const ask = (address: AgentAddress.AgentAddress, calling: Sockets.Calling) => {
  const name = AgentAddress.format(address)
  return Sockets.connect(address, calling).pipe(
    Effect.flatMap((agent) => answerOf(name, agent)),
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(problemOf(name, error)))
  )
}

/** Of a cluster, all that are said to be there. */
const lookInto = Effect.fnUntraced(
  function* (text: string, calling: Sockets.Calling) {
    const place = yield* clusterOf(text)
    const { look } = yield* Effect.promise(() => import("../../fleet/Cluster.ts"))
    const seen = yield* look({ ...calling, cluster: place })
    return yield* Effect.forEach(
      seen,
      ({ agent, name }) =>
        Effect.fromResult(agent).pipe(
          Effect.flatMap((reached) => answerOf(name, reached)),
          Effect.catch((error) => Effect.succeed(problemOf(name, error)))
        ),
      { concurrency: "unbounded" }
    )
  },
  Effect.scoped,
  Effect.catchTag("AgentFailed", (error) => Effect.fail(usage(error.message)))
)

/** Shows all agents. Ends with 1 when one of them cannot be used. */
export const handle = Effect.fn("fleet status")(function* (input: Input) {
  const { agents, cluster } = input
  if (Option.isSome(agents) === Option.isSome(cluster)) {
    return yield* usage("--agents names the agents, --cluster finds them: give one of the two")
  }
  const calling = yield* callingOf(input)
  const lines = Option.isSome(cluster)
    ? yield* lookInto(cluster.value, calling)
    : yield* Effect.forEach(
        Option.getOrElse(agents, () => []),
        (address) => ask(address, calling),
        { concurrency: "unbounded" }
      )
  yield* Console.log(
    input.json ? FleetConsole.toJson(lines) : FleetConsole.render(lines, yield* Screen.detect("stdout")).trimEnd()
  )
  const problems = lines.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`]))
  for (const problem of problems) yield* Console.error(problem)
  if (problems.length > 0) return yield* new Ended({ exitCode: ExitCode.failed })
})
