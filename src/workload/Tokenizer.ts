/**
 * Turns text into tokens and back.
 *
 * Llama's tokenizer is the default whatever the model, as in LLMPerf: every server then gets the same prompts and is
 * measured with the same yardstick. Any other comes from a `tokenizer.json`, by the id of a model on the Hugging Face
 * hub or from a folder. Neither is loaded before a layer is built.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

/**
 * The name of the default tokenizer.
 *
 * @category constants
 * @since 0.1.0
 */
export const llamaName = "llama"

/**
 * A tokenizer could not be loaded or used. `tokenizer` is the name that was asked for, `description` says what was
 * tried and what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenizerError extends Schema.TaggedError<TokenizerError>("llmperf/workload/Tokenizer/TokenizerError")(
  "TokenizerError",
  { tokenizer: Schema.String, description: Schema.String }
) {
  override get message(): string {
    return `Tokenizer "${this.tokenizer}": ${this.description}`
  }
}

/**
 * The tokenizer of a run. All counts leave out special tokens (start of text, end of text).
 *
 * - `name`: what it is called in the results
 * - `count(text)`: how many tokens the text has where a model writes it; 0 for the empty text. A tokenizer that puts a space before
 *   every text is kept from it where one is there already, so that the count may be lower than the number of ids from `encode`
 * - `encode(text)`, `decode(ids)`: the ids, and the text of ids. Both are pure; `decode` throws on unknown ids
 *
 * @category services
 * @since 0.1.0
 */
export class Tokenizer extends Context.Service<
  Tokenizer,
  {
    readonly name: string
    readonly count: (text: string) => number
    readonly encode: (text: string) => ReadonlyArray<number>
    readonly decode: (ids: ReadonlyArray<number>) => string
  }
>()("llmperf/workload/Tokenizer") {}

/**
 * The tokenizer of Llama 1 and 2 (SentencePiece BPE, 32,000 tokens), from the npm package `llama-tokenizer-js`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLlama: Layer.Layer<Tokenizer> = Layer.effect(
  Tokenizer,
  Effect.map(
    Effect.promise(() => import("./internal/LlamaEncoder.ts")),
    (LlamaEncoder) => Tokenizer.of({ name: llamaName, ...LlamaEncoder.make() })
  )
)

/**
 * Any tokenizer that `AutoTokenizer` of `@huggingface/transformers` can read. `source` is a folder with `tokenizer.json`
 * and `tokenizer_config.json` (nothing is fetched then) or the id of a model on the Hugging Face hub, whose two files
 * are kept in the user's cache folder. Set `HF_TOKEN` for models that ask for it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAutoTokenizer = (source: string): Layer.Layer<Tokenizer, TokenizerError> =>
  Layer.effect(
    Tokenizer,
    Effect.flatMap(
      Effect.promise(() => import("./internal/HubTokenizer.ts")),
      (HubTokenizer) =>
        Effect.mapBoth(HubTokenizer.load(source), {
          onSuccess: (encoder) => Tokenizer.of({ name: source, ...encoder }),
          onFailure: ({ description }) => new TokenizerError({ tokenizer: source, description })
        })
    )
  )

/**
 * The tokenizer of that name: Llama's when none is given, else a folder or a model id.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (name?: string | undefined): Layer.Layer<Tokenizer, TokenizerError> =>
  name === undefined || name === llamaName ? layerLlama : layerAutoTokenizer(name)
