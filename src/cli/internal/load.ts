import { availableParallelism } from "node:os"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { type LoadTestConfig, type ReplayConfig, type RunConfig } from "../../domain/RunConfig.ts"
import * as DurationText from "../../domain/DurationText.ts"
import { type CountTokens } from "../../domain/TokenSource.ts"
import { type Schedule } from "../../domain/Schedule.ts"
import type * as Replay from "../../engine/Replay.ts"
import type * as Capacity from "../../fleet/Capacity.ts"
import * as Arrival from "../../workload/Arrival.ts"
import * as Progress from "../../output/Progress.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import * as Prompt from "../../workload/Prompt.ts"
import * as ScheduleEdit from "../../workload/ScheduleEdit.ts"
import * as ScheduleFile from "../../workload/ScheduleFile.ts"
import { Tokenizer } from "../../workload/Tokenizer.ts"
import * as Workload from "../../workload/Workload.ts"
import { usage } from "../CommandError.ts"
import { type workload } from "../flags.ts"
import { arrivalsOf, draw, editsOf, ratesOf } from "./scheduleInput.ts"

export type WorkloadInput = Command.Command.Config.Infer<typeof workload>

/** A number of requests kept in flight, or requests that are sent when they are due. */
export type Load = ClosedLoad | OpenLoad

export interface ClosedLoad {
  readonly _tag: "Closed"
  readonly config: LoadTestConfig
}

/** `shape` says in a few words what is sent when; `timeoutFlag` is what the user sets a limit with. */
export interface OpenLoad {
  readonly _tag: "Open"
  readonly config: ReplayConfig
  readonly schedule: Schedule
  readonly origin: Replay.FromFile | Replay.FromArrivals
  readonly shape: string
  readonly timeoutFlag: string
}

/** Whose count of output tokens leads: LLMPerf counts with its tokenizer whatever the server says. */
export const countTokensOf = ({
  countTokens,
  promptMode
}: Pick<WorkloadInput, "countTokens" | "promptMode">): CountTokens =>
  countTokens.given || promptMode === "exact" ? countTokens.value : "tokenizer"

/** How long requests arrive when nothing else ends them. */
const DEFAULT_DURATION_SECONDS = 60

type Given = ReadonlyArray<readonly [flag: string, given: boolean]>

const namesOf = (given: Given): ReadonlyArray<string> => given.flatMap(([flag, isGiven]) => (isGiven ? [flag] : []))

const some = (option: Option.Option<unknown>): boolean => Option.isSome(option)

/** Flags that mean something only with `--schedule-file`. */
const ofFiles = (input: WorkloadInput): Given => [
  ["--map", some(input.map)],
  ["--from", some(input.from)],
  ["--to", some(input.to)],
  ["--speed", some(input.speed)],
  ["--loop", some(input.loop)],
  ["--max-rate", some(input.maxRate)],
  ["--limit", some(input.limit)],
  ["--scale-input", some(input.scaleInput)],
  ["--scale-output", some(input.scaleOutput)],
  ["--schedule-timeout", some(input.scheduleTimeout)],
  ["--no-schedule-file-subdir", !input.scheduleFileSubdir]
]

/** Flags that mean something only with a rate. */
const ofRates = (input: WorkloadInput): Given => [
  ["--arrival", input.arrival.given],
  ["--burstiness", some(input.burstiness)],
  ["--burst-size", some(input.burstSize)],
  ["--duration", some(input.duration)]
]

/** Flags that mean something only in an open loop. */
const ofOpenLoops = (input: WorkloadInput): Given => [
  ["--max-in-flight", some(input.maxInFlight)],
  ["--when-full", input.whenFull.given],
  ["--max-sampled-requests-per-second", some(input.maxSampledRequestsPerSecond)]
]

/** What LLMPerf leaves aside in schedule mode, in its order. */
const ignoredWithFile = (input: WorkloadInput): ReadonlyArray<string> =>
  namesOf([
    ["--stddev-input-tokens", input.stddevInputTokens.given],
    ["--stddev-output-tokens", input.stddevOutputTokens.given],
    ["--num-concurrent-requests", input.numConcurrentRequests.given],
    ["--timeout (--schedule-timeout sets one)", input.timeout.given],
    ["--max-num-completed-requests", input.maxNumCompletedRequests.given],
    ["--mean-input-tokens", input.meanInputTokens.given],
    ["--mean-output-tokens", input.meanOutputTokens.given]
  ])

const goesWith = (flags: ReadonlyArray<string>, what: string) =>
  flags.length === 0 ? Effect.void : Effect.fail(usage(`${flags.join(", ")}: only with ${what}`))

const openConfig = Effect.fnUntraced(function* (input: WorkloadInput, run: RunConfig, timeoutSeconds: number | null) {
  if (input.whenFull.given && Option.isNone(input.maxInFlight)) {
    return yield* usage("--when-full says what happens when --max-in-flight is reached: give that too")
  }
  const config: ReplayConfig = {
    ...run,
    timeoutSeconds,
    maxInFlight: Option.getOrNull(input.maxInFlight),
    whenFull: input.whenFull.value,
    maxSampledRequestsPerSecond: Option.getOrNull(input.maxSampledRequestsPerSecond)
  }
  return config
})

const spreadsOf = (input: WorkloadInput) => ({
  meanInputTokens: input.meanInputTokens.value,
  stddevInputTokens: input.stddevInputTokens.value,
  meanOutputTokens: input.meanOutputTokens.value,
  stddevOutputTokens: input.stddevOutputTokens.value
})

const closed = Effect.fnUntraced(function* (input: WorkloadInput, run: RunConfig) {
  yield* goesWith(namesOf(ofRates(input)), "--request-rate, --ramp or --stages")
  yield* goesWith(namesOf(ofOpenLoops(input)), "an open loop: --schedule-file, --request-rate, --ramp or --stages")
  const load: ClosedLoad = {
    _tag: "Closed",
    config: {
      ...run,
      ...spreadsOf(input),
      numConcurrentRequests: input.numConcurrentRequests.value,
      maxNumCompletedRequests: input.maxNumCompletedRequests.value,
      timeoutSeconds: input.timeout.value
    }
  }
  return load
})

const rateText = (rate: Arrival.RateProfile): string => {
  const [first, ...others] = rate.segments
  if (first === undefined) return `${rate.afterwards} requests/s`
  if (others.length === 0 && first.from !== first.to) {
    return `${first.from} to ${first.to} requests/s over ${first.seconds} s`
  }
  return `${rate.segments.map(({ from, seconds }) => `${from}@${seconds}s`).join(",")} requests/s`
}

const drawn = Effect.fnUntraced(function* (input: WorkloadInput, run: RunConfig) {
  if (input.numConcurrentRequests.given) {
    return yield* usage(
      "--num-concurrent-requests keeps a number of requests in flight; with a rate there is --max-in-flight"
    )
  }
  const count = input.maxNumCompletedRequests.given ? input.maxNumCompletedRequests.value : null
  const asked = yield* arrivalsOf(input, count)
  const isEndless = Arrival.extent(asked).count === Infinity
  const arrivals = isEndless ? { ...asked, seconds: DEFAULT_DURATION_SECONDS } : asked
  const spreads = spreadsOf(input)
  const schedule = yield* draw({
    input: { mean: spreads.meanInputTokens, stddev: spreads.stddevInputTokens },
    output: { mean: spreads.meanOutputTokens, stddev: spreads.stddevOutputTokens },
    arrivals,
    conversations: null,
    promptMode: run.promptMode,
    samePrompts: run.samePrompts ?? false,
    seed: run.seed,
    countFlag: "--max-num-completed-requests"
  })
  const process = arrivals.process
  const load: OpenLoad = {
    _tag: "Open",
    config: yield* openConfig(input, run, input.timeout.given ? input.timeout.value : null),
    schedule,
    origin: {
      _tag: "Arrivals",
      ...spreads,
      details: {
        request_rate: rateText(arrivals.rate),
        arrival: process.kind,
        burstiness: process.kind === "gamma" ? process.burstiness : null,
        burst_size: process.kind === "burst" ? process.size : null,
        duration_s: arrivals.seconds,
        max_num_completed_requests: count,
        ...ResultFiles.expectedLengths(yield* Workload.expectedLengths({ ...run, ...spreads }))
      }
    },
    shape: `${rateText(arrivals.rate)}, ${process.kind} arrivals`,
    timeoutFlag: "--timeout"
  }
  return load
})

const fromFile = Effect.fnUntraced(
  function* (input: WorkloadInput, run: RunConfig, path: string) {
    if (ratesOf(input).length > 0) {
      return yield* usage("Give either --schedule-file or a rate (--request-rate, --ramp, --stages), not both")
    }
    yield* goesWith(namesOf(ofRates(input)), "--request-rate, --ramp or --stages")
    const edits = editsOf(input)
    const nonceSeed = run.samePrompts === true ? undefined : run.seed
    const { minimumInputTokens } = Prompt.make(run.promptMode, yield* Tokenizer, { nonceSeed })
    const loaded = yield* ScheduleFile.load(path, {
      mapping: Option.getOrUndefined(input.map),
      // Lengths that are still to be changed are checked when they are
      minimumInputTokens: edits.scaleInput === null ? minimumInputTokens : undefined
    })
    const edited = yield* Effect.fromResult(ScheduleEdit.apply(loaded.schedule, edits))
    const changes = Object.entries(edits).filter(([, value]) => value !== null)
    const verbatim =
      loaded.format.name === "llmperf" && loaded.syntax === "csv" && !loaded.compressed && changes.length === 0
    const ignored = ignoredWithFile(input)
    if (ignored.length > 0 && !input.quiet) {
      yield* Console.error(`Without effect, because the requests come from --schedule-file: ${ignored.join(", ")}`)
    }
    if (loaded.skipped > 0 && !input.quiet) {
      yield* Console.error(`${loaded.skipped} of ${loaded.rows} rows of ${path} are left out: ${loaded.skippedWhat}`)
    }
    const load: OpenLoad = {
      _tag: "Open",
      config: yield* openConfig(input, run, Option.getOrNull(input.scheduleTimeout)),
      // A request is known by its row in the schedule.csv that the run keeps
      schedule: verbatim ? edited : { ...edited, id: edited.id.map((_, row) => row + 1) },
      origin: {
        _tag: "File",
        path,
        verbatim,
        subdir: input.scheduleFileSubdir,
        portable: false,
        details: { schedule_format: loaded.format.name, schedule_changes: Object.fromEntries(changes) }
      },
      shape: path,
      timeoutFlag: "--schedule-timeout"
    }
    return load
  },
  Effect.catchTags({
    ScheduleError: (error) => Effect.fail(usage(error.message)),
    EditError: (error) => Effect.fail(usage(error.message))
  })
)

/** What the flags ask for, checked: contradictions and bad files end here, before anything is sent. */
export const resolve = Effect.fnUntraced(function* (input: WorkloadInput, run: RunConfig) {
  if (Option.isSome(input.scheduleFile)) return yield* fromFile(input, run, input.scheduleFile.value)
  yield* goesWith(namesOf(ofFiles(input)), "--schedule-file")
  return ratesOf(input).length > 0 ? yield* drawn(input, run) : yield* closed(input, run)
})

/** Says that the test will end after as many requests as nobody asked for, where a time was asked for. */
export const warnOfEnd = ({ maxNumCompletedRequests, quiet, timeout }: WorkloadInput, load: Load) =>
  load._tag === "Open" || !timeout.given || maxNumCompletedRequests.given || quiet
    ? Effect.void
    : Console.error(
        `The test ends after ${maxNumCompletedRequests.value} requests, the default of --max-num-completed-requests, or after ` +
          `--timeout ${DurationText.fromSeconds(timeout.value)}, whichever comes first. To send for that long, give a larger --max-num-completed-requests.`
      )

/** By so much of itself, or one token, the mean may become another one without a word, and the deviation by so much of itself. */
const TOLERANCE = { mean: 0.05, stddev: 0.1 }

interface Spread {
  readonly mean: number
  readonly stddev: number
}

const expectedText = (what: string, asked: Spread, expected: Spread, minimum: number): ReadonlyArray<string> =>
  Math.abs(expected.mean - asked.mean) <= Math.max(1, TOLERANCE.mean * asked.mean) &&
  Math.abs(expected.stddev - asked.stddev) <= TOLERANCE.stddev * asked.stddev
    ? []
    : [
        `${what} tokens: ${asked.mean} ± ${asked.stddev} become about ${expected.mean.toFixed(0)} ± ${expected.stddev.toFixed(0)}, because lengths below ${minimum} are drawn again`
      ]

/** Says what drawn lengths come to, where that is not what was asked for. */
export const sayExpected = Effect.fnUntraced(function* (load: Load) {
  const lengths = load._tag === "Closed" ? load.config : load.origin._tag === "Arrivals" ? load.origin : null
  if (lengths === null) return
  const { meanInputTokens, meanOutputTokens, stddevInputTokens, stddevOutputTokens } = lengths
  const { input, minimumInputTokens, output } = yield* Workload.expectedLengths({ ...load.config, ...lengths })
  const said = [
    ...expectedText("Input", { mean: meanInputTokens, stddev: stddevInputTokens }, input, minimumInputTokens),
    ...expectedText("Output", { mean: meanOutputTokens, stddev: stddevOutputTokens }, output, 1)
  ]
  for (const text of said) yield* Console.error(text)
})

/** How many requests there will be. */
export const plannedOf = (load: Load): number =>
  load._tag === "Closed" ? load.config.maxNumCompletedRequests : load.schedule.length

/** Most requests in flight, `null` for no limit. */
export const placesOf = (load: Load): number | null =>
  load._tag === "Closed" ? load.config.numConcurrentRequests : load.config.maxInFlight

/** When the requests of an open loop are due. */
export const scheduleOf = (load: Load): Progress.Schedule | null =>
  load._tag === "Closed" ? null : Progress.scheduleOf(load.schedule.offsetSeconds)

/** More senders than that have nothing to send, and what limits them. */
const mostSenders = (load: Load): { readonly most: number; readonly because: string } => {
  const planned = plannedOf(load)
  const places = placesOf(load)
  const flag = load._tag === "Closed" ? "--num-concurrent-requests" : "--max-in-flight"
  return places !== null && places <= planned
    ? { most: places, because: `only ${places} requests are in flight at a time (${flag})` }
    : { most: planned, because: `there are only ${planned} requests` }
}

/**
 * How many threads send the load. `auto` is one for every two processors that this process may use, because each has a thread
 * beside it that counts tokens; at least one, and none that would have nothing to send.
 */
export const workersOf = (asked: number | "auto", load: Load) => {
  const { because, most } = mostSenders(load)
  if (asked === "auto") return Effect.succeed(Math.max(1, Math.min(most, Math.floor(availableParallelism() / 2))))
  return asked > Math.max(1, most) ? Effect.fail(usage(`--workers ${asked}: ${because}`)) : Effect.succeed(asked)
}

/** Refuses more agents than there is work for. */
export const checkAgents = (count: number, load: Load) => {
  const { because, most } = mostSenders(load)
  return count > most ? Effect.fail(usage(`${count} agents: ${because}`)) : Effect.void
}

/** What one of several agents is to carry at its busiest, as far as it is known before the run. */
export const shareOf = (load: Load, agents: number): Capacity.Share => {
  if (load._tag === "Closed") {
    return { inFlight: load.config.numConcurrentRequests / agents, requestsPerSecond: null, tokensPerSecond: null }
  }
  const { length, outputTokens } = load.schedule
  const perSecond = busiestSecond(load.schedule) / agents
  let tokens = 0
  for (let row = 0; row < length; row++) tokens += outputTokens[row] ?? 0
  return { inFlight: null, requestsPerSecond: perSecond, tokensPerSecond: (perSecond * tokens) / Math.max(1, length) }
}

const MOST_CONNECTIONS = 1_000

const busiestSecond = ({ length, offsetSeconds }: Schedule): number => {
  let most = 0
  let first = 0
  for (let row = 0; row < length; row++) {
    while ((offsetSeconds[row] ?? 0) - (offsetSeconds[first] ?? 0) >= 1) first++
    most = Math.max(most, row - first + 1)
  }
  return most
}

/** How many connections are worth opening ahead. */
export const connectionsOf = (load: Load): number =>
  load._tag === "Closed"
    ? Math.min(load.config.numConcurrentRequests, load.config.maxNumCompletedRequests)
    : Math.min(busiestSecond(load.schedule), load.config.maxInFlight ?? MOST_CONNECTIONS, MOST_CONNECTIONS)
