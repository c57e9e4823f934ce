import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Histogram from "../../../src/metrics/Histogram.ts"
import { AddedDelays } from "../../../src/metrics/internal/AddedDelays.ts"
import * as Quantile from "../../../src/metrics/Quantile.ts"

const p99 = (values: ReadonlyArray<number>) =>
  Quantile.quantile(
    values.toSorted((a, b) => a - b),
    0.99
  ) ?? 0

describe("AddedDelays", () => {
  it("counts each value once, in the second in which it came", () => {
    const seen: Array<readonly [number, number]> = []
    const delays = new AddedDelays((second, added) => seen.push([second, added]))
    delays.add(1, 0.5, 0)
    delays.add(2, 0.5, 0.3)
    assert.lengthOf(seen, 1)
    assert.strictEqual(Histogram.count(delays.settled()), 2)
    delays.add(3, 0.5, 0.2)
    assert.strictEqual(Histogram.count(delays.settled()), 3)
    // Too few to know what is usual
    assert.deepStrictEqual(seen, [
      [1, 0],
      [2, 0.3],
      [3, 0.2]
    ])
  })

  it("counts no more than what is above the usual", () => {
    const delays = new AddedDelays(() => {})
    for (let i = 0; i < 100; i++) delays.add(i, 0.5, 0)
    for (const measured of [0.4, 0.52, 2]) delays.add(100, measured, 0.3)
    const added = delays.settled()
    assert.closeTo(Histogram.max(added) ?? 0, 0.3, 1e-9)
    assert.closeTo((Histogram.mean(added) ?? 0) * 103, 0.3 + 0.02, 0.002)
  })

  it("never hides what delays have added to the 99th percentile", () => {
    const millis = fc.integer({ min: 1, max: 2_000 })
    const values = fc.array(fc.record({ actual: millis, isDelayed: fc.boolean(), delay: millis, slack: millis }), {
      minLength: 1,
      maxLength: 300
    })
    fc.assert(
      fc.property(values, (all) => {
        const delays = new AddedDelays(() => {})
        const measured = all.map(({ actual, delay, isDelayed, slack }) => {
          // What is known is how long it waited at most
          delays.add(0, (actual + (isDelayed ? delay : 0)) / 1e3, isDelayed ? (delay + slack) / 1e3 : 0)
          return actual + (isDelayed ? delay : 0)
        })
        const undelayed = all.flatMap(({ actual, isDelayed }) => (isDelayed ? [] : [actual]))
        const truth = p99(all.map(({ actual }) => actual))
        // The usual is below the true p99 unless those that were not delayed are the slow ones
        fc.pre(
          undelayed.length < 20 ||
            truth >=
              (Quantile.quantile(
                undelayed.toSorted((a, b) => a - b),
                0.9
              ) ?? 0)
        )
        const added = (p99(measured) - truth) / 1e3
        const largest = Histogram.max(delays.settled()) ?? 0
        assert.isAtLeast(largest * 1.002 + 1e-6, added)
      })
    )
  })
})
