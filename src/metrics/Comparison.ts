/**
 * Two runs compared: every number of each side by side, their difference, and what can be said of it with 95 % confidence.
 *
 * `docs/compare.md` says how, and how well it works.
 *
 * @since 0.2.0
 */
import * as Bootstrap from "./Bootstrap.ts"
import * as Metrics from "./internal/compareMetrics.ts"
import * as Ranks from "./internal/compareRanks.ts"
import * as Quantile from "./Quantile.ts"
import type { DistributionKey, RequestSeries } from "./RequestSeries.ts"
import * as Statistics from "./Statistics.ts"

/**
 * The names of what can be compared.
 *
 * @category models
 * @since 0.2.0
 */
export const metricKeys: ReadonlyArray<string> = Metrics.keys

/**
 * Of a distribution `mean` and quantiles such as `p50`, `p99`, `p99.9`; of a total only `value`.
 *
 * @category models
 * @since 0.2.0
 */
export type StatisticName = string

/**
 * How much the second run differs from the first, and the interval that holds the true difference, `null` when the sample
 * gives none.
 *
 * @category models
 * @since 0.2.0
 */
export interface Difference {
  readonly value: number
  readonly interval: Bootstrap.Interval | null
}

/**
 * One number of both runs.
 *
 * - `absolute`: the second less the first, in the unit of the metric
 * - `relative`: the second divided by the first, less 1: 0.12 is 12 % more. `null` where the first is 0
 * - `shown`: what the sample shows. `none`: no difference that it can show, as the interval holds 0; `unknown`: there is no
 *   interval
 * - `enough`: whether both samples are large enough for this number: they have `needed` values, which is `neededFor` it or, where
 *   neighbours are so much alike that there are too few blocks, what it takes for those (see `Bootstrap.planBlocks`)
 *
 * @category models
 * @since 0.2.0
 */
export interface StatisticComparison {
  readonly statistic: StatisticName
  readonly baseline: number | null
  readonly candidate: number | null
  readonly absolute: Difference | null
  readonly relative: Difference | null
  readonly shown: "higher" | "lower" | "none" | "unknown"
  readonly enough: boolean
  readonly needed: number
}

/**
 * Cliff's delta (1993): how much more often a value of the second run is above one of the first than below it, of all
 * pairs; 1 when all are above, 0 when neither is. Its sizes are those of Romano and others (2006): negligible below 0.147,
 * small below 0.33, medium below 0.474.
 *
 * @category models
 * @since 0.2.0
 */
export interface Effect {
  readonly delta: number
  readonly size: "negligible" | "small" | "medium" | "large"
}

/**
 * Everything about one metric. `count` is how many values there are, `blockLength` how many neighbours were drawn at once;
 * `effect` is `null` for what is not a distribution.
 *
 * @category models
 * @since 0.2.0
 */
export interface MetricComparison {
  readonly metric: string
  readonly label: string
  readonly unit: Metrics.Unit
  readonly better: "lower" | "higher" | null
  readonly count: { readonly baseline: number; readonly candidate: number }
  readonly blockLength: { readonly baseline: number; readonly candidate: number }
  readonly effect: Effect | null
  readonly statistics: ReadonlyArray<StatisticComparison>
}

/**
 * - `resamples`: how many times the runs are drawn anew; `defaultResamples` of their sizes when it is left out
 * - `level`: the confidence, 0.95 when it is left out
 * - `statistics`: what is compared of a distribution, besides mean, p50, p90 and p99
 * - `leftOut`: metrics that must not be compared
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly seed: number
  readonly resamples?: number | undefined
  readonly level?: number | undefined
  readonly statistics?: ReadonlyMap<string, ReadonlySet<StatisticName>> | undefined
  readonly leftOut?: ReadonlySet<string> | undefined
}

const always: ReadonlyArray<StatisticName> = ["mean", "p50", "p90", "p99"]
const LEVEL = 0.95
/** Below so many values nothing is said of how sure a number is. */
const FEWEST_FOR_INTERVAL = 10
const FEWEST_FOR_MEAN = 30
const FEWEST_BEYOND_QUANTILE = 10
const MOST_RESAMPLES = 2_000
const FEWEST_RESAMPLES = 500
const DRAWS = 40_000_000

/**
 * How often runs of that many requests are drawn anew: 2,000 times up to 20,000 requests, then less the more there are,
 * but 500 times at least.
 *
 * @category constructors
 * @since 0.2.0
 */
export const defaultResamples = (requests: number): number =>
  Math.max(FEWEST_RESAMPLES, Math.min(MOST_RESAMPLES, Math.round(DRAWS / Math.max(1, requests))))

/**
 * The share of a quantile by its name: 0.99 for `p99`, 0.999 for `p99.9` and for `p999`; `null` for what is no quantile.
 *
 * @category quantiles
 * @since 0.2.0
 */
export const quantileOf = (statistic: StatisticName): number | null => {
  if (statistic === "p999") return 0.999
  const percent = /^p(\d{1,2}(?:\.\d{1,6})?)$/.exec(statistic)?.[1]
  const q = Number((Number(percent ?? 0) / 100).toFixed(8))
  return q > 0 ? q : null
}

/**
 * How many values a number wants: at least ten beyond a quantile, so 20 for p50, 100 for p90, 1,000 for p99; 30 for a mean
 * or a total.
 *
 * @category quantiles
 * @since 0.2.0
 */
export const neededFor = (statistic: StatisticName): number => {
  const q = quantileOf(statistic)
  // Rounded first: 10 / (1 - 0.99) is a little more than 1000
  return q === null ? FEWEST_FOR_MEAN : Math.ceil(Number((FEWEST_BEYOND_QUANTILE / Math.min(q, 1 - q)).toFixed(6)))
}

/**
 * Compares every metric that both runs have. The same seed gives the same numbers.
 *
 * @category comparing
 * @since 0.2.0
 */
export const compare = (
  baseline: RequestSeries,
  candidate: RequestSeries,
  options: Options
): ReadonlyArray<MetricComparison> => {
  const resamples = options.resamples ?? defaultResamples(Math.max(baseline.length, candidate.length))
  const settings = { resamples, seed: options.seed, level: options.level ?? LEVEL }
  return Metrics.metrics.flatMap((metric, index) => {
    if (options.leftOut?.has(metric.key) === true) return []
    const streams = { baseline: 2 * index, candidate: 2 * index + 1 }
    const sides =
      metric.kind === "ratio"
        ? ratios(metric, baseline, candidate, settings, streams)
        : distributions(metric.key, baseline, candidate, settings, streams, [
            ...new Set([...always, ...(options.statistics?.get(metric.key) ?? [])])
          ])
    if (sides === null) return []
    const { effect, names } = sides
    return [
      {
        metric: metric.key,
        label: metric.label,
        unit: metric.unit,
        better: metric.better,
        count: { baseline: sides.baseline.count, candidate: sides.candidate.count },
        blockLength: { baseline: sides.baseline.plan.length, candidate: sides.candidate.plan.length },
        effect,
        statistics: names.map((name, at) => compared(name, at, sides.baseline, sides.candidate, settings.level))
      }
    ]
  })
}

interface Settings {
  readonly resamples: number
  readonly seed: number
  readonly level: number
}

interface Streams {
  readonly baseline: number
  readonly candidate: number
}

/** A number of one run after the other, with what its resamples gave. */
interface Side {
  readonly count: number
  readonly length: number
  readonly plan: Bootstrap.BlockPlan
  readonly points: ReadonlyArray<number | null>
  readonly estimates: ReadonlyArray<Float64Array>
}

const distributions = (
  key: DistributionKey,
  baseline: RequestSeries,
  candidate: RequestSeries,
  settings: Settings,
  streams: Streams,
  names: ReadonlyArray<StatisticName>
) => {
  const statistics = names.map((name): Bootstrap.Statistic => {
    const q = quantileOf(name)
    return q === null ? { _tag: "Mean" } : { _tag: "Quantile", q }
  })
  const side = (series: RequestSeries, stream: number) => {
    const values = series.distributions[key]
    const { sorted } = Ranks.rank(values)
    const plan = Bootstrap.planBlocks(values)
    const points = statistics.map((statistic) =>
      statistic._tag === "Mean" ? Statistics.mean(sorted) : Quantile.quantile(sorted, statistic.q)
    )
    const estimates =
      sorted.length < FEWEST_FOR_INTERVAL
        ? []
        : Bootstrap.resample(values, statistics, { ...settings, blockLength: plan.length, stream })
    return { count: sorted.length, length: values.length, plan, points, estimates, sorted }
  }
  const sides = { baseline: side(baseline, streams.baseline), candidate: side(candidate, streams.candidate) }
  if (sides.baseline.count === 0 && sides.candidate.count === 0) return null
  return { ...sides, names, effect: effect(sides.baseline.sorted, sides.candidate.sorted) }
}

const ratios = (
  metric: Metrics.RatioMetric,
  baseline: RequestSeries,
  candidate: RequestSeries,
  settings: Settings,
  streams: Streams
) => {
  const side = (series: RequestSeries, stream: number): Side => {
    const { closedLoop, elapsed, length, wallSeconds } = series
    const nothing = { length: 0, plan: { length: 1, needed: 0 }, points: [null], estimates: [] }
    if (length === 0 || (metric.per === "second" && (wallSeconds === null || wallSeconds <= 0))) {
      return { ...nothing, count: 0 }
    }
    const numerators = metric.numerators(series)
    if (numerators === null) return { ...nothing, count: length }
    const denominators = metric.per === "second" ? elapsed : new Float64Array(length).fill(1)
    const plan = Bootstrap.planRatioBlocks(numerators, denominators)
    const options = { ...settings, blockLength: plan.length, stream }
    const resampled = (): Float64Array =>
      metric.per === "second" && closedLoop !== null && wallSeconds !== null
        ? Bootstrap.resampleClosedLoop(numerators, { ...closedLoop, wallSeconds }, options)
        : Bootstrap.resampleRatio(numerators, denominators, options)
    return {
      count: length,
      length,
      plan,
      points: [Bootstrap.ratio(numerators, denominators)],
      estimates: length < FEWEST_FOR_INTERVAL ? [] : [resampled()]
    }
  }
  const sides = { baseline: side(baseline, streams.baseline), candidate: side(candidate, streams.candidate) }
  return sides.baseline.count === 0 || sides.candidate.count === 0 ? null : { ...sides, names: ["value"], effect: null }
}

const compared = (
  statistic: StatisticName,
  at: number,
  baseline: Side,
  candidate: Side,
  level: number
): StatisticComparison => {
  const from = baseline.points[at] ?? null
  const to = candidate.points[at] ?? null
  const forBlocks = [baseline, candidate].map(({ length, plan }) => (length < plan.needed ? plan.needed : 0))
  const needed = Math.max(neededFor(statistic), ...forBlocks)
  const enough = Math.min(baseline.count, candidate.count) >= needed
  const nothing = { statistic, baseline: from, candidate: to, absolute: null, relative: null, enough, needed }
  if (from === null || to === null) return { ...nothing, shown: "unknown" }
  const blocks = Math.min(...[baseline, candidate].map(({ length, plan }) => length / plan.length))
  const before = baseline.estimates[at]
  const after = candidate.estimates[at]
  const between = (of: (from: number, to: number) => number): Bootstrap.Interval | null =>
    before === undefined || after === undefined
      ? null
      : Bootstrap.interval(
          before.map((value, turn) => of(value, after[turn] ?? NaN)),
          { blocks, level }
        )
  const absolute: Difference = { value: to - from, interval: between((from, to) => to - from) }
  const relative: Difference | null =
    from === 0 ? null : { value: to / from - 1, interval: between((from, to) => to / from - 1) }
  return { ...nothing, absolute, relative, shown: shownBy(absolute.interval) }
}

const shownBy = (interval: Bootstrap.Interval | null): StatisticComparison["shown"] => {
  if (interval === null) return "unknown"
  if (interval.low > 0) return "higher"
  return interval.high < 0 ? "lower" : "none"
}

const effect = (baseline: Float64Array, candidate: Float64Array): Effect | null => {
  const delta = Ranks.dominance(baseline, candidate)
  if (delta === null) return null
  const size = Math.abs(delta)
  return { delta, size: size < 0.147 ? "negligible" : size < 0.33 ? "small" : size < 0.474 ? "medium" : "large" }
}
