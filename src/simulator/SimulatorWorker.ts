/**
 * The thread of `SimulatorThread`: reads its options, serves, and ends when it is told to.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import * as HttpFront from "./HttpFront.ts"
import * as messages from "./internal/threadMessages.ts"
import * as ModelServer from "./ModelServer.ts"
import { SimulatorError, ThreadFailed } from "./SimulatorError.ts"
import { SimulatorOptions } from "./SimulatorThread.ts"

const decodeOptions = Schema.decodeUnknownEffect(SimulatorOptions)

const encodeReply = Schema.encodeSync(messages.Reply)

const told = (port: MessagePort): Effect.Effect<void> =>
  Effect.callback((resume) => {
    port.once("message", () => resume(Effect.void))
  })

const serve = (port: MessagePort) =>
  Effect.gen(function* () {
    const options = yield* decodeOptions(workerData)
    const server = Layer.provide(HttpFront.layer(options.http), ModelServer.layer(options.model))
    const context = yield* Layer.build(server)
    const { url } = yield* HttpFront.HttpFront.pipe(Effect.provide(context))
    port.postMessage(encodeReply({ _tag: "Listening", url }))
    yield* told(port)
  }).pipe(
    Effect.scoped,
    Effect.catchTag("SchemaError", (error) =>
      Effect.fail(new SimulatorError({ reason: new ThreadFailed({ description: error.message }) }))
    ),
    Effect.catchTag("SimulatorError", (error) =>
      Effect.sync(() => port.postMessage(encodeReply({ _tag: "Failed", error })))
    ),
    Effect.ensuring(Effect.sync(() => port.close()))
  )

if (parentPort !== null) Effect.runFork(serve(parentPort))
