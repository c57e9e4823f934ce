/**
 * The script of the thread that `LiveMetrics.start` starts. It keeps the latest reading of a run, serves it, and pushes it to a
 * collector. Not for import.
 *
 * @since 0.2.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import * as LiveStats from "../metrics/LiveStats.ts"
import { RunMetrics } from "../metrics/RunMetrics.ts"
import * as Messages from "./internal/liveMessages.ts"
import * as LiveMetrics from "./internal/liveMetrics.ts"
import * as Pusher from "./internal/otlpPusher.ts"
import * as PrometheusServer from "./PrometheusServer.ts"

const decodeData = Schema.decodeUnknownEffect(Messages.WorkerData)
const decodeOrder = Schema.decodeUnknownSync(Messages.Order)

// Followed, a redirect could take the headers of an account elsewhere
const client = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" } as const)
)

/** Before there is anything to tell. */
const nothingYet = new RunMetrics().read({
  snapshot: LiveStats.snapshot(LiveStats.make(), 0),
  grade: null
})

const serve = (port: MessagePort) =>
  Effect.gen(function* () {
    const { collector, server, subject } = yield* decodeData(workerData)
    const reply = (message: Messages.Reply): void => port.postMessage(message)
    const finish = Deferred.makeUnsafe<void>()
    let reading = nothingYet
    port.on("message", (message: unknown) => {
      const order = decodeOrder(message)
      if (order._tag === "Reading") reading = order.reading
      else Deferred.doneUnsafe(finish, Effect.void)
    })
    const listening =
      server === null
        ? null
        : yield* PrometheusServer.start({
            ...server,
            text: (format) => LiveMetrics.text(subject, reading, format)
          })
    reply({ _tag: "Ready", url: listening?.url ?? null })
    if (collector === null) yield* Deferred.await(finish)
    else {
      const { last, run } = yield* Pusher.make({
        ...collector,
        subject,
        userAgent: `llmperf/${subject.version}`,
        read: () => reading,
        onPush: (problem) => reply({ _tag: "Pushed", problem })
      })
      yield* Effect.raceFirst(run, Deferred.await(finish))
      yield* last
    }
    reply({ _tag: "Finished" })
    // What there was at last is served until the thread is ended
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.catchTag("LiveMetricsError", ({ advice, problem }) =>
      Effect.sync(() => port.postMessage({ _tag: "Failed", problem, advice } satisfies Messages.Reply))
    ),
    Effect.provide(client)
  )

if (parentPort !== null) Effect.runFork(serve(parentPort))
