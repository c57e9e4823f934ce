import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Http2 from "node:http2"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as Zlib from "node:zlib"
import * as Transport from "../../src/provider/Transport.ts"
import { ask, type Asked, client, find, tagsOf, textOf } from "./asking.ts"
import { pem, tls } from "./certificates.ts"
import { http2Server, type Respond } from "./http2Servers.ts"
import { proxyServer } from "./proxies.ts"
import { content, finish, goodBody, raw } from "./servers.ts"

const begin = (stream: Http2.ServerHttp2Stream, more: Http2.OutgoingHttpHeaders = {}): void =>
  stream.respond({ ":status": 200, "content-type": "text/event-stream", ...more })

const answerWell: Respond = (stream) => {
  begin(stream)
  stream.end(goodBody)
}

const good = (asked: Asked): void => {
  assert.isUndefined(asked.error, asked.error?.message)
  assert.strictEqual(textOf(asked), "Hello world")
}

const options = Effect.map(Transport.security({ ca: [pem("ca")] }), (security) => ({ security, http2: true }))

const until = (what: string, condition: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1_000 && !condition(); i++) yield* Effect.sleep(5)
    assert.isTrue(condition(), what)
  })

describe("Transport: HTTP/2", () => {
  it.live("an answer, with its headers, and the next one on the same connection", () =>
    Effect.gen(function* () {
      const server = yield* http2Server((stream) => {
        stream.additionalHeaders({ ":status": 103, link: "</x>" })
        begin(stream, { "x-ratelimit-remaining-requests": "7" })
        stream.write(content("Hello"))
        setTimeout(() => stream.end(content(" world") + finish), 20)
      })
      const { ask } = yield* client(server.url, { ...(yield* options), headers: { "X-Team": "a" } })
      const first = yield* ask
      good(first)
      assert.deepStrictEqual(tagsOf(first), ["Sent", "ResponseStarted", "Content", "Finished", "Ended"])
      assert.deepStrictEqual(find(first, "ResponseStarted")?.rateLimit, { "x-ratelimit-remaining-requests": "7" })
      assert.isAbove(find(first, "Sent")?.connection?.tls ?? 0, 0)
      const times = first.events.flatMap(({ at }) => at)
      assert.isAtLeast(((times.at(-1) ?? 0) - (times[2] ?? 0)) / 1e6, 10)
      const second = yield* ask
      good(second)
      assert.isNull(find(second, "Sent")?.connection)
      assert.strictEqual(server.opened(), 1)
      const { body, headers } = server.received[0] ?? {}
      assert.deepInclude(headers, {
        ":method": "POST",
        ":scheme": "https",
        ":path": "/v1/chat/completions",
        ":authority": server.url.slice("https://".length),
        "x-team": "a",
        "content-length": String(Buffer.byteLength(body ?? ""))
      })
    })
  )

  it.live("many requests at a time on one connection, and another where there is no more room", () =>
    Effect.gen(function* () {
      const together = Effect.fnUntraced(function* (settings: Http2.Settings, count: number) {
        const waiting: Array<() => void> = []
        const server = yield* http2Server(
          (stream) => {
            waiting.push(() => answerWell(stream, {}, 0))
            if (waiting.length === count) for (const answer of waiting) answer()
          },
          { settings }
        )
        const { ask } = yield* client(server.url, yield* options)
        const all = yield* Effect.all(
          Array.from({ length: count }, () => ask),
          { concurrency: "unbounded" }
        )
        for (const asked of all) good(asked)
        return server.opened()
      })
      assert.strictEqual(yield* together({}, 100), 1)
      assert.strictEqual(yield* together({}, 101), 2)
      assert.strictEqual(yield* together({ maxConcurrentStreams: 8 }, 20), 3)
    })
  )

  it.live("connections are opened ahead, as many as so many requests want", () =>
    Effect.gen(function* () {
      const server = yield* http2Server(answerWell)
      const { ask, transport } = yield* client(server.url, yield* options)
      assert.strictEqual(yield* transport.openConnections(server.url, 150), 2)
      const asked = yield* ask
      good(asked)
      assert.isNull(find(asked, "Sent")?.connection)
      assert.strictEqual(server.opened(), 2)
    })
  )

  it.live("through the tunnel of a proxy", () =>
    Effect.gen(function* () {
      const server = yield* http2Server(answerWell)
      const proxy = yield* proxyServer()
      const proxies = yield* Transport.proxies({ all: Redacted.make(proxy.url) })
      good(yield* ask(server.url, { ...(yield* options), proxies }))
      assert.strictEqual(proxy.passed.length, 1)
    })
  )

  it.live("a compressed answer, and a refusal", () =>
    Effect.gen(function* () {
      const server = yield* http2Server((stream, _headers, ordinal) => {
        if (ordinal === 1) {
          begin(stream, { "content-encoding": "gzip" })
          stream.end(Zlib.gzipSync(goodBody))
        } else {
          stream.respond({ ":status": 429, "retry-after": "3" })
          stream.end(`{"error":{"message":"slow down"}}`)
        }
      })
      const { ask } = yield* client(server.url, yield* options)
      good(yield* ask)
      assert.deepInclude((yield* ask).error?.reason, { _tag: "RateLimited", body: "slow down", retryAfterSeconds: 3 })
    })
  )

  it.live("a stream that is reset, and a connection that is lost, before and within the answer", () =>
    Effect.gen(function* () {
      const withHello =
        (then: (stream: Http2.ServerHttp2Stream) => void): Respond =>
        (stream) => {
          begin(stream)
          stream.write(content("Hello"))
          setTimeout(() => then(stream), 20)
        }
      const reset = (stream: Http2.ServerHttp2Stream) => stream.close(Http2.constants.NGHTTP2_INTERNAL_ERROR)
      const quit = (stream: Http2.ServerHttp2Stream) => stream.close(Http2.constants.NGHTTP2_NO_ERROR)
      const lose = (stream: Http2.ServerHttp2Stream) => stream.session?.destroy()
      for (const how of [reset, quit, lose]) {
        const before = yield* ask((yield* http2Server(how)).url, yield* options)
        assert.strictEqual(before.error?.reason._tag, "ConnectionLost", before.error?.message)
        assert.deepStrictEqual(tagsOf(before), ["Sent"])
        const within = yield* ask((yield* http2Server(withHello(how))).url, yield* options)
        assert.strictEqual(within.error?.reason._tag, "Truncated", within.error?.message)
        assert.strictEqual(textOf(within), "Hello")
      }
    })
  )

  it.live("a server that goes away answers what it has begun, and the next request has a connection of its own", () =>
    Effect.gen(function* () {
      const server = yield* http2Server((stream) => {
        begin(stream)
        stream.session?.goaway(Http2.constants.NGHTTP2_NO_ERROR)
        setTimeout(() => stream.end(goodBody), 20)
      })
      const { ask } = yield* client(server.url, yield* options)
      good(yield* ask)
      good(yield* ask)
      assert.strictEqual(server.opened(), 2)
    })
  )

  it.live("silence before the headers, and within the body", () =>
    Effect.gen(function* () {
      const silent = Effect.fnUntraced(function* (respond: Respond) {
        return yield* ask((yield* http2Server(respond)).url, { ...(yield* options), idleSeconds: 0.5 })
      })
      const [headers, body] = yield* Effect.all(
        [
          silent(() => {}),
          silent((stream) => {
            begin(stream)
            stream.write(content("Hello"))
          })
        ],
        { concurrency: "unbounded" }
      )
      assert.deepInclude(headers.error?.reason, { _tag: "Timeout", phase: "headers" })
      assert.deepInclude(body.error?.reason, { _tag: "Timeout", phase: "idle" })
      assert.strictEqual(textOf(body), "Hello")
    })
  )

  it.live("interruption ends the stream and leaves the others alone", () =>
    Effect.gen(function* () {
      const closed: Array<number> = []
      const waiting: Array<() => void> = []
      const server = yield* http2Server((stream, _headers, ordinal) => {
        stream.once("close", () => closed.push(ordinal))
        begin(stream)
        stream.write(content("Hello"))
        waiting.push(() => stream.end(content(" world") + finish))
      })
      const { ask } = yield* client(server.url, yield* options)
      const fiber = yield* Effect.forkChild(ask)
      yield* until("the first request arrives", () => server.received.length === 1)
      const other = yield* Effect.forkChild(ask)
      yield* until("the second request arrives", () => server.received.length === 2)
      yield* Fiber.interrupt(fiber)
      yield* until("its stream is closed", () => closed.includes(1))
      waiting[1]?.()
      good(yield* Fiber.join(other))
      assert.strictEqual(server.opened(), 1)
    })
  )

  it.live("is refused for addresses without TLS, and by servers that do not speak it", () =>
    Effect.gen(function* () {
      const plain = yield* ask("http://127.0.0.1:9", { http2: true })
      assert.strictEqual(plain.error?.reason._tag, "Protocol")
      assert.include(plain.error?.message, "https://")
      const listening = (server: Net.Server) =>
        Effect.acquireRelease(
          Effect.callback<number>((resume) => {
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
            })
          }),
          () => Effect.sync(() => server.close())
        )
      const onSocket = (socket: Net.Socket): void => void socket.on("error", () => {})
      for (const more of [{}, { ALPNProtocols: ["http/1.1"] }]) {
        const port = yield* listening(Tls.createServer({ ...tls("server"), ...more }, onSocket))
        const { error } = yield* ask(`https://127.0.0.1:${port}`, yield* options)
        assert.strictEqual(error?.reason._tag, "Protocol", error?.message)
        assert.include(error?.message, "does not speak HTTP/2")
      }
    })
  )

  it.live("a server that takes no requests, and one that never begins", () =>
    Effect.gen(function* () {
      const closed = yield* http2Server(answerWell, { settings: { maxConcurrentStreams: 0 } })
      const refused = yield* ask(closed.url, yield* options)
      assert.strictEqual(refused.error?.reason._tag, "Connect", refused.error?.message)
      assert.strictEqual(closed.opened(), 1)
      const mute = yield* raw(() => {}, { tls: { ...tls("server"), ALPNProtocols: ["h2"] } })
      const { error } = yield* ask(mute.url, { ...(yield* options), connectSeconds: 0.2 })
      assert.deepInclude(error?.reason, { _tag: "Timeout", phase: "connect" })
    })
  )
})
