import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type IncomingMessage, type ServerResponse } from "node:http"
import * as Fault from "../Fault.ts"
import { type Chunk } from "../ModelServer.ts"
import * as bodyWriter from "./bodyWriter.ts"
import { type Content } from "./content.ts"
import * as exchange from "./exchange.ts"
import * as openAi from "./openAi.ts"
import { json, streamError } from "./refusal.ts"
import { type RequestBody } from "./requestBody.ts"
import * as sse from "./sse.ts"

/** A request that is going to be answered, whatever its format. */
export interface Admitted {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly faults: ReadonlyArray<Fault.Fault>
  readonly content: Content
  readonly promptTokens: number
  readonly outputTokens: number
  /** Go with every answer. */
  readonly headers: { readonly [name: string]: string }
  /** Called as chunks with content are handed to the socket. */
  readonly sent: (chunks: number) => void
}

/** A completion that has been asked for and not refused. */
export interface Accepted extends Admitted {
  readonly body: RequestBody
  readonly identity: openAi.Identity
  readonly finishReason: string
}

/** Where a stream goes wrong for good; the other faults only change its form. */
export const endings: ReadonlySet<Fault.Kind> = new Set([
  "reset",
  "close",
  "cut",
  "stall",
  "error",
  "error-string",
  "error-vllm",
  "error-null-code"
])

/** After so many tokens of the answer: all of them, unless told otherwise. */
const usageOf = ({ content, outputTokens, promptTokens }: Accepted, tokens = outputTokens): openAi.Usage => ({
  promptTokens,
  completionTokens: tokens,
  reasoningTokens: content.reasoningTokens(tokens)
})

/** Resets or closes the connection, or keeps it open and silent. */
export const tearDown = (request: IncomingMessage, kind: Fault.Kind): Effect.Effect<void> => {
  switch (kind) {
    case "reset":
      return exchange.reset(request)
    case "close":
      return exchange.close(request)
    default:
      return Effect.never
  }
}

/** Ends the stream as the fault says. */
const endBadly = (
  { request }: Accepted,
  kind: Fault.Kind,
  writer: bodyWriter.BodyWriter,
  style: sse.Style
): Effect.Effect<void> => {
  const error = streamError(kind)
  if (error !== undefined) return writer.end(sse.event(style, error))
  return kind === "cut" ? writer.end("") : tearDown(request, kind)
}

/** Answers with a stream of events; returns whether it was answered in full. */
export const streamed = Effect.fnUntraced(function* (accepted: Accepted, chunks: Stream.Stream<Chunk>) {
  const { body, content, faults, response } = accepted
  const has = (kind: Fault.Kind): boolean => Fault.find(faults, kind) !== undefined
  const style = sse.styleOf(faults)
  const withUsage = body.stream_options?.include_usage === true
  const inEveryChunk = withUsage && body.stream_options?.continuous_usage_stats === true
  const events = openAi.events(accepted.identity, style, withUsage, has("tool"))
  const ending = faults.find((fault) => endings.has(fault.kind))
  let garbageAt = Fault.find(faults, "garbage")?.number ?? Infinity
  const ping = has("ping") ? sse.comment(style, "ping") : ""

  response.writeHead(has("status-201") ? 201 : 200, {
    ...accepted.headers,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    ...(has("gzip") ? { "content-encoding": "gzip" } : {})
  })
  const writer = bodyWriter.make(response, faults)
  const opening = (): string =>
    (has("bom") ? "\uFEFF" : "") + events.opening() + (has("empty-choices") ? events.emptyChoices() : "")
  /** What comes with the first event with content. */
  let before = ""
  yield* writer.begin(has("early-role") ? opening() : "")
  if (!has("early-role")) before = opening()
  const tail = (): string =>
    events.finish(accepted.finishReason) +
    (withUsage ? events.usage(usageOf(accepted)) : "") +
    (has("nodone") ? "" : events.done) +
    (has("after-done") ? sse.comment(style, "bye") + sse.event(style, "{not json") : "")

  let finished = false
  const send = (ready: ReadonlyArray<Chunk>): Effect.Effect<void> => {
    let text = before
    before = ""
    for (const chunk of ready) {
      if (chunk.firstToken >= garbageAt) {
        garbageAt = Infinity
        text += sse.event(style, "{not json")
      }
      const tokens = chunk.firstToken + chunk.tokens
      const usage = inEveryChunk ? usageOf(accepted, tokens) : undefined
      text += ping + events.content(content.kind(chunk), content.text(chunk), usage)
      finished = tokens >= accepted.outputTokens
    }
    accepted.sent(ready.length)
    return finished ? writer.end(text + tail()) : writer.write(text)
  }
  const good = ending === undefined ? chunks : Stream.takeWhile(chunks, (chunk) => chunk.firstToken < ending.number)
  yield* Stream.runForEachArray(good, send)
  if (ending !== undefined && !finished) {
    if (before !== "") yield* writer.write(before)
    yield* endBadly(accepted, ending.kind, writer, style)
  }
  return finished
})

/** Answers with one body when the last token is ready; returns whether it was answered. */
export const whole = Effect.fnUntraced(function* (accepted: Accepted, chunks: Stream.Stream<Chunk>) {
  const { content, faults, identity, request, response } = accepted
  const texts = { text: "", reasoning: "", tool: "" }
  yield* Stream.runForEach(chunks, (chunk) =>
    Effect.sync(() => {
      texts[content.kind(chunk)] += content.text(chunk)
    })
  )
  const ending = faults.find(({ kind }) => kind === "reset" || kind === "close" || kind === "stall")
  if (ending !== undefined) {
    yield* tearDown(request, ending.kind)
    return false
  }
  const asTool = texts.tool !== ""
  const answer = { text: texts.text + texts.tool, reasoning: texts.reasoning, asTool, reason: accepted.finishReason }
  accepted.sent(1)
  yield* exchange.reply(response, json(200, openAi.completion(identity, answer, usageOf(accepted)), accepted.headers))
  return true
})
