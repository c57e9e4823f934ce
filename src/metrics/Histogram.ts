/**
 * A histogram of fixed size for any number of values: log-linear buckets as in HdrHistogram, mergeable, made for
 * durations in seconds.
 *
 * **Precision.** Every power of two between 2⁻²⁰ s (0.95 µs) and 2¹⁷ s (36 h) is cut into 512 equal buckets, and a value
 * is taken for the middle of its bucket. It is therefore off by at most 1/1024 of itself, and so is every quantile:
 * **at most 0.1 %**. Negative values have buckets of their own with the same precision. Values nearer to zero than
 * 0.95 µs are taken for zero. Values of 36 h and more are taken for 36 h. Count, mean, standard deviation, minimum and
 * maximum are not taken from the buckets and are exact up to rounding.
 *
 * **Cost.** `add` allocates nothing; a histogram takes 300 kB whatever it holds.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Quantile from "./Quantile.ts"

// A bucket is named by the exponent and the first nine bits of the mantissa of the value: bits 62 to 43 of an IEEE 754
// double, which grow with the value. A power of two is thus cut into 2^9 buckets of equal width.
const MANTISSA_BITS = 9
const DROPPED_BITS = 20 - MANTISSA_BITS
const MIN_EXPONENT = -20
const MAX_EXPONENT = 17
const FIRST_KEY = (1023 + MIN_EXPONENT) << MANTISSA_BITS
const SIDE = (MAX_EXPONENT - MIN_EXPONENT) << MANTISSA_BITS
const ZERO = SIDE
const BUCKETS = 2 * SIDE + 1

const COUNT = 0
const MIN = 1
const MAX = 2
const MEAN = 3
const SQUARES = 4

const double = new DataView(new ArrayBuffer(8))

/**
 * A histogram. Read it with the functions of this module; its arrays are for them alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Histogram {
  /** Number of values per bucket, from the most negative to the largest. */
  readonly buckets: Float64Array
  /** Count, minimum, maximum, mean, and the sum of squared differences from the mean. */
  readonly moments: Float64Array
}

/**
 * Bytes that are not an encoded histogram.
 *
 * @category errors
 * @since 0.1.0
 */
export class HistogramDecodeError extends Schema.TaggedError<HistogramDecodeError>(
  "llmperf/metrics/HistogramDecodeError"
)("HistogramDecodeError", { description: Schema.String }) {
  override get message(): string {
    return `Not an encoded histogram: ${this.description}`
  }
}

/**
 * An empty histogram.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Histogram => {
  const moments = new Float64Array(5)
  moments[MIN] = Number.POSITIVE_INFINITY
  moments[MAX] = Number.NEGATIVE_INFINITY
  return { buckets: new Float64Array(BUCKETS), moments }
}

/**
 * Adds one value. NaN and infinities are left out.
 *
 * @category adding
 * @since 0.1.0
 */
export const add = (self: Histogram, value: number): void => {
  if (!Number.isFinite(value)) return
  const bucket = bucketOf(value)
  self.buckets[bucket] = self.buckets[bucket]! + 1
  const moments = self.moments
  const count = moments[COUNT]! + 1
  moments[COUNT] = count
  if (value < moments[MIN]!) moments[MIN] = value
  if (value > moments[MAX]!) moments[MAX] = value
  // Welford (1962): the running mean and squares lose no digits to a large mean
  const difference = value - moments[MEAN]!
  const mean = moments[MEAN]! + difference / count
  moments[MEAN] = mean
  moments[SQUARES] = moments[SQUARES]! + difference * (value - mean)
}

/**
 * Adds every value of an array.
 *
 * @category adding
 * @since 0.1.0
 */
export const addAll = (self: Histogram, values: Float64Array): void => {
  for (let i = 0; i < values.length; i++) add(self, values[i]!)
}

/**
 * Adds to `self` everything that `that` holds, as if its values had been added one by one. `that` stays as it is.
 *
 * @category adding
 * @since 0.1.0
 */
export const merge = (self: Histogram, that: Histogram): void => {
  const left = self.moments
  const right = that.moments
  const added = right[COUNT]!
  if (added === 0) return
  const [first, last] = used(that)
  // Chan, Golub and LeVeque (1979); read before anything is written, because `that` may be `self`
  const before = left[COUNT]!
  const count = before + added
  const difference = right[MEAN]! - left[MEAN]!
  const squares = left[SQUARES]! + right[SQUARES]! + (difference * difference * before * added) / count
  left[MEAN] = left[MEAN]! + (difference * added) / count
  left[SQUARES] = squares
  left[COUNT] = count
  left[MIN] = Math.min(left[MIN]!, right[MIN]!)
  left[MAX] = Math.max(left[MAX]!, right[MAX]!)
  for (let i = first; i <= last; i++) self.buckets[i] = self.buckets[i]! + that.buckets[i]!
}

/**
 * How many values it holds.
 *
 * @category reading
 * @since 0.1.0
 */
export const count = (self: Histogram): number => self.moments[COUNT]!

/**
 * The mean; `null` when empty.
 *
 * @category reading
 * @since 0.1.0
 */
export const mean = (self: Histogram): number | null => (count(self) === 0 ? null : self.moments[MEAN]!)

/**
 * The smallest value; `null` when empty.
 *
 * @category reading
 * @since 0.1.0
 */
export const min = (self: Histogram): number | null => (count(self) === 0 ? null : self.moments[MIN]!)

/**
 * The largest value; `null` when empty.
 *
 * @category reading
 * @since 0.1.0
 */
export const max = (self: Histogram): number | null => (count(self) === 0 ? null : self.moments[MAX]!)

/**
 * The sample standard deviation (divisor n − 1); `null` below two values.
 *
 * @category reading
 * @since 0.1.0
 */
export const standardDeviation = (self: Histogram): number | null =>
  count(self) < 2 ? null : Math.sqrt(Math.max(0, self.moments[SQUARES]!) / (count(self) - 1))

/**
 * Its values by their rank, as they are now. The smallest and the largest are exact. Any other is the middle of the bucket that the
 * value of that rank is in, for order is kept: within 1/1,024 of it (see above for values beyond the buckets). Reading several
 * quantiles from it is quicker than `quantile`.
 *
 * @category reading
 * @since 0.2.0
 */
export const ranked = (self: Histogram): Quantile.Ranked => {
  const [lowest, highest] = used(self)
  // How many values are in a bucket and in those before it
  const upTo = new Float64Array(Math.max(0, highest - lowest + 1))
  let seen = 0
  for (let i = 0; i < upTo.length; i++) {
    seen += self.buckets[lowest + i]!
    upTo[i] = seen
  }
  const total = count(self)
  return {
    count: total,
    valueAt: (rank) => {
      if (rank <= 0) return self.moments[MIN]!
      if (rank >= total - 1) return self.moments[MAX]!
      let first = 0
      let last = upTo.length - 1
      while (first < last) {
        const middle = (first + last) >>> 1
        if (upTo[middle]! > rank) last = middle
        else first = middle + 1
      }
      return valueOf(self, lowest + first)
    }
  }
}

/**
 * The `q` quantile (0 ≤ q ≤ 1), interpolated as in `Quantile.quantile`, within 0.1 % of what the values themselves would
 * give; `null` when empty.
 *
 * @category reading
 * @since 0.1.0
 */
export const quantile = (self: Histogram, q: number): number | null => Quantile.quantileOfRanked(ranked(self), 0, q)

/**
 * The histogram as bytes, a few per bucket in use: to be sent to another thread or machine and merged there.
 *
 * Format, version 1: the byte 1; minimum, maximum, mean and sum of squared differences as little-endian doubles; then
 * for every bucket in use, in ascending order, the distance from the one before it and the number of values, both as
 * base-128 varints. An empty histogram is the byte 1 alone.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (self: Histogram): Uint8Array => {
  if (count(self) === 0) return Uint8Array.of(VERSION)
  const bytes: Array<number> = []
  let previous = 0
  const [first, last] = used(self)
  for (let bucket = first; bucket <= last; bucket++) {
    const values = self.buckets[bucket]!
    if (values === 0) continue
    pushVarint(bytes, bucket - previous)
    pushVarint(bytes, values)
    previous = bucket
  }
  const encoded = new Uint8Array(HEADER_BYTES + bytes.length)
  const view = new DataView(encoded.buffer)
  encoded[0] = VERSION
  for (let i = MIN; i <= SQUARES; i++) view.setFloat64(1 + (i - MIN) * 8, self.moments[i]!, true)
  encoded.set(bytes, HEADER_BYTES)
  return encoded
}

/**
 * The histogram that `encode` made these bytes of.
 *
 * @category encoding
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Result.Result<Histogram, HistogramDecodeError> => {
  const fail = (description: string) => Result.fail(new HistogramDecodeError({ description }))
  if (bytes[0] !== VERSION) return fail(`version ${bytes[0] ?? "missing"}, expected ${VERSION}`)
  const histogram = make()
  if (bytes.length === 1) return Result.succeed(histogram)
  if (bytes.length < HEADER_BYTES) return fail("too short")
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = MIN; i <= SQUARES; i++) histogram.moments[i] = view.getFloat64(1 + (i - MIN) * 8, true)
  const reader = { offset: HEADER_BYTES }
  const [first, last] = used(histogram)
  let bucket = 0
  let total = 0
  while (reader.offset < bytes.length) {
    const distance = readVarint(bytes, reader)
    const values = readVarint(bytes, reader)
    if (distance === undefined || values === undefined) return fail("a number is cut off or too large")
    bucket += distance
    // The smallest value lies in the first bucket that is used, and the largest in the last
    if (bucket < first || bucket > last) return fail("a bucket is out of range")
    histogram.buckets[bucket] = histogram.buckets[bucket]! + values
    total += values
  }
  histogram.moments[COUNT] = total
  const moments = histogram.moments
  const [min, max, mean] = [moments[MIN]!, moments[MAX]!, moments[MEAN]!]
  const rounding = 1e-9 * Math.max(Math.abs(min), Math.abs(max))
  const isOrdered = min <= max && mean >= min - rounding && mean <= max + rounding && moments[SQUARES]! >= 0
  if (total === 0 || !moments.every(Number.isFinite) || !isOrdered) return fail("inconsistent")
  return Result.succeed(histogram)
}

const VERSION = 1
const HEADER_BYTES = 1 + 4 * 8

const bucketOf = (value: number): number => {
  double.setFloat64(0, value, true)
  const high = double.getInt32(4, true)
  const offset = ((high & 0x7fffffff) >>> DROPPED_BITS) - FIRST_KEY
  if (offset < 0) return ZERO
  const distance = offset < SIDE ? offset + 1 : SIDE
  return value > 0 ? ZERO + distance : ZERO - distance
}

/** The buckets of the smallest and the largest value. */
const used = ({ moments }: Histogram): readonly [first: number, last: number] => [
  bucketOf(moments[MIN]!),
  bucketOf(moments[MAX]!)
]

const edgeOf = (offset: number): number => {
  double.setInt32(0, 0, true)
  double.setInt32(4, (offset + FIRST_KEY) << DROPPED_BITS, true)
  return double.getFloat64(0, true)
}

const valueOf = (self: Histogram, bucket: number): number => {
  const offset = Math.abs(bucket - ZERO) - 1
  const middle = offset < 0 ? 0 : (edgeOf(offset) + edgeOf(offset + 1)) / 2
  const value = bucket < ZERO ? -middle : middle
  return Math.min(Math.max(value, self.moments[MIN]!), self.moments[MAX]!)
}

const pushVarint = (bytes: Array<number>, value: number): void => {
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}

const readVarint = (bytes: Uint8Array, reader: { offset: number }): number | undefined => {
  let value = 0
  let scale = 1
  for (;;) {
    const byte = bytes[reader.offset]
    if (byte === undefined) return undefined
    reader.offset++
    value += (byte % 128) * scale
    if (value > Number.MAX_SAFE_INTEGER) return undefined
    if (byte < 128) return value
    scale *= 128
  }
}
