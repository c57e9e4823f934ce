/**
 * OpenAI's models on Azure: deployments with an `api-version`, and the v1 route without one.
 *
 * Format: https://learn.microsoft.com/azure/ai-services/openai/reference; what is sent and received is OpenAI's own.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type LlmError } from "../domain/LlmError.ts"
import * as Address from "./internal/address.ts"
import * as Azure from "./internal/azure.ts"
import * as OpenAiApi from "./internal/openAiApi.ts"
import * as Variables from "./internal/variables.ts"
import { type Endpoint } from "./OpenAi.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { Transport } from "./Transport.ts"

/**
 * How Azure knows us: the key of the resource, or a token of Microsoft Entra ID.
 *
 * @category models
 * @since 0.2.0
 */
export type Credential =
  | { readonly _tag: "Key"; readonly key: Redacted.Redacted<string> }
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted<string> }

/**
 * - `apiBase`: `https://name.openai.azure.com`, `…/openai/v1`, `…/openai/deployments/name`, a gateway before one of them, or
 *   the full path
 * - `apiVersion`: the `api-version`, where the base has none. The v1 route takes none
 * - `model`: the name of the deployment
 * - `credential`: `null` for a server that wants none
 * - `endpoint`, `ignoreEos`, `includeUsage`, `usagePerChunk`: as for `OpenAi`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase: string
  readonly credential: Credential | null
  readonly apiVersion?: string | undefined
  readonly endpoint?: Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
}

const headersOf = (credential: Credential): { readonly [name: string]: string } =>
  credential._tag === "Key"
    ? { "api-key": Redacted.value(credential.key).trim() }
    : { authorization: `Bearer ${Redacted.value(credential.token).trim()}` }

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address, or says another endpoint than `endpoint`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("AzureOpenAi.make")(function* (options: Options) {
  const transport = yield* Transport
  const endpoint = yield* OpenAiApi.endpointFor(options.apiBase, options.endpoint)
  const to = yield* Address.orFail(
    Azure.target(options.apiBase, options.model, endpoint, options.apiVersion),
    options.apiBase
  )
  const { credential } = options
  return OpenAiApi.make(transport, "azure", to, credential === null ? {} : headersOf(credential), {
    ...options,
    endpoint
  })
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes address, version and key from the environment where `options` do not give them: LiteLLM's names first
 * (`AZURE_API_BASE`, `AZURE_API_VERSION`, `AZURE_API_KEY`), then Azure's (`AZURE_OPENAI_ENDPOINT`, `OPENAI_API_VERSION`,
 * `AZURE_OPENAI_API_KEY`). Without a key a token is taken (`AZURE_AD_TOKEN`, `AZURE_OPENAI_AD_TOKEN`). Fails with `LlmError`
 * (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "apiBase" | "credential"> & { readonly apiBase?: string | undefined }
): Layer.Layer<Provider, LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const apiBase = yield* Variables.base(
        options.apiBase,
        ["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_BASE"],
        { description: "the address of the resource, such as https://name.openai.azure.com (or --api-base)" }
      )
      const apiVersion =
        options.apiVersion ??
        Option.getOrUndefined(
          yield* Variables.text(["AZURE_API_VERSION", "AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"])
        )
      return yield* make({ ...options, apiBase, apiVersion, credential: yield* credentialFor(apiBase) })
    })
  )

const credentialFor = Effect.fnUntraced(function* (
  apiBase: string
): Effect.fn.Return<Credential | null, LlmError | Config.ConfigError> {
  const keys = ["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"] as const
  const key = yield* Variables.secret(keys)
  if (Option.isSome(key)) return { _tag: "Key", key: key.value }
  const token = yield* Variables.secret(["AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN"])
  if (Option.isSome(token)) return { _tag: "Token", token: token.value }
  yield* Variables.keyFor(apiBase, keys, "the key of the resource (or AZURE_AD_TOKEN)")
  return null
})
