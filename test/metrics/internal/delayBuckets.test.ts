import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as DelayBuckets from "../../../src/metrics/internal/delayBuckets.ts"

const countsOf = (delays: ReadonlyArray<number>) => {
  const counts = new DelayBuckets.DelayCounts()
  for (const delay of delays) counts.add(delay)
  return counts.counts
}

describe("delayBuckets", () => {
  it("is nothing of nothing, and 0 below 1 ms", () => {
    assert.isNull(DelayBuckets.quantile(DelayBuckets.none, 0.99))
    assert.strictEqual(DelayBuckets.quantile(countsOf([0, 0.0009]), 0.99), 0)
  })

  it("is never above the value, and below it by a sixth at most", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 40, noNaN: true }), (delay) => {
        const found = DelayBuckets.quantile(countsOf([delay]), 0.99) ?? 0
        assert.isAtMost(found, delay * (1 + 1e-12))
        assert.isAtLeast(found, (delay * 5) / 6)
      })
    )
  })

  it("takes the value of the rank", () => {
    const counts = countsOf([...Array.from({ length: 990 }, () => 0), ...Array.from({ length: 11 }, () => 0.4)])
    assert.closeTo(DelayBuckets.quantile(counts, 0.99) ?? 0, 0.4, 0.067)
    assert.strictEqual(DelayBuckets.quantile(counts, 0.98), 0)
  })

  it("counts together what was counted apart", () => {
    const delays = fc.array(fc.double({ min: 0, max: 100, noNaN: true }))
    fc.assert(
      fc.property(delays, delays, (a, b) => {
        assert.deepStrictEqual(DelayBuckets.join(countsOf(a), countsOf(b)), countsOf([...a, ...b]))
      })
    )
  })
})
