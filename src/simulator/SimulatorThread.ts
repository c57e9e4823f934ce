/**
 * The simulated server on a thread of its own, so that it does not share the event loop of the load generator.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { HttpFrontOptions } from "./HttpFront.ts"
import * as messages from "./internal/threadMessages.ts"
import { ModelServerOptions } from "./ModelServer.ts"
import { SimulatorError, ThreadFailed } from "./SimulatorError.ts"

/**
 * How the model behaves and where it listens.
 *
 * @category models
 * @since 0.1.0
 */
export const SimulatorOptions = Schema.Struct({ model: ModelServerOptions, http: HttpFrontOptions })

/**
 * @category models
 * @since 0.1.0
 */
export interface SimulatorOptions extends Schema.Schema.Type<typeof SimulatorOptions> {}

/**
 * A thread of another kind than the usual one: `script` runs `ThreadServer.serve`, with a `PromptTokens` of its own for example. `data` is
 * given to it beside the options.
 *
 * @category models
 * @since 0.2.0
 */
export interface ThreadScript {
  readonly script: URL
  readonly data: { readonly [name: string]: string }
}

/** The worker's file lies beside this one and ends like it: `.ts` in development, `.js` when published. */
const workerUrl = new URL(
  `./SimulatorWorker${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`,
  import.meta.url
)

const usual: ThreadScript = { script: workerUrl, data: {} }

const decodeReply = Schema.decodeUnknownResult(messages.Reply)

const failed = (description: string): SimulatorError =>
  new SimulatorError({ reason: new ThreadFailed({ description }) })

const listening = (worker: Worker): Effect.Effect<{ readonly url: string }, SimulatorError> =>
  Effect.callback((resume) => {
    const onMessage = (message: unknown): void => {
      const reply = decodeReply(message)
      if (Result.isFailure(reply)) resume(Effect.fail(failed(reply.failure.message)))
      else if (reply.success._tag === "Listening") resume(Effect.succeed({ url: reply.success.url }))
      else resume(Effect.fail(reply.success.error))
    }
    const onError = (error: unknown): void => resume(Effect.fail(failed(String(error))))
    const onExit = (code: number): void => resume(Effect.fail(failed(`it ended with code ${code}`)))
    worker.once("message", onMessage)
    worker.once("error", onError)
    worker.once("exit", onExit)
    return Effect.sync(() => {
      worker.off("message", onMessage)
      worker.off("error", onError)
      worker.off("exit", onExit)
    })
  })

/** How long the thread may take to close its connections before it is stopped. */
const graceMillis = 500

const exited = (worker: Worker): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (worker.threadId < 0) return resume(Effect.void)
    const onExit = (): void => resume(Effect.void)
    worker.once("exit", onExit)
    return Effect.sync(() => worker.off("exit", onExit))
  })

const stop = (worker: Worker): Effect.Effect<void> =>
  Effect.sync(() => worker.postMessage(messages.stop, [])).pipe(
    Effect.andThen(exited(worker)),
    Effect.timeoutOrElse({
      duration: graceMillis,
      orElse: () => Effect.asVoid(Effect.promise(() => worker.terminate()))
    })
  )

/**
 * Starts the server on a new thread and returns its address, `http://host:port`. When the scope closes, the server's
 * connections are closed and the thread ends. The thread alone does not keep the process alive.
 *
 * It estimates the tokens of prompts at 4 characters a token, unless `thread` counts them.
 *
 * Fails with `SimulatorError`: the port is in use, the host is not a loopback address, or the thread did not start.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fn("SimulatorThread.start")(function* (
  options: SimulatorOptions,
  thread: ThreadScript = usual
): Effect.fn.Return<{ readonly url: string }, SimulatorError, Scope.Scope> {
  const worker = yield* Effect.acquireRelease(
    Effect.try({
      try: () =>
        new Worker(thread.script, { workerData: { ...thread.data, ...options }, name: "simulator", execArgv: [] }),
      catch: (error) => failed(String(error))
    }),
    stop
  )
  const address = yield* listening(worker)
  // From here on an error of the thread shows at its clients; without a listener it would end this process.
  worker.on("error", () => undefined)
  worker.unref()
  return address
})
