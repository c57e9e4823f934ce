/**
 * Conditions on the difference between two runs, such as `ttft_s.p99 > +5%`: what must not hold for the second run to be
 * let through.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Comparison from "./Comparison.ts"
import * as Expression from "./Expression.ts"
import * as Metrics from "./internal/compareMetrics.ts"

/**
 * - `text`: as it was given
 * - `statistic`: of a distribution `mean` or a quantile, of a total `value`
 * - `kind`: whether the limit is relative (a share of the first run's number) or in the unit of the metric
 * - `limit`: with its sign; the rule is for rises when it is positive
 *
 * @category models
 * @since 0.2.0
 */
export interface Rule {
  readonly text: string
  readonly metric: string
  readonly statistic: Comparison.StatisticName
  readonly operator: Expression.Operator
  readonly kind: "relative" | "absolute"
  readonly limit: number
}

/**
 * When a rule fails:
 *
 * - `estimate`: the difference is beyond the limit, be it by chance
 * - `significant`: the difference is beyond the limit, and the interval around it does not hold 0
 * - `certain`: the whole interval is beyond the limit
 *
 * @category models
 * @since 0.2.0
 */
export type FailWhen = "estimate" | "significant" | "certain"

/**
 * - `difference`: relative or absolute as the rule is; its value is infinite when anything is compared with 0
 * - `outcome`: `unknown` when the rule cannot be judged
 * - `unknown`: why it cannot be: one of the runs does not have the number (`missing`), too few requests for it or for an
 *   interval (`few`), or no interval for another reason (`interval`); `null` when it can
 *
 * @category models
 * @since 0.2.0
 */
export interface Judgement {
  readonly rule: Rule
  readonly difference: Comparison.Difference | null
  readonly outcome: "passed" | "failed" | "unknown"
  readonly unknown: "missing" | "few" | "interval" | null
}

/**
 * Reads a rule. A rise is written `> +5%` or `> +20ms`, a fall `< -5%`; `%` is of the first run's number, and for the error
 * rate `pp` are percentage points.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (text: string): Result.Result<Rule, Expression.ExpressionError> =>
  Result.flatMap(Expression.parse(text), (expression) => {
    const { amount, at, name, operator, sign, unit } = expression
    const fail = (position: number, expected: string): Result.Result<never, Expression.ExpressionError> =>
      Result.fail(new Expression.ExpressionError({ text: expression.text, position, expected }))
    const [key = "", ...rest] = name.replace(/^results_/, "").split(".")
    const metric = Metrics.byKey(key)
    if (metric === undefined) return fail(at.name, `one of ${Metrics.keys.join(", ")}`)
    const given = rest.filter((part) => part !== "quantiles").join(".")
    const statistic = statisticOf(metric, given)
    if (statistic === null) {
      return fail(
        at.name,
        metric.kind === "ratio"
          ? `${key} alone: it has no parts`
          : `one of its numbers: ${key}.mean, ${key}.p50, ${key}.p99, any ${key}.pN`
      )
    }
    const rises = operator.startsWith(">")
    if (sign !== (rises ? "+" : "-")) {
      return fail(
        at.amount,
        rises ? "a difference with its sign: a rise is > +5%" : "a difference with its sign: a fall is < -5%"
      )
    }
    if (metric.unit === "s" && unit === "" && amount !== 0) return fail(at.amount, Expression.unitNeeded(expression))
    const scale = unit === "%" ? 0.01 : scaleOf(metric.unit, unit)
    if (scale === null) return fail(at.unit, unitsOf(metric.unit))
    return Result.succeed({
      text: expression.text.trim(),
      metric: key,
      statistic,
      operator,
      kind: unit === "%" ? "relative" : "absolute",
      limit: (rises ? 1 : -1) * amount * scale
    })
  })

/**
 * The statistics that rules ask for, by metric: for `Comparison.Options`.
 *
 * @category judging
 * @since 0.2.0
 */
export const statisticsOf = (rules: ReadonlyArray<Rule>): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  for (const { metric, statistic } of rules) found.set(metric, (found.get(metric) ?? new Set()).add(statistic))
  return found
}

/**
 * Judges a comparison by a rule.
 *
 * @category judging
 * @since 0.2.0
 */
export const judge = (
  rule: Rule,
  comparison: ReadonlyArray<Comparison.MetricComparison>,
  when: FailWhen
): Judgement => {
  const found = comparison
    .find(({ metric }) => metric === rule.metric)
    ?.statistics.find(({ statistic }) => statistic === rule.statistic)
  const difference = found === undefined ? null : differenceOf(rule, found)
  if (found === undefined || difference === null) {
    return { rule, difference: null, outcome: "unknown", unknown: "missing" }
  }
  const outcome = outcomeOf(rule, found, difference, when)
  return { rule, difference, ...(typeof outcome === "string" ? { outcome, unknown: null } : outcome) }
}

type Unknown = Pick<Judgement, "unknown"> & { readonly outcome: "unknown" }

const outcomeOf = (
  rule: Rule,
  found: Comparison.StatisticComparison,
  difference: Comparison.Difference,
  when: FailWhen
): "passed" | "failed" | Unknown => {
  if (!found.enough) return { outcome: "unknown", unknown: "few" }
  if (when !== "estimate" && found.shown === "unknown") return { outcome: "unknown", unknown: "interval" }
  const beyond = (value: number): boolean => Expression.holds(value, rule.operator, rule.limit)
  if (!beyond(difference.value)) return "passed"
  if (when === "estimate") return "failed"
  const changed = found.shown === (rule.operator.startsWith(">") ? "higher" : "lower")
  if (when === "significant" || !changed) return changed ? "failed" : "passed"
  const { interval } = difference
  // Compared with 0, every change is infinite, and so is the interval
  if (interval === null) {
    return Number.isFinite(difference.value) ? { outcome: "unknown", unknown: "interval" } : "failed"
  }
  return beyond(rule.operator.startsWith(">") ? interval.low : interval.high) ? "failed" : "passed"
}

const differenceOf = (rule: Rule, found: Comparison.StatisticComparison): Comparison.Difference | null => {
  if (rule.kind === "absolute" || found.absolute === null) return found.absolute
  if (found.relative !== null) return found.relative
  const { value } = found.absolute
  return { value: value === 0 ? 0 : Math.sign(value) * Infinity, interval: null }
}

const statisticOf = (metric: Metrics.Metric, given: string): Comparison.StatisticName | null => {
  if (metric.kind === "ratio") return given === "" || given === "value" ? "value" : null
  return given === "mean" || Comparison.quantileOf(given) !== null ? given : null
}

const scaleOf = (unit: Metrics.Unit, given: string): number | null => {
  if (given === "") return 1
  if (unit === "s") return Expression.secondsOf(given)
  return unit === "share" && given === "pp" ? 0.01 : null
}

const unitsOf = (unit: Metrics.Unit): string => {
  switch (unit) {
    case "s":
      return "% for a relative difference; s, ms, us or min for an absolute one"
    case "share":
      return "% for a relative difference, pp for percentage points, or no unit for a share of one"
    default:
      return `% for a relative difference, or no unit for ${unit}`
  }
}
