import { Argument } from "effect/cli"
import { FIXED_SEED } from "./seed.ts"
import * as Setting from "./setting.ts"

/** The arguments and the flags of `llmperf compare`. */
export const compareFlags = {
  runs: Argument.String("run").pipe(
    Argument.withDescription("A results folder, or a summary file; the first is the one to compare with"),
    Argument.atLeast(2)
  ),
  failIf: Setting.repeated(
    "fail-if",
    Setting.text("condition"),
    'A difference that must not be, such as "ttft_s.p99 > +5%" or "end_to_end_latency_s.mean > +20ms"; exit code 1 when it is'
  ),
  failWhen: Setting.withDefault(
    "fail-when",
    Setting.oneOf("estimate", "significant", "certain"),
    "significant",
    "How sure that has to be: the difference is beyond the limit; it is, and its interval does not hold 0; the whole interval is"
  ),
  allowUnknown: Setting.toggle(
    "allow-unknown",
    false,
    "Let a --fail-if pass that cannot be judged: a percentile with fewer than ten requests beyond it, or a mean of fewer than 30"
  ),
  format: Setting.withDefault(
    "format",
    Setting.oneOf("table", "json", "markdown", "junit"),
    "table",
    "What to print on standard output"
  ),
  json: Setting.toggle("json", false, "The same as --format json"),
  allowDifferent: Setting.toggle("allow-different", false, "Compare runs of different loads too"),
  resamples: Setting.optional(
    "resamples",
    Setting.positiveInt("times", 1_000_000),
    "Number of bootstrap resamples for the intervals (default: 2000, fewer above 20,000 requests)"
  ),
  seed: Setting.withDefault(
    "seed",
    Setting.naturalInt("integer"),
    FIXED_SEED,
    "Decides the draws: the same seed gives the same intervals"
  )
}
