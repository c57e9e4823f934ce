/**
 * The events of Bedrock's Converse stream.
 *
 * Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html. The schemas state what
 * is understood; `decode` runs for every token and is tested against them.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "../internal/json.ts"
import { Recognition } from "../internal/recognition.ts"
import * as AwsEventStream from "./AwsEventStream.ts"
import { type EventBuffer } from "./EventBuffer.ts"
import { type MakeDecoder } from "./StreamDecoder.ts"

const Text = Schema.optional(Schema.NullOr(Schema.String))
const Count = Schema.optional(Schema.NullOr(Json.Count))

/**
 * The parts of each event that are read. Events of other types, and everything else in these, are ignored.
 *
 * @category schemas
 * @since 0.2.0
 */
export const ConverseEvent = {
  contentBlockStart: Schema.Struct({
    start: Schema.optional(Schema.NullOr(Schema.Struct({ toolUse: Schema.optional(Schema.Struct({ name: Text })) })))
  }),
  contentBlockDelta: Schema.Struct({
    delta: Schema.optional(
      Schema.NullOr(
        Schema.Struct({
          text: Text,
          reasoningContent: Schema.optional(Schema.NullOr(Schema.Struct({ text: Text }))),
          toolUse: Schema.optional(Schema.NullOr(Schema.Struct({ input: Text })))
        })
      )
    )
  }),
  messageStop: Schema.Struct({ stopReason: Text }),
  metadata: Schema.Struct({
    usage: Schema.optional(
      Schema.NullOr(
        Schema.Struct({
          inputTokens: Count,
          outputTokens: Count,
          cacheReadInputTokens: Count,
          cacheWriteInputTokens: Count
        })
      )
    )
  })
}

const addUsage = (usage: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(usage)) return
  const fresh = Json.count(usage["inputTokens"])
  const cached = Json.count(usage["cacheReadInputTokens"])
  out.push({
    _tag: "Usage",
    at,
    // Tokens that come from the cache or go into it are not among `inputTokens`.
    inputTokens: fresh === null ? null : Json.total(fresh, cached, Json.count(usage["cacheWriteInputTokens"])),
    outputTokens: Json.count(usage["outputTokens"]),
    cachedInputTokens: cached,
    reasoningTokens: null
  })
}

const addDelta = (delta: unknown, at: number, out: EventBuffer): void => {
  if (!Json.isObject(delta)) return
  const { reasoningContent, text, toolUse } = delta
  if (Json.isObject(reasoningContent) && typeof reasoningContent["text"] === "string") {
    out.content("reasoning", reasoningContent["text"], at)
  }
  if (typeof text === "string") out.content("text", text, at)
  if (Json.isObject(toolUse) && typeof toolUse["input"] === "string") out.content("tool", toolUse["input"], at)
}

/**
 * How far an answer has come: `stopped` after the reason why the model stopped, `over` after the metadata, which is last.
 *
 * @category models
 * @since 0.2.0
 */
export type Progress = "going" | "stopped" | "over"

/**
 * Adds what one event says to `out`. `value` is its payload as parsed JSON.
 *
 * @category decoding
 * @since 0.2.0
 */
export const decode = (type: string, value: unknown, at: number, out: EventBuffer): Progress => {
  if (!Json.isObject(value)) return "going"
  switch (type) {
    case "contentBlockDelta":
      addDelta(value["delta"], at, out)
      return "going"
    case "contentBlockStart": {
      const start = value["start"]
      const tool = Json.isObject(start) ? start["toolUse"] : undefined
      if (Json.isObject(tool) && typeof tool["name"] === "string") out.content("tool", tool["name"], at)
      return "going"
    }
    case "messageStop": {
      const reason = value["stopReason"]
      if (typeof reason === "string" && reason !== "") out.push({ _tag: "Finished", at, reason })
      return "stopped"
    }
    case "metadata":
      addUsage(value["usage"], at, out)
      return "over"
    default:
      return "going"
  }
}

const types: ReadonlySet<string> = new Set([
  "messageStart",
  "contentBlockStart",
  "contentBlockDelta",
  "contentBlockStop",
  "messageStop",
  "metadata"
])

/**
 * Makes decoders of Converse streams out of a codec of their frames.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeDecoder =
  (codec: AwsEventStream.Codec): MakeDecoder =>
  (out) => {
    let stopped = false
    let over = false
    const recognition = new Recognition("event of Converse", "--llm-api")
    return AwsEventStream.make(codec, {
      onEvent: (type, payload, at) => {
        const text = payload.toString("utf8")
        const value = Json.parse(text)
        if (value === undefined) return Json.failureOf(text)
        recognition.add(types.has(type), value, text, type)
        const progress = decode(type, value, at, out)
        if (progress === "stopped") stopped = true
        // Nothing but the reason to stop makes an answer complete.
        if (progress === "over") over = stopped
        return undefined
      },
      atEnd: () =>
        recognition.reason(stopped) ??
        (stopped
          ? undefined
          : new LlmError.Truncated({ description: "the stream ended before the model said that it stopped" })),
      isDone: () => over
    })
  }
