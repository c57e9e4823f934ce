import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import * as Comparison from "../../metrics/Comparison.ts"
import * as Gate from "../../metrics/Gate.ts"
import * as ComparisonReport from "../../output/ComparisonReport.ts"
import * as ComparisonSettings from "../../output/ComparisonSettings.ts"
import * as RunReader from "../../output/RunReader.ts"
import * as Screen from "../../output/Screen.ts"
import { usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { type compareFlags } from "../internal/compareFlags.ts"
import { readConditions } from "../internal/thresholdFlags.ts"

type Input = Command.Command.Config.Infer<typeof compareFlags>

const describe = ({ path, series, summary }: RunReader.LoadedRun): ComparisonReport.Run => {
  const model = summary["model"]
  return { path, model: typeof model === "string" ? model : null, requests: series.length }
}

/** Runs of different loads are refused, unless they are to be compared all the same. */
const settingsOf = Effect.fnUntraced(function* (
  baseline: RunReader.LoadedRun,
  candidate: RunReader.LoadedRun,
  allowDifferent: boolean
) {
  const settings = ComparisonSettings.compare(baseline, candidate)
  if (settings.refusals.length > 0 && !allowDifferent) {
    return yield* usage(
      `${candidate.path} and ${baseline.path} used different loads: ${settings.refusals.join("; ")}. To compare them all the same, use --allow-different.`
    )
  }
  const differences = settings.refusals.map((refusal) => `The loads differ: ${refusal}.`)
  return { leftOut: settings.leftOut, warnings: [...differences, ...settings.warnings] }
})

const print = (report: ComparisonReport.Report, format: Input["format"]) => {
  switch (format) {
    case "table":
      return Effect.flatMap(Screen.detect("stdout"), (screen) =>
        Console.log(ComparisonReport.render(report, screen).trimEnd())
      )
    case "json":
      return Console.log(ComparisonReport.json(report).trimEnd())
    case "markdown":
      return Console.log(ComparisonReport.markdown(report).trimEnd())
    case "junit":
      return Console.log(ComparisonReport.junit(report).trimEnd())
  }
}

/** Compares the runs, prints the comparison, and ends with 1 when a rule was not passed, or could not be judged and must be. */
export const handle = Effect.fn("compare")(
  function* (input: Input) {
    const rules = yield* readConditions("fail-if", input.failIf, Gate.parse)
    const [first, ...others] = input.runs
    if (first === undefined) return
    const baseline = yield* RunReader.load(first)
    const loaded = yield* Effect.forEach(others, RunReader.load)
    const checked = yield* Effect.forEach(loaded, (run) =>
      Effect.map(settingsOf(baseline, run, input.allowDifferent), (settings) => ({ run, settings }))
    )
    const resamples = Option.getOrElse(input.resamples, () =>
      Comparison.defaultResamples(Math.max(baseline.series.length, ...loaded.map(({ series }) => series.length)))
    )
    const { allowUnknown, failWhen, seed } = input
    const candidates = yield* Effect.forEach(checked, ({ run, settings: { leftOut, warnings } }) =>
      Effect.sync((): ComparisonReport.Candidate => {
        const statistics = Gate.statisticsOf(rules)
        const metrics = Comparison.compare(baseline.series, run.series, { seed, resamples, statistics, leftOut })
        const judgements = rules.map((rule) => Gate.judge(rule, metrics, failWhen))
        return { run: describe(run), warnings, metrics, judgements }
      })
    )
    const report = { baseline: describe(baseline), candidates, resamples, seed, failWhen, allowUnknown }
    yield* print(report, input.json ? "json" : input.format)
    if (!ComparisonReport.passed(report)) return yield* new Ended({ exitCode: ExitCode.failed })
  },
  Effect.catchTag("RunReadError", (error) => Effect.fail(usage(error.message)))
)
