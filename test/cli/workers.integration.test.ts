import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { file, folder, llmperf } from "./invocation.ts"
import { type Fields, json, rowsIn, until } from "./processes.ts"

const small = [
  "load-test",
  "--model=org/demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  "--mean-output-tokens=5",
  "--stddev-output-tokens=1",
  "--no-warmup"
]

const simulated = [...small, "--seed=11111", "--llm-api=simulated", "--sim-ttft=20ms"]

const upTo = (count: number): Array<number> => Array.from({ length: count }, (_, index) => index + 1)

const byId = (rows: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))

/** What does not depend on the moment at which a request was sent. */
const untimed = (rows: ReadonlyArray<Fields>) =>
  byId(rows).map((row) => ({
    id: row["request_id"],
    header: row["x_request_id"],
    error: row["error_code"],
    input: row["number_input_tokens"],
    seen: row["usage_input_tokens"],
    output: row["number_output_tokens"],
    keys: Object.keys(row)
  }))

const summaryIn = (results: string): Fields => {
  const name = readdirSync(results).find((each) => each.endsWith("_summary.json")) ?? ""
  return json(readFileSync(join(results, name), "utf8"))
}

const ofFleets = new Set(["requests_per_worker", "partial", "lost_requests"])

const module = (path: string): string =>
  JSON.stringify(pathToFileURL(join(import.meta.dirname, "..", "..", "src", path)).href)

/** An API that answers after 30 ms, and whose ninth request ends the thread that sends it. */
const deadly = `
import * as Effect from ${JSON.stringify(import.meta.resolve("effect/Effect"))}
import * as Layer from ${JSON.stringify(import.meta.resolve("effect/Layer"))}
import * as Stream from ${JSON.stringify(import.meta.resolve("effect/Stream"))}
import { Provider } from ${module("provider/Provider.ts")}
const now = () => Number(process.hrtime.bigint())
const answer = (plan) =>
  Effect.sleep(30).pipe(
    Effect.map(() => {
      if (plan.id === 9) process.exit(7)
      const at = now()
      return [{ _tag: "Content", kind: "text", at: [at], text: ["word"] }, { _tag: "Ended", at }]
    })
  )
const stream = (plan) =>
  Stream.concat(
    Stream.sync(() => ({ _tag: "Sent", at: now(), connection: null })),
    Stream.unwrap(Effect.map(answer(plan), Stream.fromIterable))
  )
export const layer = Layer.succeed(Provider, { name: "deadly", origin: null, stream })
`

describe.concurrent("llmperf load-test --workers", { timeout: 90_000 }, () => {
  it.live.each(["queue", "drop", "abort"])("have --max-in-flight places together, with --when-full %s", (whenFull) =>
    Effect.gen(function* () {
      const args = ["--workers=2", "--request-rate=100", "--max-num-completed-requests=60", "--sim-itl=30ms", "--json"]
      const outcome = yield* llmperf([...simulated, ...args, "--max-in-flight=5", `--when-full=${whenFull}`])
      assert.strictEqual(outcome.exitCode, whenFull === "abort" ? 1 : 0, outcome.stderr)
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["results_max_requests_in_flight"], 5)
      assert.isFalse(summary["partial"])
      const sent = Number(summary["results_num_completed_requests"])
      const dropped = Number(summary["results_num_dropped_requests"])
      if (whenFull === "queue") assert.deepStrictEqual([sent, dropped], [60, 0])
      if (whenFull === "drop") assert.deepStrictEqual([sent + dropped, dropped > 0], [60, true])
      if (whenFull === "abort") assert.deepStrictEqual([summary["stopped"], sent < 60], ["full", true])
    })
  )

  it.live("ends early when the server refuses everything, whichever thread is told so", () =>
    Effect.gen(function* () {
      const args = ["--workers=3", "--num-concurrent-requests=6", "--max-num-completed-requests=3000", "--json"]
      const outcome = yield* llmperf([...simulated, ...args, "--sim-fault=401"])
      assert.strictEqual(outcome.exitCode, 1)
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["stopped"], "errors")
      assert.isNull(summary["verdict"])
      assert.isAtLeast(Number(summary["results_num_unsent_requests"]), 1_500)
      assert.strictEqual(
        Number(summary["results_num_failed_requests"]) + Number(summary["results_num_unsent_requests"]),
        3_000
      )
    })
  )

  it.live("weighs the delays of all threads by what arrived at them", () =>
    Effect.gen(function* () {
      const args = [
        ...simulated,
        "--workers=2",
        "--num-concurrent-requests=8",
        "--max-num-completed-requests=40",
        "--json"
      ]
      const summary = json((yield* llmperf(args)).stdout)
      assert.strictEqual(summary["health_threads"], 2)
      assert.isNumber(summary["health_first_token_delay_s_quantiles_p99"])
      assert.isNumber(summary["health_added_gap_s_mean"])
    })
  )

  it.live("sends in a closed loop what one thread sends", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const run = (workers: number) =>
        llmperf([
          ...simulated,
          "--sim-itl=2ms",
          "--num-concurrent-requests=5",
          "--max-num-completed-requests=30",
          "--run-id=night",
          `--workers=${workers}`,
          `--results-dir=${join(results, String(workers))}`
        ])
      const [one, two] = yield* Effect.all([run(1), run(2)], { concurrency: 2 })
      assert.strictEqual(one.exitCode, 0, one.stderr)
      assert.strictEqual(two.exitCode, 0, two.stderr)
      assert.include(two.stdout, "5 in flight, 2 workers")
      const rows = rowsIn(join(results, "2", "records.ndjson"))
      assert.deepStrictEqual(untimed(rows), untimed(rowsIn(join(results, "1", "records.ndjson"))))
      assert.deepStrictEqual(
        byId(rows).map((row) => row["request_id"]),
        upTo(30)
      )
      assert.deepStrictEqual(readdirSync(join(results, "2")), readdirSync(join(results, "1")))
      const alone = summaryIn(join(results, "1"))
      const together = summaryIn(join(results, "2"))
      assert.deepStrictEqual(
        Object.keys(together).filter((key) => !ofFleets.has(key)),
        Object.keys(alone)
      )
      assert.strictEqual(alone["workers"], 1)
      assert.strictEqual(together["workers"], 2)
      assert.deepStrictEqual(together["lost_requests"], [])
      assert.isAtMost(Number(together["results_max_requests_in_flight"]), 5)
      for (const key of [
        "results_num_completed_requests",
        "results_total_output_tokens",
        "results_total_input_tokens",
        "results_number_output_tokens_mean",
        "inexact_prompts"
      ]) {
        assert.strictEqual(together[key], alone[key], key)
      }
    })
  )

  it.live("sends the requests of an open loop when they are due, and ends when it is interrupted", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const records = join(results, "records.ndjson")
      // Of which the last six are due in ten minutes
      const offsets = upTo(30).map((id) => (id - 1) * 0.02 + (id > 24 ? 600 : 0))
      const schedule = yield* file(
        "s.csv",
        `scheduled_offset_s,input_tokens,output_tokens\n${offsets.map((offset) => `${offset},60,4`).join("\n")}\n`
      )
      const outcome = yield* llmperf(
        [
          ...simulated,
          `--schedule-file=${schedule}`,
          "--no-schedule-file-subdir",
          "--run-id=night",
          "--quiet",
          "--workers=2",
          `--results-dir=${results}`
        ],
        { interruption: until(() => existsSync(records) && rowsIn(records).length === 24, "24 requests have ended") }
      )
      assert.strictEqual(outcome.exitCode, 130, outcome.stderr)
      const rows = byId(rowsIn(records))
      assert.deepStrictEqual(
        rows.map((row) => [row["request_id"], row["x_request_id"], Math.round(Number(row["intended_offset_s"]) * 1e6)]),
        upTo(24).map((id) => [id, `night-${id}`, (id - 1) * 20_000])
      )
      assert.isTrue(rows.every((row) => Number(row["dispatch_lag_s"]) >= 0 && row["error_code"] === null))
      assert.lengthOf(rowsIn(join(results, "requests_sent.log")), 24)
      const summary = json(readFileSync(join(results, "summary.json"), "utf8"))
      assert.deepStrictEqual(summary["requests_per_worker"], [12, 12])
      assert.strictEqual(summary["stopped"], "interrupted")
      assert.strictEqual(summary["num_unsent_requests"], 6)
    })
  )

  it.live("names the share of a worker that died, saves the rest, and ends with 1", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const outcome = yield* llmperf([
        ...small,
        `--provider=${yield* file("deadly.mjs", deadly)}`,
        "--num-concurrent-requests=4",
        "--max-num-completed-requests=40",
        "--workers=2",
        `--results-dir=${results}`
      ])
      assert.strictEqual(outcome.exitCode, 1)
      assert.match(
        outcome.stdout.replaceAll("\n", " "),
        /worker [12] of 2 was lost \(.*code: 7\): \d+ requests it held are lost: ids .*\b9\b/
      )
      const summary = summaryIn(results)
      const lost = summary["lost_requests"]
      if (!Array.isArray(lost)) return assert.fail("no list of lost requests")
      assert.include(lost, 9)
      const kept = rowsIn(join(results, "records.ndjson")).map((row) => Number(row["request_id"]))
      assert.deepStrictEqual(
        [...kept, ...lost].toSorted((a, b) => a - b),
        upTo(40)
      )
      assert.strictEqual(summary["partial"], true)
    })
  )

  it.live("refuses more workers than there is work for", () =>
    Effect.gen(function* () {
      const refused = (args: ReadonlyArray<string>) =>
        Effect.map(llmperf([...simulated, ...args]), ({ exitCode, stderr }) => {
          assert.strictEqual(exitCode, 2)
          return stderr
        })
      assert.include(
        yield* refused(["--workers=3", "--num-concurrent-requests=2"]),
        "--workers 3: only 2 requests are in flight at a time"
      )
      assert.include(
        yield* refused(["--workers=5", "--max-num-completed-requests=4"]),
        "--workers 5: there are only 4 requests"
      )
      assert.include(
        yield* refused(["--workers=3", "--request-rate=9", "--max-in-flight=2"]),
        "--workers 3: only 2 requests are in flight at a time (--max-in-flight)"
      )
      assert.include(yield* refused(["--workers=0"]), "a whole number above 0, or auto")
    })
  )
})
