/**
 * Conditions on the numbers of one run, such as `ttft_s.p99 < 500ms` and `error_rate < 1%`: what must hold for the run to
 * count as passed.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import { CorrectnessSummary } from "../domain/CorrectnessResults.ts"
import type { Summary } from "../domain/Summary.ts"
import { neededFor, quantileOf } from "./Comparison.ts"
import * as Expression from "./Expression.ts"
import { SummarySink } from "./SummarySink.ts"

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
 * - `outcome`: `unknown` when the run has no such number, or fewer values (`count`) than a percentile needs (`needed`, see
 *   `Comparison.neededFor`)
 * - `uncounted`: the run, when there is no such number because the tokens of some answers are not known; `null` otherwise
 *
 * @category models
 * @since 0.2.0
 */
export interface Checked {
  readonly threshold: Threshold
  readonly value: number | null
  readonly outcome: "passed" | "failed" | "unknown"
  readonly count: number
  readonly needed: number
  readonly uncounted: Pick<Summary, "num_completed_requests" | "num_uncounted_requests" | "token_source"> | null
}

/**
 * Reads a threshold. Names are those of the summary, with a dot before each further part: `ttft_s.p99`,
 * `end_to_end_latency_s.mean`, `failed_as_infinite.ttft_s.p99`, `error_rate`, `error_code_frequency.429`. Durations take
 * `s`, `ms`, `us`, `min`, and need one; shares take `%`, and a bare number is a share of one.
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
 * Checks every threshold against a summary, and against that of a correctness test where it is about answers.
 *
 * @category checking
 * @since 0.2.0
 */
export const check = (
  thresholds: ReadonlyArray<Threshold>,
  summary: Summary,
  correctness?: CorrectnessSummary
): ReadonlyArray<Checked> =>
  thresholds.map((threshold) => {
    const { about, limit, operator, path } = threshold
    const value = about === "requests" ? valueOf(path, summary) : answersOf(path, correctness)
    const last = path.at(-1) ?? ""
    const isQuantile = quantileOf(last) !== null
    const count = countOf(path, summary)
    const needed = isQuantile ? neededFor(last) : 0
    const isKnown = value !== null && (!isQuantile || count >= needed)
    const outcome = !isKnown ? "unknown" : Expression.holds(value, operator, limit) ? "passed" : "failed"
    const isUncounted =
      value === null && about === "requests" && isSumOfTokens(path) && summary.num_uncounted_requests > 0
    return { threshold, value, outcome, count, needed, uncounted: isUncounted ? summary : null }
  })

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

/** How many values a quantile is of. */
const countOf = (path: ReadonlyArray<string>, summary: Summary): number => {
  const counted = walk(summary, [...path.slice(0, -1), "count"])
  if (typeof counted === "number") return counted
  const { num_completed_requests, num_failed_requests, num_uncounted_requests, num_unsampled_requests } = summary
  const failed = path[0] === "failed_as_infinite" ? num_failed_requests : 0
  const uncounted = ofCountedAnswers.has(path[0] ?? "") ? num_uncounted_requests : 0
  return Math.max(0, num_completed_requests + failed - num_unsampled_requests - uncounted)
}

const answersOf = (path: ReadonlyArray<string>, correctness: CorrectnessSummary | undefined): number | null => {
  const found = walk(correctness, path)
  return typeof found === "number" ? found : null
}

const valueOf = (path: ReadonlyArray<string>, summary: Summary): number | null => {
  const found = walk(summary, path)
  if (typeof found === "number") return found
  if (path[0] === "failed_as_infinite" && found === null && summary.num_failed_requests > 0) return Infinity
  return found === undefined && isFrequency(path) ? 0 : null
}

/** The keys: LLMPerf's prefix and the word `quantiles` may be given or not. */
const pathOf = (name: string): ReadonlyArray<string> =>
  name
    .replace(/^results_/, "")
    .replace(/\.p99\.9$/, ".p999")
    .split(".")
    .filter((part) => part !== "quantiles")

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
  path.length === 2 && (path[0] ?? "").endsWith("_frequency")

/** What a summary has, whatever the numbers. */
const blank = (): Summary => new SummarySink().summary({ wallSeconds: 0 })

/** What should stand in the place of a name that names no number; `null` when it does name one. */
const problemOf = (path: ReadonlyArray<string>, answers: boolean): string | null => {
  const summary = blank()
  const found = walk(summary, path)
  if (typeof found === "number" || found === null || isFrequency(path)) return null
  if (found !== undefined) {
    const parts = partsOf(found)
    return parts.length === 0
      ? "the name of a number, and this is none"
      : `one of its numbers: ${parts.map((part) => [...path, part].join(".")).join(", ")}`
  }
  const known = partsOf(walk(summary, path.slice(0, -1)))
  if (path.length > 1 && known.length > 0) return `one of ${known.join(", ")} after the dot`
  const keys = [...(answers ? answerKeys : []), ...Object.keys(summary)]
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
  if (last === "error_rate" || last.endsWith("mismatch_rate") || last.endsWith("relative_difference")) return "share"
  return path.some((key) => key.endsWith("_s") && !key.endsWith("_per_s")) && last !== "count" ? "s" : ""
}

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
