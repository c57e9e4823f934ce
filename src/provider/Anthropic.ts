/**
 * Anthropic's Messages, streamed, and every server that speaks the same API.
 *
 * Format: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as LlmError from "../domain/LlmError.ts"
import * as Address from "./internal/address.ts"
import * as Json from "./internal/json.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import * as Variables from "./internal/variables.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type Transport } from "./Transport.ts"
import * as AnthropicEvent from "./wire/AnthropicEvent.ts"

/**
 * - `apiBase`: `https://host`, `https://host/v1`, any other base path, or the full path of the endpoint
 * - `apiKey`: sent as `x-api-key`; `null` to send none
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
  readonly apiKey: Redacted.Redacted<string> | null
}

/**
 * Anthropic's own servers.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultApiBase = "https://api.anthropic.com"

/**
 * The version of the API that is spoken, header `anthropic-version`.
 *
 * @category constants
 * @since 0.2.0
 */
export const version = "2023-06-01"

/**
 * Output tokens asked for where the plan sets no limit: the API refuses requests without one. Every model allows as many.
 *
 * @category constants
 * @since 0.2.0
 */
export const defaultMaxTokens = 4_096

/**
 * Where requests go for a base as people write it. `null` when it is not an http(s) address.
 *
 * @category decoding
 * @since 0.2.0
 */
export const target = (apiBase: string): { readonly origin: string; readonly path: string } | null =>
  Address.target(apiBase, /(\/v1)?(\/messages)?$/, "/v1/messages")

const format: Format = {
  makeDecoder: AnthropicEvent.makeDecoder,
  errorOf: (body) => AnthropicEvent.errorOf(Json.parse(body))
}

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Anthropic.make")(function* (options: Options) {
  const to = yield* Address.orFail(target(options.apiBase), options.apiBase)
  const bodyOf = RequestParts.body(options)
  return yield* PlainProvider.make({
    name: "anthropic",
    to,
    headers: RequestParts.headers(options, "text/event-stream", {
      "anthropic-version": version,
      ...(options.apiKey === null ? {} : { "x-api-key": Redacted.value(options.apiKey).trim() })
    }),
    body: (plan) =>
      bodyOf({
        model: options.model,
        max_tokens: plan.outputTokens ?? defaultMaxTokens,
        messages: [{ role: "user", content: plan.prompt }],
        stream: true
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
 * Takes the key from `ANTHROPIC_API_KEY` and, where `options` give none, the address from `ANTHROPIC_API_BASE` or
 * `ANTHROPIC_BASE_URL`, else Anthropic's own. Fails with `LlmError` (`MissingCredential`, naming the variable) before
 * anything is sent.
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
      const apiBase = yield* Variables.base(options.apiBase, ["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"], {
        fallback: defaultApiBase
      })
      const apiKey = yield* Variables.keyFor(
        apiBase,
        ["ANTHROPIC_API_KEY"],
        "the key of the API; any word will do for a server that checks none"
      )
      return withUnsetKey(yield* make({ ...options, apiBase, apiKey }), apiKey, "ANTHROPIC_API_KEY", options)
    })
  )
