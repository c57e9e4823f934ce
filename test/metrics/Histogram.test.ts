import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Histogram from "../../src/metrics/Histogram.ts"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as Statistics from "../../src/metrics/Statistics.ts"

const RELATIVE_ERROR = 0.001
const SMALLEST = 2 ** -20

// From 1 µs to a day, evenly over the orders of magnitude, as latencies are
const seconds = fc.double({ min: Math.log(1e-6), max: Math.log(86_400), noNaN: true }).map(Math.exp)
const anySeconds = fc.oneof(
  { weight: 6, arbitrary: seconds },
  { weight: 1, arbitrary: seconds.map((value) => -value) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.double({ min: -SMALLEST / 2, max: SMALLEST / 2, noNaN: true }) }
)
const share = fc.double({ min: 0, max: 1, noNaN: true })

const of = (values: ReadonlyArray<number>): Histogram.Histogram => {
  const histogram = Histogram.make()
  Histogram.addAll(histogram, Float64Array.from(values))
  return histogram
}

const refused = (bytes: Uint8Array): void => assert.isTrue(Result.isFailure(Histogram.decode(bytes)))

describe("Histogram", () => {
  it("is empty at first", () => {
    const empty = Histogram.make()
    assert.strictEqual(Histogram.count(empty), 0)
    assert.isNull(Histogram.quantile(empty, 0.5))
    assert.isNull(Histogram.mean(empty))
    assert.isNull(Histogram.min(empty))
    assert.isNull(Histogram.max(empty))
    assert.isNull(Histogram.standardDeviation(empty))
  })

  it("has every quantile within 0.1 % of the exact one", () => {
    fc.assert(
      fc.property(fc.array(seconds, { minLength: 1, maxLength: 200 }), share, (values, q) => {
        const exact = Quantile.quantile(Float64Array.from(values).toSorted(), q) ?? Number.NaN
        const approximate = Histogram.quantile(of(values), q) ?? Number.NaN
        assert.isAtMost(Math.abs(approximate - exact), RELATIVE_ERROR * exact)
      }),
      { numRuns: 2000 }
    )
  })

  it("takes zero, negative and tiny values: the error is 0.1 % of the neighbours or a microsecond", () => {
    fc.assert(
      fc.property(fc.array(anySeconds, { minLength: 1, maxLength: 100 }), share, (values, q) => {
        const all = Float64Array.from(values).toSorted()
        const h = (all.length - 1) * q
        const allowed =
          Math.max(Math.abs(all[Math.floor(h)] ?? 0), Math.abs(all[Math.ceil(h)] ?? 0)) * RELATIVE_ERROR + SMALLEST
        const exact = Quantile.quantile(all, q) ?? Number.NaN
        assert.isAtMost(Math.abs((Histogram.quantile(of(values), q) ?? Number.NaN) - exact), allowed)
      }),
      { numRuns: 1000 }
    )
  })

  it("is within 0.1 % at the edges of its buckets", () => {
    for (let exponent = -19; exponent < 17; exponent++) {
      for (const value of [2 ** exponent, 2 ** exponent * (1 - 2 ** -53), 2 ** exponent * (1 + 1 / 512)]) {
        // The value asked for is neither the smallest nor the largest, which are kept exactly
        const middle = Histogram.quantile(of([value / 2, value, value * 2]), 0.5) ?? Number.NaN
        assert.isAtMost(Math.abs(middle - value), RELATIVE_ERROR * value)
      }
    }
  })

  it("keeps count, minimum, maximum, mean and deviation exactly", () => {
    fc.assert(
      fc.property(fc.array(anySeconds, { minLength: 2, maxLength: 100 }), (values) => {
        const histogram = of(values)
        const all = Float64Array.from(values)
        assert.strictEqual(Histogram.count(histogram), values.length)
        assert.strictEqual(Histogram.min(histogram), Math.min(...values))
        assert.strictEqual(Histogram.max(histogram), Math.max(...values))
        // The smallest of all numbers cannot be halved
        const scale = Math.max(...values.map(Math.abs), 1e-300)
        assert.closeTo(Histogram.mean(histogram) ?? Number.NaN, Statistics.mean(all) ?? Number.NaN, scale * 1e-12)
        assert.closeTo(
          Histogram.standardDeviation(histogram) ?? Number.NaN,
          Statistics.standardDeviation(all) ?? Number.NaN,
          scale * 1e-9
        )
      })
    )
  })

  it("merged is the union", () => {
    const values = fc.array(anySeconds, { maxLength: 60 })
    fc.assert(
      fc.property(values, values, (left, right) => {
        const merged = of(left)
        const other = of(right)
        Histogram.merge(merged, other)
        const union = of([...left, ...right])
        assert.deepStrictEqual(merged.buckets, union.buckets)
        assert.strictEqual(Histogram.min(merged), Histogram.min(union))
        assert.strictEqual(Histogram.max(merged), Histogram.max(union))
        const scale = Math.max(0, ...[...left, ...right].map(Math.abs))
        assert.closeTo(Histogram.mean(merged) ?? 0, Histogram.mean(union) ?? 0, scale * 1e-12)
        assert.closeTo(Histogram.standardDeviation(merged) ?? 0, Histogram.standardDeviation(union) ?? 0, scale * 1e-9)
        assert.deepStrictEqual(other.buckets, of(right).buckets)
      })
    )
  })

  it("can be merged with itself", () => {
    const histogram = of([0.1, 0.2, 0.3])
    Histogram.merge(histogram, histogram)
    const twice = of([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    assert.deepStrictEqual(histogram.buckets, twice.buckets)
    assert.closeTo(Histogram.standardDeviation(histogram) ?? 0, Histogram.standardDeviation(twice) ?? 1, 1e-15)
  })

  it("does not depend on the order of its values", () => {
    fc.assert(
      fc.property(fc.array(anySeconds, { minLength: 1, maxLength: 60 }), share, (values, q) => {
        assert.strictEqual(Histogram.quantile(of(values), q), Histogram.quantile(of(values.toReversed()), q))
      })
    )
  })

  it("survives encoding", () => {
    fc.assert(
      fc.property(fc.array(anySeconds, { maxLength: 100 }), (values) => {
        const histogram = of(values)
        const decoded = Result.getOrThrow(Histogram.decode(Histogram.encode(histogram)))
        assert.deepStrictEqual(decoded, histogram)
      })
    )
  })

  it("encodes counts beyond 32 bits, and reads from the middle of a larger buffer", () => {
    const histogram = of([0.1, 0.2])
    for (let i = 0; i < 40; i++) Histogram.merge(histogram, histogram)
    assert.strictEqual(Histogram.count(histogram), 2 ** 41)
    const bytes = Histogram.encode(histogram)
    const larger = new Uint8Array(bytes.length + 20)
    larger.set(bytes, 7)
    const decoded = Result.getOrThrow(Histogram.decode(larger.subarray(7, 7 + bytes.length)))
    assert.deepStrictEqual(decoded, histogram)
  })

  it("refuses bytes that it did not write", () => {
    const bytes = Histogram.encode(of([0.1, 0.2, 30]))
    refused(new Uint8Array(0))
    refused(Uint8Array.of(2))
    refused(bytes.subarray(0, 20))
    refused(bytes.subarray(0, bytes.length - 1))
    refused(bytes.subarray(0, 33))
    refused(Uint8Array.of(...bytes.subarray(0, 33), 255, 255, 255, 1, 1))
    refused(Uint8Array.of(...bytes, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))
  })

  it("leaves out what is not a finite number", () => {
    const histogram = of([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1])
    assert.strictEqual(Histogram.count(histogram), 1)
    assert.strictEqual(Histogram.mean(histogram), 1)
  })

  it("takes 36 hours for all that is longer, but keeps the maximum", () => {
    const histogram = of([1e6, 2e6, 3e6])
    assert.closeTo(Histogram.quantile(histogram, 0.5) ?? 0, 1e6, 0)
    assert.strictEqual(Histogram.max(histogram), 3e6)
  })

  it("has the same size whatever it holds", () => {
    const histogram = of(Array.from({ length: 10_000 }, (_, i) => (i - 5000) / 7))
    const size = histogram.buckets.byteLength + histogram.moments.byteLength
    assert.strictEqual(size, Histogram.make().buckets.byteLength + Histogram.make().moments.byteLength)
    assert.isBelow(size, 310_000)
  })
})
