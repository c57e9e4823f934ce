import { assert, describe, it } from "@effect/vitest"
import * as Sampling from "../../src/domain/Sampling.ts"
import * as Bootstrap from "../../src/metrics/Bootstrap.ts"
import * as Blocks from "../../src/metrics/internal/compareBlocks.ts"
import { makeLoop } from "../../src/metrics/internal/compareLoop.ts"
import * as Normal from "../../src/metrics/internal/compareNormal.ts"
import * as CompareRandom from "../../src/metrics/internal/compareRandom.ts"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as Statistics from "../../src/metrics/Statistics.ts"
import { autoregressive, uniformOf } from "./latencies.ts"

const lengthOf = (values: Float64Array): number => Bootstrap.planBlocks(values).length
const ratioLengthOf = (...ratio: readonly [Float64Array, Float64Array]): number =>
  Bootstrap.planRatioBlocks(...ratio).length

const deviation = (values: Float64Array): number => Statistics.standardDeviation(values) ?? NaN

describe("Bootstrap", () => {
  it("draws with xoshiro128**", () => {
    const words = CompareRandom.fromState([1, 2, 3, 4])
    assert.deepStrictEqual(
      Array.from({ length: 10 }, words),
      [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804]
    )
  })

  it("draws other numbers for another seed and another stream, and the same again", () => {
    const first = (seed: number, stream: number) => CompareRandom.fromSeed(seed, stream)()
    const drawn = [first(1, 0), first(1, 1), first(2, 0), first(2 ** 40 + 1, 0), first(0, 0), first(0, 1)]
    assert.strictEqual(new Set(drawn).size, drawn.length)
    assert.strictEqual(first(7, 3), first(7, 3))
  })

  it("knows the normal distribution and Student's", () => {
    assert.closeTo(Normal.normalBelow(1.959964), 0.975, 1e-6)
    assert.closeTo(Normal.normalBelow(-1), 0.158655, 1e-6)
    assert.closeTo(Normal.normalUpper(0.025), 1.959964, 1e-5)
    for (const [degrees, t] of [
      [3, 3.182],
      [5, 2.571],
      [10, 2.228],
      [100, 1.984]
    ] as const) {
      assert.closeTo(Normal.studentUpper(0.025, degrees), t, degrees === 3 ? 0.03 : 0.005)
    }
  })

  it("takes long blocks where neighbours are alike, and short ones where they are not", () => {
    const n = 4_000
    const alike = lengthOf(autoregressive(n, 0.9, uniformOf(1)))
    const less = lengthOf(autoregressive(n, 0.5, uniformOf(1)))
    const independent = lengthOf(autoregressive(n, 0, uniformOf(1)))
    assert.isAbove(alike, 120)
    assert.isBelow(alike, 480)
    assert.isAbove(less, 25)
    assert.isBelow(less, alike)
    assert.isAtMost(independent, 15)
  })

  it("takes the length that Politis and White give for a process whose covariances are known", () => {
    // AR(1) with coefficient a: G = 2a / (1 - a)² and the long-run variance is 1 / (1 - a)², up to the same factor. So the
    // length is (2 (2a / (1 - a²))² n / (4 / 3))^(1/3)
    const a = 0.5
    const n = 40_000
    const uniform = uniformOf(3)
    const wanted = Math.cbrt((2 * ((2 * a) / (1 - a * a)) ** 2 * n) / (4 / 3))
    let state = 0
    const values = Float64Array.from({ length: n }, () => (state = a * state + Sampling.normal(uniform)))
    assert.closeTo(Blocks.politisWhite(values) / wanted, 1, 0.15)
  })

  it("takes short blocks where there is nothing to go by", () => {
    assert.strictEqual(lengthOf(new Float64Array(1_000).fill(0.3)), 3)
    assert.strictEqual(lengthOf(new Float64Array(50).fill(NaN)), 3)
    assert.strictEqual(lengthOf(new Float64Array()), 1)
    assert.strictEqual(lengthOf(Float64Array.of(1, 2, 3)), 1)
    // Never more than a quarter, however alike
    assert.isAtMost(lengthOf(Float64Array.from({ length: 40 }, (_, i) => i)), 10)
  })

  it("says how many values it takes for enough blocks", () => {
    const needed = (values: Float64Array): boolean => Bootstrap.planBlocks(values).needed > values.length
    assert.isFalse(needed(autoregressive(1_000, 0, uniformOf(1))))
    assert.isFalse(needed(autoregressive(4_000, 0.9, uniformOf(1))))
    // Forty that only rise are less than four stretches that do not depend on each other
    const rising = Bootstrap.planBlocks(Float64Array.from({ length: 40 }, (_, i) => i))
    assert.strictEqual(rising.length, 10)
    assert.isAbove(rising.needed, 40)
  })

  it("gives the statistics of each resample exactly", () => {
    // A block of all values is the sample itself, begun anywhere: every resample has its statistics
    const values = Float64Array.of(4, NaN, 1, 8, NaN, 2, 2)
    const statistics: ReadonlyArray<Bootstrap.Statistic> = [
      { _tag: "Quantile", q: 0.99 },
      { _tag: "Mean" },
      { _tag: "Quantile", q: 0.5 },
      { _tag: "Quantile", q: 0 },
      { _tag: "Quantile", q: 1 }
    ]
    const found = Bootstrap.resample(values, statistics, { blockLength: 7, resamples: 20, seed: 1, stream: 0 })
    const sorted = [1, 2, 2, 4, 8]
    const wanted = [Quantile.quantile(sorted, 0.99), 3.4, 2, 1, 8]
    for (const [index, estimates] of found.entries()) {
      for (const estimate of estimates) assert.closeTo(estimate, wanted[index] ?? NaN, 1e-12)
    }
  })

  it("draws as many as there are, and blocks of neighbours", () => {
    // Of 0, 1, …, 9 in blocks of 5, a resample has two runs: its sum is that of two starts, around the end
    const values = Float64Array.from({ length: 10 }, (_, i) => i)
    const sums = new Set<number>()
    for (let a = 0; a < 10; a++) {
      for (let b = 0; b < 10; b++) {
        let sum = 0
        for (let i = 0; i < 5; i++) sum += ((a + i) % 10) + ((b + i) % 10)
        sums.add(sum)
      }
    }
    const [means] = Bootstrap.resample(values, [{ _tag: "Mean" }], {
      blockLength: 5,
      resamples: 500,
      seed: 3,
      stream: 0
    })
    for (const mean of means ?? []) assert.isTrue(sums.has(Math.round(mean * 10)), String(mean))
    assert.isAbove(new Set(means).size, 10)
  })

  it("estimates the error of a mean and of a median of independent values", () => {
    const n = 2_000
    const values = Float64Array.from({ length: n }, (_, i) => Math.log(0.2 + ((i * 7919) % n) / n))
    const [means, medians] = Bootstrap.resample(values, [{ _tag: "Mean" }, { _tag: "Quantile", q: 0.5 }], {
      blockLength: 1,
      resamples: 1_000,
      seed: 5,
      stream: 1
    })
    assert.closeTo(deviation(means ?? new Float64Array()) / (deviation(values) / Math.sqrt(n)), 1, 0.1)
    // The median of n values of density f has the error 1 / (2 f √n); u is uniform here and the logarithm is at 0.7
    assert.closeTo(deviation(medians ?? new Float64Array()) / (0.5 / 0.7 / Math.sqrt(n)), 1, 0.15)
  })

  it("resamples ratios", () => {
    const errors = Float64Array.from({ length: 400 }, (_, i) => (i % 10 === 0 ? 1 : 0))
    const ones = new Float64Array(400).fill(1)
    const options = { blockLength: 1, resamples: 1_000, seed: 5, stream: 1 }
    const estimates = Bootstrap.resampleRatio(errors, ones, options)
    assert.closeTo(Statistics.mean(estimates) ?? NaN, 0.1, 0.002)
    assert.closeTo(deviation(estimates), Math.sqrt((0.1 * 0.9) / 400), 0.0015)
    assert.deepStrictEqual([...new Set(Bootstrap.resampleRatio(ones, ones, { ...options, blockLength: 9 }))], [1])
    assert.strictEqual(ratioLengthOf(ones, ones), 3)
  })

  it("plays a closed loop once more", () => {
    const loop = makeLoop(2)
    for (const seconds of [3, 1, 1, 4, 1]) loop.send(seconds)
    // One place: 3, then 1 to 4; the other: 1, 1, 4 to 6
    assert.strictEqual(loop.seconds(), 6)
    loop.restart()
    assert.strictEqual(loop.seconds(), 0)

    const uniform = uniformOf(4)
    const many = makeLoop(7)
    const free = Array.from({ length: 7 }, () => 0)
    for (let i = 0; i < 500; i++) {
      const seconds = uniform()
      many.send(seconds)
      const first = free.indexOf(Math.min(...free))
      free[first] = (free[first] ?? 0) + seconds
    }
    assert.strictEqual(many.seconds(), Math.max(...free))

    const ones = new Float64Array(100).fill(1)
    const run = { inFlight: new Float64Array(100).fill(2), places: 4, wallSeconds: 60 }
    const rates = Bootstrap.resampleClosedLoop(ones, run, { blockLength: 3, resamples: 20, seed: 1, stream: 0 })
    for (const rate of rates) assert.closeTo(rate, 100 / 60, 1e-12)
  })

  it("gives wider intervals the fewer blocks there were", () => {
    const estimates = Float64Array.from({ length: 10_001 }, (_, i) => i / 10_000)
    const many = Bootstrap.interval(estimates, { blocks: 1e6, level: 0.95 })
    assert.closeTo(many?.low ?? NaN, 0.025, 1e-4)
    assert.closeTo(many?.high ?? NaN, 0.975, 1e-4)
    const few = Bootstrap.interval(estimates, { blocks: 10, level: 0.95 })
    // Φ(−t(0.025, 9) √(10 / 9))
    assert.closeTo(few?.low ?? NaN, 0.00855, 2e-4)
    assert.isNull(Bootstrap.interval(Float64Array.of(1, NaN, 2), { blocks: 10, level: 0.95 }))
    assert.isNull(Bootstrap.interval(new Float64Array(), { blocks: 10, level: 0.95 }))
  })
})
