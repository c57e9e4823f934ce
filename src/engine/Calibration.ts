/**
 * How much the client itself adds to what it measures, on this machine and at a given load.
 *
 * The runs are real ones: the same engine, transport and adapter as in a test. They go to a `NullServer`, whose stamps are
 * then compared with the client's.
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { performance } from "node:perf_hooks"
import { type Busy, type Limits, type LoadCalibration, type Machine, type Shape } from "../domain/CalibrationResults.ts"
import { type LlmError } from "../domain/LlmError.ts"
import { type LoadTestConfig, type ReplayConfig, type RunConfig } from "../domain/RunConfig.ts"
import { type Schedule } from "../domain/Schedule.ts"
import * as AddedLatency from "../metrics/AddedLatency.ts"
import * as Ndjson from "../output/Ndjson.ts"
import { fromPlatformError, type OutputError } from "../output/OutputError.ts"
import { type FolderInUse } from "../output/RunLock.ts"
import * as OpenAi from "../provider/OpenAi.ts"
import { Provider } from "../provider/Provider.ts"
import { type Transport } from "../provider/Transport.ts"
import { type NullServer, type NullServerError, type Pace } from "../simulator/NullServer.ts"
import { type PromptError } from "../workload/Prompt.ts"
import { type PromptMaker } from "../workload/PromptMaker.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type Tokenizer, type TokenizerError } from "../workload/Tokenizer.ts"
import * as CalibrationLimits from "./internal/calibrationLimits.ts"
import { busiest } from "./internal/calibrationWindow.ts"
import { type Observed, observing } from "./internal/observedProvider.ts"
import { watchOthers } from "./internal/machineLoad.ts"
import { thisMachine } from "./internal/thisMachine.ts"
import * as LoadTest from "./LoadTest.ts"
import * as Replay from "./Replay.ts"
import { requestIdOf } from "./RequestId.ts"
import { type RunResult } from "./RunResult.ts"
import * as WarmUp from "./WarmUp.ts"

/**
 * The header that a null server knows requests by.
 *
 * @category constants
 * @since 0.2.0
 */
export const REQUEST_ID_HEADER = "x-request-id"

/**
 * What a calibration on this machine holds for.
 *
 * @category constructors
 * @since 0.2.0
 */
export const machine = (llmperfVersion: string): Effect.Effect<Machine> => thisMachine(llmperfVersion)

/**
 * What can go wrong in a run that is measured.
 *
 * @category errors
 * @since 0.2.0
 */
export type CalibrationError =
  | NullServerError
  | LlmError
  | PromptError
  | TokenizerError
  | OutputError
  | FolderInUse
  | Ndjson.RecordsError

/**
 * - `server`: who answers, `pace`: how fast
 * - `seconds`: how long the load is kept up; then what is in flight is cancelled
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly server: NullServer
  readonly pace: Pace
  readonly seconds: number
}

/** Most requests of a load: so many prompts are made before the clock starts, and none while it runs. */
const MOST_PLANNED = 4_096

/** How many requests a closed loop may need for some seconds: twice what it needs when all answers have the mean length. */
const plannedFor = (config: LoadTestConfig, { pace, seconds }: Options): number => {
  // Besides the server's, every request takes the client's own time
  const each = pace.ttftSeconds + pace.itlSeconds * config.meanOutputTokens + config.numConcurrentRequests * 1.5e-4
  const rounds = Math.ceil((2 * seconds) / each) + 1
  return Math.max(config.numConcurrentRequests, Math.min(MOST_PLANNED, rounds * config.numConcurrentRequests))
}

const meanOf = (values: Uint32Array): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length

/** How a run is set for a calibration, whatever it was to send where. */
const settings = (seconds: number) => ({
  requestIdHeader: REQUEST_ID_HEADER,
  timeoutSeconds: seconds,
  graceSeconds: 0,
  warmup: false,
  warmupRequests: 0
})

interface Measured {
  readonly result: RunResult
  readonly difference: AddedLatency.Difference
  readonly durationSeconds: number
  readonly tokens: number
  readonly busy: Busy
}

/** Runs something against the server, and compares. `settling`: the part of the time at its begin that is not compared. */
const measured = Effect.fnUntraced(function* <E, R>(
  { pace, server }: Options,
  config: RunConfig,
  warmUp: number,
  settling: number,
  run: Effect.Effect<RunResult, E, R>
): Effect.fn.Return<Measured, E | NullServerError | LlmError, Exclude<R, Provider> | Transport> {
  const idOf = requestIdOf(config.runId)
  const seen = new Map<string, Observed>()
  const provider = yield* OpenAi.make({
    apiBase: server.apiBase(pace),
    apiKey: null,
    model: config.model,
    samplingParams: config.additionalSamplingParams,
    requestId: { header: REQUEST_ID_HEADER, of: idOf }
  })
  if (warmUp > 0) {
    yield* WarmUp.run({ client: true, concurrency: warmUp, requests: [], requestTimeoutSeconds: null }).pipe(
      Effect.provideService(Provider, provider)
    )
  }
  yield* server.takeStamps
  const utilization = performance.eventLoopUtilization()
  const others = watchOthers()
  const result = yield* Effect.provideService(run, Provider, observing(provider, idOf, seen))
  const busyShare = performance.eventLoopUtilization(utilization).utilization
  const stamps = yield* server.takeStamps

  let first = Infinity
  let last = 0
  let tokens = 0
  for (const [id, { chunkAt, sentAt }] of seen) {
    // Those that were cancelled before they were written
    if (sentAt === 0) seen.delete(id)
    else {
      first = Math.min(first, sentAt)
      last = Math.max(last, chunkAt.at(-1) ?? sentAt)
      tokens += chunkAt.length
    }
  }
  const nanos = Math.max(0, last - first)
  return {
    result,
    difference: AddedLatency.between(seen, stamps.exchanges, first + settling * nanos),
    durationSeconds: nanos / 1e9,
    tokens,
    busy: { client: busyShare, server: stamps.busyShare, others: others(stamps.cpuSeconds) }
  }
})

const ratio = (amount: number, seconds: number): number => (seconds > 0 ? amount / seconds : 0)

/** All rows of a run, of those that were cancelled too. */
const rowsOf = ({ files }: RunResult) => Stream.runCollect(Ndjson.read(files.at(-1) ?? ""))

/** What the run of a load is, whatever its loop. `run` is given the folder for its files. */
interface LoadRun<E, R> {
  readonly config: RunConfig
  readonly shape: Shape
  readonly connections: number
  readonly run: (resultsDir: string) => Effect.Effect<RunResult, E, R>
}

const measureRun = Effect.fnUntraced(function* <E, R>(
  { config, connections, run, shape }: LoadRun<E, R>,
  options: Options
) {
  const fs = yield* FileSystem.FileSystem
  const resultsDir = yield* Effect.mapError(
    fs.makeTempDirectoryScoped({ prefix: "llmperf-calibrate-" }),
    fromPlatformError("a temporary folder")
  )
  const { busy, difference, durationSeconds, result, tokens } = yield* measured(
    options,
    config,
    connections,
    0,
    run(resultsDir)
  )
  const rows = (yield* rowsOf(result)).filter(({ sent_offset_s }) => sent_offset_s !== null)
  return {
    measured_at: DateTime.formatIso(yield* DateTime.now),
    shape,
    weight: {
      kind: shape.kind,
      in_flight: result.summary.max_requests_in_flight,
      requests_per_s: ratio(rows.length, durationSeconds),
      tokens_per_s: ratio(tokens, durationSeconds)
    },
    duration_s: durationSeconds,
    requests: rows.length,
    failed_requests: rows.filter(({ error_reason }) => error_reason !== null && error_reason !== "Cancelled").length,
    lost_tokens: difference.lostTokens,
    added: difference.added,
    lag_s: AddedLatency.spread(rows.flatMap(({ dispatch_lag_s }) => dispatch_lag_s ?? [])),
    busy
  } satisfies LoadCalibration
}, Effect.scoped)

/**
 * Measures what the client adds at a closed loop: the same configuration, the same engine, for `seconds` seconds (or 4,096
 * requests, if that is less) and against the null server.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measureClosed = Effect.fn("Calibration.measureClosed")(function* (
  given: LoadTestConfig,
  options: Options
): Effect.fn.Return<
  LoadCalibration,
  CalibrationError,
  Transport | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path
> {
  const config: LoadTestConfig = {
    ...given,
    ...settings(options.seconds),
    maxNumCompletedRequests: plannedFor(given, options)
  }
  return yield* measureRun(
    {
      config,
      connections: config.numConcurrentRequests,
      run: (resultsDir) => LoadTest.run({ config: { ...config, resultsDir } }),
      shape: {
        kind: "closed",
        concurrency: config.numConcurrentRequests,
        requests_per_s: null,
        input_tokens: config.meanInputTokens,
        output_tokens: config.meanOutputTokens,
        ttft_s: options.pace.ttftSeconds,
        itl_s: options.pace.itlSeconds
      }
    },
    options
  )
})

/**
 * The same of an open loop: the `seconds` seconds of the schedule in which most requests are due.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measureOpen = Effect.fn("Calibration.measureOpen")(function* (
  given: ReplayConfig,
  schedule: Schedule,
  options: Options
): Effect.fn.Return<
  LoadCalibration,
  CalibrationError,
  Transport | TokenCounter | PromptMaker | FileSystem.FileSystem | Path.Path
> {
  const { pace, seconds } = options
  const config: ReplayConfig = { ...given, ...settings(seconds) }
  const part = busiest(schedule, seconds)
  const lengths = { input: meanOf(part.inputTokens), output: meanOf(part.outputTokens) }
  const requestsPerSecond = part.length / seconds
  return yield* measureRun(
    {
      config,
      connections: Math.ceil(requestsPerSecond),
      run: (resultsDir) =>
        Replay.run({
          config: { ...config, resultsDir },
          schedule: part,
          origin: {
            _tag: "Arrivals",
            meanInputTokens: Math.round(lengths.input),
            stddevInputTokens: 0,
            meanOutputTokens: Math.round(lengths.output),
            stddevOutputTokens: 0,
            details: {}
          }
        }),
      shape: {
        kind: "open",
        concurrency: null,
        requests_per_s: requestsPerSecond,
        input_tokens: lengths.input,
        output_tokens: lengths.output,
        ttft_s: pace.ttftSeconds,
        itl_s: pace.itlSeconds
      }
    },
    options
  )
})

/** In flight, from step to step. */
const REQUEST_STEPS = [4, 16, 64, 256]
const PACED_STEPS = [100, 200, 400, 600, 900, 1_300, 2_000]
const UNPACED_STREAMS = 32
const PACED: Pace = { ttftSeconds: 0.05, itlSeconds: 0.02 }
const UNPACED: Pace = { ttftSeconds: 0, itlSeconds: 0 }
/** Of the time of a step: until all streams have begun. */
const SETTLING = 0.4
/** The part of the tokens that are due that must come. */
const KEPT_UP = 0.9

const stepConfig = (runId: string, concurrency: number, count: number, outputTokens: number): LoadTestConfig => ({
  ...settings(1),
  runId,
  model: "null",
  llmApi: "openai",
  requestTimeoutSeconds: null,
  additionalSamplingParams: {},
  metadata: {},
  seed: 1,
  promptMode: "exact",
  countTokens: "tokenizer",
  resultsDir: null,
  meanInputTokens: 64,
  stddevInputTokens: 0,
  meanOutputTokens: outputTokens,
  stddevOutputTokens: 0,
  numConcurrentRequests: concurrency,
  maxNumCompletedRequests: count
})

/** Enough for a server that takes no time at all, unless one thread could do more than ten thousand in a second. */
const requestsIn = (seconds: number): number => Math.min(MOST_PLANNED, Math.max(256, Math.ceil(seconds * 10_000)))

const stepOf = ({ busy, durationSeconds }: Measured, amount: number, inFlight: number): CalibrationLimits.Step => ({
  perSecond: ratio(amount, durationSeconds),
  inFlight,
  busy
})

/**
 * Measures what the machine can do at most, in about `seconds` seconds: steps of a rising load, each as long as the others,
 * until the next would bring no more. `runId` begins the ids of the requests; `onStep` is told what comes next.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measureLimits = Effect.fn("Calibration.measureLimits")(function* (options: {
  readonly server: NullServer
  readonly seconds: number
  readonly runId: string
  readonly onStep: (what: string) => Effect.Effect<void>
}): Effect.fn.Return<
  Limits,
  CalibrationError,
  Transport | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path
> {
  const { onStep, runId, server } = options
  const seconds = options.seconds / (REQUEST_STEPS.length + PACED_STEPS.length + 1)
  let steps = 0

  const step = (what: string, pace: Pace, concurrency: number, count: number, outputTokens: number) => {
    const config = {
      ...stepConfig(`${runId}-${++steps}`, concurrency, count, outputTokens),
      timeoutSeconds: seconds
    }
    return Effect.andThen(
      onStep(`${what}, ${concurrency} in flight`),
      Effect.scoped(
        measured({ server, pace, seconds }, config, steps === 1 ? 32 : 0, SETTLING, LoadTest.run({ config }))
      )
    )
  }

  const requests = (concurrency: number) =>
    Effect.map(step("tiny answers", UNPACED, concurrency, requestsIn(seconds), 1), (measured) =>
      stepOf(measured, measured.result.summary.num_completed_requests, concurrency)
    )
  let last = yield* requests(REQUEST_STEPS[0] ?? 1)
  const rates: [CalibrationLimits.Step, ...Array<CalibrationLimits.Step>] = [last]
  for (const concurrency of REQUEST_STEPS.slice(1)) {
    last = yield* requests(concurrency)
    rates.push(last)
  }

  const tokens = yield* Effect.map(
    step("answers without a pause", UNPACED, UNPACED_STREAMS, 40 * UNPACED_STREAMS, 2_000),
    (measured) => stepOf(measured, measured.tokens, UNPACED_STREAMS)
  )

  const paced: Array<CalibrationLimits.Step> = []
  for (const streams of PACED_STEPS) {
    const outputTokens = Math.ceil((2 * seconds) / PACED.itlSeconds)
    const result = yield* step("a token every 20 ms", PACED, streams, streams, outputTokens)
    const { count, p99 } = result.difference.added.token_delay_s
    if (count === 0 || p99 === null || p99 > PACED.itlSeconds) break
    const reached = stepOf(result, result.tokens, streams)
    // What it carries once all have begun
    const perSecond = ratio(count, (1 - SETTLING) * result.durationSeconds)
    if (perSecond < KEPT_UP * (streams / PACED.itlSeconds)) break
    paced.push({ ...reached, perSecond })
    if (CalibrationLimits.isFull(reached)) break
  }
  const [first, ...others] = paced
  return {
    measured_at: DateTime.formatIso(yield* DateTime.now),
    requests: CalibrationLimits.best(rates),
    tokens: CalibrationLimits.best([tokens]),
    paced_tokens: first === undefined ? null : CalibrationLimits.best([first, ...others]),
    paced_itl_s: PACED.itlSeconds
  }
})
