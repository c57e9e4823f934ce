import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Zlib from "node:zlib"
import { type LlmError } from "../../../src/domain/LlmError.ts"
import { type ConnectionTiming, type TokenEvent } from "../../../src/domain/TokenEvent.ts"
import { type Closing, Exchange } from "../../../src/provider/internal/Exchange.ts"
import { NetError } from "../../../src/provider/internal/netError.ts"
import * as OpenAiChunk from "../../../src/provider/wire/OpenAiChunk.ts"
import { content, done, finish, goodBody } from "../servers.ts"

/** What the exchange closes. */
class Connection implements Closing {
  isClosed = false
  close(): void {
    this.isClosed = true
  }
}

const errorOf = (body: string) => {
  try {
    return OpenAiChunk.errorOf(JSON.parse(body))
  } catch {
    return undefined
  }
}

/** An exchange whose callbacks the test calls, at times that it sets. */
const make = () => {
  const time = { now: 0 }
  const connection = new Connection()
  const exchange = new Exchange({
    now: () => time.now,
    flushMs: 250,
    connectSeconds: 10,
    idleSeconds: 180,
    makeDecoder: OpenAiChunk.makeDecoder,
    errorOf
  })
  // The socket reads everything into the same memory.
  const memory = Buffer.alloc(10_000, "x")
  return {
    exchange,
    connection,
    sent: (now: number, timing: ConnectionTiming | null = null) => {
      time.now = now
      exchange.onSend(connection, timing)
    },
    head: (now: number, status = 200, headers: { readonly [name: string]: string | Array<string> } = {}) =>
      exchange.onHead(status, headers, now),
    data: (now: number, data: string | Buffer) => {
      const bytes = Buffer.from(data)
      bytes.copy(memory, 7)
      exchange.onBody(memory, 7, 7 + bytes.length, now)
      memory.fill("x")
    },
    end: (now: number) => {
      time.now = now
      exchange.onEnd(now)
    },
    broken: (error: Error = new NetError("closed", "other side closed")) => exchange.onError(error)
  }
}

interface Pulled {
  readonly batches: ReadonlyArray<ReadonlyArray<TokenEvent>>
  readonly error: LlmError | undefined
}

/** Pulls until the end. */
const pullAll = Effect.fnUntraced(function* (exchange: Exchange): Effect.fn.Return<Pulled> {
  const batches: Array<ReadonlyArray<TokenEvent>> = []
  while (true) {
    const exit = yield* Effect.exit(exchange.pull)
    if (Exit.isSuccess(exit)) {
      batches.push(exit.value)
      continue
    }
    const fail = exit.cause.reasons.find(Cause.isFailReason)
    assert.isDefined(fail)
    return { batches, error: Cause.isDone(fail.error) ? undefined : fail.error }
  }
})

/** All events of an exchange that is over. */
const allOf = (exchange: Exchange) =>
  Effect.map(pullAll(exchange), ({ batches, error }) => ({ events: batches.flat(), error }))

/** Lets fibers and immediates run. */
const settle = Effect.forEach([1, 2, 3, 4], () =>
  Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
)

describe("Exchange", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.live("stamps everything with the moment at which the socket handed it over", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      sent(10, { dns: 1, tcp: 2, tls: 3 })
      head(20, 200, { "content-type": "text/event-stream" })
      data(30, content("a"))
      data(40, content("b") + content("c"))
      data(50, finish + done)
      end(60)
      assert.deepStrictEqual(yield* allOf(exchange), {
        events: [
          { _tag: "Sent", at: 10, connection: { dns: 1, tcp: 2, tls: 3 } },
          { _tag: "ResponseStarted", at: 20, status: 200, rateLimit: null },
          { _tag: "Content", kind: "text", at: [30, 40, 40], text: ["a", "b", "c"] },
          { _tag: "Finished", at: 50, reason: "stop" },
          { _tag: "Ended", at: 60 }
        ],
        error: undefined
      })
    })
  )

  it.live("stamps compressed content with the moment at which the compressed bytes arrived", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      sent(1)
      head(2, 200, { "content-encoding": "gzip" })
      data(3, Zlib.gzipSync(goodBody))
      end(4)
      const { error, events } = yield* allOf(exchange)
      assert.isUndefined(error)
      assert.deepInclude(events[2], { at: [3, 3], text: ["Hello", " world"] })
    })
  )

  it.live("wakes its reader at most once in the flush time, and at the end", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      const fiber = yield* Effect.forkChild(pullAll(exchange))
      yield* settle
      sent(1)
      head(2)
      data(3, content("a"))
      yield* settle
      vi.advanceTimersByTime(249)
      data(4, content("b"))
      yield* settle
      vi.advanceTimersByTime(1)
      yield* settle
      data(5, content("c"))
      data(6, finish + done)
      end(7)
      const { batches } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        batches.map((batch) => batch.map(({ _tag, at }) => `${_tag} ${at}`)),
        [
          ["Sent 1", "ResponseStarted 2", "Content 3,4"],
          ["Content 5", "Finished 6", "Ended 7"]
        ]
      )
    })
  )

  it.live("tells its reader that the request was sent though no answer comes", () =>
    Effect.gen(function* () {
      const { exchange, head, sent } = make()
      const fiber = yield* Effect.forkChild(exchange.pull)
      yield* settle
      sent(1)
      vi.advanceTimersByTime(250)
      yield* settle
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed([{ _tag: "Sent", at: 1, connection: null }]))
      const next = yield* Effect.forkChild(exchange.pull)
      yield* settle
      head(2, 200, { "x-ratelimit-remaining-requests": "0" })
      vi.advanceTimersByTime(250)
      yield* settle
      assert.deepStrictEqual(
        next.pollUnsafe(),
        Exit.succeed([
          { _tag: "ResponseStarted", at: 2, status: 200, rateLimit: { "x-ratelimit-remaining-requests": "0" } }
        ])
      )
      exchange.cancel()
    })
  )

  it.live("tells the limits that a server tells, under whichever names, and no other headers", () =>
    Effect.gen(function* () {
      const limits = {
        "retry-after": "2",
        "x-ratelimit-remaining-tokens": "7",
        "anthropic-ratelimit-requests-remaining": "3"
      }
      const others = {
        "x-request-id": "r",
        "ratelimit-policy": "p",
        "retry-after-ms": "2",
        "not-x-ratelimit-limit": "1"
      }
      const repeated = { "x-ratelimit-limit": ["1", "2"] }
      for (const [headers, rateLimit] of [
        [{ ...others, ...limits }, limits],
        [repeated, { "x-ratelimit-limit": "1" }],
        [others, null]
      ] as const) {
        const { end, exchange, head, sent } = make()
        sent(1)
        head(2, 429, { ...headers })
        end(3)
        const { events } = yield* allOf(exchange)
        assert.deepStrictEqual(events.at(-1), { _tag: "ResponseStarted", at: 2, status: 429, rateLimit })
      }
    })
  )

  it.live("goes on waiting when what comes in is no event yet", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      const fiber = yield* Effect.forkChild(pullAll(exchange))
      yield* settle
      sent(1)
      head(2)
      vi.advanceTimersByTime(250)
      yield* settle
      for (const piece of [": ping\n\n", content("a").slice(0, 9), content("a").slice(9), ": ping\n\n"]) {
        data(3, piece)
        vi.advanceTimersByTime(250)
        yield* settle
      }
      data(4, finish + done)
      end(5)
      const { batches, error } = yield* Fiber.join(fiber)
      assert.isUndefined(error)
      assert.deepStrictEqual(
        batches.map((batch) => batch.map(({ _tag }) => _tag)),
        [["Sent", "ResponseStarted"], ["Content"], ["Finished", "Ended"]]
      )
    })
  )

  it.live("hangs up when the server does not, a second after the end marker, which was the end of the answer", () =>
    Effect.gen(function* () {
      const { connection, data, exchange, head, sent } = make()
      sent(1)
      head(2)
      data(3, goodBody)
      data(4, ": still here\n\n")
      vi.advanceTimersByTime(999)
      assert.isFalse(connection.isClosed)
      vi.advanceTimersByTime(1)
      assert.isTrue(connection.isClosed)
      const { error, events } = yield* allOf(exchange)
      assert.isUndefined(error)
      assert.deepStrictEqual(events.at(-1), { _tag: "Ended", at: 3 })
    })
  )

  it.live("has the whole answer when the connection breaks after the end marker", () =>
    Effect.gen(function* () {
      const { broken, data, exchange, head, sent } = make()
      sent(1)
      head(2)
      data(3, goodBody)
      broken()
      const { error, events } = yield* allOf(exchange)
      assert.isUndefined(error)
      assert.deepStrictEqual(events.at(-1), { _tag: "Ended", at: 3 })
      assert.strictEqual(vi.getTimerCount(), 0)
    })
  )

  it.live("has the whole answer when its compression breaks after the end marker", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      sent(1)
      head(2, 200, { "content-encoding": "gzip" })
      data(3, Zlib.gzipSync(goodBody).subarray(0, -8))
      data(8, Buffer.from("checksum"))
      end(9)
      const { error, events } = yield* allOf(exchange)
      assert.isUndefined(error)
      assert.deepStrictEqual(events.at(-1), { _tag: "Ended", at: 3 })
    })
  )

  it.live("is cut off when the connection breaks before the end marker, and keeps what came", () =>
    Effect.gen(function* () {
      const { broken, data, exchange, head, sent } = make()
      sent(1)
      head(2)
      data(3, content("a") + finish)
      broken()
      const { error, events } = yield* allOf(exchange)
      assert.strictEqual(error?.reason._tag, "Truncated")
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        ["Sent", "ResponseStarted", "Content", "Finished"]
      )
    })
  )

  it.live("stays refused when the connection breaks within the text of the refusal", () =>
    Effect.gen(function* () {
      const { broken, data, exchange, head, sent } = make()
      sent(1)
      head(2, 503, { "retry-after": "3" })
      data(3, "overl")
      broken()
      const { error } = yield* allOf(exchange)
      assert.deepInclude(error?.reason, { _tag: "HttpStatus", status: 503, body: "overl", retryAfterSeconds: 3 })
    })
  )

  it.live("closes the connection at once when the answer is of no use", () =>
    Effect.gen(function* () {
      const { connection, data, exchange, head, sent } = make()
      sent(1)
      head(2)
      data(3, content("a") + `data: {"error":"busy"}\n\n`)
      assert.isTrue(connection.isClosed)
      data(4, content("b"))
      const { error, events } = yield* allOf(exchange)
      assert.strictEqual(error?.message, "busy")
      assert.deepInclude(events.at(-1), { _tag: "Content", text: ["a"] })
    })
  )

  it("is not wanted any more when it was cancelled", () => {
    const { exchange } = make()
    assert.isTrue(exchange.isWanted)
    exchange.cancel()
    assert.isFalse(exchange.isWanted)
  })

  it.live("closes the connection when it is cancelled, and leaves no timer behind", () =>
    Effect.gen(function* () {
      const { connection, data, exchange, head, sent } = make()
      const fiber = yield* Effect.forkChild(exchange.pull)
      yield* settle
      sent(1)
      head(2)
      data(3, content("a"))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(
        exchange.cancel().map(({ _tag }) => _tag),
        ["Sent", "ResponseStarted", "Content"]
      )
      assert.isTrue(connection.isClosed)
      assert.strictEqual(vi.getTimerCount(), 0)
    })
  )

  it("leaves the connection alone when it is cancelled after its end", () => {
    const { connection, data, end, exchange, head, sent } = make()
    sent(1)
    head(2)
    data(3, goodBody)
    end(4)
    exchange.cancel()
    assert.isFalse(connection.isClosed)
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it.live("passes over informational answers", () =>
    Effect.gen(function* () {
      const { data, end, exchange, head, sent } = make()
      sent(1)
      head(2, 103, { link: "</x>" })
      head(3)
      data(4, goodBody)
      end(5)
      const { error, events } = yield* allOf(exchange)
      assert.isUndefined(error)
      assert.deepInclude(events[1], { _tag: "ResponseStarted", at: 3, status: 200 })
    })
  )
})
