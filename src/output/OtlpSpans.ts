/**
 * A span for every request, sent to an OpenTelemetry collector from a thread of its own. `docs/opentelemetry.md` says what is in
 * them.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type Summary } from "../domain/Summary.ts"
import * as Messages from "./internal/otlpMessages.ts"
import * as Names from "./internal/otlpNames.ts"
import * as Once from "./internal/once.ts"
import * as Rows from "./internal/otlpRows.ts"
import * as Span from "./internal/otlpSpan.ts"
import * as Text from "./internal/text.ts"
import { type OtlpCollector } from "./OtlpCollector.ts"
import type * as ResultFiles from "./ResultFiles.ts"

/**
 * - `collector`: where spans go; see `OtlpCollector.fromConfig`
 * - `runId`: the name of the run, from which the ids of all spans are made
 * - `agent`: which of several senders this is; `null` when there is one
 * - `version`: ours
 * - `llmApi`, `model`, `endpoint`: what is asked, as the flags of these names say it
 * - `origin`: scheme, host and port of the server that is asked; `null` when there is no socket
 * - `samplingParams`: what is put into every request body
 * - `streams`: whether answers are asked for as streams (default: yes)
 * - `capacity`: how many spans may wait, here and in the thread; those that find no place are dropped. Default: 65,536,
 *   which is 50 MB
 * - `finishSeconds`: how long the end may take (default: 5); a fifth of it when a run is given up
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly collector: OtlpCollector
  readonly runId: string
  readonly agent: string | null
  readonly version: string
  readonly llmApi: string
  readonly model: string
  readonly endpoint: string
  readonly origin: string | null
  readonly samplingParams: { readonly [name: string]: unknown }
  readonly streams?: boolean | undefined
  readonly capacity?: number | undefined
  readonly finishSeconds?: number | undefined
}

/**
 * What became of the spans of requests; each is in one of the three.
 *
 * - `sent`: the collector has them
 * - `dropped`: they were left out: too many waited, or no time was left at the end
 * - `failed`: it refused them, or did not take them for a minute
 * - `lastProblem`: what went wrong last, also if it went well later; `null` for nothing
 *
 * @category models
 * @since 0.2.0
 */
export const Report = Schema.Struct({
  sent: Schema.Int,
  dropped: Schema.Int,
  failed: Schema.Int,
  lastProblem: Schema.NullOr(Schema.String)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * The run as a whole, for a span that those of the requests are linked to. One of the senders of a run tells it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Run {
  readonly startEpochSeconds: number
  readonly wallSeconds: number
  readonly summary: Summary
}

/**
 * - `add`: takes a request that has ended, however it did. It never waits, fails or throws
 * - `finish`: sends what is left, as long as there is time, and ends the thread. What is added later is dropped
 *
 * @category models
 * @since 0.2.0
 */
export interface OtlpSpans {
  readonly add: (record: RequestRecord) => void
  readonly finish: (run: Run | null) => Effect.Effect<Report>
}

/** Few enough that handing them over does not hold up the thread that reads sockets: some tenths of a millisecond. */
const RECORDS_PER_BATCH = 128
const BATCH_MILLIS = 1_000
const CAPACITY = 65_536
/** For the thread to load its modules; it is then ready before the clock of a run starts. */
const READY_MILLIS = 10_000
const FINISH_SECONDS = 5

/** A small young generation: it is collected more often, and never for long. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 }

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./OtlpSpansWorker${extension}`, import.meta.url)
}

const decodeReply = Schema.decodeUnknownOption(Messages.Reply)

/** What comes from another thread has lost its class, and may be no text. */
const textOf = (error: unknown): string =>
  Predicate.hasProperty(error, "message") && Predicate.isString(error.message)
    ? Text.oneLine(error.message)
    : "an error"

/**
 * Starts the thread and waits until it is ready; without it everything is dropped, and the report says why. Nothing is asked of
 * the collector before there are spans. When the scope closes and `finish` was not called, what is there is still sent, for a
 * moment.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("OtlpSpans.make")(function* (
  options: Options
): Effect.fn.Return<OtlpSpans, never, Scope.Scope> {
  const { capacity = CAPACITY, finishSeconds = FINISH_SECONDS } = options
  let waiting: Array<RequestRecord> = []
  const ready = Once.make<true>()
  const done = Once.make<true>()
  let added = 0
  let sent = 0
  let dropped = 0
  let failed = 0
  let lastProblem: string | null = null
  let isOver = false

  const ended = (problem: string): void => {
    if (isOver) return
    isOver = true
    lastProblem = problem
    ready.set(true)
    done.set(true)
  }
  const onReply = (reply: Messages.Reply): void => {
    if (isOver) return
    switch (reply._tag) {
      case "Ready":
        return ready.set(true)
      case "Progress":
        sent += reply.sent
        failed += reply.failed
        lastProblem = reply.problem ?? lastProblem
        return
      case "Done":
        return done.set(true)
    }
  }

  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(script(), { name: "llmperf-otlp", resourceLimits, execArgv: [], workerData: workerDataOf(options) })
        .on("message", (message) => Option.map(decodeReply(message), onReply))
        .on("error", (error) => ended(`the thread that sends spans has ended: ${textOf(error)}`))
        .on("exit", () => ended("the thread that sends spans has ended"))
    ),
    (worker) => Effect.promise(() => worker.terminate())
  )
  worker.unref()

  const order = (message: Messages.Order, transferred: ReadonlyArray<ArrayBuffer> = []): void =>
    worker.postMessage(message, transferred)
  const handOver = (): void => {
    if (waiting.length === 0) return
    const packed = Rows.pack(waiting)
    waiting = []
    order({ _tag: "Rows", packed }, [packed.numbers.buffer])
  }
  const timer = setInterval(handOver, BATCH_MILLIS).unref()

  const end = (run: Run | null, millis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      clearInterval(timer)
      if (isOver) return Effect.void
      handOver()
      order({ _tag: "End", run: run === null ? null : Span.runOf(run.startEpochSeconds, run.wallSeconds, run.summary) })
      return Effect.asVoid(done.within(millis))
    }).pipe(
      Effect.andThen(
        Effect.sync(() => {
          isOver = true
          dropped = added - sent - failed
        })
      )
    )
  yield* Effect.addFinalizer(() => end(null, finishSeconds * 200))
  yield* ready.within(READY_MILLIS)

  return {
    add: (record) => {
      added++
      if (isOver || added - dropped - sent - failed > capacity) {
        dropped++
        return
      }
      waiting.push(record)
      if (waiting.length === RECORDS_PER_BATCH) handOver()
    },
    finish: (run) =>
      end(run, finishSeconds * 1_000).pipe(
        Effect.andThen(Effect.promise(() => worker.terminate())),
        Effect.map(() => ({ sent, dropped, failed, lastProblem }))
      )
  }
})

const workerDataOf = (options: Options): Messages.WorkerData => {
  const { agent, collector, endpoint, llmApi, model, origin, runId, samplingParams, streams, version } = options
  const { gzip, headers, protocol, resource, timeoutSeconds, url } = collector
  return {
    url,
    headers: Redacted.value(headers),
    protocol,
    gzip,
    timeoutSeconds,
    subject: {
      runId,
      agent,
      version,
      llmApi,
      model,
      provider: Names.providerOf(llmApi, model),
      operation: Names.operationOf(llmApi, model, endpoint),
      origin,
      streams: streams ?? true,
      samplingParams: Span.parametersIn(samplingParams),
      resource
    }
  }
}

/**
 * Those of several senders together.
 *
 * @category conversions
 * @since 0.2.0
 */
export const merge = (reports: ReadonlyArray<Report>): Report => ({
  sent: reports.reduce((sum, { sent }) => sum + sent, 0),
  dropped: reports.reduce((sum, { dropped }) => sum + dropped, 0),
  failed: reports.reduce((sum, { failed }) => sum + failed, 0),
  lastProblem: reports.findLast(({ lastProblem }) => lastProblem !== null)?.lastProblem ?? null
})

/**
 * What the summary of a run says of it: `otlp_url`, `otlp_sent_spans`, `otlp_dropped_spans`, `otlp_failed_spans`,
 * `otlp_last_problem`.
 *
 * @category conversions
 * @since 0.2.0
 */
export const fields = ({ address }: OtlpCollector, report: Report): ResultFiles.Fields => ({
  otlp: {
    url: address,
    sent_spans: report.sent,
    dropped_spans: report.dropped,
    failed_spans: report.failed,
    last_problem: report.lastProblem
  }
})

/**
 * A word to the user when spans were lost, else `null`.
 *
 * @category conversions
 * @since 0.2.0
 */
export const remark = ({ address }: OtlpCollector, { dropped, failed, lastProblem, sent }: Report): string | null => {
  const lost = dropped + failed
  if (lost === 0) return null
  const why = lastProblem === null ? "" : ` (${lastProblem})`
  return `${lost} of ${sent + lost} spans did not reach the collector at ${address}${why}. The results of the run are not affected.`
}
