import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as StopSignal from "../../src/engine/StopSignal.ts"

describe("StopSignal", () => {
  it.effect("is open until it is closed, and tells all who wait", () =>
    Effect.gen(function* () {
      const stop = yield* StopSignal.make
      assert.isFalse(stop.isClosed())
      assert.strictEqual(stop.reason(), null)
      const first = yield* Effect.forkChild(stop.closed, { startImmediately: true })
      const second = yield* Effect.forkChild(stop.closed, { startImmediately: true })
      assert.strictEqual(first.pollUnsafe(), undefined)
      yield* stop.close("timeout")
      assert.isTrue(stop.isClosed())
      assert.strictEqual(yield* Fiber.join(first), "timeout")
      assert.strictEqual(yield* Fiber.join(second), "timeout")
      assert.strictEqual(yield* stop.closed, "timeout")
    })
  )

  it.effect("keeps the first reason", () =>
    Effect.gen(function* () {
      const stop = yield* StopSignal.make
      yield* stop.close("interrupted")
      yield* stop.close("timeout")
      assert.strictEqual(stop.reason(), "interrupted")
      assert.strictEqual(yield* stop.closed, "interrupted")
    })
  )

  it.effect("is a new one each time", () =>
    Effect.gen(function* () {
      yield* (yield* StopSignal.make).close("timeout")
      assert.isFalse((yield* StopSignal.make).isClosed())
    })
  )
})
