/**
 * Conditions on the numbers of one run, such as `ttft_s.p99 < 500ms` and `error_rate < 1%`: what must hold for the run to
 * count as passed.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import { CorrectnessSummary } from "../domain/CorrectnessResults.ts"
import type { Summary } from "../domain/Summary.ts"
import { neededFor, quantileOf, type StatisticName } from "./Comparison.ts"
import * as Expression from "./Expression.ts"
import * as HealthSummary from "./HealthSummary.ts"
import { SummarySink } from "./SummarySink.ts"
import * as Verdict from "./Verdict.ts"

/**
 * - `text`: as it was given
 * - `about`: whether it is about what became of the `answers` of a correctness test, or about the `requests` of any run
 * - `path`: the keys of the number in the summary
 * - `limit`: in the unit of the number
 * - `unit`: `s` for seconds, `share` for shares of one, `""` for all else
 *
 * @category models
 * @since 0.2.0
 */
export interface Threshold {
  readonly text: string
  readonly about: "requests" | "answers"
  readonly path: ReadonlyArray<string>
  readonly operator: Expression.Operator
  readonly limit: number
  readonly unit: "s" | "share" | ""
}

/**
 * A threshold and what became of it.
 *
 * - `value`: the number of the run, infinite where requests that failed count as never ended; `null` when there is none
 * - `statistic`: what the number estimates, as in a comparison: a quantile, a `mean`, or a rate of the whole run (`value`). `null` for
 *   counts, sums, extremes and shares, which are exact whatever the length of the run
 * - `outcome`: `unknown` when the run has no such number, or fewer values (`count`) than the statistic needs (`needed`, see
 *   `Comparison.neededFor`)
 * - `uncounted`: the run, when there is no such number because the tokens of some answers are not known; `null` otherwise
 *
 * @category models
 * @since 0.2.0
 */
export interface Checked {
  readonly threshold: Threshold
  readonly value: number | null
  readonly statistic: StatisticName | null
  readonly outcome: "passed" | "failed" | "unknown"
  readonly count: number
  readonly needed: number
  readonly uncounted: Pick<Summary, "num_completed_requests" | "num_uncounted_requests" | "token_source"> | null
}

/**
 * The numbers that thresholds are about. `health`: those of the client, where they are known; `correctness`: those of the answers of a
 * correctness test.
 *
 * @category models
 * @since 0.2.0
 */
export interface Numbers {
  readonly summary: Summary
  readonly health?: HealthSummary.HealthSummary | undefined
  readonly correctness?: CorrectnessSummary | undefined
}

/**
 * Reads a threshold. Names are those of the summary, with a dot before each further part: `ttft_s.p99`,
 * `end_to_end_latency_s.mean`, `failed_as_infinite.ttft_s.p99`, `error_rate`, `error_code_frequency.429`,
 * `health_loop_delay_s.p99`; or as they stand in its file: `results_ttft_s_quantiles_p99`. Durations take `s`, `ms`, `us`, `min`, and
 * need one; shares take `%`, and a bare number is a share of one.
 *
 * With `answers`, which is for a correctness test, names are first those of its own numbers, such as `answer_mismatch_rate`
 * and `num_mismatched_requests`. Two of these are names of the requests' numbers too: with `results_` before it, as in the file
 * of the summary, a name is one of those.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (
  text: string,
  { answers = false }: { readonly answers?: boolean } = {}
): Result.Result<Threshold, Expression.ExpressionError> =>
  Result.flatMap(Expression.parse(text), (expression) => {
    const fail = (position: number, expected: string): Result.Result<never, Expression.ExpressionError> =>
      Result.fail(new Expression.ExpressionError({ text: expression.text, position, expected }))
    const path = pathOf(expression.name)
    const about = answers && isOfAnswers(expression.name) ? "answers" : "requests"
    const problem = about === "answers" ? null : problemOf(path, answers)
    if (problem !== null) return fail(expression.at.name, problem)
    const unit = unitOf(path)
    if (unit === "s" && expression.unit === "" && expression.amount !== 0) {
      return fail(expression.at.amount, Expression.unitNeeded(expression))
    }
    const scale = scaleOf(unit, expression.unit)
    if (scale === null) return fail(expression.at.unit, unitsOf(unit))
    if (expression.sign === "+") {
      return fail(expression.at.amount, "a number without +, which is for differences between runs")
    }
    const limit = (expression.sign === "-" ? -1 : 1) * expression.amount * scale
    return Result.succeed({ text: expression.text.trim(), about, path, operator: expression.operator, limit, unit })
  })

/**
 * Checks every threshold against the numbers of a run.
 *
 * @category checking
 * @since 0.2.0
 */
export const check = (thresholds: ReadonlyArray<Threshold>, numbers: Numbers): ReadonlyArray<Checked> => {
  const ofRun = namedOf(numbers)
  return thresholds.map((threshold) => {
    const { about, limit, operator, path } = threshold
    const value =
      about === "requests" ? valueOf(path, ofRun, numbers.summary) : numberOf(walk(numbers.correctness, path))
    const statistic = about === "requests" ? statisticOf(path) : null
    const count = countOf(path, ofRun, numbers.summary)
    const needed = statistic === null ? 0 : neededFor(statistic)
    const isKnown = value !== null && count >= needed
    const outcome = !isKnown ? "unknown" : Expression.holds(value, operator, limit) ? "passed" : "failed"
    const isUncounted =
      value === null && about === "requests" && isSumOfTokens(path) && numbers.summary.num_uncounted_requests > 0
    return {
      threshold,
      value,
      statistic,
      outcome,
      count,
      needed,
      uncounted: isUncounted ? numbers.summary : null
    }
  })
}

/**
 * Whether the run as a whole has passed: every threshold has, or cannot be judged where that is allowed.
 *
 * @category checking
 * @since 0.2.0
 */
export const passed = (
  checked: ReadonlyArray<Checked>,
  { allowUnknown }: { readonly allowUnknown: boolean }
): boolean => checked.every(({ outcome }) => outcome === "passed" || (allowUnknown && outcome === "unknown"))

/** What has no value for an answer whose tokens are not known. */
const ofCountedAnswers: ReadonlySet<string> = new Set([
  "inter_token_latency_s",
  "mean_inter_token_latency_s",
  "request_output_throughput_token_per_s",
  "number_output_tokens"
])

/** What has no value for a run with such an answer. */
const sumsOfTokens: ReadonlySet<string> = new Set([
  "mean_output_throughput_token_per_s",
  "busy_output_throughput_token_per_s",
  "total_output_tokens"
])

const isSumOfTokens = (path: ReadonlyArray<string>): boolean => path.length === 1 && sumsOfTokens.has(path[0] ?? "")

/** All that has a name, `health_` before the numbers of the client. */
const namedOf = ({ health, summary }: Numbers): { readonly [key: string]: unknown } => ({
  ...summary,
  ...Object.fromEntries(Object.entries(health ?? {}).map(([key, value]) => [`health_${key}`, value]))
})

/** What a number is an estimate of, `null` when it is exact. */
const statisticOf = (path: ReadonlyArray<string>): StatisticName | null => {
  const last = path.at(-1) ?? ""
  if (quantileOf(last) !== null) return last
  if (last === "mean" || last === "stddev" || last.startsWith("mean_")) return "mean"
  return path.length === 1 && /_per_(?:s|min)$/.test(last) ? "value" : null
}

/** How many values a quantile or a mean is of. */
const countOf = (path: ReadonlyArray<string>, ofRun: unknown, summary: Summary): number => {
  const parent = walk(ofRun, path.slice(0, -1))
  const counted = field(parent, "count") ?? field(parent, "num_requests_compared")
  if (typeof counted === "number") return counted
  const { num_completed_requests, num_failed_requests, num_uncounted_requests, num_unsampled_requests } = summary
  const failed = path[0] === "failed_as_infinite" ? num_failed_requests : 0
  const uncounted = ofCountedAnswers.has(path[0] ?? "") ? num_uncounted_requests : 0
  return Math.max(0, num_completed_requests + failed - num_unsampled_requests - uncounted)
}

const numberOf = (found: unknown): number | null => (typeof found === "number" ? found : null)

const valueOf = (path: ReadonlyArray<string>, ofRun: unknown, summary: Summary): number | null => {
  const found = walk(ofRun, path)
  if (path[0] === "failed_as_infinite" && found === null && summary.num_failed_requests > 0) return Infinity
  return found === undefined && isFrequency(path) ? 0 : numberOf(found)
}

/** The keys: LLMPerf's prefix and the word `quantiles` may be given or not. */
const pathOf = (name: string): ReadonlyArray<string> => {
  const bare = name.replace(/^results_/, "").replace(/\.p99\.9$/, ".p999")
  return (asInFile(blank(), bare) ?? bare.split(".")).filter((part) => part !== "quantiles")
}

/** The keys of a number whose name is written as in the file of a summary, where `_` joins them. */
const asInFile = (object: unknown, name: string): ReadonlyArray<string> | null => {
  if (typeof object !== "object" || object === null || Array.isArray(object)) return null
  for (const [key, inner] of Object.entries(object)) {
    if (key === name) return [key]
    const rest = name.startsWith(`${key}_`) ? asInFile(inner, name.slice(key.length + 1)) : null
    if (rest !== null) return [key, ...rest]
  }
  return null
}

const answerKeys = Object.keys(CorrectnessSummary.fields)

const isOfAnswers = (name: string): boolean => answerKeys.includes(name)

const walk = (from: unknown, path: ReadonlyArray<string>): unknown => {
  let at: unknown = from
  for (const key of path) {
    const found = field(at, key)
    at = found === undefined ? field(field(at, "quantiles"), key) : found
  }
  return at
}

/** `undefined` when there is no such key; `null` when its value is not known. */
const field = (object: unknown, key: string): unknown =>
  typeof object === "object" && object !== null && Object.hasOwn(object, key)
    ? new Map(Object.entries(object)).get(key)
    : undefined

const isFrequency = (path: ReadonlyArray<string>): boolean =>
  path.length === 2 && /(?:_frequency|^health_own_errors)$/.test(path[0] ?? "")

/** What a summary has, whatever the numbers. */
const blank = () =>
  namedOf({
    summary: new SummarySink().summary({ wallSeconds: 0 }),
    health: HealthSummary.make(null, new Verdict.DispatchTally().report())
  })

/** What should stand in the place of a name that names no number; `null` when it does name one. */
const problemOf = (path: ReadonlyArray<string>, answers: boolean): string | null => {
  const ofRun = blank()
  const found = walk(ofRun, path)
  if (typeof found === "number" || found === null || isFrequency(path)) return null
  if (found !== undefined) {
    const parts = partsOf(found)
    return parts.length === 0
      ? "the name of a number, and this is none"
      : `one of its numbers: ${parts.map((part) => [...path, part].join(".")).join(", ")}`
  }
  const known = partsOf(walk(ofRun, path.slice(0, -1)))
  if (path.length > 1 && known.length > 0) return `one of ${known.join(", ")} after the dot`
  const keys = [...(answers ? answerKeys : []), ...Object.keys(ofRun)]
  const near = [...new Set(keys)].filter((key) => related(key, path[0] ?? ""))
  return near.length === 0
    ? `the name of a number of the summary, such as ${answers ? "answer_mismatch_rate" : "ttft_s.p99"} or error_rate`
    : `the name of a number of the summary, such as ${near.slice(0, 4).join(", ")}`
}

const partsOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => (key === "quantiles" ? partsOf(inner) : [key]))
    : []

const related = (key: string, name: string): boolean => {
  const words = name.toLowerCase().split(/[_.]+/)
  return words.some((word) => word.length > 2 && key.split("_").includes(word))
}

const unitOf = (path: ReadonlyArray<string>): Threshold["unit"] => {
  const last = path.at(-1) ?? ""
  if (SHARE.test(last)) return "share"
  return path.some((key) => SECONDS.test(key)) && last !== "count" ? "s" : ""
}

const SHARE =
  /(?:^|_)(?:share|error_rate|mismatch_rate|relative_difference|quantile_error|utilization|machine_cpu|steal|free_memory|events_waiting)(?:_mean|_max|_min)?$/
const SECONDS = /(?<!_per)_s(?:_mean|_max)?$/

const scaleOf = (unit: Threshold["unit"], given: string): number | null => {
  if (given === "") return 1
  switch (unit) {
    case "s":
      return Expression.secondsOf(given)
    case "share":
      return given === "%" ? 0.01 : null
    case "":
      return null
  }
}

const unitsOf = (unit: Threshold["unit"]): string => {
  switch (unit) {
    case "s":
      return "s, ms, us or min"
    case "share":
      return "%, or no unit for a share of one"
    case "":
      return "no unit: this number has none"
  }
}
