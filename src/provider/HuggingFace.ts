/**
 * Hugging Face: `generate_stream` of Text Generation Inference (TGI), and the OpenAI-compatible route of the same server,
 * of Inference Endpoints and of the Inference Providers' router.
 *
 * Format: https://huggingface.co/docs/text-generation-inference and https://huggingface.co/docs/inference-providers.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as LlmError from "../domain/LlmError.ts"
import * as Address from "./internal/address.ts"
import * as Json from "./internal/json.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import * as Variables from "./internal/variables.ts"
import * as OpenAi from "./OpenAi.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type Transport } from "./Transport.ts"
import * as TgiEvent from "./wire/TgiEvent.ts"

/**
 * Which of the two APIs to speak. `auto` is `tgi` for a base whose path ends in `/generate_stream` or `/generate`, else
 * `openai`.
 *
 * @category models
 * @since 0.2.0
 */
export type Route = "auto" | "tgi" | "openai"

/**
 * - `apiBase`: `https://host`, any other base path, `…/v1`, or the full path of the endpoint
 * - `apiKey`: sent as a bearer token; `null` to send none
 * - `route`: `auto` by default
 * - `endpoint`, `ignoreEos`, `includeUsage`, `usagePerChunk`: as `OpenAi.Options`, for that route alone
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
  readonly apiKey: Redacted.Redacted<string> | null
  readonly route?: Route | undefined
  readonly endpoint?: OpenAi.Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
}

/**
 * The router of the Inference Providers.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultApiBase = "https://router.huggingface.co/v1"

const generatePath = /\/generate(_stream)?$/
const openAiPath = /\/(v1|completions|responses)$/

/**
 * The route that `auto` stands for.
 *
 * @category decoding
 * @since 0.2.0
 */
export const routeOf = (apiBase: string, route: Route = "auto"): "tgi" | "openai" => {
  if (route !== "auto") return route
  return generatePath.test(Address.parse(apiBase)?.path ?? "") ? "tgi" : "openai"
}

/**
 * Where requests to TGI go for a base as people write it. `null` when it is not an http(s) address.
 *
 * @category decoding
 * @since 0.2.0
 */
export const tgiTarget = (apiBase: string): { readonly origin: string; readonly path: string } | null =>
  Address.target(apiBase, /\/(generate(_stream)?|v1)$/, "/generate_stream")

/**
 * The base of the OpenAI-compatible API, which is `/v1` below that of the server.
 *
 * @category decoding
 * @since 0.2.0
 */
export const openAiBase = (apiBase: string): string => {
  const address = Address.parse(apiBase)
  if (address === null || openAiPath.test(address.path)) return apiBase
  return `${address.origin}${address.path.replace(generatePath, "")}/v1${address.search}`
}

/** Whether it is Hugging Face that answers there: the router, the hub, or an Inference Endpoint. A Space is its owner's. */
const isHuggingFace = (apiBase: string): boolean =>
  /(^|\.)(huggingface\.(co|cloud)|hf\.co)$/.test(Address.parse(apiBase)?.hostname ?? "")

const format: Format = {
  makeDecoder: TgiEvent.makeDecoder,
  errorOf: (body) => TgiEvent.errorOf(Json.parse(body))
}

const makeTgi = Effect.fnUntraced(function* (options: Options) {
  const to = yield* Address.orFail(tgiTarget(options.apiBase), options.apiBase)
  const bodyOf = RequestParts.body(
    { ...options, samplingParams: RequestParts.forTgi(options.samplingParams) },
    "parameters"
  )
  return yield* PlainProvider.make({
    name: "huggingface",
    to,
    headers: RequestParts.headers(
      options,
      "text/event-stream",
      options.apiKey === null ? {} : { authorization: `Bearer ${Redacted.value(options.apiKey).trim()}` }
    ),
    body: (plan) =>
      bodyOf({
        // A server of TGI has one model and passes over its name; what stands in front of several needs it.
        model: options.model,
        inputs: plan.prompt,
        parameters: {
          ...(plan.outputTokens === null ? {} : { max_new_tokens: plan.outputTokens }),
          details: true
        }
      }),
    format
  })
})

/**
 * Sampling parameters have the names of the API that is spoken; on the route of TGI `max_tokens` becomes `max_new_tokens`,
 * and a temperature of 0 is left out, which means the same. Fails with `LlmError` (`Protocol`) when the base is not an
 * address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("HuggingFace.make")(function* (options: Options) {
  if (routeOf(options.apiBase, options.route) === "tgi") return yield* makeTgi(options)
  const provider = yield* OpenAi.make({ ...options, apiBase: openAiBase(options.apiBase) })
  return Provider.of({ ...provider, name: "huggingface" })
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError.LlmError, Transport> =>
  Layer.effect(Provider, make(options))

const keyFor = Effect.fnUntraced(function* (apiBase: string) {
  const own = isHuggingFace(apiBase)
  // The hub's own tools use `HF_TOKEN`; it is meant for nobody else.
  const key = yield* Variables.secret(own ? ["HUGGINGFACE_API_KEY", "HF_TOKEN"] : ["HUGGINGFACE_API_KEY"])
  if (Option.isSome(key)) return key.value
  return own ? yield* Variables.missing("HUGGINGFACE_API_KEY", "a token of Hugging Face (HF_TOKEN is read, too)") : null
})

/**
 * Takes the address from `HUGGINGFACE_API_BASE` where `options` give none, else the router's, and the key from
 * `HUGGINGFACE_API_KEY`. Hosts of Hugging Face need a key, and `HF_TOKEN` will do for them; a server of one's own need not
 * have one. Fails with `LlmError` (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "apiBase" | "apiKey"> & { readonly apiBase?: string | undefined }
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(options.apiBase, ["HUGGINGFACE_API_BASE"], { fallback: defaultApiBase })
      const apiKey = yield* keyFor(apiBase)
      return withUnsetKey(yield* make({ ...options, apiBase, apiKey }), apiKey, "HUGGINGFACE_API_KEY", options)
    })
  )
