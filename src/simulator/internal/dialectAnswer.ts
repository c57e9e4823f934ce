import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fault from "../Fault.ts"
import { type Chunk } from "../ModelServer.ts"
import { type Admitted, endings, tearDown } from "./answer.ts"
import * as bodyWriter from "./bodyWriter.ts"
import { type Asked, type Data, type Dialect, type Ending, type Identity, joined, type Reason } from "./dialect.ts"
import * as exchange from "./exchange.ts"

/** A request in one of the formats that has been read and not refused. */
export interface Accepted extends Admitted {
  readonly dialect: Dialect
  readonly asked: Asked
  readonly identity: Identity
  readonly reason: Reason
}

const endingOf = ({ content, outputTokens, promptTokens, reason }: Accepted): Ending => ({
  reason,
  promptTokens,
  completionTokens: outputTokens,
  reasoningTokens: content.reasoningTokens(outputTokens)
})

/**
 * Writes text as the faults of form ask for. They are about event streams, `crlf` about any text that goes by lines; data
 * in bytes stays as it is. Line breaks are only between fields, never inside JSON.
 */
const styleOf = (faults: ReadonlyArray<Fault.Fault>, contentType: string): ((data: Data) => Data) => {
  const events = contentType.startsWith("text/event-stream")
  const has = (kind: Fault.Kind): boolean => Fault.find(faults, kind) !== undefined
  const changes: Array<(text: string) => string> = []
  if (events && has("multi-line")) changes.push((text) => text.replaceAll(/^data: \{/gm, "data: {\ndata: "))
  if (events && has("no-space")) changes.push((text) => text.replaceAll(/^(data|event|id): /gm, "$1:"))
  if (has("crlf")) changes.push((text) => text.replaceAll("\n", "\r\n"))
  if (changes.length === 0) return (data) => data
  return (data) => (typeof data === "string" ? changes.reduce((text, change) => change(text), data) : data)
}

/** Answers piece by piece; returns whether it was answered in full. */
export const streamed = Effect.fnUntraced(function* (accepted: Accepted, chunks: Stream.Stream<Chunk>) {
  const { asked, content, dialect, faults, identity, request, response } = accepted
  const has = (kind: Fault.Kind): boolean => Fault.find(faults, kind) !== undefined
  const frames = dialect.frames(asked, identity)
  const style = styleOf(faults, frames.contentType)
  const ending = faults.find((fault) => endings.has(fault.kind))
  let garbageAt = Fault.find(faults, "garbage")?.number ?? Infinity
  const ping = has("ping")

  response.writeHead(has("status-201") ? 201 : 200, {
    ...accepted.headers,
    ...frames.headers,
    "content-type": frames.contentType,
    "cache-control": "no-cache",
    ...(has("gzip") ? { "content-encoding": "gzip" } : {})
  })
  const writer = bodyWriter.make(response, faults)
  const opening = frames.opening()
  /** What comes with the first content. */
  let before: ReadonlyArray<Data> = [has("bom") && typeof opening === "string" ? "\uFEFF" : "", style(opening)]
  if (has("early-role")) {
    yield* writer.begin(joined(...before))
    before = []
  } else yield* writer.begin("")

  let finished = false
  const send = (ready: ReadonlyArray<Chunk>): Effect.Effect<void> => {
    const data = [...before]
    before = []
    for (const chunk of ready) {
      if (chunk.firstToken >= garbageAt) {
        garbageAt = Infinity
        data.push(style(frames.garbage()))
      }
      if (ping) data.push(style(frames.ping()))
      data.push(style(frames.content(content.kind(chunk), content.text(chunk))))
      finished = chunk.firstToken + chunk.tokens >= accepted.outputTokens
    }
    accepted.sent(ready.length)
    if (!finished) return writer.write(joined(...data))
    data.push(style(frames.finish(endingOf(accepted))))
    if (has("after-done")) data.push(style(frames.garbage()))
    return writer.end(joined(...data))
  }
  const good = ending === undefined ? chunks : Stream.takeWhile(chunks, (chunk) => chunk.firstToken < ending.number)
  yield* Stream.runForEachArray(good, send)
  if (ending !== undefined && !finished) {
    if (before.length > 0) yield* writer.write(joined(...before))
    yield* ending.kind === "cut"
      ? writer.end("")
      : ending.kind.startsWith("error")
        ? writer.end(style(frames.failure("overloaded_error", "The model is overloaded")))
        : tearDown(request, ending.kind)
  }
  return finished
})

/** Answers with one body when the last token is ready; returns whether it was answered. */
export const whole = Effect.fnUntraced(function* (accepted: Accepted, chunks: Stream.Stream<Chunk>) {
  const { asked, content, dialect, faults, identity, request, response } = accepted
  const words = { text: "", reasoning: "", tool: "" }
  yield* Stream.runForEach(chunks, (chunk) =>
    Effect.sync(() => {
      words[content.kind(chunk)] += content.text(chunk)
    })
  )
  const ending = faults.find(({ kind }) => kind === "reset" || kind === "close" || kind === "stall")
  if (ending !== undefined) {
    yield* tearDown(request, ending.kind)
    return false
  }
  accepted.sent(1)
  const answer = dialect.whole(asked, identity, words, endingOf(accepted))
  yield* exchange.reply(response, { ...answer, headers: { ...accepted.headers, ...answer.headers } })
  return true
})
