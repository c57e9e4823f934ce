import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { type Command } from "effect/cli"
import { type LlmError } from "../../domain/LlmError.ts"
import { type RunConfig } from "../../domain/RunConfig.ts"
import { requestIdOf } from "../../engine/RequestId.ts"
import * as OpenAi from "../../provider/OpenAi.ts"
import { type Provider } from "../../provider/Provider.ts"
import { type RequestOptions } from "../../provider/RequestOptions.ts"
import { type Transport } from "../../provider/Transport.ts"
import { type SimulatorError } from "../../simulator/SimulatorError.ts"
import { type CommandError, usage } from "../CommandError.ts"
import * as CountingSimulator from "../CountingSimulator.ts"
import { type api, type llmApis, type simulator } from "../flags.ts"
import * as OwnProvider from "./ownProvider.ts"
import { modelOptions } from "./simulated.ts"

type LlmApi = (typeof llmApis)[number]

/** What the flags of a command say about the API. */
export interface Input extends Command.Command.Config.Infer<typeof api> {
  readonly ignoreEos: boolean
  readonly usagePerChunk: boolean
  readonly header: ReadonlyArray<readonly [name: string, value: string]>
  readonly sim: Command.Command.Config.Infer<ReturnType<typeof simulator>>
}

/** What is said about every request of a run. */
export interface Settings extends Pick<
  RunConfig,
  "model" | "additionalSamplingParams" | "requestIdHeader" | "runId" | "seed"
> {
  /** By which a simulated server counts prompts. */
  readonly tokenizer: string
}

/** What all APIs are told; each takes of it what it knows. */
interface Options extends RequestOptions {
  readonly apiBase: string | undefined
  readonly endpoint: OpenAi.Endpoint | undefined
  readonly ignoreEos: boolean
  readonly usagePerChunk: boolean
  readonly payload: "jumpstart" | "tgi" | "messages" | undefined
  readonly vertexRoute: "predict" | "raw" | "publisher" | undefined
}

type ProviderLayer = Layer.Layer<Provider, LlmError | Config.ConfigError, Transport>

/** An API: how its layer is made, and which of the flags that are not for all mean something to it. */
interface Api {
  readonly layer: (options: Options) => ProviderLayer
  readonly flags: ReadonlyArray<"endpoint" | "ignore-eos" | "usage-per-chunk" | "payload-style" | "vertex-route">
}

/** Adapters bring their SDKs: none is loaded that is not used. */
const lazily =
  <Module>(
    load: () => Promise<Module>,
    layer: (module: Module, options: Options) => ProviderLayer,
    prefix?: string
  ): Api["layer"] =>
  (options) =>
    Layer.unwrap(
      Effect.map(Effect.promise(load), (module) =>
        layer(module, prefix === undefined ? options : { ...options, model: without(prefix, options.model) })
      )
    )

/** A model may be named as LiteLLM names it, with the prefix of the API. */
const without = (prefix: string, model: string): string =>
  model.startsWith(`${prefix}/`) ? model.slice(prefix.length + 1) : model

const openAiFlags = ["endpoint", "ignore-eos", "usage-per-chunk"] as const

const apis: { readonly [Name in Exclude<LlmApi, "simulated">]: Api } = {
  openai: {
    layer: lazily(
      () => import("../../provider/OpenAi.ts"),
      ({ layerConfig }, options) => layerConfig(options)
    ),
    flags: openAiFlags
  },
  azure: {
    layer: lazily(
      () => import("../../provider/AzureOpenAi.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "azure"
    ),
    flags: openAiFlags
  },
  anthropic: {
    layer: lazily(
      () => import("../../provider/Anthropic.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "anthropic"
    ),
    flags: []
  },
  litellm: {
    layer: lazily(
      () => import("../../provider/LiteLlm.ts"),
      ({ layerConfig }, options) => layerConfig(options)
    ),
    flags: [...openAiFlags, "payload-style", "vertex-route"]
  },
  together: {
    layer: lazily(
      () => import("../../provider/TogetherAi.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "together_ai"
    ),
    flags: openAiFlags
  },
  huggingface: {
    layer: lazily(
      () => import("../../provider/HuggingFace.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "huggingface"
    ),
    flags: openAiFlags
  },
  vertexai: {
    layer: lazily(
      () => import("../../provider/VertexAi.ts"),
      ({ layerConfig }, { vertexRoute, ...options }) => layerConfig({ ...options, route: vertexRoute }),
      "vertex_ai"
    ),
    flags: ["vertex-route"]
  },
  gemini: {
    layer: lazily(
      () => import("../../provider/Gemini.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "gemini"
    ),
    flags: []
  },
  sagemaker: {
    layer: lazily(
      () => import("../../provider/SageMaker.ts"),
      // What LLMPerf sends, so that its commands work unchanged
      ({ layerConfig }, { payload = "jumpstart", ...options }) => layerConfig({ ...options, payload }),
      "sagemaker"
    ),
    flags: ["ignore-eos", "payload-style"]
  },
  bedrock: {
    layer: lazily(
      () => import("../../provider/Bedrock.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "bedrock"
    ),
    flags: []
  },
  ollama: {
    layer: lazily(
      () => import("../../provider/Ollama.ts"),
      ({ layerConfig }, options) => layerConfig(options),
      "ollama"
    ),
    flags: []
  }
}

/** The API of a simulated server that is there already. */
const simulatedAt = (url: string, options: Options) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("../../provider/OpenAi.ts")),
      (OpenAi) => OpenAi.layer({ ...options, apiBase: url, apiKey: null })
    )
  )

/** A simulated server, which is started first, and its API. */
const simulated = (input: Input, settings: Settings, options: Options) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const SimulatorThread = yield* Effect.promise(() => import("../../simulator/SimulatorThread.ts"))
      const { url } = yield* SimulatorThread.start(
        {
          model: modelOptions(input.sim, settings.seed),
          http: { host: "127.0.0.1", beyondLoopback: false, port: 0, truth: false, rehearse: true, truthLimit: 1 }
        },
        CountingSimulator.thread(settings.tokenizer)
      )
      return simulatedAt(url, options)
    })
  )

/** The endpoint as telemetry tells it: the flag's, or that of a full path in `--api-base`. */
export const endpointOf = ({ apiBase, endpoint }: Pick<Input, "apiBase" | "endpoint">): OpenAi.Endpoint =>
  (endpoint.given ? undefined : Option.getOrUndefined(Option.map(apiBase, OpenAi.endpointOf))) ?? endpoint.value

/** The first flag that was given and says nothing to the API, which would be overlooked in silence. */
const meaningless = (input: Input, { flags }: Pick<Api, "flags">): string | undefined => {
  const given = {
    endpoint: input.endpoint.value !== "chat",
    "ignore-eos": input.ignoreEos,
    "usage-per-chunk": input.usagePerChunk,
    "payload-style": Option.isSome(input.payloadStyle),
    "vertex-route": Option.isSome(input.vertexRoute)
  }
  return Object.entries(given).find(([flag, isGiven]) => isGiven && !flags.some((known) => known === flag))?.[0]
}

/**
 * The API under test. What it needs and has not is told before anything is sent. `simulator`: where the simulated server is that
 * another thread has started.
 */
export const layer = (
  input: Input,
  settings: Settings,
  simulator: string | null = null
): Layer.Layer<
  Provider,
  LlmError | SimulatorError | CommandError | Config.ConfigError,
  Transport | FileSystem.FileSystem | Path.Path
> => {
  if (input.usagePerChunk && input.endpoint.value === "responses") {
    return Layer.unwrap(
      Effect.fail(usage("--usage-per-chunk has no meaning for --endpoint responses, which tells usage once."))
    )
  }
  const { requestIdHeader, runId } = settings
  const options: Options = {
    model: settings.model,
    samplingParams: settings.additionalSamplingParams,
    headers: Object.fromEntries(input.header),
    requestId: requestIdHeader === null ? null : { header: requestIdHeader, of: requestIdOf(runId) },
    apiBase: Option.getOrUndefined(input.apiBase),
    endpoint: input.endpoint.given ? input.endpoint.value : undefined,
    ignoreEos: input.ignoreEos,
    usagePerChunk: input.usagePerChunk,
    payload: Option.getOrUndefined(input.payloadStyle),
    vertexRoute: Option.getOrUndefined(input.vertexRoute)
  }
  if (Option.isSome(input.provider)) {
    const flag = input.llmApi.given ? "llm-api" : meaningless(input, { flags: [] })
    return flag === undefined
      ? OwnProvider.load(input.provider.value, options)
      : Layer.unwrap(Effect.fail(usage(`--${flag} has no meaning for --provider.`)))
  }
  if (input.llmApi.value === "simulated") {
    return simulator === null ? simulated(input, settings, options) : simulatedAt(simulator, options)
  }
  const api = apis[input.llmApi.value]
  const flag = meaningless(input, api)
  if (flag === undefined) return api.layer(options)
  return Layer.unwrap(Effect.fail(usage(`--${flag} has no meaning for --llm-api ${input.llmApi.value}.`)))
}
