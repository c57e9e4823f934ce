/** When requests were in flight, from the moments they were sent and ended, in seconds after the start of the run. */
export interface Flight {
  /** Seconds during which at least one request was in flight. */
  readonly busySeconds: number
  /** The sum of the times that each request was in flight. */
  readonly requestSeconds: number
  /** The most that were in flight at one moment. */
  readonly most: number
}

/**
 * Walks through both moments in order of time. The arrays need not belong together index by index, which is why each may
 * be sorted on its own: how many are in flight at a moment is how many were sent before less how many ended before.
 */
export const flight = (sentSorted: Float64Array, endSorted: Float64Array): Flight => {
  let busySeconds = 0
  let requestSeconds = 0
  let most = 0
  let sent = 0
  let ended = 0
  let now = 0
  while (ended < endSorted.length) {
    const end = endSorted[ended]!
    const start = sentSorted[sent]
    const inFlight = sent - ended
    // At one and the same moment an end comes first: a request that follows another does not overlap it
    const next = start !== undefined && (start < end || inFlight === 0) ? start : end
    if (inFlight > 0) {
      busySeconds += next - now
      requestSeconds += (next - now) * inFlight
    }
    now = next
    if (next === start && (next !== end || inFlight === 0)) sent++
    else ended++
    most = Math.max(most, sent - ended)
  }
  return { busySeconds, requestSeconds, most }
}
