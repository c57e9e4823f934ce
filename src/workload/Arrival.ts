/**
 * When the requests of an open loop are due: an arrival process and a rate that may change over time.
 *
 * Each process is drawn with one arrival per unit of an operational time and mapped to seconds through the inverse of
 * the expected number of arrivals Λ(t) = ∫₀ᵗ rate. So every process goes with every rate, and what is random does not
 * depend on the rate. Source: Gerhardt and Nelson, "Transforming renewal processes for simulation of nonstationary
 * arrival processes", INFORMS Journal on Computing 21 (2009). docs/arrivals.md tells what each process is for.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { positions } from "./internal/arrivalGaps.ts"
import type { Process, RateProfile, Segment } from "./internal/arrivalModel.ts"
import { END_TOLERANCE_SECONDS, expectedCount, momentOf } from "./internal/arrivalRate.ts"
import { rampSegment, stageSegments } from "./internal/arrivalText.ts"
import type { PythonRandom } from "./PythonRandom.ts"

/**
 * The names of the arrival processes.
 *
 * @category models
 * @since 0.2.0
 */
export const Kind = Schema.Literals(["constant", "poisson", "gamma", "burst"])

/**
 * @category models
 * @since 0.2.0
 */
export type Kind = typeof Kind.Type

export type { Process, RateProfile, Segment } from "./internal/arrivalModel.ts"

/**
 * What arrives and for how long. The arrivals end with the rate, after `seconds`, or after `count` requests, whichever
 * is first; `null` sets no limit.
 *
 * `count` cuts the sequence off and leaves the due times as they are: the last one is not at count/rate but where chance
 * puts it. Stretching the gaps until their sum fits, as vLLM does, takes out the variance of the total, ties every gap
 * to all the others, and moves every request when the count changes.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly process: Process
  readonly rate: RateProfile
  readonly seconds: number | null
  readonly count: number | null
}

/**
 * Options or text that describe no arrivals.
 *
 * @category errors
 * @since 0.2.0
 */
export class InvalidArrival extends Schema.TaggedError<InvalidArrival>("llmperf/workload/Arrival/InvalidArrival")(
  "InvalidArrival",
  { problem: Schema.String }
) {
  override get message(): string {
    return this.problem
  }
}

/**
 * A sequence of due times that is made while it is read. It is read once: `next` and iteration go on from the same
 * place.
 *
 * - `next()`: when the next request is due, in seconds from the start, never before the one before; `undefined` when
 *   there are no more
 *
 * @category models
 * @since 0.2.0
 */
export interface Arrivals extends Iterable<number> {
  readonly next: () => number | undefined
}

/**
 * A rate that does not change. With `Infinity` all requests are due at 0, whatever the process.
 *
 * @category rates
 * @since 0.2.0
 */
export const fixed = (rate: number): RateProfile => ({ segments: [], afterwards: rate })

/**
 * From one rate to another in a straight line, then on at the second. When that is 0, the arrivals end with the ramp.
 *
 * @category rates
 * @since 0.2.0
 */
export const ramp = (segment: Segment): RateProfile => ({ segments: [segment], afterwards: segment.to })

/**
 * One rate after another; after the last the arrivals end.
 *
 * @category rates
 * @since 0.2.0
 */
export const stages = (parts: ReadonlyArray<{ readonly rate: number; readonly seconds: number }>): RateProfile => ({
  segments: parts.map(({ rate, seconds }) => ({ from: rate, to: rate, seconds })),
  afterwards: 0
})

const rateProblem = ({ afterwards, segments }: RateProfile): string | undefined => {
  for (const { from, seconds, to } of segments) {
    if (!(from >= 0 && from < Infinity && to >= 0 && to < Infinity)) return "a rate must be 0 or more and finite"
    if (!(seconds > 0 && seconds < Infinity)) return "a stage or ramp must last longer than 0 s and end"
  }
  if (!(afterwards >= 0)) return "a rate must be 0 or more"
  if (afterwards === 0 && segments.every(({ from, to }) => from === 0 && to === 0)) {
    return "the rate is never above 0: no request would be sent"
  }
  return undefined
}

const problemOf = ({ count, process, rate, seconds }: Options): string | undefined => {
  if (process.kind === "gamma" && !(process.burstiness > 0 && process.burstiness < Infinity)) {
    return `burstiness must be above 0 and finite, not ${process.burstiness}`
  }
  if (process.kind === "burst" && !(Number.isSafeInteger(process.size) && process.size > 0)) {
    return `the size of a burst must be a whole number above 0, not ${process.size}`
  }
  if (seconds !== null && !(seconds > 0)) return `arrivals must go on for longer than 0 s, not ${seconds}`
  if (count !== null && !(Number.isSafeInteger(count) && count > 0)) {
    return `the number of requests must be a whole number above 0, not ${count}`
  }
  if (rate.afterwards === Infinity && count === null) return "an unlimited rate needs a number of requests"
  return rateProblem(rate)
}

const invalid = (problem: string) => new InvalidArrival({ problem })

const checked = (rate: RateProfile, text: string): Result.Result<RateProfile, InvalidArrival> => {
  const problem = rateProblem(rate)
  return problem === undefined ? Result.succeed(rate) : Result.fail(invalid(`${JSON.stringify(text)}: ${problem}`))
}

/**
 * `FROM:TO:DURATION`, rates in requests per second: `1:20:5m`.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parseRamp = (text: string): Result.Result<RateProfile, InvalidArrival> =>
  Result.flatMap(Result.mapError(rampSegment(text.trim()), invalid), (segment) => checked(ramp(segment), text))

/**
 * `RATE@DURATION`, several separated by commas, rates in requests per second; a rate of 0 is a pause: `5@1m,0@10s,20@30s`.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parseStages = (text: string): Result.Result<RateProfile, InvalidArrival> =>
  Result.flatMap(Result.mapError(stageSegments(text.trim()), invalid), (segments) =>
    checked({ segments, afterwards: 0 }, text)
  )

/**
 * What to expect of the options before anything is drawn: `count`, the mean number of requests, and `seconds`, after
 * which none can be due. Either is `Infinity` when there is no limit. `constant` and `burst` begin at 0 and so may send
 * up to one request or one burst more than `count` says, within the limits.
 *
 * @category getters
 * @since 0.2.0
 */
export const extent = ({ count, rate, seconds }: Options): { readonly count: number; readonly seconds: number } => {
  const limit = seconds ?? Infinity
  const segments = rate.segments.reduce((sum, segment) => sum + segment.seconds, 0)
  const goesOn = rate.afterwards > 0 && rate.afterwards < Infinity
  return {
    count: Math.min(expectedCount(rate, limit), count ?? Infinity),
    seconds: Math.min(goesOn ? Infinity : segments, limit)
  }
}

/**
 * Begins a sequence of due times. All chance comes from `random`, in the order of the requests, so the same seed gives
 * the same times to the last bit, a longer run begins with the times of a shorter one, and another rate keeps the
 * pattern. Give it a generator of its own (`PythonRandom.fork`).
 *
 * A request due less than a nanosecond before `seconds`, or before a change of rate, belongs to what comes after.
 *
 * Fails with `InvalidArrival` when the options describe no arrivals, or a burst without end.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options, random: PythonRandom): Result.Result<Arrivals, InvalidArrival> => {
  const problem = problemOf(options)
  if (problem !== undefined) return Result.fail(invalid(problem))

  const position = positions(options.process, random.random)
  const moment = momentOf(options.rate)
  const end = options.seconds === null ? Infinity : options.seconds - END_TOLERANCE_SECONDS
  let left = options.count ?? Infinity
  let last = 0

  const next = (): number | undefined => {
    if (left <= 0) return undefined
    // Rounding may put a moment on a ramp just before the one before it.
    const due = Math.max(last, moment(position()))
    if (due >= end) {
      left = 0
      return undefined
    }
    left--
    last = due
    return due
  }
  return Result.succeed({
    next,
    *[Symbol.iterator]() {
      for (let due = next(); due !== undefined; due = next()) yield due
    }
  })
}
