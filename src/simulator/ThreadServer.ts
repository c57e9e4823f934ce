/**
 * What a thread of `SimulatorThread` does: reads its options, serves, and ends when it is told to.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { MessagePort } from "node:worker_threads"
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

/**
 * Serves with the options in `data` until `port` says to end. It counts prompts by the `PromptTokens` that it is given.
 *
 * @category running
 * @since 0.2.0
 */
export const serve = (port: MessagePort, data: unknown): Effect.Effect<void> =>
  Effect.gen(function* () {
    const options = yield* decodeOptions(data)
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

/**
 * Says that the thread cannot serve.
 *
 * @category running
 * @since 0.2.0
 */
export const fail = (port: MessagePort, description: string): Effect.Effect<void> =>
  Effect.sync(() => {
    const error = new SimulatorError({ reason: new ThreadFailed({ description }) })
    port.postMessage(encodeReply({ _tag: "Failed", error }))
    port.close()
  })
