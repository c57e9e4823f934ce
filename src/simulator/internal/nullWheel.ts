/** One turn of the wheel is one millisecond, which is as fine as timers are. */
const turnNanos = 1_000_000
const slots = 4_096

/** What waits on a wheel. It is on one slot at a time. */
export interface Waiting {
  dueNanos: number
}

/**
 * Holds many waiters with one timer for all: putting one in and taking it out costs the same however many there are.
 * A waiter comes out in the first turn after its moment, never before it.
 */
export class Wheel<A extends Waiting> {
  readonly #slots: Array<Array<A>> = Array.from({ length: slots }, () => [])
  #turn: number
  #size = 0

  constructor(nowNanos: number) {
    this.#turn = Math.floor(nowNanos / turnNanos)
  }

  get size(): number {
    return this.#size
  }

  /** What is due already comes out in the next turn. */
  add(waiter: A): void {
    const turn = Math.max(this.#turn + 1, Math.ceil(waiter.dueNanos / turnNanos))
    this.#slots[turn % slots]?.push(waiter)
    this.#size++
  }

  /** Takes out all that is due. `onDue` may put waiters in again. */
  advance(nowNanos: number, onDue: (waiter: A) => void): void {
    const last = Math.floor(nowNanos / turnNanos)
    // After so long a pause every slot is looked at once.
    if (last - this.#turn > slots) this.#turn = last - slots
    while (this.#turn < last) {
      this.#turn++
      const index = this.#turn % slots
      const waiters = this.#slots[index] ?? []
      if (waiters.length === 0) continue
      this.#slots[index] = []
      for (const waiter of waiters) {
        this.#size--
        // Of those that are due in a later round of the wheel, the slot is the same.
        if (waiter.dueNanos <= nowNanos) onDue(waiter)
        else this.add(waiter)
      }
    }
  }
}
