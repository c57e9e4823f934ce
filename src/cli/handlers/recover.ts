import * as Effect from "effect/Effect"
import { type Command } from "effect/cli"
import * as Recovery from "../../engine/Recovery.ts"
import * as Report from "../../output/Console.ts"
import * as CorrectnessReport from "../../output/CorrectnessConsole.ts"
import type * as Screen from "../../output/Screen.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import * as Outcome from "../internal/outcome.ts"
import { type recoverFlags } from "../internal/recoverFlags.ts"

type Input = Command.Command.Config.Infer<typeof recoverFlags>

const titleOf = ({ parameters, runId }: Recovery.Recovered["manifest"]): string => {
  const model = parameters["model"]
  return `Recovered run ${runId}${typeof model === "string" ? ` of ${model}` : ""}`
}

const remarks = ({ manifest, notSent, summary }: Recovery.Recovered): ReadonlyArray<string> => [
  `${summary.num_requests_started}${manifest.planned === null ? "" : ` of ${manifest.planned}`} requests had ended and are here.`,
  ...(notSent === 0 ? [] : [`The other ${notSent} were in flight or not sent when the run ended.`])
]

const render = (recovered: Recovery.Recovered, screen: Screen.Screen): string => {
  const { answers, files, manifest, summary, verdict } = recovered
  const cache = Outcome.cacheOf(recovered)
  const report = { title: titleOf(manifest), summary, verdict, cache, remarks: remarks(recovered), files }
  return answers === null
    ? Report.render(report, screen)
    : CorrectnessReport.render({ ...report, correctness: answers.summary, mismatches: answers.mismatches }, screen)
}

/** Recovers the run and shows it. */
export const handle = Effect.fn("recover")(
  function* (input: Input) {
    const recovered = yield* Recovery.recover({ directory: input.directory, force: input.force })
    yield* Outcome.show(input, recovered, (screen) => render(recovered, screen))
  },
  Effect.catchTags({
    RecoveryError: (error) => Effect.fail(usage(error.message)),
    ManifestError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(usage(error.message)),
    OutputError: ({ path, problem }) =>
      Effect.fail(new CommandError({ description: `Cannot write ${path}: ${problem}`, exitCode: ExitCode.output }))
  })
)
