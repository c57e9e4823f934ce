import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as FastCheck from "fast-check"
import * as draws from "../../src/simulator/internal/draws.ts"
import * as Latency from "../../src/simulator/Latency.ts"

const decode = Schema.decodeUnknownResult(Latency.LatencyFromString)
const decodeMillis = Schema.decodeUnknownSync(Latency.LatencyFromMillisString)

const moments = (latency: Latency.Latency) => {
  const uniform = draws.make(7, "moments", "timing")
  const values = Array.from({ length: 100_000 }, () => Latency.sample(latency, uniform))
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  return { mean, cv: Math.sqrt(variance) / mean, min: Math.min(...values) }
}

describe("Latency", () => {
  it("draws a constant without using the generator", () => {
    const value = Latency.sample(Latency.constant(0.25), () => assert.fail("a constant draws nothing"))
    assert.strictEqual(value, 0.25)
  })

  it.each([
    ["exponential", 0, 1],
    ["normal", 0.2, 0.2],
    ["lognormal", 0.5, 0.5],
    ["lognormal", 1.5, 1.5],
    ["gamma", 0.5, 0.5],
    ["gamma", 1.5, 1.5]
  ] as const)("%s with coefficient of variation %f has its mean and spread", (shape, cv, expected) => {
    const drawn = moments({ shape, mean: 0.1, cv })
    assert.closeTo(drawn.mean, 0.1, 0.003)
    assert.closeTo(drawn.cv, expected, expected * 0.06)
    assert.isAtLeast(drawn.min, 0)
  })

  it("is constant without spread", () => {
    for (const shape of Latency.Shape.literals) {
      if (shape === "exponential") continue
      assert.strictEqual(
        Latency.sample({ shape, mean: 2, cv: 0 }, () => 0.3),
        2
      )
    }
  })

  it("never draws below 0, not even a wide normal", () => {
    assert.strictEqual(moments({ shape: "normal", mean: 0.1, cv: 2 }).min, 0)
  })

  it("reads text in seconds and in milliseconds", () => {
    assert.deepStrictEqual(Schema.decodeSync(Latency.LatencyFromString)("0.1"), Latency.constant(0.1))
    assert.deepStrictEqual(decodeMillis("100"), Latency.constant(0.1))
    assert.deepStrictEqual(decodeMillis("exponential:20"), { shape: "exponential", mean: 0.02, cv: 1 })
    assert.deepStrictEqual(decodeMillis("lognormal:100:0.5"), { shape: "lognormal", mean: 0.1, cv: 0.5 })
  })

  it.each(["", "fast", "-1", "0.1:0.5", "normal:0.1", "gamma:0.1:-1", "exponential:0.1:2", "weibull:1:1", "constant:"])(
    "refuses %j and lists the forms",
    (text) => {
      const result = decode(text)
      if (Result.isSuccess(result)) return assert.fail("it was read")
      assert.include(result.failure.message, `"${text}" is not a latency`)
      assert.include(result.failure.message, "lognormal:MEAN:CV")
    }
  )

  it("reads what it writes", () => {
    const latency = FastCheck.record({
      shape: FastCheck.constantFrom("normal" as const, "lognormal" as const, "gamma" as const),
      mean: FastCheck.double({ min: 0, max: 1e6, noNaN: true }),
      cv: FastCheck.double({ min: 0, max: 10, noNaN: true })
    })
    FastCheck.assert(
      FastCheck.property(latency, (value) => {
        const text = Schema.encodeSync(Latency.LatencyFromString)(value)
        assert.deepStrictEqual(
          Schema.decodeSync(Latency.LatencyFromString)(text),
          // -0 is written as 0
          { ...value, mean: value.mean + 0, cv: value.cv + 0 }
        )
      })
    )
  })
})
