import { spawn } from "node:child_process"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import * as Health from "../../src/engine/Health.ts"
import * as HealthReport from "../../src/metrics/HealthReport.ts"
import * as Histogram from "../../src/metrics/Histogram.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import { evidence, records } from "../metrics/health.ts"

/** Nothing else happens on this thread for so long. */
const block = (millis: number) =>
  Effect.sync(() => {
    const end = performance.now() + millis
    while (performance.now() < end);
  })

const garbage = Effect.sync(() => {
  let kept: Array<Array<number>> = []
  for (let round = 0; round < 60; round++) {
    kept = Array.from({ length: 20_000 }, (_, index) => [index, round])
  }
  return kept.length
})

/** A process that sends a byte every 10 ms, and when each of them was looked at here. */
const sender = Effect.gen(function* () {
  const stamps: Array<number> = []
  const server = createServer((socket) => {
    socket.on("data", (bytes) => {
      const now = Number(process.hrtime.bigint())
      for (let i = 0; i < bytes.length; i++) stamps.push(now)
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const script = `const s = require("node:net").connect(${port}, "127.0.0.1"); s.setNoDelay(true); setInterval(() => s.write("x"), 10)`
  yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["-e", script], { stdio: "ignore" })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  while (stamps.length === 0) yield* Effect.sleep(10)
  return stamps
})

/** Ten requests of which nothing but the client could spoil anything. */
const judge = (health: HealthReport.HealthReport, arrivals: Verdict.Arrivals) => {
  const all = records(1)
  const tally = new Verdict.DispatchTally()
  for (const [index, record] of all.entries()) tally.add(record, false, index === 0 ? arrivals : null)
  return Verdict.judge({ ...evidence({ records: all }), dispatch: tally.report(), health })
}

const noDelays = Histogram.encode(Histogram.make())

const delayChecks = ({ reasons }: Verdict.Verdict) =>
  reasons.filter(({ check }) => check === "loop_delay_of_ttft" || check === "loop_delay_of_gap")

describe("Health", { timeout: 20_000 }, () => {
  it.live("sees a starved process, and the verdict says so", () =>
    Effect.gen(function* () {
      const stamps = yield* sender
      const startNanos = Number(process.hrtime.bigint())
      const sampling = yield* Health.make({ sliceSeconds: 0.5 })
      stamps.length = 0
      for (let round = 0; round < 3; round++) {
        yield* Effect.sleep(30)
        yield* block(300)
      }
      yield* Effect.sleep(30)
      const report = yield* sampling.stop
      assert.isAtLeast(Histogram.max(HealthReport.loopDelay(report)) ?? 0, 0.25)
      assert.isAtLeast(Math.max(...report.slices.map((slice) => slice.loop_utilization)), 0.5)
      assert.isAtLeast(Math.max(...report.slices.map((slice) => slice.process_cores)), 0.01)
      const delays = sampling.delays.at(stamps)
      // How many came in these blocks depends on how busy the machine is
      assert.isAtLeast(delays.filter((delay) => delay >= 0.2).length, 3)
      const none = { stamps, startNanos, sendDelay: 0, delays: new Float64Array(stamps.length) }
      assert.strictEqual(judge({ ...report, slices: [], loop_delay: noDelays }, none).grade, "VALID")
      const verdict = judge(report, { stamps, startNanos, sendDelay: 0, delays })
      assert.strictEqual(verdict.grade, "INVALID")
      assert.isTrue(delayChecks(verdict).some(({ grade }) => grade === "INVALID"))
      assert.isTrue(verdict.slices.some(({ grade }) => grade === "INVALID"))
    }).pipe(Effect.scoped)
  )

  it.live("sees that the process was stopped, and for how long what came meanwhile has waited", () =>
    Effect.gen(function* () {
      const stamps = yield* sender
      const sampling = yield* Health.make()
      yield* Effect.sleep(50)
      stamps.length = 0
      const stop = `kill -STOP ${process.pid}; sleep 0.3; kill -CONT ${process.pid}`
      yield* Effect.callback<void>((resume) => {
        spawn("sh", ["-c", stop], { stdio: "ignore" }).on("close", () => resume(Effect.void))
      })
      yield* Effect.sleep(50)
      const delays = sampling.delays.at(stamps)
      assert.isAtLeast(delays.filter((delay) => delay >= 0.2).length, 1)
    }).pipe(Effect.scoped)
  )

  it.live("counts collections of garbage", () =>
    Effect.gen(function* () {
      const sampling = yield* Health.make()
      yield* garbage
      const report = yield* sampling.stop
      const count = report.slices.reduce((sum, slice) => sum + slice.gc_count, 0)
      assert.isAtLeast(count, 1)
      assert.isAbove(Math.max(...report.slices.map((slice) => slice.gc_longest_s)), 0)
    }).pipe(Effect.scoped)
  )

  it.live("tells what it saw until the last slice, and all of it once it is stopped", () =>
    Effect.gen(function* () {
      const sampling = yield* Health.make({ sliceSeconds: 0.05 })
      assert.deepStrictEqual(sampling.report().slices, [])
      assert.isNull(sampling.latest())
      while (sampling.report().slices.length === 0) yield* Effect.sleep(10)
      assert.isNotNull(sampling.latest())
      const report = yield* sampling.stop
      assert.isAtLeast(report.slices.length, 1)
      assert.strictEqual(yield* sampling.stop, report)
      assert.isAtLeast(report.cpu_count, 1)
      const [slice] = report.slices
      assert.isAbove(slice?.rss_bytes ?? 0, 1e6)
      assert.isAbove(slice?.free_memory ?? 1, 0)
      for (let index = 1; index < report.slices.length; index++) {
        assert.isAtLeast(report.slices[index]?.from_s ?? 0, (report.slices[index - 1]?.to_s ?? 0) - 1e-9)
      }
      yield* Effect.sleep(80)
      assert.deepStrictEqual(sampling.report(), report)
    }).pipe(Effect.scoped)
  )

  it.live("goes on when no file can be opened any more, and what that tells is not known", () =>
    Effect.sync(() => {
      const script = join(import.meta.dirname, "exhaustedFiles.ts")
      const { status, stderr, stdout } = spawnSync(
        "/bin/sh",
        ["-c", 'ulimit -n 64 && exec "$0" "$1"', process.execPath, script],
        { encoding: "utf8", timeout: 15_000 }
      )
      assert.strictEqual(status, 0, stderr)
      const slices: ReadonlyArray<HealthReport.HealthSlice> = JSON.parse(stdout)
      assert.isAtLeast(slices.length, 3)
      for (const slice of slices) {
        assert.isNull(slice.rss_bytes)
        assert.isNull(slice.free_memory)
        assert.isAtLeast(slice.process_cores, 0)
      }
    })
  )

  it.live("ends with its scope, stopped or not", () =>
    Effect.gen(function* () {
      const sampling = yield* Effect.scoped(Health.make({ sliceSeconds: 0.02 }))
      const before = sampling.report()
      yield* Effect.sleep(60)
      assert.deepStrictEqual(sampling.report(), before)
    })
  )
})
