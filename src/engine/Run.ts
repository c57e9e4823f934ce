/**
 * A run: a `Sender` sends, and the stream of requests that have ended goes into `Output`s.
 *
 * @since 0.2.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type SharedPrompts } from "../domain/SharedPrompts.ts"
import * as Ended from "../metrics/Ended.ts"
import * as HealthSummary from "../metrics/HealthSummary.ts"
import * as LiveStats from "../metrics/LiveStats.ts"
import { type Measurement } from "../metrics/RequestSink.ts"
import * as Verdict from "../metrics/Verdict.ts"
import * as ChunkTimes from "../output/ChunkTimes.ts"
import * as Ndjson from "../output/Ndjson.ts"
import { type OpenOutput, type Output } from "../output/Output.ts"
import { fromPlatformError, type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import { type RunDirectory } from "../output/RunDirectory.ts"
import * as RunManifest from "../output/RunManifest.ts"
import * as SentLog from "../output/SentLog.ts"
import * as VerdictText from "../output/VerdictText.ts"
import { type Provider } from "../provider/Provider.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import * as AbortOnErrors from "./AbortOnErrors.ts"
import type * as Health from "./Health.ts"
import * as AgentFields from "./internal/agentFields.ts"
import { inTurn } from "./internal/inTurn.ts"
import { spareDescriptor } from "./internal/spareDescriptor.ts"
import type * as Measuring from "./internal/measuring.ts"
import * as LocalSender from "./LocalSender.ts"
import { type AgentResult, type RunResult } from "./RunResult.ts"
import { type AgentAccount, type Load, type MakeSender, type SenderAccount } from "./Sender.ts"
import * as StopSignal from "./StopSignal.ts"
import { type WarmUpReport } from "./WarmUp.ts"

/**
 * What every kind of run can be given besides its configuration.
 *
 * - `outputs`: where the requests go besides the files of the results, in this order
 * - `warmUp`: run before the clock starts; see `WarmUp`. The agents of a fleet warm up themselves
 * - `userStop`: ends when the user wants the run to stop: no new request starts, those in flight have the grace to end
 * - `live`: counters for a display
 * - `network`: how the server was reached, for the summary
 * - `replaced`: the text that sampling parameters put in the place of every prompt; `null`, or left out, when they do not
 * - `watch`: begins to watch over this thread as the clock starts; see `Health`. The agents of a fleet watch over themselves
 * - `limits`: those of the verdict
 * - `abortOnErrors`: when the run ends early because requests fail; by default when 50 in a row are refused and none has succeeded
 * - `chunkTimes`: whether the arrival of every chunk is saved with the results; see `ChunkTimes`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly outputs?: ReadonlyArray<Output> | undefined
  readonly warmUp?: Effect.Effect<WarmUpReport> | undefined
  readonly userStop?: Effect.Effect<void> | undefined
  readonly live?: LiveStats.LiveStats | undefined
  readonly network?: ResultFiles.Fields | undefined
  readonly replaced?: string | null | undefined
  readonly watch?: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
  readonly limits?: Verdict.Limits | undefined
  readonly abortOnErrors?: AbortOnErrors.Policy | undefined
  readonly chunkTimes?: boolean | undefined
}

/** How long outputs may take to take what there is when the run is interrupted: one that hangs must not keep the program. */
const OUTPUTS_MILLIS = 10_000

/** What the configurations of all kinds of runs have in common. */
export interface Settings extends Measuring.Settings {
  readonly llmApi: string
  readonly metadata: ResultFiles.Fields
}

/**
 * How the results are named and what the summary says besides the numbers, as far as it is known before the run. `sharedPrompts`: why
 * prompts begin alike, if they do.
 */
export interface Description {
  readonly files: ResultFiles.Names
  readonly resultsPrefix: string
  readonly sharedPrompts: SharedPrompts | null
  readonly parameters: ResultFiles.Fields
  readonly details: ResultFiles.Fields
}

/**
 * What a test adds to the rows.
 *
 * - `keys`, `of`: the row of a request as it is written, with its keys in order
 * - `responses`: such rows, read back, as they stand among the individual responses
 */
export interface Rows {
  readonly keys: ReadonlyArray<string>
  readonly of: (record: RequestRecord, measurement: Measurement) => RequestRecord
  readonly responses: <E>(rows: Stream.Stream<unknown, E>) => Stream.Stream<unknown, E>
}

/**
 * - `load`: what is sent
 * - `sender`: who sends it; without one, this thread does. What `rows` adds can only be had of this thread
 * - `logsSent`: whether `requests_sent.log` is written
 * - `facts()`: what the summary says that is known only at the end; `results` stands before the parameters
 */
export interface RunOptions<E, R> extends Options {
  readonly settings: Settings
  readonly directory: RunDirectory | null
  readonly load: Load<E, R>
  readonly sender?: MakeSender<E> | undefined
  readonly logsSent: boolean
  readonly description: Description
  readonly facts: () => { readonly results?: ResultFiles.Fields; readonly details: ResultFiles.Fields }
  readonly rows?: Rows | undefined
}

/**
 * A run, whatever its loop and whoever sends: prepares the sender, starts the clock, runs the stream of ended requests into the
 * outputs, brings the run to its end, and publishes the results. Interrupting it cancels the requests in flight; every row
 * that ended still reaches every output.
 *
 * @internal
 */
export const run = Effect.fnUntraced(function* <E, R>(
  options: RunOptions<E, R>
): Effect.fn.Return<
  RunResult,
  E | OutputError | Ndjson.RecordsError,
  R | Provider | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { description, directory, facts, load, rows, settings } = options
  const openLoop = load.loop._tag === "Open"
  const clock = yield* Clock.Clock
  const live = options.live ?? LiveStats.make()
  const stop = yield* StopSignal.make
  const tooManyErrors = Deferred.makeUnsafe<void>()
  const reachedBy = AbortOnErrors.make(options.abortOnErrors ?? AbortOnErrors.defaultPolicy)
  let errorLimit: AbortOnErrors.Reached | null = null
  const onEnded = (ended: AbortOnErrors.Ended): void => {
    errorLimit ??= reachedBy(ended)
    if (errorLimit !== null) Deferred.doneUnsafe(tooManyErrors, Exit.void)
  }
  const sender = yield* (options.sender ?? LocalSender.make)({
    load,
    settings,
    stop,
    live,
    onEnded,
    saves: directory !== null,
    logsSent: options.logsSent,
    chunkTimes: options.chunkTimes ?? false,
    row: rows?.of,
    warmUp: options.warmUp,
    watch: options.watch
  })

  const { tokenizer, warmUp } = yield* sender.prepare
  const details = {
    run_id: settings.runId,
    llm_api: settings.llmApi,
    tokenizer,
    count_tokens: settings.countTokens,
    ...description.details,
    shared_prompts: description.sharedPrompts,
    ...(options.network === undefined ? {} : { network: options.network }),
    workers: sender.count
  }
  const records = directory === null ? null : yield* Ndjson.makeWriter(directory.records, rows?.keys)
  const info = { runId: settings.runId, planned: load.planned, openLoop, directory: directory?.path ?? null }
  const outputs = yield* Effect.forEach([...filesOf(options), ...(options.outputs ?? [])], ({ open }) => open(info))
  if (directory !== null) {
    yield* RunManifest.write(directory.manifest, {
      runId: settings.runId,
      files: description.files,
      resultsPrefix: description.resultsPrefix,
      startTime: Number(clock.currentTimeMillisUnsafe()) / 1_000,
      planned: load.planned,
      openLoop,
      parameters: description.parameters,
      details: { ...details, warmup: warmUp },
      metadata: settings.metadata
    })
  }
  const spare =
    directory === null
      ? null
      : yield* Effect.mapError(spareDescriptor(directory.manifest), fromPlatformError(directory.manifest))

  const start = yield* sender.start
  LiveStats.start(live, start.monotonicNanos)
  const sinks = [...(records === null ? [] : [records.sink]), ...outputs.map(({ sink }) => sink)]
  // In a scope of its own: no timer of the run is left while the results are written
  const fold = yield* Effect.scoped(
    Effect.andThen(timers(options, stop, Deferred.await(tooManyErrors)), intoSinks(sender.ended, sinks, stop))
  )
  const account = yield* sender.account

  const wallSeconds = (account.endedNanos - start.monotonicNanos) / 1e9
  const { lost } = account
  const notSent = load.planned - live.started - lost.reduce((sum, { requestIds }) => sum + requestIds.length, 0)
  const summary = fold.summary({
    wallSeconds,
    unsent: notSent,
    openLoop: openLoop ? { queued: live.queued, dropped: live.dropped } : null
  })
  const evidence = { health: account.health, dispatch: account.dispatch, limits: options.limits }
  const verdict = Verdict.judge({ ...evidence, summary, openLoop })
  const agents = account.agents.map((agent) => agentResult(agent, { wallSeconds, openLoop, limits: options.limits }))
  const health = HealthSummary.make(account.health, account.dispatch)
  const end = { start, wallSeconds, summary, openLoop, health, agentSpans: account.spans }
  const ofOutputs = yield* Effect.forEach(outputs, ({ fields }) => fields(end))
  const stopped = notSent - live.dropped > 0 || summary.num_cancelled_requests > 0 ? stop.reason() : null
  const known = facts()
  const describe = (parts: { readonly name: string; readonly timestamp: number }): ResultFiles.Document =>
    ResultFiles.document({
      ...parts,
      parameters: { ...known.results, ...description.parameters },
      results: summary,
      resultsPrefix: description.resultsPrefix,
      details: Object.assign(
        {
          ...details,
          ...(options.sender === undefined ? {} : fleetFields(account, agents)),
          start_time: start.epochSeconds,
          stopped,
          ...known.details,
          warmup: warmUp,
          ...VerdictText.fields({ health, verdict, limits: options.limits })
        },
        ...ofOutputs
      ),
      metadata: settings.metadata
    })
  const result = {
    summary,
    sharedPrompts: description.sharedPrompts,
    stopped,
    errorLimit,
    notSent,
    lost,
    agents,
    uncounted: account.uncounted,
    verdict,
    health
  }

  if (directory === null || records === null) {
    const timestamp = Number(clock.currentTimeMillisUnsafe()) / 1_000
    return { ...result, document: describe({ name: description.files.summary, timestamp }), files: [] }
  }
  yield* records.close
  if (spare !== null) yield* spare.free
  let document: ResultFiles.Document | undefined
  const published = yield* ResultFiles.publish({
    directory: directory.path,
    names: description.files,
    summary: (parts) => (document = describe(parts)),
    records: rows === undefined ? records.stream : rows.responses(records.stream)
  })
  return {
    ...result,
    document: document ?? describe({ name: description.files.summary, timestamp: 0 }),
    files: [
      published.summary,
      published.individualResponses,
      ...outputs.flatMap(({ files }) => files),
      directory.records
    ]
  }
})

/** The files of the results besides the records, which the individual responses are made of. */
const filesOf = <E, R>({ chunkTimes, directory, logsSent }: RunOptions<E, R>): ReadonlyArray<Output> =>
  directory === null
    ? []
    : [
        ...(logsSent ? [SentLog.output(directory.requestsSent)] : []),
        ...(chunkTimes === true ? [ChunkTimes.output(directory.chunks)] : [])
      ]

/** What ends the run before all is done. */
const timers = Effect.fnUntraced(function* <E, R>(
  { settings, userStop }: RunOptions<E, R>,
  stop: StopSignal.StopSignal,
  tooManyErrors: Effect.Effect<void>
) {
  const { graceSeconds, timeoutSeconds } = settings
  const all = [
    Effect.andThen(tooManyErrors, stop.close("errors")),
    timeoutSeconds === null ? Effect.void : Effect.andThen(Effect.sleep(timeoutSeconds * 1_000), stop.close("timeout")),
    userStop === undefined ? Effect.void : Effect.andThen(userStop, stop.close("interrupted")),
    Effect.andThen(Effect.andThen(stop.closed, Effect.sleep(graceSeconds * 1_000)), stop.cancel)
  ]
  yield* Effect.forEach(all, (timer) => Effect.forkScoped(timer, { startImmediately: true }), { discard: true })
})

/**
 * Runs the stream into all sinks and gives the sums of the run. Every batch goes to all sinks, one after the other, before the next
 * is taken.
 *
 * When a sink fails the run is stopped at once, the other sinks are given what there still is, and that failure is the one of the
 * run. The same when the run is interrupted: the stream is not cut off but brought to its end.
 */
const intoSinks = <E, R>(
  ended: Stream.Stream<Ended.Ended, E, R>,
  sinks: ReadonlyArray<OpenOutput["sink"]>,
  stop: StopSignal.StopSignal
) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      let failure: Cause.Cause<OutputError> | null = null
      const guarded = (sink: OpenOutput["sink"]): Sink.Sink<void, Ended.Ended> =>
        Sink.catchCause(sink, (cause) => {
          failure ??= cause
          return stop.abandon
        })
      const consuming = yield* Effect.forkDetach(Stream.run(ended, inTurn(sinks.map(guarded), Ended.fold)), {
        startImmediately: true
      })
      const exit = yield* Effect.onInterrupt(restore(Fiber.await(consuming)), () =>
        Effect.andThen(stop.abandon, Effect.timeoutOption(Fiber.await(consuming), OUTPUTS_MILLIS))
      )
      if (failure !== null) return yield* Effect.failCause<OutputError>(failure)
      return yield* exit
    })
  )

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

/** What each of several senders did. */
const fleetFields = ({ lost, requests }: SenderAccount, agents: ReadonlyArray<AgentResult>): ResultFiles.Fields => ({
  requests_per_worker: requests,
  partial: lost.length > 0 || agents.some(({ missingRows }) => missingRows.length > 0),
  lost_requests: lost.flatMap(({ requestIds }) => requestIds),
  ...(agents.length === 0 ? {} : AgentFields.describe(agents))
})
