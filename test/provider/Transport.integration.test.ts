import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tls from "node:tls"
import * as Zlib from "node:zlib"
import { ask, type Asked, client, collect, find, plan, tagsOf, textOf } from "./asking.ts"
import * as servers from "./servers.ts"
import {
  answer,
  certificate,
  content,
  done,
  finish,
  goodAnswer,
  goodBody,
  head,
  lastPiece,
  piece,
  raw,
  streamHead
} from "./servers.ts"

const good = (asked: Asked): void => {
  assert.isUndefined(asked.error)
  assert.strictEqual(textOf(asked), "Hello world")
  assert.strictEqual(asked.events.at(-1)?._tag, "Ended")
}

/** Waits for something that is bound to come, 5 seconds at the most. */
const until = (what: string, condition: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1_000 && !condition(); i++) yield* Effect.sleep(5)
    assert.isTrue(condition(), what)
  })

/** What comes of a request to a server that answers every request with `bytes`, and hangs up if told to. */
const askFor = Effect.fnUntraced(function* (bytes: string | Uint8Array, hangUp = false) {
  const server = yield* raw((socket) => {
    socket.write(bytes)
    if (hangUp) socket.end()
  })
  return yield* ask(server.url)
})

describe("Transport: answers", () => {
  it.live("a good answer", () =>
    Effect.gen(function* () {
      const asked = yield* askFor(goodAnswer)
      good(asked)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Ended"])
      const times = asked.events.flatMap(({ at }) => at)
      assert.deepStrictEqual(
        times,
        times.toSorted((a, b) => a - b)
      )
    })
  )

  it.live("an answer that ends with the connection", () =>
    Effect.gen(function* () {
      good(yield* askFor(head("200 OK", { "content-type": "text/event-stream", connection: "close" }) + goodBody, true))
      good(yield* askFor(`HTTP/1.0 200 OK\r\n\r\n${goodBody}`, true))
    })
  )

  it.live("an answer without a content type, and one with another", () =>
    Effect.gen(function* () {
      good(yield* askFor(answer("200 OK", goodBody)))
      good(yield* askFor(answer("200 OK", `\r\n: hi\n\n${goodBody}`, { "content-type": "text/plain" })))
      good(yield* askFor(answer("200 OK", `\uFEFFevent: message\n${goodBody}`)))
    })
  )

  it.live("informational answers before the real one", () =>
    Effect.gen(function* () {
      const asked = yield* askFor(
        Buffer.concat([
          Buffer.from(head("102 Processing")),
          Buffer.from(head("103 Early Hints", { link: "</style.css>" })),
          goodAnswer
        ])
      )
      good(asked)
      assert.strictEqual(asked.events.filter(({ _tag }) => _tag === "ResponseStarted").length, 1)
    })
  )

  it.live("very many tiny writes", () =>
    Effect.gen(function* () {
      const bytes = Buffer.concat([
        Buffer.from(streamHead),
        ...Array.from(Buffer.from(content("é漢😀") + goodBody), (byte) => piece(Uint8Array.of(byte))),
        Buffer.from(lastPiece)
      ])
      const server = yield* raw((socket) => {
        let at = 0
        const write = (): void => {
          socket.write(bytes.subarray(at, (at += 3)))
          if (at < bytes.length) setImmediate(write)
        }
        write()
      })
      const asked = yield* ask(server.url)
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "é漢😀Hello world")
    })
  )

  it.live("a server that keeps the connection open after [DONE]", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(Buffer.concat([Buffer.from(streamHead), piece(goodBody)])))
      const { ask } = yield* client(server.url)
      const asked = yield* ask
      good(asked)
      assert.strictEqual(find(asked, "Ended")?.at, find(asked, "Finished")?.at)
      yield* until("the connection is closed", () => server.open() === 0)
    })
  )

  it.live("a server that resets the connection after [DONE]", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => {
        socket.write(Buffer.concat([Buffer.from(streamHead), piece(goodBody)]))
        setTimeout(() => socket.resetAndDestroy(), 50)
      })
      good(yield* ask(server.url))
    })
  )

  it.live("bytes after [DONE]", () =>
    Effect.gen(function* () {
      const body = piece(`${goodBody}: bye\n\ndata: {not json\n\n`)
      good(yield* askFor(Buffer.concat([Buffer.from(streamHead), body, Buffer.from(lastPiece)])))
    })
  )
})

describe("Transport: compressed answers", () => {
  const compressions: ReadonlyArray<readonly [string, string, (body: string) => Uint8Array]> = [
    ["gzip", "gzip", Zlib.gzipSync],
    ["deflate", "deflate", Zlib.deflateSync],
    ["br", "br", Zlib.brotliCompressSync],
    ["zstd", "zstd", Zlib.zstdCompressSync],
    ["a name in capitals", " GZip ", Zlib.gzipSync],
    ["identity", "identity", Buffer.from]
  ]
  const compressed = (encoding: string, body: Uint8Array, pieceSize: number): Buffer => {
    const pieces = Array.from({ length: Math.ceil(body.length / pieceSize) }, (_, i) =>
      piece(body.subarray(i * pieceSize, (i + 1) * pieceSize))
    )
    return Buffer.concat([
      Buffer.from(head("200 OK", { "content-encoding": encoding, "transfer-encoding": "chunked" })),
      ...pieces,
      Buffer.from(lastPiece)
    ])
  }

  it.live.each(compressions)("%s", ([_name, encoding, compress]) =>
    Effect.gen(function* () {
      const body = compress(goodBody)
      for (const size of [1, 7, 100_000]) good(yield* askFor(compressed(encoding, body, size)))
    })
  )

  it.live("what is not compressed as it says", () =>
    Effect.gen(function* () {
      const { error } = yield* askFor(compressed("gzip", Buffer.from(goodBody), 1_000))
      assert.strictEqual(error?.reason._tag, "Protocol")
      assert.include(error?.message, "Broken gzip")
    })
  )

  it.live("compression that breaks in the middle", () =>
    Effect.gen(function* () {
      const body = Buffer.from(Zlib.gzipSync(content("a").repeat(5_000) + done, { level: 0 }))
      body.fill(0xff, 70_000, 70_100)
      const asked = yield* askFor(compressed("gzip", body, 1_000))
      assert.strictEqual(asked.error?.reason._tag, "Protocol")
      assert.isAbove(textOf(asked).length, 100)
    })
  )

  it.live("compression that is cut off", () =>
    Effect.gen(function* () {
      const body = Zlib.gzipSync(goodBody, { level: 0 })
      const asked = yield* askFor(compressed("gzip", body.subarray(0, body.indexOf("finish_reason")), 9))
      assert.strictEqual(asked.error?.reason._tag, "Truncated")
      assert.strictEqual(textOf(asked), "Hello world")
    })
  )

  it.live("an encoding nobody knows", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(compressed("rot13", Buffer.from(goodBody), 1_000)))
      const { ask } = yield* client(server.url)
      const { error } = yield* ask
      assert.strictEqual(error?.reason._tag, "Protocol")
      assert.include(error?.message, "rot13")
      yield* until("the connection is closed", () => server.open() === 0)
    })
  )

  it.live("an error status with a compressed text", () =>
    Effect.gen(function* () {
      const body = Zlib.gzipSync(JSON.stringify({ error: { message: "too long" } }))
      const { error } = yield* askFor(answer("400 Bad Request", body, { "content-encoding": "gzip" }))
      assert.deepInclude(error?.reason, { _tag: "HttpStatus", status: 400, body: "too long" })
    })
  )
})

describe("Transport: refusals", () => {
  it.live.each([
    [
      "an error object",
      JSON.stringify({ error: { message: "no such model", code: "model_not_found" } }),
      "no such model"
    ],
    ["vLLM's error object", JSON.stringify({ object: "error", message: "no", code: 404 }), "no"],
    ["FastAPI's error object", JSON.stringify({ detail: "Not Found" }), `{"detail":"Not Found"}`],
    ["text", "  not here\n", "not here"],
    ["a page", "<html>404</html>", "<html>404</html>"],
    ["nothing", "", ""]
  ] as const)("404 with %s", ([_name, text, body]) =>
    Effect.gen(function* () {
      const asked = yield* askFor(answer("404 Not Found", text))
      assert.deepInclude(asked.error?.reason, { _tag: "HttpStatus", status: 404, body, retryAfterSeconds: null })
      assert.strictEqual(asked.error?.errorCode, 404)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted"])
      assert.strictEqual(find(asked, "ResponseStarted")?.status, 404)
    })
  )

  it.live("a long text is cut", () =>
    Effect.gen(function* () {
      const { error } = yield* askFor(answer("500 Internal Server Error", "long ".repeat(100_000)))
      assert.isBelow(error?.message.length ?? Infinity, 5_000)
      assert.isAbove(error?.message.length ?? 0, 3_000)
    })
  )

  it.live.each([
    ["201 Created", goodBody],
    ["202 Accepted", ""],
    ["206 Partial Content", goodBody]
  ] as const)("%s is no success", ([status, body]) =>
    Effect.gen(function* () {
      const asked = yield* askFor(answer(status, body))
      assert.deepInclude(asked.error?.reason, { _tag: "HttpStatus", status: Number.parseInt(status, 10) })
      assert.strictEqual(textOf(asked), "")
    })
  )

  it.live("204 is no success", () =>
    Effect.gen(function* () {
      const { error } = yield* askFor(head("204 No Content"))
      assert.strictEqual(error?.message, "HTTP 204")
      assert.strictEqual(error?.errorCode, 204)
    })
  )

  it.live("a redirection is not followed, and names the address", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(answer("307 Temporary Redirect", "<a>moved</a>", { location: "https://example.invalid/v2" }))
      )
      const { error } = yield* ask(server.url)
      assert.strictEqual(error?.errorCode, 307)
      assert.include(error?.message, "https://example.invalid/v2")
      assert.strictEqual(server.received.length, 1)
    })
  )

  const date = "Wed, 21 Oct 2026 07:28:00 GMT"
  it.live.each([
    ["seconds", { "Retry-After": "20" }, 20],
    ["a date", { "Retry-After": "Wed, 21 Oct 2026 07:29:00 GMT", Date: date }, 60],
    ["nothing", {}, null]
  ] as const)("429 with Retry-After as %s", ([_name, headers, retryAfterSeconds]) =>
    Effect.gen(function* () {
      const { error } = yield* askFor(answer("429 Too Many Requests", `{"error":{"message":"slow down"}}`, headers))
      assert.deepInclude(error?.reason, { _tag: "RateLimited", body: "slow down", retryAfterSeconds })
      assert.strictEqual(error?.errorCode, 429)
    })
  )

  it.live("the limits a server tells are in the event, those of a good answer too", () =>
    Effect.gen(function* () {
      const headers = {
        "X-RateLimit-Limit-Requests": "60",
        "x-ratelimit-remaining-tokens": "149984",
        "Anthropic-RateLimit-Output-Tokens-Remaining": "8000",
        "anthropic-organization-id": "abc",
        "Retry-After": "1",
        "x-request-id": "abc"
      }
      const expected = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-tokens": "149984",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
        "retry-after": "1"
      }
      for (const status of ["200 OK", "429 Too Many Requests"]) {
        const asked = yield* askFor(answer(status, goodBody, headers))
        assert.deepStrictEqual(find(asked, "ResponseStarted")?.rateLimit, expected)
      }
      assert.isNull(find(yield* askFor(goodAnswer), "ResponseStarted")?.rateLimit)
    })
  )

  it.live.each([
    ["a page", "<!DOCTYPE html><title>Sign in</title>", "text/html", "Sign in"],
    ["a page after blanks", " \r\n <html>Sign in</html>", "text/event-stream", "Sign in"],
    ["text", "upstream unavailable", "text/plain", "upstream unavailable"],
    ["text that begins like a stream", "error: upstream unavailable", "text/plain", "upstream unavailable"]
  ] as const)("200 with %s", ([_name, body, type, shown]) =>
    Effect.gen(function* () {
      const asked = yield* askFor(answer("200 OK", body, { "content-type": type }))
      assert.strictEqual(asked.error?.reason._tag, "Protocol")
      assert.strictEqual(asked.error?.message, `The server did not stream (${type}): ${body.trim()}`)
      assert.include(asked.error?.message, shown)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted"])
    })
  )

  it.live("200 with an answer in one piece", () =>
    Effect.gen(function* () {
      const body = JSON.stringify({ object: "chat.completion", choices: [{ message: { content: "Hello" } }] })
      const { error } = yield* askFor(answer("200 OK", body, { "content-type": "application/json" }))
      assert.strictEqual(error?.message, `The server did not stream (application/json): ${body}`)
    })
  )

  it.live("200 with an error object that is no stream", () =>
    Effect.gen(function* () {
      const body = JSON.stringify({ error: { message: "busy", code: 503 } }, null, 2)
      const { error } = yield* askFor(answer("200 OK", `\n${body}`, { "content-type": "application/json" }))
      assert.deepInclude(error?.reason, { _tag: "InStream", description: "busy", code: 503 })
    })
  )

  it.live("200 with nothing", () =>
    Effect.gen(function* () {
      for (const bytes of [answer("200 OK", ""), Buffer.from(streamHead + lastPiece)]) {
        const { error } = yield* askFor(bytes)
        assert.strictEqual(error?.reason._tag, "Protocol")
        assert.strictEqual(error?.message, "The server sent an empty answer")
      }
    })
  )
})

describe("Transport: failures of the connection", () => {
  it.live("refused", () =>
    Effect.gen(function* () {
      const asked = yield* ask(`http://127.0.0.1:${yield* servers.freePort}`)
      assert.deepInclude(asked.error?.reason, { _tag: "Connect", code: "ECONNREFUSED" })
      assert.strictEqual(asked.error?.errorCode, "connect_error")
      assert.deepStrictEqual(asked.events, [])
    })
  )

  it.live("a name that does not exist", () =>
    Effect.gen(function* () {
      const { error } = yield* ask("http://llmperf.invalid")
      assert.strictEqual(error?.reason._tag, "Connect")
      assert.include(error?.message, "llmperf.invalid")
    })
  )

  it.live("a certificate that nobody has signed", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer), { tls: true })
      const asked = yield* ask(server.url)
      assert.deepInclude(asked.error?.reason, { _tag: "Tls", code: "DEPTH_ZERO_SELF_SIGNED_CERT" })
      assert.strictEqual(asked.error?.errorCode, "tls_error")
      assert.deepStrictEqual(server.received, [])
      assert.deepStrictEqual(asked.events, [])
    })
  )

  it.live("TLS to a server without, and the other way round", () =>
    Effect.gen(function* () {
      const plain = yield* raw(() => {}, { onConnection: (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") })
      const tls = yield* ask(plain.url.replace("http", "https"))
      assert.strictEqual(tls.error?.reason._tag, "Tls", tls.error?.message)
      const secure = yield* raw(() => {}, { tls: true })
      const asked = yield* ask(secure.url.replace("https", "http"))
      assert.include(["ConnectionLost", "Protocol"], asked.error?.reason._tag)
    })
  )

  it.live("reset before the headers", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.resetAndDestroy())
      const asked = yield* ask(server.url)
      assert.deepInclude(asked.error?.reason, { _tag: "ConnectionLost", code: "ECONNRESET" })
      assert.strictEqual(asked.error?.errorCode, "connection_lost")
      assert.deepStrictEqual(tagsOf(asked), ["Sent"])
      assert.strictEqual(server.received.length, 1)
    })
  )

  it.live("closed before the headers", () =>
    Effect.gen(function* () {
      for (const bytes of ["", "HTTP/1.1 200 OK\r\ncontent-ty"]) {
        const asked = yield* askFor(bytes, true)
        assert.strictEqual(asked.error?.reason._tag, "ConnectionLost")
        assert.notInclude(asked.error?.message, "Could not connect")
        assert.deepStrictEqual(tagsOf(asked), ["Sent"])
      }
    })
  )

  it.live("reset in the middle of the body", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => {
        socket.write(Buffer.concat([Buffer.from(streamHead), piece(content("Hello"))]))
        setTimeout(() => socket.resetAndDestroy(), 50)
      })
      const asked = yield* ask(server.url)
      assert.strictEqual(asked.error?.reason._tag, "Truncated")
      assert.strictEqual(asked.error?.errorCode, "truncated")
      assert.include(asked.error?.message, "ECONNRESET")
      assert.strictEqual(textOf(asked), "Hello")
    })
  )

  it.live.each([
    ["in pieces", streamHead],
    ["in pieces, to be closed", head("200 OK", { "transfer-encoding": "chunked", connection: "close" })]
  ] as const)("closed in the middle of a body %s", ([_name, head]) =>
    Effect.gen(function* () {
      const asked = yield* askFor(
        Buffer.concat([Buffer.from(head), piece(content("Hello") + finish), Buffer.from("ff\r\nda")]),
        true
      )
      assert.strictEqual(asked.error?.reason._tag, "Truncated", asked.error?.message)
      assert.strictEqual(textOf(asked), "Hello")
    })
  )

  it.live("closed in the middle of a body of known length, and of one that ends with the connection", () =>
    Effect.gen(function* () {
      for (const length of [
        { "content-length": "100000" },
        { "content-length": "100000", connection: "close" },
        { connection: "close" }
      ]) {
        const asked = yield* askFor(head("200 OK", { ...length }) + content("Hello"), true)
        assert.strictEqual(asked.error?.reason._tag, "Truncated", asked.error?.message)
        assert.strictEqual(textOf(asked), "Hello")
      }
    })
  )

  it.live("a stream that ends without its end", () =>
    Effect.gen(function* () {
      const asked = yield* askFor(answer("200 OK", `${content("Hello")}data: {"choices":[{"de`))
      assert.strictEqual(asked.error?.reason._tag, "Truncated")
      assert.strictEqual(textOf(asked), "Hello")
    })
  )

  it.live.each([
    ["a greeting of another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["rubbish", "\u0000\u0001\u0002\u0003"],
    ["a broken status line", "HTTP/1.1 abc\r\n\r\n"],
    ["a broken piece", `${streamHead}zz\r\n`]
  ] as const)("no HTTP: %s", ([_name, bytes]) =>
    Effect.gen(function* () {
      const { error } = yield* askFor(bytes)
      assert.strictEqual(error?.reason._tag, "Protocol")
      assert.match(error?.message ?? "", /^Not HTTP: /)
    })
  )

  it.live("headers without end", () =>
    Effect.gen(function* () {
      const { error } = yield* askFor(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}`)
      assert.strictEqual(error?.reason._tag, "TooLarge")
      assert.include(error?.message, "more than 16 KiB")
    })
  )

  it.live("silence before the headers, within the body, and within the text of a refusal", () =>
    Effect.gen(function* () {
      const silentAfter = (bytes: string | Uint8Array) =>
        Effect.gen(function* () {
          const server = yield* raw((socket) => socket.write(bytes))
          const { ask } = yield* client(server.url, { idleSeconds: 1.5 })
          const asked = yield* ask
          yield* until("the connection is closed", () => server.open() === 0)
          return asked
        })
      const [headers, body, refusal] = yield* Effect.all(
        [
          silentAfter(""),
          silentAfter(Buffer.concat([Buffer.from(streamHead), piece(content("Hello"))])),
          silentAfter(head("500 Internal Server Error", { "content-length": "100" }) + "so far")
        ],
        { concurrency: "unbounded" }
      )
      assert.deepInclude(headers.error?.reason, { _tag: "Timeout", phase: "headers", limitSeconds: 1.5 })
      assert.deepStrictEqual(tagsOf(headers), ["Sent"])
      assert.deepInclude(body.error?.reason, { _tag: "Timeout", phase: "idle", limitSeconds: 1.5 })
      assert.strictEqual(textOf(body), "Hello")
      assert.deepInclude(refusal.error?.reason, { _tag: "HttpStatus", status: 500, body: "so far" })
    })
  )

  it.live("takes time limits that are no whole milliseconds", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      good(yield* ask(server.url, { idleSeconds: 1.23456789, connectSeconds: 1.23456789 }))
    })
  )

  it.live("a header that cannot be sent", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { error } = yield* ask(server.url, { headers: { "x-team": "a\nb" } })
      assert.strictEqual(error?.reason._tag, "Protocol")
      assert.include(error?.message, "x-team")
      assert.strictEqual(server.opened(), 0)
    })
  )
})

describe("Transport: connections", () => {
  it.live("the first request tells how its connection was opened, those after it use it again", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { ask } = yield* client(server.url)
      const first = yield* ask
      const timing = find(first, "Sent")?.connection
      assert.deepInclude(timing, { dns: 0, tls: 0 })
      assert.isAbove(timing?.tcp ?? 0, 0)
      for (let i = 0; i < 5; i++) assert.isNull(find(yield* ask, "Sent")?.connection)
      assert.strictEqual(server.opened(), 1)
      assert.strictEqual(server.received.length, 6)
    })
  )

  it.live("a refused request leaves its connection to the next", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(answer("500 Internal Server Error", "no")))
      const { ask } = yield* client(server.url)
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* ask).error?.errorCode, 500)
      assert.strictEqual(server.opened(), 1)
    })
  )

  it.live("a name is looked up, TLS is set up, and both are told", () =>
    Effect.gen(function* () {
      const authorities = Tls.getCACertificates("default")
      yield* Effect.acquireRelease(
        Effect.sync(() => Tls.setDefaultCACertificates([...authorities, certificate])),
        () => Effect.sync(() => Tls.setDefaultCACertificates(authorities))
      )
      const server = yield* raw((socket) => socket.write(goodAnswer), { tls: true })
      const { ask } = yield* client(server.url.replace("127.0.0.1", "localhost"))
      const asked = yield* ask
      good(asked)
      const timing = find(asked, "Sent")?.connection
      for (const step of ["dns", "tcp", "tls"] as const) assert.isAbove(timing?.[step] ?? 0, 0, step)
    })
  )

  it.live("as many connections as there are requests at a time", () =>
    Effect.gen(function* () {
      const waiting: Array<() => void> = []
      const server = yield* raw((socket) => {
        waiting.push(() => socket.write(goodAnswer))
        if (waiting.length === 20) for (const answer of waiting) answer()
      })
      const { ask } = yield* client(server.url)
      const all = yield* Effect.all(
        Array.from({ length: 20 }, () => ask),
        { concurrency: "unbounded" }
      )
      for (const asked of all) good(asked)
      assert.strictEqual(server.opened(), 20)
      assert.deepStrictEqual(
        all.filter((asked) => find(asked, "Sent")?.connection === null),
        []
      )
    })
  )

  it.live("connections opened ahead are used by the requests, which did not wait for them", () =>
    Effect.gen(function* () {
      const waiting: Array<() => void> = []
      const server = yield* raw((socket) => {
        waiting.push(() => socket.write(goodAnswer))
        if (waiting.length === 8) for (const answer of waiting) answer()
      })
      const { ask, transport } = yield* client(server.url)
      assert.strictEqual(yield* transport.openConnections(server.url, 8), 8)
      yield* until("8 connections", () => server.opened() === 8)
      assert.strictEqual(server.received.length, 0)
      const all = yield* Effect.all(
        Array.from({ length: 8 }, () => ask),
        { concurrency: "unbounded" }
      )
      for (const asked of all) {
        good(asked)
        assert.isNull(find(asked, "Sent")?.connection)
      }
      assert.strictEqual(server.opened(), 8)
      assert.deepStrictEqual(
        server.received.map(({ connection }) => connection).toSorted((a, b) => a - b),
        [1, 2, 3, 4, 5, 6, 7, 8]
      )
    })
  )

  it.live("connections opened ahead and closed by the server since are not used", () =>
    Effect.gen(function* () {
      for (const close of ["end", "resetAndDestroy"] as const) {
        const server = yield* raw((socket) => socket.write(goodAnswer))
        const { ask, transport } = yield* client(server.url)
        yield* transport.openConnections(server.url, 3)
        yield* until("3 connections", () => server.open() === 3)
        for (const socket of server.sockets) socket[close]()
        yield* until("no connections", () => server.open() === 0)
        yield* Effect.sleep(20)
        const asked = yield* ask
        good(asked)
        assert.isNotNull(find(asked, "Sent")?.connection)
        assert.strictEqual(server.opened(), 4)
      }
    })
  )

  it.live("opening ahead gives up at the first that fails, and says how many there are", () =>
    Effect.gen(function* () {
      const { transport } = yield* client("http://127.0.0.1:9")
      assert.strictEqual(yield* transport.openConnections(`http://127.0.0.1:${yield* servers.freePort}`, 3), 0)
      const secure = yield* raw(() => {}, { tls: true })
      assert.strictEqual(yield* transport.openConnections(secure.url, 3), 0)
    })
  )

  it.live("everything is closed with the scope", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket, _request, ordinal) => void (ordinal === 1 && socket.write(goodAnswer)))
      const scope = yield* Scope.make()
      const { ask, transport } = yield* Effect.provideService(client(server.url), Scope.Scope, scope)
      good(yield* ask)
      yield* transport.openConnections(server.url, 2)
      yield* until("3 connections", () => server.open() === 3)
      // One that is being opened at this moment.
      yield* Effect.forkChild(transport.openConnections(server.url, 1), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* until("all are closed", () => server.open() === 0)
      yield* Effect.sleep(20)
      assert.strictEqual(server.open(), 0)
    })
  )

  it.live("interruption closes the connection at once", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => {
        socket.write(Buffer.concat([Buffer.from(streamHead), piece(content("Hello"))]))
      })
      const { provider } = yield* client(server.url)
      const fiber = yield* Effect.forkChild(Stream.runDrain(provider.stream(plan)))
      yield* until("the request arrives", () => server.received.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* until("the connection is closed", () => server.open() === 0)
    })
  )

  it.live("a reader that has enough closes the connection", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => {
        socket.write(Buffer.concat([Buffer.from(streamHead), piece(content("Hello"))]))
      })
      const { provider } = yield* client(server.url)
      const asked = yield* collect(Stream.takeUntil(provider.stream(plan), ({ _tag }) => _tag === "Content"))
      assert.strictEqual(textOf(asked), "Hello")
      yield* until("the connection is closed", () => server.open() === 0)
    })
  )

  it.live("a request interrupted before it has a connection is never sent", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { ask, provider } = yield* client(server.url)
      const fiber = yield* Effect.forkChild(Stream.runDrain(provider.stream(plan)), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* until("the connection is opened all the same", () => server.opened() === 1)
      good(yield* ask)
      assert.strictEqual(server.received.length, 1)
    })
  )

  it.live.each([
    ["more than the answer", Buffer.concat([goodAnswer, goodAnswer])],
    ["a wish to close", answer("200 OK", goodBody, { connection: "Close" })],
    ["HTTP/1.0", Buffer.from(answer("200 OK", goodBody).toString().replace("HTTP/1.1", "HTTP/1.0"))],
    ["hardly any time to keep it", answer("200 OK", goodBody, { "keep-alive": "timeout=2" })]
  ] as const)("is not kept after %s", ([_name, bytes]) =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(bytes))
      const { ask } = yield* client(server.url)
      good(yield* ask)
      yield* until("the connection is closed", () => server.open() === 0)
      good(yield* ask)
      assert.strictEqual(server.opened(), 2)
    })
  )

  it.live("is kept after an answer that says so in HTTP/1.0, and after one without a body", () =>
    Effect.gen(function* () {
      const old = answer("200 OK", goodBody, { connection: "keep-alive" }).toString().replace("HTTP/1.1", "HTTP/1.0")
      for (const bytes of [old, head("204 No Content"), answer("304 Not Modified", "")]) {
        const server = yield* raw((socket) => socket.write(bytes))
        const { ask } = yield* client(server.url)
        for (let i = 0; i < 3; i++) yield* ask
        assert.strictEqual(server.opened(), 1)
      }
    })
  )

  it.live("a large request goes out whole, and an answer that does not wait for its end is one", () =>
    Effect.gen(function* () {
      const prompt = "wörd ".repeat(400_000)
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { provider } = yield* client(server.url)
      good(yield* collect(provider.stream({ ...plan, prompt })))
      assert.include(server.received[0]?.body, prompt)
      const early = yield* raw(() => {}, {
        onConnection: (socket) =>
          socket.once("data", () => {
            socket.pause().write(answer("413 Content Too Large", "no"))
            setTimeout(() => socket.resume(), 100)
          })
      })
      const hasty = yield* client(early.url)
      const refused = yield* collect(hasty.provider.stream({ ...plan, prompt: prompt.repeat(4) }))
      assert.strictEqual(refused.error?.errorCode, 413)
      yield* until("the connection is closed", () => early.open() === 0)
    })
  )
})
