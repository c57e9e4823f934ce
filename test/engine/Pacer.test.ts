import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Pacer } from "../../src/engine/Pacer.ts"

const now = Effect.map(Clock.monotonicTimeNanos, Number)

describe("Pacer by default", () => {
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
