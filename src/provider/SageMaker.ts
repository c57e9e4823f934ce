/**
 * Endpoints of Amazon SageMaker, by `InvokeEndpointWithResponseStream`.
 *
 * Format: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html. What
 * an endpoint takes and gives inside it is a matter of its container: see `SageMakerPayload.Style`.
 *
 * @since 0.2.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LlmError from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as AwsCredentials from "./AwsCredentials.ts"
import * as AwsApi from "./internal/awsApi.ts"
import * as PlainProvider from "./internal/plainProvider.ts"
import * as RequestParts from "./internal/requestParts.ts"
import { Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Transport } from "./Transport.ts"
import * as AwsEventStream from "./wire/AwsEventStream.ts"
import * as SageMakerPayload from "./wire/SageMakerPayload.ts"

/**
 * - `model`: the name of the endpoint. It does not stand in the body; where a container wants the name of a model,
 *   `samplingParams` may give it
 * - `apiBase`: another host than the region's, such as a private endpoint; in full, with `/endpoints/…`, it says which is asked
 * - `payload`: what the container speaks, `messages` by default
 * - `ignoreEos`, `includeUsage`: as in `OpenAi.Options`, for `messages` only; usage is asked for unless told otherwise
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly region: string
  readonly credentials: AwsCredentials.Source
  readonly apiBase?: string | undefined
  readonly payload?: SageMakerPayload.Style | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
}

/** The body of a request in the style of the container. */
const bodyOf = (options: Options, style: SageMakerPayload.Style): ((plan: RequestPlan) => string) => {
  switch (style) {
    case "messages": {
      const encode = RequestParts.body(options)
      return ({ outputTokens, prompt }) =>
        encode({
          messages: [{ role: "user", content: prompt }],
          stream: true,
          ...(options.includeUsage === false ? {} : { stream_options: { include_usage: true } }),
          ...(outputTokens === null ? {} : { max_tokens: outputTokens }),
          ...(options.ignoreEos === true ? { ignore_eos: true } : {})
        })
    }
    case "tgi": {
      const samplingParams = RequestParts.forTgi(options.samplingParams)
      const encode = RequestParts.body({ ...options, samplingParams }, "parameters")
      return ({ outputTokens, prompt }) =>
        encode({
          inputs: prompt,
          parameters: { ...(outputTokens === null ? {} : { max_new_tokens: outputTokens }), details: true },
          stream: true
        })
    }
    case "jumpstart": {
      const samplingParams = RequestParts.withNewTokens(options.samplingParams)
      const encode = RequestParts.body({ ...options, samplingParams }, "parameters")
      return ({ outputTokens, prompt }) =>
        encode({
          inputs: [
            [
              { role: "system", content: "" },
              { role: "user", content: prompt }
            ]
          ],
          parameters: outputTokens === null ? {} : { max_new_tokens: outputTokens }
        })
    }
  }
}

const service: AwsApi.Service = {
  name: "sagemaker",
  host: "runtime.sagemaker",
  resource: "endpoints",
  operation: "invocations-response-stream",
  variable: "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"
}

/** How the service tells that the container did not like the request. */
const refusedByContainer = /Received client error \((400|422)\)/

const named = (error: LlmError.InStream | undefined, style: SageMakerPayload.Style): LlmError.InStream | undefined =>
  error === undefined || !refusedByContainer.test(error.description)
    ? error
    : new LlmError.InStream({
        description: `${error.description} (The request was in the payload style ${style}; does the container take another? See --payload-style.)`,
        code: error.code,
        type: error.type
      })

/**
 * Fails with `LlmError` (`Protocol`) when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("SageMaker.make")(function* (options: Options) {
  const style = options.payload ?? "messages"
  const format = yield* AwsApi.format((codec) => SageMakerPayload.makeDecoder(codec, style))
  return yield* PlainProvider.make({
    name: "sagemaker",
    to: yield* AwsApi.target(options, options.model, service),
    headers: RequestParts.headers(options, AwsEventStream.mediaType, {
      "x-amzn-sagemaker-custom-attributes": "accept_eula=true"
    }),
    body: bodyOf(options, style),
    format: { ...format, errorOf: (body, headers) => named(format.errorOf(body, headers), style) },
    sign: yield* AwsApi.signing(service, options.region, options.credentials)
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
 * `AWS_REGION` or `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME` or `AWS_ENDPOINT_URL`; and what
 * `AwsCredentials.fromEnvironment` reads. Fails with `LlmError` (`MissingCredential`, naming the variable) before anything
 * is sent.
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
      const credentials = options.credentials ?? (yield* AwsCredentials.fromEnvironment(region))
      return yield* make({ ...options, region, apiBase, credentials })
    })
  )
