import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import * as ScheduleFile from "../../src/workload/ScheduleFile.ts"
import { file, folder, llmperf, type Surroundings } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { type Fields, json, rowsIn, until } from "./processes.ts"

const HEADER = "scheduled_offset_s,input_tokens,output_tokens"

const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index + 1)

const byId = (rows: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))

const column = (rows: ReadonlyArray<Fields>, key: string): ReadonlyArray<unknown> => rows.map((row) => row[key])

/** An open loop against a server, which is not warmed up. */
const against = (
  server: Pick<OpenAiServer.OpenAiServer, "url">,
  args: ReadonlyArray<string>,
  around: Surroundings = {}
) =>
  llmperf(["load-test", "--model=org/demo", "--run-id=run", "--no-warmup", ...args], {
    ...around,
    env: { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "secret", ...around.env }
  })

/** A schedule of prompts of 60 tokens at these offsets. */
const scheduleAt = (...offsets: ReadonlyArray<number>) =>
  file("schedule.csv", `${HEADER}\n${offsets.map((offset) => `${offset},60,5\n`).join("")}`)

/** The folder of the only run in a results folder. */
const runFolder = (results: string): string => {
  const [name = "", ...others] = readdirSync(results)
  assert.deepStrictEqual(others, [])
  assert.match(name, /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_schedule_run$/)
  return join(results, name)
}

const read = (run: string) => ({
  summary: json(readFileSync(join(run, "summary.json"), "utf8")),
  records: byId(rowsIn(join(run, "records.ndjson"))),
  log: byId(rowsIn(join(run, "requests_sent.log")))
})

const promptOf = ({ body }: OpenAiServer.Seen): string => {
  const messages: unknown = body["messages"]
  const [message]: ReadonlyArray<unknown> = Array.isArray(messages) ? messages : []
  return typeof message === "object" && message !== null && "content" in message ? String(message.content) : ""
}

const idOf = ({ headers }: OpenAiServer.Seen): number => Number(String(headers["x-request-id"]).split("-").at(-1))

/** What the server saw, in the order of the ids. */
const seenById = (server: OpenAiServer.OpenAiServer) => server.seen.toSorted((a, b) => idOf(a) - idOf(b))

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("llmperf load-test --schedule-file", { timeout: 90_000 }, () => {
  it.live("sends what the file says, and keeps the file and when each was sent", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const text = `\uFEFFoutput_tokens,scheduled_offset_s,input_tokens\r\n7,0.4,60\r\n\r\n5,0.1,61\r\n6,0,62\r\n9,0.4,90\r\n`
      const path = yield* file("mine.csv", text)
      const results = join(yield* folder, "a", "b")
      const outcome = yield* against(server, [
        `--schedule-file=${path}`,
        `--results-dir=${results}`,
        "--metadata=gpu=H100",
        "--json"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.unreported, "")
      assert.deepStrictEqual(server.ids().toSorted(), ["run-1", "run-2", "run-3", "run-4"])
      assert.deepStrictEqual(
        seenById(server).map(({ body }) => body["max_tokens"]),
        [7, 5, 6, 9]
      )
      const run = runFolder(results)
      assert.deepStrictEqual(readdirSync(run).toSorted(), [
        "individual_responses.json",
        "records.ndjson",
        "requests_sent.log",
        "run.json",
        "schedule.csv",
        "summary.json"
      ])
      assert.strictEqual(readFileSync(join(run, "schedule.csv"), "utf8"), text)
      assert.strictEqual(outcome.stdout, readFileSync(join(run, "summary.json"), "utf8"))
      const { log, records, summary } = read(run)
      assert.deepInclude(summary, {
        num_concurrent_requests: "scheduled",
        num_launched: 4,
        num_completed_requests: 4,
        num_unsent_requests: 0,
        schedule_file: path,
        results_subdir: run,
        schedule_format: "llmperf",
        gpu: "H100"
      })
      assert.deepStrictEqual(column(records, "number_input_tokens"), [60, 61, 62, 90])
      assert.deepStrictEqual(column(log, "scheduled_offset_s"), [0.4, 0.1, 0, 0.4])
      // Never before its time.
      for (const row of log) assert.isAtLeast(Number(row["dispatch_lag_s"]), 0)
      for (const part of [/4 requests over 0 s, .*mine\.csv/, /4 ok, 0 failed/, /dispatch +\d+ late/, /schedule_run/]) {
        assert.match(outcome.stderr, part)
      }
    })
  )

  it.live("takes a packed trace as it is, faster and twice, and its prompts share what they share", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const path = join(yield* folder, "conversations.jsonl.gz")
      writeFileSync(
        path,
        gzipSync(readFileSync(fileURLToPath(new URL("../fixtures/trace/mooncake.jsonl", import.meta.url))))
      )
      const results = yield* folder
      const outcome = yield* against(server, [
        `--schedule-file=${path}`,
        "--speed=200",
        "--limit=16",
        "--loop=2",
        `--results-dir=${results}`,
        "--quiet"
      ])
      assert.deepStrictEqual(outcome, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
      assert.deepStrictEqual(seenById(server).map(idOf), upTo(16))
      const run = runFolder(results)
      const { log, records, summary } = read(run)
      assert.deepInclude(summary, {
        schedule_format: "mooncake",
        schedule_changes_speed: 200,
        schedule_changes_loop: 2,
        schedule_changes_limit: 16,
        num_completed_requests: 16
      })
      // The kept schedule is what was sent: its rows are the requests.
      const kept = yield* Effect.provide(ScheduleFile.read(join(run, "schedule.csv")), NodeServices.layer)
      assert.deepStrictEqual([...kept.id], upTo(16))
      assert.deepStrictEqual(
        column(records, "intended_offset_s").map((offset) => Math.round(Number(offset) * 1e9)),
        Array.from(kept.offsetSeconds, (offset) => Math.round(offset * 1e9))
      )
      assert.deepStrictEqual(column(records, "target_input_tokens"), [...kept.inputTokens])
      assert.deepStrictEqual(column(records, "target_output_tokens"), [...kept.outputTokens])
      assert.lengthOf(log, 16)
      assert.deepStrictEqual(
        seenById(server).map(({ body }) => body["max_tokens"]),
        [...kept.outputTokens]
      )

      const blocks = upTo(16).map((row) =>
        Array.from(kept.prefix?.ids.subarray(kept.prefix.start[row - 1], kept.prefix.start[row]) ?? [])
      )
      const prompts = seenById(server).map(promptOf)
      assert.strictEqual(new Set(prompts.slice(0, 12)).size, 12)
      const common = (a: ArrayLike<unknown>, b: ArrayLike<unknown>): number => {
        let length = 0
        while (length < Math.min(a.length, b.length) && a[length] === b[length]) length++
        return length
      }
      let sharing = 0
      for (let a = 0; a < 12; a++) {
        for (let b = a + 1; b < 12; b++) {
          // Whole blocks that both prompts have room for; a token is more than two letters in the long run.
          const whole = Math.floor(Math.min(kept.inputTokens[a] ?? 0, kept.inputTokens[b] ?? 0) / 512)
          const shared = Math.min(common(blocks[a] ?? [], blocks[b] ?? []), whole)
          const letters = common(prompts[a] ?? "", prompts[b] ?? "")
          if (shared > 0) {
            sharing++
            assert.isAbove(letters, shared * 512 * 2)
          } else if (blocks[a]?.[0] !== blocks[b]?.[0]) assert.isBelow(letters, 200)
        }
      }
      assert.isAbove(sharing, 3)
    })
  )

  it.live("starts nothing after --schedule-timeout, and says what was not sent and what it leaves aside", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const outcome = yield* against(server, [
        `--schedule-file=${yield* scheduleAt(0, 3_600, 7_200)}`,
        "--schedule-timeout=800ms",
        "--num-concurrent-requests=10",
        "--timeout=90"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.match(outcome.stdout, /2 were not sent \(--schedule-timeout 800ms\)/)
      assert.match(outcome.stdout, /1 ok, 0 failed/)
      assert.match(outcome.stdout, /0 dropped, 2 unsent/)
      assert.match(
        outcome.stderr,
        /^Without effect.*: --num-concurrent-requests, --timeout \(--schedule-timeout sets one\)$/m
      )
      assert.lengthOf(server.seen, 1)
    })
  )

  it.live("measures some of each second when it is asked to, and sends all; needs no folder of its own", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const results = yield* folder
      const outcome = yield* against(server, [
        `--schedule-file=${yield* scheduleAt(0, 0.01, 0.02, 0.03, 0.04, 0.05)}`,
        "--max-sampled-requests-per-second=3",
        `--results-dir=${results}`,
        "--no-schedule-file-subdir"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.lengthOf(server.seen, 6)
      assert.deepStrictEqual(readdirSync(results).toSorted(), [
        "individual_responses.json",
        "records.ndjson",
        "requests_sent.log",
        "run.json",
        "schedule.csv",
        "summary.json"
      ])
      const { log, summary } = read(results)
      assert.deepStrictEqual(column(log, "unsampled"), [undefined, true, undefined, true, true, undefined])
      assert.deepInclude(summary, {
        num_launched: 3,
        num_unsampled: 3,
        num_completed_requests: 6,
        results_subdir: results
      })
      assert.match(outcome.stdout, /measured +3 of 6 requests/)
    })
  )

  it.live("sends real requests to warm up that are as long as the first, and are not among the results", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const outcome = yield* against(server, [
        `--schedule-file=${yield* scheduleAt(0, 0.05)}`,
        "--warmup-requests=2",
        "--json",
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.deepStrictEqual(server.ids().toSorted(), ["run-1", "run-2", "run-warmup-1", "run-warmup-2"])
      assert.strictEqual(new Set(server.seen.map(promptOf)).size, 4)
      assert.strictEqual(json(outcome.stdout)["num_requests_started"], 2)
      assert.strictEqual(json(outcome.stdout)["warmup_requests"], 2)
    })
  )
})

describe.concurrent("a limit of requests in flight", { timeout: 90_000 }, () => {
  // All are due at the same moment, so only one of them finds a place, however busy the computer is.
  const run = Effect.fnUntraced(function* (whenFull: string) {
    const server = yield* OpenAiServer.make(() => ({ words: 4, everyMillis: 5 }))
    const outcome = yield* against(server, [
      `--schedule-file=${yield* scheduleAt(0, 0, 0)}`,
      "--max-in-flight=1",
      `--when-full=${whenFull}`,
      "--json"
    ])
    const summary = json(outcome.stdout)
    const counts = ["completed", "queued", "dropped", "unsent"].map((what) => summary[`num_${what}_requests`])
    return { server, outcome, summary, counts }
  })

  it.live("drop: the others are left out", () =>
    Effect.gen(function* () {
      const { counts, outcome, server, summary } = yield* run("drop")
      assert.strictEqual(outcome.exitCode, 0)
      assert.deepStrictEqual(counts, [1, 0, 2, 2])
      assert.strictEqual(summary["stopped"], null)
      assert.deepStrictEqual(server.ids(), ["run-1"])
      assert.match(outcome.stderr, /0 queued, 2 dropped, 0 unsent/)
    })
  )

  it.live("abort: the test ends with 1 and says why", () =>
    Effect.gen(function* () {
      const { counts, outcome, server, summary } = yield* run("abort")
      assert.strictEqual(outcome.exitCode, 1)
      assert.strictEqual(outcome.unreported, "")
      assert.deepStrictEqual(counts, [1, 0, 0, 2])
      assert.strictEqual(summary["stopped"], "full")
      assert.deepStrictEqual(server.ids(), ["run-1"])
      assert.match(outcome.stderr, /Aborted: .*--max-in-flight, --when-full abort\); 2 requests were not sent/)
    })
  )
})

describe.concurrent("llmperf load-test with a rate", { timeout: 90_000 }, () => {
  it.live("sends what schedule generate shows", () =>
    Effect.gen(function* () {
      const flags = [
        "--request-rate=50",
        "--duration=1s",
        "--mean-input-tokens=60",
        "--stddev-input-tokens=10",
        "--mean-output-tokens=20",
        "--stddev-output-tokens=9",
        "--seed=3"
      ]
      const server = yield* OpenAiServer.make()
      const results = yield* folder
      const outcome = yield* against(server, [...flags, `--results-dir=${results}`])
      const shown = yield* llmperf(["schedule", "generate", ...flags])
      const rows = shown.stdout
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((line) => line.split(",").map(Number))
      assert.strictEqual(outcome.exitCode, 0)
      assert.isAbove(rows.length, 20)
      assert.deepStrictEqual(
        byId(rowsIn(join(results, "records.ndjson"))).map((row) => [
          row["intended_offset_s"],
          row["number_input_tokens"],
          row["target_output_tokens"]
        ]),
        rows
      )
      assert.deepStrictEqual(
        seenById(server).map(({ body }) => body["max_tokens"]),
        rows.map(([, , output]) => output)
      )
      assert.deepStrictEqual(readdirSync(results).toSorted(), [
        "org-demo_60_20_individual_responses.json",
        "org-demo_60_20_summary.json",
        "records.ndjson",
        "run.json"
      ])
      assert.match(outcome.stdout, new RegExp(`${rows.length} requests over 1 s, 50 requests/s, poisson arrivals`))
    })
  )

  it.live("goes through stages", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const { exitCode, stdout } = yield* against(server, [
        "--stages=10@400ms,0@200ms,20@400ms",
        "--arrival=constant",
        "--mean-input-tokens=60",
        "--stddev-input-tokens=0",
        "--json",
        "--quiet"
      ])
      assert.strictEqual(exitCode, 0)
      assert.deepInclude(json(stdout), {
        results_num_completed_requests: 12,
        num_concurrent_requests: null,
        request_rate: "10@0.4s,0@0.2s,20@0.4s requests/s"
      })
      assert.deepStrictEqual(
        server.ids().toSorted(),
        upTo(12)
          .map((id) => `run-${id}`)
          .toSorted()
      )
    })
  )
})

describe.concurrent("a replay when something goes wrong", { timeout: 90_000 }, () => {
  it.live("has a row for each request when there is no server, and ends with 1", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      server.close()
      const results = yield* folder
      const outcome = yield* against(server, [
        `--schedule-file=${yield* scheduleAt(0, 0, 0.1, 0.2)}`,
        `--results-dir=${results}`
      ])
      assert.strictEqual(outcome.exitCode, 1)
      assert.strictEqual(outcome.unreported, "")
      assert.match(outcome.stdout, /^All 4 requests failed: 4 × Could not connect\./)
      const { log, records, summary } = read(runFolder(results))
      assert.deepStrictEqual(
        column(records, "error_reason"),
        upTo(4).map(() => "Connect")
      )
      assert.deepStrictEqual(
        column(log, "error_reason"),
        upTo(4).map(() => "Connect")
      )
      assert.deepStrictEqual(column(log, "dispatch_ts_utc"), [null, null, null, null])
      assert.deepStrictEqual(column(log, "scheduled_offset_s"), [0, 0, 0.1, 0.2])
      assert.deepStrictEqual(summary["error_reason_frequency"], { Connect: 4 })
      assert.strictEqual(summary["ttft_s_quantiles_p50"], null)
    })
  )

  it.live("keeps what had come before the server died, and goes on to its end; meanwhile the others queue", () =>
    Effect.gen(function* () {
      // The fourth answer never ends.
      const server = yield* OpenAiServer.make((ordinal) =>
        ordinal === 4 ? { words: 9, everyMillis: 60_000, eager: true } : {}
      )
      const results = yield* folder
      const running = yield* Effect.forkChild(
        against(server, [
          // One by one, so that it is known which is the fourth.
          `--schedule-file=${yield* scheduleAt(0, 0, 0, 0, 0, 0)}`,
          "--max-in-flight=1",
          `--results-dir=${results}`
        ])
      )
      yield* until(() => server.seen.length === 4, "the fourth request is there")
      // Its first word is on the way, if not with the client.
      yield* Effect.sleep(200)
      server.close()
      const outcome = yield* Fiber.join(running)
      assert.strictEqual(outcome.exitCode, 0)
      const { records, summary } = read(runFolder(results))
      assert.deepStrictEqual(column(records, "error_reason"), [null, null, null, "Truncated", "Connect", "Connect"])
      assert.deepStrictEqual(column(records, "number_chunks").slice(0, 4), [3, 3, 3, 1])
      assert.deepStrictEqual(summary["error_reason_frequency"], { Connect: 2, Truncated: 1 })
      assert.match(outcome.stdout, /3 ok, 3 failed/)
      assert.match(outcome.stdout, /5 queued, 0 dropped, 0 unsent/)
      assert.deepInclude(summary, { num_queued_requests: 5, num_dropped_requests: 0, num_unsent_requests: 0 })
      assert.strictEqual(server.peak(), 1)
      assert.deepStrictEqual(server.ids(), ["run-1", "run-2", "run-3", "run-4"])
    })
  )

  it.live("sends nothing again in a storm of 429, and counts each", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ status: 429, headers: { "retry-after": "2" } }))
      const results = yield* folder
      const outcome = yield* against(server, [
        "--request-rate=100",
        "--max-num-completed-requests=40",
        "--mean-input-tokens=60",
        "--stddev-input-tokens=0",
        `--results-dir=${results}`
      ])
      assert.strictEqual(outcome.exitCode, 1)
      assert.match(outcome.stdout, /^All 40 requests failed: 40 × HTTP 429\./)
      assert.lengthOf(server.seen, 40)
      const records = rowsIn(join(results, "records.ndjson"))
      assert.lengthOf(records, 40)
      for (const row of records) {
        assert.deepInclude(row, { error_code: 429, error_reason: "RateLimited", status: 429, retry_after_s: 2 })
        assert.isNumber(row["dispatch_lag_s"])
      }
    })
  )

  it.live("gives up on answers that stall, and on nothing else", () =>
    Effect.gen(function* () {
      // One word, then nothing for a minute.
      const server = yield* OpenAiServer.make((ordinal) =>
        ordinal <= 2 ? { words: 9, everyMillis: 60_000, eager: true } : { eager: true }
      )
      const results = yield* folder
      const outcome = yield* against(server, [
        `--schedule-file=${yield* scheduleAt(0, 0, 0, 0)}`,
        "--max-in-flight=2",
        "--request-timeout=2s",
        `--results-dir=${results}`,
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      const { log, records, summary } = read(runFolder(results))
      assert.deepStrictEqual(column(records, "error_code"), ["timeout_total", "timeout_total", null, null])
      assert.deepStrictEqual(column(records, "number_chunks"), [1, 1, 3, 3])
      assert.deepStrictEqual(column(log, "error_reason"), ["Timeout", "Timeout", null, null])
      assert.deepInclude(summary, { num_completed_requests: 2, num_failed_requests: 2, num_queued_requests: 2 })
      yield* until(() => server.live() === 0, "the connections are closed")
    })
  )

  it.live("ends at the first Ctrl-C with a summary and 130", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const results = yield* folder
      const outcome = yield* against(
        server,
        [`--schedule-file=${yield* scheduleAt(0, 0, 3_600)}`, `--results-dir=${results}`],
        { interruption: until(() => server.finished.length === 2, "two have ended") }
      )
      assert.strictEqual(outcome.exitCode, 130)
      assert.strictEqual(outcome.unreported, "")
      assert.match(outcome.stderr, /^Stopping: no new requests/)
      assert.match(outcome.stdout, /Interrupted: 1 requests were not sent/)
      const { log, summary } = read(runFolder(results))
      assert.deepInclude(summary, { stopped: "interrupted", num_completed_requests: 2, num_unsent_requests: 1 })
      assert.lengthOf(log, 2)
    })
  )
})
