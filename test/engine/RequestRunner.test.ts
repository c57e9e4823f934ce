import { assert, describe, it } from "@effect/vitest"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as LlmError from "../../src/domain/LlmError.ts"
import * as RequestRunner from "../../src/engine/RequestRunner.ts"
import type * as RequestSink from "../../src/metrics/RequestSink.ts"
import type { TokenEvent } from "../../src/domain/TokenEvent.ts"
import { Provider, Unread } from "../../src/provider/Provider.ts"
import * as Scripted from "./scriptedProvider.ts"

/** A runner over requests that all follow one script, and what it reports. */
const start = Effect.fnUntraced(function* (
  script: ReadonlyArray<Scripted.Step>,
  options: { readonly limit?: number } = {}
) {
  const { provider, log } = yield* Scripted.make(() => script)
  const started: Array<number> = []
  const batches: Array<readonly [chunks: number, before: number]> = []
  const finished: Array<RequestSink.Measurement> = []
  const runner = yield* Effect.provideService(
    RequestRunner.make({
      requestTimeoutSeconds: options.limit ?? null,
      cancelled: () => "Cancelled because the test says so",
      onStart: (plan) => started.push(plan.id),
      onBatch: (measurement, before) => batches.push([measurement.chunkAt.length, before]),
      onFinish: (measurement) => finished.push(measurement)
    }),
    Provider,
    provider
  )
  return { runner, log, started, batches, finished }
})

const millis = (nanos: number | null | undefined): number | null =>
  nanos === null || nanos === undefined ? null : nanos / 1e6

/** The only measurement there is, with times in milliseconds. */
const only = (finished: ReadonlyArray<RequestSink.Measurement>) => {
  assert.strictEqual(finished.length, 1)
  const measurement = finished[0]!
  return {
    sent: millis(measurement.sent?.at),
    chunks: measurement.chunkAt.map(millis),
    text: measurement.text.join(""),
    ended: millis(measurement.endedAt),
    error: measurement.error
  }
}

const reasons: ReadonlyArray<LlmError.Reason> = [
  new LlmError.Connect({ description: "refused", code: "ECONNREFUSED" }),
  new LlmError.Tls({ description: "expired", code: null }),
  new LlmError.Timeout({ phase: "idle", limitSeconds: 180 }),
  new LlmError.HttpStatus({ status: 500, body: "broken", retryAfterSeconds: null }),
  new LlmError.RateLimited({ status: 429, body: "slow down", retryAfterSeconds: 2 }),
  new LlmError.InStream({ description: "overloaded", code: null, type: null }),
  new LlmError.Truncated({ description: "reset" }),
  new LlmError.Protocol({ description: "not JSON" })
]

describe("RequestRunner", () => {
  it.effect("measures a request from its intended moment to its end", () =>
    Effect.gen(function* () {
      const { runner, started, batches, finished } = yield* start([
        Scripted.wait(5),
        ...Scripted.answer({ ttft: 100, gap: 20, words: 3 })
      ])
      yield* TestClock.adjust(40)
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(7), 30e6), { startImmediately: true })
      assert.deepStrictEqual(started, [7])
      yield* TestClock.adjust(144)
      assert.deepStrictEqual(finished, [])
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(only(finished), {
        sent: 45,
        chunks: [145, 165, 185],
        text: "word word word",
        ended: 185,
        error: null
      })
      assert.strictEqual(finished[0]?.plan.id, 7)
      assert.strictEqual(finished[0]?.intendedAt, 30e6)
      // Called after every batch: the first three chunks, and also what came without content.
      assert.deepStrictEqual(
        batches.filter(([chunks, before]) => chunks !== before),
        [
          [1, 0],
          [2, 1],
          [3, 2]
        ]
      )
    })
  )

  it.effect.each(reasons)("makes a measurement of a failure: $_tag", (reason) =>
    Effect.gen(function* () {
      const { runner, finished } = yield* start([
        Scripted.sent,
        Scripted.wait(10),
        Scripted.text("half"),
        Scripted.wait(5),
        Scripted.fail(reason),
        Scripted.text("never")
      ])
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(1), 0))
      yield* TestClock.adjust(15)
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      const { error, ...measured } = only(finished)
      assert.deepStrictEqual(measured, { sent: 0, chunks: [10], text: "half", ended: 15 })
      assert.deepStrictEqual(error?.reason, reason)
    })
  )

  it.effect("ends a request that takes too long, and keeps what had come until then", () =>
    Effect.gen(function* () {
      const { runner, log, finished } = yield* start(Scripted.answer({ ttft: 400, gap: 400, words: 5 }), {
        limit: 1
      })
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(1), 0))
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(finished, [])
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      const { error, ...measured } = only(finished)
      assert.deepStrictEqual(measured, { sent: 0, chunks: [400, 800], text: "word word", ended: 1_000 })
      assert.deepStrictEqual(error?.reason, new LlmError.Timeout({ phase: "total", limitSeconds: 1 }))
      assert.strictEqual(error?.errorCode, "timeout_total")
      assert.deepStrictEqual(log.closed, [{ id: 1, at: 1_000 }])
    })
  )

  it.effect("ends a request that never gets to the socket", () =>
    Effect.gen(function* () {
      const { runner, finished } = yield* start([Scripted.hang], { limit: 0.25 })
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(1), 0))
      yield* TestClock.adjust(250)
      yield* Fiber.join(fiber)
      const { error, ...measured } = only(finished)
      assert.deepStrictEqual(measured, { sent: null, chunks: [], text: "", ended: 250 })
      assert.strictEqual(error?.reason._tag, "Timeout")
    })
  )

  it.effect("lets a request go on that ends at its limit or has none", () =>
    Effect.gen(function* () {
      const limited = yield* start(Scripted.answer({ ttft: 500, gap: 499, words: 2 }), { limit: 1 })
      const unlimited = yield* start(Scripted.answer({ ttft: 86_400_000, gap: 1, words: 1 }))
      const first = yield* Effect.forkChild(limited.runner(Scripted.plan(1), 0))
      const second = yield* Effect.forkChild(unlimited.runner(Scripted.plan(2), 0))
      yield* TestClock.adjust("1 day")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.strictEqual(only(limited.finished).error, null)
      assert.strictEqual(only(unlimited.finished).error, null)
    })
  )

  it.effect("hands over what it has when it is interrupted, once, and closes the connection", () =>
    Effect.gen(function* () {
      const { runner, log, started, finished } = yield* start(Scripted.answer({ ttft: 100, gap: 50, words: 9 }))
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(3), 0))
      yield* TestClock.adjust(170)
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(started, [3])
      const { error, ...measured } = only(finished)
      assert.deepStrictEqual(measured, { sent: 0, chunks: [100, 150], text: "word word", ended: 170 })
      assert.strictEqual(error?.reason._tag, "Cancelled")
      assert.strictEqual(error?.message, "Cancelled because the test says so")
      assert.strictEqual(error?.errorCode, "cancelled")
      assert.deepStrictEqual(log.closed, [{ id: 3, at: 170 }])
    })
  )

  it.effect("has a measurement even of a request that is interrupted before anything came", () =>
    Effect.gen(function* () {
      const { runner, finished } = yield* start([Scripted.hang], { limit: 5 })
      const fiber = yield* Effect.forkChild(runner(Scripted.plan(1), 0), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const { error, ...measured } = only(finished)
      assert.deepStrictEqual(measured, { sent: null, chunks: [], text: "", ended: 0 })
      assert.strictEqual(error?.reason._tag, "Cancelled")
    })
  )

  /** A request whose events have arrived but are not read when it is interrupted. */
  const interruptUnread = Effect.fnUntraced(function* (events: ReadonlyArray<TokenEvent>) {
    const finished: Array<RequestSink.Measurement> = []
    const stream = Stream.fromChannel(
      Channel.fromTransform((_upstream, scope) =>
        Effect.flatMap(Unread, (unread) =>
          Effect.as(
            Scope.addFinalizer(
              scope,
              Effect.sync(() => unread(events))
            ),
            Effect.never
          )
        )
      )
    )
    const runner = yield* Effect.provideService(
      RequestRunner.make({
        requestTimeoutSeconds: null,
        cancelled: () => "Cancelled",
        onStart: () => {},
        onFinish: (measurement) => finished.push(measurement)
      }),
      Provider,
      Provider.of({ name: "unread", origin: null, stream: () => stream })
    )
    const fiber = yield* Effect.forkChild(runner(Scripted.plan(1), 0))
    yield* TestClock.adjust(10)
    yield* Fiber.interrupt(fiber)
    return only(finished)
  })

  it.effect("keeps what had arrived and was not read when it is interrupted", () =>
    Effect.gen(function* () {
      const measured = yield* interruptUnread([
        { _tag: "Sent", at: 1e6, connection: null },
        { _tag: "Content", kind: "text", at: [2e6, 3e6], text: ["a", "b"] }
      ])
      assert.deepInclude(measured, { sent: 1, chunks: [2, 3], text: "ab", ended: 10 })
      assert.strictEqual(measured.error?.reason._tag, "Cancelled")
    })
  )

  it.effect("takes an answer that was complete when it was interrupted for what it is", () =>
    Effect.gen(function* () {
      const measured = yield* interruptUnread([
        { _tag: "Sent", at: 1e6, connection: null },
        { _tag: "Content", kind: "text", at: [2e6], text: ["a"] },
        { _tag: "Ended", at: 4e6 }
      ])
      assert.deepInclude(measured, { sent: 1, chunks: [2], ended: 4, error: null })
    })
  )

  it.effect("makes a row of a defect of the adapter and goes on", () =>
    Effect.gen(function* () {
      const { runner, finished } = yield* start([
        Scripted.sent,
        Scripted.text("some"),
        Scripted.breakDown(new TypeError("x is not a function"))
      ])
      yield* runner(Scripted.plan(1), 0)
      yield* runner(Scripted.plan(2), 0)
      assert.strictEqual(finished.length, 2)
      for (const measurement of finished) {
        assert.strictEqual(measurement.error?.reason._tag, "Internal")
        assert.include(measurement.error?.message, "Internal error")
        assert.include(measurement.error?.message, "x is not a function")
        assert.strictEqual(measurement.text.join(""), "some")
      }
    })
  )

  it.effect("makes a row of a provider that throws instead of giving a stream", () =>
    Effect.gen(function* () {
      const finished: Array<RequestSink.Measurement> = []
      const runner = yield* RequestRunner.make({
        requestTimeoutSeconds: 1,
        cancelled: () => "",
        onStart: () => {},
        onFinish: (measurement) => finished.push(measurement)
      })
      yield* runner(Scripted.plan(1), 0)
      const { error } = only(finished)
      assert.strictEqual(error?.reason._tag, "Internal")
      assert.include(error?.message, "no header may hold that")
    }).pipe(
      Effect.provideService(Provider, {
        name: "throws",
        origin: null,
        stream: () => {
          throw new Error("no header may hold that")
        }
      })
    )
  )
})
