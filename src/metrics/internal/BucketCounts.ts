import type * as Distribution from "./distribution.ts"

/** What a bucket counts is known, where in it is not: no value is kept, and any number of them takes the same memory. */
export class BucketCounts {
  readonly bounds: ReadonlyArray<number>
  /** How many values are at or below each bound and above the one before it; the last are above all. */
  readonly counts: Float64Array
  sum = 0
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY

  constructor(bounds: ReadonlyArray<number>) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  /** Adds what is known; `null` is not a value. */
  add(value: number | null): void {
    if (value === null || !Number.isFinite(value)) return
    const bucket = firstFrom(0, this.bounds.length, (index) => value <= this.bounds[index]!)
    this.counts[bucket] = this.counts[bucket]! + 1
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }

  /** Adds many values at once. Takes some hundred looks at their ranks, however many they are. */
  addRanked({ count, max, mean, min, valueAt }: Distribution.Ranked): void {
    if (count === 0) return
    let below = 0
    for (const [bucket, bound] of this.bounds.entries()) {
      const upTo = firstFrom(below, count, (rank) => valueAt(rank) > bound)
      this.counts[bucket] = this.counts[bucket]! + upTo - below
      below = upTo
    }
    this.counts[this.bounds.length] = this.counts[this.bounds.length]! + count - below
    this.sum += (mean ?? 0) * count
    this.min = Math.min(this.min, min ?? Number.POSITIVE_INFINITY)
    this.max = Math.max(this.max, max ?? Number.NEGATIVE_INFINITY)
  }
}

/** The first number from `from` that is so, `end` when none before it is; once one is, all after it are. */
const firstFrom = (from: number, end: number, isSo: (index: number) => boolean): number => {
  let first = from
  let last = end
  while (first < last) {
    const middle = (first + last) >>> 1
    if (isSo(middle)) last = middle
    else first = middle + 1
  }
  return first
}
