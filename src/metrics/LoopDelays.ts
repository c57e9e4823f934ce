/**
 * When the event loop of a thread was held up, and for how long: what a timer saw that should fire every so many milliseconds.
 *
 * It tells how long something that arrived had waited when the thread looked at it. Whoever receives need not ask it at once: a
 * stamp is enough, for as long as the delay is remembered.
 *
 * @since 0.2.0
 */

/** Timers are whole milliseconds: what is below says nothing. */
const NOISE_NANOS = 1e6

/** A thread that is late at every tick of 10 ms fills so many in five minutes and a half. Older ones are forgotten. */
const MOST = 2 ** 15

/**
 * Delays of the event loop, in nanoseconds of the monotonic clock.
 *
 * A hold lasts from the moment when the timer was due until the loop has looked at all that came meanwhile. What was stamped in a hold
 * had waited since it began at most; that is its delay. Outside of holds a delay is 0.
 *
 * - `tick(at)`: the timer fired. Gives its delay in seconds, and whether `settled` is wanted
 * - `settled(at)`: the loop has looked at every socket since the late tick
 *
 * @category models
 * @since 0.2.0
 */
export class LoopDelays {
  readonly #step: number
  readonly #from: Float64Array
  readonly #until: Float64Array
  #count = 0
  #due: number

  constructor(options: {
    readonly startNanos: number
    readonly stepNanos: number
    readonly most?: number | undefined
  }) {
    const most = options.most ?? MOST
    this.#step = options.stepNanos
    this.#due = options.startNanos + options.stepNanos
    this.#from = new Float64Array(most)
    this.#until = new Float64Array(most)
  }

  tick(at: number): { readonly seconds: number; readonly isLate: boolean } {
    const late = Math.max(0, at - this.#due)
    const isLate = late >= NOISE_NANOS
    if (isLate) {
      const index = this.#count++ % this.#from.length
      this.#from[index] = this.#due
      this.#until[index] = Number.POSITIVE_INFINITY
    }
    this.#due = at + this.#step
    return { seconds: late / 1e9, isLate }
  }

  settled(at: number): void {
    if (this.#count === 0) return
    const last = (this.#count - 1) % this.#until.length
    if (this.#until[last] === Number.POSITIVE_INFINITY) this.#until[last] = at
  }

  /** The delays in seconds of what was stamped at these moments, in ascending order. */
  at(stamps: ReadonlyArray<number>): Float64Array {
    const delays = new Float64Array(stamps.length)
    const first = stamps[0]
    if (first === undefined) return delays
    let hold = this.#lastBefore(first)
    for (let i = 0; i < stamps.length; i++) {
      const stamp = stamps[i] ?? 0
      while (hold + 1 < this.#count && this.#begin(hold + 1) < stamp) hold++
      const late = stamp - this.#startOf(hold, stamp)
      if (late >= NOISE_NANOS) delays[i] = late / 1e9
    }
    return delays
  }

  /**
   * For how long the thread may have been held up just after this moment, in seconds: before it could write what it was about to.
   * It was when a hold began within one tick after it.
   */
  after(stamp: number): number {
    for (let hold = Math.max(this.#oldest(), this.#lastBefore(stamp)); hold < this.#count; hold++) {
      const [from, until] = [this.#begin(hold), this.#end(hold)]
      if (from - this.#step > stamp) return 0
      if (until >= stamp && Number.isFinite(until)) return Math.min(until - stamp, until - from) / 1e9
    }
    return 0
  }

  #begin(hold: number): number {
    return this.#from[hold % this.#from.length] ?? Number.POSITIVE_INFINITY
  }

  #end(hold: number): number {
    return this.#until[hold % this.#until.length] ?? Number.NEGATIVE_INFINITY
  }

  /** The first of the holds that are remembered. */
  #oldest(): number {
    return Math.max(0, this.#count - this.#from.length)
  }

  /** When the hold began in which the stamp is; the stamp itself when it is in none. `hold` is the last that began before it. */
  #startOf(hold: number, stamp: number): number {
    const oldest = this.#oldest()
    let start = stamp
    // Holds may overlap, when it took long to look at all that came: what is in both waited since the first
    for (let each = hold; each >= oldest && each > hold - 2; each--) {
      if (stamp <= this.#end(each)) start = this.#begin(each)
    }
    return start < stamp ? start : Math.min(stamp, this.#due)
  }

  /** The last hold that began before a moment; one less than the oldest when there is none. */
  #lastBefore(moment: number): number {
    let low = this.#oldest()
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#begin(middle) < moment) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
