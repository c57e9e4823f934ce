/**
 * What two clocks said at both ends of one request, in epoch seconds: written and first token received by the client's,
 * received and first token sent by the server's.
 */
export interface Exchange {
  readonly written: number
  readonly received: number
  readonly firstSent: number
  readonly firstReceived: number
}

/** The server's clock less the client's, in seconds, and how wrong that may be either way. */
export interface Shift {
  readonly seconds: number
  readonly uncertainty: number
}

/**
 * Nothing is received before it is sent, in either direction. The quickest request bounds the shift from above, the quickest
 * answer from below, and the middle is taken. `null` without exchanges.
 */
export const shift = (exchanges: ReadonlyArray<Exchange>): Shift | null => {
  if (exchanges.length === 0) return null
  let highest = Infinity
  let lowest = -Infinity
  for (const { written, received, firstSent, firstReceived } of exchanges) {
    highest = Math.min(highest, received - written)
    lowest = Math.max(lowest, firstSent - firstReceived)
  }
  return { seconds: (highest + lowest) / 2, uncertainty: (highest - lowest) / 2 }
}
