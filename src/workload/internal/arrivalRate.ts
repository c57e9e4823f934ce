import type { RateProfile, Segment } from "./arrivalModel.ts"

/**
 * An arrival so close to the end of a stretch of time belongs to what follows: after 30 s at 1.1 a second the next one
 * is the 34th, but 33 / 1.1 is 29.999999999999996.
 */
export const END_TOLERANCE_SECONDS = 1e-9

/** Arrivals expected in the first `seconds` of a segment. */
const expectedWithin = ({ from, seconds: whole, to }: Segment, seconds: number): number =>
  seconds * (from + ((to - from) * seconds) / (2 * whole))

/**
 * How long after the beginning of a segment `arrivals` arrivals are expected; `Infinity` when never at its rate.
 *
 * With the rate a + k t it is the root of a t + k t² / 2 = x, in the form 2 x / (a + √(a² + 2 k x)), which loses no
 * digits when k is small. In a pause it is never, not even for none: what is due then is due after it.
 */
const secondsUntil = ({ from, seconds, to }: Segment, arrivals: number): number => {
  if (from === to) return from === 0 ? Infinity : arrivals / from
  if (arrivals === 0) return 0
  const square = from * from + (2 * (to - from) * arrivals) / seconds
  return square < 0 ? Infinity : (2 * arrivals) / (from + Math.sqrt(square))
}

/** Arrivals expected in the first `seconds`. */
export const expectedCount = (rate: RateProfile, seconds: number): number => {
  let left = seconds
  let count = 0
  for (const segment of rate.segments) {
    if (left <= 0) return count
    count += expectedWithin(segment, Math.min(left, segment.seconds))
    left -= segment.seconds
  }
  return left > 0 && rate.afterwards > 0 ? count + rate.afterwards * left : count
}

/**
 * The inverse of the expected count: the moment, in seconds, after which more than `position` arrivals are expected;
 * `Infinity` when never. The positions must be given in ascending order.
 */
export const momentOf = (rate: RateProfile): ((position: number) => number) => {
  const { afterwards, segments } = rate
  let index = 0
  let begin = 0
  let before = 0
  return (position) => {
    for (let segment = segments[index]; segment !== undefined; segment = segments[index]) {
      const after = secondsUntil(segment, Math.max(0, position - before))
      if (after < segment.seconds - END_TOLERANCE_SECONDS) return begin + after
      begin += segment.seconds
      before += expectedWithin(segment, segment.seconds)
      index++
    }
    return afterwards > 0 ? begin + Math.max(0, position - before) / afterwards : Infinity
  }
}
