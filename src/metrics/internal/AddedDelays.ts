import * as Histogram from "../Histogram.ts"

/** What is delayed by less was not held up. */
const DELAYED_SECONDS = 0.001
/** From so many that were not delayed it is known what is usual. */
const LEAST = 20
const USUAL = 0.9
/** So many that were delayed are kept until it is known; more are judged by what is known then. */
const MOST_HELD = 2 ** 16

/**
 * By how much delays of the client may have lengthened what it measured.
 *
 * A delay that is known is how long something waited at most: when it came within a hold is not known. But what was measured cannot have
 * been lengthened to more than it is. So a delay counts by as much as the value is above what is usual, the 90th percentile of the values
 * that were not delayed, and no more. That hides nothing from the 99th percentile of all values, which is not below the usual one:
 * whatever a delay has pushed beyond it is above the usual by at least as much.
 */
export class AddedDelays {
  readonly #undelayed = Histogram.make()
  readonly #added = Histogram.make()
  readonly #settle: (second: number, added: number) => void
  #held: Array<{ readonly second: number; readonly measured: number; readonly delay: number }> = []

  /** `settle` is told of each, by the second in which it came: at once, or in `settled`. */
  constructor(settle: (second: number, added: number) => void) {
    this.#settle = settle
  }

  /** Adds what was measured, in seconds, and by how much it may have been delayed. */
  add(second: number, measured: number, delay: number): void {
    if (delay < DELAYED_SECONDS) {
      Histogram.add(this.#undelayed, measured)
      this.#count(second, delay)
    } else {
      this.#held.push({ second, measured, delay })
      if (this.#held.length >= MOST_HELD) this.#settleAll()
    }
  }

  /** All that was added so far. */
  settled(): Histogram.Histogram {
    this.#settleAll()
    return this.#added
  }

  #settleAll(): void {
    const usual = Histogram.count(this.#undelayed) < LEAST ? 0 : (Histogram.quantile(this.#undelayed, USUAL) ?? 0)
    const held = this.#held
    this.#held = []
    for (const { delay, measured, second } of held) {
      this.#count(second, Math.min(delay, Math.max(0, measured - usual)))
    }
  }

  #count(second: number, added: number): void {
    Histogram.add(this.#added, added)
    this.#settle(second, added)
  }
}
