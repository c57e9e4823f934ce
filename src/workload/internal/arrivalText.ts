import * as Result from "effect/Result"
import { parseSeconds } from "../../domain/DurationText.ts"
import type { Segment } from "./arrivalModel.ts"

const rateOf = (text: string): Result.Result<number, string> => {
  const rate = text.trim() === "" ? Number.NaN : Number(text)
  return rate >= 0 && rate < Infinity
    ? Result.succeed(rate)
    : Result.fail(`${JSON.stringify(text)} is not a rate: write requests per second, 0 or more`)
}

const durationOf = (text: string): Result.Result<number, string> => {
  const seconds = parseSeconds(text)
  return seconds !== undefined && seconds > 0
    ? Result.succeed(seconds)
    : Result.fail(`${JSON.stringify(text)} is not a duration above 0: write 30s, 1m30s or 500ms`)
}

/** One segment from `FROM:TO:DURATION`. */
export const rampSegment = (text: string): Result.Result<Segment, string> => {
  const [from, to, duration, ...rest] = text.split(":")
  if (from === undefined || to === undefined || duration === undefined || rest.length > 0) {
    return Result.fail(`${JSON.stringify(text)} is not a ramp: write FROM:TO:DURATION, such as 1:20:5m`)
  }
  return Result.all({ from: rateOf(from), to: rateOf(to), seconds: durationOf(duration) })
}

const stage = (text: string): Result.Result<Segment, string> => {
  const [rate, duration, ...rest] = text.split("@")
  if (rate === undefined || duration === undefined || rest.length > 0) {
    return Result.fail(`${JSON.stringify(text)} is not RATE@DURATION, such as 5@30s`)
  }
  return Result.map(Result.all({ rate: rateOf(rate), seconds: durationOf(duration) }), ({ rate, seconds }) => ({
    from: rate,
    to: rate,
    seconds
  }))
}

/** Segments from `RATE@DURATION,…`. */
export const stageSegments = (text: string): Result.Result<ReadonlyArray<Segment>, string> =>
  Result.all(
    text
      .split(",")
      .map((part, index) => Result.mapError(stage(part.trim()), (problem) => `stage ${index + 1}: ${problem}`))
  )
