/**
 * The events of Anthropic's streaming Messages.
 *
 * Format: https://platform.claude.com/docs/en/build-with-claude/streaming. The schema states what is understood; the
 * decoder runs for every token and is tested against it. Events, blocks and deltas of other types are passed over, as
 * Anthropic's versioning asks for: new ones may come at any time.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as SseDecoder from "./SseDecoder.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))
const Text = optional(Schema.String)
const Count = optional(Json.Count)

const UsageObject = Schema.Struct({
  input_tokens: Count,
  cache_creation_input_tokens: Count,
  cache_read_input_tokens: Count,
  output_tokens: Count,
  output_tokens_details: optional(Schema.Struct({ thinking_tokens: Count }))
})

/**
 * The parts of an event that are read, whatever its type. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const AnthropicEvent = Schema.Struct({
  type: Schema.String,
  message: optional(Schema.Struct({ usage: optional(UsageObject) })),
  content_block: optional(Schema.Struct({ type: Text, text: Text, thinking: Text, name: Text })),
  delta: optional(Schema.Struct({ type: Text, text: Text, thinking: Text, partial_json: Text, stop_reason: Text })),
  usage: optional(UsageObject),
  error: optional(Schema.Struct({ type: Text, message: Text }))
})

/**
 * @category schemas
 * @since 0.2.0
 */
export type AnthropicEvent = typeof AnthropicEvent.Type

/**
 * Reads an error from a decoded body or event: `{"type": "error", "error": {"type", "message"}}`. Its type stands as its
 * code too, for Anthropic gives no other. `undefined` when it is no error.
 *
 * @category decoding
 * @since 0.2.0
 */
export const errorOf = (value: unknown): LlmError.InStream | undefined => {
  if (!Json.isObject(value)) return undefined
  const { error } = value
  if (typeof error === "string") return new LlmError.InStream({ description: error, code: null, type: null })
  if (!Json.isObject(error)) return undefined
  const type = Json.text(error["type"]) ?? null
  return new LlmError.InStream({ description: Json.text(error["message"]) ?? JSON.stringify(error), code: type, type })
}

/** The counts told so far. They are totals that only grow; the first event has some, a later one the others or all. */
interface Counts {
  input: number | null
  written: number | null
  read: number | null
  output: number | null
  thinking: number | null
}

const grown = (before: number | null, value: unknown): number | null => {
  const now = Json.count(value)
  return before === null || now === null ? (now ?? before) : Math.max(before, now)
}

const addInput = (counts: Counts, usage: Json.JsonObject): void => {
  counts.input = grown(counts.input, usage["input_tokens"])
  counts.written = grown(counts.written, usage["cache_creation_input_tokens"])
  counts.read = grown(counts.read, usage["cache_read_input_tokens"])
}

const addOutput = (counts: Counts, usage: Json.JsonObject): void => {
  counts.output = grown(counts.output, usage["output_tokens"])
  const details = usage["output_tokens_details"]
  if (Json.isObject(details)) counts.thinking = grown(counts.thinking, details["thinking_tokens"])
}

const pushUsage = (counts: Counts, at: number, out: EventBuffer): void => {
  out.push({
    _tag: "Usage",
    at,
    // What was read from the cache or written to it is not part of `input_tokens`.
    inputTokens: counts.input === null ? null : Json.total(counts.input, counts.written, counts.read),
    outputTokens: counts.output,
    cachedInputTokens: counts.read,
    reasoningTokens: counts.thinking
  })
}

const addText = (kind: "text" | "reasoning" | "tool", value: unknown, at: number, out: EventBuffer): void => {
  if (typeof value === "string") out.content(kind, value, at)
}

const addDelta = (delta: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(delta)) return
  switch (delta["type"]) {
    case "text_delta":
      return addText("text", delta["text"], at, out)
    case "thinking_delta":
      return addText("reasoning", delta["thinking"], at, out)
    case "input_json_delta":
      return addText("tool", delta["partial_json"], at, out)
  }
}

/** Blocks of text begin empty at Anthropic, but not with everyone who speaks its API. */
const addBlock = (block: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(block)) return
  switch (block["type"]) {
    case "text":
      return addText("text", block["text"], at, out)
    case "thinking":
      return addText("reasoning", block["thinking"], at, out)
    case "tool_use":
    case "server_tool_use":
    case "mcp_tool_use":
      return addText("tool", block["name"], at, out)
  }
}

const types: ReadonlySet<unknown> = new Set([
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
  "ping"
])

/**
 * Makes the decoder of one streamed answer. It is complete with `message_stop`, not before.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  const counts: Counts = { input: null, written: null, read: null, output: null, thinking: null }
  let done = false
  const recognition = new Recognition("event of the Messages API", "--llm-api")

  const start = (message: unknown, at: number): void => {
    if (!Json.isObject(message) || !Json.isObject(message["usage"])) return
    // The output tokens told here are a beginning, no result.
    addInput(counts, message["usage"])
    pushUsage(counts, at, out)
  }

  const change = (delta: unknown, usage: unknown, at: number): void => {
    const reason = Json.isObject(delta) ? Json.text(delta["stop_reason"]) : undefined
    if (reason !== undefined) out.push({ _tag: "Finished", at, reason })
    if (!Json.isObject(usage)) return
    addInput(counts, usage)
    addOutput(counts, usage)
    pushUsage(counts, at, out)
  }

  return SseDecoder.make({
    onEvent: (data, name, at) => {
      const event = Json.parse(data)
      if (event === undefined && name !== "error") {
        return Json.failureOf(data)
      }
      const type = Json.isObject(event) ? event["type"] : undefined
      if (name === "error" || type === "error") {
        return errorOf(event) ?? new LlmError.InStream({ description: data, code: null, type: null })
      }
      if (!Json.isObject(event)) return new LlmError.Protocol({ description: `Not an event: ${data.slice(0, 200)}` })
      recognition.add(types.has(type), event, data, name)
      switch (type) {
        case "content_block_delta":
          addDelta(event["delta"], at, out)
          break
        case "content_block_start":
          addBlock(event["content_block"], at, out)
          break
        case "message_start":
          start(event["message"], at)
          break
        case "message_delta":
          change(event["delta"], event["usage"], at)
          break
        case "message_stop":
          done = true
          break
      }
      return undefined
    },
    isComplete: () => done,
    isDone: () => done,
    foreign: () => recognition.reason(done)
  })
}
