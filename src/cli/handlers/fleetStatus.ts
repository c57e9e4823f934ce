import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import * as AgentAddress from "../../fleet/AgentAddress.ts"
import * as Clocks from "../../fleet/Clocks.ts"
import * as Sockets from "../../fleet/Sockets.ts"
import * as FleetConsole from "../../output/FleetConsole.ts"
import * as Screen from "../../output/Screen.ts"
import { usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { callingOf } from "../internal/fleetAccess.ts"
import { type fleetStatusFlags } from "../internal/fleetFlags.ts"

type Input = Command.Command.Config.Infer<typeof fleetStatusFlags>

/** Asks one agent. What it says before anything else is its problem, without its name, which stands beside it. */
const ask = (address: AgentAddress.AgentAddress, calling: Sockets.Calling) => {
  const name = AgentAddress.format(address)
  return Effect.gen(function* () {
    const agent = yield* Sockets.connect(address, calling)
    const clock = yield* Clocks.measure(agent)
    return { name, answer: { ...agent.profile, clock }, problem: null } satisfies FleetConsole.Line
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => {
      const problem = error._tag === "AgentFailed" ? error.description : error.problem
      return Effect.succeed<FleetConsole.Line>({ name, answer: null, problem: problem.replace(`${name}: `, "") })
    })
  )
}

/** Shows all agents. Ends with 1 when one of them cannot be used. */
export const handle = Effect.fn("fleet status")(function* (input: Input) {
  if (Option.isSome(input.cluster)) return yield* usage("--cluster: agents are named with --agents as yet")
  if (Option.isNone(input.agents)) return yield* usage("--agents must be given: which agents?")
  const calling = yield* callingOf(input)
  const lines = yield* Effect.forEach(input.agents.value, (address) => ask(address, calling), {
    concurrency: "unbounded"
  })
  yield* Console.log(
    input.json ? FleetConsole.toJson(lines) : FleetConsole.render(lines, yield* Screen.detect("stdout")).trimEnd()
  )
  const problems = lines.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`]))
  for (const problem of problems) yield* Console.error(problem)
  if (problems.length > 0) return yield* new Ended({ exitCode: ExitCode.failed })
})
