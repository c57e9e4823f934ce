import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { requests, writeRun } from "../output/reportRuns.ts"
import { folder, llmperf } from "./invocation.ts"

describe("report", () => {
  it.effect("writes the report beside the results of a single run, and prints where it is", () =>
    Effect.gen(function* () {
      const run = writeRun(yield* folder, "a", requests(50))
      const { exitCode, stderr, stdout, unreported } = yield* llmperf(["report", run])
      const file = join(run, "report.html")
      assert.deepStrictEqual(
        { exitCode, stderr, stdout, unreported },
        { exitCode: 0, stderr: "", stdout: `${file}\n`, unreported: "" }
      )
      assert.match(readFileSync(file, "utf8"), /^<!doctype html>[\s\S]*<h1>org\/model<\/h1>/)
      const again = yield* llmperf(["report", join(run, "m_1_1_summary.json")])
      assert.strictEqual(again.stdout, `${file}\n`)
    }).pipe(Effect.scoped)
  )

  it.effect("lays several runs over each other", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const out = join(parent, "both.html")
      const runs = [writeRun(parent, "a", requests(50)), writeRun(parent, "b", requests(50))]
      const { exitCode } = yield* llmperf(["report", ...runs, "--out", out])
      assert.strictEqual(exitCode, 0)
      assert.include(readFileSync(out, "utf8"), "<h1>org/model: 2 runs</h1>")
    }).pipe(Effect.scoped)
  )

  it.effect("refuses what is no run with 2, and a file that cannot be written with 3", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const missing = yield* llmperf(["report", join(parent, "missing")])
      assert.strictEqual(missing.exitCode, 2)
      assert.match(missing.stderr, /^Cannot read a run from .*missing: there is no such file or folder/)
      const run = writeRun(parent, "a", requests(50))
      const taken = yield* llmperf(["report", run, "--out", join(parent, "absent", "x.html")])
      assert.strictEqual(taken.exitCode, 3)
      assert.match(taken.stderr, /^Cannot write .*x\.html: .* Choose another file with --out\.\n$/)
    }).pipe(Effect.scoped)
  )
})

describe("plot", () => {
  it.effect("draws a chart as SVG", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const run = writeRun(parent, "a", requests(50))
      const out = join(parent, "x.svg")
      const { exitCode, stderr, stdout } = yield* llmperf(["plot", run, "--chart", "latency-cdf", "--out", out])
      assert.deepStrictEqual({ exitCode, stderr, stdout }, { exitCode: 0, stderr: "", stdout: `${out}\n` })
      const image = readFileSync(out, "utf8")
      assert.match(image, /^<svg width="960"/)
      assert.include(image, "End-to-end latency, cumulative")
    }).pipe(Effect.scoped)
  )

  it.effect("refuses PNG, charts that there are not, and charts without data with 2", () =>
    Effect.gen(function* () {
      const run = writeRun(yield* folder, "a", requests(20))
      const png = yield* llmperf(["plot", run, "--chart", "rate", "--format", "png"])
      assert.strictEqual(png.exitCode, 2)
      assert.match(png.stderr, /draws SVG only: use --format svg/)
      const unknown = yield* llmperf(["plot", run, "--chart", "pie"])
      assert.strictEqual(unknown.exitCode, 2)
      assert.match(unknown.stderr, /one of ttft-histogram, /)
      const empty = yield* llmperf(["plot", run, "--chart", "errors"])
      assert.strictEqual(empty.exitCode, 2)
      assert.match(empty.stderr, /There is no chart errors: these results have no data for it; there are /)
    }).pipe(Effect.scoped)
  )
})
