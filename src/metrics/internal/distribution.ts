import type * as Summary from "../../domain/Summary.ts"
import * as Histogram from "../Histogram.ts"
import * as Quantile from "../Quantile.ts"
import * as Statistics from "../Statistics.ts"

/** Values known by their rank, with what is known of all of them. */
export interface Ranked extends Quantile.Ranked {
  readonly mean: number | null
  readonly min: number | null
  readonly max: number | null
  readonly stddev: number | null
}

/** Values sorted in ascending order. */
export const ofSorted = (sorted: Float64Array): Ranked => ({
  ...Quantile.ranked(sorted),
  mean: Statistics.mean(sorted),
  min: sorted[0] ?? null,
  max: sorted[sorted.length - 1] ?? null,
  stddev: Statistics.standardDeviation(sorted)
})

/** The values of a histogram, each of which was multiplied by `scale`. */
export const ofHistogram = (
  histogram: Histogram.Histogram,
  { scale, whole }: { readonly scale: number; readonly whole: boolean }
): Ranked => {
  const { count, valueAt } = Histogram.ranked(histogram)
  const unscaled = (value: number | null) => (value === null ? null : value / scale)
  return {
    count,
    valueAt: (rank) => {
      const value = valueAt(rank) / scale
      // The middle of a bucket narrower than 1 is not whole; the only whole number that it holds is at its lower edge
      return whole ? Math.floor(value) : value
    },
    mean: unscaled(Histogram.mean(histogram)),
    min: unscaled(Histogram.min(histogram)),
    max: unscaled(Histogram.max(histogram)),
    stddev: unscaled(Histogram.standardDeviation(histogram))
  }
}

/** The quantiles of LLMPerf, with `infinite` more values of +∞. */
export const quantiles = (values: Quantile.Ranked, infinite = 0): Summary.Quantiles => {
  const at = (q: number) => Quantile.quantileOfRanked(values, infinite, q)
  return { p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9), p95: at(0.95), p99: at(0.99) }
}

/** LLMPerf's description. */
export const plain = (values: Ranked): Summary.Distribution => ({
  quantiles: quantiles(values),
  mean: values.mean,
  min: values.min,
  max: values.max,
  stddev: values.stddev
})

/** Our description. */
export const detailed = (values: Ranked): Summary.DetailedDistribution => ({
  ...plain(values),
  quantiles: { ...quantiles(values), p999: Quantile.quantileOfRanked(values, 0, 0.999) },
  count: values.count
})
