import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { systemError } from "effect/PlatformError"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as TestClock from "effect/testing/TestClock"
import type { LiveSnapshot } from "../../src/metrics/LiveStats.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import * as LivePanel from "../../src/output/LivePanel.ts"
import * as Progress from "../../src/output/Progress.ts"
import type * as Screen from "../../src/output/Screen.ts"
import { record } from "../metrics/records.ts"
import { frame, snapshot } from "./liveFrames.ts"
import { keepIn, terminalOf } from "./terminal.ts"

const framesOf = (options: Partial<Progress.Options>) => {
  const frames = Progress.makeFrames({ total: 1000, ...options })
  return (overrides: Partial<LiveSnapshot>) => frames(snapshot(overrides))
}

describe("Progress.makeFrames", () => {
  it("tokens per second are those of the last five seconds, by the tokens per chunk of what has ended", () => {
    const frame = framesOf({})
    let last = frame({ elapsedSeconds: 0, chunks: 0, completedTokens: 0, completedChunks: 0 })
    assert.strictEqual(last.tokensPerSecond, 0)
    for (let quarter = 1; quarter <= 80; quarter++) {
      const seconds = quarter / 4
      // 100 chunks per second, from the tenth second on 300
      const chunks = seconds <= 10 ? seconds * 100 : 1000 + (seconds - 10) * 300
      last = frame({ elapsedSeconds: seconds, chunks, completedTokens: 2000, completedChunks: 1000 })
      if (seconds === 10) assert.closeTo(last.tokensPerSecond, 200, 1e-9)
      if (seconds === 12.5) assert.closeTo(last.tokensPerSecond, 400, 1e-9)
    }
    assert.closeTo(last.tokensPerSecond, 600, 1e-9)
    assert.deepStrictEqual(last.tokensEachSecond.map(Math.round), [...Array(10).fill(200), ...Array(10).fill(600)])
  })

  it("keeps a minute, in full seconds, however they are cut and whatever leaps the clock makes", () => {
    const frame = framesOf({})
    let seconds = 0
    let last = frame({ elapsedSeconds: 0, chunks: 0 })
    for (let step = 0; seconds < 100; step++) {
      seconds += 0.1 + (step % 7) * 0.31
      last = frame({ elapsedSeconds: seconds, chunks: seconds * 50 })
    }
    assert.strictEqual(last.tokensEachSecond.length, 60)
    for (const tokens of last.tokensEachSecond) assert.closeTo(tokens, 50, 1e-6)
    last = frame({ elapsedSeconds: seconds + 1000, chunks: seconds * 50 + 7000 })
    for (const tokens of last.tokensEachSecond) assert.closeTo(tokens, 7, 1e-6)
    // A second without a chunk
    const still = frame({ elapsedSeconds: seconds + 1003, chunks: seconds * 50 + 7000 }).tokensEachSecond
    assert.deepStrictEqual(still.slice(-2), [0, 0])
    assert.closeTo(still[0] ?? 0, 7, 1e-6)
  })

  it("says what is left: of the requests at their speed so far, or of the schedule, and never more than the limit", () => {
    const at = { elapsedSeconds: 30, completed: 280, failed: 10, cancelled: 0, dropped: 0, inFlight: 20 }
    // 290 have ended, 20 are half done: 10 a second, and 700 are left
    assert.strictEqual(framesOf({})(at).secondsLeft, 70)
    assert.strictEqual(framesOf({ timeoutSeconds: 45 })(at).secondsLeft, 15)
    assert.isNull(framesOf({})({ ...at, completed: 0, failed: 0 }).secondsLeft)
    assert.isNull(framesOf({ total: null })(at).secondsLeft)
    assert.strictEqual(framesOf({ total: null, timeoutSeconds: 45 })(at).secondsLeft, 15)
    const schedule = Progress.scheduleOf([0, 10, 42])
    assert.strictEqual(framesOf({ schedule })(at).secondsLeft, 12)
    assert.isNull(framesOf({ schedule })({ ...at, elapsedSeconds: 43 }).secondsLeft)
  })

  it("an open loop has the rate that was asked for and the one that was sent", () => {
    const schedule = Progress.scheduleOf(Array.from({ length: 100 }, (_, i) => i / 4))
    assert.deepStrictEqual([0, 0.24, 0.25, 24.75, 99].map(schedule.due), [1, 1, 2, 100, 100])
    assert.strictEqual(schedule.seconds, 24.75)
    assert.deepStrictEqual(Progress.scheduleOf([]).due(1), 0)
    const frame = framesOf({ schedule })
    frame({ elapsedSeconds: 0, started: 0 })
    for (let second = 1; second <= 9; second++) frame({ elapsedSeconds: second, started: second * 3 })
    assert.deepStrictEqual(frame({ elapsedSeconds: 10, started: 30 }).rate, { asked: 4, sent: 3 })
    assert.isNull(framesOf({})({}).rate)
  })

  it("passes on the verdict so far", () => {
    assert.strictEqual(framesOf({ state: () => "DEGRADED" })({}).verdict, "DEGRADED")
    assert.isNull(framesOf({ state: () => null })({}).verdict)
    assert.isNull(framesOf({})({}).verdict)
  })
})

const screen: Screen.Screen = { animate: true, color: false, unicode: false, columns: 80 }

const run = (
  options: { readonly animate: boolean; readonly quiet?: boolean; readonly columns?: Effect.Effect<number> },
  during: (written: Array<string>, stats: LiveStats.LiveStats) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const stats = LiveStats.make()
    const clock = yield* Clock.Clock
    LiveStats.start(stats, Number(clock.monotonicTimeNanosUnsafe()))
    for (let i = 0; i < 4; i++) LiveStats.requestStarted(stats)
    LiveStats.requestEnded(stats, record({ number_output_tokens: 20, number_chunks: 10 }))
    const fiber = yield* Progress.run({
      snapshot: (now) => {
        // 100 chunks per second
        stats.chunks = Math.round(((now - (stats.startNanos ?? 0)) / 1e9) * 100)
        return LiveStats.snapshot(stats, now)
      },
      total: 8,
      quiet: options.quiet,
      screen: { ...screen, animate: options.animate }
    }).pipe(
      Effect.provide(Stdio.layerTest({ stderr: () => keepIn(written) })),
      Effect.provideService(Terminal.Terminal, terminalOf(options.columns ?? Effect.succeed(0))),
      Effect.forkChild
    )
    yield* during(written, stats)
    yield* Fiber.interrupt(fiber)
    return written
  })

describe("Progress.renderPlain", () => {
  it("shows failures always, and the rest when there is any", () => {
    assert.strictEqual(
      Progress.renderPlain(frame()),
      "[1m 04s] 510/1000 requests done, 16 in flight, 0 failed, ~812 tok/s, TTFT p50 102 ms p99 235 ms, chunk gap p50 15.2 ms p99 1.23 s, dispatch lag p50 0.31 ms p99 4.20 ms, 1:01 left"
    )
    const bare = { recentTtft: null, recentGap: null, recentLag: null }
    assert.strictEqual(
      Progress.renderPlain(
        frame({
          snapshot: snapshot({ ...bare, failed: 2, cancelled: 1, dropped: 8, late: 5, queued: 4 }),
          total: null,
          secondsLeft: null,
          senders: { count: 2, name: "workers" },
          verdict: "INVALID",
          rate: { asked: 100.2, sent: 99.81 }
        })
      ),
      "[1m 04s] 521 requests done, 16 in flight, 2 failed, 1 cancelled, 99.8 of 100 req/s sent, 5 late, 4 queued, 8 dropped, ~812 tok/s, 2 workers, invalid so far"
    )
    assert.strictEqual(Progress.renderPlain(frame({ snapshot: snapshot({ isRunning: false }) })), "getting ready")
  })
})

describe("Progress.run", () => {
  it.effect(
    "draws four times a second on a terminal, each time with one write, and takes the panel away at the end",
    () =>
      Effect.gen(function* () {
        const written = yield* run({ animate: true }, () => TestClock.adjust("10 seconds"))
        assert.strictEqual(written.length, 42)
        assert.strictEqual(written.pop(), LivePanel.erase)
        for (const text of written) assert.isTrue(text.startsWith(`\u001B[?7l${LivePanel.erase}`))
        // 100 chunks per second, two tokens per chunk
        assert.strictEqual(
          written.at(-1),
          LivePanel.draw([
            "",
            "  #####-------------------------------------  12 %    0:10 elapsed    0:22 left",
            "  requests      1 of 8      3 in flight    0 failed    0.00 req/s",
            "  tokens/s      200      peak 200      @@@@@",
            "  TTFT          -",
            "  chunk gap     -",
            "  dispatch lag  -"
          ])
        )
      })
  )

  it.effect("follows the size of the terminal", () =>
    Effect.gen(function* () {
      let columns = 80
      const written = yield* run({ animate: true, columns: Effect.sync(() => columns) }, (written) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("1 second")
          assert.include(written.at(-1) ?? "", "tokens/s ")
          columns = 20
          yield* TestClock.adjust("1 second")
        })
      )
      const lines = (written.at(-2) ?? "").split("\r\u001B[B")
      assert.include(lines[1] ?? "", "12 %")
      for (const line of lines.slice(1)) assert.isBelow(CliOutput.displayWidth(line), 20)
    })
  )

  it.effect("writes a plain line every ten seconds without a terminal", () =>
    Effect.gen(function* () {
      const written = yield* run({ animate: false }, (written) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("9 seconds")
          assert.deepStrictEqual(written, [])
          yield* TestClock.adjust("22 seconds")
        })
      )
      assert.deepStrictEqual(written, [
        "[10.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s, 0:22 left\n",
        "[20.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s, 0:44 left\n",
        "[30.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s, 1:06 left\n"
      ])
    })
  )

  it.effect("writes at once without a terminal that somebody was lost", () =>
    Effect.gen(function* () {
      const written = yield* run({ animate: false }, (written, stats) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(written, [])
          LiveStats.senderLost(stats, { name: "agent1:7070", problem: "power cut" })
          yield* TestClock.adjust("3 seconds")
        })
      )
      assert.deepStrictEqual(written, ["[3.0 s] agent1:7070 was lost: power cut\n"])
    })
  )

  it.effect("writes nothing when quiet", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run({ animate: true, quiet: true }, () => TestClock.adjust("1 minute")), [])
    })
  )

  it.effect("goes on without a display when standard error is closed", () =>
    Effect.gen(function* () {
      let writes = 0
      const closed = Sink.forEach((text: string | Uint8Array) =>
        Effect.suspend(() => {
          writes += text.length > 0 ? 1 : 0
          return Effect.fail(systemError({ module: "Stdio", method: "stderr", _tag: "Unknown" }))
        })
      )
      const fiber = yield* Progress.run({
        snapshot: () => snapshot(),
        total: 100,
        screen
      }).pipe(
        Effect.provide(Stdio.layerTest({ stderr: () => closed })),
        Effect.provideService(Terminal.Terminal, terminalOf(Effect.succeed(80))),
        Effect.forkChild
      )
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isAtMost(writes, 2)
      yield* Fiber.interrupt(fiber)
    })
  )
})
