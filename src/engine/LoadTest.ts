/**
 * The load test: plans its requests, keeps the asked number of them in flight, and folds what comes back into a summary
 * and files.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import { type RequestOutcome } from "../domain/RequestRecord.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type LoadTestConfig } from "../domain/RunConfig.ts"
import { type Summary } from "../domain/Summary.ts"
import * as LiveStats from "../metrics/LiveStats.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import { SummarySink } from "../metrics/SummarySink.ts"
import * as Ndjson from "../output/Ndjson.ts"
import { type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import { type Provider } from "../provider/Provider.ts"
import { type PromptError } from "../workload/Prompt.ts"
import { TokenCounter } from "../workload/TokenCounter.ts"
import { type Tokenizer, type TokenizerError } from "../workload/Tokenizer.ts"
import * as Workload from "../workload/Workload.ts"
import * as ClosedLoop from "./ClosedLoop.ts"
import * as Recorder from "./Recorder.ts"
import * as RequestRunner from "./RequestRunner.ts"
import * as StopSignal from "./StopSignal.ts"
import { type WarmUpReport } from "./WarmUp.ts"

/**
 * - `warmUp`: run before the clock starts; see `WarmUp`
 * - `userStop`: ends when the user wants the test to stop: no new request starts, those in flight have the grace to end
 * - `live`: counters for a display
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly config: LoadTestConfig
  readonly warmUp?: Effect.Effect<WarmUpReport> | undefined
  readonly userStop?: Effect.Effect<void> | undefined
  readonly live?: LiveStats.LiveStats | undefined
}

/**
 * - `document`: the summary as it stands in the file, flat
 * - `stopped`: why the test ended before all requests were sent and done, or `null`
 * - `notSent`: planned requests that were never started
 * - `files`: what was written, `null` without a results folder
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadTestResult {
  readonly summary: Summary
  readonly document: ResultFiles.Document
  readonly stopped: StopSignal.StopReason | null
  readonly notSent: number
  readonly uncounted: TokenizerError | null
  readonly files: { readonly summary: string; readonly individualResponses: string; readonly records: string } | null
}

/**
 * The `x-request-id` of a planned request: `<run id>-<request id>`, or `<run id>-warmup-<n>` for those sent to warm up.
 *
 * @category conversions
 * @since 0.1.0
 */
export const requestIdOf =
  (runId: string) =>
  (plan: RequestPlan): string =>
    plan.id > 0 ? `${runId}-${plan.id}` : `${runId}-warmup-${-plan.id}`

/**
 * Runs the test. It fails before anything is sent when a prompt cannot be built (`PromptError`) or the results folder
 * cannot be written to (`OutputError`); a request that fails is a row, never a failure of the test. Interrupting it cancels
 * the requests in flight and still writes the rows of all that ended.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("LoadTest.run")(function* (
  options: Options
): Effect.fn.Return<
  LoadTestResult,
  PromptError | OutputError | Ndjson.RecordsError,
  Provider | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { config } = options
  const clock = yield* Clock.Clock
  const live = options.live ?? LiveStats.make()
  const directory = config.resultsDir === null ? null : yield* RunDirectory.open(config.resultsDir)
  const { plans, ...workload } = yield* Effect.map(
    Workload.make({ ...config, count: config.maxNumCompletedRequests }),
    (planned) => ({ ...planned, plans: takenOut([...planned.plans]) })
  )
  const counter = yield* TokenCounter
  // Answers once the tokenizer is loaded, which would otherwise take processor time from the run. A failure shows later.
  const [warmUp] = yield* Effect.all([options.warmUp ?? Effect.succeed(null), Effect.ignore(counter.count(""))], {
    concurrency: "unbounded"
  })
  const writer = directory === null ? null : yield* Ndjson.makeWriter(directory.records)

  const stop = yield* StopSignal.make
  const sink = new SummarySink()
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let uncounted: TokenizerError | null = null
  let graceOver = false

  const keep = (outcome: RequestOutcome): void => {
    sink.add(outcome)
    LiveStats.requestEnded(live, outcome.record)
    writer?.append(outcome.record)
  }
  const xRequestId = config.requestIdHeader === null ? () => null : requestIdOf(config.runId)
  const recorder = yield* Recorder.make({
    start: () => start,
    xRequestId,
    onOutcome: keep,
    onUncounted: (error) => {
      uncounted ??= error
    }
  })
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: config.requestTimeoutSeconds,
    cancelled: () => cancellation(stop.reason(), graceOver, config),
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
  LiveStats.start(live, start.monotonicNanos)

  const recording = yield* Effect.forkScoped(recorder.run)
  // Runs before the writer closes its file: what ended but is not counted yet is written as it is.
  yield* Effect.addFinalizer(() => Effect.sync(recorder.flush))

  const loop = yield* Effect.forkScoped(
    ClosedLoop.run({ plans, concurrency: config.numConcurrentRequests, stop, runner })
  )
  yield* Effect.forkScoped(Effect.andThen(Effect.sleep(config.timeoutSeconds * 1_000), stop.close("timeout")))
  if (options.userStop !== undefined) {
    yield* Effect.forkScoped(Effect.andThen(options.userStop, stop.close("interrupted")))
  }
  const drained = Effect.andThen(stop.closed, Effect.sleep(config.graceSeconds * 1_000)).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        graceOver = true
      })
    )
  )
  const writeFailure = writer === null ? Effect.never : writer.failure
  yield* Effect.raceFirst(Effect.raceFirst(Fiber.join(loop), drained), writeFailure)
  yield* Fiber.interrupt(loop)
  const wallSeconds = (Number(clock.monotonicTimeNanosUnsafe()) - start.monotonicNanos) / 1e9

  yield* recorder.end
  yield* Fiber.join(recording)

  const summary = sink.summary({ wallSeconds })
  const notSent = config.maxNumCompletedRequests - live.started
  const stopped = notSent > 0 || summary.num_cancelled_requests > 0 ? stop.reason() : null
  const describe = (parts: { readonly name: string; readonly timestamp: number }): ResultFiles.Document =>
    ResultFiles.document({
      ...parts,
      parameters: ResultFiles.parameters(config),
      results: summary,
      resultsPrefix: "results_",
      details: {
        run_id: config.runId,
        llm_api: config.llmApi,
        tokenizer: counter.name,
        prompt_mode: config.promptMode,
        seed: config.seed,
        max_num_completed_requests: config.maxNumCompletedRequests,
        timeout_s: config.timeoutSeconds,
        request_timeout_s: config.requestTimeoutSeconds,
        start_time: start.epochSeconds,
        stopped,
        num_requests_not_started: notSent,
        inexact_prompts: workload.inexactPrompts,
        redrawn_input_tokens: workload.redrawnInputTokens,
        redrawn_output_tokens: workload.redrawnOutputTokens,
        warmup: warmUp
      },
      metadata: config.metadata
    })

  const base = ResultFiles.baseName(config.model, config.meanInputTokens, config.meanOutputTokens)
  if (directory === null || writer === null) {
    const timestamp = Number(clock.currentTimeMillisUnsafe()) / 1_000
    const document = describe({ name: `${base}_summary`, timestamp })
    return { summary, document, stopped, notSent, uncounted, files: null }
  }
  yield* writer.close
  let document: ResultFiles.Document | undefined
  const published = yield* ResultFiles.publish({
    directory: directory.path,
    base,
    summary: (parts) => (document = describe(parts)),
    records: writer.stream
  })
  return {
    summary,
    document: document ?? describe({ name: `${base}_summary`, timestamp: 0 }),
    stopped,
    notSent,
    uncounted,
    files: { ...published, records: directory.records }
  }
})

/** Hands out plans and lets go of them, so that prompts that have been sent take no memory. */
function* takenOut(plans: Array<RequestPlan | undefined>): Generator<RequestPlan> {
  for (let index = 0; index < plans.length; index++) {
    const plan = plans[index]
    plans[index] = undefined
    if (plan !== undefined) yield plan
  }
}

const cancellation = (reason: StopSignal.StopReason | null, graceOver: boolean, config: LoadTestConfig): string => {
  const grace = `the grace of ${config.graceSeconds} s`
  switch (reason) {
    case "timeout":
      return graceOver
        ? `Cancelled: the test was over (${config.timeoutSeconds} s) and ${grace} too`
        : `Cancelled: the test was over (${config.timeoutSeconds} s) and was stopped before ${grace} was over`
    case "interrupted":
      return graceOver
        ? `Cancelled: the test was stopped, and ${grace} was over`
        : `Cancelled: the test was stopped twice, before ${grace} was over`
    case null:
      return "Cancelled: the test was stopped at once"
  }
}
