import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import * as Arrival from "../../src/workload/Arrival.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"

const constant: Arrival.Process = { kind: "constant" }

const make = (options: Partial<Arrival.Options>, seed = 11111) =>
  Arrival.make(
    { process: constant, rate: Arrival.fixed(10), seconds: null, count: null, ...options },
    PythonRandom.make(seed)
  )

const times = (options: Partial<Arrival.Options>, seed?: number): ReadonlyArray<number> => [
  ...Result.getOrThrow(make(options, seed))
]

const problem = <A>(result: Result.Result<A, Arrival.InvalidArrival>): string =>
  Result.isFailure(result) ? result.failure.message : assert.fail("it was accepted")

const anyProcess: fc.Arbitrary<Arrival.Process> = fc.oneof(
  fc.constant<Arrival.Process>({ kind: "constant" }),
  fc.constant<Arrival.Process>({ kind: "poisson" }),
  fc.record({ kind: fc.constant("gamma" as const), burstiness: fc.double({ min: 0.01, max: 100, noNaN: true }) }),
  fc.record({ kind: fc.constant("burst" as const), size: fc.integer({ min: 1, max: 40 }) })
)

const someRate = fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 300, noNaN: true }))
const anyRate: fc.Arbitrary<Arrival.RateProfile> = fc
  .record({
    segments: fc.array(
      fc.record({ from: someRate, to: someRate, seconds: fc.double({ min: 0.001, max: 60, noNaN: true }) }),
      { maxLength: 5 }
    ),
    afterwards: someRate
  })
  .filter(({ afterwards, segments }) => afterwards > 0 || segments.some(({ from, to }) => from + to > 0))

/** Expected arrivals in the first `t` seconds, by adding up trapezoids. */
const expectedArrivals = ({ afterwards, segments }: Arrival.RateProfile, t: number): number => {
  let count = 0
  let begin = 0
  for (const { from, seconds, to } of segments) {
    const inside = Math.min(Math.max(t - begin, 0), seconds)
    count += inside * from + (inside * inside * (to - from)) / (2 * seconds)
    begin += seconds
  }
  return count + Math.max(t - begin, 0) * afterwards
}

describe("Arrival", () => {
  describe("processes", () => {
    it("constant begins at 0", () => {
      assert.deepStrictEqual(times({ count: 4 }), [0, 0.1, 0.2, 0.3])
    })

    it("burst sends its size at once", () => {
      const process = { kind: "burst", size: 3 } as const
      assert.deepStrictEqual(times({ process, count: 7 }), [0, 0, 0, 0.3, 0.3, 0.3, 0.6])
    })

    it("poisson adds up the values of CPython's random.expovariate()", () => {
      const printed = [1.477513292871176, 1.4908678623879754, 1.7144170387661537, 1.9704569722512368]
      const process = { kind: "poisson" } as const
      for (const [i, time] of times({ process, rate: Arrival.fixed(2), count: 4 }).entries()) {
        assert.closeTo(time, printed[i] ?? NaN, 1e-12)
      }
    })

    it("gamma with burstiness 1 is poisson, draw by draw", () => {
      assert.deepStrictEqual(
        times({ process: { kind: "gamma", burstiness: 1 }, count: 100 }),
        times({ process: { kind: "poisson" }, count: 100 })
      )
    })

    it("sends all at once at an unlimited rate", () => {
      for (const process of [constant, { kind: "poisson" }, { kind: "gamma", burstiness: 0.5 }] as const) {
        assert.deepStrictEqual(times({ process, rate: Arrival.fixed(Infinity), count: 3 }), [0, 0, 0])
      }
    })
  })

  describe("limits", () => {
    it.each([
      [10, 60, 600],
      [1.1, 30, 33],
      [2.8, 22.5, 63],
      [0.3, 10, 3],
      [7, 0.5, 4],
      [0.5, 1, 1]
    ])("sends every constant request of %f/s in %f s and no more: %i", (rate, seconds, count) => {
      assert.lengthOf(times({ rate: Arrival.fixed(rate), seconds }), count)
    })

    it("ends with whichever limit is first, and stays at the end", () => {
      assert.lengthOf(times({ seconds: 1, count: 3 }), 3)
      assert.lengthOf(times({ seconds: 0.2, count: 3 }), 2)
      const arrivals = Result.getOrThrow(make({ seconds: 0.2 }))
      assert.lengthOf([...arrivals], 2)
      assert.isUndefined(arrivals.next())
      assert.isUndefined(arrivals.next())
    })

    it("goes on for ever without one", () => {
      const arrivals = Result.getOrThrow(make({ process: { kind: "gamma", burstiness: 0.01 } }))
      let last: number | undefined = 0
      for (let i = 0; i < 100_000; i++) last = arrivals.next()
      assert.isAbove(last ?? NaN, 0)
    })

    it("is read once", () => {
      const arrivals = Result.getOrThrow(make({ count: 5 }))
      assert.strictEqual(arrivals.next(), 0)
      for (const due of arrivals) {
        assert.strictEqual(due, 0.1)
        break
      }
      assert.deepStrictEqual([...arrivals], [0.2, 0.3, 0.4])
    })
  })

  describe("rates", () => {
    it("changes the gap at the moment of a stage", () => {
      const rate = Arrival.stages([
        { rate: 1, seconds: 2 },
        { rate: 4, seconds: 0.5 },
        { rate: 2, seconds: 1 }
      ])
      assert.deepStrictEqual(times({ rate }), [0, 1, 2, 2.25, 2.5, 3])
    })

    it("leaves what is due at the end of a stage to the next, whatever rounding makes of it", () => {
      // 1.1 * 90 is 99.00000000000001 and 99 / 1.1 is 89.99999999999999
      const first = { rate: 1.1, seconds: 90 }
      const then = { rate: 1, seconds: 2 }
      assert.lengthOf(times({ rate: Arrival.stages([first]) }), 99)
      const due = times({ rate: Arrival.stages([first, then]) })
      assert.lengthOf(due, 101)
      assert.strictEqual(due[99], 90)
      assert.closeTo(due[100] ?? NaN, 91, 1e-12)
    })

    it("sends nothing in a pause, not even what is due as it begins", () => {
      const rate = Arrival.stages([
        { rate: 0, seconds: 5 },
        { rate: 1.1, seconds: 90 },
        { rate: 0, seconds: 10 },
        { rate: 1, seconds: 2 },
        { rate: 0, seconds: 10 }
      ])
      const due = times({ rate })
      assert.lengthOf(due, 101)
      assert.strictEqual(due[0], 5)
      assert.isBelow(due[98] ?? NaN, 94.1)
      assert.strictEqual(due[99], 105)
      assert.closeTo(due[100] ?? NaN, 106, 1e-12)
    })

    it("solves a ramp exactly", () => {
      // 0 to 8 in 4 s is t² arrivals, then 8 a second.
      const due = times({ rate: Arrival.ramp({ from: 0, to: 8, seconds: 4 }), count: 20 })
      for (const [i, time] of due.entries()) assert.closeTo(time, i <= 16 ? Math.sqrt(i) : 4 + (i - 16) / 8, 1e-15)
      // 8 to 0 in 4 s is 16 − (4 − t)².
      const falling = times({ rate: Arrival.ramp({ from: 8, to: 0, seconds: 4 }) })
      assert.lengthOf(falling, 16)
      for (const [i, time] of falling.entries()) assert.closeTo(time, 4 - Math.sqrt(16 - i), 1e-14)
    })

    it("keeps its digits on a ramp that hardly rises", () => {
      const due = times({ rate: Arrival.ramp({ from: 10, to: 10 + 1e-12, seconds: 1000 }), count: 9_999 })
      for (const [i, time] of due.entries()) assert.closeTo(time, i / 10, 1e-10)
    })

    it("never goes back on a ramp, where close positions may be rounded out of order", () => {
      const process = { kind: "gamma", burstiness: 0.01 } as const
      const due = times({ process, rate: Arrival.ramp({ from: 0, to: 100, seconds: 1000 }), count: 50_000 })
      assert.isTrue(due.every((time, i) => i === 0 || time >= (due[i - 1] ?? NaN)))
    })

    it("keeps the pattern of a seed under every rate", () => {
      const process = { kind: "gamma", burstiness: 0.5 } as const
      const pattern = times({ process, rate: Arrival.fixed(1), count: 2_000 })
      const rate = Arrival.ramp({ from: 1, to: 30, seconds: 50 })
      for (const [i, due] of times({ process, rate, count: 2_000 }).entries()) {
        assert.closeTo(expectedArrivals(rate, due), pattern[i] ?? NaN, 1e-9)
      }
    })
  })

  it("gives the same times for the same seed and others for another", () => {
    for (const process of [{ kind: "poisson" }, { kind: "gamma", burstiness: 0.3 }] as const) {
      const drawn = times({ process, count: 1_000 }, 5)
      assert.deepStrictEqual(times({ process, count: 1_000 }, 5), drawn)
      assert.notDeepEqual(times({ process, count: 1_000 }, 6), drawn)
      assert.deepStrictEqual(times({ process, count: 100 }, 5), drawn.slice(0, 100))
    }
  })

  it("keeps order, limits, pauses and the expected count for any process and rate", () => {
    fc.assert(
      fc.property(
        anyProcess,
        anyRate,
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        fc.nat(),
        (process, rate, seconds, seed) => {
          const options = { process, rate, seconds, count: 2_000 }
          const due = times(options, seed)
          const size = process.kind === "burst" ? process.size : 1
          const extent = Arrival.extent(options)
          let last = 0
          for (const [i, time] of due.entries()) {
            assert.isAtLeast(time, last)
            assert.isBelow(time, extent.seconds)
            last = time
            let begin = 0
            for (const segment of rate.segments) {
              const inPause = segment.from === 0 && segment.to === 0 && time >= begin
              assert.isFalse(inPause && time < begin + segment.seconds - 1e-9, "due in a pause")
              begin += segment.seconds
            }
            if (process.kind === "constant" || process.kind === "burst") {
              // A nanosecond at the highest rate
              assert.closeTo(expectedArrivals(rate, time), Math.floor(i / size) * size, 1e-6)
            }
          }
          if (process.kind === "constant") {
            assert.isAtMost(Math.abs(due.length - extent.count), 1)
          }
          assert.isAtMost(due.length, 2_000)
        }
      ),
      { numRuns: 300 }
    )
  })

  it("says what to expect", () => {
    const options = { process: constant, rate: Arrival.fixed(10), seconds: null, count: null }
    const stages = Arrival.stages([
      { rate: 5, seconds: 10 },
      { rate: 0, seconds: 3 }
    ])
    assert.deepStrictEqual(Arrival.extent(options), { count: Infinity, seconds: Infinity })
    assert.deepStrictEqual(Arrival.extent({ ...options, seconds: 6 }), { count: 60, seconds: 6 })
    assert.deepStrictEqual(Arrival.extent({ ...options, seconds: 6, count: 7 }), { count: 7, seconds: 6 })
    assert.deepStrictEqual(Arrival.extent({ ...options, rate: stages }), { count: 50, seconds: 13 })
    assert.deepStrictEqual(Arrival.extent({ ...options, rate: stages, seconds: 4 }), { count: 20, seconds: 4 })
    assert.deepStrictEqual(Arrival.extent({ ...options, rate: Arrival.fixed(Infinity), count: 9 }), {
      count: 9,
      seconds: 0
    })
    const ramp = Arrival.ramp({ from: 0, to: 8, seconds: 4 })
    assert.deepStrictEqual(Arrival.extent({ ...options, rate: ramp, seconds: 6 }), { count: 32, seconds: 6 })
  })

  describe("options", () => {
    it.each<readonly [string, Partial<Arrival.Options>]>([
      ["burstiness must be above 0", { process: { kind: "gamma", burstiness: 0 } }],
      ["burstiness must be above 0", { process: { kind: "gamma", burstiness: NaN } }],
      ["size of a burst must be a whole number", { process: { kind: "burst", size: 2.5 } }],
      ["longer than 0 s", { seconds: 0 }],
      ["longer than 0 s", { seconds: NaN }],
      ["number of requests must be a whole number", { count: 0 }],
      ["number of requests must be a whole number", { count: 1.5 }],
      ["never above 0", { rate: Arrival.fixed(0) }],
      ["0 or more", { rate: Arrival.fixed(-1) }],
      ["0 or more", { rate: Arrival.fixed(NaN) }],
      ["never above 0", { rate: Arrival.stages([]) }],
      ["never above 0", { rate: Arrival.stages([{ rate: 0, seconds: 1 }]) }],
      ["finite", { rate: Arrival.stages([{ rate: Infinity, seconds: 1 }]) }],
      ["last longer than 0 s", { rate: Arrival.ramp({ from: 1, to: 2, seconds: 0 }) }],
      ["an unlimited rate needs a number of requests", { rate: Arrival.fixed(Infinity), seconds: 5 }]
    ])("are refused: %s (%j)", (message, options) => {
      assert.include(problem(make(options)), message)
    })
  })

  describe("text", () => {
    it("reads a ramp", () => {
      assert.deepStrictEqual(
        Result.getOrThrow(Arrival.parseRamp(" 0.5:20:1m30s ")),
        Arrival.ramp({ from: 0.5, to: 20, seconds: 90 })
      )
      assert.deepStrictEqual(
        Result.getOrThrow(Arrival.parseRamp("20:0:60")),
        Arrival.ramp({ from: 20, to: 0, seconds: 60 })
      )
    })

    it("reads stages", () => {
      assert.deepStrictEqual(
        Result.getOrThrow(Arrival.parseStages("5@1m, 0@10s,1e2 @ 500ms")),
        Arrival.stages([
          { rate: 5, seconds: 60 },
          { rate: 0, seconds: 10 },
          { rate: 100, seconds: 0.5 }
        ])
      )
    })

    it.each([
      ["1:2", '"1:2" is not a ramp: write FROM:TO:DURATION'],
      ["1:2:3s:4", "is not a ramp"],
      ["", "is not a ramp"],
      ["x:2:3s", '"x" is not a rate'],
      [":2:3s", '"" is not a rate'],
      ["1:-2:3s", '"-2" is not a rate'],
      ["1:inf:3s", '"inf" is not a rate'],
      ["1:2:soon", '"soon" is not a duration above 0'],
      ["1:2:0s", '"0s" is not a duration above 0'],
      ["0:0:3s", "never above 0"]
    ])("refuses the ramp %j", (text, message) => {
      assert.include(problem(Arrival.parseRamp(text)), message)
    })

    it.each([
      ["", 'stage 1: "" is not RATE@DURATION'],
      ["5@1m,", 'stage 2: "" is not RATE@DURATION'],
      ["5@1m,6", 'stage 2: "6" is not RATE@DURATION'],
      ["5@1m@2m", "stage 1"],
      ["5@1m,fast@2m", 'stage 2: "fast" is not a rate'],
      ["5@1m,6@", 'stage 2: "" is not a duration above 0'],
      ["0@1m,0@2m", "never above 0"]
    ])("refuses the stages %j", (text, message) => {
      assert.include(problem(Arrival.parseStages(text)), message)
    })
  })
})
