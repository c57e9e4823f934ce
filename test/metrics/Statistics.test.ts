import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Statistics from "../../src/metrics/Statistics.ts"

describe("Statistics", () => {
  it("gives the values of LLMPerf (pandas) exactly", () => {
    const numbers = Float64Array.of(0.1, 0.4, 0.35, 0.8)
    assert.strictEqual(Statistics.mean(numbers), 0.4125)
    assert.strictEqual(Statistics.standardDeviation(numbers), 0.28975564417856187)
  })

  it("knows no mean of nothing and no deviation of one", () => {
    assert.isNull(Statistics.mean(new Float64Array(0)))
    assert.isNull(Statistics.standardDeviation(new Float64Array(0)))
    assert.strictEqual(Statistics.mean(Float64Array.of(3)), 3)
    assert.isNull(Statistics.standardDeviation(Float64Array.of(3)))
  })

  it("finds no deviation among equal values, whatever they are", () => {
    fc.assert(
      fc.property(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.integer({ min: 2, max: 200 }), (value, n) => {
        const numbers = new Float64Array(n).fill(value)
        assert.strictEqual(Statistics.mean(numbers), value)
        assert.strictEqual(Statistics.standardDeviation(numbers), 0)
      })
    )
  })

  it("keeps its digits when the mean is large and the spread small", () => {
    // Epoch seconds, a few milliseconds apart: the deviation of 0, 1, …, 9 ms around them
    const numbers = Float64Array.from({ length: 10 }, (_, i) => 1_700_000_000 + i / 1024)
    const expected = Math.sqrt(82.5 / 9) / 1024
    assert.closeTo(Statistics.standardDeviation(numbers) ?? 0, expected, 1e-12)
  })

  it("moves with its values: mean(a x + b) = a mean(x) + b, deviation scales with |a|", () => {
    const values = fc.array(fc.double({ min: -1000, max: 1000, noNaN: true }), { minLength: 2, maxLength: 50 })
    fc.assert(
      fc.property(values, fc.integer({ min: -8, max: 8 }), fc.integer({ min: -100, max: 100 }), (numbers, a, b) => {
        const plain = Float64Array.from(numbers)
        const moved = plain.map((x) => a * x + b)
        assert.closeTo(Statistics.mean(moved) ?? Number.NaN, a * (Statistics.mean(plain) ?? Number.NaN) + b, 1e-8)
        assert.closeTo(
          Statistics.standardDeviation(moved) ?? Number.NaN,
          Math.abs(a) * (Statistics.standardDeviation(plain) ?? Number.NaN),
          1e-8
        )
      })
    )
  })
})
