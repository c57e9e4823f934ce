import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestRecord } from "../../domain/RequestRecord.ts"
import { type SharedPrompts } from "../../domain/SharedPrompts.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type Measurement, type RunStart } from "../../metrics/RequestSink.ts"
import { SummarySink } from "../../metrics/SummarySink.ts"
import * as Verdict from "../../metrics/Verdict.ts"
import * as ChunkTimes from "../../output/ChunkTimes.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import { fromPlatformError, type OutputError } from "../../output/OutputError.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import { type RunDirectory } from "../../output/RunDirectory.ts"
import * as RunManifest from "../../output/RunManifest.ts"
import * as SentLog from "../../output/SentLog.ts"
import * as VerdictText from "../../output/VerdictText.ts"
import { type Provider } from "../../provider/Provider.ts"
import { type TokenCounter } from "../../workload/TokenCounter.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import { type Sharing } from "../Fleet.ts"
import { type RunHooks } from "../RunHooks.ts"
import { type AgentResult, type RunResult } from "../RunResult.ts"
import * as StopSignal from "../StopSignal.ts"
import * as AbortOnErrors from "../AbortOnErrors.ts"
import * as AgentFields from "./agentFields.ts"
import { type AgentAccount, type Crew, type Desk, type Work } from "./crew.ts"
import * as FleetCrew from "./fleetCrew.ts"
import type * as Measuring from "./measuring.ts"
import * as OneThread from "./oneThread.ts"
import { spareDescriptor } from "./spareDescriptor.ts"

export interface Settings extends Measuring.Settings {
  readonly llmApi: string
  readonly metadata: ResultFiles.Fields
}

/** How the results are named, and what the summary says besides them. `sharedPrompts`: why prompts begin alike, if they do. */
export interface Account {
  readonly files: ResultFiles.Names
  readonly resultsPrefix: string
  readonly sharedPrompts: SharedPrompts | null
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
 * - `work`: what is sent
 * - `fleet`: who sends it; without one, this thread. A judge sees only what this thread sends
 * - `logsSent`: whether `requests_sent.log` is written
 * - `lateDetails`: what the summary says that is known only at the end
 */
export interface Options<E, R> extends RunHooks {
  readonly settings: Settings
  readonly directory: RunDirectory | null
  readonly work: Work<E, R>
  readonly fleet?: Sharing<E> | undefined
  readonly logsSent: boolean
  readonly account: Account
  readonly lateDetails: () => ResultFiles.Fields
  readonly judge?: Judge | undefined
}

/**
 * A run, whatever its loop and whoever sends: has everything made ready, starts the clock, keeps what has ended in the files
 * and the summary, brings the loop to its end, and publishes the results. Interrupting it cancels the requests in flight and
 * still writes the rows of all that ended.
 */
export const measuredRun = Effect.fnUntraced(function* <E, R>(
  options: Options<E, R>
): Effect.fn.Return<
  RunResult,
  E | OutputError | Ndjson.RecordsError,
  R | Provider | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { account, directory, fleet, judge, settings, work } = options
  const openLoop = work.loop._tag === "Open"
  const clock = yield* Clock.Clock
  const live = options.live ?? LiveStats.make()
  const stop = yield* StopSignal.make
  const sink = new SummarySink()
  let writer: Ndjson.RecordWriter | null = null
  let sentLog: SentLog.SentLog | null = null
  let chunkTimes: ChunkTimes.ChunkWriter | null = null
  let startedAt: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let uncounted: TokenizerError | null = null
  let graceOver = false
  let freeDescriptor: Effect.Effect<void> = Effect.void
  const tooManyErrors = Deferred.makeUnsafe<void>()
  const isToEnd = AbortOnErrors.make(options.abortOnErrors ?? AbortOnErrors.defaultPolicy)
  const watchErrors = (ended: AbortOnErrors.Ended): void => {
    if (isToEnd(ended)) Deferred.doneUnsafe(tooManyErrors, Exit.void)
  }

  const desk: Desk = {
    settings,
    live,
    stop,
    graceOver: () => graceOver,
    keep: (outcome, measurement) => {
      sink.add(outcome)
      watchErrors(endedOf(outcome.record))
      LiveStats.requestEnded(live, outcome.record)
      const row = judge === undefined ? outcome.record : judge.row(outcome.record, measurement)
      writer?.append(row)
      sentLog?.append(row)
      chunkTimes?.append(measurement, startedAt)
    },
    keepLines: (records, sent) => {
      if (records !== null) writer?.appendLines(records)
      if (sent !== null) sentLog?.appendLines(sent)
    },
    keepChunks: (chunks) => chunkTimes?.appendBlocks(chunks),
    keepSink: (other) => sink.merge(other),
    onEnded: (other) => {
      watchErrors({ completed: other.counts().completed, errors: other.errors() })
      options.onEnded?.(other)
    },
    onUncounted: (error) => {
      uncounted ??= error
    }
  }
  const crew = yield* fleet === undefined
    ? OneThread.make({ work, desk, warmUp: options.warmUp, watch: options.watch })
    : FleetCrew.make({
        work,
        desk,
        fleet,
        saves: directory !== null,
        logsSent: options.logsSent,
        chunkTimes: options.chunkTimes ?? false
      })

  const { tokenizer, warmUp } = yield* crew.prepare
  const details = {
    run_id: settings.runId,
    llm_api: settings.llmApi,
    tokenizer,
    count_tokens: settings.countTokens,
    ...account.details,
    shared_prompts: account.sharedPrompts,
    ...options.details,
    workers: crew.shares.length
  }
  if (directory !== null) {
    writer = yield* Ndjson.makeWriter(directory.records, judge?.keys)
    sentLog = options.logsSent ? yield* SentLog.makeWriter(directory.requestsSent) : null
    chunkTimes =
      options.chunkTimes === true ? yield* ChunkTimes.makeWriter(directory.chunks, { runId: settings.runId }) : null
    yield* RunManifest.write(directory.manifest, {
      runId: settings.runId,
      files: account.files,
      resultsPrefix: account.resultsPrefix,
      startTime: Number(clock.currentTimeMillisUnsafe()) / 1_000,
      planned: work.planned,
      openLoop,
      parameters: account.parameters,
      details: { ...details, warmup: warmUp },
      metadata: settings.metadata
    })
    const spare = spareDescriptor(directory.manifest)
    freeDescriptor = (yield* Effect.mapError(spare, fromPlatformError(directory.manifest))).free
  }
  const logs = [writer, sentLog, chunkTimes].filter((log) => log !== null)

  const start = yield* crew.start
  startedAt = start
  LiveStats.start(live, start.monotonicNanos)
  // Runs before the writers close their files
  yield* Effect.addFinalizer(() => crew.abandon)

  const sending = Effect.gen(function* () {
    const loop = yield* Effect.forkScoped(crew.loop)
    yield* Effect.forkScoped(Effect.andThen(Deferred.await(tooManyErrors), stop.close("errors")))
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
  const wallSeconds = (Number(clock.monotonicTimeNanosUnsafe()) - start.monotonicNanos) / 1e9
  yield* crew.finish

  const lost = crew.lost()
  const notSent = work.planned - live.started - lost.reduce((sum, { requestIds }) => sum + requestIds.length, 0)
  const summary = sink.summary({
    wallSeconds,
    unsent: notSent,
    openLoop: openLoop ? { queued: live.queued, dropped: live.dropped } : null
  })
  const evidence = { health: crew.health(), dispatch: crew.dispatch(), limits: options.limits }
  const verdict = Verdict.judge({ ...evidence, summary, openLoop })
  const agents = crew
    .accounts()
    .map((account) => agentResult(account, { wallSeconds, openLoop, limits: options.limits }))
  const told =
    options.beforeSummary === undefined
      ? {}
      : yield* options.beforeSummary({
          startEpochSeconds: start.epochSeconds,
          wallSeconds,
          summary,
          agents: crew.spans()
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
        ...(fleet === undefined ? {} : sharing(crew, agents)),
        start_time: start.epochSeconds,
        stopped,
        ...options.lateDetails(),
        warmup: warmUp,
        ...VerdictText.fields({ ...evidence, verdict }),
        ...options.ofSummary?.(summary, openLoop),
        ...told
      },
      metadata: settings.metadata
    })
  const { sharedPrompts } = account
  const result = { summary, sharedPrompts, stopped, notSent, lost, agents, uncounted, verdict }

  if (directory === null || writer === null) {
    const timestamp = Number(clock.currentTimeMillisUnsafe()) / 1_000
    return { ...result, document: describe({ name: account.files.summary, timestamp }), files: [] }
  }
  for (const log of logs) yield* log.close
  yield* freeDescriptor
  let document: ResultFiles.Document | undefined
  const published = yield* ResultFiles.publish({
    directory: directory.path,
    names: account.files,
    summary: (parts) => (document = describe(parts)),
    records: judge === undefined ? writer.stream : Stream.map(writer.stream, judge.response)
  })
  return {
    ...result,
    document: document ?? describe({ name: account.files.summary, timestamp: 0 }),
    files: [
      published.summary,
      published.individualResponses,
      ...(sentLog === null ? [] : [directory.requestsSent]),
      ...(chunkTimes === null ? [] : [directory.chunks]),
      directory.records
    ]
  }
})

const endedOf = ({ error_code, error_msg, error_reason }: RequestRecord): AbortOnErrors.Ended =>
  error_code === null
    ? { completed: 1, errors: [] }
    : {
        completed: 0,
        errors: [{ reason: error_reason ?? "Unknown", code: error_code, count: 1, example: error_msg }]
      }

/** An agent on another machine and its verdict: of the requests that it sent, by what it saw. */
const agentResult = (
  account: AgentAccount,
  run: {
    readonly wallSeconds: number
    readonly openLoop: boolean
    readonly limits: Verdict.Limits | undefined
  }
): AgentResult => {
  const { dispatch, health, profile, sink, ...known } = account
  const summary = sink.summary({ wallSeconds: run.wallSeconds, unsent: 0 })
  return {
    ...known,
    profile,
    lag: summary.dispatch_lag_s,
    verdict: dispatch === null ? null : Verdict.judge({ ...run, summary, health, dispatch })
  }
}

/** What each of several did. */
const sharing = (
  { lost, shares }: Pick<Crew<unknown, unknown>, "lost" | "shares">,
  agents: ReadonlyArray<AgentResult>
): ResultFiles.Fields => ({
  requests_per_worker: shares.map(({ requests }) => requests()),
  partial: lost().length > 0 || agents.some(({ missingRows }) => missingRows.length > 0),
  lost_requests: lost().flatMap(({ requestIds }) => requestIds),
  ...(agents.length === 0 ? {} : AgentFields.describe(agents))
})
