/**
 * Builds the prompts of rows of a schedule without holding up the thread that reads sockets: a prompt of 550 tokens takes
 * some 0.2 ms, one of 100,000 tokens many.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RowPrompts from "./internal/rowPrompts.ts"
import * as Thread from "./internal/thread.ts"
import * as WorkerMaker from "./internal/WorkerMaker.ts"
import { attempt } from "./internal/wrong.ts"
import type { BuiltPrompt, PromptError } from "./Prompt.ts"
import { llamaName, Tokenizer, type TokenizerError } from "./Tokenizer.ts"

/**
 * What a prompt is built for.
 *
 * - `id`: number of the row; decides its text, together with the seed and the lengths
 * - `inputTokens`: tokens of the prompt; `outputTokens`: tokens asked for
 * - `blocks`: ids of the blocks of text that it begins with, as far as they fit; `null` or empty for none
 *
 * @category models
 * @since 0.2.0
 */
export interface Row extends RowPrompts.Row {}

/**
 * - `seed`: an integer, decides all texts
 * - `promptMode`: how prompts without blocks are built, see `Prompt.make`
 * - `samePrompts`: whether these may begin alike, with the instruction, instead of with words of their own; `false` when left out
 * - `blockTokens`: tokens of a block: rows with blocks are built by `PrefixPrompt`. `null`: blocks are left aside, every
 *   prompt is built in the mode
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RowPrompts.Options {}

/**
 * The maker of a run.
 *
 * - `blockTokens`: as in `Options`
 * - `build(rows)`: their prompts in the same order. Every row has a generator of its own, so that its text does not depend on
 *   rows built before; only a text that came before is replaced by another, and given again where no other is left
 *   (`repeated`; prompts with blocks are never called so). Fails with `TooShort` when a row without blocks is shorter than
 *   the instruction, and names it
 * - `minimumInputTokens(outputTokens)`: for each number of output tokens the shortest prompt without blocks, in tokens
 *
 * @category services
 * @since 0.2.0
 */
export class PromptMaker extends Context.Service<
  PromptMaker,
  {
    readonly blockTokens: number | null
    readonly build: (
      rows: ReadonlyArray<Row>
    ) => Effect.Effect<ReadonlyArray<BuiltPrompt>, PromptError | TokenizerError>
    readonly minimumInputTokens: (
      outputTokens: ReadonlyArray<number>
    ) => Effect.Effect<ReadonlyArray<number>, TokenizerError>
  }
>()("llmperf/workload/PromptMaker") {}

/**
 * Builds at once, on the calling thread, with the `Tokenizer` of the run. For virtual time, where a thread would answer
 * outside the clock, and for tests.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerInline = (options: Options): Layer.Layer<PromptMaker, never, Tokenizer> =>
  Layer.effect(
    PromptMaker,
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer
      const trying = attempt(tokenizer.name)
      const made = yield* Effect.cached(trying(() => RowPrompts.make(options, tokenizer)))
      return PromptMaker.of({
        blockTokens: options.blockTokens,
        build: (rows) =>
          Effect.flatMap(made, ({ build }) =>
            Effect.flatMap(
              trying(() => build(rows)),
              Effect.fromResult
            )
          ),
        minimumInputTokens: (outputTokens) =>
          Effect.flatMap(made, ({ minimumInputTokens }) => trying(() => minimumInputTokens(outputTokens)))
      })
    })
  )

/**
 * Builds on a worker thread of its own, with Llama's tokenizer or the one named (see `Tokenizer.layer`): the same bytes as
 * `layerInline`.
 *
 * The layer does not wait for the thread, which starts and loads the tokenizer beside. One batch goes over at a time, in the
 * order of the calls. When the tokenizer can't be loaded or the thread dies, every call fails with a `TokenizerError`.
 * Closing the scope ends the thread once it is done with its batch, and calls that still wait fail.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerWorker = (
  options: Options & { readonly tokenizer?: string | undefined }
): Layer.Layer<PromptMaker, TokenizerError> => {
  const { tokenizer = llamaName, ...rest } = options
  const { blockTokens } = rest
  const workerData: typeof WorkerMaker.WorkerData.Type = { tokenizer, options: rest }
  return Layer.effect(
    PromptMaker,
    Effect.map(WorkerMaker.make(tokenizer), (maker) => PromptMaker.of({ blockTokens, ...maker }))
  ).pipe(
    Layer.provide(
      Thread.layer({ name: "llmperf-prompts", moduleUrl: import.meta.url, script: "PromptMakerWorker", workerData })
    )
  )
}
