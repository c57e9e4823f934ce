/**
 * Models on Amazon Bedrock, by `ConverseStream`.
 *
 * Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as LlmError from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as AwsCredentials from "./AwsCredentials.ts"
import * as AwsApi from "./internal/awsApi.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import * as Variables from "./internal/variables.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Transport } from "./Transport.ts"
import * as AwsEventStream from "./wire/AwsEventStream.ts"
import * as ConverseEvent from "./wire/ConverseEvent.ts"

/**
 * - `model`: the id of a model or an inference profile, or an ARN
 * - `samplingParams`: `max_tokens`, `temperature`, `top_p` and `stop`, in OpenAI's spelling or in Converse's, go into
 *   `inferenceConfig`; fields of a Converse request (`system`, `toolConfig`, …) stand beside it; everything else goes to the
 *   model as `additionalModelRequestFields`
 * - `credentials`: where credentials come from, or an API key of Bedrock
 * - `apiBase`: another host than the region's, such as a private endpoint; in full, with `/model/…`, it says which is asked
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly region: string
  readonly credentials: AwsCredentials.Source | Redacted.Redacted<string>
  readonly apiBase?: string | undefined
}

const inferenceNames: { readonly [name: string]: string } = {
  max_tokens: "maxTokens",
  max_completion_tokens: "maxTokens",
  maxTokens: "maxTokens",
  temperature: "temperature",
  top_p: "topP",
  topP: "topP",
  stop: "stopSequences",
  stopSequences: "stopSequences"
}

const requestFields = new Set([
  "messages",
  "system",
  "toolConfig",
  "guardrailConfig",
  "performanceConfig",
  "promptVariables",
  "requestMetadata",
  "serviceTier",
  "outputConfig",
  "additionalModelResponseFieldPaths"
])

interface Fields {
  readonly [name: string]: unknown
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The sampling parameters, each in the part of a request where it belongs. */
interface Sorted {
  readonly inference: Fields
  readonly request: Fields
  readonly additional: Fields
}

const sorted = (params: Fields): Sorted => {
  const inference: { [name: string]: unknown } = {}
  const request: { [name: string]: unknown } = {}
  const additional: { [name: string]: unknown } = {}
  for (const [name, value] of Object.entries(params)) {
    const inferenceName = Object.hasOwn(inferenceNames, name) ? inferenceNames[name] : undefined
    if (inferenceName !== undefined) {
      inference[inferenceName] = inferenceName === "stopSequences" && typeof value === "string" ? [value] : value
    } else if (name === "inferenceConfig" && isFields(value)) Object.assign(inference, value)
    else if (name === "additionalModelRequestFields" && isFields(value)) Object.assign(additional, value)
    else if (requestFields.has(name)) request[name] = value
    else if (value !== null) additional[name] = value
  }
  return { inference, request, additional }
}

const withoutNulls = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))

const bodyOf = (params: Fields): ((plan: RequestPlan) => string) => {
  const { additional, inference, request } = sorted(params)
  const rest = Object.keys(additional).length === 0 ? {} : { additionalModelRequestFields: additional }
  return ({ outputTokens, prompt }) => {
    const inferenceConfig = withoutNulls({ maxTokens: outputTokens, ...inference })
    return JSON.stringify(
      withoutNulls({
        messages: [{ role: "user", content: [{ text: prompt }] }],
        ...(Object.keys(inferenceConfig).length === 0 ? {} : { inferenceConfig }),
        ...rest,
        ...request
      })
    )
  }
}

const service: AwsApi.Service = {
  name: "bedrock",
  host: "bedrock-runtime",
  resource: "model",
  operation: "converse-stream",
  variable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
}

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Bedrock.make")(function* (options: Options) {
  const { credentials } = options
  const to = yield* AwsApi.target(options, options.model, service)
  const isKey = Redacted.isRedacted(credentials)
  return yield* PlainProvider.make({
    name: "bedrock",
    to,
    headers: RequestParts.headers(
      options,
      AwsEventStream.mediaType,
      isKey ? { authorization: `Bearer ${Redacted.value(credentials).trim()}` } : {}
    ),
    body: bodyOf(options.samplingParams ?? {}),
    format: yield* AwsApi.format(ConverseEvent.makeDecoder),
    sign: isKey ? undefined : yield* AwsApi.signing(service, options.region, credentials)
  })
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError.LlmError, Transport> =>
  Layer.effect(Provider, make(options))

/**
 * Takes region, host and credentials from the environment where `options` do not give them: `AWS_REGION_NAME`,
 * `AWS_REGION` or `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` or `AWS_ENDPOINT_URL`; and
 * `AWS_BEARER_TOKEN_BEDROCK` or what `AwsCredentials.fromEnvironment` reads. Fails with `LlmError` (`MissingCredential`,
 * naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "region" | "credentials"> & Partial<Pick<Options, "region" | "credentials">>
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const { apiBase, region } = yield* AwsApi.place(options, service)
      const bearer = yield* Variables.secret(["AWS_BEARER_TOKEN_BEDROCK"])
      const credentials =
        options.credentials ?? (Option.isSome(bearer) ? bearer.value : yield* AwsCredentials.fromEnvironment(region))
      return yield* make({ ...options, region, apiBase, credentials })
    })
  )
