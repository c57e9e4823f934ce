import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { MOST_SECONDS } from "../../domain/DurationText.ts"
import * as Arrival from "../../workload/Arrival.ts"
import * as Prompt from "../../workload/Prompt.ts"
import * as PythonRandom from "../../workload/PythonRandom.ts"
import type * as ScheduleEdit from "../../workload/ScheduleEdit.ts"
import { MAXIMUM_ROWS } from "../../workload/ScheduleEdit.ts"
import { Tokenizer } from "../../workload/Tokenizer.ts"
import * as Synthetic from "../../workload/trace/Synthetic.ts"
import { usage } from "../CommandError.ts"
import { type arrivals, type scheduleEdits } from "./scheduleFlags.ts"

export type EditInput = Command.Command.Config.Infer<typeof scheduleEdits>
export type ArrivalInput = Command.Command.Config.Infer<typeof arrivals>

/** The flags that change a schedule, as changes. */
export const editsOf = (input: EditInput): ScheduleEdit.Edits => ({
  from: Option.getOrNull(input.from),
  to: Option.getOrNull(input.to),
  speed: Option.getOrNull(input.speed),
  loop: Option.getOrNull(input.loop),
  maxRate: Option.getOrNull(input.maxRate),
  limit: Option.getOrNull(input.limit),
  scaleInput: Option.getOrNull(input.scaleInput),
  scaleOutput: Option.getOrNull(input.scaleOutput)
})

/** Every rate that was asked for; there must be one. */
export const ratesOf = (input: ArrivalInput): ReadonlyArray<Arrival.RateProfile> =>
  [Option.map(input.requestRate, Arrival.fixed), input.ramp, input.stages].flatMap(Option.toArray)

const rateOf = (input: ArrivalInput) => {
  const given = ratesOf(input)
  const [rate] = given
  return rate === undefined || given.length > 1
    ? Effect.fail(usage("Give one of --request-rate, --ramp and --stages"))
    : Effect.succeed(rate)
}

const processOf = ({ arrival: { value: kind }, burstiness, burstSize }: ArrivalInput) => {
  if (Option.isSome(burstiness) !== (kind === "gamma")) {
    return Effect.fail(usage("--burstiness goes with --arrival gamma, and only with it"))
  }
  if (Option.isSome(burstSize) !== (kind === "burst")) {
    return Effect.fail(usage("--burst-size goes with --arrival burst, and only with it"))
  }
  const process: Arrival.Process =
    kind === "gamma"
      ? { kind, burstiness: Option.getOrElse(burstiness, () => 1) }
      : kind === "burst"
        ? { kind, size: Option.getOrElse(burstSize, () => 1) }
        : { kind }
  return Effect.succeed(process)
}

/** The arrivals that the flags ask for, at most `count` of them. */
export const arrivalsOf = Effect.fnUntraced(function* (input: ArrivalInput, count: number | null) {
  const process = yield* processOf(input)
  const rate = yield* rateOf(input)
  const options: Arrival.Options = { process, rate, seconds: Option.getOrNull(input.duration), count }
  return options
})

/** What is drawn along arrivals; lengths in tokens. */
export interface Drawing {
  readonly arrivals: Arrival.Options
  readonly input: { readonly mean: number; readonly stddev: number }
  readonly output: { readonly mean: number; readonly stddev: number }
  readonly conversations: Synthetic.Conversations | null
  readonly promptMode: "exact" | "llmperf"
  readonly samePrompts: boolean
  readonly seed: number
  /** How the user says how many requests arrive at most. */
  readonly countFlag: string
}

/**
 * The schedule that a seed gives. The same one for every command, so that `schedule generate` shows what a load test with
 * the same flags sends.
 */
export const draw = Effect.fnUntraced(
  function* ({ arrivals, conversations, countFlag, input, output, promptMode, samePrompts, seed }: Drawing) {
    const random = PythonRandom.make(seed)
    const moments = yield* Effect.fromResult(Arrival.make(arrivals, random.fork("arrivals")))
    const expected = Arrival.extent(arrivals).count * (conversations?.turns ?? 1)
    if (!(expected <= MAXIMUM_ROWS)) {
      return yield* usage(
        expected === Infinity
          ? `The requests have no end: give --duration or ${countFlag}`
          : `About ${expected.toFixed(0)} requests are too many: at most ${MAXIMUM_ROWS} can be made`
      )
    }
    const nonceSeed = samePrompts ? undefined : seed
    const { minimumInputTokens } = Prompt.make(promptMode, yield* Tokenizer, { nonceSeed })
    const shortest = minimumInputTokens(output.mean)
    if (input.mean < shortest) {
      return yield* new Prompt.TooShort({
        inputTokens: input.mean,
        minimumInputTokens: shortest,
        outputTokens: output.mean
      })
    }
    const schedule = yield* Effect.fromResult(
      Synthetic.make({ arrivals: moments, input, output, minimumInputTokens, conversations }, random)
    )
    if (schedule.length === 0) {
      return yield* usage("No request arrives in that time: give a longer --duration, a higher rate or another --seed")
    }
    const last = schedule.offsetSeconds[schedule.length - 1] ?? 0
    return last <= MOST_SECONDS
      ? schedule
      : yield* usage(
          `The last request would be due after ${last} s, and ${MOST_SECONDS} s are the most: give a higher rate`
        )
  },
  Effect.catchTags({
    InvalidArrival: (error) => Effect.fail(usage(error.message)),
    TooShort: (error) => Effect.fail(usage(error.message)),
    ImpossibleLength: (error) => Effect.fail(usage(error.message))
  })
)
