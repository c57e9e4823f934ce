import * as Sampling from "../../src/domain/Sampling.ts"
import * as RequestSeries from "../../src/metrics/RequestSeries.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"

export const uniformOf = (seed: number): Sampling.Uniform => PythonRandom.make(seed).random

/** Lognormal latencies around 0.2 s, each like the one before it to the degree `likeness`. */
export const autoregressive = (requests: number, likeness: number, uniform: Sampling.Uniform): Float64Array => {
  let state = Sampling.normal(uniform)
  return Float64Array.from({ length: requests }, () => {
    const latency = 0.2 * Math.exp(0.5 * state)
    state = likeness * state + Math.sqrt(1 - likeness * likeness) * Sampling.normal(uniform)
    return latency
  })
}

/** A run in which requests are sent one a second and have these TTFTs. */
export const runOf = (ttfts: ReadonlyArray<number> | Float64Array): RequestSeries.RequestSeries =>
  RequestSeries.make(
    Array.from(ttfts, (ttft_s, start) => ({
      start,
      succeeded: true,
      sent: true,
      outputTokens: 10,
      inFlight: 1,
      values: { ttft_s }
    })),
    { wallSeconds: ttfts.length, places: null }
  )
