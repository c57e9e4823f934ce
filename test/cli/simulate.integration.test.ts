import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, llmperf } from "./invocation.ts"

const json = (text: string): { readonly [key: string]: unknown } => JSON.parse(text)

const numberOf = (document: { readonly [key: string]: unknown }, key: string): number => {
  const value = document[key]
  if (typeof value !== "number") throw new Error(`${key} is ${JSON.stringify(value)}`)
  return value
}

/** All files under a folder, by their paths in it. */
const contents = (root: string): { readonly [path: string]: string } =>
  Object.fromEntries(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => [path.slice(root.length + 1), readFileSync(path, "utf8")])
  )

const lines = (text: string): ReadonlyArray<{ readonly [key: string]: unknown }> =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => json(line))

const header = "scheduled_offset_s,input_tokens,output_tokens\n"

describe.concurrent("llmperf simulate", { timeout: 90_000 }, () => {
  it.live("gives the same bytes in every file, wherever they are written", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const schedule = join(root, "schedule.csv")
      const rows = Array.from(
        { length: 300 },
        (_, row) => `${(row * 0.21).toFixed(2)},${60 + (row % 90)},${5 + (row % 40)}`
      )
      writeFileSync(schedule, `${header}${rows.join("\n")}\n`)
      const simulate = (results: string, more: ReadonlyArray<string> = []) =>
        llmperf([
          "simulate",
          `--schedule-file=${schedule}`,
          `--results-dir=${results}`,
          "--max-batch=4",
          "--itl=lognormal:30ms:0.5",
          "--fault=429@5%",
          "--max-sampled-requests-per-second=3",
          "--quiet",
          ...more
        ])
      const outcomes = [
        yield* simulate(join(root, "a")),
        yield* simulate(join(root, "b")),
        yield* simulate(join(root, "c"), ["--seed=7"])
      ]
      assert.deepStrictEqual(
        outcomes.map(({ exitCode, stderr, stdout, unreported }) => [exitCode, stderr, stdout, unreported]),
        outcomes.map(() => [0, "", "", ""])
      )
      const [a, b, c] = ["a", "b", "c"].map((name) => contents(join(root, name)))
      assert.deepStrictEqual(
        Object.keys(a ?? {}),
        [
          "individual_responses.json",
          "records.ndjson",
          "requests_sent.log",
          "run.json",
          "schedule.csv",
          "summary.json"
        ].map((name) => join("2000-01-01T00-00-00_schedule_run", name))
      )
      assert.deepStrictEqual(a, b)
      assert.notDeepEqual(a, c)

      const run = (name: string): string => a?.[join("2000-01-01T00-00-00_schedule_run", name)] ?? ""
      const summary = json(run("summary.json"))
      assert.strictEqual(summary["num_requests_started"], 300)
      assert.strictEqual(summary["num_late_requests"], 0)
      assert.isAbove(numberOf(summary, "num_unsampled"), 0)
      assert.isAbove(numberOf(summary, "number_errors"), 0)
      assert.strictEqual(summary["dispatch_lag_s_max"], 0)
      const sent = lines(run("requests_sent.log"))
      assert.strictEqual(sent.length, 300)
      for (const line of sent) {
        assert.strictEqual(line["dispatch_offset_s"], line["scheduled_offset_s"])
        assert.match(String(line["dispatch_ts_utc"]), /^2000-01-01T00:0[01]:/)
      }
    })
  )

  it.live("simulates closed loops and rates too", () =>
    Effect.gen(function* () {
      const closed = yield* llmperf([
        "simulate",
        "--num-concurrent-requests=4",
        "--max-num-completed-requests=40",
        "--ttft=100ms",
        "--itl=10ms",
        "--mean-output-tokens=11",
        "--stddev-output-tokens=0",
        "--json"
      ])
      assert.strictEqual(closed.exitCode, 0)
      const summary = json(closed.stdout)
      // 100 ms to the first of 11 tokens and 10 ms to each of the others, ten times one after the other
      assert.closeTo(numberOf(summary, "results_ttft_s_quantiles_p50"), 0.1, 1e-9)
      assert.closeTo(numberOf(summary, "results_end_to_end_latency_s_max"), 0.2, 1e-9)
      assert.closeTo(numberOf(summary, "results_wall_time_s"), 2, 1e-9)
      assert.strictEqual(summary["run_id"], "simulated-11111")

      const hour = yield* llmperf(["simulate", "--request-rate=0.5", "--duration=1h", "--json", "--quiet"])
      assert.strictEqual(hour.exitCode, 0)
      assert.isAbove(numberOf(json(hour.stdout), "results_wall_time_s"), 3_500)
      assert.isAbove(numberOf(json(hour.stdout), "results_num_completed_requests"), 1_600)
    })
  )

  it.live("refuses what does not fit before anything runs", () =>
    Effect.gen(function* () {
      const outcome = yield* llmperf(["simulate", "--when-full=drop", "--request-rate=1"])
      assert.strictEqual(outcome.exitCode, 2)
      assert.include(outcome.stderr, "--max-in-flight")
    })
  )
})

describe("llmperf simulate against load-test", { timeout: 60_000 }, () => {
  it.live("agrees with the same model over HTTP", () =>
    Effect.gen(function* () {
      const load = [
        "--model=m",
        "--request-rate=10",
        "--duration=5s",
        "--mean-output-tokens=20",
        "--stddev-output-tokens=8",
        "--json",
        "--quiet"
      ]
      const server = (prefix: string) => [`--${prefix}ttft=200ms`, `--${prefix}itl=20ms`, `--${prefix}max-batch=5`]
      const [virtual, real] = yield* Effect.all(
        [
          llmperf(["simulate", ...load, ...server("")]),
          llmperf(["load-test", "--llm-api=simulated", "--seed=11111", ...load, ...server("sim-")])
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([virtual.exitCode, real.exitCode], [0, 0])
      const [expected, actual] = [json(virtual.stdout), json(real.stdout)]
      for (const key of ["num_completed_requests", "total_input_tokens", "total_output_tokens"]) {
        assert.strictEqual(actual[`results_${key}`], expected[`results_${key}`], key)
      }
      // Requests queue for one of five places, so that what is compared is the model's work and not only what was ordered
      assert.isAbove(numberOf(expected, "results_ttft_s_quantiles_p50"), 0.3)
      for (const key of ["ttft_s", "end_to_end_latency_s"]) {
        const quantile = `results_${key}_quantiles_p50`
        const ratio = numberOf(actual, quantile) / numberOf(expected, quantile)
        // A busy machine makes the real server and its client later, and never earlier
        assert.isAbove(ratio, 0.95, key)
        assert.isBelow(ratio, 1.5, key)
      }
    })
  )
})
