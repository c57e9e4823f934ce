/**
 * Durations of the last seconds, in small histograms of about a second each. Whoever adds only finds a bucket: no clock is read and
 * nothing is allocated. Whoever reads turns the ring.
 */

/** The kinds of durations; where their buckets begin. */
export const TTFT = 0
export const GAP = 864
export const LAG = 1_728
export const DELAY = 2_592

const BUCKETS = 864
const ALL_BUCKETS = 4 * BUCKETS

/** Quarters of a microsecond. The first 32 have a bucket each; above, every power of two is cut into 32 equal buckets. */
const UNITS_PER_SECOND = 4e6
const MOST_UNITS = 2 ** 31 - 1
const CUTS_BITS = 5
const CUTS = 1 << CUTS_BITS

const SLOT_NANOS = 1e9
const WINDOW_NANOS = 10e9
/** Ten seconds and the one that is filled. */
const SLOTS = 11

interface Slot {
  readonly counts: Uint32Array
  startNanos: number
}

export interface RecentTimes {
  readonly slots: ReadonlyArray<Slot>
  readonly sum: Uint32Array
  current: Slot
  turns: number
}

/** Of how many durations, and two of their quantiles in seconds. */
export interface Recent {
  readonly count: number
  readonly p50: number
  readonly p99: number
}

const makeSlot = (): Slot => ({ counts: new Uint32Array(ALL_BUCKETS), startNanos: Number.NEGATIVE_INFINITY })

export const make = (): RecentTimes => {
  const current = makeSlot()
  return {
    slots: [current, ...Array.from({ length: SLOTS - 1 }, makeSlot)],
    sum: new Uint32Array(ALL_BUCKETS),
    current,
    turns: 0
  }
}

/** Forgets everything and begins at that moment. */
export const begin = (self: RecentTimes, nowNanos: number): void => {
  for (const slot of self.slots) {
    slot.counts.fill(0)
    slot.startNanos = Number.NEGATIVE_INFINITY
  }
  self.current.startNanos = nowNanos
}

/** Within 1/32 of the value; 537 s and more are taken for 537 s. */
const bucketOf = (seconds: number): number => {
  const units = Math.min(Math.max(seconds * UNITS_PER_SECOND, 0), MOST_UNITS) | 0
  if (units < CUTS) return units
  const shift = 31 - CUTS_BITS - Math.clz32(units)
  return (shift << CUTS_BITS) + (units >>> shift)
}

/** Where a bucket begins, in seconds. */
const edgeOf = (bucket: number): number => {
  const units = bucket < CUTS ? bucket : ((bucket % CUTS) + CUTS) * 2 ** ((bucket >> CUTS_BITS) - 1)
  return units / UNITS_PER_SECOND
}

export const add = (self: RecentTimes, kind: number, seconds: number): void => {
  const bucket = kind + bucketOf(seconds)
  self.current.counts[bucket] = self.current.counts[bucket]! + 1
}

/**
 * What is in the current histogram, which is then empty: to be handed to `addPacked` of another. Pairs of a bucket and its count, as
 * unsigned integers of 32 bits in the byte order of the machine.
 */
export const take = (self: RecentTimes): Uint8Array<ArrayBuffer> => {
  const { counts } = self.current
  const pairs: Array<number> = []
  for (let bucket = 0; bucket < ALL_BUCKETS; bucket++) {
    const count = counts[bucket]!
    if (count > 0) pairs.push(bucket, count)
  }
  counts.fill(0)
  return new Uint8Array(Uint32Array.from(pairs).buffer)
}

export const addPacked = (self: RecentTimes, bytes: Uint8Array): void => {
  const { counts } = self.current
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength - (bytes.byteLength % 8))
  for (let at = 0; at < view.byteLength; at += 8) {
    const bucket = view.getUint32(at, LITTLE_ENDIAN)
    if (bucket < ALL_BUCKETS) counts[bucket] = counts[bucket]! + view.getUint32(at + 4, LITTLE_ENDIAN)
  }
}

const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** The last ten seconds, as far as there are so many; `seconds` says how many there are. */
export const read = (self: RecentTimes, nowNanos: number) => {
  if (self.current.startNanos === Number.NEGATIVE_INFINITY) self.current.startNanos = nowNanos
  const sum = self.sum.fill(0)
  let from = nowNanos
  for (const { counts, startNanos } of self.slots) {
    if (counts !== self.current.counts && startNanos < nowNanos - WINDOW_NANOS) continue
    for (let bucket = 0; bucket < ALL_BUCKETS; bucket++) sum[bucket] = sum[bucket]! + counts[bucket]!
    from = Math.min(from, startNanos)
  }
  if (nowNanos - self.current.startNanos >= SLOT_NANOS) turn(self, nowNanos)
  return {
    seconds: (nowNanos - from) / 1e9,
    ttft: describe(sum, TTFT),
    gap: describe(sum, GAP),
    lag: describe(sum, LAG),
    delay: describe(sum, DELAY)
  }
}

const turn = (self: RecentTimes, nowNanos: number): void => {
  self.turns++
  self.current = self.slots[self.turns % SLOTS]!
  self.current.counts.fill(0)
  self.current.startNanos = nowNanos
}

const describe = (sum: Uint32Array, kind: number): Recent | null => {
  let count = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) count += sum[kind + bucket]!
  if (count === 0) return null
  return {
    count,
    p50: atRank(sum, kind, Math.round((count - 1) * 0.5)),
    p99: atRank(sum, kind, Math.round((count - 1) * 0.99))
  }
}

/** The values of a bucket are taken to lie evenly in it. */
const atRank = (sum: Uint32Array, kind: number, rank: number): number => {
  let before = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const here = sum[kind + bucket]!
    if (before + here > rank) {
      const from = edgeOf(bucket)
      return from + ((edgeOf(bucket + 1) - from) * (rank - before + 0.5)) / here
    }
    before += here
  }
  return edgeOf(BUCKETS)
}
