import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import * as Analysis from "../../engine/Analysis.ts"
import * as Report from "../../output/Console.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type analyzeFlags } from "../internal/analyzeFlags.ts"
import * as Outcome from "../internal/outcome.ts"

type Input = Command.Command.Config.Infer<typeof analyzeFlags>

const check = Effect.fnUntraced(function* ({ from, to, tokenizer, warmUp }: Input) {
  if (Option.isSome(tokenizer)) {
    return yield* usage(
      "--tokenizer cannot be changed afterwards: the texts of prompts and answers are not saved, only their counts. Run again with the other tokenizer"
    )
  }
  const start = Math.max(
    Option.getOrElse(from, () => 0),
    Option.getOrElse(warmUp, () => 0)
  )
  if (Option.isSome(to) && to.value <= start) {
    return yield* usage(`--to ${to.value}s is not after the beginning of what is taken (${start}s)`)
  }
})

const titleOf = ({ model, runId }: Analysis.Analysis): string =>
  `Analysis of run ${runId ?? "?"}${model === null ? "" : ` of ${model}`}`

/** Analyzes the run, writes the summary where that is asked for, and shows it. */
export const handle = Effect.fn("analyze")(
  function* (input: Input) {
    yield* check(input)
    const analysis = yield* Analysis.analyze({
      path: input.run,
      fromSeconds: Option.getOrUndefined(input.from),
      toSeconds: Option.getOrUndefined(input.to),
      skipFirst: Option.getOrUndefined(input.skipFirst),
      warmUpSeconds: Option.getOrUndefined(input.warmUp),
      only: Option.getOrUndefined(input.only)
    })
    const files = Option.isSome(input.out) ? Object.values(yield* Analysis.publish(input.out.value, analysis)) : []
    yield* Outcome.show(input, analysis, (screen) =>
      Report.render(
        {
          title: titleOf(analysis),
          summary: analysis.summary,
          remarks: analysis.remarks,
          cache: Outcome.cacheOf(analysis),
          files
        },
        screen
      )
    )
  },
  Effect.catchTags({
    RunReadError: (error) => Effect.fail(usage(error.message)),
    AnalysisError: (error) => Effect.fail(usage(error.message)),
    OutputError: ({ path, problem }) =>
      Effect.fail(new CommandError({ description: `Cannot write ${path}: ${problem}`, exitCode: ExitCode.output }))
  })
)
