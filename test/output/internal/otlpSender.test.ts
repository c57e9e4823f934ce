import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import { type HttpClientRequest } from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { TestClock } from "effect/testing"
import * as Rows from "../../../src/output/internal/otlpRows.ts"
import * as Sender from "../../../src/output/internal/otlpSender.ts"
import { record } from "../../metrics/records.ts"
import { summaryOf } from "../results.ts"
import * as Span from "../../../src/output/internal/otlpSpan.ts"

const subject: Span.Subject = {
  runId: "run",
  agent: null,
  version: "0",
  llmApi: "openai",
  model: "m",
  provider: "openai",
  operation: "chat",
  origin: null,
  streams: true,
  samplingParams: {},
  resource: {}
}

/** What a collector does with a request: an answer, no answer at all, or a connection that fails. */
type Answer =
  | { readonly status: number; readonly headers?: { readonly [name: string]: string }; readonly body?: string }
  | "never"
  | Error

interface Asked {
  readonly at: number
  readonly request: HttpClientRequest
  /** The names of its spans, by their request ids; 0 for that of the run. */
  readonly ids: ReadonlyArray<number>
}

const idsOf = (request: HttpClientRequest): ReadonlyArray<number> => {
  if (request.body._tag !== "Uint8Array" || request.body.contentType !== "application/json") return []
  if (request.headers["content-encoding"] !== undefined) return []
  const { resourceSpans } = JSON.parse(new TextDecoder().decode(request.body.body))
  return resourceSpans[0].scopeSpans[0].spans.map(
    (span: {
      readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly intValue: string } }>
    }) => Number(span.attributes.find(({ key }) => key === "llmperf.request_id")?.value.intValue ?? 0)
  )
}

/** A sender on the clock of the test, and what it asked a collector that answers in this way. */
const start = Effect.fnUntraced(function* (
  answers: (asked: Asked, index: number) => Answer,
  options: Partial<Sender.Options> = {}
) {
  const asked: Array<Asked> = []
  const total = { sent: 0, failed: 0, problems: new Array<string>() }
  const client = HttpClient.make((request) =>
    Effect.gen(function* () {
      const at = Number(yield* Clock.currentTimeMillis)
      const one = { at, request, ids: idsOf(request) }
      asked.push(one)
      const answer = answers(one, asked.length - 1)
      if (answer === "never") return yield* Effect.never
      if (answer instanceof Error) {
        return yield* new HttpClientError({ reason: new TransportError({ request, cause: answer }) })
      }
      const { body = "{}", headers = { "content-type": "application/json" }, status } = answer
      return HttpClientResponse.fromWeb(request, new Response(status === 204 ? null : body, { status, headers }))
    })
  )
  const sender = yield* Sender.make({
    subject,
    url: "http://c/v1/traces",
    headers: { "x-key": "k" },
    userAgent: "llmperf/0",
    gzip: false,
    timeoutSeconds: 10,
    protocol: "http/json",
    onProgress: ({ failed, problem, sent }) => {
      total.sent += sent
      total.failed += failed
      if (problem !== null) total.problems.push(problem)
    },
    ...options
  })
  const running = yield* Effect.forkChild(Effect.provideService(sender.run, HttpClient.HttpClient, client))
  const offer = (count: number, from = 1): void => sender.offer(packed(count, from))
  return { asked, offer, end: sender.end, running, total }
})

const packed = (count: number, from: number): Rows.Packed =>
  Rows.pack(Array.from({ length: count }, (_, i) => record({ request_id: from + i })))

const ok: Answer = { status: 200 }

/** Lets what is ready happen: bodies of answers are read by promises. */
const settle = Effect.gen(function* () {
  for (let turn = 0; turn < 10; turn++) {
    yield* TestClock.adjust(0)
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  }
})

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

describe("the sender of spans", () => {
  it.effect("sends what there is at once, and ends when there is no more", () =>
    Effect.gen(function* () {
      const { asked, end, offer, running, total } = yield* start(() => ok)
      offer(3)
      yield* settle
      assert.deepStrictEqual(
        asked.map(({ ids }) => ids),
        [[1, 2, 3]]
      )
      const [first] = asked
      assert.strictEqual(first?.request.url, "http://c/v1/traces")
      assert.deepInclude(first?.request.headers, { "x-key": "k", "user-agent": "llmperf/0" })
      end(Span.runOf(1_700_000_000, 1, summaryOf([], 1)))
      yield* settle
      yield* Fiber.join(running)
      assert.deepStrictEqual(
        asked.map(({ ids }) => ids),
        [[1, 2, 3], [0]]
      )
      assert.deepStrictEqual(total, { sent: 3, failed: 0, problems: [] })
    })
  )

  it.effect("has at most 512 spans in a message and four messages on their way", () =>
    Effect.gen(function* () {
      const { asked, offer } = yield* start(() => "never")
      offer(3_000)
      yield* settle
      assert.deepStrictEqual(
        asked.map(({ ids }) => ids.length),
        [512, 512, 512, 512]
      )
    })
  )

  it.effect("tries again, longer apart each time, what may yet be taken", () =>
    Effect.gen(function* () {
      const { asked, offer, total } = yield* start((_, index) => (index < 5 ? { status: 503, body: "busy" } : ok))
      offer(2)
      yield* settle
      for (let second = 0; second < 60; second++) yield* pass(1_000)
      assert.lengthOf(asked, 6)
      const gaps = asked.slice(1).map(({ at }, i) => at - (asked[i]?.at ?? 0))
      for (const [i, gap] of gaps.entries()) {
        const longest = 500 * 2 ** i
        // The clock of this test goes on by the second
        assert.isAtLeast(gap, Math.min(longest / 2, 5_000) - 1_000)
        assert.isAtMost(gap, longest + 1_000)
      }
      assert.deepStrictEqual(
        asked.map(({ ids }) => ids),
        Array.from({ length: 6 }, () => [1, 2])
      )
      assert.deepStrictEqual(total, { sent: 2, failed: 0, problems: Array.from({ length: 5 }, () => "HTTP 503: busy") })
    })
  )

  it.effect("waits as long as it is asked to", () =>
    Effect.gen(function* () {
      const { asked, offer } = yield* start((_, index) =>
        index === 0 ? { status: 429, headers: { "retry-after": "7" } } : ok
      )
      offer(1)
      yield* settle
      yield* pass(6_900)
      assert.lengthOf(asked, 1)
      yield* pass(100)
      assert.lengthOf(asked, 2)
    })
  )

  it.effect("gives up after a minute, and says why", () =>
    Effect.gen(function* () {
      const refused = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:4318") })
      const { offer, total } = yield* start(() => refused)
      offer(5)
      yield* settle
      for (let second = 0; second < 59; second++) yield* pass(1_000)
      assert.strictEqual(total.failed, 0)
      for (let second = 0; second < 15; second++) yield* pass(1_000)
      assert.deepInclude(total, { sent: 0, failed: 5 })
      assert.strictEqual(total.problems.at(-1), "connect ECONNREFUSED 127.0.0.1:4318")
    })
  )

  it.effect("takes no answer for a failed try", () =>
    Effect.gen(function* () {
      const { asked, offer, total } = yield* start((_, index) => (index === 0 ? "never" : ok))
      offer(1)
      yield* settle
      yield* pass(9_999)
      assert.deepStrictEqual(total.problems, [])
      yield* pass(1)
      assert.deepStrictEqual(total.problems, ["no answer within 10 s"])
      yield* pass(500)
      assert.lengthOf(asked, 2)
      assert.strictEqual(total.sent, 1)
    })
  )

  it.effect.each([400, 401, 404, 500, 308])("does not try again what is refused: %d", (status) =>
    Effect.gen(function* () {
      const { asked, offer, total } = yield* start(() => ({ status, body: '{"message":"no"}' }))
      offer(4)
      yield* settle
      yield* pass(60_000)
      assert.lengthOf(asked, 1)
      assert.deepStrictEqual(total, { sent: 0, failed: 4, problems: [`HTTP ${status}: no`] })
    })
  )

  it.effect("sends in halves what is too large, and gives up a single one that is", () =>
    Effect.gen(function* () {
      const { asked, offer, total } = yield* start(({ ids }) => (ids.length > 3 || ids[0] === 1 ? { status: 413 } : ok))
      offer(10)
      yield* settle
      assert.deepStrictEqual(
        asked.map(({ ids }) => ids.length),
        [10, 5, 2, 1, 1, 3, 5, 2, 3]
      )
      assert.deepInclude(total, { sent: 9, failed: 1 })
      assert.strictEqual(total.problems.at(-1), "HTTP 413")
    })
  )

  it.effect("turns to the other encoding when its own is not taken", () =>
    Effect.gen(function* () {
      const typeOf = ({ request }: Asked) => request.body._tag === "Uint8Array" && request.body.contentType
      const { asked, offer, total } = yield* start((one) => (typeOf(one) === "application/json" ? { status: 415 } : ok))
      offer(2)
      yield* settle
      offer(2, 3)
      yield* settle
      assert.deepStrictEqual(asked.map(typeOf), [
        "application/json",
        "application/x-protobuf",
        "application/x-protobuf"
      ])
      assert.deepStrictEqual(total, { sent: 4, failed: 0, problems: [] })
      const neither = yield* start(() => ({ status: 415 }))
      neither.offer(2)
      yield* settle
      assert.lengthOf(neither.asked, 2)
      assert.deepInclude(neither.total, { sent: 0, failed: 2 })
    })
  )

  it.effect("counts those that the collector rejects", () =>
    Effect.gen(function* () {
      const body = '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}'
      const { end, offer, running, total } = yield* start(() => ({ status: 200, body }))
      offer(5)
      yield* settle
      assert.deepStrictEqual(total, { sent: 3, failed: 2, problems: ["2 spans were rejected: too old"] })
      end(Span.runOf(1_700_000_000, 1, summaryOf([], 1)))
      yield* settle
      yield* Fiber.join(running)
      assert.deepInclude(total, { sent: 3, failed: 2 })
    })
  )

  it.effect("does not wait any longer once the run has ended", () =>
    Effect.gen(function* () {
      let isThere = false
      const { asked, end, offer, running, total } = yield* start(() => (isThere ? ok : { status: 503 }))
      offer(1)
      yield* settle
      for (let second = 0; second < 20; second++) yield* pass(1_000)
      const before = asked.length
      isThere = true
      end(null)
      yield* settle
      yield* Fiber.join(running)
      assert.lengthOf(asked, before + 1)
      assert.deepInclude(total, { sent: 1, failed: 0 })
    })
  )

  it.effect("goes on trying at the end, until it is stopped", () =>
    Effect.gen(function* () {
      const { asked, end, offer, running } = yield* start(() => ({ status: 503 }))
      offer(1)
      end(null)
      yield* settle
      for (let i = 0; i < 8; i++) yield* pass(250)
      assert.isAtLeast(asked.length, 8)
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("compresses if it is to", () =>
    Effect.gen(function* () {
      const { asked, offer, running, end } = yield* start(() => ok, { gzip: true })
      offer(50)
      end(null)
      for (let turn = 0; turn < 50 && asked.length === 0; turn++) yield* settle
      yield* Fiber.join(running)
      const request = asked[0]?.request
      assert.strictEqual(request?.headers["content-encoding"], "gzip")
      assert.deepStrictEqual(request?.body._tag === "Uint8Array" && [...request.body.body.subarray(0, 2)], [0x1f, 0x8b])
    })
  )
})
