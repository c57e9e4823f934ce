/**
 * The Gemini API of Google AI Studio: streaming `generateContent` with an API key.
 *
 * Format: https://ai.google.dev/api/generate-content. The same models on Google Cloud are asked with `VertexAi`.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as LlmError from "../domain/LlmError.ts"
import * as GoogleAddress from "./internal/googleAddress.ts"
import * as GoogleBody from "./internal/googleBody.ts"
import * as GoogleError from "./internal/googleError.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import * as Variables from "./internal/variables.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type Transport } from "./Transport.ts"
import * as GeminiChunk from "./wire/GeminiChunk.ts"

/**
 * Where requests go when nobody says otherwise.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultApiBase = "https://generativelanguage.googleapis.com"

/**
 * - `model`: `gemini-…`, also as `models/gemini-…`, or `tunedModels/…`
 * - `samplingParams`: OpenAI's names (`temperature`, `top_p`, `top_k`, `stop`, `seed` and others) go into
 *   `generationConfig`, all others to the top of the body; `generationConfig` may be given, too, and goes over the rest
 * - `apiBase`: `https://host` gets `/v1beta`, any other path is kept (`defaultApiBase`); in full, with `models/…:method`, it says
 *   which model is asked
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase?: string | undefined
  readonly apiKey: Redacted.Redacted<string> | null
}

const format: Format = { makeDecoder: GeminiChunk.makeDecoder, errorOf: GoogleError.errorOf }

const resource = (model: string): string => {
  const names = model.includes("/") ? model.split("/") : ["models", model]
  return names.map(GoogleAddress.segment).join("/")
}

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Gemini.make")(function* (options: Options) {
  const to = yield* GoogleAddress.target(
    options.apiBase ?? defaultApiBase,
    "v1beta",
    resource(options.model),
    "streamGenerateContent"
  )
  return yield* PlainProvider.make({
    name: "gemini",
    to,
    headers: RequestParts.headers(
      options,
      "text/event-stream",
      options.apiKey === null ? {} : { "x-goog-api-key": Redacted.value(options.apiKey).trim() }
    ),
    body: GoogleBody.generateContent(options),
    format
  })
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError.LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes the key from `GEMINI_API_KEY` or `GOOGLE_API_KEY`, and the address, unless it is given, from `GEMINI_API_BASE`.
 * Fails with `LlmError` (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "apiKey">
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(options.apiBase, ["GEMINI_API_BASE"], { fallback: defaultApiBase })
      const apiKey = yield* Variables.keyFor(
        apiBase,
        ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        "a key of the Gemini API, from https://aistudio.google.com/apikey (or GOOGLE_API_KEY)"
      )
      return withUnsetKey(yield* make({ ...options, apiBase, apiKey }), apiKey, "GEMINI_API_KEY", options)
    })
  )
