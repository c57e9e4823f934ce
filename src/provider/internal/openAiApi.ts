import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as LlmError from "../../domain/LlmError.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type Service, Provider } from "../Provider.ts"
import { type RequestOptions } from "../RequestOptions.ts"
import { type Format, type HttpRequest, type Service as TransportService } from "../Transport.ts"
import * as OpenAiChunk from "../wire/OpenAiChunk.ts"
import * as ResponsesEvent from "../wire/ResponsesEvent.ts"
import * as Address from "./address.ts"
import * as Json from "./json.ts"
import * as RequestParts from "./requestParts.ts"
import * as Secrets from "./secrets.ts"

/** Which of OpenAI's ways to ask for text is used. */
export type Endpoint = "chat" | "completions" | "responses"

export const endpointPaths = {
  chat: "/chat/completions",
  completions: "/completions",
  responses: "/responses"
} as const satisfies { readonly [E in Endpoint]: string }

/** The endpoint of a base that was pasted in full; `undefined` for any other base. */
export const endpointOf = (apiBase: string): Endpoint | undefined => {
  const path = Address.parse(apiBase)?.path ?? ""
  if (path.endsWith(endpointPaths.chat)) return "chat"
  if (path.endsWith(endpointPaths.completions)) return "completions"
  return path.endsWith(endpointPaths.responses) ? "responses" : undefined
}

/**
 * The endpoint to ask: the one that was asked for, or that of a base in full, or chat completions. Fails with `LlmError`
 * (`Protocol`) when the first two are not the same.
 */
export const endpointFor = (
  apiBase: string,
  asked: Endpoint | undefined
): Effect.Effect<Endpoint, LlmError.LlmError> => {
  const inBase = endpointOf(apiBase)
  if (asked === undefined || inBase === undefined || asked === inBase) return Effect.succeed(asked ?? inBase ?? "chat")
  return Effect.fail(
    LlmError.fromReason(
      new LlmError.Protocol({
        description:
          `The API base ends in ${endpointPaths[inBase]}, and the endpoint is to be ${asked} (${endpointPaths[asked]}): ` +
          `leave out --endpoint, or give the base without ${endpointPaths[inBase]}`
      })
    )
  )
}

/** The base of a path that may have been pasted in full. */
export const basePath = (path: string): string => path.replace(/\/(chat\/completions|completions|responses)$/, "")

/** What every API of this shape is told, beside where it is and how it knows us. */
export interface ApiOptions extends RequestOptions {
  readonly endpoint?: Endpoint | undefined
  readonly ignoreEos?: boolean | undefined
  readonly includeUsage?: boolean | undefined
  readonly usagePerChunk?: boolean | undefined
}

/**
 * What a server may refuse to be asked: to tell its usage, and that in every chunk, and to take the limit of tokens under its older
 * name.
 */
interface Wishes {
  readonly usage: boolean
  readonly usagePerChunk: boolean
  readonly limit: "max_tokens" | "max_completion_tokens"
}

const errorOf = (body: string): LlmError.InStream | undefined => OpenAiChunk.errorOf(Json.parse(body))

const refusedWith = (error: LlmError.LlmError, text: RegExp): boolean =>
  error.reason._tag === "HttpStatus" &&
  (error.reason.status === 400 || error.reason.status === 422) &&
  text.test(error.reason.body)

const refusesUsagePerChunk = (error: LlmError.LlmError): boolean => refusedWith(error, /continuous_usage_stats/)

const refusesUsage = (error: LlmError.LlmError): boolean => refusedWith(error, /stream_options|include_usage/)

/** "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead." */
const refusesLimit = (error: LlmError.LlmError): boolean => refusedWith(error, /use\W+max_completion_tokens\W+instead/i)

/** What may be asked instead; `undefined` when the server refused something else. */
const withoutRefused = (asked: Wishes, error: LlmError.LlmError): Wishes | undefined => {
  if (asked.limit === "max_tokens" && refusesLimit(error)) return { ...asked, limit: "max_completion_tokens" }
  if (asked.usage && asked.usagePerChunk && refusesUsagePerChunk(error)) return { ...asked, usagePerChunk: false }
  return asked.usage && refusesUsage(error) ? { ...asked, usage: false } : undefined
}

/** An API of OpenAI's shape. `own` are the headers by which it knows us, their names in lower case. */
export const make = (
  transport: TransportService,
  name: string,
  to: Address.Target,
  own: { readonly [name: string]: string },
  options: ApiOptions
): Service => {
  const endpoint = options.endpoint ?? "chat"
  const headersOf = RequestParts.headers(options, "text/event-stream", own)
  const bodyOf = RequestParts.body(options)
  const ignoreEos = options.ignoreEos === true ? { ignore_eos: true } : {}

  const fields = (
    { outputTokens, prompt }: RequestPlan,
    { limit, usage, usagePerChunk }: Wishes
  ): { [name: string]: unknown } => {
    if (endpoint === "responses") {
      return {
        model: options.model,
        input: prompt,
        stream: true,
        ...(outputTokens === null ? {} : { max_output_tokens: outputTokens }),
        ...ignoreEos
      }
    }
    return {
      model: options.model,
      ...(endpoint === "chat" ? { messages: [{ role: "user", content: prompt }] } : { prompt }),
      stream: true,
      ...(usage
        ? { stream_options: { include_usage: true, ...(usagePerChunk ? { continuous_usage_stats: true } : {}) } }
        : {}),
      ...(outputTokens === null ? {} : { [limit]: outputTokens }),
      ...ignoreEos
    }
  }

  const request = (plan: RequestPlan, wishes: Wishes): HttpRequest => ({
    origin: to.origin,
    path: to.path,
    headers: headersOf(plan),
    body: bodyOf(fields(plan, wishes))
  })

  const makeDecoder = endpoint === "responses" ? ResponsesEvent.makeDecoder : OpenAiChunk.makeDecoder
  const format: Format = { makeDecoder, errorOf }
  let wishes: Wishes = {
    usage: options.includeUsage !== false,
    usagePerChunk: options.usagePerChunk === true,
    limit: "max_tokens"
  }
  let settled = endpoint === "responses"

  // Until the server has answered one such request with a stream, it may still refuse to be asked so.
  const asking: Format = {
    errorOf,
    makeDecoder: (out) => {
      settled = true
      return makeDecoder(out)
    }
  }

  /** Asks, and asks again without what the server refuses; each time there is less to refuse. */
  const negotiate = (plan: RequestPlan, asked: Wishes): ReturnType<Service["stream"]> =>
    Stream.catchIf(
      transport.stream(() => request(plan, asked), asking),
      (error) => withoutRefused(asked, error) !== undefined,
      (error) => {
        const less = withoutRefused(asked, error) ?? asked
        wishes = {
          usage: wishes.usage && less.usage,
          usagePerChunk: wishes.usagePerChunk && less.usagePerChunk,
          limit: less.limit === "max_tokens" ? wishes.limit : less.limit
        }
        return negotiate(plan, wishes)
      }
    )

  return Provider.of({
    name,
    origin: to.origin,
    url: Secrets.shownUrl(to),
    stream: (plan) =>
      settled ? transport.stream(() => request(plan, wishes), format) : Stream.suspend(() => negotiate(plan, wishes))
  })
}
