/**
 * Models named as LiteLLM names them: `together_ai/…`, `anthropic/…`, `groq/…`.
 *
 * LiteLLM itself is not needed: a known prefix says which API to ask, and it is asked natively, with the environment
 * variables that LiteLLM reads (https://docs.litellm.ai/docs/providers). Any other model is asked of a LiteLLM proxy.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as LlmError from "../domain/LlmError.ts"
import { withUnsetKey } from "./internal/unsetKey.ts"
import * as Variables from "./internal/variables.ts"
import * as OpenAi from "./OpenAi.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Transport } from "./Transport.ts"
import { type Route } from "./VertexAi.ts"
import { type Style } from "./wire/SageMakerPayload.ts"

/**
 * - `model`: with its prefix
 * - `apiBase`: in place of the address that the prefix stands for; for a model without a known one, the address of a proxy
 * - `endpoint`, `ignoreEos`, `includeUsage`, `usagePerChunk`: for the APIs of OpenAI's shape, see `OpenAi`
 * - `payload`: for SageMaker; `vertexRoute`: for Vertex AI
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly apiBase?: string | undefined
  readonly endpoint?: OpenAi.Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
  readonly payload?: Style | undefined
  readonly vertexRoute?: Route | undefined
}

type ProviderLayer = Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport>

/** Makes the layer of an API; `options.model` has no prefix any more. */
type Api = (options: Options) => ProviderLayer

/** A layer of a module that is loaded only when it is used. */
const lazily =
  <Module>(load: () => Promise<Module>, layer: (module: Module, options: Options) => ProviderLayer): Api =>
  (options) =>
    Layer.unwrap(Effect.map(Effect.promise(load), (module) => layer(module, options)))

/** An API of OpenAI's shape: where it is, and the variables that hold its key and another address. */
interface Compatible {
  readonly apiBase?: string
  readonly bases: Variables.Names
  readonly keys: Variables.Names
  readonly needsKey?: boolean
  readonly modelOf?: (model: string) => string
}

const compatible =
  ({ apiBase, bases, keys, modelOf = (model) => model, needsKey = true }: Compatible): Api =>
  (options) =>
    Layer.effect(
      Provider,
      Effect.gen(function* () {
        const address = yield* Variables.base(
          options.apiBase,
          bases,
          apiBase === undefined ? { description: "the address of the API (or --api-base)" } : { fallback: apiBase }
        )
        const apiKey = needsKey
          ? yield* Variables.keyFor(address, keys, "the key of the API")
          : Option.getOrNull(yield* Variables.secret(keys))
        const provider = yield* OpenAi.make({ ...options, model: modelOf(options.model), apiBase: address, apiKey })
        return withUnsetKey(Provider.of({ ...provider, name: "litellm" }), apiKey, keys[0], options)
      })
    )

const openAi: Api = (options) =>
  Layer.unwrap(
    Effect.map(
      Variables.base(options.apiBase, ["OPENAI_API_BASE", "OPENAI_BASE_URL"], {
        fallback: "https://api.openai.com/v1"
      }),
      (apiBase) => OpenAi.layerConfig({ ...options, apiBase })
    )
  )

const ollama = lazily(
  () => import("./Ollama.ts"),
  ({ layerConfig }, options) => layerConfig(options)
)

const apis: { readonly [prefix: string]: Api } = {
  anthropic: lazily(
    () => import("./Anthropic.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  azure: lazily(
    () => import("./AzureOpenAi.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  bedrock: lazily(
    () => import("./Bedrock.ts"),
    ({ layerConfig }, options) => layerConfig({ ...options, model: options.model.replace(/^converse\//, "") })
  ),
  cerebras: compatible({
    apiBase: "https://api.cerebras.ai/v1",
    bases: ["CEREBRAS_API_BASE"],
    keys: ["CEREBRAS_API_KEY"]
  }),
  deepseek: compatible({
    apiBase: "https://api.deepseek.com/v1",
    bases: ["DEEPSEEK_API_BASE"],
    keys: ["DEEPSEEK_API_KEY"]
  }),
  fireworks_ai: compatible({
    apiBase: "https://api.fireworks.ai/inference/v1",
    bases: ["FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"],
    keys: ["FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"],
    // Their own models may be named without the account.
    modelOf: (model) => (/^accounts\/|#/.test(model) ? model : `accounts/fireworks/models/${model}`)
  }),
  gemini: lazily(
    () => import("./Gemini.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  groq: compatible({
    apiBase: "https://api.groq.com/openai/v1",
    bases: ["GROQ_API_BASE"],
    keys: ["GROQ_API_KEY"]
  }),
  hosted_vllm: compatible({
    bases: ["HOSTED_VLLM_API_BASE"],
    keys: ["HOSTED_VLLM_API_KEY"],
    needsKey: false
  }),
  huggingface: lazily(
    () => import("./HuggingFace.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  litellm_proxy: compatible({
    bases: ["LITELLM_PROXY_API_BASE", "LITELLM_API_BASE"],
    keys: ["LITELLM_PROXY_API_KEY", "LITELLM_API_KEY"],
    needsKey: false
  }),
  mistral: compatible({
    apiBase: "https://api.mistral.ai/v1",
    bases: ["MISTRAL_API_BASE"],
    keys: ["MISTRAL_API_KEY"]
  }),
  nvidia_nim: compatible({
    apiBase: "https://integrate.api.nvidia.com/v1",
    bases: ["NVIDIA_NIM_API_BASE"],
    keys: ["NVIDIA_NIM_API_KEY", "NVIDIA_API_KEY"]
  }),
  ollama,
  ollama_chat: ollama,
  openai: openAi,
  openrouter: compatible({
    apiBase: "https://openrouter.ai/api/v1",
    bases: ["OPENROUTER_API_BASE"],
    keys: ["OPENROUTER_API_KEY", "OR_API_KEY"]
  }),
  perplexity: compatible({
    // In full, as there is no /v1 in it.
    apiBase: "https://api.perplexity.ai/chat/completions",
    bases: ["PERPLEXITY_API_BASE"],
    keys: ["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"]
  }),
  sagemaker: lazily(
    () => import("./SageMaker.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  sagemaker_chat: lazily(
    () => import("./SageMaker.ts"),
    ({ layerConfig }, options) => layerConfig({ ...options, payload: "messages" })
  ),
  together_ai: lazily(
    () => import("./TogetherAi.ts"),
    ({ layerConfig }, options) => layerConfig(options)
  ),
  vertex_ai: lazily(
    () => import("./VertexAi.ts"),
    ({ defaultRoute, layerConfig }, { vertexRoute, ...options }) => {
      // A number is the id of an endpoint; the one behind openai/ speaks OpenAI's format.
      const [, openAi, id] = /^(openai\/)?(\d+)$/.exec(options.model) ?? []
      // A publisher's model is on no endpoint, whatever LLMPerf's variable says.
      const endpointId = id ?? (defaultRoute({ model: options.model }) === "predict" ? undefined : "")
      return layerConfig({ ...options, endpointId, route: vertexRoute ?? (openAi === undefined ? undefined : "raw") })
    }
  ),
  xai: compatible({
    apiBase: "https://api.x.ai/v1",
    bases: ["XAI_API_BASE"],
    keys: ["XAI_API_KEY"]
  })
}

/**
 * The prefixes that are known, without their `/`.
 *
 * @category models
 * @since 0.2.0
 */
export const prefixes: ReadonlyArray<string> = Object.keys(apis)

/** Models that need no prefix, as there is only one they can be meant for. */
const families = [
  { prefix: "anthropic", names: /^claude-/ },
  { prefix: "openai", names: /^((ft:)?gpt-|chatgpt-|o[1-9](-|$))/ }
] as const

/**
 * Takes a model's name apart. `prefix` is `null` when there is no known one; the family of the models of Anthropic and
 * OpenAI, which LiteLLM knows by their names alone, is then in `family`.
 *
 * @category decoding
 * @since 0.2.0
 */
export const parse = (
  model: string
): { readonly prefix: string | null; readonly family: string | null; readonly model: string } => {
  const slash = model.indexOf("/")
  const prefix = model.slice(0, Math.max(0, slash))
  if (Object.hasOwn(apis, prefix)) return { prefix, family: null, model: model.slice(slash + 1) }
  return { prefix: null, family: families.find(({ names }) => names.test(model))?.prefix ?? null, model }
}

const proxyBases = ["LITELLM_API_BASE", "LITELLM_PROXY_API_BASE"] as const

const proxy = compatible({
  bases: proxyBases,
  keys: ["LITELLM_API_KEY", "LITELLM_PROXY_API_KEY"],
  needsKey: false
})

const unknown = (model: string): LlmError.LlmError =>
  LlmError.fromReason(
    new LlmError.MissingCredential({
      variable: proxyBases[0],
      description: `the address of a LiteLLM proxy that knows the model ${model}. Without one its name must begin with one of ${prefixes.map((prefix) => `${prefix}/`).join(", ")}`
    })
  )

/**
 * The layer of the API that a model's name stands for. Models with a known prefix are always asked natively. Any other
 * goes, under the name it has, to a proxy (`apiBase` or `LITELLM_API_BASE`; `LITELLM_API_KEY` if it wants one); where there is
 * none, `claude-…` and `gpt-…` are asked of Anthropic and OpenAI, and the rest is refused with `LlmError`
 * (`MissingCredential`, with the known prefixes) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Options
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> => {
  const { family, model, prefix } = parse(options.model)
  const native = prefix === null ? undefined : apis[prefix]
  if (native !== undefined) return native({ ...options, model })
  return Layer.unwrap(
    Effect.gen(function* () {
      if (options.apiBase !== undefined || Option.isSome(yield* Variables.text(proxyBases))) return proxy(options)
      const api = family === null ? undefined : apis[family]
      return api === undefined ? yield* unknown(options.model) : api(options)
    })
  )
}
