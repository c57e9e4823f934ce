/**
 * The metrics of a run while it goes: served for Prometheus to scrape, pushed to an OpenTelemetry collector, or both.
 * `docs/live-metrics.md` names them.
 *
 * A thread of its own does all of it. The thread of the run, which reads sockets, hands it a reading once a second (`feed`), and that
 * is all: neither a scrape nor a collector that does not answer is felt there.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { type Reading, type RunMetrics } from "../metrics/RunMetrics.ts"
import * as Messages from "./internal/liveMessages.ts"
import * as Once from "./internal/once.ts"
import * as Names from "./internal/otlpNames.ts"
import { LiveMetricsError } from "./LiveMetricsError.ts"
import { type OtlpCollector } from "./OtlpCollector.ts"
import * as Output from "./Output.ts"

/**
 * - `runId`, `model`: labels of everything
 * - `version`: ours
 * - `llmApi`, `endpoint`: what is asked, as the flags of these names say it
 * - `origin`: scheme, host and port of the server that is asked; `null` when there is no socket
 * - `planned`: how many requests there will be; `null` when that is not known
 * - `info`: more labels of `llmperf_run_info`, whose names have only letters, digits and `_`
 * - `server`: where to listen for scrapes; see `PrometheusServer`
 * - `collector`: where to push to; see `OtlpCollector.fromConfig`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly runId: string
  readonly model: string
  readonly version: string
  readonly llmApi: string
  readonly endpoint: string
  readonly origin: string | null
  readonly planned: number | null
  readonly info: { readonly [name: string]: string }
  readonly server: { readonly host: string; readonly port: number } | null
  readonly collector: OtlpCollector | null
}

/**
 * - `isComplete`: whether the end of the run was told too: to the collector, if there is one, else to whoever may scrape it
 * - `pushed`, `failed`: how many times the collector took the metrics, and how many times it did not
 * - `lastProblem`: what went wrong last, also if it went well later; `null` for nothing
 *
 * @category models
 * @since 0.2.0
 */
export interface Report {
  readonly isComplete: boolean
  readonly pushed: number
  readonly failed: number
  readonly lastProblem: string | null
}

/**
 * - `url`: where the metrics are; `null` when they are not served
 * - `publish(reading)`: this is how things are now. It never waits, fails or throws
 * - `finish(reading)`: this is how things are in the end. It is pushed, in five seconds at most, and served until the scope closes
 *
 * @category models
 * @since 0.2.0
 */
export interface LiveMetrics {
  readonly url: string | null
  readonly publish: (reading: Reading) => void
  readonly finish: (reading: Reading) => Effect.Effect<Report>
}

const FEED_MILLIS = 1_000
const READY_MILLIS = 30_000
const FINISH_MILLIS = 5_000
/** Of a run that is given up. */
const ABANDON_MILLIS = 2_000

/** A small young generation: it is collected more often, and never for long. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 }

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./LiveMetricsWorker${extension}`, import.meta.url)
}

const decodeReply = Schema.decodeUnknownSync(Messages.Reply)

const firstLine = (error: unknown): string => String(error).split("\n", 1)[0] ?? ""

const threadFailed = (problem: string): LiveMetricsError =>
  new LiveMetricsError({
    problem: `The thread that tells the metrics of the run did not start: ${problem}`,
    advice: "Leave out --prometheus-port and --otlp to run without it."
  })

/**
 * Starts the thread. Ends when it listens, so that a port that is taken is known before anything is sent; fails with
 * `LiveMetricsError` when it cannot. The thread ends with the scope, and does not keep the process alive. When `finish` was not called
 * by then, what was published last is pushed, in two seconds at most.
 *
 * @category constructors
 * @since 0.2.0
 */
export const start = Effect.fn("LiveMetrics.start")(function* (
  options: Options
): Effect.fn.Return<LiveMetrics, LiveMetricsError, Scope.Scope> {
  const opened = Once.make<{ readonly url: string | null } | LiveMetricsError>()
  const finished = Once.make<true>()
  let isComplete = options.collector === null
  let pushed = 0
  let failed = 0
  let lastProblem: string | null = null
  let isOver = false
  let isFinished = false

  const onReply = (reply: Messages.Reply): void => {
    switch (reply._tag) {
      case "Ready":
        return opened.set({ url: reply.url })
      case "Failed":
        return opened.set(new LiveMetricsError({ problem: reply.problem, advice: reply.advice }))
      case "Pushed":
        isComplete = reply.problem === null
        if (reply.problem === null) pushed++
        else {
          failed++
          lastProblem = reply.problem
        }
        return
      case "Finished":
        return finished.set(true)
    }
  }
  const ended = (problem: string): void => {
    if (isOver) return
    isOver = true
    isComplete = false
    lastProblem = problem
    opened.set(threadFailed(problem))
    finished.set(true)
  }

  const worker = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        new Worker(script(), {
          name: "llmperf-metrics",
          resourceLimits,
          execArgv: [],
          workerData: workerDataOf(options)
        })
          .on("message", (message) => onReply(decodeReply(message)))
          .on("error", (error) => ended(`the thread that tells the metrics has ended: ${firstLine(error)}`))
          .on("exit", () => ended("the thread that tells the metrics has ended")),
      catch: (error) => threadFailed(firstLine(error))
    }),
    (worker) =>
      Effect.promise(() => {
        isOver = true
        return worker.terminate()
      })
  )
  worker.unref()
  const order = (message: Messages.Order): void => {
    if (!isOver) worker.postMessage(message, [])
  }

  const open = yield* opened.within(READY_MILLIS)
  if (open === null) return yield* threadFailed(`it said nothing for ${READY_MILLIS / 1_000} s`)
  if (open instanceof LiveMetricsError) return yield* open

  const finish = (millis: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isFinished || isOver) return Effect.void
      isFinished = true
      order({ _tag: "Finish" })
      return Effect.map(finished.within(millis), (isDone) => {
        if (isDone !== null) return
        isComplete = false
        lastProblem = `no answer within ${millis / 1_000} s`
      })
    })
  yield* Effect.addFinalizer(() => finish(ABANDON_MILLIS))

  return {
    url: open.url,
    publish: (reading) => order({ _tag: "Reading", reading }),
    finish: (reading) =>
      Effect.suspend(() => {
        order({ _tag: "Reading", reading })
        return Effect.map(finish(FINISH_MILLIS), () => ({ isComplete, pushed, failed, lastProblem }))
      })
  }
})

/**
 * Counts in `metrics` what ends in a run.
 *
 * @category outputs
 * @since 0.2.0
 */
export const output = (metrics: RunMetrics): Output.Output =>
  Output.make("live metrics", {
    add: (ended) => {
      if (ended._tag === "Here") for (const { record } of ended.requests) metrics.addRecord(record)
      // What a lost agent tells at the end of all its requests is in the summary only: a counter must not count twice
      else if (ended.fold !== null && !ended.supersedesFold) metrics.addSink(ended.fold)
    }
  })

/**
 * Publishes a reading once a second, until it is interrupted: fork it beside the run. `read` makes one of the moment that it is given,
 * in nanoseconds of the monotonic clock.
 *
 * @category running
 * @since 0.2.0
 */
export const feed = Effect.fnUntraced(function* (
  self: Pick<LiveMetrics, "publish">,
  read: (nowNanos: number) => Reading
): Effect.fn.Return<never> {
  const clock = yield* Clock.Clock
  const publish = Effect.sync(() => self.publish(read(Number(clock.monotonicTimeNanosUnsafe()))))
  return yield* Effect.forever(Effect.andThen(publish, Effect.sleep(FEED_MILLIS)))
})

/**
 * A word to the user when the end of the run was not told, else `null`. What was missed before it is in what comes after.
 *
 * @category conversions
 * @since 0.2.0
 */
export const remark = (
  { collector }: Pick<Options, "collector">,
  { isComplete, lastProblem }: Report
): string | null => {
  if (isComplete) return null
  const why = lastProblem === null ? "" : ` (${lastProblem})`
  return collector === null
    ? `The metrics of the run were not served to its end${why}. Its results are not affected.`
    : `The collector at ${collector.address} did not take the metrics of the run to its end${why}. Its results are not affected.`
}

const workerDataOf = (options: Options): Messages.WorkerData => {
  const { collector, endpoint, info, llmApi, model, origin, planned, runId, server, version } = options
  return {
    subject: {
      runId,
      model,
      version,
      planned,
      info: { llm_api: llmApi, ...info },
      provider: Names.providerOf(llmApi, model),
      operation: Names.operationOf(llmApi, model, endpoint),
      origin,
      resource: collector?.resource ?? {}
    },
    server,
    collector:
      collector === null
        ? null
        : {
            url: collector.url,
            headers: Redacted.value(collector.headers),
            protocol: collector.protocol,
            gzip: collector.gzip,
            timeoutSeconds: collector.timeoutSeconds
          }
  }
}
