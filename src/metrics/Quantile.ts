/**
 * Quantiles by linear interpolation between order statistics: type 7 of Hyndman and Fan (1996), the default of numpy,
 * pandas, R and of LLMPerf.
 *
 * @since 0.1.0
 */

/**
 * The `q` quantile (0 ≤ q ≤ 1) of values sorted in ascending order: with n values and h = (n − 1) q, the value at h,
 * interpolated between its neighbours. `null` when there are no values.
 *
 * @category quantiles
 * @since 0.1.0
 */
export const quantile = (sorted: ArrayLike<number>, q: number): number | null => quantileWithInfinite(sorted, 0, q)

/**
 * The same over `sorted` and `infinite` more values of +∞: what a latency is when a request that failed counts as one
 * that never ended. `null` when there are no values or when the quantile is infinite.
 *
 * @category quantiles
 * @since 0.1.0
 */
export const quantileWithInfinite = (sorted: ArrayLike<number>, infinite: number, q: number): number | null =>
  quantileOfRanked(ranked(sorted), infinite, q)

/**
 * Values that are known by their rank: `valueAt(0)` is the smallest, `valueAt(count - 1)` the largest.
 *
 * @category models
 * @since 0.2.0
 */
export interface Ranked {
  readonly count: number
  readonly valueAt: (rank: number) => number
}

/**
 * Values sorted in ascending order, as such.
 *
 * @category conversions
 * @since 0.2.0
 */
export const ranked = (sorted: ArrayLike<number>): Ranked => ({
  count: sorted.length,
  valueAt: (rank) => sorted[rank] ?? Number.NaN
})

/**
 * `quantileWithInfinite` over values that are known by their rank.
 *
 * @category quantiles
 * @since 0.2.0
 */
export const quantileOfRanked = (values: Ranked, infinite: number, q: number): number | null => {
  const count = values.count + infinite
  if (count === 0) return null
  const h = (count - 1) * q
  const below = Math.floor(h)
  const fraction = h - below
  if (below >= values.count) return null
  const low = values.valueAt(below)
  if (fraction === 0) return low
  return below + 1 < values.count ? interpolate(low, values.valueAt(below + 1), fraction) : null
}

/**
 * The value at `fraction` of the way from `low` to `high`. It counts from the nearer end, as numpy does, so that it never
 * leaves the interval by rounding and never falls when `fraction` grows.
 *
 * @category quantiles
 * @since 0.1.0
 */
export const interpolate = (low: number, high: number, fraction: number): number =>
  fraction < 0.5 ? low + (high - low) * fraction : high - (high - low) * (1 - fraction)
