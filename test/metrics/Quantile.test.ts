import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Quantile from "../../src/metrics/Quantile.ts"

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 60 })
const share = fc.double({ min: 0, max: 1, noNaN: true })
const sorted = (numbers: ReadonlyArray<number>) => Float64Array.from(numbers).toSorted()

describe("Quantile", () => {
  it("gives the values of LLMPerf (pandas) exactly", () => {
    const numbers = sorted([0.1, 0.4, 0.35, 0.8])
    assert.strictEqual(Quantile.quantile(numbers, 0.25), 0.2875)
    assert.strictEqual(Quantile.quantile(numbers, 0.5), 0.375)
    assert.strictEqual(Quantile.quantile(numbers, 0.75), 0.5)
    assert.closeTo(Quantile.quantile(numbers, 0.9) ?? 0, 0.68, 1e-15)
    assert.closeTo(Quantile.quantile(numbers, 0.95) ?? 0, 0.74, 1e-15)
    assert.closeTo(Quantile.quantile(numbers, 0.99) ?? 0, 0.788, 1e-15)
  })

  it("is null without values and the value itself for one", () => {
    assert.isNull(Quantile.quantile([], 0.5))
    for (const q of [0, 0.25, 0.5, 0.99, 1]) assert.strictEqual(Quantile.quantile([7], q), 7)
  })

  it("lies between its neighbours, and q = 0 and 1 are the ends", () => {
    fc.assert(
      fc.property(values, share, (numbers, q) => {
        const all = sorted(numbers)
        const h = (all.length - 1) * q
        const value = Quantile.quantile(all, q) ?? Number.NaN
        assert.isAtLeast(value, all[Math.floor(h)] ?? Number.NaN)
        assert.isAtMost(value, all[Math.ceil(h)] ?? Number.NaN)
        assert.strictEqual(Quantile.quantile(all, 0), all[0])
        assert.strictEqual(Quantile.quantile(all, 1), all[all.length - 1])
      })
    )
  })

  it("does not fall when q grows", () => {
    fc.assert(
      fc.property(values, share, share, (numbers, a, b) => {
        const all = sorted(numbers)
        const low = Quantile.quantile(all, Math.min(a, b)) ?? Number.NaN
        const high = Quantile.quantile(all, Math.max(a, b)) ?? Number.NaN
        assert.isAtMost(low, high)
      })
    )
  })

  it("with failures as infinite values: as over an array that ends in infinities", () => {
    fc.assert(
      fc.property(values, fc.nat(20), share, (numbers, infinite, q) => {
        const all = sorted(numbers)
        const whole = [...all, ...Array.from({ length: infinite }, () => Number.POSITIVE_INFINITY)]
        const h = (whole.length - 1) * q
        const low = whole[Math.floor(h)] ?? Number.NaN
        const high = whole[Math.ceil(h)] ?? Number.NaN
        const value = Quantile.quantileWithInfinite(all, infinite, q)
        if (high === Number.POSITIVE_INFINITY) assert.isNull(value)
        else {
          assert.isAtLeast(value ?? Number.NaN, low)
          assert.isAtMost(value ?? Number.NaN, high)
        }
      })
    )
  })

  it("with failures as infinite values: the median of two and one failure is the larger, of one and one infinite", () => {
    assert.strictEqual(Quantile.quantileWithInfinite([1, 2], 1, 0.5), 2)
    assert.isNull(Quantile.quantileWithInfinite([1], 1, 0.5))
    assert.isNull(Quantile.quantileWithInfinite([], 3, 0))
  })
})
