import * as Quantile from "../../metrics/Quantile.ts"
import { rounded } from "./reportText.ts"

/**
 * A distribution as it is drawn.
 *
 * - `from`, `width`, `shares`: a histogram of bins of equal width, each with its share of all values
 * - `beyond`: how many values lie above the last bin
 * - `cdf`: pairs of a share and the value that so many are not above
 */
export interface Distribution {
  readonly count: number
  readonly from: number
  readonly width: number
  readonly shares: ReadonlyArray<number>
  readonly beyond: number
  readonly cdf: ReadonlyArray<readonly [share: number, value: number | null]>
}

/** Quantiles of a distribution; `few` are those beyond which fewer than ten values lie. */
export interface Percentiles {
  readonly count: number
  readonly mean: number | null
  readonly min: number | null
  readonly max: number | null
  readonly at: ReadonlyArray<{ readonly q: number; readonly value: number | null; readonly few: boolean }>
}

export const percentileShares = [0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999] as const

const FEW = 10
const MOST_BINS = 80
const FEWEST_BINS = 15

/** A round number, 1, 2 or 5 times a power of ten, that is not less. */
export const roundUp = (value: number): number => {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const digit = value / power
  // 10 ** n is off by a rounding error for some n; the text has the number that was meant
  return Number(((digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power).toPrecision(1))
}

/** Shares at which a distribution function is drawn: evenly, and closer together in its tail. */
const steps = [
  ...Array.from({ length: 100 }, (_, i) => i / 100),
  ...Array.from({ length: 9 }, (_, i) => 0.991 + i / 1000),
  0.9995,
  0.9999,
  1
]

export const percentiles = (sorted: Float64Array): Percentiles => ({
  count: sorted.length,
  mean: sorted.length === 0 ? null : sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
  min: sorted[0] ?? null,
  max: sorted.at(-1) ?? null,
  at: percentileShares.map((q) => ({
    q,
    value: Quantile.quantile(sorted, q),
    few: q > 0.5 && sorted.length * (1 - q) < FEW
  }))
})

/** Distributions of the same number in several runs, over the same bins. The longest tail is cut off. */
export const distributions = (all: ReadonlyArray<Float64Array>): ReadonlyArray<Distribution> => {
  const known = all.filter(({ length }) => length > 0)
  const least = Math.min(...known.map((sorted) => sorted[0] ?? 0))
  const most = Math.max(...known.map((sorted) => sorted.at(-1) ?? 0))
  const usual = Math.max(...known.map((sorted) => Quantile.quantile(sorted, 0.995) ?? 0))
  const end = most > least + 1.5 * (usual - least) && usual > least ? usual : most
  const size = Math.max(...known.map(({ length }) => length))
  const bins = Math.min(MOST_BINS, Math.max(FEWEST_BINS, Math.ceil(3 * Math.cbrt(size))))
  // Rounded up by half on average, which leaves about that many bins
  const width = roundUp((end - least) / bins / 1.5)
  const first = Math.floor(least / width)
  const last = Math.floor(end / width)
  return all.map((sorted) => {
    const counts = Array.from({ length: known.length === 0 ? 0 : last - first + 1 }, () => 0)
    let beyond = 0
    for (const value of sorted) {
      const bin = Math.floor(value / width) - first
      if (bin < counts.length) counts[bin] = (counts[bin] ?? 0) + 1
      else beyond += 1
    }
    return {
      count: sorted.length,
      from: known.length === 0 ? 0 : Number((first * width).toPrecision(12)),
      width,
      shares: counts.map((count) => rounded(count / sorted.length) ?? 0),
      beyond,
      cdf: sorted.length === 0 ? [] : steps.map((q) => [q, rounded(Quantile.quantile(sorted, q) ?? NaN)] as const)
    }
  })
}
