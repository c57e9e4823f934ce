import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pacer from "../../src/engine/Pacer.ts"

const now = Effect.map(Clock.monotonicTimeNanos, Number)

const ms = 1_000_000

describe("Pacer.layerThread", { timeout: 20_000 }, () => {
  it.live("wakes everybody, and nobody before the moment", () =>
    Effect.gen(function* () {
      const pacer = yield* Pacer.Pacer
      const start = yield* now
      let woken = 0
      const moments = [30, 5, 17, 5, 0, 90, 17.25].map((at) => start + at * ms)
      yield* Effect.forEach(
        moments,
        (moment) =>
          Effect.andThen(
            pacer.sleepUntil(moment),
            Effect.map(now, (at) => {
              woken++
              assert.isAtLeast(at, moment)
            })
          ),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(woken, moments.length)
    }).pipe(Effect.provide(Pacer.layerThread))
  )

  it.live("lets a moment that has passed go by at once", () =>
    Effect.gen(function* () {
      const pacer = yield* Pacer.Pacer
      yield* pacer.sleepUntil((yield* now) - ms)
    }).pipe(Effect.provide(Pacer.layerThread))
  )

  it.live("forgets who is interrupted", () =>
    Effect.gen(function* () {
      const pacer = yield* Pacer.Pacer
      const start = yield* now
      const interrupted = yield* Effect.forkChild(pacer.sleepUntil(start + 15 * ms))
      const other = yield* Effect.forkChild(pacer.sleepUntil(start + 40 * ms))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(interrupted)
      yield* Fiber.join(other)
      assert.isAtLeast(yield* now, start + 40 * ms)
    }).pipe(Effect.provide(Pacer.layerThread))
  )

  it.live("many waits one after the other", () =>
    Effect.gen(function* () {
      const pacer = yield* Pacer.Pacer
      const start = yield* now
      for (let index = 1; index <= 200; index++) {
        const moment = start + index * 0.7 * ms
        yield* pacer.sleepUntil(moment)
        assert.isAtLeast(yield* now, moment)
      }
    }).pipe(Effect.provide(Pacer.layerThread))
  )
})

describe("Pacer by default", () => {
  it.effect("follows the clock, and lets a moment that has passed go by", () =>
    Effect.gen(function* () {
      const pacer = yield* Pacer.Pacer
      yield* pacer.sleepUntil(0)
      const fiber = yield* Effect.forkChild(pacer.sleepUntil(1_500_001))
      yield* Effect.yieldNow
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* Fiber.interrupt(fiber)
    })
  )
})
