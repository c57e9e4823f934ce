/** What the statistical tests compare: laws, sample statistics and how far the two may be apart. */

/**
 * The chance of a check to fail for a sound generator, where its bound is not wider. There are some 400 of them, and the
 * bound of 1 % on the mean rate of Poisson arrivals is tighter (3.2 standard errors, 1.6 % for ten seeds): the seeds 1
 * to 10, taken because they are the first, pass all with a chance of about 95 %.
 */
export const ALPHA = 1e-4

/** Two-sided quantile of the normal distribution for `ALPHA`. */
export const Z = 3.8906

/** Above this the Kolmogorov-Smirnov distance of `n` values is significant (asymptotic law, Smirnov 1948). */
export const criticalDistance = (n: number): number => Math.sqrt(Math.log(2 / ALPHA) / (2 * n))

export const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const

const logGamma = (a: number): number => {
  let shift = 0
  let x = a
  for (; x < 12; x++) shift += Math.log(x)
  const square = 1 / (x * x)
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift
}

/** Cumulative distribution of the gamma law of scale 1: series, and a continued fraction far out (DLMF 8.11.4, 8.9.2). */
export const gammaCdf = (shape: number): ((x: number) => number) => {
  const norm = logGamma(shape)
  return (x) => {
    if (x <= 0) return 0
    const front = Math.exp(shape * Math.log(x) - x - norm)
    if (x < shape + 10) {
      let term = 1 / shape
      let sum = term
      for (let n = 1; term > sum * 1e-16; n++) {
        term *= x / (shape + n)
        sum += term
      }
      return front * sum
    }
    let fraction = 0
    for (let n = 60; n >= 1; n--) fraction = (n * (n - shape)) / (x + 2 * n + 1 - shape - fraction)
    return 1 - front / (x + 1 - shape - fraction)
  }
}

export const normalCdf = (x: number): number => {
  const half = gammaCdf(0.5)((x * x) / 2) / 2
  return x < 0 ? 0.5 - half : 0.5 + half
}

export const mean = (values: Float64Array): number => {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** With divisor n − 1. */
export const variance = (values: Float64Array): number => {
  const center = mean(values)
  let sum = 0
  for (const value of values) sum += (value - center) ** 2
  return sum / (values.length - 1)
}

export const coefficientOfVariation = (values: Float64Array): number => Math.sqrt(variance(values)) / mean(values)

/** Correlation of each value with the next. */
export const autocorrelation = (values: Float64Array): number => {
  const center = mean(values)
  let sum = 0
  for (let i = 1; i < values.length; i++) sum += ((values[i] ?? NaN) - center) * ((values[i - 1] ?? NaN) - center)
  return sum / (variance(values) * (values.length - 1))
}

/** Largest distance between the empirical distribution and the law (Kolmogorov 1933). */
export const distance = (values: Float64Array, law: (x: number) => number): number => {
  const sorted = values.toSorted()
  let largest = 0
  for (const [i, value] of sorted.entries()) {
    const expected = law(value)
    largest = Math.max(largest, (i + 1) / sorted.length - expected, expected - i / sorted.length)
  }
  return largest
}

/** From one time to the next. */
export const gapsOf = (times: Float64Array): Float64Array =>
  times.subarray(1).map((time, i) => time - (times[i] ?? NaN))

/** Variance over mean of the numbers of times in each second, the last, broken one left out. */
export const dispersion = (times: Float64Array): number => {
  const seconds = Math.floor(times.at(-1) ?? NaN)
  const counts = new Float64Array(seconds)
  for (const time of times) {
    const second = Math.floor(time)
    if (second < seconds) counts[second] = (counts[second] ?? NaN) + 1
  }
  return variance(counts) / mean(counts)
}
