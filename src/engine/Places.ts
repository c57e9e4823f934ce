/**
 * The places of requests in flight: how many there may be at a time, which can change while they are.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

/**
 * A number of places, and who is told when there are more.
 *
 * @category models
 * @since 0.2.0
 */
export class Places {
  /** How many requests may be in flight. */
  count: number
  private taken = 0
  private readonly room = Latch.makeUnsafe(true)
  private onMore: ((more: number) => void) | null = null

  constructor(count: number) {
    this.count = count
  }

  /** The places themselves, or so many. */
  static of(places: number | Places): Places {
    return typeof places === "number" ? new Places(places) : places
  }

  /** Whether one more may be in flight. */
  hasRoom(): boolean {
    return this.taken < this.count
  }

  /** A request takes a place, whether there is room or not. */
  take(): void {
    this.taken++
  }

  /** A request that had a place has ended. */
  giveBack(): void {
    this.taken--
    if (this.hasRoom()) this.room.openUnsafe()
  }

  /** Waits until there is room. */
  readonly awaitRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (this.hasRoom()) return Effect.void
    this.room.closeUnsafe()
    return Effect.andThen(this.room.await, this.awaitRoom)
  })

  /** From now on there are so many. Those in flight beyond that go on. */
  set(count: number): void {
    const more = count - this.count
    this.count = count
    if (this.hasRoom()) this.room.openUnsafe()
    if (more > 0) this.onMore?.(more)
  }

  /** Whom to tell how many more there are; one only. */
  whenMore(onMore: (more: number) => void): void {
    this.onMore = onMore
  }
}
