import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type WhenFull } from "../../src/domain/RunConfig.ts"
import * as OpenLoop from "../../src/engine/OpenLoop.ts"
import { Pacer } from "../../src/engine/Pacer.ts"
import * as RequestRunner from "../../src/engine/RequestRunner.ts"
import * as StopSignal from "../../src/engine/StopSignal.ts"
import type * as RequestSink from "../../src/metrics/RequestSink.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Scripted from "./scriptedProvider.ts"

interface Options {
  /** When each request is due, in seconds, and how long it takes, in milliseconds. */
  readonly rows: ReadonlyArray<{ readonly due: number; readonly takes: number }>
  readonly maxInFlight?: number
  readonly whenFull?: WhenFull
  /** Milliseconds of the clock before the loop begins. */
  readonly before?: number
  /** The plan fails after its last row. */
  readonly failsAtEnd?: boolean
}

class PlanError extends Schema.TaggedError<PlanError>()("PlanError", {}) {}

const start = Effect.fnUntraced(function* ({ before = 0, failsAtEnd = false, rows, ...options }: Options) {
  yield* TestClock.adjust(before)
  const { provider, log } = yield* Scripted.make((plan) => [
    Scripted.sent,
    Scripted.wait(rows[plan.id - 1]?.takes ?? 0),
    Scripted.ended
  ])
  const measurements: Array<RequestSink.Measurement> = []
  const queued: Array<number> = []
  const dropped: Array<number> = []
  const pulled: Array<number> = []
  const runner = yield* Effect.provideService(
    RequestRunner.make({
      requestTimeoutSeconds: null,
      cancelled: () => "cancelled",
      onStart: () => {},
      onFinish: (measurement) => measurements.push(measurement)
    }),
    Provider,
    provider
  )
  const stop = yield* StopSignal.make
  const plans = Stream.fromIterable(rows).pipe(
    Stream.zipWithIndex,
    Stream.map(([row, index]): RequestPlan => ({ ...Scripted.plan(index + 1), dueSeconds: row.due })),
    Stream.rechunk(1),
    Stream.tap((plan) => Effect.sync(() => pulled.push(plan.id)))
  )
  const startNanos = Number(yield* Clock.monotonicTimeNanos)
  const loop = yield* Effect.forkChild(
    OpenLoop.run({
      plans: failsAtEnd ? Stream.concat(plans, Stream.fail(new PlanError())) : plans,
      startNanos,
      maxInFlight: options.maxInFlight ?? null,
      whenFull: options.whenFull ?? "queue",
      stop,
      runner,
      onQueued: ({ id }) => queued.push(id),
      onDropped: ({ id }) => dropped.push(id)
    })
  )
  return { loop, log, measurements, stop, queued, dropped, pulled, startNanos }
})

const opened = (log: Scripted.Log, startNanos: number) =>
  log.opened.map(({ at, id }) => [id, Math.round(at * 1e6 - startNanos)])

const Nanos = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_000_000_000 }))
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))
const Rows = Schema.Array(Schema.Struct({ due: Nanos, takes: Millis })).check(Schema.isMaxLength(40))

describe("OpenLoop.run", () => {
  it.effect.prop(
    "sends every request at its nanosecond, however long the others take",
    [Rows, Millis],
    ([some, before]) =>
      Effect.gen(function* () {
        const rows = some.map(({ due, takes }) => ({ due: due / 1e9, takes })).toSorted((a, b) => a.due - b.due)
        const { loop, log, measurements, startNanos } = yield* start({ rows, before })
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(loop)
        assert.deepStrictEqual(
          opened(log, startNanos),
          rows.map(({ due }, index) => [index + 1, Math.round(due * 1e9)])
        )
        assert.strictEqual(measurements.length, rows.length)
        for (const { intendedAt, plan, sent } of measurements) {
          assert.strictEqual(intendedAt - startNanos, Math.round((plan.dueSeconds ?? 0) * 1e9))
          assert.strictEqual(sent?.at, intendedAt)
        }
      })
  )

  it.effect("sends those of one moment in the order of the plan", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 200 }, (_, index) => ({ due: index < 100 ? 0 : 2, takes: 50 }))
      const { loop, log, startNanos } = yield* start({ rows })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(loop)
      assert.deepStrictEqual(
        opened(log, startNanos),
        rows.map(({ due }, index) => [index + 1, due * 1e9])
      )
      assert.strictEqual(Math.max(...log.inFlight.map(({ now }) => now)), 100)
    })
  )

  it.effect("does not shift the rest when one goes out late", () =>
    Effect.gen(function* () {
      const rows = [0.1, 0.2, 0.3].map((due) => ({ due, takes: 10 }))
      const { loop, log } = yield* Effect.provideService(start({ rows }), Pacer, {
        // Oversleeps the second by 150 ms
        sleepUntil: (nanos) =>
          Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
            const left = nanos - Number(now)
            return left <= 0 ? Effect.void : Effect.sleep(left / 1e6 + (nanos === 200_000_000 ? 150 : 0))
          })
      })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(loop)
      assert.deepStrictEqual(
        log.opened.map(({ at }) => at),
        [100, 350, 350]
      )
    })
  )

  it.effect("pulls the plan as it goes", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 100 }, (_, index) => ({ due: index, takes: 1 }))
      const { loop, pulled } = yield* start({ rows })
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(pulled.length, 13)
      yield* Fiber.interrupt(loop)
    })
  )

  it.effect("ends when the last has ended", () =>
    Effect.gen(function* () {
      const { loop } = yield* start({ rows: [{ due: 1, takes: 3_000 }] })
      yield* TestClock.adjust(3_999)
      assert.strictEqual(loop.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      yield* Fiber.join(loop)
    })
  )

  it.effect("begins no more once it is stopped, and waits for those in flight", () =>
    Effect.gen(function* () {
      const rows = [0, 1, 2, 3].map((due) => ({ due, takes: 5_000 }))
      const { loop, log, stop } = yield* start({ rows })
      yield* TestClock.adjust(1_500)
      yield* stop.close("interrupted")
      yield* TestClock.adjust(3_500)
      assert.strictEqual(loop.pollUnsafe(), undefined)
      yield* TestClock.adjust(1_000)
      yield* Fiber.join(loop)
      assert.strictEqual(log.opened.length, 2)
    })
  )

  it.effect("cancels those in flight when it is interrupted, and measures them", () =>
    Effect.gen(function* () {
      const rows = [0, 0, 9].map((due) => ({ due, takes: 5_000 }))
      const { loop, log, measurements } = yield* start({ rows })
      yield* TestClock.adjust(1_000)
      yield* Fiber.interrupt(loop)
      assert.strictEqual(log.closed.length, 2)
      assert.deepStrictEqual(
        measurements.map(({ error }) => error?.reason._tag),
        ["Cancelled", "Cancelled"]
      )
    })
  )

  it.effect("fails with the plan, after those in flight have ended", () =>
    Effect.gen(function* () {
      const { loop, measurements } = yield* start({ rows: [{ due: 0, takes: 5_000 }], failsAtEnd: true })
      yield* TestClock.adjust(4_999)
      assert.strictEqual(loop.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      const exit = yield* Fiber.await(loop)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(
        measurements.map(({ error }) => error),
        [null]
      )
    })
  )
})

describe("a limit of requests in flight", () => {
  const rows = [0, 0.1, 0.2, 0.3, 2].map((due) => ({ due, takes: 1_000 }))

  it.effect("queue: they wait for a place, and are known to have waited", () =>
    Effect.gen(function* () {
      const { dropped, log, loop, measurements, queued } = yield* start({ rows, maxInFlight: 2, whenFull: "queue" })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(loop)
      assert.deepStrictEqual(
        log.opened.map(({ at }) => at),
        [0, 100, 1_000, 1_100, 2_000]
      )
      assert.deepStrictEqual([queued, dropped], [[3, 4], []])
      assert.deepStrictEqual(
        measurements.map(({ intendedAt, sent }) => ((sent?.at ?? 0) - intendedAt) / 1e6),
        [0, 0, 800, 800, 0]
      )
    })
  )

  it.effect("queue: one that was due while all places were taken has waited, also when two become free at once", () =>
    Effect.gen(function* () {
      const gates = [1, 2, 3, 4].map(() => Deferred.makeUnsafe<void>())
      const queued: Array<number> = []
      const sent: Array<number> = []
      const loop = yield* Effect.forkChild(
        OpenLoop.run({
          plans: Stream.fromIterable(
            [0, 0, 0.1, 0.2].map((due, index): RequestPlan => ({ ...Scripted.plan(index + 1), dueSeconds: due }))
          ),
          startNanos: 0,
          maxInFlight: 2,
          whenFull: "queue",
          stop: yield* StopSignal.make,
          runner: ({ id }) =>
            Effect.suspend(() => {
              sent.push(id)
              const gate = gates[id - 1]
              return gate === undefined ? Effect.void : Deferred.await(gate)
            }),
          onQueued: ({ id }) => queued.push(id),
          onDropped: () => {}
        })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(sent, [1, 2])
      for (const gate of gates) Deferred.doneUnsafe(gate, Effect.void)
      yield* Fiber.join(loop)
      assert.deepStrictEqual(sent, [1, 2, 3, 4])
      assert.deepStrictEqual(queued, [3, 4])
    })
  )

  it.effect("drop: they are left out", () =>
    Effect.gen(function* () {
      const { dropped, log, loop, queued } = yield* start({ rows, maxInFlight: 2, whenFull: "drop" })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(loop)
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        [1, 2, 5]
      )
      assert.deepStrictEqual([queued, dropped], [[], [3, 4]])
    })
  )

  it.effect("abort: the loop stops, and those in flight end", () =>
    Effect.gen(function* () {
      const { log, loop, measurements, stop } = yield* start({ rows, maxInFlight: 2, whenFull: "abort" })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(loop)
      assert.strictEqual(stop.reason(), "full")
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        [1, 2]
      )
      assert.deepStrictEqual(
        measurements.map(({ error }) => error),
        [null, null]
      )
    })
  )

  it.effect("a wait for a place ends with the stop", () =>
    Effect.gen(function* () {
      const { log, loop, stop } = yield* start({
        rows: [
          { due: 0, takes: 5_000 },
          { due: 1, takes: 10 }
        ],
        maxInFlight: 1
      })
      yield* TestClock.adjust(2_000)
      yield* stop.close("timeout")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(loop)
      assert.strictEqual(log.opened.length, 1)
    })
  )
})
