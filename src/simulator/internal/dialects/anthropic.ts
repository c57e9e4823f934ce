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
  type Reason,
  type Words
} from "../dialect.ts"
import * as PromptText from "../../../domain/PromptText.ts"
import { type Answer, json } from "../refusal.ts"
import * as sse from "../sse.ts"

/**
 * Anthropic's Messages API, version 2023-06-01.
 * https://platform.claude.com/docs/en/api/messages, https://platform.claude.com/docs/en/build-with-claude/streaming
 */

const Body = Schema.fromJsonString(
  Schema.Struct({
    model: Schema.String,
    max_tokens: Schema.Int.check(Schema.isGreaterThan(0)),
    messages: Schema.NonEmptyArray(
      Schema.Struct({
        role: Schema.Literals(["user", "assistant"]),
        content: Schema.Union([Schema.String, Schema.Array(Schema.Unknown)])
      })
    ),
    system: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.Unknown)])),
    stream: Schema.optionalKey(Schema.Boolean)
  })
)
const decode = Schema.decodeUnknownOption(Body)

const errorText = (type: ErrorType, message: string): string =>
  JSON.stringify({ type: "error", error: { type, message }, request_id: "req_sim" })

const rateLimits = {
  "anthropic-ratelimit-requests-limit": "60",
  "anthropic-ratelimit-requests-remaining": "0",
  "anthropic-ratelimit-requests-reset": "2030-01-01T00:00:00Z"
}

const error = (status: number, type: ErrorType, message: string): Answer =>
  json(status, errorText(type, message), status === 429 ? rateLimits : {})

const read: Dialect["read"] = ({ body, headers }) => {
  if ((headers["x-api-key"] ?? "") === "" && !/^Bearer \S/.test(headers["authorization"] ?? "")) {
    return error(401, "authentication_error", "x-api-key header is required")
  }
  if ((headers["anthropic-version"] ?? "") === "") {
    return error(400, "invalid_request_error", "anthropic-version: header is required")
  }
  const decoded = decode(body.toString("utf8"))
  if (Option.isNone(decoded)) {
    return error(400, "invalid_request_error", "The body needs model, max_tokens and messages with role and content")
  }
  const { max_tokens, messages, model, stream, system } = decoded.value
  const prompt = PromptText.textOf([system, ...messages])
  return {
    model,
    stream: stream === true,
    prompt,
    outputTokens: max_tokens
  }
}

const stopReasons = { length: "max_tokens", stop: "end_turn", tool: "tool_use" } as const satisfies {
  readonly [R in Reason]: string
}

const usageOf = (promptTokens: number, outputTokens: number) => ({
  input_tokens: promptTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: outputTokens,
  service_tier: "standard"
})

const messageOf = (identity: Identity, more: object) => ({
  id: `msg_${identity.ordinal}`,
  type: "message",
  role: "assistant",
  model: identity.model,
  stop_sequence: null,
  ...more
})

const toolUse = (identity: Identity, input: object) => ({
  type: "tool_use",
  id: `toolu_${identity.ordinal}`,
  name: "write",
  input
})

/** What goes out as the proof that thinking came from the model; clients hand it back unread. */
const signature = "c2ltdWxhdGVk"

const emptyBlock = (kind: ContentKind, identity: Identity): object => {
  switch (kind) {
    case "text":
      return { type: "text", text: "" }
    case "reasoning":
      return { type: "thinking", thinking: "", signature: "" }
    case "tool":
      return toolUse(identity, {})
  }
}

const deltaOf = (kind: ContentKind, text: string): object => {
  switch (kind) {
    case "text":
      return { type: "text_delta", text }
    case "reasoning":
      return { type: "thinking_delta", thinking: text }
    case "tool":
      return { type: "input_json_delta", partial_json: text }
  }
}

const event = (type: string, fields: object = {}): string => sse.named(type, JSON.stringify({ type, ...fields }))

const frames = (_asked: Asked, identity: Identity): Frames => {
  let index = -1
  let open: ContentKind | undefined
  const delta = (fields: object): string => event("content_block_delta", { index, delta: fields })
  const closeBlock = (): string => {
    if (open === undefined) return ""
    const sign = open === "reasoning" ? delta({ type: "signature_delta", signature }) : ""
    open = undefined
    return sign + event("content_block_stop", { index })
  }
  const openBlock = (kind: ContentKind): string => {
    const closing = closeBlock()
    open = kind
    index += 1
    const start = event("content_block_start", { index, content_block: emptyBlock(kind, identity) })
    return closing + start + (kind === "tool" ? delta(deltaOf("tool", "")) : "")
  }
  return {
    contentType: "text/event-stream; charset=utf-8",
    headers: { "request-id": `req_${identity.ordinal}` },
    opening: () =>
      event("message_start", {
        message: messageOf(identity, { content: [], stop_reason: null, usage: usageOf(identity.promptTokens, 1) })
      }) + event("ping"),
    content: (kind, text) => (kind === open ? "" : openBlock(kind)) + delta(deltaOf(kind, text)),
    finish: ({ completionTokens, reason }) =>
      closeBlock() +
      event("message_delta", {
        delta: { stop_reason: stopReasons[reason], stop_sequence: null },
        usage: { output_tokens: completionTokens }
      }) +
      event("message_stop"),
    failure: (type, message) => sse.named("error", errorText(type, message)),
    garbage: () => sse.named("content_block_delta", "{not json"),
    ping: () => event("ping")
  }
}

const whole = (_asked: Asked, identity: Identity, words: Words, ending: Ending): Answer => {
  const content = [
    ...(words.reasoning === "" ? [] : [{ type: "thinking", thinking: words.reasoning, signature }]),
    ...(words.text === "" ? [] : [{ type: "text", text: words.text }]),
    ...(words.tool === "" ? [] : [toolUse(identity, { text: words.tool })])
  ]
  const message = messageOf(identity, {
    content,
    stop_reason: stopReasons[ending.reason],
    usage: usageOf(ending.promptTokens, ending.completionTokens)
  })
  return json(200, JSON.stringify(message), { "request-id": `req_${identity.ordinal}` })
}

export const anthropic: Dialect = {
  name: "anthropic",
  matches: (method, path) => method === "POST" && (path === "/v1/messages" || path === "/messages"),
  read,
  frames,
  whole,
  error
}
