/**
 * Delays of the client in a few buckets, for the slices of a run: below 1 ms, then four buckets for every doubling, up to 55 s and
 * more. Counts are written without the buckets after the last that is in use, and none at all when there are no values.
 */

const FIRST_SECONDS = 0.001
const BUCKETS_PER_DOUBLING = 4
const MOST = 64

export type Counts = ReadonlyArray<number>

export const none: Counts = []

/** Counts in the making. */
export class DelayCounts {
  readonly #counts: Array<number> = []

  add(seconds: number): void {
    const bucket =
      seconds < FIRST_SECONDS
        ? 0
        : Math.min(MOST, 1 + Math.floor(BUCKETS_PER_DOUBLING * Math.log2(seconds / FIRST_SECONDS)))
    while (this.#counts.length <= bucket) this.#counts.push(0)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
  }

  get counts(): Counts {
    return this.#counts
  }
}

export const join = (left: Counts, right: Counts): Counts => {
  if (left.length < right.length) return join(right, left)
  return right.length === 0 ? left : left.map((count, bucket) => count + (right[bucket] ?? 0))
}

/** The quantile: where its bucket begins, which is less than it by a sixth at most; 0 below 1 ms, `null` of nothing. */
export const quantile = (counts: Counts, q: number): number | null => {
  const count = counts.reduce((sum, each) => sum + each, 0)
  if (count === 0) return null
  let left = Math.round((count - 1) * q)
  const bucket = counts.findIndex((each) => {
    left -= each
    return left < 0
  })
  return bucket === 0 ? 0 : FIRST_SECONDS * 2 ** ((bucket - 1) / BUCKETS_PER_DOUBLING)
}
