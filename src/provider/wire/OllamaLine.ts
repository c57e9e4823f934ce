/**
 * The lines of Ollama's streaming chat: JSON objects, each on a line of its own (NDJSON).
 *
 * Format: https://docs.ollama.com/api/chat and …/api/streaming. The schema states what is understood; the decoder runs for
 * every token and is tested against it.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import * as Limits from "../internal/limits.ts"
import { Recognition } from "../internal/recognition.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import * as OpenAiChunk from "./OpenAiChunk.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const optional = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))

const ToolCall = Schema.Struct({
  function: optional(Schema.Struct({ name: optional(Schema.String), arguments: Schema.optional(Schema.Unknown) }))
})

/**
 * The parts of a line that are read. Everything else in it is ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const OllamaLine = Schema.Struct({
  message: optional(
    Schema.Struct({
      content: optional(Schema.String),
      thinking: optional(Schema.String),
      tool_calls: optional(Schema.Array(ToolCall))
    })
  ),
  done: optional(Schema.Boolean),
  done_reason: optional(Schema.String),
  prompt_eval_count: optional(Json.Count),
  eval_count: optional(Json.Count)
})

/**
 * @category schemas
 * @since 0.2.0
 */
export type OllamaLine = typeof OllamaLine.Type

/**
 * Reads an error from a decoded body or line: `{"error": "text"}`, and the forms of OpenAI that gateways use. `undefined`
 * when it is no error.
 *
 * @category decoding
 * @since 0.2.0
 */
export const errorOf = OpenAiChunk.errorOf

/** A call comes whole, its arguments as an object. */
const addToolCalls = (calls: unknown, at: number, out: EventBuffer): void => {
  if (!Array.isArray(calls)) return
  for (const call of calls) {
    if (!Json.isObject(call) || !Json.isObject(call["function"])) continue
    const { arguments: given, name } = call["function"]
    if (typeof name === "string") out.content("tool", name, at)
    if (given !== undefined && given !== null) {
      out.content("tool", typeof given === "string" ? given : JSON.stringify(given), at)
    }
  }
}

const addMessage = (message: Json.JsonObject, at: number, out: EventBuffer): void => {
  const { content, thinking } = message
  if (typeof thinking === "string") out.content("reasoning", thinking, at)
  if (typeof content === "string") out.content("text", content, at)
  addToolCalls(message["tool_calls"], at, out)
}

const addEnd = (line: Json.JsonObject, at: number, out: EventBuffer): void => {
  const reason = Json.text(line["done_reason"])
  if (reason !== undefined) out.push({ _tag: "Finished", at, reason })
  const inputTokens = Json.count(line["prompt_eval_count"])
  const outputTokens = Json.count(line["eval_count"])
  if (inputTokens === null && outputTokens === null) return
  out.push({ _tag: "Usage", at, inputTokens, outputTokens, cachedInputTokens: null, reasoningTokens: null })
}

const LF = 10

/**
 * Makes the decoder of one streamed answer. It is complete with the line that says `"done": true`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder: MakeDecoder = (out) => {
  /** What came of a line that is not over. */
  let begun: Array<Buffer> = []
  let begunLength = 0
  let done = false
  const recognition = new Recognition("line of Ollama's chat", "--api-base")

  const onLine = (text: string, at: number): LlmError.Reason | undefined => {
    if (done) return undefined
    // A byte order mark counts as white space here.
    const trimmed = text.trim()
    if (trimmed === "") return undefined
    const line = Json.parse(trimmed)
    if (line === undefined) {
      return Json.failureOf(text)
    }
    if (!Json.isObject(line))
      return new LlmError.Protocol({ description: `Not a line of an answer: ${text.slice(0, 200)}` })
    recognition.add(Json.isObject(line["message"]), line, trimmed)
    if (Json.isObject(line["message"])) addMessage(line["message"], at, out)
    const failure = errorOf(line)
    if (failure !== undefined) return failure
    if (line["done"] === true) {
      addEnd(line, at, out)
      done = true
    }
    return undefined
  }

  const takeLine = (last: Buffer): string => {
    if (begun.length === 0) return last.toString("utf8")
    const line = Buffer.concat([...begun, last]).toString("utf8")
    begun = []
    begunLength = 0
    return line
  }

  return {
    push: (bytes, at) => {
      let from = 0
      for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, from)) {
        const reason = onLine(takeLine(bytes.subarray(from, end)), at)
        if (reason !== undefined) return reason
        from = end + 1
      }
      if (from === bytes.length || done) return undefined
      begun.push(Buffer.from(bytes.subarray(from)))
      begunLength += bytes.length - from
      return begunLength > Limits.maxEventBytes ? Limits.tooLarge("a line") : undefined
    },
    end: (at) => {
      const reason = onLine(takeLine(Buffer.alloc(0)), at)
      // What is left at the end of a cut stream is half a line; that it does not parse says only that it was cut.
      if (reason !== undefined && reason._tag !== "Protocol") return reason
      const foreign = recognition.reason(done)
      if (foreign !== undefined) return foreign
      return done
        ? undefined
        : new LlmError.Truncated({ description: `the stream ended without a line that is "done"` })
    },
    get done() {
      return done
    }
  }
}
