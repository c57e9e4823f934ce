/**
 * Ollama's own chat API, streamed.
 *
 * Format: https://docs.ollama.com/api/chat.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LlmError from "../domain/LlmError.ts"
import * as Address from "./internal/address.ts"
import * as Json from "./internal/json.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import * as Variables from "./internal/variables.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type Transport } from "./Transport.ts"
import * as OllamaLine from "./wire/OllamaLine.ts"

/**
 * - `apiBase`: `http://host:port`, any other base path, or the full path of the endpoint
 * - `samplingParams`: go into `options`, but for the fields that stand beside it (`think`, `format`, `keep_alive`, `tools` …)
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
}

/**
 * Where a server on this machine listens unless it is told otherwise.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultApiBase = "http://127.0.0.1:11434"

/**
 * Where requests go for a base as people write it. `null` when it is not an http(s) address.
 *
 * @category decoding
 * @since 0.2.0
 */
export const target = (apiBase: string): { readonly origin: string; readonly path: string } | null =>
  Address.target(apiBase, /\/api(\/(chat|generate))?$|\/v1$/, "/api/chat")

/** The fields of a request that are no options of the model. */
const besideOptions: ReadonlySet<string> = new Set([
  "model",
  "messages",
  "stream",
  "tools",
  "format",
  "think",
  "keep_alive",
  "logprobs",
  "top_logprobs",
  "truncate",
  "shift"
])

interface Params {
  readonly inOptions: { readonly [name: string]: unknown }
  readonly beside: { readonly [name: string]: unknown }
}

const paramsOf = (params: RequestOptions["samplingParams"]): Params => {
  const { max_tokens, options, ...rest } = params ?? {}
  const entries = Object.entries(rest)
  return {
    inOptions: {
      ...(max_tokens === undefined ? {} : { num_predict: max_tokens }),
      ...(Json.isObject(options) ? options : {}),
      ...Object.fromEntries(entries.filter(([name]) => !besideOptions.has(name)))
    },
    beside: Object.fromEntries(entries.filter(([name, value]) => besideOptions.has(name) && value !== null))
  }
}

const format: Format = {
  makeDecoder: OllamaLine.makeDecoder,
  errorOf: (body) => OllamaLine.errorOf(Json.parse(body)),
  // An object of type `application/json` is an answer in one piece.
  accepts: (bytes, contentType) => {
    const type = contentType.toLowerCase()
    if (type.includes("ndjson")) return true
    return !type.startsWith("application/json") && bytes.toString("utf8", 0, 64).trimStart().startsWith("{")
  }
}

/**
 * Sampling parameters have Ollama's names; `max_tokens` becomes `num_predict`. Fails with `LlmError` (`Protocol`) when the
 * base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Ollama.make")(function* (options: Options) {
  const to = yield* Address.orFail(target(options.apiBase), options.apiBase)
  const { beside, inOptions } = paramsOf(options.samplingParams)
  const bodyOf = RequestParts.body({ ...options, samplingParams: inOptions }, "options")
  return yield* PlainProvider.make({
    name: "ollama",
    to,
    headers: RequestParts.headers(options, "application/x-ndjson"),
    body: (plan) =>
      bodyOf({
        model: options.model,
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        ...beside,
        options: plan.outputTokens === null ? {} : { num_predict: plan.outputTokens }
      }),
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
 * Takes the address from `OLLAMA_API_BASE` where `options` give none, else that of a server on this machine. No key is
 * needed.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "apiBase"> & { readonly apiBase?: string | undefined }
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(options.apiBase, ["OLLAMA_API_BASE"], { fallback: defaultApiBase })
      return yield* make({ ...options, apiBase })
    })
  )
