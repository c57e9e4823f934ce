import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import { TestClock } from "effect/testing"
import * as FastCheck from "fast-check"
import { setTimeout } from "node:timers/promises"
import * as VirtualClock from "../../src/simulator/VirtualClock.ts"

const virtually = Effect.provide(VirtualClock.layer)

const nanos = Effect.map(Clock.monotonicTimeNanos, Number)
const millis = Effect.map(nanos, (at) => at / 1e6)

/** What happened, and when in virtual milliseconds. */
type Trace = Array<readonly [name: string | number, at: number]>

const note = (trace: Trace, name: string | number) =>
  Effect.map(millis, (at) => {
    trace.push([name, at])
  })

const all = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

/** Fibers that sleep, talk through a queue, yield, fail, time out and interrupt each other. */
const busyProgram = (trace: Trace) =>
  Effect.gen(function* () {
    const queue = yield* Queue.bounded<number>(2)
    const workers = range(3).map((worker) =>
      Effect.gen(function* () {
        for (let i = 0; i < 8; i++) {
          const item = yield* Queue.take(queue)
          yield* note(trace, `worker ${worker} takes ${item}`)
          yield* Effect.sleep(1 + ((item * 7) % 4))
          if (item % 3 === 0) yield* Effect.yieldNow
        }
      })
    )
    const producer = Effect.forEach(range(24), (item) =>
      Effect.andThen(Queue.offer(queue, item), item % 5 === 0 ? Effect.sleep(2) : Effect.promise(async () => {}))
    )
    const hasty = Effect.forEach(range(6), (i) =>
      Effect.sleep(2 * i + 1).pipe(
        Effect.timeoutOption(6),
        Effect.flatMap(({ _tag }) => note(trace, `hasty ${i} ${_tag}`))
      )
    )
    yield* all<unknown, never, never>([...workers, producer, hasty])
  })

describe("VirtualClock", () => {
  it.effect("begins in 2000 and at 0, and goes on by what was slept, to the nanosecond", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Clock.currentTimeMillis, Date.UTC(2000, 0, 1))
      assert.strictEqual(yield* Clock.monotonicTimeNanos, 0n)
      yield* Effect.sleep(Duration.nanos(1_500_000_001n))
      assert.strictEqual(yield* Clock.monotonicTimeNanos, 1_500_000_001n)
      assert.strictEqual(yield* Clock.currentTimeMillis, Date.UTC(2000, 0, 1, 0, 0, 1, 500))
      assert.strictEqual(yield* Clock.currentTimeNanos, BigInt(Date.UTC(2000, 0, 1)) * 1_000_000n + 1_500_000_001n)
      yield* Effect.sleep("40 days")
      assert.strictEqual(yield* Clock.monotonicTimeNanos, 1_500_000_001n + 40n * 86_400_000_000_000n)
    }).pipe(virtually)
  )

  it.effect("begins anew each time it is built", () =>
    Effect.gen(function* () {
      const once = virtually(Effect.andThen(Effect.sleep("1 hour"), nanos))
      assert.deepStrictEqual([yield* once, yield* once], [3_600e9, 3_600e9])
    })
  )

  it.effect("wakes sleepers when they are due, those of one moment in the order in which they went to sleep", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(FastCheck.integer({ min: 1, max: 9 }), { maxLength: 40 }), (naps) => {
          const trace: Trace = []
          const sleepers = naps.map((nap, i) => Effect.andThen(Effect.sleep(nap), note(trace, i)))
          const expected = naps.map((nap, i) => [i, nap] as const).toSorted((a, b) => a[1] - b[1] || a[0] - b[0])
          return Effect.runPromise(virtually(all(sleepers))).then(() => assert.deepStrictEqual(trace, expected))
        })
      )
    )
  )

  it.effect("a sleeper that wakes and sleeps again is after those who were asleep before it", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      yield* all([
        Effect.andThen(Effect.sleep(5), Effect.andThen(Effect.sleep(5), note(trace, "twice"))),
        Effect.andThen(Effect.sleep(10), note(trace, "once"))
      ])
      assert.deepStrictEqual(trace, [
        ["once", 10],
        ["twice", 10]
      ])
    }).pipe(virtually)
  )

  it.effect("sleeping for no time lets the others have their turn, and takes none", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      yield* all([
        Effect.andThen(Effect.sleep(1), note(trace, "asleep")),
        ...[Duration.zero, Duration.nanos(-5n), Duration.negativeInfinity].map((duration, i) =>
          Effect.andThen(note(trace, `before ${i}`), Effect.andThen(Effect.sleep(duration), note(trace, `after ${i}`)))
        )
      ])
      assert.deepStrictEqual(trace, [
        ["before 0", 0],
        ["before 1", 0],
        ["before 2", 0],
        ["after 0", 0],
        ["after 1", 0],
        ["after 2", 0],
        ["asleep", 1]
      ])
    }).pipe(virtually)
  )

  it.effect("who sleeps for ever does not wake and moves no time", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Effect.sleep(Duration.infinity))
      yield* Effect.sleep("1 day")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* millis, 86_400_000)
    }).pipe(virtually)
  )

  it.effect("an interrupted sleeper moves no time, however many there are", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      const waiting = yield* Effect.forkChild(Effect.andThen(Effect.sleep(50), note(trace, "still there")))
      for (let i = 0; i < 5_000; i++) {
        yield* Effect.timeoutOption(Effect.yieldNow, 10 + (i % 80))
      }
      assert.strictEqual(yield* millis, 0)
      yield* Effect.raceFirst(Effect.sleep(7), Effect.sleep(1_000))
      yield* Fiber.join(waiting)
      yield* Effect.sleep(1)
      yield* note(trace, "end")
      assert.deepStrictEqual(trace, [
        ["still there", 50],
        ["end", 51]
      ])
    }).pipe(virtually)
  )

  it.effect("whoever is woken may interrupt a sleeper of the same moment", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      const victim = yield* Deferred.make<Fiber.Fiber<void>>()
      yield* all([
        Effect.sleep(3).pipe(
          Effect.andThen(Deferred.await(victim)),
          Effect.flatMap(Fiber.interrupt),
          Effect.andThen(note(trace, "interrupts"))
        ),
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.andThen(Effect.sleep(3), note(trace, "wakes")), {
            startImmediately: true
          })
          yield* Deferred.succeed(victim, fiber)
          yield* Fiber.await(fiber)
        })
      ])
      assert.deepStrictEqual(trace, [["interrupts", 3]])
    }).pipe(virtually)
  )

  it.effect("what is done within the turn takes no time", () =>
    Effect.gen(function* () {
      const trace: Trace = []
      const immediate = Effect.callback<void>((resume) => {
        setImmediate(() => resume(Effect.void))
      })
      const promise = Effect.promise(async () => {
        for (let i = 0; i < 20; i++) await Promise.resolve()
      })
      const context = yield* Effect.context<never>()
      const forked = Effect.promise(() => Effect.runPromiseWith(context)(Effect.andThen(Effect.yieldNow, promise)))
      yield* Effect.forkChild(Effect.andThen(Effect.sleep(Duration.nanos(1n)), note(trace, "asleep")))
      for (const [name, step] of Object.entries({ yieldNow: Effect.yieldNow, immediate, promise, forked })) {
        yield* Effect.forEach(range(20), () => step, { discard: true })
        yield* note(trace, name)
      }
      yield* Effect.sleep(1)
      assert.deepStrictEqual(trace, [
        ["yieldNow", 0],
        ["immediate", 0],
        ["promise", 0],
        ["forked", 0],
        ["asleep", 1e-6]
      ])
    }).pipe(virtually)
  )

  it.effect("governs fibers started by hand with its context", () =>
    Effect.gen(function* () {
      const fork = Effect.runForkWith(yield* Effect.context<never>())
      const fiber = fork(Effect.andThen(Effect.sleep("3 hours"), millis))
      assert.strictEqual(yield* Fiber.join(fiber), 3 * 3_600_000)
    }).pipe(virtually)
  )

  it.effect("twenty thousand sleepers wake in order", () =>
    Effect.gen(function* () {
      const trace: Array<number> = []
      const count = 20_000
      const nap = (i: number): number => 1 + ((i * 7_919) % 10_007)
      yield* all(
        range(count).map((i) =>
          Effect.map(Effect.sleep(nap(i)), () => {
            trace.push(i)
          })
        )
      )
      assert.deepStrictEqual(
        trace,
        range(count).toSorted((a, b) => nap(a) - nap(b) || a - b)
      )
      assert.strictEqual(yield* millis, 10_007)
    }).pipe(virtually)
  )

  it.effect("the same program takes the same course, also with a display on the real clock beside it", () =>
    Effect.gen(function* () {
      const outer = yield* TestClock.testClockWith((clock) => clock.withLive(Clock.Clock))
      const alone: Trace = []
      yield* virtually(busyProgram(alone))
      assert.strictEqual(alone.length, 24 + 6)
      assert.isAbove(alone.at(-1)?.[1] ?? 0, 10)

      for (let run = 0; run < 5; run++) {
        const again: Trace = []
        let ticks = 0
        yield* virtually(
          Effect.gen(function* () {
            const ticked = yield* Deferred.make<void>()
            const tick = Effect.suspend(() => (++ticks === 3 ? Deferred.succeed(ticked, undefined) : Effect.void))
            const display = Effect.sleep(1).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(tick), Effect.forever)
            yield* Effect.forkChild(Effect.provideService(display, Clock.Clock, outer))
            // Nobody sleeps on virtual time, so it stands still while this waits for the display.
            if (run === 0) yield* Deferred.await(ticked)
            yield* busyProgram(again)
          })
        )
        if (run === 0) assert.isAtLeast(ticks, 3)
        assert.deepStrictEqual(again, alone)
      }
    })
  )

  it.effect("stands still on demand while something outside is waited for", () =>
    Effect.gen(function* () {
      const outside = Effect.promise(() => setTimeout(5))
      const beat = yield* Effect.forkChild(Effect.forever(Effect.sleep("1 minute")))
      yield* VirtualClock.standingStill(outside)
      assert.strictEqual(yield* millis, 0)
      yield* outside
      assert.isAtLeast(yield* millis, 60_000)

      const before = yield* millis
      const held = yield* Effect.forkChild(VirtualClock.standingStill(Effect.never), { startImmediately: true })
      yield* outside
      assert.strictEqual(yield* millis, before)
      yield* Fiber.interrupt(held)
      yield* Effect.sleep(1)
      assert.strictEqual(yield* millis, before + 1)
      yield* Fiber.interrupt(beat)
    }).pipe(virtually)
  )

  it.effect("on another clock, standing still is nothing", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(VirtualClock.standingStill(Effect.as(Effect.sleep(10), "done")))
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* Fiber.join(fiber), "done")
    })
  )
})
