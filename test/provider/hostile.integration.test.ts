import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Http2 from "node:http2"
import * as Zlib from "node:zlib"
import * as Transport from "../../src/provider/Transport.ts"
import { ask, type Asked, client, textOf } from "./asking.ts"
import { pem } from "./certificates.ts"
import { http2Server } from "./http2Servers.ts"
import { answer, content, event, finish, goodAnswer, goodBody, head, piece, raw, streamHead } from "./servers.ts"

/** Servers that send what no server should. Each answer may cost its own request, and never another one or the process. */

const MiB = 1024 * 1024

const deep = (levels: number, inner = ""): string => "[".repeat(levels) + inner + "]".repeat(levels)

/** An error object in a stream, nested so deeply that it cannot be written as text again. */
const deepError = event(`{"error":{"detail":${deep(100_000)}}}`)

/** How the same answer is sent: as it is, compressed, or over HTTP/2. */
const ways = ["plain", "gzip", "HTTP/2", "gzip over HTTP/2"] as const

/** What comes of an answer, and of a good one to the next request of the same client. */
const askTwice = Effect.fnUntraced(function* (
  way: (typeof ways)[number],
  status: number,
  headers: { readonly [name: string]: string },
  body: string
) {
  const isZipped = way.startsWith("gzip")
  const fields = isZipped ? { ...headers, "content-encoding": "gzip" } : headers
  const bytes = isZipped ? Zlib.gzipSync(body) : Buffer.from(body)
  if (way.endsWith("HTTP/2")) {
    const server = yield* http2Server((stream, _headers, ordinal) => {
      if (ordinal === 1) {
        stream.respond({ ":status": status, ...fields })
        stream.end(bytes)
      } else {
        stream.respond({ ":status": 200, "content-type": "text/event-stream" })
        stream.end(goodBody)
      }
    })
    const security = yield* Transport.security({ ca: [pem("ca")] })
    const { ask } = yield* client(server.url, { security, http2: true })
    return [yield* ask, yield* ask] as const
  }
  const server = yield* raw((socket, _request, ordinal) =>
    socket.write(ordinal === 1 ? answer(`${status} Status`, bytes, fields) : goodAnswer)
  )
  const { ask } = yield* client(server.url)
  return [yield* ask, yield* ask] as const
})

const good = (asked: Asked): void => {
  assert.isUndefined(asked.error, asked.error?.message)
  assert.strictEqual(textOf(asked), "Hello world")
}

const stream = { "content-type": "text/event-stream" }

describe("An answer that no server should send costs its own request only", () => {
  it.live.each(ways)("Retry-After of 400 digits, %s", (way) =>
    Effect.gen(function* () {
      const [bad, next] = yield* askTwice(way, 429, { "retry-after": "9".repeat(400) }, "slow down")
      assert.deepInclude(bad.error?.reason, { _tag: "RateLimited", body: "slow down", retryAfterSeconds: null })
      good(next)
    })
  )

  it.live.each(ways)("an error object 100,000 levels deep, %s", (way) =>
    Effect.gen(function* () {
      const [bad, next] = yield* askTwice(way, 200, stream, content("Hello") + deepError)
      assert.strictEqual(bad.error?.reason._tag, "TooLarge", bad.error?.message)
      assert.include(bad.error?.message, "nested more than 256 levels deep")
      assert.strictEqual(textOf(bad), "Hello")
      good(next)
    })
  )

  it.live.each(ways)("a refusal whose text is JSON 1,900 levels deep, %s", (way) =>
    Effect.gen(function* () {
      const body = `{"error":${deep(1_900)}}`
      const [bad, next] = yield* askTwice(way, 500, {}, body)
      assert.isTrue(bad.error?.message === `HTTP 500: ${body}`)
      good(next)
    })
  )

  it.live("JSON as deep as it may be", () =>
    Effect.gen(function* () {
      const [asked] = yield* askTwice("plain", 200, stream, event(`{"x":${deep(255)}}`) + goodBody)
      good(asked)
      const inText = event(JSON.stringify({ choices: [{ delta: { content: "[".repeat(2_000) } }] }))
      const [text] = yield* askTwice("plain", 200, stream, inText + finish)
      assert.strictEqual(textOf(text), "[".repeat(2_000))
    })
  )
})

describe("Limits", () => {
  /** Sends the same piece again and again, as fast as it is taken, until the client hangs up. */
  const endless = (start: string | Uint8Array, again: Uint8Array) =>
    raw((socket) => {
      socket.write(start)
      const more = (): void => {
        while (!socket.destroyed) if (!socket.write(again)) return void socket.once("drain", more)
      }
      more()
    })

  it.live.each([
    ["a line without end", `${streamHead}`, "x".repeat(65_536), "an event of more than 10 MiB"],
    ["an event without end", `${streamHead}`, "data: xxxxxxxxxxxxxxxx\n".repeat(3_000), "an event of more than 10 MiB"]
  ] as const)("%s", ([_name, start, again, limit]) =>
    Effect.gen(function* () {
      const server = yield* endless(Buffer.concat([Buffer.from(start), piece(content("Hello"))]), piece(again))
      const { error, events } = yield* ask(server.url)
      assert.strictEqual(error?.reason._tag, "TooLarge", error?.message)
      assert.strictEqual(error?.errorCode, "too_large")
      assert.include(error?.message, limit)
      assert.strictEqual(textOf({ events, error }), "Hello")
    })
  )

  it.live("an answer without end", () =>
    Effect.gen(function* () {
      const server = yield* endless(streamHead, piece(`: ${"x".repeat(MiB)}\n\n`))
      const { error } = yield* ask(server.url)
      assert.strictEqual(error?.reason._tag, "TooLarge", error?.message)
      assert.include(error?.message, "more than 256 MiB")
    })
  )

  it.live("a small compressed answer that becomes a large one", () =>
    Effect.gen(function* () {
      const bomb = Zlib.gzipSync(Buffer.from(`: ${"x".repeat(MiB)}\n\n`.repeat(300)), { level: 1 })
      const server = yield* raw((socket) =>
        socket.write(answer("200 OK", bomb, { ...stream, "content-encoding": "gzip" }))
      )
      const { error } = yield* ask(server.url)
      assert.strictEqual(error?.reason._tag, "TooLarge", error?.message)
      assert.include(error?.message, "more than 256 MiB")
    })
  )

  it.live("a refusal without end is one, with the start of its text", () =>
    Effect.gen(function* () {
      const server = yield* endless(
        head("503 Service Unavailable", { "transfer-encoding": "chunked" }),
        piece("busy ".repeat(10_000))
      )
      const { error } = yield* ask(server.url)
      assert.strictEqual(error?.reason._tag, "HttpStatus", error?.message)
      assert.match(error?.message ?? "", /^HTTP 503: busy busy/)
      assert.isBelow(error?.message.length ?? Infinity, 5_000)
    })
  )

  it.live("what a server says of an error is cut, in a stream too", () =>
    Effect.gen(function* () {
      const long = event(JSON.stringify({ error: { message: "m".repeat(MiB), code: "c".repeat(MiB) } }))
      const [asked] = yield* askTwice("plain", 200, stream, long)
      assert.strictEqual(asked.error?.reason._tag, "InStream")
      assert.isBelow(asked.error?.message.length ?? Infinity, 5_000)
      assert.isBelow(String(asked.error?.errorCode).length, 500)
    })
  )

  it.live("headers without end, and informational answers without end, over HTTP/2", () =>
    Effect.gen(function* () {
      const security = yield* Transport.security({ ca: [pem("ca")] })
      const asking = Effect.fnUntraced(function* (respond: (stream: Http2.ServerHttp2Stream) => void) {
        const server = yield* http2Server(respond)
        return yield* ask(server.url, { security, http2: true })
      })
      const large = yield* asking((stream) => {
        const fields = Array.from({ length: 100 }, (_, i) => [`x-${i}`, "y".repeat(1_000)] as const)
        stream.respond({ ":status": 200, ...Object.fromEntries(fields) })
        stream.end(goodBody)
      })
      assert.isDefined(large.error)
      const early = yield* asking((stream) => {
        const more = (): void => {
          if (stream.destroyed) return
          stream.additionalHeaders({ ":status": 103, link: "</x>" })
          setImmediate(more)
        }
        more()
      })
      assert.strictEqual(early.error?.reason._tag, "Protocol", early.error?.message)
      assert.include(early.error?.message, "informational")
    })
  )
})
