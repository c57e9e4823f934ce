import type * as Summary from "../../domain/Summary.ts"
import * as Histogram from "../Histogram.ts"
import * as Quantile from "../Quantile.ts"
import * as Statistics from "../Statistics.ts"

/** The quantiles of LLMPerf from any function that knows them. */
export const quantiles = (at: (q: number) => number | null): Summary.Quantiles => ({
  p25: at(0.25),
  p50: at(0.5),
  p75: at(0.75),
  p90: at(0.9),
  p95: at(0.95),
  p99: at(0.99)
})

/** LLMPerf's description of values sorted in ascending order. */
export const fromSorted = (sorted: Float64Array): Summary.Distribution => ({
  quantiles: quantiles((q) => Quantile.quantile(sorted, q)),
  mean: Statistics.mean(sorted),
  min: sorted[0] ?? null,
  max: sorted[sorted.length - 1] ?? null,
  stddev: Statistics.standardDeviation(sorted)
})

/** Our description of values sorted in ascending order. */
export const detailedFromSorted = (sorted: Float64Array): Summary.DetailedDistribution => {
  const plain = fromSorted(sorted)
  return {
    ...plain,
    quantiles: { ...plain.quantiles, p999: Quantile.quantile(sorted, 0.999) },
    count: sorted.length
  }
}

/** Our description of the values in a histogram. */
export const detailedFromHistogram = (histogram: Histogram.Histogram): Summary.DetailedDistribution => ({
  quantiles: {
    ...quantiles((q) => Histogram.quantile(histogram, q)),
    p999: Histogram.quantile(histogram, 0.999)
  },
  mean: Histogram.mean(histogram),
  min: Histogram.min(histogram),
  max: Histogram.max(histogram),
  stddev: Histogram.standardDeviation(histogram),
  count: Histogram.count(histogram)
})
