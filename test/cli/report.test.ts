import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pixelsOf } from "../output/pngPixels.ts"
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

  it.effect("draws it as PNG, by --format or by the name of the file", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const run = writeRun(parent, "a", requests(50))
      const draw = Effect.fnUntraced(function* (out: string, ...flags: ReadonlyArray<string>) {
        const file = join(parent, out)
        const { exitCode, stderr, stdout } = yield* llmperf(["plot", run, "--chart", "rate", "--out", file, ...flags])
        assert.deepStrictEqual({ exitCode, stderr, stdout }, { exitCode: 0, stderr: "", stdout: `${file}\n` })
        return readFileSync(file)
      })
      const light = pixelsOf(yield* draw("a.png"))
      assert.deepStrictEqual([light.width, light.at(0, 0)], [1_920, "#ffffff"])
      const dark = pixelsOf(yield* draw("b", "--format", "png", "--theme", "dark", "--width", "600", "--scale", "1.5"))
      assert.deepStrictEqual([dark.width, dark.at(0, 0)], [900, "#161b22"])
      assert.match(String(yield* draw("c.PNG", "--format", "svg")), /^<svg width="960"/)
      assert.match(String(yield* draw("d.txt")), /^<svg width="960"/)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "refuses other images, sizes that are none, charts that there are not, and charts without data with 2",
    () =>
      Effect.gen(function* () {
        const run = writeRun(yield* folder, "a", requests(20))
        const refused = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
          const { exitCode, stderr } = yield* llmperf(["plot", run, "--chart", "rate", ...flags])
          assert.strictEqual(exitCode, 2)
          return stderr
        })
        assert.match(
          yield* refused("--out", "rate.pdf"),
          /draws SVG and PNG, not \.pdf: give --out a name that ends in/
        )
        assert.match(yield* refused("--scale", "2"), /--scale is for PNG/)
        assert.match(yield* refused("--format", "png", "--scale", "0"), /a number above 0, 8 at most/)
        assert.match(
          yield* refused("--format", "png", "--width", "8193"),
          /16386 pixels wide is too large: 8193 × 2 must be 16384 at most\. Give a smaller --scale or --width\./
        )
        const unknown = yield* llmperf(["plot", run, "--chart", "pie"])
        assert.strictEqual(unknown.exitCode, 2)
        assert.match(unknown.stderr, /one of ttft-histogram, /)
        const empty = yield* llmperf(["plot", run, "--chart", "errors"])
        assert.strictEqual(empty.exitCode, 2)
        assert.match(empty.stderr, /There is no chart errors: these results have no data for it; there are /)
      }).pipe(Effect.scoped)
  )
})
