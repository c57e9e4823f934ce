/**
 * The chunks of OpenAI's streaming chat and legacy completions, as OpenAI and the servers that imitate it send them.
 *
 * Format: https://platform.openai.com/docs/api-reference/chat-streaming, vLLM and SGLang sources for `reasoning_content`,
 * `reasoning` and the error objects. The schema states what is understood; `decode` is the fast path that runs for every
 * token and is tested against it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import { type ContentKind } from "../../domain/TokenEvent.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import { asciiText } from "../internal/shortTexts.ts"
import { EventBuffer } from "./EventBuffer.ts"
import * as SseDecoder from "./SseDecoder.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const Text = Schema.optional(Schema.NullOr(Schema.String))
const Count = Schema.optional(Schema.NullOr(Json.Count))

const ToolCall = Schema.Struct({
  function: Schema.optional(Schema.NullOr(Schema.Struct({ name: Text, arguments: Text })))
})

const Delta = Schema.Struct({
  role: Text,
  content: Text,
  reasoning_content: Text,
  reasoning: Text,
  refusal: Text,
  tool_calls: Schema.optional(Schema.NullOr(Schema.Array(ToolCall)))
})

const Choice = Schema.Struct({
  delta: Schema.optional(Schema.NullOr(Delta)),
  text: Text,
  finish_reason: Text
})

const UsageObject = Schema.Struct({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ cached_tokens: Count }))),
  completion_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ reasoning_tokens: Count })))
})

/**
 * The parts of a chunk that are read. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.1.0
 */
export const OpenAiChunk = Schema.Struct({
  choices: Schema.optional(Schema.NullOr(Schema.Array(Choice))),
  usage: Schema.optional(Schema.NullOr(UsageObject))
})

/**
 * @category schemas
 * @since 0.1.0
 */
export type OpenAiChunk = typeof OpenAiChunk.Type

const asText = (value: unknown): string => (typeof value === "string" ? value : "")

const asCode = (value: unknown): number | string | null => {
  if (typeof value === "number" && Number.isFinite(value)) return value
  if (typeof value !== "string" || value === "") return null
  return /^\d{3}$/.test(value) ? Number(value) : value
}

/**
 * Reads an error from a decoded body or event: `{"error": {"message", "code", "type"}}`, `{"error": "text"}`, and vLLM's
 * `{"object": "error", "message", "code"}`. `undefined` when it is no error.
 *
 * @category decoding
 * @since 0.1.0
 */
export const errorOf = (value: unknown): LlmError.InStream | undefined => {
  if (!Json.isObject(value)) return undefined
  const inner = value["error"]
  if (typeof inner === "string") return new LlmError.InStream({ description: inner, code: null, type: null })
  const error = Json.isObject(inner) ? inner : value["object"] === "error" ? value : undefined
  if (error === undefined) return undefined
  const type = asText(error["type"])
  return new LlmError.InStream({
    description: asText(error["message"]) || JSON.stringify(error),
    code: asCode(error["code"]),
    type: type === "" ? null : type
  })
}

const addText = (value: unknown, kind: ContentKind, at: number, out: EventBuffer): void => {
  if (typeof value === "string") out.content(kind, value, at)
}

/** A model that declines says so in a field of its own, and then that it has come to its end as ever. */
const addRefusal = (text: unknown, at: number, out: EventBuffer): void => {
  if (typeof text !== "string" || text === "") return
  out.content("text", text, at)
  out.push({ _tag: "Finished", at, reason: "refusal" })
}

const addToolCalls = (calls: unknown, at: number, out: EventBuffer): void => {
  if (!Array.isArray(calls)) return
  for (const call of calls) {
    if (!Json.isObject(call) || !Json.isObject(call["function"])) continue
    addText(call["function"]["name"], "tool", at, out)
    addText(call["function"]["arguments"], "tool", at, out)
  }
}

const addUsage = (usage: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(usage)) return
  const prompt = usage["prompt_tokens_details"]
  const completion = usage["completion_tokens_details"]
  out.usage({
    _tag: "Usage",
    at,
    inputTokens: Json.count(usage["prompt_tokens"]),
    outputTokens: Json.count(usage["completion_tokens"]),
    cachedInputTokens: Json.isObject(prompt) ? Json.count(prompt["cached_tokens"]) : null,
    reasoningTokens: Json.isObject(completion) ? Json.count(completion["reasoning_tokens"]) : null
  })
}

/**
 * What a chunk says beside its text: the reason of a failure, or whether it ends the answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verdict {
  readonly failure: LlmError.Reason | undefined
  readonly finished: boolean
}

const fine: Verdict = { failure: undefined, finished: false }
const finishing: Verdict = { failure: undefined, finished: true }

/**
 * Adds the events of one parsed chunk to `out`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (chunk: unknown, at: number, out: EventBuffer): Verdict => {
  if (!Json.isObject(chunk)) {
    return { failure: new LlmError.Protocol({ description: `Not a chunk: ${JSON.stringify(chunk)}` }), finished: false }
  }
  let finished = false
  const choices = chunk["choices"]
  if (Array.isArray(choices)) {
    for (const choice of choices) {
      if (!Json.isObject(choice)) continue
      const delta = choice["delta"]
      if (Json.isObject(delta)) {
        addText(delta["reasoning_content"] || delta["reasoning"], "reasoning", at, out)
        addText(delta["content"], "text", at, out)
        addRefusal(delta["refusal"], at, out)
        addToolCalls(delta["tool_calls"], at, out)
      }
      addText(choice["text"], "text", at, out)
      const reason = choice["finish_reason"]
      if (typeof reason === "string" && reason !== "") {
        finished = true
        out.push({ _tag: "Finished", at, reason })
      }
    }
  }
  addUsage(chunk["usage"], at, out)
  const failure = errorOf(chunk)
  return failure === undefined ? (finished ? finishing : fine) : { failure, finished }
}

const isChoice = (choice: unknown): boolean =>
  Json.isObject(choice) &&
  ("delta" in choice || "text" in choice || (typeof choice["finish_reason"] === "string" && !("message" in choice)))

/** Whether it is a chunk of this API at all: it has choices of its form, or none yet, or the usage. */
const isChunk = (chunk: unknown): boolean => {
  if (!Json.isObject(chunk)) return false
  const { choices, usage } = chunk
  if (Array.isArray(choices) && (choices.length === 0 || choices.some(isChoice))) return true
  return Json.isObject(usage) && Json.count(usage["prompt_tokens"]) !== null
}

/** Text that stands in a JSON string as it is. */
// eslint-disable-next-line no-control-regex
const plainText = /^[^"\\\u0000-\u001f]*$/

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20

/**
 * The event around a piece of text: `prefix`, text and `suffix` are that event with another text in it, blank line and all. The
 * suffix begins with the quote that ends the text.
 */
interface Template {
  readonly kind: ContentKind
  readonly prefix: Buffer
  readonly suffix: Buffer
}

const sentinel = "\u2402"

/**
 * Learns the form of a chunk that held one piece of text and nothing else, by trying what it decodes to with another text
 * in the same place. A JSON string without quotes, backslashes and control characters can be exchanged for any other.
 */
const learn = (data: string): Template | undefined => {
  // Of several lines is one event as well, but they have another form.
  if (data.includes("\n")) return undefined
  const only = onlyContent(data)
  // With the sentinel itself as its text, any place in which it stands would seem to be the right one.
  if (only === undefined || only.text === sentinel || !plainText.test(only.text)) return undefined
  const at = data.indexOf(`"${only.text}"`)
  if (at < 0) return undefined
  const prefix = data.slice(0, at + 1)
  const suffix = data.slice(at + 1 + only.text.length)
  const tried = onlyContent(prefix + sentinel + suffix)
  if (tried === undefined || tried.text !== sentinel || tried.kind !== only.kind) return undefined
  return { kind: only.kind, prefix: Buffer.from(`data: ${prefix}`), suffix: Buffer.from(`${suffix}\n\n`) }
}

/** Whether `part` stands in `bytes` at `start`. */
const hasAt = (bytes: Buffer, start: number, part: Buffer): boolean => {
  const length = part.length
  let i = 0
  while (i < length && bytes[start + i] === part[i]) i++
  return i === length
}

/**
 * Reads an event of this form at `start` into `out`. Returns where it has ended, or `start` when it is of another form or
 * not there as a whole.
 */
const takeByTemplate = (
  { kind, prefix, suffix }: Template,
  bytes: Buffer,
  start: number,
  end: number,
  at: number,
  out: EventBuffer
): number => {
  const textStart = start + prefix.length
  if (textStart + suffix.length >= end || !hasAt(bytes, start, prefix)) return start
  let textEnd = textStart
  let hash = 0
  let union = 0
  for (; textEnd < end; textEnd++) {
    const byte = bytes[textEnd] ?? 0
    if (byte === QUOTE) break
    if (byte < SPACE || byte === BACKSLASH) return start
    hash = (Math.imul(hash, 31) + byte) | 0
    union |= byte
  }
  // Where one text is empty another may take its place.
  if (textEnd === textStart || textEnd + suffix.length > end || !hasAt(bytes, textEnd, suffix)) return start
  const text = union < 0x80 ? asciiText(bytes, textStart, textEnd, hash) : bytes.toString("utf8", textStart, textEnd)
  out.content(kind, text, at)
  return textEnd + suffix.length
}

const onlyContent = (data: string): { readonly kind: ContentKind; readonly text: string } | undefined => {
  const out = new EventBuffer()
  const verdict = decode(Json.parse(data), 0, out)
  const events = out.take()
  const event = events?.[0]
  if (verdict !== fine || events?.length !== 1 || event?._tag !== "Content") return undefined
  const [text, another] = event.text
  return text === undefined || another !== undefined ? undefined : { kind: event.kind, text }
}

/** How often the form of the chunks of one answer is learned anew; some servers put something else into each. */
const maxLessons = 4
/**
 * The first chunk from which a form is learned. Not from the very first ones: when many answers begin at the same moment, the
 * last of them would be stamped later for it.
 */
const firstLesson = 3

/**
 * Makes the decoder of one streamed response of OpenAI's shape.
 *
 * Within an answer, chunks differ in nothing but their text. Once that form is known, a chunk of the same form is not
 * parsed again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  let finished = false
  let done = false
  let template: Template | undefined
  let lessons = 0
  let chunks = 0
  const recognition = new Recognition("chunk of the chat or the completions API", "--endpoint")

  return SseDecoder.make({
    onEvent: (data, event, at) => {
      if (data.trim() === "[DONE]") {
        done = true
        return undefined
      }
      const chunk = Json.parse(data)
      if (chunk === undefined) {
        return event === "error"
          ? new LlmError.InStream({ description: data, code: null, type: null })
          : Json.failureOf(data)
      }
      const verdict = decode(chunk, at, out)
      if (!recognition.isSettled) recognition.add(isChunk(chunk), chunk, data, event)
      if (verdict.failure === undefined && event === "error") {
        return new LlmError.InStream({ description: data, code: null, type: null })
      }
      if (verdict.finished) finished = true
      chunks++
      if (verdict === fine && chunks >= firstLesson && lessons < maxLessons) {
        const learned = learn(data)
        if (learned !== undefined) {
          template = learned
          lessons++
        }
      }
      return verdict.failure
    },
    isComplete: () => finished || done,
    isDone: () => done,
    foreign: () => recognition.reason(done),
    takeEvent: (bytes, start, end, at) =>
      template === undefined || done ? start : takeByTemplate(template, bytes, start, end, at, out)
  })
}
