/**
 * The events of OpenAI's streaming Responses API.
 *
 * Format: https://platform.openai.com/docs/api-reference/responses-streaming. The schema states what is understood;
 * `makeDecoder` is the fast path that runs for every token and is tested against it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import { type ContentKind } from "../../domain/TokenEvent.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as OpenAiChunk from "./OpenAiChunk.ts"
import * as SseDecoder from "./SseDecoder.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const Text = Schema.optional(Schema.NullOr(Schema.String))
const Count = Schema.optional(Schema.NullOr(Json.Count))

/**
 * The events that carry generated text, and of which kind it is.
 *
 * @category schemas
 * @since 0.2.0
 */
export const kinds = {
  "response.output_text.delta": "text",
  "response.refusal.delta": "text",
  "response.reasoning_text.delta": "reasoning",
  "response.reasoning_summary_text.delta": "reasoning",
  "response.function_call_arguments.delta": "tool",
  "response.custom_tool_call_input.delta": "tool",
  "response.mcp_call_arguments.delta": "tool"
} as const satisfies { readonly [type: string]: ContentKind }

const Delta = Schema.Struct({
  type: Schema.Literals([
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_text.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta"
  ]),
  delta: Schema.String
})

/** The name of a tool comes before its arguments. */
const ItemAdded = Schema.Struct({
  type: Schema.Literal("response.output_item.added"),
  item: Schema.Struct({ type: Schema.String, name: Text })
})

const Code = Schema.optional(Schema.NullOr(Schema.Union([Schema.String, Schema.Finite])))

const ErrorObject = Schema.Struct({ code: Code, message: Text, type: Text })

const Usage = Schema.Struct({
  input_tokens: Count,
  output_tokens: Count,
  input_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ cached_tokens: Count }))),
  output_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ reasoning_tokens: Count })))
})

/** The last event of an answer. */
const Last = Schema.Struct({
  type: Schema.Literals(["response.completed", "response.incomplete", "response.failed"]),
  response: Schema.Struct({
    status: Text,
    incomplete_details: Schema.optional(Schema.NullOr(Schema.Struct({ reason: Text }))),
    error: Schema.optional(Schema.NullOr(ErrorObject)),
    usage: Schema.optional(Schema.NullOr(Usage))
  })
})

/** An error beside the answer: its fields stand at the top, or, from gateways, in an object. */
const Failure = Schema.Struct({
  type: Schema.Literal("error"),
  code: Code,
  message: Text,
  error: Schema.optional(Schema.NullOr(ErrorObject))
})

/**
 * The events that are read. All others are passed over.
 *
 * @category schemas
 * @since 0.2.0
 */
export const ResponsesEvent = Schema.Union([Delta, ItemAdded, Last, Failure])

/**
 * @category schemas
 * @since 0.2.0
 */
export type ResponsesEvent = typeof ResponsesEvent.Type

const kindOf = (type: string): ContentKind | undefined => (isDelta(type) ? kinds[type] : undefined)

const isDelta = (type: string): type is keyof typeof kinds => Object.hasOwn(kinds, type)

const addUsage = (usage: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(usage)) return
  const input = usage["input_tokens_details"]
  const output = usage["output_tokens_details"]
  out.push({
    _tag: "Usage",
    at,
    inputTokens: Json.count(usage["input_tokens"]),
    outputTokens: Json.count(usage["output_tokens"]),
    cachedInputTokens: Json.isObject(input) ? Json.count(input["cached_tokens"]) : null,
    reasoningTokens: Json.isObject(output) ? Json.count(output["reasoning_tokens"]) : null
  })
}

/** Why an incomplete answer is so, in the words of the chat completions: `length` when the limit of tokens was reached. */
const incompleteReason = (response: Json.JsonObject): string => {
  const details = response["incomplete_details"]
  const reason = Json.isObject(details) ? details["reason"] : undefined
  if (reason === "max_output_tokens") return "length"
  return typeof reason === "string" && reason !== "" ? reason : "incomplete"
}

const failureOf = (event: Json.JsonObject): LlmError.InStream => {
  const { code, error, message } = event
  const reason = OpenAiChunk.errorOf(
    Json.isObject(error) || typeof error === "string" ? { error } : { error: { code, message } }
  )
  return reason ?? new LlmError.InStream({ description: JSON.stringify(event), code: null, type: null })
}

/**
 * Makes the decoder of one streamed response.
 *
 * An answer that reached its limit of tokens has the finish reason `length`, one that declines `refusal`, one that ends with a call of
 * a tool `tool_calls`, any other that is complete `stop`, as in the chat completions.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  let called = false
  let refused = false
  let done = false
  const recognition = new Recognition("event of the Responses API", "--endpoint")

  const last = (type: string, response: unknown, at: number): LlmError.Reason | undefined => {
    done = true
    if (!Json.isObject(response)) {
      return new LlmError.Protocol({ description: `${type} comes without its response` })
    }
    const isFailed = type === "response.failed" || response["status"] === "failed"
    if (!isFailed) {
      const isIncomplete = type === "response.incomplete" || response["status"] === "incomplete"
      const reason = isIncomplete ? incompleteReason(response) : refused ? "refusal" : called ? "tool_calls" : "stop"
      out.push({ _tag: "Finished", at, reason })
    }
    addUsage(response["usage"], at, out)
    return isFailed ? failureOf(response) : undefined
  }

  return SseDecoder.make({
    onEvent: (data, name, at) => {
      if (data.trim() === "[DONE]") {
        done = true
        return undefined
      }
      const event = Json.parse(data)
      if (!Json.isObject(event)) {
        return name === "error"
          ? new LlmError.InStream({ description: data, code: null, type: null })
          : Json.failureOf(data, "The stream holds something that is no event")
      }
      const type = typeof event["type"] === "string" ? event["type"] : name
      recognition.add(type.startsWith("response."), event, data, name)
      const kind = kindOf(type)
      if (kind !== undefined) {
        const { delta } = event
        if (typeof delta !== "string") return undefined
        refused ||= type === "response.refusal.delta" && delta !== ""
        out.content(kind, delta, at)
        return undefined
      }
      switch (type) {
        case "response.output_item.added": {
          const item = event["item"]
          if (!Json.isObject(item) || typeof item["name"] !== "string") return undefined
          called = true
          out.content("tool", item["name"], at)
          return undefined
        }
        case "response.completed":
        case "response.incomplete":
        case "response.failed":
          return last(type, event["response"], at)
        case "error":
          return failureOf(event)
        default:
          return OpenAiChunk.errorOf(event) ?? (name === "error" ? failureOf(event) : undefined)
      }
    },
    isComplete: () => done,
    isDone: () => done,
    foreign: () => recognition.reason(done)
  })
}
