/**
 * How far a number that describes a run might be off, because the run is only a sample: bootstrap by blocks.
 *
 * The requests of a run are not independent: a full queue slows all that are sent meanwhile. Drawing single requests anew
 * would take them for independent and give intervals that are too short. So whole blocks of neighbours, in the order in
 * which they were sent, are drawn with replacement until there are as many as in the run (circular block bootstrap,
 * Politis and Romano, 1992), and the number is computed of that; many times. `docs/compare.md` says how well it works.
 *
 * @since 0.2.0
 */
import * as Quantile from "./Quantile.ts"
import * as Statistics from "./Statistics.ts"
import * as Blocks from "./internal/compareBlocks.ts"
import { makeLoop } from "./internal/compareLoop.ts"
import * as Normal from "./internal/compareNormal.ts"
import * as Ranks from "./internal/compareRanks.ts"
import * as CompareRandom from "./internal/compareRandom.ts"

/**
 * What is computed of the values: their mean, or a quantile (type 7, 0 ≤ q ≤ 1).
 *
 * @category models
 * @since 0.2.0
 */
export type Statistic = { readonly _tag: "Mean" } | { readonly _tag: "Quantile"; readonly q: number }

/**
 * - `blockLength`: how many neighbours are drawn at once
 * - `resamples`: how many times
 * - `seed`, `stream`: decide the draws; two samples need different streams
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly blockLength: number
  readonly resamples: number
  readonly seed: number
  readonly stream: number
}

/**
 * An interval that holds the true value with the confidence asked for.
 *
 * @category models
 * @since 0.2.0
 */
export interface Interval {
  readonly low: number
  readonly high: number
}

/** The share of the sample that a block may be at most: so there are four at least. */
const FEWEST_BLOCKS = 4
/** The length that is best for the variance makes intervals too short when neighbours are much alike. */
const LENGTHENED = 3

/**
 * How values are cut into blocks.
 *
 * - `length`: of a block
 * - `needed`: how many values it takes for enough blocks of the best length. With fewer, blocks are shorter than they should be,
 *   and intervals too
 *
 * @category blocks
 * @since 0.2.0
 */
export interface BlockPlan {
  readonly length: number
  readonly needed: number
}

/**
 * Blocks for values in the order in which they came, NaN where there is none: three times as long as those of Politis and White
 * (2004, corrected 2009), found on the ranks of the values so that a few huge ones do not decide; between 1 and a quarter of
 * the values.
 *
 * @category blocks
 * @since 0.2.0
 */
export const planBlocks = (values: Float64Array): BlockPlan => {
  const ranks = Ranks.midranks(Ranks.rank(values))
  const best = Math.ceil(LENGTHENED * Blocks.politisWhite(ranks))
  return {
    length: Math.max(1, Math.min(best, Math.floor(values.length / FEWEST_BLOCKS))),
    needed: FEWEST_BLOCKS * best
  }
}

/**
 * The statistics of every resample, in the order in which they were asked for. Values that are NaN are drawn as the others
 * are, and count for nothing; NaN comes out where a resample had no others. A resample costs two passes over the values,
 * without sorting.
 *
 * @category resampling
 * @since 0.2.0
 */
export const resample = (
  values: Float64Array,
  statistics: ReadonlyArray<Statistic>,
  options: Options
): ReadonlyArray<Float64Array> => {
  const { blockLength, resamples } = options
  const words = CompareRandom.fromSeed(options.seed, options.stream)
  const { ranks, sorted } = Ranks.rank(values)
  const found = statistics.map(() => new Float64Array(resamples))
  const means = found.filter((_, index) => statistics[index]?._tag === "Mean")
  const quantiles = statistics
    .flatMap((statistic, index) =>
      statistic._tag === "Quantile" ? [{ q: statistic.q, into: found[index] ?? new Float64Array() }] : []
    )
    .toSorted((a, b) => a.q - b.q)
  const n = sorted.length
  // One more, for what is drawn and has no value
  const counts = new Int32Array(n + 1)
  const around = Blocks.closedWhole(
    ranks.map((rank) => (rank < 0 ? n : rank)),
    blockLength
  )
  for (let turn = 0; turn < resamples; turn++) {
    counts.fill(0)
    for (let taken = 0; taken < values.length; taken += blockLength) {
      const start = Blocks.place(values.length, words)
      const end = start + Math.min(blockLength, values.length - taken)
      for (let at = start; at < end; at++) {
        const rank = around[at] ?? 0
        counts[rank] = (counts[rank] ?? 0) + 1
      }
    }
    const drawn = values.length - (counts[n] ?? 0)
    if (means.length > 0) {
      let sum = 0
      for (let rank = 0; rank < n; rank++) sum += (counts[rank] ?? 0) * (sorted[rank] ?? 0)
      for (const mean of means) mean[turn] = sum / drawn
    }
    let rank = -1
    let upTo = 0
    for (const { into, q } of quantiles) {
      const h = (drawn - 1) * q
      const whole = Math.floor(h)
      while (upTo <= whole && rank < n - 1) upTo += counts[++rank] ?? 0
      let next = rank
      if (upTo <= whole + 1) while (next < n - 1 && counts[++next] === 0);
      const low = sorted[rank] ?? NaN
      into[turn] = drawn === 0 ? NaN : h === whole ? low : Quantile.interpolate(low, sorted[next] ?? NaN, h - whole)
    }
  }
  return found
}

/**
 * The ratio of two sums, of every resample: errors per request, tokens per second. Both have a number for every request.
 *
 * @category resampling
 * @since 0.2.0
 */
export const resampleRatio = (numerators: Float64Array, denominators: Float64Array, options: Options): Float64Array => {
  const { blockLength, resamples } = options
  const words = CompareRandom.fromSeed(options.seed, options.stream)
  const found = new Float64Array(resamples)
  const above = Blocks.closed(numerators, blockLength)
  const under = Blocks.closed(denominators, blockLength)
  for (let turn = 0; turn < resamples; turn++) {
    let numerator = 0
    let denominator = 0
    for (let taken = 0; taken < numerators.length; taken += blockLength) {
      const start = Blocks.place(numerators.length, words)
      const end = start + Math.min(blockLength, numerators.length - taken)
      for (let at = start; at < end; at++) {
        numerator += above[at] ?? 0
        denominator += under[at] ?? 0
      }
    }
    found[turn] = numerator / denominator
  }
  return found
}

/**
 * The sum of the numerators per second of a closed loop, of every resample: the requests that were drawn are sent once more,
 * each when a place is free, so that the end of the run, when places stay empty, is different every time as it is in truth.
 * `wallSeconds` is the time that the run itself took.
 *
 * @category resampling
 * @since 0.2.0
 */
export const resampleClosedLoop = (
  numerators: Float64Array,
  run: { readonly inFlight: Float64Array; readonly places: number; readonly wallSeconds: number },
  options: Options
): Float64Array => {
  const { blockLength, resamples } = options
  const words = CompareRandom.fromSeed(options.seed, options.stream)
  const found = new Float64Array(resamples)
  const above = Blocks.closed(numerators, blockLength)
  const times = Blocks.closed(run.inFlight, blockLength)
  const loop = makeLoop(run.places)
  for (const seconds of run.inFlight) loop.send(seconds)
  // What the client added: more than one in a run that pauses between requests
  const stretched = run.wallSeconds / loop.seconds()
  for (let turn = 0; turn < resamples; turn++) {
    loop.restart()
    let numerator = 0
    for (let taken = 0; taken < numerators.length; taken += blockLength) {
      const start = Blocks.place(numerators.length, words)
      const end = start + Math.min(blockLength, numerators.length - taken)
      for (let at = start; at < end; at++) {
        numerator += above[at] ?? 0
        loop.send(times[at] ?? 0)
      }
    }
    found[turn] = numerator / (loop.seconds() * stretched)
  }
  return found
}

/**
 * The sum of the numerators divided by that of the denominators.
 *
 * @category ratios
 * @since 0.2.0
 */
export const ratio = (numerators: Float64Array, denominators: Float64Array): number =>
  sum(numerators) / sum(denominators)

const sum = (values: Float64Array): number => (Statistics.mean(values) ?? 0) * values.length

/**
 * Blocks for a ratio of sums: those of what each request adds to or takes from the ratio.
 *
 * @category blocks
 * @since 0.2.0
 */
export const planRatioBlocks = (numerators: Float64Array, denominators: Float64Array): BlockPlan => {
  const whole = ratio(numerators, denominators)
  return planBlocks(numerators.map((value, index) => value - whole * (denominators[index] ?? 0)))
}

/**
 * The interval between two quantiles of what the resamples gave. They lie further out than those of the confidence itself,
 * the more so the fewer blocks there were, as the quantiles of Student's t do against the normal ones (the expanded
 * percentile interval of Hesterberg, "What teachers should know about the bootstrap", 2015, with blocks for values).
 * `null` when the resamples are not all numbers.
 *
 * @category intervals
 * @since 0.2.0
 */
export const interval = (
  estimates: Float64Array,
  options: { readonly blocks: number; readonly level: number }
): Interval | null => {
  if (estimates.length === 0 || estimates.some((estimate) => !Number.isFinite(estimate))) return null
  const blocks = Math.max(FEWEST_BLOCKS, options.blocks)
  const reach = Normal.studentUpper((1 - options.level) / 2, blocks - 1) * Math.sqrt(blocks / (blocks - 1))
  const outside = Normal.normalBelow(-reach)
  const sorted = estimates.toSorted()
  const low = Quantile.quantile(sorted, outside)
  const high = Quantile.quantile(sorted, 1 - outside)
  return low === null || high === null ? null : { low, high }
}
