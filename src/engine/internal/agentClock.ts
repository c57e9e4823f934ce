/**
 * How the monotonic clock of another machine stands against ours.
 *
 * A question is sent at `sentAt`, answered with `theirs`, and the answer is here at `receivedAt`. Their clock is ahead by
 * `theirs` − the middle of the two, to within half the round trip (F. Cristian, Probabilistic clock synchronization, 1989). Of
 * several answers the one that took the least time tells most.
 */

/** In nanoseconds: theirs − ours, and the time of the question and its answer. */
export interface Reading {
  readonly offsetNanos: number
  readonly roundTripNanos: number
}

interface Sample extends Reading {
  readonly at: number
}

/** Clocks of two machines part by some 50 µs a second: an old answer tells little, however quick it was. */
const MOST_AGE_NANOS = 30e9
const MOST_SAMPLES = 64

export class AgentClock {
  private samples: Array<Sample> = []
  private marked: Reading | null = null

  add(sentAt: number, theirs: number, receivedAt: number): void {
    const sample = {
      at: receivedAt,
      offsetNanos: theirs - (sentAt + receivedAt) / 2,
      roundTripNanos: receivedAt - sentAt
    }
    this.samples = this.samples
      .filter(({ at }) => receivedAt - at <= MOST_AGE_NANOS)
      .slice(1 - MOST_SAMPLES)
      .concat(sample)
  }

  /** The best of the answers that are not old; no difference at all before the first. */
  reading(): Reading {
    let best: Reading | null = null
    for (const sample of this.samples) {
      if (best === null || sample.roundTripNanos < best.roundTripNanos) best = sample
    }
    if (best === null) return { offsetNanos: 0, roundTripNanos: 0 }
    return { offsetNanos: best.offsetNanos, roundTripNanos: best.roundTripNanos }
  }

  /** Remembers how the clocks stand now. */
  mark(): Reading {
    this.marked = this.reading()
    return this.marked
  }

  /** How they stood at `mark`, and by how much they have parted since. */
  sinceMark(): Reading & { readonly driftNanos: number } {
    const now = this.reading()
    const then = this.marked ?? now
    return { ...then, driftNanos: now.offsetNanos - then.offsetNanos }
  }
}
