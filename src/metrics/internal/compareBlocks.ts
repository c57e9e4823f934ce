import type { Words } from "./compareRandom.ts"

/** How many autocovariances in a row have to be small before those beyond are taken for 0, at least. */
const FEWEST_SMALL = 5

/** Covariances of the values with themselves, 0 to `lags` places later, with divisor n. */
const autocovariances = (values: Float64Array, lags: number): Float64Array => {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  const centred = values.map((value) => value - mean)
  const found = new Float64Array(lags + 1)
  for (let lag = 0; lag <= lags; lag++) {
    let sum = 0
    for (let i = lag; i < n; i++) sum += (centred[i] ?? 0) * (centred[i - lag] ?? 0)
    found[lag] = sum / n
  }
  return found
}

/** The last lag with a correlation worth the name: after it, `run` in a row are within the bounds of chance. */
const lastCorrelated = (covariances: Float64Array, run: number, n: number): number => {
  const bound = 2 * Math.sqrt(Math.log10(n) / n) * (covariances[0] ?? 0)
  const within = (lag: number): boolean => Math.abs(covariances[lag] ?? 0) < bound
  let small = 0
  for (let lag = 1; lag < covariances.length; lag++) {
    small = within(lag) ? small + 1 : 0
    if (small === run) return lag - run
  }
  for (let lag = covariances.length - 1; lag > 0; lag--) if (!within(lag)) return lag
  return 0
}

/**
 * The length of block with which the circular block bootstrap estimates the variance of a mean best: Politis and White,
 * "Automatic block-length selection for the dependent bootstrap" (2004), with the correction of Patton, Politis and White
 * (2009). Not rounded; 1 where there is nothing to go by.
 */
export const politisWhite = (values: Float64Array): number => {
  const n = values.length
  if (n < 4) return 1
  const run = Math.max(FEWEST_SMALL, Math.ceil(Math.log10(n)))
  const covariances = autocovariances(values, Math.min(n - 1, Math.ceil(Math.sqrt(n)) + run))
  const variance = covariances[0] ?? 0
  if (!(variance > 0)) return 1
  const window = Math.min(covariances.length - 1, 2 * Math.max(1, lastCorrelated(covariances, run, n)))
  let weighted = 0
  let longRun = variance
  for (let lag = 1; lag <= window; lag++) {
    const share = lag / window
    const flatTop = Math.min(1, 2 * (1 - share))
    const covariance = 2 * flatTop * (covariances[lag] ?? 0)
    weighted += lag * covariance
    longRun += covariance
  }
  if (longRun === 0) return 1
  const best = Math.cbrt((2 * weighted * weighted * n) / ((4 / 3) * longRun * longRun))
  return Math.max(1, Math.min(best, Math.ceil(Math.min(3 * Math.sqrt(n), n / 3))))
}

/** Where a block begins: any of `n` places. */
export const place = (n: number, words: Words): number => Math.floor((words() / 2 ** 32) * n)

/** Numbers with their beginning once more after their end, so that a block of that length may begin at any of them. */
export const closed = (values: Float64Array | Int32Array, blockLength: number): Float64Array => {
  const around = new Float64Array(values.length + blockLength - 1)
  around.set(values)
  around.set(values.subarray(0, blockLength - 1), values.length)
  return around
}

/** The same of whole numbers. */
export const closedWhole = (values: Int32Array, blockLength: number): Int32Array =>
  Int32Array.from(closed(values, blockLength))
