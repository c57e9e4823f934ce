/**
 * Counts the tokens of generated text without holding up the thread that reads sockets.
 *
 * @since 0.1.0
 */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Worker } from "node:worker_threads"
import * as WorkerCounter from "./internal/WorkerCounter.ts"
import { llamaName, Tokenizer, TokenizerError } from "./Tokenizer.ts"

/**
 * The counter of a run.
 *
 * - `name`: what the tokenizer is called in the results
 * - `count(text)`: tokens of the text without special tokens. With a worker, `count("")` answers as soon as the worker
 *   is ready: wait for that before the clock of a run starts, because loading a tokenizer takes CPU from the run
 *
 * @category services
 * @since 0.1.0
 */
export class TokenCounter extends Context.Service<
  TokenCounter,
  {
    readonly name: string
    readonly count: (text: string) => Effect.Effect<number, TokenizerError>
  }
>()("llmperf/workload/TokenCounter") {}

/**
 * Counts at once, on the calling thread, with the `Tokenizer` of the run. For virtual time, where a thread would answer
 * outside the clock, and for tests.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInline: Layer.Layer<TokenCounter, never, Tokenizer> = Layer.effect(
  TokenCounter,
  Effect.map(Tokenizer, (tokenizer) =>
    TokenCounter.of({
      name: tokenizer.name,
      count: (text) =>
        Effect.try({
          try: () => tokenizer.count(text),
          catch: (error) => new TokenizerError({ tokenizer: tokenizer.name, description: String(error) })
        })
    })
  )
)

/** A small young generation: it is collected more often, and never for long. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 }

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./TokenCounterWorker${extension}`, import.meta.url)
}

/**
 * Counts on a worker thread of its own, with Llama's tokenizer or the one named (see `Tokenizer.layer`).
 *
 * The layer does not wait for the thread, which starts and loads the tokenizer beside. Texts that queue up go over in
 * batches. When the tokenizer can't be loaded or the thread dies, every count fails with a `TokenizerError`. Closing the
 * scope ends the thread, and counts that still wait fail.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = (
  options: { readonly tokenizer?: string | undefined } = {}
): Layer.Layer<TokenCounter, TokenizerError> => {
  const name = options.tokenizer ?? llamaName
  return Layer.effect(TokenCounter, WorkerCounter.make(name)).pipe(
    Layer.provide(
      NodeWorker.layer(
        () => new Worker(script(), { name: "llmperf-tokenizer", resourceLimits, workerData: { tokenizer: name } })
      )
    )
  )
}
