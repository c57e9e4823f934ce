/**
 * The events of `generate_stream` of Hugging Face's Text Generation Inference (TGI).
 *
 * Format: https://huggingface.co/docs/text-generation-inference (`StreamResponse`, `ErrorResponse`), and LoRAX, which
 * counts the prompt under another name. There is an event per token; the last one holds the whole text, and there is no
 * other end mark. The schema states what is understood; the decoder runs for every token and is tested against it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as OpenAiChunk from "./OpenAiChunk.ts"
import * as SseDecoder from "./SseDecoder.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))

/**
 * The parts of an event that are read. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const TgiEvent = Schema.Struct({
  token: optional(Schema.Struct({ text: optional(Schema.String), special: optional(Schema.Boolean) })),
  generated_text: optional(Schema.String),
  details: optional(
    Schema.Struct({
      finish_reason: optional(Schema.String),
      generated_tokens: optional(Json.Count),
      input_length: optional(Json.Count),
      prompt_tokens: optional(Json.Count)
    })
  )
})

/**
 * @category schemas
 * @since 0.2.0
 */
export type TgiEvent = typeof TgiEvent.Type

/**
 * Reads an error from a decoded body or event: `{"error": "text", "error_type": "overloaded"}`, whose type stands as its
 * code too, `{"error": ["text", …]}`, and the forms of OpenAI that gateways use. `undefined` when it is no error.
 *
 * @category decoding
 * @since 0.2.0
 */
export const errorOf = (value: unknown): LlmError.InStream | undefined => {
  if (!Json.isObject(value)) return undefined
  const { error } = value
  const description = Array.isArray(error) ? error.join("; ") : error
  if (typeof description !== "string") return OpenAiChunk.errorOf(value)
  const type = Json.text(value["error_type"]) ?? null
  return new LlmError.InStream({ description, code: type, type })
}

const addDetails = (details: Json.JsonObject, at: number, out: EventBuffer): void => {
  const reason = Json.text(details["finish_reason"])
  if (reason !== undefined) out.push({ _tag: "Finished", at, reason })
  out.push({
    _tag: "Usage",
    at,
    inputTokens: Json.count(details["input_length"]) ?? Json.count(details["prompt_tokens"]),
    outputTokens: Json.count(details["generated_tokens"]),
    cachedInputTokens: null,
    reasoningTokens: null
  })
}

/**
 * Makes the decoder of one streamed answer. It is complete with the event that holds the whole text. Special tokens, such
 * as the one that ends a text, are no content.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  let done = false
  const recognition = new Recognition("event of generate_stream", "--llm-api")
  return SseDecoder.make({
    onEvent: (data, name, at) => {
      const event = Json.parse(data)
      if (name === "error") {
        return errorOf(event) ?? new LlmError.InStream({ description: data, code: null, type: null })
      }
      if (event === undefined) {
        return Json.failureOf(data)
      }
      if (!Json.isObject(event)) return new LlmError.Protocol({ description: `Not an event: ${data.slice(0, 200)}` })
      const { details, token } = event
      recognition.add(Json.isObject(token) || typeof event["generated_text"] === "string", event, data, name)
      if (Json.isObject(token) && token["special"] !== true && typeof token["text"] === "string") {
        out.content("text", token["text"], at)
      }
      if (Json.isObject(details)) addDetails(details, at, out)
      if (typeof event["generated_text"] === "string") done = true
      return errorOf(event)
    },
    isComplete: () => done,
    isDone: () => done,
    foreign: () => recognition.reason(done)
  })
}
