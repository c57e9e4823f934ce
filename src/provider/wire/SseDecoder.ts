/**
 * Server-sent events as LLM servers really send them.
 *
 * Framing follows the WHATWG HTML standard §9.2 (`effect/encoding/Sse`): any line end, comments, `event:`, `id:` and
 * `retry:` lines, several `data:` lines, a byte order mark, cuts at any byte, inside a UTF-8 sequence too. One thing is
 * more lenient: an event that is not closed by a blank line when the body ends is delivered all the same.
 *
 * @since 0.1.0
 */
import * as Sse from "effect/encoding/Sse"
import * as LlmError from "../../domain/LlmError.ts"
import * as Limits from "../internal/limits.ts"
import { type StreamDecoder } from "./StreamDecoder.ts"

/**
 * What an API makes of its events.
 *
 * - `onEvent(data, event, at)`: one event; returns the reason when it says that the request failed
 * - `isComplete()`: whether the API's own end (a terminator or a finish reason) was seen
 * - `isDone()`: whether the terminator itself was seen; what comes after it is ignored
 * - `foreign()`: asked when the body is over: the reason when nothing in it was of this API, though something came
 * - `takeEvent(bytes, start, end, at)`: reads one whole event at `start`, where an event begins, straight from its bytes, if it
 *   can; returns where the event has ended, or `start`. For events that come for every token; all others go to `onEvent`
 *
 * @category models
 * @since 0.1.0
 */
export interface SseHandler {
  readonly onEvent: (data: string, event: string, at: number) => LlmError.Reason | undefined
  readonly isComplete: () => boolean
  readonly isDone: () => boolean
  readonly foreign?: (() => LlmError.Reason | undefined) | undefined
  readonly takeEvent?: ((bytes: Buffer, start: number, end: number, at: number) => number) | undefined
}

const LF = 10
const byteOrderMark = "\uFEFF"

/**
 * Makes the decoder of one response.
 *
 * Nearly every read is one or more whole events of a single `data: ` line each. Those are cut out directly; whatever is
 * not of that form goes through the parser, until it has come to the end of an event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (handler: SseHandler): StreamDecoder => {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
  let isBegun = false
  let isMidCharacter = false
  let isMidEvent = false
  let now = 0
  let failure: LlmError.Reason | undefined

  const onEvent = (data: string, event: string): void => {
    if (failure === undefined && !handler.isDone()) failure = handler.onEvent(data, event, now)
  }

  const parser = Sse.makeParser(
    (event) => {
      if (event._tag === "Event") onEvent(event.data, event.event)
    },
    { maxEventSize: Limits.maxEventBytes }
  )
  // The parser need not see the start of the body; but it must not take what it sees first for the start.
  parser.feed("\n")

  const decode = (bytes: Buffer, start: number, end: number): string => {
    const last = bytes[end - 1] ?? 0
    if (start === end) return ""
    if (!isMidCharacter && last < 0x80) return bytes.toString("utf8", start, end)
    isMidCharacter = last >= 0x80
    return utf8.decode(bytes.subarray(start, end), { stream: isMidCharacter })
  }

  /** Delivers the whole events at `start` that the handler reads by itself; returns how far it came. */
  const takeEvents = (bytes: Buffer, start: number, end: number, at: number): number => {
    if (handler.takeEvent === undefined || !isBegun || isMidEvent || isMidCharacter || failure !== undefined)
      return start
    let from = start
    while (from < end) {
      const next = handler.takeEvent(bytes, from, end, at)
      if (next === from) break
      from = next
    }
    return from
  }

  /** Delivers the whole events of one `data: ` line each at the start of `text`; returns how far it came. */
  const takePlainEvents = (text: string): number => {
    if (isMidEvent || text.includes("\r")) return 0
    let from = 0
    while (text.startsWith("data: ", from)) {
      const end = text.indexOf("\n", from)
      if (end < 0 || text.charCodeAt(end + 1) !== LF) break
      onEvent(text.slice(from + 6, end), "message")
      from = end + 2
    }
    return from
  }

  const withoutMark = (text: string): string => {
    if (isBegun || text === "") return text
    isBegun = true
    return text.startsWith(byteOrderMark) ? text.slice(1) : text
  }

  const feed = (text: string, at: number): LlmError.Reason | undefined => {
    now = at
    const taken = takePlainEvents(text)
    if (taken < text.length) {
      const tooLarge = parser.feed(taken === 0 ? text : text.slice(taken))
      if (tooLarge !== undefined) failure ??= Limits.tooLarge("an event")
      isMidEvent = !text.endsWith("\n\n")
    }
    return failure
  }

  const pushPart = (bytes: Buffer, start: number, end: number, at: number): LlmError.Reason | undefined => {
    const from = takeEvents(bytes, start, end, at)
    return from === end ? failure : feed(withoutMark(decode(bytes, from, end)), at)
  }

  return {
    push: (bytes, at) => pushPart(bytes, 0, bytes.length, at),
    pushPart,
    end: (at) => {
      isMidEvent = true
      const reason = feed(`${withoutMark(utf8.decode())}\n\n`, at)
      // What is left at the end of a cut stream is half an event; that it does not parse says only that it was cut.
      if (reason !== undefined && reason._tag !== "Protocol") return reason
      const foreign = handler.foreign?.()
      if (foreign !== undefined) return foreign
      return handler.isComplete()
        ? undefined
        : new LlmError.Truncated({ description: "the stream ended without a finish reason or an end marker" })
    },
    get done() {
      return handler.isDone()
    }
  }
}
