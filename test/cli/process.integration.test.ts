import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { folder, llmperf } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { type Fields, json, rowsIn, start, until } from "./processes.ts"

const loadTest = (server: OpenAiServer.OpenAiServer, count: number, ...args: ReadonlyArray<string>) =>
  start(
    [
      "load-test",
      "--model=demo",
      "--mean-input-tokens=60",
      "--stddev-input-tokens=5",
      `--max-num-completed-requests=${count}`,
      "--num-concurrent-requests=4",
      "--run-id=run",
      "--no-warmup",
      ...args
    ],
    { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "key" }
  )

const idsOf = (rows: ReadonlyArray<Fields>): ReadonlyArray<string> =>
  rows.map((row) => String(row["x_request_id"])).toSorted()

const fetchText = (url: string) =>
  Effect.callback<string>((resume) => {
    get(url, (response) => {
      let text = ""
      response.on("data", (data) => (text += String(data)))
      response.on("end", () => resume(Effect.succeed(text)))
    })
  })

describe.concurrent("a process", { timeout: 90_000 }, () => {
  it.live("tests the server of another, which has seen just what was planned", () =>
    Effect.gen(function* () {
      const serving = yield* start(["serve", "--port=0", "--truth", "--ttft=40ms", "--itl=2ms"])
      yield* serving.until(() => serving.stderr().includes("\n"), "the server is ready")
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(serving.stderr())?.[0] ?? ""
      const results = yield* folder
      const testing = yield* start(
        [
          "load-test",
          "--model=demo",
          `--api-base=${url}/v1`,
          "--mean-output-tokens=30",
          "--stddev-output-tokens=5",
          "--num-concurrent-requests=4",
          "--max-num-completed-requests=18",
          "--run-id=both",
          `--results-dir=${results}`
        ],
        { OPENAI_API_KEY: "key" }
      )
      assert.strictEqual(yield* testing.ended, 0)
      assert.strictEqual(testing.stderr(), "")
      assert.match(testing.stdout(), /18 ok, 0 failed/)
      assert.notInclude(testing.stdout(), "\u001B")

      const stats = json(yield* fetchText(`${url}/_stats`))
      assert.strictEqual(stats["requests"], 18)
      assert.strictEqual(stats["peakLive"], 4)
      assert.strictEqual(stats["live"], 0)
      assert.strictEqual(stats["bad"], 0)
      const truth = (yield* fetchText(`${url}/_truth`)).split("\n").slice(0, -1).map(json)
      const ids = Array.from({ length: 18 }, (_, index) => `both-${index + 1}`).toSorted()
      assert.deepStrictEqual(truth.map(({ rid }) => String(rid)).toSorted(), ids)
      const rows = rowsIn(join(results, "records.ndjson"))
      assert.deepStrictEqual(idsOf(rows), ids)
      // Every chunk that the server wrote has been counted.
      const written = new Map(truth.map(({ rid, tokens }) => [rid, Array.isArray(tokens) ? tokens.length : -1]))
      for (const row of rows) assert.strictEqual(row["number_chunks"], written.get(row["x_request_id"]))

      serving.signal("SIGINT")
      assert.strictEqual(yield* serving.ended, 130)
      assert.strictEqual(serving.stdout(), "")
      assert.strictEqual(serving.stderr().split("\n").length, 2)
    })
  )

  it.live("ends by itself with its simulated server, and prints nothing but JSON", () =>
    Effect.gen(function* () {
      const running = yield* start([
        "load-test",
        "--llm-api=simulated",
        "--model=demo",
        "--sim-ttft=5ms",
        "--sim-itl=1ms",
        "--max-num-completed-requests=12",
        "--json",
        "--quiet"
      ])
      assert.strictEqual(yield* running.ended, 0)
      assert.strictEqual(running.stderr(), "")
      assert.notMatch(running.stdout(), /NaN|Infinity/)
      assert.strictEqual(json(running.stdout())["results_num_completed_requests"], 12)
    })
  )

  it.live("says what is wrong on standard error alone", () =>
    Effect.gen(function* () {
      const [unknown, missing] = yield* Effect.all([start(["lod-test"]), start(["load-test", "--model=x"])])
      assert.strictEqual(yield* unknown.ended, 2)
      assert.strictEqual(unknown.stdout(), "")
      assert.match(unknown.stderr(), /^Unknown subcommand "lod-test"/)
      assert.strictEqual(yield* missing.ended, 2)
      assert.strictEqual(missing.stdout(), "")
      assert.match(missing.stderr(), /OPENAI_API_BASE/)
      assert.notMatch(missing.stderr(), /\n\s+at /)
    })
  )

  for (const name of ["SIGINT", "SIGTERM"] as const) {
    it.live(`lets what is in flight end after ${name}, saves all and ends with 130`, () =>
      Effect.gen(function* () {
        const server = yield* OpenAiServer.make(() => ({ words: 10, everyMillis: 20 }))
        const results = yield* folder
        const running = yield* loadTest(server, 1_000, `--results-dir=${results}`)
        yield* running.until(() => server.finished.length >= 4 && server.live() >= 2, "some requests are in flight")
        running.signal(name)
        assert.strictEqual(yield* running.ended, 130)
        const started = server.seen.length
        assert.isBelow(started, 1_000)
        // Nothing was cut off.
        assert.deepStrictEqual([...server.finished].toSorted(), server.ids().toSorted())
        const rows = rowsIn(join(results, "records.ndjson"))
        assert.deepStrictEqual(idsOf(rows), server.ids().toSorted())
        assert.isTrue(rows.every((row) => row["error_code"] === null))
        const summary = json(readFileSync(join(results, "demo_60_150_summary.json"), "utf8"))
        assert.strictEqual(summary["stopped"], "interrupted")
        assert.strictEqual(summary["results_num_completed_requests"], started)
        assert.match(running.stdout(), new RegExp(`Interrupted: ${1_000 - started} requests were not sent`))
        assert.match(running.stdout(), new RegExp(`${started} ok, 0 failed`))
        assert.match(running.stderr(), /^Stopping: .* 30 s .*Ctrl-C again stops at once\.\n$/)
      })
    )
  }

  it.live("stops at once at the second SIGINT and has kept every row", () =>
    Effect.gen(function* () {
      // Requests after the eighth send one word and then nothing for a minute.
      const server = yield* OpenAiServer.make((ordinal) => ({ words: 2, everyMillis: ordinal > 8 ? 60_000 : 10 }))
      const results = yield* folder
      const running = yield* loadTest(server, 1_000, "--grace=1h", `--results-dir=${results}`)
      yield* running.until(() => server.finished.length === 8 && server.live() === 4, "the last requests hang")
      running.signal("SIGINT")
      yield* running.until(() => running.stderr().includes("Stopping"), "it has noticed")
      // It waits for them, for an hour if need be.
      yield* Effect.sleep(100)
      assert.isTrue(running.isRunning())
      assert.strictEqual(server.live(), 4)
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 130)
      yield* until(() => server.live() === 0, "the connections are closed")
      const rows = rowsIn(join(results, "records.ndjson"))
      assert.deepStrictEqual(idsOf(rows), server.ids().toSorted())
      assert.lengthOf(
        rows.filter((row) => row["error_code"] === null),
        8
      )
      assert.lengthOf(
        rows.filter((row) => row["error_reason"] === "Cancelled"),
        4
      )
      assert.deepStrictEqual(readdirSync(results), ["records.ndjson", "run.json"])
      assert.match(running.stderr(), new RegExp(`llmperf recover ${results}\n$`))
    })
  )

  it.live("stops at the first signal when nothing has been sent yet", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const results = join(yield* folder, "results")
      // The folder is made first, and so many prompts take a while.
      const running = yield* loadTest(server, 200_000, `--results-dir=${results}`)
      yield* running.until(() => existsSync(results), "the folder is there")
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 130)
      assert.lengthOf(server.seen, 0)
    })
  )

  it.live("leaves its records readable when it is killed", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 5, everyMillis: 20 }))
      const results = yield* folder
      const path = join(results, "records.ndjson")
      const running = yield* loadTest(server, 1_000, `--results-dir=${results}`)
      yield* running.until(() => server.finished.length >= 20, "some requests have ended")
      const before = [...server.finished]
      const isKept = () => {
        const text = readFileSync(path, "utf8")
        return before.every((id) => text.includes(`"${id}"`))
      }
      yield* running.until(isKept, "what has ended is in the file while the run goes on")
      assert.isTrue(running.isRunning())
      running.signal("SIGKILL")
      assert.strictEqual(yield* running.ended, "SIGKILL")
      // Whole lines, but for the last one perhaps.
      const lines = readFileSync(path, "utf8").split("\n").slice(0, -1)
      const kept = new Set(lines.map((line) => json(line)["x_request_id"]))
      assert.deepStrictEqual(
        before.filter((id) => !kept.has(id)),
        []
      )
      assert.strictEqual(kept.size, lines.length)
      assert.deepStrictEqual(readdirSync(results).toSorted(), [".llmperf-run.lock", "records.ndjson", "run.json"])
      // The lock of a process that is gone is no obstacle
      assert.strictEqual((yield* llmperf(["recover", results, "--quiet"])).exitCode, 0)
      assert.notInclude(readdirSync(results), ".llmperf-run.lock")
    })
  )
})
