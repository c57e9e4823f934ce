import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Lengths from "../../src/workload/Lengths.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"

const lengths = (distribution: Lengths.Distribution, count: number, minimum = 1) => {
  const random = PythonRandom.make(11111)
  return Array.from({ length: count }, () => Result.getOrThrow(Lengths.draw(random, distribution, minimum)))
}

describe("Lengths", () => {
  it("truncates toward zero", () => {
    // 11111 gives the deviates 0.2189, -0.0743, -0.6476, 0.7777.
    const tokens = lengths({ mean: 10, stddev: 1 }, 4).map((draw) => draw.tokens)
    assert.deepStrictEqual(tokens, [10, 9, 9, 10])
  })

  it("draws again while the length is not positive, and says how often", () => {
    // -0.0743 and -0.6476 become 0, 0.7777 becomes 1 with a standard deviation of 1.5.
    const draws = lengths({ mean: 0, stddev: 1.5 }, 1)
    assert.deepStrictEqual(draws, [{ tokens: 1, redrawn: 3 }])
    assert.isTrue(lengths({ mean: 1, stddev: 50 }, 1000).every((draw) => draw.tokens >= 1))
  })

  it("is the mean when nothing varies", () => {
    const draw = { tokens: 550, redrawn: 0 }
    assert.deepStrictEqual(lengths({ mean: 550, stddev: 0 }, 3), [draw, draw, draw])
  })

  it("has the mean and spread that were asked for, less the half token lost to truncation", () => {
    const tokens = lengths({ mean: 550, stddev: 50 }, 20_000).map((draw) => draw.tokens)
    const mean = tokens.reduce((sum, value) => sum + value) / tokens.length
    const variance = tokens.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (tokens.length - 1)
    assert.closeTo(mean, 549.5, 1)
    assert.closeTo(Math.sqrt(variance), 50, 1)
  })

  it.each([
    { mean: 60, stddev: 40, minimum: 33 },
    { mean: 150, stddev: 80, minimum: 1 },
    { mean: 550, stddev: 150, minimum: 33 },
    { mean: 35, stddev: 20, minimum: 33 },
    { mean: 8, stddev: 3, minimum: 1 }
  ])("is known beforehand, when what is too small is drawn again: $mean ± $stddev from $minimum", (given) => {
    const { minimum, ...distribution } = given
    const tokens = lengths(distribution, 20_000, minimum).map((draw) => draw.tokens)
    const mean = tokens.reduce((sum, value) => sum + value) / tokens.length
    const variance = tokens.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (tokens.length - 1)
    const expected = Lengths.expected(distribution, minimum)
    // Five standard errors
    assert.closeTo(mean, expected.mean, (5 * expected.stddev) / Math.sqrt(20_000))
    assert.closeTo(Math.sqrt(variance), expected.stddev, (5 * expected.stddev) / Math.sqrt(20_000) + 0.05)
  })

  it("is what was asked for when nothing varies", () => {
    assert.deepStrictEqual(Lengths.expected({ mean: 550, stddev: 0 }, 33), { mean: 550, stddev: 0 })
  })

  it.each([
    { mean: 0, stddev: 0 },
    { mean: -3, stddev: 0 },
    { mean: 0.9, stddev: 0 },
    { mean: -1000, stddev: 1 }
  ])("fails where LLMPerf would draw for ever: $mean/$stddev", (distribution) => {
    const result = Lengths.positiveInt(PythonRandom.make(1), distribution)
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) {
      assert.strictEqual(result.failure._tag, "ImpossibleLength")
      assert.include(result.failure.message, "at least 1 token")
    }
  })
})
