import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Http2 from "node:http2"
import type * as Net from "node:net"
import * as Transport from "../../src/provider/Transport.ts"
import { ask, type Asked, client, collect, find, plan, textOf } from "./asking.ts"
import { pem } from "./certificates.ts"
import { http2Server, type Respond as RespondHttp2 } from "./http2Servers.ts"
import { answer, content, goodAnswer, goodBody, piece, raw, type Respond, streamHead } from "./servers.ts"

/** Servers that close connections which the client would use again: before, while and after the next request is written. */

const good = (asked: Asked): void => {
  assert.isUndefined(asked.error, asked.error?.message)
  assert.strictEqual(textOf(asked), "Hello world")
  assert.strictEqual(asked.events.at(-1)?._tag, "Ended")
}

const sentOf = ({ events }: Asked) => events.filter(({ _tag }) => _tag === "Sent")

const until = (what: string, condition: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1_000 && !condition(); i++) yield* Effect.sleep(5)
    assert.isTrue(condition(), what)
  })

const closings = ["end", "resetAndDestroy"] as const

/** The request with this ordinal finds its connection closed; all others are answered. */
const closingOn =
  (which: (ordinal: number) => boolean, close: (socket: Net.Socket) => void): Respond =>
  (socket, _request, ordinal) =>
    which(ordinal) ? close(socket) : socket.write(goodAnswer)

describe("A kept connection that is lost before the response begins", () => {
  it.live.each(closings)("is replaced, and the request written once more: %s", (close) =>
    Effect.gen(function* () {
      const server = yield* raw(
        closingOn(
          (ordinal) => ordinal === 2,
          (socket) => socket[close]()
        )
      )
      const { ask } = yield* client(server.url)
      good(yield* ask)
      const asked = yield* ask
      good(asked)
      assert.strictEqual(server.received.length, 3)
      assert.strictEqual(server.opened(), 2)
      assert.strictEqual(server.received[1]?.body, server.received[2]?.body)
      const [first, second] = sentOf(asked)
      assert.deepInclude(first, { connection: null })
      assert.notProperty(first, "lostAfter")
      if (second?._tag !== "Sent") return assert.fail("it was written once")
      assert.isAbove(second.lostAfter ?? 0, 0)
      // The second is written after the connection was lost and another one opened.
      const { dns, tcp, tls } = second.connection ?? assert.fail("on a connection that was not opened for it")
      assert.isAtLeast(second.at - (first?.at as number), (second.lostAfter ?? 0) + dns + tcp + tls)
    })
  )

  it.live.each(closings)("is replaced while the request is being written: %s", (close) =>
    Effect.gen(function* () {
      let isClosed = false
      const server = yield* raw((socket) => socket.write(goodAnswer), {
        onConnection: (socket) =>
          socket.on("data", () => {
            if (server.received.length === 0 || isClosed) return
            isClosed = true
            socket[close]()
          })
      })
      const { provider } = yield* client(server.url)
      good(yield* collect(provider.stream(plan)))
      const large = { ...plan, prompt: "word ".repeat(1_000_000) }
      good(yield* collect(provider.stream(large)))
      assert.isTrue(isClosed)
      assert.strictEqual(server.opened(), 2)
    })
  )

  it.live("is replaced also when it was opened ahead and never used", () =>
    Effect.gen(function* () {
      const server = yield* raw(
        closingOn(
          (ordinal) => ordinal === 1,
          (socket) => socket.resetAndDestroy()
        )
      )
      const { ask, transport } = yield* client(server.url)
      yield* transport.openConnections(server.url, 1)
      good(yield* ask)
      assert.strictEqual(server.received.length, 2)
    })
  )

  it.live("is replaced once: the second loss is the failure, and says what happened", () =>
    Effect.gen(function* () {
      const server = yield* raw(
        closingOn(
          (ordinal) => ordinal > 1,
          (socket) => socket.end()
        )
      )
      const { ask } = yield* client(server.url)
      good(yield* ask)
      const asked = yield* ask
      assert.strictEqual(asked.error?.reason._tag, "ConnectionLost")
      assert.notInclude(asked.error?.message, "Could not connect")
      assert.strictEqual(server.received.length, 3)
      assert.strictEqual(sentOf(asked).length, 2)
    })
  )

  it.live("is not replaced when it was opened for the request", () =>
    Effect.gen(function* () {
      for (const close of closings) {
        const server = yield* raw((socket) => socket[close]())
        const asked = yield* ask(server.url)
        assert.strictEqual(asked.error?.reason._tag, "ConnectionLost")
        assert.strictEqual(server.received.length, 1)
      }
    })
  )

  it.live.each([
    ["one byte", "H"],
    ["half a head", "HTTP/1.1 200 OK\r\ncontent-"],
    ["an informational answer", "HTTP/1.1 103 Early Hints\r\n\r\n"],
    ["a head", streamHead],
    ["half an answer", Buffer.concat([Buffer.from(streamHead), piece(content("Hello"))])]
  ] as const)("is not replaced after %s of an answer", ([_name, bytes]) =>
    Effect.gen(function* () {
      for (const close of closings) {
        const server = yield* raw((socket, _request, ordinal) => {
          if (ordinal === 1) return void socket.write(goodAnswer)
          // A reset would take the bytes with it, if they had not been read.
          socket.write(bytes, () => setTimeout(() => socket[close](), 30))
        })
        const { ask } = yield* client(server.url)
        good(yield* ask)
        const asked = yield* ask
        assert.include(["Truncated", "ConnectionLost"], asked.error?.reason._tag)
        assert.strictEqual(server.received.length, 2)
      }
    })
  )

  it.live("where no new connection can be opened, that is the failure", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* raw(
            closingOn(
              (ordinal) => ordinal === 2,
              (socket) => {
                server.stopListening()
                socket.end()
              }
            )
          )
          const { ask } = yield* client(server.url)
          good(yield* ask)
          const asked = yield* ask
          assert.deepInclude(asked.error?.reason, { _tag: "Connect", code: "ECONNREFUSED" })
          return server
        })
      )
      assert.strictEqual(server.received.length, 2)
    })
  )

  it.live("a request that is cancelled meanwhile is not written again", () =>
    Effect.gen(function* () {
      const server = yield* raw(
        closingOn(
          (ordinal) => ordinal === 2,
          () => {}
        )
      )
      const { ask } = yield* client(server.url)
      good(yield* ask)
      yield* Effect.raceFirst(
        ask,
        until("the request is there", () => server.received.length === 2)
      )
      yield* until("its connection is closed", () => server.open() === 0)
      yield* Effect.sleep(20)
      assert.strictEqual(server.received.length, 2)
    })
  )
})

describe("A server that closes behind its answers", () => {
  /** As llama.cpp does after streamed answers: it says that it keeps the connection, and closes it at once. */
  const behind =
    (close: (socket: Net.Socket) => void): Respond =>
    (socket) => {
      socket.write(goodAnswer)
      close(socket)
    }

  const ways: ReadonlyArray<readonly [name: string, close: (socket: Net.Socket) => void]> = [
    ["FIN right behind", (socket) => socket.end()],
    ["FIN in the next turn of the loop", (socket) => setImmediate(() => socket.end())],
    ["FIN a little later", (socket) => setTimeout(() => socket.end(), 1)],
    ["FIN, and a reset for what comes after it", (socket) => socket.end().once("data", () => socket.resetAndDestroy())]
  ]

  it.live.each(ways)("every request is answered, on a connection of its own: %s", ([name, close]) =>
    Effect.gen(function* () {
      for (const concurrency of [1, 8]) {
        const server = yield* raw(behind(close))
        const { ask } = yield* client(server.url)
        const all = yield* Effect.forEach(Array.from({ length: 64 }), () => ask, { concurrency })
        for (const asked of all) good(asked)
        // Whose connection the server has closed is not taken as received: nothing was read of it.
        const written = all.flatMap(sentOf).length
        // How many go out before a closing is seen that comes later is a matter of time: each is written twice at most
        assert.isAtMost(written, name === "FIN a little later" ? 2 * 64 : 64 + 4 * concurrency)
        assert.isAtMost(server.opened(), written + 2 * concurrency)
      }
    })
  )

  it.live("from then on connections are opened ahead, one for each request on its way", () =>
    Effect.gen(function* () {
      const server = yield* raw(behind((socket) => socket.end()))
      const { ask } = yield* client(server.url)
      yield* Effect.forEach(Array.from({ length: 4 }), () => ask, { discard: true })
      for (let i = 0; i < 10; i++) {
        yield* until("one is open", () => server.open() === 1)
        yield* Effect.sleep(5)
        const asked = yield* ask
        good(asked)
        assert.strictEqual(sentOf(asked).length, 1)
        assert.isNull(find(asked, "Sent")?.connection)
      }
    })
  )

  it.live("one that closes after many answers, without a word, keeps its connections, and no request fails", () =>
    Effect.gen(function* () {
      const taken = new Map<Net.Socket, number>()
      const server = yield* raw((socket) => {
        const count = (taken.get(socket) ?? 0) + 1
        taken.set(socket, count)
        socket.write(goodAnswer)
        if (count === 10) socket.end()
      })
      const { ask } = yield* client(server.url)
      const all = yield* Effect.forEach(Array.from({ length: 200 }), () => ask, { concurrency: 4 })
      for (const asked of all) good(asked)
      assert.isAtMost(server.opened(), 40)
    })
  )

  it.live.each(["max=3", "timeout=60, max=3"])(
    "one that says how many requests it takes gets no more: %s",
    (keepAlive) =>
      Effect.gen(function* () {
        const server = yield* raw((socket) => socket.write(answer("200 OK", goodBody, { "keep-alive": keepAlive })))
        const { ask } = yield* client(server.url)
        for (let i = 0; i < 7; i++) good(yield* ask)
        assert.deepStrictEqual(
          server.received.map(({ connection }) => connection),
          [1, 1, 1, 2, 2, 2, 3]
        )
      })
  )

  it.live("one that closes idle connections at a limit of its own", () =>
    Effect.gen(function* () {
      // Counts from its last answer, as servers do; the pauses of the client are about as long.
      const server = yield* raw((socket) => {
        socket.write(goodAnswer)
        socket.setTimeout(40, () => socket.end())
      })
      const { ask } = yield* client(server.url)
      for (let i = 0; i < 20; i++) {
        good(yield* ask)
        yield* Effect.sleep(30 + i)
      }
    })
  )

  it.live("one that closes its half of the connection and goes on reading", () =>
    Effect.gen(function* () {
      const server = yield* raw(
        (socket) => {
          socket.write(goodAnswer)
          socket.end()
          socket.resume()
        },
        { allowHalfOpen: true }
      )
      const { ask } = yield* client(server.url)
      for (let i = 0; i < 20; i++) good(yield* ask)
    })
  )
})

describe("--connections fresh, and a header that says so", () => {
  it.live.each([
    ["fresh", { connections: "fresh" as const }],
    ["a header", { headers: { Connection: "close" } }]
  ] as const)("every request has a connection of its own, opened for it: %s", ([_name, options]) =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { ask } = yield* client(server.url, options)
      for (let i = 0; i < 5; i++) {
        const asked = yield* ask
        good(asked)
        assert.isNotNull(find(asked, "Sent")?.connection)
      }
      assert.strictEqual(server.opened(), 5)
      for (const { headers } of server.received) {
        assert.deepStrictEqual(
          headers.filter(([name]) => name === "connection"),
          [["connection", "close"]]
        )
      }
      yield* until("all are closed", () => server.open() === 0)
    })
  )

  it.live("none is opened ahead", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) => socket.write(goodAnswer))
      const { transport } = yield* client(server.url, { connections: "fresh" })
      assert.strictEqual(yield* transport.openConnections(server.url, 4), 0)
      assert.strictEqual(server.opened(), 0)
    })
  )
})

describe("HTTP/2", () => {
  const options = Effect.map(Transport.security({ ca: [pem("ca")] }), (security) => ({ security, http2: true }))

  const well = (stream: Http2.ServerHttp2Stream): void => {
    stream.respond({ ":status": 200, "content-type": "text/event-stream" })
    stream.end(goodBody)
  }

  const refuse = (stream: Http2.ServerHttp2Stream): void => stream.close(Http2.constants.NGHTTP2_REFUSED_STREAM)

  /** Answers the first request, does something else to the second, and answers all others. */
  const second =
    (then: (stream: Http2.ServerHttp2Stream) => void): RespondHttp2 =>
    (stream, _headers, ordinal) =>
      ordinal === 2 ? then(stream) : well(stream)

  const ways: ReadonlyArray<readonly [name: string, then: (stream: Http2.ServerHttp2Stream) => void]> = [
    ["a stream that was refused", refuse],
    ["a connection that was lost", (stream) => stream.session?.destroy()],
    [
      "a server that goes away and has not taken the request",
      (stream) => stream.session?.goaway(Http2.constants.NGHTTP2_NO_ERROR, 1)
    ]
  ]

  it.live.each(ways)("%s: the request is written once more, on another connection", ([_name, then]) =>
    Effect.gen(function* () {
      const server = yield* http2Server(second(then))
      const { ask } = yield* client(server.url, yield* options)
      good(yield* ask)
      const asked = yield* ask
      good(asked)
      assert.strictEqual(server.received.length, 3)
      const [, again] = sentOf(asked)
      if (again?._tag !== "Sent") return assert.fail("it was written once")
      assert.isAbove(again.lostAfter ?? 0, 0)
    })
  )

  it.live("a stream that is refused twice has failed; one that is reset is not written again", () =>
    Effect.gen(function* () {
      const refusing = yield* http2Server(refuse)
      const refused = yield* ask(refusing.url, yield* options)
      assert.strictEqual(refused.error?.reason._tag, "ConnectionLost", refused.error?.message)
      assert.strictEqual(refusing.received.length, 2)
      const resetting = yield* http2Server(second((stream) => stream.close(Http2.constants.NGHTTP2_INTERNAL_ERROR)))
      const { ask: again } = yield* client(resetting.url, yield* options)
      good(yield* again)
      assert.strictEqual((yield* again).error?.reason._tag, "ConnectionLost")
      assert.strictEqual(resetting.received.length, 2)
    })
  )

  it.live("an answer that has begun is not asked for again", () =>
    Effect.gen(function* () {
      const server = yield* http2Server(
        second((stream) => {
          stream.respond({ ":status": 200, "content-type": "text/event-stream" })
          stream.write(content("Hello"))
          setTimeout(() => stream.session?.destroy(), 20)
        })
      )
      const { ask } = yield* client(server.url, yield* options)
      good(yield* ask)
      assert.strictEqual((yield* ask).error?.reason._tag, "Truncated")
      assert.strictEqual(server.received.length, 2)
    })
  )
})
