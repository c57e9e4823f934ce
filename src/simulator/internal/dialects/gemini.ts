import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import {
  type Asked,
  type ContentKind,
  type Dialect,
  type Ending,
  type ErrorType,
  type Frames,
  type Identity,
  type Incoming,
  type Words
} from "../dialect.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"

/**
 * `generateContent` of the Gemini API, and what Vertex AI has in common with it.
 * https://ai.google.dev/api/generate-content, https://cloud.google.com/apis/design/errors
 */

const Parts = Schema.Struct({ parts: Schema.Array(Schema.Unknown) })

const decode = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      contents: Schema.NonEmptyArray(Parts),
      systemInstruction: Schema.optionalKey(Parts),
      generationConfig: Schema.optionalKey(
        Schema.Struct({ maxOutputTokens: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))) })
      )
    })
  )
)

/** https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
const statusWords: { readonly [status: number]: string } = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE"
}

const errorObject = (status: number, message: string, details?: ReadonlyArray<object>) => ({
  error: {
    code: status,
    message,
    status: statusWords[status] ?? "UNKNOWN",
    ...(details === undefined ? {} : { details })
  }
})

/** An error as Google's APIs answer it. */
export const error = (status: number, message: string, details?: ReadonlyArray<object>): Answer =>
  json(status, JSON.stringify(errorObject(status, message, details), null, 2))

/** The `google.rpc.ErrorInfo` of an error. */
export const errorInfo = (reason: string, service: string) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason,
  domain: "googleapis.com",
  metadata: { service }
})

const streamStatus = {
  invalid_request_error: 400,
  authentication_error: 401,
  not_found_error: 404,
  rate_limit_error: 429,
  api_error: 500,
  overloaded_error: 503
} as const satisfies { readonly [type in ErrorType]: number }

const partOf = (kind: ContentKind, text: string): object => {
  switch (kind) {
    case "text":
      return { text }
    case "reasoning":
      return { text, thought: true }
    case "tool":
      return { functionCall: { name: "write", args: { text } } }
  }
}

const candidate = (parts: ReadonlyArray<object>, reason?: string) => ({
  content: { role: "model", parts },
  ...(reason === undefined ? {} : { finishReason: reason }),
  index: 0
})

const finishReasons = { length: "MAX_TOKENS", stop: "STOP", tool: "STOP" } as const

const usageOf = ({ completionTokens, promptTokens, reasoningTokens }: Ending) => ({
  promptTokenCount: promptTokens,
  candidatesTokenCount: completionTokens - reasoningTokens,
  totalTokenCount: promptTokens + completionTokens,
  ...(reasoningTokens === 0 ? {} : { thoughtsTokenCount: reasoningTokens })
})

const identified = ({ model, ordinal }: Identity) => ({ modelVersion: model, responseId: `sim-${ordinal}` })

/** A segment of a path; as it stands when its escapes are broken. */
export const unescaped = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

interface ContentAsked extends Asked {
  /** Whether the answer is to be events; else it is one list. */
  readonly asEvents: boolean
}

const isEvents = (asked: Asked): boolean => "asEvents" in asked && asked.asEvents === true

/** Reads a request for `model`. */
export const readContent = ({ body, query }: Incoming, model: string, stream: boolean): Asked | Answer => {
  const decoded = decode(body.toString("utf8"))
  if (Option.isNone(decoded)) {
    return error(400, "Invalid JSON payload received: it needs contents with parts, and maxOutputTokens above 0.")
  }
  const { contents, generationConfig, systemInstruction } = decoded.value
  const prompt = PromptText.textOf([...(systemInstruction?.parts ?? []), ...contents.flatMap(({ parts }) => parts)])
  const asked: ContentAsked = {
    model,
    stream,
    prompt,
    outputTokens: generationConfig?.maxOutputTokens,
    asEvents: query.get("alt") === "sse"
  }
  return asked
}

/** What is written around the chunks of an answer. */
interface Framing {
  readonly contentType: string
  readonly chunk: (json: string) => string
  readonly end: string
}

const inEvents = (): Framing => ({
  contentType: "text/event-stream",
  chunk: (json) => `data: ${json}\n\n`,
  end: ""
})

const inList = (): Framing => {
  let before = "["
  return {
    contentType: "application/json; charset=UTF-8",
    chunk: (json) => {
      const chunk = `${before}${json}\n`
      before = ",\r\n"
      return chunk
    },
    end: "]\n"
  }
}

/** The chunks of `streamGenerateContent`, with `alt=sse` as events. There is no end mark and no sign of life. */
export const contentFrames = (asked: Asked, identity: Identity): Frames => {
  const { chunk, contentType, end } = isEvents(asked) ? inEvents() : inList()
  const say = (value: object): string => chunk(JSON.stringify(value))
  const tail = identified(identity)
  return {
    contentType,
    opening: () => "",
    content: (kind, text) => say({ candidates: [candidate([partOf(kind, text)])], ...tail }),
    finish: (ending) =>
      say({
        candidates: [candidate([{ text: "" }], finishReasons[ending.reason])],
        usageMetadata: usageOf(ending),
        ...tail
      }) + end,
    failure: (type, message) => say(errorObject(streamStatus[type], message)) + end,
    garbage: () => chunk("{not json"),
    ping: () => ""
  }
}

/** The answer of `generateContent`. */
export const wholeContent = (_asked: Asked, identity: Identity, words: Words, ending: Ending): Answer => {
  const kinds = ["reasoning", "text", "tool"] as const
  const parts = kinds.flatMap((kind) => (words[kind] === "" ? [] : [partOf(kind, words[kind])]))
  return json(
    200,
    JSON.stringify({
      candidates: [candidate(parts, finishReasons[ending.reason])],
      usageMetadata: usageOf(ending),
      ...identified(identity)
    })
  )
}

const service = "generativelanguage.googleapis.com"

const path = /^\/v1(?:beta)?\/(?:models|tunedModels)\/([^/:]+):(generateContent|streamGenerateContent)$/

export const gemini: Dialect = {
  name: "gemini",
  matches: (method, address) => method === "POST" && path.test(address),
  read: (incoming) => {
    const [, model = "", method] = path.exec(incoming.path) ?? []
    return readContent(incoming, unescaped(model), method === "streamGenerateContent")
  },
  frames: contentFrames,
  whole: wholeContent,
  error: (status, type, message) =>
    // A wrong key is a bad argument here.
    type === "authentication_error"
      ? error(400, "API key not valid. Please pass a valid API key.", [errorInfo("API_KEY_INVALID", service)])
      : error(status, message),
  expired: () => error(400, "API key expired. Please renew the API key.", [errorInfo("API_KEY_INVALID", service)])
}
