import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type HttpBody } from "effect/http"
import * as HttpClient from "effect/http/HttpClient"
import { type HttpClientRequest } from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as TestClock from "effect/testing/TestClock"
import * as Pusher from "../../../src/output/internal/otlpPusher.ts"
import { nothing } from "../liveReadings.ts"
import * as Collector from "../otlpMetricsCollector.ts"

const options: Pusher.Options = {
  url: "http://collector.invalid/v1/metrics",
  headers: { authorization: "Bearer secret" },
  userAgent: "llmperf/1.2.3",
  gzip: false,
  timeoutSeconds: 10,
  protocol: "http/json",
  subject: {
    runId: "run1",
    model: "demo",
    version: "1.2.3",
    planned: null,
    info: {},
    provider: "openai",
    operation: "chat",
    origin: null,
    resource: {}
  },
  read: nothing,
  onPush: () => {}
}

const bodyOf = ({ body }: HttpClientRequest): HttpBody.Uint8Array => {
  if (body._tag !== "Uint8Array") throw new Error(`the body is ${body._tag}`)
  return body
}

const pushIn = (request: HttpClientRequest): Collector.Push => {
  const { body, contentType } = bodyOf(request)
  return Collector.read(contentType, body)
}

/** Answers pushes with these statuses, `null` for never, and 200 when there are no more; tells when each came and what was made of it. */
const collector = Effect.fnUntraced(function* (...statuses: ReadonlyArray<number | null>) {
  // Nothing is measured in 1970
  yield* TestClock.setTime(1_795_532_221_000)
  const clock = yield* Clock.Clock
  const start = clock.currentTimeMillisUnsafe()
  const requests: Array<HttpClientRequest> = []
  const cameAt: Array<number> = []
  const outcomes: Array<string | null> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      cameAt.push(clock.currentTimeMillisUnsafe() - start)
      requests.push(request)
      const status = statuses[requests.length - 1]
      return status === null
        ? Effect.never
        : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status: status ?? 200 })))
    })
  )
  const pusher = yield* Pusher.make({
    ...options,
    read: () => ({ ...nothing(), started: requests.length }),
    onPush: (problem) => outcomes.push(problem)
  })
  return {
    cameAt,
    outcomes,
    requests,
    run: Effect.provideService(pusher.run, HttpClient.HttpClient, client),
    last: Effect.provideService(pusher.last, HttpClient.HttpClient, client)
  }
})

/** Lets so much time pass, and whatever is not a matter of time come to its end. */
const pass = (millis: number) =>
  Effect.gen(function* () {
    for (let passed = 0; passed < millis; passed += 500) {
      yield* TestClock.adjust(500)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

describe("pushing metrics", () => {
  it.effect("pushes all there is every ten seconds, whether the one before was taken or not", () =>
    Effect.gen(function* () {
      const { cameAt, outcomes, requests, run } = yield* collector(200, 503, 401)
      const fiber = yield* Effect.forkChild(run)
      yield* pass(41_000)
      yield* Fiber.interrupt(fiber)
      yield* pass(30_000)
      assert.deepStrictEqual(cameAt, [10_000, 20_000, 30_000, 40_000])
      assert.deepStrictEqual(outcomes, [null, "HTTP 503", "HTTP 401", null])
      const points = requests.map((request) => pushIn(request).metrics.get("llmperf.requests_started")?.points[0])
      assert.deepStrictEqual(
        points.map((point) => point?.value),
        [0, 1, 2, 3]
      )
      // What is counted since the start says so
      assert.deepStrictEqual(
        points.map((point) => (point?.nanos ?? 0n) - (point?.startNanos ?? 0n)),
        [10_000_000_000n, 20_000_000_000n, 30_000_000_000n, 40_000_000_000n]
      )
      assert.strictEqual(requests[0]?.headers["authorization"], "Bearer secret")
      assert.strictEqual(requests[0]?.headers["user-agent"], "llmperf/1.2.3")
    })
  )

  it.effect("goes on when there is no answer", () =>
    Effect.gen(function* () {
      const { cameAt, outcomes, run } = yield* collector(null)
      yield* Effect.forkChild(run)
      yield* pass(31_000)
      assert.deepStrictEqual(cameAt, [10_000, 30_000])
      assert.deepStrictEqual(outcomes, ["no answer within 10 s", null])
    })
  )

  it.effect("stays with the encoding that is taken", () =>
    Effect.gen(function* () {
      const { cameAt, outcomes, requests, run } = yield* collector(415)
      yield* Effect.forkChild(run)
      yield* pass(21_000)
      assert.deepStrictEqual(cameAt, [10_000, 10_000, 20_000])
      assert.deepStrictEqual(
        requests.map((request) => bodyOf(request).contentType),
        ["application/json", "application/x-protobuf", "application/x-protobuf"]
      )
      assert.deepStrictEqual(outcomes, [null, null])
    })
  )

  it.effect("tries the last one twice at most, in less than five seconds", () =>
    Effect.gen(function* () {
      const { cameAt, last, outcomes } = yield* collector(null, null, 200)
      const fiber = yield* Effect.forkChild(last)
      yield* pass(4_500)
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(cameAt, [0, 2_500])
      assert.deepStrictEqual(outcomes, ["no answer within 2 s", "no answer within 2 s"])
    })
  )

  it.effect("does not try again what will never be taken", () =>
    Effect.gen(function* () {
      const { cameAt, last, outcomes } = yield* collector(400)
      yield* Effect.forkChild(last)
      yield* pass(5_000)
      assert.deepStrictEqual(cameAt, [0])
      assert.deepStrictEqual(outcomes, ["HTTP 400"])
    })
  )
})
