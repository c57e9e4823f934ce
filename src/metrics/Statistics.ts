/**
 * Mean and standard deviation of a sample.
 *
 * @since 0.1.0
 */

/**
 * The arithmetic mean; `null` when there are no values. A second pass takes back what rounding did to the sum.
 *
 * @category statistics
 * @since 0.1.0
 */
export const mean = (values: Float64Array): number | null => {
  if (values.length === 0) return null
  let sum = 0
  for (const value of values) sum += value
  const first = sum / values.length
  let rest = 0
  for (const value of values) rest += value - first
  return first + rest / values.length
}

/**
 * The sample standard deviation (divisor n − 1); `null` below two values. Two passes with the correction of Chan, Golub
 * and LeVeque (1983), so that a large mean with a small spread keeps its digits.
 *
 * @category statistics
 * @since 0.1.0
 */
export const standardDeviation = (values: Float64Array): number | null => {
  const center = mean(values)
  if (center === null || values.length < 2) return null
  let sum = 0
  let squares = 0
  for (const value of values) {
    const difference = value - center
    sum += difference
    squares += difference * difference
  }
  return Math.sqrt(Math.max(0, squares - (sum * sum) / values.length) / (values.length - 1))
}
