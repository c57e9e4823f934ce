import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { globSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { schemas } from "../scripts/schemas.ts"
import { file, folder, llmperf } from "./cli/invocation.ts"
import { checker, closed } from "./jsonSchema.ts"

const simulated = ["--llm-api=simulated", "--model=org/demo", "--sim-ttft=3ms", "--sim-itl=1ms", "--quiet"]

const loads = [
  ...simulated,
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  "--mean-output-tokens=5",
  "--stddev-output-tokens=1"
]

/** The schema of a file by its name, `null` for a file that is not JSON. */
const schemaOf = (path: string, isCorrectness: boolean): string | null => {
  const name = basename(path)
  if (name === "run.json") return "run.json"
  if (name === "requests_sent.log") return "requests-sent.json"
  if (name === "summary.json") return "schedule-summary.json"
  const before = isCorrectness ? "correctness-" : ""
  if (name === "records.ndjson") return `${before}record.json`
  if (name.endsWith("summary.json")) return `${before}summary.json`
  return name.endsWith("individual_responses.json") ? `${before}individual-responses.json` : null
}

const valuesOf = (path: string): ReadonlyArray<unknown> => {
  const text = readFileSync(path, "utf8")
  return /\.(ndjson|log)$/.test(path)
    ? text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    : [JSON.parse(text)]
}

/**
 * Runs a command and holds every file that it leaves against its schema. No key may be there that is not described, but those
 * of `metadata`. Gives the names of the files that were looked at.
 */
const conforms = Effect.fnUntraced(function* (args: ReadonlyArray<string>, metadata: ReadonlyArray<string> = []) {
  const results = yield* folder
  const outcome = yield* llmperf([...args, `--results-dir=${results}`])
  assert.strictEqual(outcome.exitCode, 0, `${outcome.stderr}${outcome.unreported}`)
  const check = checker(closed(schemas(), metadata))
  const isCorrectness = args[0] === "correctness"
  const files = globSync("**/*", { cwd: results, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : []
  )
  const seen = files.flatMap((path) => {
    const schema = schemaOf(path, isCorrectness)
    if (schema === null) return []
    const values = valuesOf(path)
    assert.isNotEmpty(values)
    for (const value of values) assert.deepStrictEqual(check(schema, value), [], `${path} against ${schema}`)
    return [basename(path)]
  })
  const summary = files.find((path) => path.endsWith("summary.json")) ?? ""
  return { seen: seen.toSorted(), summary: valuesOf(summary)[0], folder: dirname(summary) }
})

const four = [
  "org-demo_60_5_individual_responses.json",
  "org-demo_60_5_summary.json",
  "records.ndjson",
  "run.json"
] as const

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("the files of real runs", { timeout: 90_000 }, () => {
  it.live("of a closed loop are as docs/schemas has it, to the last key", () =>
    Effect.gen(function* () {
      const { seen, summary } = yield* conforms(
        [
          "load-test",
          ...loads,
          "--max-num-completed-requests=20",
          "--metadata=gpu=H100,seed=a text",
          '--additional-sampling-params={"stop": ["x"], "nested": {"a": null}}',
          "--threshold=ttft_s.max < 60min",
          "--verdict-limit=loop-delay=30ms:1s",
          "--sim-fault=429@every=7",
          "--warmup-requests=1"
        ],
        ["gpu"]
      )
      assert.deepStrictEqual(seen, [...four])
      assert.containsAllKeys(summary, [
        "gpu",
        "thresholds",
        "verdict_limits_loop_delay_invalid",
        "additional_sampling_params_nested_a",
        "network_proxy",
        "warmup_duration_s",
        "calibration_lag_max_s"
      ])
    })
  )

  it.live("of several workers", () =>
    Effect.gen(function* () {
      const args = ["load-test", ...loads, "--workers=2", "--no-warmup", "--max-num-completed-requests=20"]
      const { seen, summary } = yield* conforms(args)
      assert.deepStrictEqual(seen, [...four])
      assert.containsAllKeys(summary, ["requests_per_worker", "partial", "lost_requests", "warmup"])
    })
  )

  it.live("of an open loop", () =>
    Effect.gen(function* () {
      const { seen, summary } = yield* conforms([
        "load-test",
        ...loads,
        "--request-rate=40",
        "--arrival=gamma",
        "--burstiness=0.5",
        "--max-num-completed-requests=20",
        "--max-in-flight=8",
        "--max-sampled-requests-per-second=30"
      ])
      assert.deepStrictEqual(seen, [...four])
      assert.containsAllKeys(summary, ["arrival", "when_full", "repeated_prompts", "max_sampled_requests_per_second"])
    })
  )

  it.live("of a schedule that was changed", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 10 }, (_, index) => `${index / 10},60,5`)
      const path = yield* file("schedule.csv", `scheduled_offset_s,input_tokens,output_tokens\n${rows.join("\n")}\n`)
      const { seen, summary } = yield* conforms([
        "load-test",
        ...simulated,
        `--schedule-file=${path}`,
        "--speed=2",
        "--loop=2",
        "--workers=2"
      ])
      assert.deepStrictEqual(seen, [
        "individual_responses.json",
        "records.ndjson",
        "requests_sent.log",
        "run.json",
        "summary.json"
      ])
      assert.containsAllKeys(summary, ["schedule_format", "schedule_changes_speed", "requests_per_worker"])
    })
  )

  it.live("of a correctness test", () =>
    Effect.gen(function* () {
      const { seen } = yield* conforms([
        "correctness",
        ...simulated,
        "--max-num-completed-requests=8",
        "--sim-wrong-rate=50%",
        "--sim-fault=429@every=5"
      ])
      assert.deepStrictEqual(seen, [
        "org-demo_correctness_individual_responses.json",
        "org-demo_correctness_summary.json",
        "records.ndjson",
        "run.json"
      ])
    })
  )

  it.live("of a simulation", () =>
    Effect.gen(function* () {
      const { seen, summary } = yield* conforms(["simulate", "--quiet", "--max-num-completed-requests=20"])
      assert.lengthOf(seen, 4)
      assert.deepInclude(summary, { health_watched: false, warmup: null })
    })
  )

  it.live("and of one that is recovered", () =>
    Effect.gen(function* () {
      const { folder: results } = yield* conforms(["load-test", ...loads, "--max-num-completed-requests=5"])
      const { exitCode } = yield* llmperf(["recover", results, "--force", "--quiet"])
      assert.strictEqual(exitCode, 0)
      const check = checker(closed(schemas()))
      for (const name of ["summary", "individual_responses"] as const) {
        const [value] = valuesOf(join(results, `org-demo_60_5_${name}.json`))
        assert.deepStrictEqual(check(`${name.replace("_", "-")}.json`, value), [], name)
      }
    })
  )
})
