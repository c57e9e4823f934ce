import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Sampling from "../../src/domain/Sampling.ts"
import * as Comparison from "../../src/metrics/Comparison.ts"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as RequestSeries from "../../src/metrics/RequestSeries.ts"
import * as Statistics from "../../src/metrics/Statistics.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"
import { type PartResult } from "../internal/Part.ts"
import * as Row from "../internal/Row.ts"

const trials = 500
const resamples = 1_000
/** Other runs than those on which the length of blocks was chosen, whose seeds begin at 0. */
const firstSeed = 1_000
/** A run of so many requests. */
type Draw = (requests: number, uniform: Sampling.Uniform) => RequestSeries.RequestSeries

/** Where runs come from, and the true values of what is compared of them. */
interface Law {
  readonly metric: string
  readonly draw: Draw
  readonly truth: { readonly [statistic: string]: number }
}

const row = (start: number, more: Partial<RequestSeries.RequestRow>): RequestSeries.RequestRow => ({
  start,
  succeeded: true,
  sent: true,
  outputTokens: null,
  inFlight: null,
  values: {},
  ...more
})

const ofLatencies = (requests: number, next: () => number): RequestSeries.RequestSeries =>
  RequestSeries.make(
    Array.from({ length: requests }, (_, start) => row(start, { values: { ttft_s: next() } })),
    { wallSeconds: null, places: null }
  )

const normalP99 = 2.326347874

/** Lognormal, each like the one before it to the degree `likeness` (an AR(1) process under the exponential). */
const lognormal = (likeness: number, median: number, sigma: number): Law => ({
  metric: "ttft_s",
  draw: (requests, uniform) => {
    const fresh = Math.sqrt(1 - likeness * likeness)
    let state = Sampling.normal(uniform)
    return ofLatencies(requests, () => {
      const latency = median * Math.exp(sigma * state)
      state = likeness * state + fresh * Sampling.normal(uniform)
      return latency
    })
  },
  truth: { mean: median * Math.exp((sigma * sigma) / 2), p50: median, p99: median * Math.exp(sigma * normalP99) }
})

/**
 * A queue with one server: what a request waits follows from what the one before it waited and took (Lindley, 1952). The
 * truth is that of a run so long that little of chance is left.
 */
const queue = (load: number): Law => {
  const draw: Draw = (requests, uniform) => {
    let wait = 0
    const step = (): number => {
      const latency = wait + 0.1 + 0.1 * Sampling.exponential(uniform)
      wait = Math.max(0, latency - (0.2 / load) * Sampling.exponential(uniform))
      return latency
    }
    // Until the queue has forgotten that it was empty
    for (let i = 0; i < 500; i++) step()
    return ofLatencies(requests, step)
  }
  const sorted = draw(1_000_000, PythonRandom.make(9).random).distributions.ttft_s.toSorted()
  return {
    metric: "ttft_s",
    draw,
    truth: {
      mean: Statistics.mean(sorted) ?? 0,
      p50: Quantile.quantile(sorted, 0.5) ?? 0,
      p99: Quantile.quantile(sorted, 0.99) ?? 0
    }
  }
}

/** Tokens per second of a closed loop with eight in flight: each slot sends its next request when the last has ended. */
const closedLoop = (secondsPerToken: number): Law => {
  const slots = 8
  const tokens = 100
  const firstToken = 0.3
  return {
    metric: "mean_output_throughput_token_per_s",
    draw: (requests, uniform) => {
      const free = new Float64Array(slots)
      const rows = Array.from({ length: requests }, () => {
        const start = Math.min(...free)
        const outputTokens = Math.round(tokens + 30 * (2 * uniform() - 1))
        const first = firstToken * Math.exp(0.5 * Sampling.normal(uniform) - 0.125)
        const inFlight = first + outputTokens * secondsPerToken
        free[free.indexOf(start)] = start + inFlight
        return row(start, { outputTokens, inFlight })
      })
      return RequestSeries.make(rows, { wallSeconds: Math.max(...free), places: slots })
    },
    truth: { value: (slots * tokens) / (firstToken + tokens * secondsPerToken) }
  }
}

/** Errors that come in bursts of five on average. */
const errors = (rate: number): Law => ({
  metric: "error_rate",
  draw: (requests, uniform) => {
    let failing = uniform() < rate
    const rows = Array.from({ length: requests }, (_, start) => {
      const now = failing
      failing = failing ? uniform() > 0.2 : uniform() < (0.2 * rate) / (1 - rate)
      return row(start, { succeeded: !now })
    })
    return RequestSeries.make(rows, { wallSeconds: null, places: null })
  },
  truth: { value: rate }
})

/** Two laws, and how many requests of each. */
interface Case {
  readonly what: string
  readonly laws: readonly [baseline: Law, candidate: Law]
  readonly requests: readonly [baseline: number, candidate: number]
}

/** The second run has a median 10 % higher and a longer tail. */
const slower = (likeness: number): Case["laws"] => [lognormal(likeness, 0.2, 0.5), lognormal(likeness, 0.22, 0.6)]

const cases = (): ReadonlyArray<Case> => [
  { what: "independent, 300 and 300", laws: slower(0), requests: [300, 300] },
  { what: "independent, 1,000 and 3,000", laws: slower(0), requests: [1_000, 3_000] },
  { what: "alike 0.5, 1,000 and 1,000", laws: slower(0.5), requests: [1_000, 1_000] },
  { what: "alike 0.8, 1,000 and 1,000", laws: slower(0.8), requests: [1_000, 1_000] },
  { what: "alike 0.8, 3,000 and 1,000", laws: slower(0.8), requests: [3_000, 1_000] },
  { what: "alike 0.95, 1,000 and 1,000", laws: slower(0.95), requests: [1_000, 1_000] },
  { what: "queues at 50 % and 60 %, 1,000 and 1,000", laws: [queue(0.5), queue(0.6)], requests: [1_000, 1_000] },
  { what: "queues at 80 % and 85 %, 3,000 and 3,000", laws: [queue(0.8), queue(0.85)], requests: [3_000, 3_000] },
  { what: "tokens/s of a closed loop, 600 and 600", laws: [closedLoop(0.02), closedLoop(0.022)], requests: [600, 600] },
  {
    what: "errors in bursts, 2 % and 4 %, 3,000 and 3,000",
    laws: [errors(0.02), errors(0.04)],
    requests: [3_000, 3_000]
  }
]

/** In how many trials the interval held the true difference, and in how many one was shown where there was none. */
const judge = ({ laws: [before, after], requests, what }: Case, seed: number) => {
  const uniform = PythonRandom.make(seed).random
  const leftOut = new Set(Comparison.metricKeys.filter((key) => key !== before.metric))
  const statistics = Object.keys(before.truth)
  const counts = new Map(statistics.map((name) => [name, { held: 0, alarms: 0 }]))
  for (let trial = 0; trial < trials; trial++) {
    const baseline = before.draw(requests[0], uniform)
    const compare = (law: Law) =>
      Comparison.compare(baseline, law.draw(requests[1], uniform), { seed: trial, resamples, leftOut })[0]
        ?.statistics ?? []
    const changed = compare(after)
    const alike = compare(before)
    for (const [name, count] of counts) {
      const [from, to] = [before.truth[name] ?? NaN, after.truth[name] ?? NaN]
      const found = changed.find(({ statistic }) => statistic === name)
      // As they are shown: shares in percentage points, all else in per cent
      const isShare = before.metric === "error_rate"
      const difference = isShare ? to - from : to / from - 1
      const interval = (isShare ? found?.absolute : found?.relative)?.interval
      if (interval && interval.low <= difference && difference <= interval.high) count.held++
      if (alike.find(({ statistic }) => statistic === name)?.shown !== "none") count.alarms++
    }
  }
  return [...counts].map(([statistic, count]) => ({ what: `${what}: ${statistic}`, ...count }))
}

/** Processor seconds for ten thousand requests with every metric, as `llmperf compare` has it. */
const processorSeconds = (): number => {
  const uniform = PythonRandom.make(1).random
  const run = () => {
    const { ttft_s } = lognormal(0.5, 0.2, 0.5).draw(10_000, uniform).distributions
    const rows = Array.from(ttft_s, (latency, start): RequestSeries.RequestRow => {
      const values = Object.fromEntries(RequestSeries.distributionKeys.map((key) => [key, latency * (1 + uniform())]))
      return row(start, { succeeded: uniform() > 0.01, outputTokens: 100, values })
    })
    return RequestSeries.make(rows, { wallSeconds: 10_000, places: null })
  }
  const [baseline, candidate] = [run(), run()]
  const before = process.cpuUsage()
  Comparison.compare(baseline, candidate, { seed: 1, resamples })
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1e6
}

/** How often the intervals of `llmperf compare` hold the truth, and how often it sees a difference where there is none. */
export const run = Effect.gen(function* () {
  const judged: Array<ReturnType<typeof judge>[number]> = []
  for (const [index, one] of cases().entries()) {
    yield* Console.error(`comparison: ${one.what}`)
    judged.push(...judge(one, firstSeed + index))
  }
  const share = (count: number): ReadonlyArray<number> => [(count / trials) * 100]
  const result: PartResult = {
    name: "comparison",
    settings:
      `${trials} trials a line, ${resamples} resamples; latencies lognormal with neighbours alike (the correlation of their ` +
      "logarithms is given) or those of a queue; so many requests in the first and the second run",
    rows: [
      ...judged.flatMap(({ alarms, held, what }) => [
        Row.absolute(`${what}, intervals that hold the difference`, "%", share(held), { atLeast: 92 }),
        Row.absolute(`${what}, false alarms`, "%", share(alarms), { atMost: 6 })
      ]),
      Row.absolute("processor time, 10,000 requests, every metric, 1,000 resamples", "s", [processorSeconds()], {
        atMost: 5
      })
    ],
    runs: judged
  }
  return result
})
