import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { LoopDelays } from "../../src/metrics/LoopDelays.ts"

const ms = 1e6

const make = (most?: number) => new LoopDelays({ startNanos: 0, stepNanos: 10 * ms, most })

const millis = (delays: Float64Array) => [...delays].map((delay) => Math.round(delay * 1_000))

describe("LoopDelays", () => {
  it("knows of no delay while the timer is in time, or late by less than it can tell", () => {
    const delays = make()
    assert.deepStrictEqual(delays.tick(10.9 * ms), { seconds: 0.0009, isLate: false })
    assert.deepStrictEqual(delays.tick(19 * ms), { seconds: 0, isLate: false })
    assert.deepStrictEqual(millis(delays.at([5 * ms, 10.5 * ms, 19 * ms, 28 * ms])), [0, 0, 0, 0])
  })

  it("takes what was stamped in a hold to have waited since it began", () => {
    const delays = make()
    delays.tick(10 * ms)
    // Due at 20
    assert.isTrue(delays.tick(320 * ms).isLate)
    delays.settled(323 * ms)
    delays.tick(330 * ms)
    assert.deepStrictEqual(
      millis(delays.at([15 * ms, 30 * ms, 319 * ms, 322 * ms, 324 * ms, 335 * ms])),
      [0, 10, 299, 302, 0, 0]
    )
  })

  it("knows of a hold before the timer has fired, and before the loop has looked at all", () => {
    const delays = make()
    delays.tick(10 * ms)
    // A process that was stopped sees its sockets before its timer
    assert.deepStrictEqual(millis(delays.at([19 * ms, 120 * ms])), [0, 100])
    delays.tick(121 * ms)
    assert.deepStrictEqual(millis(delays.at([122 * ms])), [102])
    delays.settled(125 * ms)
    assert.deepStrictEqual(millis(delays.at([122 * ms, 126 * ms])), [102, 0])
  })

  it("takes what is in two holds for the earlier one's", () => {
    const delays = make()
    delays.tick(60 * ms)
    // The next is due at 70, while sockets are still being looked at
    delays.settled(90 * ms)
    delays.tick(91 * ms)
    delays.settled(92 * ms)
    assert.deepStrictEqual(millis(delays.at([80 * ms, 90.5 * ms])), [70, 21])
  })

  it("knows that a hold began just after a moment, and how long it was", () => {
    const delays = make()
    delays.tick(10 * ms)
    // Due at 20
    delays.tick(60 * ms)
    delays.settled(61 * ms)
    delays.tick(70 * ms)
    const after = (at: number) => Math.round(delays.after(at * ms) * 1_000)
    assert.deepStrictEqual([5, 9, 10, 15, 20, 50, 61, 62, 75].map(after), [0, 0, 41, 41, 41, 11, 0, 0, 0])
  })

  it("forgets the oldest holds", () => {
    const delays = make(2)
    for (const at of [30, 70, 110]) {
      delays.tick(at * ms)
      delays.settled((at + 1) * ms)
    }
    // Holds from 10, 40 and 80
    assert.deepStrictEqual(millis(delays.at([30 * ms, 70 * ms, 110 * ms])), [0, 30, 30])
  })

  it("gives the same of one stamp as of many", () => {
    const gap = fc.integer({ min: 1, max: 60 })
    fc.assert(
      fc.property(fc.array(gap, { maxLength: 30 }), fc.array(fc.nat(500), { maxLength: 30 }), (gaps, stamps) => {
        const delays = make()
        let now = 0
        for (const each of gaps) {
          now += 10 + each
          delays.tick(now * ms)
          delays.settled((now + (each % 3)) * ms)
        }
        const sorted = stamps.toSorted((a, b) => a - b).map((stamp) => stamp * ms)
        const together = [...delays.at(sorted)]
        assert.deepStrictEqual(
          together,
          sorted.map((stamp) => delays.at([stamp])[0])
        )
        for (const [index, delay] of together.entries()) assert.isAtMost(delay, (sorted[index] ?? 0) / 1e9)
      })
    )
  })
})
