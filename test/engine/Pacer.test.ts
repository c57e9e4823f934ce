import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { layerPrecise, Pacer } from "../../src/engine/Pacer.ts"

const now = Effect.map(Clock.monotonicTimeNanos, Number)

describe("Pacer", () => {
  it.effect("sleeps to the nanosecond under a virtual clock", () =>
    Effect.gen(function* () {
      const { sleepUntil } = yield* Pacer
      const fiber = yield* Effect.forkChild(Effect.andThen(sleepUntil(1_234_567_891), now))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), 1_234_567_891)
    })
  )

  it.effect("does not wait for what has passed", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("2 seconds")
      const { sleepUntil } = yield* Pacer
      for (const nanos of [0, 1e9, 2e9, -5e9]) yield* sleepUntil(nanos)
      assert.strictEqual(yield* now, 2e9)
    })
  )
})

describe("Pacer.layerPrecise", () => {
  it.live.each([0.3, 1.9, 2.1, 9.7])("never ends a wait of %s ms too early", (millis) =>
    Effect.gen(function* () {
      const { sleepUntil } = yield* Pacer
      for (let round = 0; round < 5; round++) {
        const due = (yield* now) + Math.round(millis * 1e6)
        yield* sleepUntil(due)
        assert.isAtLeast(yield* now, due)
      }
    }).pipe(Effect.provide(layerPrecise))
  )

  it.live("does not wait for what has passed", () =>
    Effect.gen(function* () {
      const { sleepUntil } = yield* Pacer
      let turns = 0
      const turn = (): void => {
        turns++
      }
      const immediate = setImmediate(turn)
      yield* sleepUntil((yield* now) - 1)
      // The event loop has not even turned.
      assert.strictEqual(turns, 0)
      clearImmediate(immediate)
    }).pipe(Effect.provide(layerPrecise))
  )

  it.live("lets the event loop turn meanwhile, and stops when it is interrupted", () =>
    Effect.gen(function* () {
      const { sleepUntil } = yield* Pacer
      const [near, far] = yield* Effect.all(
        [1_500_000, 60_000_000_000].map((nanos) =>
          Effect.flatMap(now, (start) => Effect.forkChild(sleepUntil(start + nanos)))
        )
      )
      // Would hang for a minute if the wait held up the loop or did not end.
      yield* Effect.sleep(1)
      for (const fiber of [near, far]) if (fiber !== undefined) yield* Fiber.interrupt(fiber)
      assert.isDefined(far?.pollUnsafe())
    }).pipe(Effect.provide(layerPrecise))
  )
})
