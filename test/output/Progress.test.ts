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
import * as Progress from "../../src/output/Progress.ts"
import { record } from "../metrics/records.ts"
import { keepIn, terminalOf } from "./terminal.ts"

const snapshot = (overrides: Partial<LiveSnapshot> = {}): LiveSnapshot => ({
  elapsedSeconds: 12.34,
  started: 60,
  inFlight: 10,
  completed: 50,
  failed: 0,
  cancelled: 0,
  late: 0,
  queued: 0,
  dropped: 0,
  chunks: 6000,
  completedTokens: 5000,
  completedChunks: 5000,
  recentTtft: { p50: 0.1023, p99: 0.23456 },
  ...overrides
})

const frame = (overrides: Partial<LiveSnapshot> = {}, total: number | null = 100): Progress.Frame => ({
  snapshot: snapshot(overrides),
  tokensPerSecond: 812.4,
  total
})

const plain = (columns: number) => ({ columns, color: false })

describe("Progress.renderLine", () => {
  it("shows all when there is room", () => {
    assert.strictEqual(
      Progress.renderLine(frame(), plain(160)),
      "###############---------------  50/100  12.3 s  10 in flight  ~812 tok/s  TTFT p50 102.3  p99 234.6 ms  0 failed"
    )
  })

  it("shows failures first and cancellations last", () => {
    assert.strictEqual(
      Progress.renderLine(frame({ failed: 7, cancelled: 3, inFlight: 0 }), plain(160)),
      "##################------------  60/100  7 failed  12.3 s  0 in flight  ~812 tok/s  TTFT p50 102.3  p99 234.6 ms  3 cancelled"
    )
  })

  it("shows what was left out, which counts as done, and what is late", () => {
    assert.strictEqual(
      Progress.renderLine(frame({ failed: 2, dropped: 8, late: 5, queued: 4 }), plain(160)),
      "##################------------  60/100  2 failed  8 dropped  5 late  12.3 s  10 in flight  ~812 tok/s  TTFT p50 102.3  p99 234.6 ms"
    )
    const colored = Progress.renderLine(frame({ dropped: 8, late: 5 }), { columns: 160, color: true })
    assert.include(colored, "\u001B[31m8 dropped")
    assert.include(colored, "\u001B[33m5 late")
  })

  it("has no bar when the total is not known", () => {
    assert.isTrue(Progress.renderLine(frame({}, null), plain(160)).startsWith("50 done  12.3 s"))
  })

  it("never reaches the last column, whatever the width", () => {
    for (let columns = 1; columns <= 160; columns++) {
      for (const color of [false, true]) {
        const line = Progress.renderLine(frame({ failed: 3 }), { columns, color })
        assert.isBelow(CliOutput.displayWidth(line), Math.max(1, columns))
        assert.notInclude(line, "\n")
      }
    }
    assert.strictEqual(Progress.renderLine(frame({ failed: 3 }), plain(25)), "53/100  3 failed  12.3 s")
  })

  it("the bar is full exactly when all is done", () => {
    assert.include(Progress.renderLine(frame({ completed: 99 }), plain(160)), `${"#".repeat(29)}-`)
    assert.include(Progress.renderLine(frame({ completed: 100 }), plain(160)), "#".repeat(30))
  })
})

const run = (
  options: { readonly animate: boolean; readonly quiet?: boolean; readonly columns?: Effect.Effect<number> },
  during: (written: Array<string>) => Effect.Effect<void>
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
      screen: { animate: options.animate, color: false, columns: 80 }
    }).pipe(
      Effect.provide(Stdio.layerTest({ stderr: () => keepIn(written) })),
      Effect.provideService(Terminal.Terminal, terminalOf(options.columns ?? Effect.succeed(0))),
      Effect.forkChild
    )
    yield* during(written)
    yield* Fiber.interrupt(fiber)
    return written
  })

describe("Progress.renderPlain", () => {
  it("shows failures always, and the rest when there is any", () => {
    assert.strictEqual(
      Progress.renderPlain(frame()),
      "[12.3 s] 50/100 requests done, 10 in flight, 0 failed, ~812 tok/s, TTFT p50 102.3 ms, p99 234.6 ms"
    )
    assert.strictEqual(
      Progress.renderPlain(frame({ failed: 2, cancelled: 1, dropped: 8, late: 5, recentTtft: null }, null)),
      "[12.3 s] 61 requests done, 10 in flight, 2 failed, 1 cancelled, 5 late, 8 dropped, ~812 tok/s"
    )
  })
})

describe("Progress.run", () => {
  it.effect("draws at most ten times a second on a terminal and takes the line away at the end", () =>
    Effect.gen(function* () {
      const written = yield* run({ animate: true }, () => TestClock.adjust("10 seconds"))
      assert.isAtLeast(written.length, 50)
      assert.isAtMost(written.length, 102)
      for (const text of written) assert.isTrue(text.startsWith("\r\u001B[2K"))
      assert.strictEqual(written.at(-1), "\r\u001B[2K")
      // 100 chunks per second, two tokens per chunk
      assert.include(written.at(-2) ?? "", "1/8  10.0 s  3 in flight  ~200 tok/s")
      assert.notInclude(written.join(""), "\n")
    })
  )

  it.effect("follows the width of the terminal", () =>
    Effect.gen(function* () {
      let columns = 80
      const written = yield* run({ animate: true, columns: Effect.sync(() => columns) }, (written) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("1 second")
          assert.isAtLeast(CliOutput.displayWidth(written.at(-1)?.slice(1) ?? ""), 60)
          columns = 20
          yield* TestClock.adjust("1 second")
        })
      )
      assert.isBelow(CliOutput.displayWidth(written.at(-2)?.slice(1) ?? ""), 20)
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
        "[10.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s\n",
        "[20.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s\n",
        "[30.0 s] 1/8 requests done, 3 in flight, 0 failed, ~200 tok/s\n"
      ])
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
        screen: { animate: true, color: false, columns: 80 }
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
