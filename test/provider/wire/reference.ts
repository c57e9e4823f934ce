import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type ContentKind, type TokenEvent } from "../../../src/domain/TokenEvent.ts"
import { OpenAiChunk } from "../../../src/provider/wire/OpenAiChunk.ts"

/**
 * The same formats read the plain way: a whole body at once, by the letter of the standard, every chunk through the schema.
 * Slow and simple, for the decoders to be held against.
 */

/**
 * An event of a stream. `end`: the number of bytes of the body that had to arrive before it was there. `isClosed`: whether a
 * blank line closes it.
 */
export interface SseEvent {
  readonly data: string
  readonly event: string
  readonly end: number
  readonly isClosed: boolean
}

/** WHATWG HTML §9.2.6, with one difference: an event that nothing closes is delivered at the end of the body. */
export const sseEvents = (body: Uint8Array): ReadonlyArray<SseEvent> => {
  const text = `${new TextDecoder("utf-8", { ignoreBOM: true }).decode(body)}\n\n`
  const events: Array<SseEvent> = []
  let data: Array<string> = []
  let name = ""
  let at = text.startsWith("\uFEFF") ? 1 : 0
  while (at < text.length) {
    const found = text.slice(at).search(/[\r\n]/)
    if (found < 0) break
    const lineEnd = at + found
    const line = text.slice(at, lineEnd)
    at = text.startsWith("\r\n", lineEnd) ? lineEnd + 2 : lineEnd + 1
    if (line === "") {
      if (data.length > 0) {
        const end = Buffer.byteLength(text.slice(0, lineEnd + 1))
        events.push({
          data: data.join("\n"),
          event: name === "" ? "message" : name,
          end: Math.min(end, body.length),
          isClosed: end <= body.length
        })
      }
      data = []
      name = ""
      continue
    }
    const [, field, value] = /^([^:]*)(?::(?: )?(.*))?$/s.exec(line) ?? []
    if (field === "data") data.push(value ?? "")
    if (field === "event") name = value ?? ""
  }
  return events
}

/** A chunk of text or another event, without its time. */
export type Part =
  | { readonly kind: ContentKind; readonly text: string }
  | { readonly finished: string }
  | { readonly usage: ReadonlyArray<number | null> }

/** What a stream comes to: its parts, and how it failed: the tag of the reason, `undefined` when it did not. */
export interface Outcome {
  readonly parts: ReadonlyArray<Part>
  readonly failure: string | undefined
}

const decodeChunk = Schema.decodeUnknownOption(OpenAiChunk)

const partsOf = (chunk: OpenAiChunk): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  const text = (kind: ContentKind, text: string | null | undefined): void => {
    if (text) parts.push({ kind, text })
  }
  for (const { delta, finish_reason, text: legacy } of chunk.choices ?? []) {
    text("reasoning", delta?.reasoning_content || delta?.reasoning)
    text("text", delta?.content)
    text("text", delta?.refusal)
    if (delta?.refusal) parts.push({ finished: "refusal" })
    for (const call of delta?.tool_calls ?? []) {
      text("tool", call.function?.name)
      text("tool", call.function?.arguments)
    }
    text("text", legacy)
    if (finish_reason) parts.push({ finished: finish_reason })
  }
  const { usage } = chunk
  if (usage) {
    parts.push({
      usage: [
        usage.prompt_tokens ?? null,
        usage.completion_tokens ?? null,
        usage.prompt_tokens_details?.cached_tokens ?? null,
        usage.completion_tokens_details?.reasoning_tokens ?? null
      ]
    })
  }
  return parts
}

const parse = (data: string): Option.Option<unknown> => {
  try {
    return Option.some(JSON.parse(data))
  } catch {
    return Option.none()
  }
}

const hasError = (chunk: unknown): boolean => {
  if (typeof chunk !== "object" || chunk === null) return false
  const error = "error" in chunk ? chunk.error : undefined
  return (
    typeof error === "string" ||
    (typeof error === "object" && error !== null) ||
    ("object" in chunk && chunk.object === "error")
  )
}

/** Whether there is anything of the API in a chunk. */
const isOpenAi = ({ choices, usage }: OpenAiChunk): boolean =>
  choices?.length === 0 ||
  typeof usage?.prompt_tokens === "number" ||
  (choices ?? []).some(
    (choice) =>
      "delta" in choice || "text" in choice || (typeof choice.finish_reason === "string" && !("message" in choice))
  )

/** Reads a whole answer. Every chunk in it must be one that the schema knows. */
export const openAi = (body: Uint8Array): Outcome => {
  const parts: Array<Part> = []
  let isComplete = false
  let isForeign = false
  let isKnown = false
  for (const { data, event, isClosed } of sseEvents(body)) {
    if (data.trim() === "[DONE]") return { parts, failure: isKnown ? undefined : "Protocol" }
    const json = parse(data)
    if (Option.isNone(json)) {
      if (event === "error") return { parts, failure: "InStream" }
      // Half an event at the end is not a fault of its own: the stream was cut there.
      if (!isClosed) break
      return { parts, failure: "Protocol" }
    }
    const chunk = Option.getOrThrow(decodeChunk(json.value))
    isKnown ||= isOpenAi(chunk)
    isForeign = !isKnown
    const found = partsOf(chunk)
    parts.push(...found)
    if (hasError(json.value) || event === "error") return { parts, failure: "InStream" }
    isComplete ||= (chunk.choices ?? []).some(({ finish_reason }) => finish_reason)
  }
  return { parts, failure: isForeign ? "Protocol" : isComplete ? undefined : "Truncated" }
}

/** Of usage in every chunk the last is what counts. */
export const settled = ({ failure, parts }: Outcome): Outcome => ({
  parts: [...parts.filter((part) => !("usage" in part)), ...parts.filter((part) => "usage" in part).slice(-1)],
  failure
})

/** The same form for what a decoder gave. */
export const flatten = (events: ReadonlyArray<TokenEvent>): ReadonlyArray<Part> =>
  events.flatMap((event): ReadonlyArray<Part> => {
    switch (event._tag) {
      case "Content":
        return event.text.map((text) => ({ kind: event.kind, text }))
      case "Finished":
        return [{ finished: event.reason }]
      case "Usage":
        return [{ usage: [event.inputTokens, event.outputTokens, event.cachedInputTokens, event.reasoningTokens] }]
      default:
        return []
    }
  })
