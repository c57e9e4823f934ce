/**
 * Together AI: OpenAI's API at https://api.together.xyz/v1.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { type LlmError } from "../domain/LlmError.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import * as Variables from "./internal/variables.ts"
import * as OpenAi from "./OpenAi.ts"
import { type Service, Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Transport } from "./Transport.ts"

/**
 * Where Together AI is.
 *
 * @category models
 * @since 0.2.0
 */
export const defaultApiBase = "https://api.together.xyz/v1"

/**
 * - `apiBase`: Together AI itself when left out
 * - `model`: as Together AI names it, such as `togethercomputer/CodeLlama-7b-Instruct`
 * - `ignoreEos`, `includeUsage`, `usagePerChunk`: as for `OpenAi`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiKey: Redacted.Redacted<string> | null
  readonly apiBase?: string | undefined
  readonly endpoint?: OpenAi.Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
}

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): Effect.Effect<Service, LlmError, Transport> =>
  Effect.map(OpenAi.make({ ...options, apiBase: options.apiBase ?? defaultApiBase }), (service) =>
    Provider.of({ ...service, name: "together" })
  )

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes the key from `TOGETHERAI_API_KEY` (or `TOGETHER_API_KEY`), and the address from `TOGETHERAI_API_BASE` where
 * `options` do not give it. Fails with `LlmError` (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "apiKey">
): Layer.Layer<Provider, LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(options.apiBase, ["TOGETHERAI_API_BASE", "TOGETHER_AI_API_BASE"], {
        fallback: defaultApiBase
      })
      const apiKey = yield* Variables.keyFor(
        apiBase,
        ["TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"],
        "the key of Together AI"
      )
      return withUnsetKey(yield* make({ ...options, apiBase, apiKey }), apiKey, "TOGETHERAI_API_KEY", options)
    })
  )
