import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Command } from "effect/cli"
import * as Recovery from "../../engine/Recovery.ts"
import * as Report from "../../output/Console.ts"
import * as CorrectnessReport from "../../output/CorrectnessConsole.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import * as Screen from "../../output/Screen.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
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

const present = Effect.fnUntraced(function* (input: Input, recovered: Recovery.Recovered) {
  if (input.json) yield* Console.log(ResultFiles.stringify(recovered.document).trimEnd())
  if (input.quiet) return
  // With --json, standard output belongs to the data.
  const stream = input.json ? "stderr" : "stdout"
  const { answers, files, summary } = recovered
  const report = { title: titleOf(recovered.manifest), summary, remarks: remarks(recovered), files }
  const screen = yield* Screen.detect(stream)
  const text = (
    answers === null
      ? Report.render(report, screen)
      : CorrectnessReport.render({ ...report, correctness: answers.summary, mismatches: answers.mismatches }, screen)
  ).trimEnd()
  yield* input.json ? Console.error(text) : Console.log(text)
})

/** Recovers the run and shows it. */
export const handle = Effect.fn("recover")(
  function* (input: Input) {
    const recovered = yield* Recovery.recover({ directory: input.directory, force: input.force })
    yield* present(input, recovered)
  },
  Effect.catchTags({
    RecoveryError: (error) => Effect.fail(usage(error.message)),
    ManifestError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(usage(error.message)),
    OutputError: ({ path, problem }) =>
      Effect.fail(new CommandError({ description: `Cannot write ${path}: ${problem}`, exitCode: ExitCode.output }))
  })
)
