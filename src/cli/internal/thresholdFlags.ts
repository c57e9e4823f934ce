import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Expression from "../../metrics/Expression.ts"
import * as Threshold from "../../metrics/Threshold.ts"
import { type CommandError, usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import * as Setting from "./setting.ts"

/** The flag of every command that measures. */
export const thresholdFlags = {
  threshold: Setting.repeated(
    "threshold",
    Setting.text("condition"),
    'What must hold of the results, such as "ttft_s.p99 < 500ms" or "error_rate < 1%"; exit code 1 when it does not'
  ),
  allowUnknown: Setting.toggle(
    "allow-unknown",
    false,
    "Let a --threshold pass that cannot be judged: a percentile with fewer than ten requests beyond it, or a mean of fewer than 30"
  )
}

/** Reads conditions, and says of the first bad one what is wrong and where. */
export const readConditions = <A>(
  flag: string,
  texts: ReadonlyArray<string>,
  parse: (text: string) => Result.Result<A, Expression.ExpressionError>
): Effect.Effect<ReadonlyArray<A>, CommandError> =>
  Effect.forEach(texts, (text) =>
    Result.match(parse(text), {
      onFailure: (error) => Effect.fail(usage(`Invalid value for --${flag}: ${error.message}`)),
      onSuccess: Effect.succeed
    })
  )

/** The thresholds that were given, read before anything is sent. */
export const thresholdsOf = (input: { readonly threshold: ReadonlyArray<string> }) =>
  readConditions("threshold", input.threshold, (text) => Threshold.parse(text))

/** Those of a correctness test, which may be about its answers too. */
export const thresholdsOfTest = (input: { readonly threshold: ReadonlyArray<string> }) =>
  readConditions("threshold", input.threshold, (text) => Threshold.parse(text, { answers: true }))

/** Ends with 1 when a threshold was missed, or cannot be judged and must be. */
export const endBy = (
  checked: ReadonlyArray<Threshold.Checked>,
  options: { readonly allowUnknown: boolean }
): Effect.Effect<void, Ended> =>
  Threshold.passed(checked, options) ? Effect.void : Effect.fail(new Ended({ exitCode: ExitCode.failed }))
