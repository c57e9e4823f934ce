/**
 * Vertex AI on Google Cloud, asked in one of three ways: an endpoint's `:predict`, which does not stream, `:streamRawPredict`,
 * which hands through the stream of whatever serves the model, and `:streamGenerateContent` of Google's own models.
 *
 * Format: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints and
 * https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/projects.locations.publishers.models.
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
import * as Anthropic from "./Anthropic.ts"
import * as GoogleAddress from "./internal/googleAddress.ts"
import * as GoogleBody from "./internal/googleBody.ts"
import * as GoogleError from "./internal/googleError.ts"
import * as GoogleToken from "./internal/googleToken.ts"
import * as Json from "./internal/json.ts"
import * as Renewal from "./internal/renewal.ts"
import * as RequestParts from "./internal/requestParts.ts"
import * as Variables from "./internal/variables.ts"
import { type Service, Provider } from "./Provider.ts"
import { type RequestOptions } from "./RequestOptions.ts"
import { type Format, type HttpRequest, Transport } from "./Transport.ts"
import * as AnthropicEvent from "./wire/AnthropicEvent.ts"
import * as GeminiChunk from "./wire/GeminiChunk.ts"
import * as OpenAiChunk from "./wire/OpenAiChunk.ts"
import * as VertexPrediction from "./wire/VertexPrediction.ts"

/**
 * - `predict`: `endpoints/{id}:predict`. The whole answer comes at once, so there is no time to first token
 * - `raw`: `:streamRawPredict`, on an endpoint whose container speaks OpenAI's chat format, or on a partner's model
 *   (`claude-…` in Anthropic's format, others in OpenAI's)
 * - `publisher`: `publishers/google/models/{model}:streamGenerateContent`
 *
 * @category models
 * @since 0.2.0
 */
export type Route = "predict" | "raw" | "publisher"

/**
 * - `model`: the name of a publisher's model, also as `publishers/{publisher}/models/{model}`. An endpoint is told it with
 *   `raw`; with `predict` it is no more than a label
 * - `samplingParams`: for `publisher`, OpenAI's names (`temperature`, `top_p`, `top_k`, `stop`, `seed` and others) go into
 *   `generationConfig`, all others to the top of the body, `generationConfig` over the rest; for `predict` they go into the
 *   instance and into `parameters`, where a limit of tokens becomes `maxOutputTokens`; for `raw` to the top of the body
 * - `route`: without it, `publisher` for `gemini-…` and `raw` for partners' models while there is no endpoint, else `predict`
 * - `publisher`: of the model, when its name does not tell
 * - `endpointId`: of the endpoint, or its full resource name; a `model` in digits stands for it, as with LiteLLM
 * - `accessToken`: `null` takes application-default credentials, whose tokens are renewed
 *   before they expire and when they are rejected
 * - `apiBase`: `https://host` gets `/v1`, any other path is kept; in full, with `endpoints/…:method` or `models/…:method`, it says
 *   what is asked. Without it, the host of the region
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends RequestOptions {
  readonly projectId: string
  readonly region: string
  readonly accessToken: Redacted.Redacted<string> | null
  readonly endpointId?: string | undefined
  readonly route?: Route | undefined
  readonly publisher?: string | undefined
  readonly apiBase?: string | undefined
}

/** Whose models are known by how their names begin. */
const publishers: ReadonlyArray<readonly [publisher: string, model: RegExp]> = [
  ["google", /^gemini-/],
  ["anthropic", /^claude-/],
  ["mistralai", /^(mistral|codestral|ministral)-/]
]

/** What a request is for: a model of a publisher, as far as it is known, or an endpoint. */
interface Subject {
  readonly model: string
  readonly publisher: string | undefined
  readonly endpoint: string | undefined
}

const subjectOf = (options: Pick<Options, "model" | "publisher" | "endpointId">): Subject => {
  const { model } = options
  const given = options.endpointId?.split("/").at(-1)?.trim() || undefined
  const endpoint = given ?? (/^\d+$/.test(model) ? model : undefined)
  const [, named, name] = /^publishers\/([^/]+)\/models\/(.+)$/.exec(model) ?? []
  if (named !== undefined && name !== undefined) return { model: name, publisher: options.publisher ?? named, endpoint }
  const known = publishers.find(([, names]) => names.test(model))?.[0]
  return { model, publisher: options.publisher ?? known, endpoint }
}

/**
 * The way a model is asked when `route` does not say: see `Options`.
 *
 * @category decoding
 * @since 0.2.0
 */
export const defaultRoute = (options: Pick<Options, "model" | "publisher" | "endpointId">): Route => {
  const { endpoint, publisher } = subjectOf(options)
  if (endpoint !== undefined || publisher === undefined) return "predict"
  return publisher === "google" ? "publisher" : "raw"
}

/**
 * The address of the API in a region, the places `global`, `us` and `eu` among them.
 *
 * @category decoding
 * @since 0.2.0
 */
export const defaultApiBase = (region: string): string => {
  if (region === "global") return "https://aiplatform.googleapis.com"
  if (region === "us" || region === "eu") return `https://aiplatform.${region}.rep.googleapis.com`
  return `https://${region}-aiplatform.googleapis.com`
}

/** How one way asks and how its answers are read. */
interface Asking {
  readonly resource: string
  readonly method: string
  readonly accept: string
  readonly body: (plan: RequestPlan) => string
  readonly format: Format
}

const anthropicVersion = "vertex-2023-10-16"

const endpointPath = (id: string): string => `endpoints/${GoogleAddress.segment(id)}`

const modelPath = (publisher: string, model: string): string =>
  `publishers/${GoogleAddress.segment(publisher)}/models/${GoogleAddress.segment(model)}`

const predicting = (options: Options, resource: string, errorOf: Format["errorOf"]): Asking => ({
  resource,
  method: "predict",
  accept: "application/json",
  body: GoogleBody.predict(options),
  format: { makeDecoder: VertexPrediction.makeDecoder, errorOf, accepts: () => true }
})

const generating = (options: Options, resource: string, errorOf: Format["errorOf"]): Asking => ({
  resource,
  method: "streamGenerateContent",
  accept: "text/event-stream",
  body: GoogleBody.generateContent(options),
  format: { makeDecoder: GeminiChunk.makeDecoder, errorOf }
})

const chatting = (options: Options, resource: string, model: string, errorOf: Format["errorOf"]): Asking => {
  const bodyOf = RequestParts.body(options)
  return {
    resource,
    method: "streamRawPredict",
    accept: "text/event-stream",
    body: ({ outputTokens, prompt }) =>
      bodyOf({
        model,
        messages: [{ role: "user", content: prompt }],
        stream: true,
        stream_options: { include_usage: true },
        ...(outputTokens === null ? {} : { max_tokens: outputTokens })
      }),
    format: {
      makeDecoder: OpenAiChunk.makeDecoder,
      errorOf: (body, headers) => errorOf(body, headers) ?? OpenAiChunk.errorOf(Json.parse(body))
    }
  }
}

const messaging = (options: Options, resource: string, errorOf: Format["errorOf"]): Asking => {
  const bodyOf = RequestParts.body(options)
  return {
    resource,
    method: "streamRawPredict",
    accept: "text/event-stream",
    body: ({ outputTokens, prompt }) =>
      bodyOf({
        anthropic_version: anthropicVersion,
        max_tokens: outputTokens ?? Anthropic.defaultMaxTokens,
        messages: [{ role: "user", content: prompt }],
        stream: true
      }),
    format: { makeDecoder: AnthropicEvent.makeDecoder, errorOf }
  }
}

/** `undefined` when there must be an endpoint and is none. */
const askingOf = (options: Options, errorOf: Format["errorOf"]): Asking | undefined => {
  const { endpoint, model, publisher } = subjectOf(options)
  const route = options.route ?? defaultRoute(options)
  if (route === "publisher") return generating(options, modelPath(publisher ?? "google", model), errorOf)
  // Anthropic's models are on no endpoint of one's own.
  if (route === "raw" && publisher === "anthropic") return messaging(options, modelPath(publisher, model), errorOf)
  if (route === "raw" && endpoint === undefined && publisher !== undefined) {
    // The version stands in the path alone.
    return chatting(options, modelPath(publisher, model), model.replace(/@.*$/, ""), errorOf)
  }
  if (endpoint === undefined) return undefined
  const resource = endpointPath(endpoint)
  return route === "raw" ? chatting(options, resource, model, errorOf) : predicting(options, resource, errorOf)
}

const headersWith = (options: Options, accept: string, { quotaProject, value }: GoogleToken.AccessToken) =>
  RequestParts.headers(options, accept, {
    authorization: `Bearer ${Redacted.value(value).trim()}`,
    ...(quotaProject === null ? {} : { "x-goog-user-project": quotaProject })
  })

/** The headers of requests, made anew only when the token is another. */
const makeHeaders = (options: Options, accept: string) => {
  let known: { readonly token: GoogleToken.AccessToken; readonly of: ReturnType<typeof headersWith> } | undefined
  return (plan: RequestPlan, token: GoogleToken.AccessToken): ReadonlyArray<string> => {
    if (known?.token !== token) known = { token, of: headersWith(options, accept, token) }
    return known.of(plan)
  }
}

const isUnauthorized = ({ reason }: LlmError.LlmError): boolean => reason._tag === "HttpStatus" && reason.status === 401

/**
 * Fails with `LlmError`: `MissingCredential` when an endpoint is to be asked and there is none, or when there is neither an
 * access token nor application-default credentials; `Protocol` when the base is not an address.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("VertexAi.make")(function* (options: Options) {
  const transport = yield* Transport
  const { accessToken, projectId, region } = options
  const tokenOrigin = accessToken === null ? "application-default" : "given"
  const asking = askingOf(options, GoogleError.errorWithToken(tokenOrigin))
  if (asking === undefined) {
    return yield* Variables.missing(
      "VERTEXAI_ENDPOINT_ID",
      "the id of the endpoint to ask, as `gcloud ai endpoints list` shows it"
    )
  }
  const location = `projects/${GoogleAddress.segment(projectId)}/locations/${GoogleAddress.segment(region)}`
  const to = yield* GoogleAddress.target(
    options.apiBase ?? defaultApiBase(region),
    "v1",
    `${location}/${asking.resource}`,
    asking.method
  )
  const headersOf = makeHeaders(options, asking.accept)

  const request = (plan: RequestPlan, token: GoogleToken.AccessToken): HttpRequest => ({
    ...to,
    headers: headersOf(plan, token),
    body: asking.body(plan)
  })
  const send = (plan: RequestPlan, token: GoogleToken.AccessToken) =>
    transport.stream(() => request(plan, token), asking.format)

  let stream: Service["stream"]
  if (accessToken === null) {
    const tokens = yield* Renewal.renewable(yield* GoogleToken.applicationDefault(transport.agent))
    stream = (plan) => Renewal.send(tokens, isUnauthorized, (token) => send(plan, token))
  } else {
    const token = { value: accessToken, expiresAtMillis: null, quotaProject: null }
    stream = (plan) => send(plan, token)
  }
  return Provider.of({ name: "vertexai", origin: to.origin, stream })
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Provider, LlmError.LlmError, Transport> =>
  Layer.effect(Provider, make(options))

const givenOrSet = (given: string | undefined, variable: string) =>
  given === undefined ? Effect.map(Variables.text([variable]), Option.getOrUndefined) : Effect.succeed(given)

/**
 * Takes from the environment what `options` do not give: `GCLOUD_PROJECT_ID` (or `VERTEXAI_PROJECT`), `GCLOUD_REGION` (or
 * `VERTEXAI_LOCATION`), `VERTEXAI_ENDPOINT_ID`, `VERTEXAI_API_BASE` and `GCLOUD_ACCESS_TOKEN`; without the last,
 * application-default credentials. Fails with `LlmError` (`MissingCredential`, naming the variable) before anything is sent.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerConfig = (
  options: Omit<Options, "accessToken" | "projectId" | "region"> & {
    readonly projectId?: string | undefined
    readonly region?: string | undefined
  }
): Layer.Layer<Provider, LlmError.LlmError | Config.ConfigError, Transport> =>
  Layer.effect(
    Provider,
    Effect.gen(function* () {
      const projectId = yield* Variables.givenOr(
        options.projectId,
        ["GCLOUD_PROJECT_ID", "VERTEXAI_PROJECT"],
        "the id of the Google Cloud project"
      )
      const region = yield* Variables.givenOr(
        options.region,
        ["GCLOUD_REGION", "VERTEXAI_LOCATION"],
        "the region of the endpoint or the model, such as us-central1"
      )
      const endpointId = yield* givenOrSet(options.endpointId, "VERTEXAI_ENDPOINT_ID")
      const apiBase = yield* givenOrSet(options.apiBase, "VERTEXAI_API_BASE")
      const accessToken = Option.getOrNull(yield* Variables.secret(["GCLOUD_ACCESS_TOKEN"]))
      return yield* make({ ...options, projectId, region, endpointId, apiBase, accessToken })
    })
  )
