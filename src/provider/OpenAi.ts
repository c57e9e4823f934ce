/**
 * OpenAI and every server that speaks its API: streaming chat completions and legacy completions.
 *
 * Format: https://platform.openai.com/docs/api-reference/chat/create and …/completions/create.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as LlmError from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as Credentials from "./internal/credentials.ts"
import * as RequestParts from "./internal/requestParts.ts"
import { type Service, Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type HttpRequest, Transport } from "./Transport.ts"
import * as OpenAiChunk from "./wire/OpenAiChunk.ts"

/**
 * Which of the two APIs to call.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = "chat" | "completions"

/**
 * - `apiBase`: `https://host`, `https://host/v1`, any other base path, or the full path of the endpoint
 * - `ignoreEos`: asks the server to go on until the asked number of tokens (vLLM, SGLang and others know `ignore_eos`)
 * - `includeUsage`: asks for `stream_options.include_usage`; a server that refuses it is asked again without
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
  readonly apiKey: Redacted.Redacted<string> | null
  readonly endpoint?: Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
}

const endpointPath = { chat: "/chat/completions", completions: "/completions" } as const

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
  if (!URL.canParse(apiBase)) return null
  const url = new URL(apiBase)
  if (url.protocol !== "http:" && url.protocol !== "https:") return null
  const given = url.pathname.replace(/\/+$/, "")
  const base = given.replace(/(\/chat)?\/completions$/, "")
  return {
    origin: url.origin,
    path: `${base === "" && given === "" ? "/v1" : base}${endpointPath[endpoint]}${url.search}`
  }
}

const errorOf = (body: string): LlmError.InStream | undefined => {
  try {
    return OpenAiChunk.errorOf(JSON.parse(body))
  } catch {
    return undefined
  }
}

const isUsageRefusal = (error: LlmError.LlmError): boolean =>
  error.reason._tag === "HttpStatus" &&
  (error.reason.status === 400 || error.reason.status === 422) &&
  /stream_options|include_usage/.test(error.reason.body)

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("OpenAi.make")(function* (options: Options) {
  const transport = yield* Transport
  const endpoint = options.endpoint ?? "chat"
  const to = target(options.apiBase, endpoint)
  if (to === null) {
    return yield* LlmError.fromReason(
      new LlmError.Protocol({ description: `The API base is not an http(s) address: ${options.apiBase}` })
    )
  }
  const headersOf = RequestParts.headers(
    options,
    "text/event-stream",
    options.apiKey === null ? {} : { authorization: `Bearer ${Redacted.value(options.apiKey).trim()}` }
  )
  const bodyOf = RequestParts.body(options)
  let usage: "unknown" | "given" | "refused" = options.includeUsage === false ? "refused" : "unknown"

  const body = (plan: RequestPlan, withUsage: boolean): string =>
    bodyOf({
      model: options.model,
      ...(endpoint === "chat" ? { messages: [{ role: "user", content: plan.prompt }] } : { prompt: plan.prompt }),
      stream: true,
      ...(withUsage ? { stream_options: { include_usage: true } } : {}),
      max_tokens: plan.outputTokens,
      ...(options.ignoreEos === true ? { ignore_eos: true } : {})
    })

  const request = (plan: RequestPlan, withUsage: boolean): HttpRequest => ({
    origin: to.origin,
    path: to.path,
    headers: headersOf(plan),
    body: body(plan, withUsage)
  })

  const format: Format = { makeDecoder: OpenAiChunk.makeDecoder, errorOf }

  // Until the server has answered one such request with a stream, it may still refuse to be asked for usage.
  const asking: Format = {
    errorOf,
    makeDecoder: (out) => {
      usage = "given"
      return OpenAiChunk.makeDecoder(out)
    }
  }

  const stream: Service["stream"] = (plan) => {
    if (usage !== "unknown") return transport.stream(() => request(plan, usage === "given"), format)
    return Stream.catchIf(
      transport.stream(() => request(plan, true), asking),
      isUsageRefusal,
      () => {
        usage = "refused"
        return transport.stream(() => request(plan, false), format)
      }
    )
  }

  return Provider.of({ name: "openai", origin: to.origin, stream })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError.LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes address and key from the environment where `options` do not give them. Fails with `LlmError`
 * (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Omit<Options, "apiBase" | "apiKey"> & { readonly apiBase?: string | undefined }
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Credentials.givenOr(
        options.apiBase,
        "OPENAI_API_BASE",
        "the address of the API, such as https://api.openai.com/v1 (or --api-base)"
      )
      const apiKey = yield* Credentials.secret(
        "OPENAI_API_KEY",
        "the key of the API; any word will do for a server that checks none"
      )
      return yield* make({ ...options, apiBase, apiKey })
    })
  )
