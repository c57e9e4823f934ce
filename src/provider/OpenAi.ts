/**
 * OpenAI and every server that speaks its API: streaming chat completions, legacy completions, and responses.
 *
 * Format: https://platform.openai.com/docs/api-reference/chat/create, …/completions/create and …/responses/create.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type LlmError } from "../domain/LlmError.ts"
import * as Address from "./internal/address.ts"
import * as Azure from "./internal/azure.ts"
import * as Variables from "./internal/variables.ts"
import * as OpenAiApi from "./internal/openAiApi.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { Transport } from "./Transport.ts"

/**
 * Which of the APIs to call.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = "chat" | "completions" | "responses"

/**
 * - `apiBase`: `https://host`, `https://host/v1`, any other base path, or the full path of the endpoint. A base on one of
 *   Azure's own hosts is used as `AzureOpenAi` uses it, with the model as the deployment
 * - `endpoint`: without it, that of a base in full, else `chat`
 * - `apiVersion`: the `api-version` of an Azure host, where the base has none
 * - `ignoreEos`: asks the server to go on until the asked number of tokens (vLLM, SGLang and others know `ignore_eos`)
 * - `usagePerChunk`: asks for `stream_options.continuous_usage_stats` too, as vLLM and SGLang know it: every chunk then tells how
 *   many tokens there are so far. It costs the client more per chunk. A server that refuses it is asked again without
 * - `includeUsage`: asks for `stream_options.include_usage`; a server that refuses it is asked again without. (Responses
 *   tell it unasked.) A model that takes no `max_tokens` is asked again with `max_completion_tokens`
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
  readonly apiKey: Redacted.Redacted<string> | null
  readonly apiVersion?: string | undefined
  readonly endpoint?: Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
}

/**
 * Where requests go for a base as people write it: `https://host` gets `/v1`, any other path is kept as it is, and a full
 * path is recognised. Returns `null` when it is not an http(s) address.
 *
 * @category decoding
 * @since 0.1.0
 */
export const target = (
  apiBase: string,
  endpoint: Endpoint
): { readonly origin: string; readonly path: string } | null => {
  const address = Address.parse(apiBase)
  if (address === null) return null
  const { origin, path, search } = address
  return {
    origin,
    path: `${path === "" ? "/v1" : OpenAiApi.basePath(path)}${OpenAiApi.endpointPaths[endpoint]}${search}`
  }
}

/**
 * The endpoint that a base in full says, such as `https://host/v1/responses`; `undefined` for any other base.
 *
 * @category decoding
 * @since 0.2.0
 */
export const endpointOf: (apiBase: string) => Endpoint | undefined = OpenAiApi.endpointOf

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address, or says another endpoint than `endpoint`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("OpenAi.make")(function* (options: Options) {
  const transport = yield* Transport
  const endpoint = yield* OpenAiApi.endpointFor(options.apiBase, options.endpoint)
  const isAzure = Azure.isOwnHost(options.apiBase)
  const to = yield* Address.orFail(
    isAzure
      ? Azure.target(options.apiBase, options.model, endpoint, options.apiVersion)
      : target(options.apiBase, endpoint),
    options.apiBase
  )
  const key = options.apiKey === null ? undefined : Redacted.value(options.apiKey).trim()
  const own = key === undefined ? {} : isAzure ? { "api-key": key } : { authorization: `Bearer ${key}` }
  return OpenAiApi.make(transport, "openai", to, own, { ...options, endpoint })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes the address, unless it is given, from `OPENAI_API_BASE` or else `OPENAI_BASE_URL`, the key from `OPENAI_API_KEY`, and the
 * version of an Azure host from `OPENAI_API_VERSION`. Without a key, servers on this computer and in private networks are asked
 * without one. Fails with `LlmError` (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Omit<Options, "apiBase" | "apiKey"> & { readonly apiBase?: string | undefined }
): Layer.Layer<Provider, LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(options.apiBase, ["OPENAI_API_BASE", "OPENAI_BASE_URL"], {
        description: "the address of the API, such as https://api.openai.com/v1 (or OPENAI_BASE_URL, or --api-base)"
      })
      const apiKey = yield* Variables.keyFor(
        apiBase,
        ["OPENAI_API_KEY"],
        "the key of the API; any word will do for a server that checks none"
      )
      const apiVersion = options.apiVersion ?? Option.getOrUndefined(yield* Variables.text(["OPENAI_API_VERSION"]))
      const service = yield* make({ ...options, apiBase, apiKey, apiVersion })
      return withUnsetKey(service, apiKey, "OPENAI_API_KEY", options)
    })
  )
