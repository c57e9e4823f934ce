import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Calibrations, LoadCalibration } from "../../src/domain/CalibrationResults.ts"
import { words } from "../../src/cli/internal/calibrationWords.ts"
import { file, folder, llmperf } from "./invocation.ts"
import { json } from "./processes.ts"

const calibrate = (cache: string, ...args: ReadonlyArray<string>) =>
  llmperf(["calibrate", "--ttft=5ms", "--itl=2ms", ...args], { env: { LLMPERF_CACHE_DIR: cache } })

const loadIn = (stdout: string) => Schema.decodeUnknownSync(LoadCalibration)(json(stdout)["load"])

const keptIn = (cache: string) => {
  const [name = "", ...others] = readdirSync(cache)
  assert.deepStrictEqual(others, [])
  return Schema.decodeUnknownSync(Calibrations)(JSON.parse(readFileSync(join(cache, name), "utf8")))
}

describe.concurrent("llmperf calibrate", { timeout: 90_000 }, () => {
  it.live("measures a closed loop and what the machine can do, and keeps both", () =>
    Effect.gen(function* () {
      const cache = yield* folder
      const flags = ["--num-concurrent-requests=3", "--mean-output-tokens=10", "--stddev-output-tokens=0"]
      const outcome = yield* calibrate(cache, "--seconds=1", "--json", ...flags)
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.unreported, "")
      const load = loadIn(outcome.stdout)
      assert.deepInclude(load.shape, { kind: "closed", concurrency: 3, output_tokens: 10, ttft_s: 0.005, itl_s: 0.002 })
      assert.strictEqual(load.weight.in_flight, 3)
      assert.isAtLeast(load.requests, 3)
      assert.strictEqual(load.failed_requests, 0)
      assert.strictEqual(load.lost_tokens, 0)
      assert.strictEqual(load.lag_s.count, load.requests)
      // What lies between two stamps of one clock takes time
      for (const name of ["ttft_s", "request_path_s", "answer_path_s", "token_delay_s"] as const) {
        assert.isAbove(load.added[name].p50 ?? NaN, 0)
        assert.isAtLeast(load.added[name].max ?? NaN, load.added[name].p99 ?? NaN)
      }
      assert.include(outcome.stderr, "At this load the client adds")
      const kept = keptIn(cache)
      assert.deepStrictEqual(kept.loads, [load])
      assert.deepStrictEqual(kept.limits, json(outcome.stdout)["limits"])
      assert.isAbove(kept.limits?.requests.per_s ?? 0, 0)
      assert.isAbove(kept.limits?.tokens.per_s ?? 0, 0)
      assert.match(outcome.stderr, /most requests +\d+ a second/)
    })
  )

  it.live("measures an open loop as it stands in a config file", () =>
    Effect.gen(function* () {
      const cache = yield* folder
      const config = yield* file(
        "run.yaml",
        "model: some-model\nrequest-rate: 40\narrival: constant\nmean-output-tokens: 5\nstddev-output-tokens: 0\n"
      )
      const outcome = yield* calibrate(
        cache,
        "--no-limits",
        "--seconds=0.3",
        "--json",
        "--quiet",
        `--like=llmperf load-test --config '${config}'`
      )
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.stderr, "")
      const load = loadIn(outcome.stdout)
      assert.deepInclude(load.shape, { kind: "open", concurrency: null, output_tokens: 5 })
      assert.closeTo(load.shape.requests_per_s ?? NaN, 40, 4)
      assert.isAtLeast(load.added.ttft_s.count, 1)
    })
  )

  it.live("is called as the results of a run say", () =>
    Effect.gen(function* () {
      const cache = yield* folder
      const config = yield* file("run.yaml", "num-concurrent-requests: 2\nmean-output-tokens: 6\n")
      const run = yield* llmperf(
        [
          "load-test",
          "--model=a b",
          "--llm-api=simulated",
          "--sim-ttft=5ms",
          "--sim-itl=2ms",
          "--mean-input-tokens",
          "40",
          "--stddev-input-tokens=0",
          "--stddev-output-tokens=0",
          "--no-warmup",
          "--config",
          config,
          "-H",
          "Authorization: Bearer secret"
        ],
        { env: { LLMPERF_CACHE_DIR: cache } }
      )
      const command = /\n {2}llmperf (calibrate .*)\n/.exec(run.stdout)?.[1] ?? assert.fail(run.stdout)
      assert.notInclude(command, "secret")
      const outcome = yield* llmperf([...(words(command) ?? []), "--seconds=0.3", "--no-limits", "--json", "--quiet"], {
        env: { LLMPERF_CACHE_DIR: cache }
      })
      assert.deepStrictEqual([outcome.exitCode, outcome.stderr], [0, ""])
      assert.deepInclude(loadIn(outcome.stdout).shape, { kind: "closed", concurrency: 2, output_tokens: 6 })
      assert.isBelow(loadIn(outcome.stdout).shape.ttft_s, 0.1)
    })
  )

  it.live("is wrong use when flags are wrong", () =>
    Effect.gen(function* () {
      const cache = yield* folder
      const wrong = [
        ["--seconds=0"],
        ["--itl=soon"],
        ["--num-concurrent-requests=none"],
        ["--like=load-test --num-concurrent-requests none"],
        ["--like=load-test --nonsense"],
        ["--like=load-test 'open"],
        ["--like=--help"],
        ["--max-in-flight=3"],
        ["--nonsense"]
      ]
      for (const args of wrong) {
        const outcome = yield* calibrate(cache, ...args)
        assert.strictEqual(outcome.exitCode, 2, args.join(" "))
        assert.strictEqual(outcome.stdout, "")
        assert.notStrictEqual(outcome.stderr, "")
      }
      assert.deepStrictEqual(readdirSync(cache), [])
    })
  )
})
