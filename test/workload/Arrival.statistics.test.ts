import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Sampling from "../../src/domain/Sampling.ts"
import * as Arrival from "../../src/workload/Arrival.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"
import * as Statistics from "./arrivalStatistics.ts"

const COUNT = 100_000
const RATE = 20

const draw = (process: Arrival.Process, rate: Arrival.RateProfile, seed: number, count = COUNT): Float64Array => {
  const { next } = Result.getOrThrow(
    Arrival.make({ process, rate, seconds: null, count: null }, PythonRandom.make(seed))
  )
  return new Float64Array(count).map(() => next() ?? NaN)
}

/** Expected arrivals in the first `t` seconds, by adding up trapezoids. */
const expectedArrivals = ({ afterwards, segments }: Arrival.RateProfile, t: number): number => {
  let count = 0
  let begin = 0
  for (const { from, seconds, to } of segments) {
    const inside = Math.min(Math.max(t - begin, 0), seconds)
    const end = from + ((to - from) * inside) / seconds
    count += ((from + end) / 2) * inside
    begin += seconds
  }
  return count + Math.max(t - begin, 0) * afterwards
}

const gamma = (burstiness: number) => ({
  process: { kind: "gamma", burstiness } as const,
  burstiness,
  name: `gamma ${burstiness}`
})
const renewal = [
  { process: { kind: "poisson" } as const, burstiness: 1, name: "poisson" },
  gamma(0.25),
  gamma(0.5),
  gamma(4)
]

/** Gaps of mean 1. */
const unitLaw = (burstiness: number) => {
  const law = Statistics.gammaCdf(burstiness)
  return (x: number) => law(x * burstiness)
}

/**
 * Time to the first arrival of a stationary renewal process: density 1 − F of the gaps. Integrated by parts it is
 * x (1 − F(x)) + ∫₀ˣ t dF(t), where the integral is the gamma law of shape + 1.
 */
const firstLaw = (burstiness: number) => {
  const law = Statistics.gammaCdf(burstiness)
  const longer = Statistics.gammaCdf(burstiness + 1)
  return (x: number) => x * (1 - law(x * burstiness)) + longer(x * burstiness)
}

describe("Arrival statistics", () => {
  describe.each(renewal)("$name", ({ burstiness, process }) => {
    const cv = 1 / Math.sqrt(burstiness)
    const runs = Statistics.seeds.map((seed) => {
      const times = draw(process, Arrival.fixed(RATE), seed)
      return { seed, times, gaps: Statistics.gapsOf(times) }
    })

    it("has the mean rate", () => {
      const errors = runs.map(({ gaps, seed }) => {
        const error = 1 / (Statistics.mean(gaps) * RATE) - 1
        // Gaps that vary more than exponential ones are more than 1 % off too often for a bound of 1 %.
        assert.isBelow(Math.abs(error), cv <= 1 ? 0.01 : (Statistics.Z * cv) / Math.sqrt(COUNT), `seed ${seed}`)
        return error
      })
      assert.isBelow(Math.abs(errors.reduce((sum, error) => sum + error) / errors.length), 0.005, "all seeds")
    })

    it("has the coefficient of variation of its law", () => {
      for (const { gaps, seed } of runs) {
        assert.closeTo(Statistics.coefficientOfVariation(gaps), cv, cv * 0.03, `seed ${seed}`)
      }
    })

    it("has the dispersion of counts per second of its law", () => {
      // Var N(T) of a stationary renewal process (Cox 1962, 4.5) over r T, for gamma gaps.
      const expected = cv ** 2 + (1 - cv ** 4) / (6 * RATE)
      // The relative standard error is √(2 / 5000) = 2 % and up to 1.2 times that where counts are skewed.
      for (const { seed, times } of runs) {
        assert.closeTo(Statistics.dispersion(times), expected, expected * 0.1, `seed ${seed}`)
      }
    })

    it("has gaps that do not depend on the one before", () => {
      // Of independent values: mean −1 / n, standard deviation 1 / √n (Bartlett 1946).
      for (const { gaps, seed } of runs) {
        assert.isBelow(Math.abs(Statistics.autocorrelation(gaps)), Statistics.Z / Math.sqrt(COUNT), `seed ${seed}`)
      }
    })

    it("has gaps of its law", () => {
      for (const { gaps, seed } of runs) {
        // Times of some thousand seconds are whole multiples of 1e-12 s: with burstiness 0.25, 0.1 % of the gaps are less.
        const unit = gaps.map((gap) => gap * RATE)
        const distance = Statistics.distance(unit, unitLaw(burstiness))
        assert.isBelow(distance, Statistics.criticalDistance(unit.length), `seed ${seed}`)
      }
    })

    it.each([
      ["a ramp from 0", Arrival.ramp({ from: 0, to: 40, seconds: 600 })],
      [
        "stages, a pause and a falling ramp",
        {
          segments: [
            { from: 20, to: 20, seconds: 300 },
            { from: 0, to: 0, seconds: 50 },
            { from: 0.5, to: 0.5, seconds: 300 },
            { from: 90, to: 5, seconds: 250 }
          ],
          afterwards: 70
        }
      ]
    ])("keeps its law under %s", (_, rate) => {
      for (const seed of Statistics.seeds) {
        const times = draw(process, rate, seed, 25_000)
        const gaps = Statistics.gapsOf(times.map((time) => expectedArrivals(rate, time)))
        const distance = Statistics.distance(gaps, unitLaw(burstiness))
        const correlation = Math.abs(Statistics.autocorrelation(gaps))
        assert.isBelow(distance, Statistics.criticalDistance(gaps.length), `law, seed ${seed}`)
        assert.isBelow(correlation, Statistics.Z / Math.sqrt(gaps.length), `correlation, seed ${seed}`)
      }
    })

    it("is stationary from the first moment on", () => {
      const RUNS = 4000
      const SECONDS = 2
      const random = PythonRandom.make(1)
      const firsts = new Float64Array(RUNS)
      const counts = new Float64Array(RUNS)
      for (let run = 0; run < RUNS; run++) {
        const options = { process, rate: Arrival.fixed(RATE), seconds: null, count: null }
        const arrivals = Result.getOrThrow(Arrival.make(options, random.fork(`run ${run}`)))
        const first = arrivals.next() ?? NaN
        firsts[run] = first * RATE
        let count = 0
        for (let due: number | undefined = first; due !== undefined && due < SECONDS; due = arrivals.next()) count++
        counts[run] = count
      }
      assert.isBelow(Statistics.distance(firsts, firstLaw(burstiness)), Statistics.criticalDistance(RUNS))
      const standardError = Math.sqrt(Statistics.variance(counts) / RUNS)
      assert.closeTo(Statistics.mean(counts), RATE * SECONDS, Statistics.Z * standardError)
    })
  })

  describe("constant", () => {
    it.each([RATE, 7.3, 1000 / 3, 0.01])("does not drift in a million arrivals at %f/s", (rate) => {
      const times = draw({ kind: "constant" }, Arrival.fixed(rate), 1, 1_000_000)
      assert.isTrue(times.every((time, i) => time === i / rate))
    })

    it("does not vary", () => {
      const times = draw({ kind: "constant" }, Arrival.fixed(RATE), 1)
      assert.isBelow(Statistics.coefficientOfVariation(Statistics.gapsOf(times)), 1e-9)
      assert.strictEqual(Statistics.dispersion(times), 0)
    })
  })

  describe("burst", () => {
    it.each([
      { size: 1, dispersion: 0 },
      { size: 5, dispersion: 0 },
      // A burst every 2.5 s: n² f (1 − f) / r with 0.4 bursts a second.
      { size: 50, dispersion: 30 }
    ])("of $size keeps the mean rate and has the variation of its size", ({ dispersion, size }) => {
      const times = draw({ kind: "burst", size }, Arrival.fixed(RATE), 1)
      const gaps = Statistics.gapsOf(times)
      assert.closeTo(1 / Statistics.mean(gaps), RATE, RATE * 0.001)
      assert.closeTo(Statistics.coefficientOfVariation(gaps), Math.sqrt(size - 1), 0.01)
      assert.closeTo(Statistics.dispersion(times), dispersion, 0.05)
      if (size > 1) assert.closeTo(Statistics.autocorrelation(gaps), -1 / (size - 1), 0.001)
    })
  })

  it("adds a million gaps up to within one unit in the last place", () => {
    const arrivals = Result.getOrThrow(
      Arrival.make(
        { process: { kind: "poisson" }, rate: Arrival.fixed(1), seconds: null, count: 1_000_000 },
        PythonRandom.make(1)
      )
    )
    const { random } = PythonRandom.make(1)
    // Every gap is a whole multiple of 2^-110.
    let exact = 0n
    let worst = 0
    for (const due of arrivals) {
      exact += BigInt(Sampling.exponential(random) * 2 ** 110)
      const unit = 2 ** (Math.floor(Math.log2(due)) - 52)
      worst = Math.max(worst, Math.abs(due - Number(exact) / 2 ** 110) / unit)
    }
    assert.isAtMost(worst, 1)
  })
})
