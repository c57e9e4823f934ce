import { assert, describe, it } from "@effect/vitest"
import * as Sampling from "../../src/domain/Sampling.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"
import * as Statistics from "../workload/arrivalStatistics.ts"

const COUNT = 50_000

const drawn = (seed: number, sampler: (uniform: Sampling.Uniform) => number) => {
  const { random } = PythonRandom.make(seed)
  return Float64Array.from({ length: COUNT }, () => sampler(random))
}

const farthest = (sampler: (uniform: Sampling.Uniform) => number, law: (x: number) => number): number =>
  Math.max(...Statistics.seeds.map((seed) => Statistics.distance(drawn(seed, sampler), law)))

/** Almost exponential. */
const close = (uniform: Sampling.Uniform) => Sampling.gamma(1.05, uniform)

describe("Sampling", () => {
  it("is compared with laws that have the values of the tables", () => {
    assert.closeTo(Statistics.gammaCdf(1)(0.5), 1 - Math.exp(-0.5), 1e-12)
    assert.closeTo(Statistics.gammaCdf(1)(5), 1 - Math.exp(-5), 1e-12)
    assert.closeTo(Statistics.gammaCdf(4)(9), 1 - Math.exp(-9) * (1 + 9 + 81 / 2 + 729 / 6), 1e-12)
    // erf(1) and the normal quantile of 97.5 %
    assert.closeTo(Statistics.gammaCdf(0.5)(1), 0.8427007929497149, 1e-12)
    assert.closeTo(Statistics.normalCdf(1.959963984540054), 0.975, 1e-12)
    assert.closeTo(Statistics.normalCdf(-Statistics.Z), Statistics.ALPHA / 2, 1e-8)
  })

  it("draws exponential values", () => {
    assert.isBelow(farthest(Sampling.exponential, Statistics.gammaCdf(1)), Statistics.criticalDistance(COUNT))
  })

  it("draws normal values", () => {
    assert.isBelow(farthest(Sampling.normal, Statistics.normalCdf), Statistics.criticalDistance(COUNT))
  })

  it.each([0.05, 0.5, 1, 1.5, 4, 60])("draws gamma values of shape %f", (shape) => {
    const sampler = (uniform: Sampling.Uniform) => Sampling.gamma(shape, uniform)
    assert.isBelow(farthest(sampler, Statistics.gammaCdf(shape)), Statistics.criticalDistance(COUNT))
  })

  it("tells a wrong shape from the right one", () => {
    assert.isAbove(farthest(close, Statistics.gammaCdf(1)), Statistics.criticalDistance(COUNT))
  })

  it("stays finite at both ends of the source", () => {
    for (const end of [0, 1 - 2 ** -53]) {
      const uniform = () => end
      assert.isTrue(Number.isFinite(Sampling.exponential(uniform)), "exponential")
      assert.isTrue(Number.isFinite(Sampling.normal(uniform)), "normal")
    }
    assert.strictEqual(
      Sampling.exponential(() => 0),
      0
    )
  })

  it("draws the same values from the same source", () => {
    assert.deepStrictEqual(drawn(3, close), drawn(3, close))
  })
})
