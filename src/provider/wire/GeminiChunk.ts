/**
 * The chunks of Google's `streamGenerateContent?alt=sse`, alike on Vertex AI and on the Gemini API.
 *
 * Format: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse and
 * https://ai.google.dev/api/generate-content; errors: https://cloud.google.com/apis/design/errors. The stream has no end
 * marker: it is complete once a candidate has its `finishReason`. The schema states what is understood; `decode` is what runs
 * for every chunk and is tested against it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import { type Usage } from "../../domain/TokenEvent.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as SseDecoder from "./SseDecoder.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const Text = Schema.optional(Schema.NullOr(Schema.String))
const Count = Schema.optional(Schema.NullOr(Json.Count))

const Part = Schema.Struct({
  text: Text,
  thought: Schema.optional(Schema.NullOr(Schema.Boolean)),
  functionCall: Schema.optional(Schema.NullOr(Schema.Struct({ name: Text, args: Schema.optional(Schema.Json) })))
})

const Candidate = Schema.Struct({
  content: Schema.optional(Schema.NullOr(Schema.Struct({ parts: Schema.optional(Schema.NullOr(Schema.Array(Part))) }))),
  finishReason: Text
})

const UsageMetadata = Schema.Struct({
  promptTokenCount: Count,
  candidatesTokenCount: Count,
  thoughtsTokenCount: Count,
  cachedContentTokenCount: Count
})

/**
 * The parts of a chunk that are read. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const GeminiChunk = Schema.Struct({
  candidates: Schema.optional(Schema.NullOr(Schema.Array(Candidate))),
  promptFeedback: Schema.optional(Schema.NullOr(Schema.Struct({ blockReason: Text, blockReasonMessage: Text }))),
  usageMetadata: Schema.optional(Schema.NullOr(UsageMetadata))
})

/**
 * @category schemas
 * @since 0.2.0
 */
export type GeminiChunk = typeof GeminiChunk.Type

const codeOf = (code: unknown): number | string | null =>
  typeof code === "number" && Number.isFinite(code) ? code : (Json.text(code) ?? null)

/**
 * Reads Google's error object from a decoded body or event: `{"error": {"code", "message", "status"}}`, alone or as the
 * first of an array. `undefined` when it is no error.
 *
 * @category decoding
 * @since 0.2.0
 */
export const errorOf = (value: unknown): LlmError.InStream | undefined => {
  const holder: unknown = Array.isArray(value) ? value[0] : value
  if (!Json.isObject(holder)) return undefined
  const error = holder["error"]
  if (typeof error === "string") return new LlmError.InStream({ description: error, code: null, type: null })
  if (!Json.isObject(error)) return undefined
  return new LlmError.InStream({
    description: Json.text(error["message"]) ?? JSON.stringify(error),
    code: codeOf(error["code"]),
    type: Json.text(error["status"]) ?? null
  })
}

const blockOf = (feedback: unknown): LlmError.InStream | undefined => {
  if (!Json.isObject(feedback)) return undefined
  const reason = Json.text(feedback["blockReason"])
  if (reason === undefined) return undefined
  const message = Json.text(feedback["blockReasonMessage"])
  return new LlmError.InStream({
    description: `The prompt was blocked: ${reason}${message === undefined ? "" : ` (${message})`}`,
    code: "prompt_blocked",
    type: reason
  })
}

const addPart = (part: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(part)) return
  const text = part["text"]
  if (typeof text === "string") out.content(part["thought"] === true ? "reasoning" : "text", text, at)
  const call = part["functionCall"]
  if (!Json.isObject(call)) return
  const args = call["args"]
  out.content("tool", `${Json.text(call["name"]) ?? ""}${Json.isObject(args) ? JSON.stringify(args) : ""}`, at)
}

const usageOf = (usage: unknown, at: number): Usage | undefined => {
  if (!Json.isObject(usage)) return undefined
  const candidates = Json.count(usage["candidatesTokenCount"])
  const thoughts = Json.count(usage["thoughtsTokenCount"])
  return {
    _tag: "Usage",
    at,
    inputTokens: Json.count(usage["promptTokenCount"]),
    // Google counts thoughts beside the answer, not within it.
    outputTokens: Json.total(candidates, thoughts),
    cachedInputTokens: Json.count(usage["cachedContentTokenCount"]),
    reasoningTokens: thoughts
  }
}

/**
 * What a chunk says beside its content: the reason of a failure, whether it ends the answer, and the usage so far.
 *
 * @category models
 * @since 0.2.0
 */
export interface Verdict {
  readonly failure: LlmError.Reason | undefined
  readonly finished: boolean
  readonly usage: Usage | undefined
}

/**
 * Adds the content and the finish reasons of one parsed chunk to `out`.
 *
 * @category decoding
 * @since 0.2.0
 */
export const decode = (chunk: unknown, at: number, out: EventBuffer): Verdict => {
  const error = errorOf(chunk)
  if (error !== undefined) return { failure: error, finished: false, usage: undefined }
  if (!Json.isObject(chunk)) {
    const failure = new LlmError.Protocol({ description: `Not a chunk: ${JSON.stringify(chunk)}` })
    return { failure, finished: false, usage: undefined }
  }
  let finished = false
  const candidates = chunk["candidates"]
  if (Array.isArray(candidates)) {
    for (const candidate of candidates) {
      if (!Json.isObject(candidate)) continue
      const content = candidate["content"]
      const parts = Json.isObject(content) ? content["parts"] : undefined
      if (Array.isArray(parts)) for (const part of parts) addPart(part, at, out)
      const reason = Json.text(candidate["finishReason"])
      if (reason !== undefined) {
        finished = true
        out.push({ _tag: "Finished", at, reason })
      }
    }
  }
  return { failure: blockOf(chunk["promptFeedback"]), finished, usage: usageOf(chunk["usageMetadata"], at) }
}

const isChunk = (chunk: unknown): boolean =>
  Json.isObject(chunk) &&
  (Array.isArray(chunk["candidates"]) ||
    Json.isObject(chunk["usageMetadata"]) ||
    Json.isObject(chunk["promptFeedback"]))

/**
 * Makes the decoder of one streamed response. Chunks may each tell the usage so far; the last one counts, and is given once
 * the answer is finished or has failed.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  let finished = false
  let usage: Usage | undefined
  const recognition = new Recognition("chunk of generateContent", "--llm-api")

  const giveUsage = (): void => {
    if (usage !== undefined) out.push(usage)
    usage = undefined
  }

  const take = (data: string, name: string, at: number): LlmError.Reason | undefined => {
    const chunk = Json.parse(data)
    if (chunk === undefined) {
      return Json.failureOf(data)
    }
    const verdict = decode(chunk, at, out)
    recognition.add(isChunk(chunk), chunk, data, name)
    finished ||= verdict.finished
    usage = verdict.usage ?? usage
    return verdict.failure
  }

  const events = SseDecoder.make({
    onEvent: (data, event, at) => {
      const failure = take(data, event, at)
      if (finished || failure !== undefined) giveUsage()
      return failure
    },
    isComplete: () => finished,
    isDone: () => false,
    foreign: () => recognition.reason(false)
  })

  return {
    push: events.push,
    end: (at) => {
      const reason = events.end(at)
      giveUsage()
      return reason
    },
    done: false
  }
}
