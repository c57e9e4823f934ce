import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Asked, type Dialect, type Frames, type Identity, type Reason } from "../dialect.ts"
import * as openAi from "../openAi.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"
import { anthropic } from "./anthropic.ts"
import { contentFrames, error, errorInfo, readContent, unescaped, wholeContent } from "./gemini.ts"

/**
 * Vertex AI: `:predict` as the containers of Model Garden answer it, `:streamRawPredict` in front of OpenAI's chat format or
 * Anthropic's, and `:streamGenerateContent`.
 * https://cloud.google.com/vertex-ai/docs/reference/rest
 */

const service = "aiplatform.googleapis.com"

const credentialProblem =
  "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid " +
  "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."

const unauthenticated = (reason: string): Answer => error(401, credentialProblem, [errorInfo(reason, service)])

const refusals: Pick<Dialect, "error" | "expired"> = {
  error: (status, type, message) =>
    type === "authentication_error" ? unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED") : error(status, message),
  expired: () => unauthenticated("ACCESS_TOKEN_EXPIRED")
}

const address =
  /^\/v1(?:beta1)?\/(projects\/[^/]+\/locations\/[^/]+)\/(?:endpoints|publishers\/([^/]+)\/models)\/([^/:]+):(\w+)$/

interface Address {
  readonly location: string
  /** `undefined` for an endpoint. */
  readonly publisher: string | undefined
  readonly name: string
  readonly method: string
}

const addressOf = (path: string): Address | undefined => {
  const [, location, publisher, name, method] = address.exec(path) ?? []
  if (location === undefined || name === undefined || method === undefined) return undefined
  return { location, publisher, name: unescaped(name), method }
}

const matching =
  (matches: (address: Address) => boolean): Dialect["matches"] =>
  (method, path) => {
    const found = method === "POST" ? addressOf(path) : undefined
    return found !== undefined && matches(found)
  }

const optional = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))
const Limit = optional(Schema.Int.check(Schema.isGreaterThan(0)))

const decodePredict = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      instances: Schema.NonEmptyArray(Schema.Struct({ prompt: Schema.String, max_tokens: Limit })),
      parameters: optional(Schema.Struct({ maxOutputTokens: Limit, max_tokens: Limit, max_new_tokens: Limit }))
    })
  )
)

const nothing = (): string => ""

/** It does not stream. */
const noFrames: Frames = {
  contentType: "application/json",
  opening: nothing,
  content: nothing,
  finish: nothing,
  failure: nothing,
  garbage: nothing,
  ping: nothing
}

/** The id of the endpoint is the model. */
export const vertexPredict: Dialect = {
  name: "vertex-predict",
  ...refusals,
  matches: matching(({ method, publisher }) => method === "predict" && publisher === undefined),
  read: ({ body, path }) => {
    const decoded = decodePredict(body.toString("utf8"))
    if (Option.isNone(decoded)) {
      return error(400, "Invalid JSON payload received: it needs instances with a prompt, and limits above 0.")
    }
    const { instances, parameters } = decoded.value
    const { max_tokens, prompt } = instances[0]
    return {
      model: addressOf(path)?.name ?? "",
      stream: false,
      prompt,
      outputTokens:
        max_tokens ?? parameters?.maxOutputTokens ?? parameters?.max_tokens ?? parameters?.max_new_tokens ?? undefined
    }
  },
  frames: () => noFrames,
  whole: ({ prompt }, { model, ordinal }, words) => {
    const text = words.reasoning + words.text + words.tool
    return json(
      200,
      JSON.stringify({
        predictions: [`Prompt:\n${prompt}\nOutput:\n${text}`],
        deployedModelId: `${ordinal}`,
        model: `projects/1/locations/simulated/models/${model}`,
        modelDisplayName: model,
        modelVersionId: "1"
      })
    )
  }
}

const decodeRaw = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      model: optional(Schema.String),
      messages: Schema.NonEmptyArray(Schema.Struct({ content: Schema.Unknown })),
      max_tokens: Limit,
      stream: optional(Schema.Boolean),
      stream_options: optional(Schema.Struct({ include_usage: optional(Schema.Boolean) })),
      anthropic_version: optional(Schema.String)
    })
  )
)

interface RawAsked extends Asked {
  readonly withUsage: boolean
}

const isRawAsked = (asked: Asked): asked is RawAsked => "withUsage" in asked

const readRaw: Dialect["read"] = ({ body, path }) => {
  const decoded = decodeRaw(body.toString("utf8"))
  if (Option.isNone(decoded)) return error(400, "Invalid JSON payload received: it needs messages with content.")
  const { anthropic_version, max_tokens, messages, model, stream, stream_options } = decoded.value
  const { name = "", publisher } = addressOf(path) ?? {}
  if (publisher === "anthropic" && anthropic_version !== "vertex-2023-10-16") {
    return error(400, "anthropic_version: must be vertex-2023-10-16")
  }
  const prompt = PromptText.textOf(messages)
  const asked: RawAsked = {
    // An endpoint's id with settings says more than a name that the endpoint itself would pass on.
    model: name.includes(";") ? name : (model ?? name),
    stream: stream === true,
    prompt,
    outputTokens: max_tokens ?? undefined,
    withUsage: stream_options?.include_usage === true
  }
  return asked
}

const finishReasons = { length: "length", stop: "stop", tool: "tool_calls" } as const satisfies {
  readonly [R in Reason]: string
}

const chat = (identity: Identity): openAi.Identity => ({ ...identity, chat: true })

const style = { newline: "\n", space: " ", multiLine: false }

const chatFrames = (asked: Asked, identity: Identity): Frames => {
  const withUsage = isRawAsked(asked) && asked.withUsage
  const events = openAi.events(chat(identity), style, withUsage, false)
  return {
    contentType: "text/event-stream; charset=utf-8",
    opening: events.opening,
    content: events.content,
    finish: (ending) =>
      events.finish(finishReasons[ending.reason]) + (withUsage ? events.usage(ending) : "") + events.done,
    failure: (_type, message) => `data: ${openAi.error(message, "server_error", 503)}\n\n`,
    garbage: () => "data: {not json\n\n",
    ping: () => ": ping\n\n"
  }
}

/** What serves the model behind the endpoint speaks OpenAI's chat format. The model is the id of the endpoint or in the body. */
export const vertexRaw: Dialect = {
  name: "vertex-raw",
  ...refusals,
  matches: matching(
    ({ method, publisher }) => publisher !== "anthropic" && (method === "streamRawPredict" || method === "rawPredict")
  ),
  read: readRaw,
  frames: chatFrames,
  whole: (_asked, identity, words, ending) => {
    const asTool = words.tool !== ""
    const reason = finishReasons[ending.reason]
    const answer = { text: words.text + words.tool, reasoning: words.reasoning, asTool, reason }
    return json(200, openAi.completion(chat(identity), answer, ending))
  }
}

/** Anthropic's models on Vertex AI. */
export const vertexAnthropic: Dialect = {
  ...anthropic,
  name: "vertex-anthropic",
  ...refusals,
  matches: matching(
    ({ method, publisher }) => publisher === "anthropic" && (method === "streamRawPredict" || method === "rawPredict")
  ),
  read: readRaw
}

/** Google's models. */
export const vertexPublisher: Dialect = {
  name: "vertex-publisher",
  ...refusals,
  matches: matching(({ method }) => method === "streamGenerateContent" || method === "generateContent"),
  read: (incoming) => {
    const { method, name = "" } = addressOf(incoming.path) ?? {}
    return readContent(incoming, name, method === "streamGenerateContent")
  },
  frames: contentFrames,
  whole: wholeContent
}
