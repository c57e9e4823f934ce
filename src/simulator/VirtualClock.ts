/**
 * Time that does not pass but jumps: when the runtime has nothing left to do, it is the moment the next sleeper waits for.
 * An hour of traffic takes seconds, and the same program takes the same course every time, however fast the machine is.
 *
 * - Sleepers of the same moment wake in the order in which they went to sleep
 * - Time jumps after a whole turn of the event loop in which no fiber ran. Promises, `setImmediate`, `Effect.yieldNow` and
 *   whatever else is done within the turn is waited for, so it takes no time
 * - What comes from outside (a file, a socket, another thread, a real timer) is not seen as something to do: while a fiber
 *   waits for it, time jumps on if anyone sleeps, and by how much depends on the machine. Give such a fiber no part in what
 *   happens when, have nobody sleep meanwhile, or let it wait inside `standingStill`
 * - A timer that repeats for ever (a display, a heartbeat) keeps time running for as long as it lives. Give it another
 *   clock: `Effect.provideService(display, Clock.Clock, other)`, with the clock that was there before this one. When such a
 *   fiber wakes is of no matter to the others
 * - A fiber that polls with `Effect.yieldNow` is always busy, so time stands still
 * - Fibers started with `Effect.runFork` and the like take the real clock, unless they are run with this context
 *   (`Effect.runForkWith`)
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as dueHeap from "./internal/dueHeap.ts"

/**
 * The moment at which virtual time begins: 2000-01-01T00:00:00Z, in milliseconds since 1970. The monotonic clock begins at 0.
 *
 * @category constants
 * @since 0.2.0
 */
export const epochMillis = 946_684_800_000

const epochNanos = BigInt(epochMillis) * 1_000_000n

/** `wake` is `undefined` once it has been interrupted. */
interface Sleeper extends dueHeap.Due {
  wake: (() => void) | undefined
}

/** Interrupted sleepers stay in the heap until they are due, or until there are so many and they are the most of it. */
const manyInterrupted = 1024

class VirtualTime implements Clock.Clock {
  #nanos = 0
  #nanosExact = 0n
  readonly #sleepers = dueHeap.make<Sleeper>()
  #interrupted = 0
  /** What must end before time goes on; the last to end sees to it. */
  #holds = 0
  #watching = false
  #activity = 0
  #activitySeen = 0

  currentTimeMillisUnsafe(): number {
    return epochMillis + Math.floor(this.#nanos / 1e6)
  }
  currentTimeNanosUnsafe(): bigint {
    return epochNanos + this.#nanosExact
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.#nanosExact
  }
  readonly currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    if (!Duration.isFinite(duration)) return Duration.isNegative(duration) ? Effect.yieldNow : Effect.never
    const nanos = Number(Duration.toNanosUnsafe(duration))
    if (nanos <= 0) return Effect.yieldNow
    return Effect.callback((resume) => {
      const sleeper: Sleeper = { dueNanos: this.#nanos + nanos, order: 0, wake: () => resume(Effect.void) }
      this.#sleepers.push(sleeper)
      this.#watch()
      return Effect.sync(() => this.#forget(sleeper))
    })
  }

  /** A fiber is at work. */
  noteActivity(): void {
    this.#activity++
  }

  hold(): void {
    this.#holds++
  }

  release(): void {
    this.#holds--
    this.#activity++
    if (this.#holds === 0) this.#watch()
  }

  #forget(sleeper: Sleeper): void {
    if (sleeper.wake === undefined) return
    sleeper.wake = undefined
    this.#interrupted++
    if (this.#interrupted < manyInterrupted || this.#interrupted * 2 < this.#sleepers.size()) return
    this.#sleepers.retain(({ wake }) => wake !== undefined)
    this.#interrupted = 0
  }

  #watch(): void {
    if (this.#watching) return
    this.#watching = true
    setImmediate(this.#turn)
  }

  /** Runs once in every turn of the event loop, after the immediates that were queued before it, while anyone sleeps. */
  readonly #turn = (): void => {
    this.#watching = false
    if (this.#holds > 0 || this.#next() === undefined) return
    if (this.#activity !== this.#activitySeen) {
      this.#activitySeen = this.#activity
      return this.#watch()
    }
    try {
      this.#jump()
    } finally {
      this.#activitySeen = this.#activity
      this.#watch()
    }
  }

  #next(): Sleeper | undefined {
    for (;;) {
      const next = this.#sleepers.peek()
      if (next === undefined || next.wake !== undefined) return next
      this.#sleepers.pop()
      this.#interrupted--
    }
  }

  #jump(): void {
    const first = this.#next()
    if (first === undefined) return
    const moment = first.dueNanos
    this.#nanos = moment
    this.#nanosExact = BigInt(moment)
    for (let next: Sleeper | undefined = first; next?.dueNanos === moment; next = this.#next()) {
      this.#sleepers.pop()
      const wake = next.wake
      next.wake = undefined
      wake?.()
    }
  }
}

/** Effect's own scheduler, which tells the clock of every task that waits and of every step of a fiber. */
class VirtualScheduler extends Scheduler.MixedScheduler {
  readonly #time: VirtualTime

  constructor(time: VirtualTime) {
    super("async", (task) => {
      time.hold()
      const immediate = setImmediate(() => {
        time.release()
        task()
      })
      return () => {
        time.release()
        clearImmediate(immediate)
      }
    })
    this.#time = time
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.#time.noteActivity()
    return super.shouldYield(fiber)
  }
}

/**
 * Virtual time for everything under it: its clock, and the scheduler that tells when nothing is left to do. Each time the
 * layer is built, a time of its own begins.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer: Layer.Layer<never> = Layer.unwrap(
  Effect.sync(() => {
    const time = new VirtualTime()
    return Layer.merge(Layer.succeed(Clock.Clock, time), Layer.succeed(Scheduler.Scheduler, new VirtualScheduler(time)))
  })
)

/**
 * Keeps virtual time from going on while `effect` runs, for what waits for the outside world: nobody who sleeps wakes until
 * it has ended, so it must not sleep itself. On any other clock it changes nothing.
 *
 * @category combinators
 * @since 0.2.0
 */
export const standingStill = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Clock.clockWith((clock) =>
    clock instanceof VirtualTime
      ? Effect.acquireUseRelease(
          Effect.sync(() => clock.hold()),
          () => effect,
          () => Effect.sync(() => clock.release())
        )
      : effect
  )
