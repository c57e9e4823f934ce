import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Fiber from "effect/Fiber"
import * as fc from "fast-check"
import { AgentLost } from "../../src/engine/Fleet.ts"
import * as Clocks from "../../src/fleet/Clocks.ts"

const nanos = (max: number) => fc.integer({ min: 0, max })

/** A question at `sentAt` that takes `there` to reach an agent whose clock shows `ahead` more than ours, and `back` to return. */
const exchange = fc.record({ sentAt: nanos(1e12), there: nanos(1e9), back: nanos(1e9) })

const sampleOf = (
  ahead: number,
  { back, sentAt, there }: { readonly sentAt: number; readonly there: number; readonly back: number }
) => ({
  sentAt,
  theirs: sentAt + there + ahead,
  receivedAt: sentAt + there + back
})

describe("the clock of an agent", () => {
  it("is known to within half the round trip, however the ways differ", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), exchange, (ahead, ways) => {
        const { errorNanos, offsetNanos, roundTripNanos } = Clocks.readingOf(sampleOf(ahead, ways))
        assert.strictEqual(roundTripNanos, ways.there + ways.back)
        assert.strictEqual(errorNanos, roundTripNanos / 2)
        assert.isAtMost(Math.abs(offsetNanos - ahead), errorNanos)
      })
    )
  })

  it("is known exactly when both ways take the same time", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), nanos(1e12), nanos(1e9), (ahead, sentAt, there) => {
        assert.strictEqual(Clocks.readingOf(sampleOf(ahead, { sentAt, there, back: there })).offsetNanos, ahead)
      })
    )
  })

  it("is told best by the quickest answer", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), exchange, fc.array(exchange), (ahead, first, others) => {
        const best = Clocks.best([sampleOf(ahead, first), ...others.map((ways) => sampleOf(ahead, ways))])
        const quickest = Math.min(...[first, ...others].map(({ back, there }) => there + back))
        assert.strictEqual(best.roundTripNanos, quickest)
        assert.isAtMost(Math.abs(best.offsetNanos - ahead), quickest / 2)
      })
    )
  })

  it.effect("is asked for eight times", () =>
    Effect.gen(function* () {
      const ways = [50, 40, 30, 7, 30, 40, 50, 60]
      let calls = 0
      const clock = () =>
        Effect.gen(function* () {
          const way = ways[calls++] ?? 99
          yield* Effect.sleep(way)
          const theirs = 5e12 + Number(yield* TestClock.testClockWith((clock) => clock.monotonicTimeNanos))
          yield* Effect.sleep(way)
          return theirs
        })
      const measuring = yield* Effect.forkChild(Clocks.measure({ clock }))
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(yield* Fiber.join(measuring), { offsetNanos: 5e12, roundTripNanos: 14e6, errorNanos: 7e6 })
      assert.strictEqual(calls, 8)
    })
  )

  it.effect("is not known of an agent that is lost", () =>
    Effect.gen(function* () {
      const lost = new AgentLost({ agent: "a", problem: "gone" })
      assert.strictEqual(yield* Effect.flip(Clocks.measure({ clock: () => Effect.fail(lost) })), lost)
    })
  )
})
