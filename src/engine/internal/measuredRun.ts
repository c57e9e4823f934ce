import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestOutcome, type RequestRecord } from "../../domain/RequestRecord.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type Measurement, type RunStart } from "../../metrics/RequestSink.ts"
import { SummarySink } from "../../metrics/SummarySink.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import { type OutputError } from "../../output/OutputError.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import { type RunDirectory } from "../../output/RunDirectory.ts"
import * as RunManifest from "../../output/RunManifest.ts"
import * as SentLog from "../../output/SentLog.ts"
import { type Provider } from "../../provider/Provider.ts"
import { TokenCounter } from "../../workload/TokenCounter.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import * as Recorder from "../Recorder.ts"
import { requestIdOf } from "../RequestId.ts"
import * as RequestRunner from "../RequestRunner.ts"
import { type RunHooks } from "../RunHooks.ts"
import { type RunResult } from "../RunResult.ts"
import * as StopSignal from "../StopSignal.ts"

export interface Settings {
  readonly runId: string
  readonly llmApi: string
  readonly requestIdHeader: string | null
  readonly requestTimeoutSeconds: number | null
  readonly timeoutSeconds: number | null
  readonly graceSeconds: number
  readonly metadata: ResultFiles.Fields
}

/** What a loop runs with. */
export interface Running {
  readonly runner: RequestRunner.RequestRunner
  readonly stop: StopSignal.StopSignal
  readonly startNanos: number
  readonly live: LiveStats.LiveStats
}

/** How the results are named, and what the summary says besides them. */
export interface Account {
  readonly files: ResultFiles.Names
  readonly resultsPrefix: string
  readonly parameters: ResultFiles.Fields
  readonly details: ResultFiles.Fields
}

/**
 * What a run adds that looks at the answers too.
 *
 * - `keys`, `row`: the row of a request as it is written, with its keys in order
 * - `response`: such a row, read back, as it stands among the individual responses
 * - `results`: what comes before the parameters in the summary
 */
export interface Judge {
  readonly keys: ReadonlyArray<string>
  readonly row: (record: RequestRecord, measurement: Measurement) => RequestRecord
  readonly response: (row: unknown) => unknown
  readonly results: () => ResultFiles.Fields
}

/**
 * - `ready`: must have ended before the clock starts
 * - `planned`: how many requests there are; `openLoop`: whether they have due times
 * - `logsSent`: whether `requests_sent.log` is written
 * - `late`: what the summary says that is known only at the end
 */
export interface Options<E, R> extends RunHooks {
  readonly settings: Settings
  readonly directory: RunDirectory | null
  readonly planned: number
  readonly openLoop: boolean
  readonly logsSent: boolean
  readonly ready: Effect.Effect<void, E, R>
  readonly loop: (running: Running) => Effect.Effect<void, E, R>
  readonly account: Account
  readonly lateDetails: () => ResultFiles.Fields
  readonly judge?: Judge | undefined
}

/**
 * A run, whatever its loop: warms up, starts the clock, has every request measured, counted, written and folded, brings the
 * loop to its end, and publishes the results. Interrupting it cancels the requests in flight and still writes the rows of
 * all that ended.
 */
export const measuredRun = Effect.fnUntraced(function* <E, R>(
  options: Options<E, R>
): Effect.fn.Return<
  RunResult,
  E | OutputError | Ndjson.RecordsError,
  R | Provider | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { account, directory, judge, planned, settings } = options
  const clock = yield* Clock.Clock
  const counter = yield* TokenCounter
  const live = options.live ?? LiveStats.make()
  // The counter answers once its tokenizer is loaded, which would otherwise take processor time from the run. A failure
  // shows later.
  const [warmUp] = yield* Effect.all(
    [options.warmUp ?? Effect.succeed(null), Effect.ignore(counter.count("")), options.ready],
    { concurrency: "unbounded" }
  )
  const details = {
    run_id: settings.runId,
    llm_api: settings.llmApi,
    tokenizer: counter.name,
    ...account.details,
    ...options.details
  }
  const writer = directory === null ? null : yield* Ndjson.makeWriter(directory.records, judge?.keys)
  const sentLog = directory === null || !options.logsSent ? null : yield* SentLog.makeWriter(directory.requestsSent)
  const logs = [writer, sentLog].filter((log) => log !== null)
  if (directory !== null) {
    yield* RunManifest.write(directory.manifest, {
      runId: settings.runId,
      files: account.files,
      resultsPrefix: account.resultsPrefix,
      startTime: Number(clock.currentTimeMillisUnsafe()) / 1_000,
      planned,
      openLoop: options.openLoop,
      parameters: account.parameters,
      details: { ...details, warmup: warmUp },
      metadata: settings.metadata
    })
  }

  const stop = yield* StopSignal.make
  const sink = new SummarySink()
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let uncounted: TokenizerError | null = null
  let graceOver = false

  const keep = (outcome: RequestOutcome, measurement: Measurement): void => {
    sink.add(outcome)
    LiveStats.requestEnded(live, outcome.record)
    const row = judge === undefined ? outcome.record : judge.row(outcome.record, measurement)
    for (const log of logs) log.append(row)
  }
  const recorder = yield* Recorder.make({
    start: () => start,
    xRequestId: settings.requestIdHeader === null ? () => null : requestIdOf(settings.runId),
    onOutcome: keep,
    onUncounted: (error) => {
      uncounted ??= error
    }
  })
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: settings.requestTimeoutSeconds,
    cancelled: () => cancellation(stop.reason(), graceOver, settings),
    onStart: () => LiveStats.requestStarted(live),
    onBatch: (measurement, chunksBefore) => {
      LiveStats.chunksArrived(live, measurement.chunkAt.length - chunksBefore)
      const first = measurement.chunkAt[0]
      if (chunksBefore === 0 && first !== undefined && measurement.sent !== null) {
        LiveStats.firstToken(live, (first - measurement.sent.at) / 1e9)
      }
    },
    onFinish: recorder.finished
  })

  start = {
    monotonicNanos: Number(clock.monotonicTimeNanosUnsafe()),
    epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6
  }
  const startNanos = start.monotonicNanos
  LiveStats.start(live, startNanos)

  const recording = yield* Effect.forkScoped(recorder.run)
  // Runs before the writer closes its file: what ended but is not counted yet is written as it is.
  yield* Effect.addFinalizer(() => Effect.sync(recorder.flush))

  const sending = Effect.gen(function* () {
    const loop = yield* Effect.forkScoped(options.loop({ runner, stop, startNanos, live }))
    if (settings.timeoutSeconds !== null) {
      yield* Effect.forkScoped(Effect.andThen(Effect.sleep(settings.timeoutSeconds * 1_000), stop.close("timeout")))
    }
    if (options.userStop !== undefined) {
      yield* Effect.forkScoped(Effect.andThen(options.userStop, stop.close("interrupted")))
    }
    const drained = Effect.andThen(stop.closed, Effect.sleep(settings.graceSeconds * 1_000)).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          graceOver = true
        })
      )
    )
    const writeFailures = logs.map((log) => log.failure)
    yield* Effect.raceAllFirst([Fiber.join(loop), drained, ...writeFailures])
    yield* Fiber.interrupt(loop)
  })
  // In a scope of its own: no timer of the run is left while the results are written.
  yield* Effect.scoped(sending)
  const wallSeconds = (Number(clock.monotonicTimeNanosUnsafe()) - startNanos) / 1e9

  yield* recorder.end
  yield* Fiber.join(recording)

  const notSent = planned - live.started
  const summary = sink.summary({
    wallSeconds,
    unsent: notSent,
    openLoop: options.openLoop ? { queued: live.queued, dropped: live.dropped } : null
  })
  const stopped = notSent - live.dropped > 0 || summary.num_cancelled_requests > 0 ? stop.reason() : null
  const describe = (parts: { readonly name: string; readonly timestamp: number }): ResultFiles.Document =>
    ResultFiles.document({
      ...parts,
      parameters: { ...judge?.results(), ...account.parameters },
      results: summary,
      resultsPrefix: account.resultsPrefix,
      details: {
        ...details,
        start_time: start.epochSeconds,
        stopped,
        ...options.lateDetails(),
        warmup: warmUp
      },
      metadata: settings.metadata
    })

  if (directory === null || writer === null) {
    const timestamp = Number(clock.currentTimeMillisUnsafe()) / 1_000
    return {
      summary,
      document: describe({ name: account.files.summary, timestamp }),
      stopped,
      notSent,
      uncounted,
      files: []
    }
  }
  for (const log of logs) yield* log.close
  let document: ResultFiles.Document | undefined
  const published = yield* ResultFiles.publish({
    directory: directory.path,
    names: account.files,
    summary: (parts) => (document = describe(parts)),
    records: judge === undefined ? writer.stream : Stream.map(writer.stream, judge.response)
  })
  return {
    summary,
    document: document ?? describe({ name: account.files.summary, timestamp: 0 }),
    stopped,
    notSent,
    uncounted,
    files: [
      published.summary,
      published.individualResponses,
      ...(sentLog === null ? [] : [directory.requestsSent]),
      directory.records
    ]
  }
})

/** What the record of a request says that was cancelled. */
const cancellation = (reason: StopSignal.StopReason | null, graceOver: boolean, settings: Settings): string => {
  const grace = `the grace of ${settings.graceSeconds} s`
  const over = (why: string): string =>
    graceOver
      ? `Cancelled: the test was over (${why}) and ${grace} too`
      : `Cancelled: the test was over (${why}) and was stopped before ${grace} was over`
  switch (reason) {
    case "timeout":
      return over(`${settings.timeoutSeconds} s`)
    case "full":
      return over("too many requests in flight")
    case "interrupted":
      return graceOver
        ? `Cancelled: the test was stopped, and ${grace} was over`
        : `Cancelled: the test was stopped twice, before ${grace} was over`
    case null:
      return "Cancelled: the test was stopped at once"
  }
}
