/**
 * The script of the thread that `OtlpSpans.make` starts. It makes spans of the rows it is given and posts them, until it is told
 * that there are no more. Not for import.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import * as Messages from "./internal/otlpMessages.ts"
import * as Sender from "./internal/otlpSender.ts"

const decodeData = Schema.decodeUnknownEffect(Messages.WorkerData)
const decodeOrder = Schema.decodeUnknownSync(Messages.Order)

// Followed, a redirect could take the headers of an account elsewhere
const client = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" } as const)
)

const serve = (port: MessagePort) =>
  Effect.gen(function* () {
    const data = yield* decodeData(workerData)
    const reply = (message: Messages.Reply): void => port.postMessage(message)
    const { end, offer, run } = yield* Sender.make({
      ...data,
      userAgent: `llmperf/${data.subject.version}`,
      onProgress: (progress) => reply({ _tag: "Progress", ...progress })
    })
    port.on("message", (message: unknown) => {
      const order = decodeOrder(message)
      if (order._tag === "Rows") offer(order.packed)
      else end(order.run)
    })
    reply({ _tag: "Ready" })
    yield* run
    reply({ _tag: "Done" })
  }).pipe(
    Effect.provide(client),
    // Only its message would survive the way to the other thread
    Effect.catchTag("SchemaError", ({ message }) => Effect.die(new Error(message)))
  )

// What goes wrong here ends the thread, and the one that started it is told
if (parentPort !== null) void Effect.runPromise(serve(parentPort))
