import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as ClosedLoop from "../../src/engine/ClosedLoop.ts"
import * as RequestRunner from "../../src/engine/RequestRunner.ts"
import * as StopSignal from "../../src/engine/StopSignal.ts"
import type * as RequestSink from "../../src/metrics/RequestSink.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Scripted from "./scriptedProvider.ts"

/** Starts a loop over requests of those lengths in milliseconds, and gives what is to be observed. */
const start = Effect.fnUntraced(function* (durations: ReadonlyArray<number>, concurrency: number) {
  const { provider, log } = yield* Scripted.make((plan) => [
    Scripted.sent,
    Scripted.wait(durations[plan.id - 1] ?? 0),
    Scripted.ended
  ])
  const measurements: Array<RequestSink.Measurement> = []
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
  const plans = Scripted.plans(durations.length)
  const loop = yield* Effect.forkChild(ClosedLoop.run({ plans, concurrency, stop, runner }))
  return { loop, log, measurements, stop }
})

/** When each request must start: the next in the plan, as soon as one of `concurrency` slots is free. */
const startTimes = (durations: ReadonlyArray<number>, concurrency: number): ReadonlyArray<number> => {
  const slots = Array.from({ length: concurrency }, () => 0)
  return durations.map((duration) => {
    const freeAt = Math.min(...slots)
    slots[slots.indexOf(freeAt)] = freeAt + duration
    return freeAt
  })
}

const total = (durations: ReadonlyArray<number>): number => durations.reduce((sum, each) => sum + each, 0)

/** Everything that the loop promises, checked on a whole run. */
const check = Effect.fnUntraced(function* (durations: ReadonlyArray<number>, concurrency: number) {
  const { loop, log, measurements } = yield* start(durations, concurrency)
  yield* TestClock.adjust(total(durations))
  yield* Fiber.join(loop)
  const count = durations.length
  const expected = startTimes(durations, concurrency)
  // Each plan once, in the order of the plan, the next at the very moment a slot became free.
  assert.deepStrictEqual(
    log.opened.map(({ id }) => id),
    Scripted.plans(count).map(({ id }) => id)
  )
  assert.deepStrictEqual(
    log.opened.map(({ at }) => at),
    expected
  )
  assert.strictEqual(log.closed.length, count)
  // Something of every request is observed while it is in flight, and as long as plans are left, all slots are at work.
  assert.strictEqual(log.inFlight.length, count)
  for (const { now, opened } of log.inFlight) {
    if (opened < count) assert.strictEqual(now, concurrency)
    else assert.isAtMost(now, concurrency)
  }
  assert.strictEqual(Math.max(...log.inFlight.map(({ now }) => now)), Math.min(concurrency, count))
  for (const { plan, intendedAt } of measurements) {
    assert.strictEqual(intendedAt / 1e6, expected[plan.id - 1])
  }
})

const Duration = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))

describe("ClosedLoop", () => {
  it.effect.each([
    { name: "fewer requests than slots", count: 3, concurrency: 8 },
    { name: "as many", count: 5, concurrency: 5 },
    { name: "a number that the slots do not divide", count: 17, concurrency: 4 },
    { name: "one slot", count: 6, concurrency: 1 },
    { name: "one request", count: 1, concurrency: 1 }
  ])("keeps exactly the asked number in flight and sends each plan once: $name", ({ count, concurrency }) =>
    check(
      Array.from({ length: count }, (_, index) => 5 + ((index * 7) % 11)),
      concurrency
    )
  )

  it.effect.prop(
    "starts each request when the model of a queue with so many servers says",
    [
      Schema.Array(Duration).check(Schema.isMinLength(1), Schema.isMaxLength(40)),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))
    ],
    ([durations, concurrency]) => Effect.provide(check(durations, concurrency), TestClock.layer()),
    { arbitrary: { runs: 60 } }
  )

  it.effect("has nothing to do without plans", () =>
    Effect.gen(function* () {
      const { loop, log } = yield* start([], 4)
      yield* Fiber.join(loop)
      assert.deepStrictEqual(log.opened, [])
    })
  )

  it.effect("takes the first slots as free from the start, however late their turn comes", () =>
    Effect.gen(function* () {
      // A clock on which a millisecond goes by whenever it is read, as if starting a request took so long.
      const clock = yield* Clock.Clock
      let reads = 0
      const slow: Clock.Clock = { ...clock, monotonicTimeNanosUnsafe: () => BigInt(++reads) * 1_000_000n }
      const intended: Array<number> = []
      const loop = yield* ClosedLoop.run({
        plans: Scripted.plans(6),
        concurrency: 4,
        stop: yield* StopSignal.make,
        runner: (plan, intendedAt) =>
          Effect.suspend(() => {
            intended[plan.id - 1] = intendedAt / 1e6
            slow.monotonicTimeNanosUnsafe()
            return Effect.sleep(plan.id)
          })
      }).pipe(Effect.provideService(Clock.Clock, slow), Effect.forkChild)
      yield* TestClock.adjust(20)
      yield* Fiber.join(loop)
      // Read once at the start and once for each of the four, then once after the first has ended, and so on.
      assert.deepStrictEqual(intended, [1, 1, 1, 1, 6, 8])
    })
  )

  it.effect("starts nothing more once it is told to stop, and ends with the last in flight", () =>
    Effect.gen(function* () {
      const { loop, log, measurements, stop } = yield* start([30, 50, 20, 40, 10], 2)
      yield* TestClock.adjust(35)
      // 1 has ended and 3 has begun; 2 and 3 are in flight.
      yield* stop.close("timeout")
      yield* TestClock.adjust(14)
      assert.strictEqual(loop.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      yield* Fiber.join(loop)
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        [1, 2, 3]
      )
      assert.deepStrictEqual(
        measurements.map(({ plan, error }) => [plan.id, error]),
        [
          [1, null],
          [2, null],
          [3, null]
        ]
      )
    })
  )

  it.effect("starts nothing when it is stopped before", () =>
    Effect.gen(function* () {
      const stop = yield* StopSignal.make
      yield* stop.close("interrupted")
      yield* ClosedLoop.run({
        plans: Scripted.plans(5),
        concurrency: 2,
        stop,
        runner: () => Effect.die("must not run")
      })
    })
  )

  it.effect("cancels what is in flight when it is interrupted", () =>
    Effect.gen(function* () {
      const { loop, log, measurements } = yield* start([30, 50, 20, 40], 2)
      yield* TestClock.adjust(35)
      yield* Fiber.interrupt(loop)
      assert.deepStrictEqual(measurements.map(({ plan, error }) => `${plan.id} ${error?.reason._tag}`).toSorted(), [
        "1 undefined",
        "2 Cancelled",
        "3 Cancelled"
      ])
      assert.strictEqual(log.closed.length, 3)
      yield* TestClock.adjust(100)
      assert.strictEqual(log.opened.length, 3)
    })
  )

  it.effect("waits for plans that are not there yet, in slots that are free since they were", () =>
    Effect.gen(function* () {
      const begun: Array<readonly [id: number, freeAt: number, at: number]> = []
      const clock = yield* Clock.Clock
      const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const plans = Stream.concat(
        Stream.fromIterable(Scripted.plans(2)),
        Stream.fromEffect(Effect.as(Effect.sleep(50), Scripted.plan(3)))
      )
      const loop = yield* ClosedLoop.run({
        plans,
        concurrency: 2,
        stop: yield* StopSignal.make,
        runner: (plan, intendedAt) =>
          Effect.suspend(() => {
            begun.push([plan.id, intendedAt / 1e6, millis()])
            return Effect.sleep(plan.id * 10)
          })
      }).pipe(Effect.forkChild)
      yield* TestClock.adjust(200)
      yield* Fiber.join(loop)
      assert.deepStrictEqual(begun, [
        [1, 0, 0],
        [2, 0, 0],
        [3, 10, 60]
      ])
    })
  )

  it.effect(
    "ends with the failure of its plans once those in flight have ended, and when it is told to stop waiting",
    () =>
      Effect.gen(function* () {
        const ended: Array<number> = []
        const run = (rest: Stream.Stream<RequestPlan, string>, stop: StopSignal.StopSignal) =>
          ClosedLoop.run({
            plans: Stream.concat(Stream.fromIterable(Scripted.plans(2)), rest),
            concurrency: 3,
            stop,
            runner: (plan) =>
              Effect.map(Effect.sleep(100), () => {
                ended.push(plan.id)
              })
          })
        const failing = yield* Effect.forkChild(run(Stream.fail("no more"), yield* StopSignal.make))
        yield* TestClock.adjust(99)
        assert.strictEqual(failing.pollUnsafe(), undefined)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* Effect.flip(Fiber.join(failing)), "no more")
        assert.deepStrictEqual(ended, [1, 2])

        const stop = yield* StopSignal.make
        const stopped = yield* Effect.forkChild(run(Stream.never, stop))
        yield* TestClock.adjust(500)
        assert.strictEqual(stopped.pollUnsafe(), undefined)
        yield* stop.close("interrupted")
        yield* Fiber.join(stopped)
        assert.deepStrictEqual(ended, [1, 2, 1, 2])
      })
  )
})
