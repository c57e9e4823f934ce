import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { file, folder } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { type Fields, json, rowsIn, start, until } from "./processes.ts"

const HEADER = "scheduled_offset_s,input_tokens,output_tokens"

interface Rows {
  readonly offsets: ReadonlyArray<number>
  readonly inputTokens?: number
}

/** Replays a schedule into a folder of results without one of its own. */
const replay = Effect.fnUntraced(function* (
  server: OpenAiServer.OpenAiServer,
  { inputTokens = 60, offsets }: Rows,
  ...args: ReadonlyArray<string>
) {
  const rows = offsets.map((offset) => `${offset},${inputTokens},5\n`)
  const schedule = yield* file("schedule.csv", `${HEADER}\n${rows.join("")}`)
  const results = join(yield* folder, "results")
  const running = yield* start(
    [
      "load-test",
      "--model=demo",
      "--run-id=run",
      "--no-warmup",
      `--schedule-file=${schedule}`,
      `--results-dir=${results}`,
      "--no-schedule-file-subdir",
      ...args
    ],
    { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "key" }
  )
  return {
    running,
    names: () => readdirSync(results).toSorted(),
    isThere: (name: string) => existsSync(join(results, name)),
    text: (name: string) => readFileSync(join(results, name), "utf8"),
    rows: (name: string) => byId(rowsIn(join(results, name)))
  }
})

const byId = (rows: ReadonlyArray<Fields>): ReadonlyArray<Fields> =>
  rows.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))

const column = (rows: ReadonlyArray<Fields>, key: string): ReadonlyArray<unknown> => rows.map((row) => row[key])

/** The fourth answer and those after it never end. */
const stalling = (ordinal: number) => (ordinal < 4 ? {} : { words: 9, everyMillis: 60_000, eager: true })

describe.concurrent("a process that replays a schedule", { timeout: 90_000 }, () => {
  it.live("stops at SIGINT, lets what is in flight end, and saves all", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 10, everyMillis: 50 }))
      const { names, rows, running, text } = yield* replay(server, { offsets: [0, 0, 0, 3_600, 3_601] })
      yield* running.until(() => server.seen.length === 3, "three have been sent")
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 130)
      assert.lengthOf(server.finished, 3)
      assert.deepInclude(json(text("summary.json")), {
        stopped: "interrupted",
        num_completed_requests: 3,
        num_cancelled_requests: 0,
        num_unsent_requests: 2
      })
      for (const name of ["records.ndjson", "requests_sent.log"]) {
        assert.deepStrictEqual(column(rows(name), "request_id"), [1, 2, 3])
        assert.deepStrictEqual(column(rows(name), "error_code"), [null, null, null])
      }
      assert.include(names(), "individual_responses.json")
      assert.match(running.stdout(), /Interrupted: 2 requests were not sent/)
      assert.match(running.stderr(), /^Stopping: .* 30 s .*Ctrl-C again stops at once\.\n$/)
    })
  )

  it.live("stops at once at the second SIGINT and has kept every row", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(stalling)
      const { names, rows, running } = yield* replay(
        server,
        { offsets: [0, 0, 0, 0, 0, 3_600] },
        "--max-in-flight=2",
        "--grace=1h"
      )
      yield* running.until(() => server.finished.length === 3 && server.live() === 2, "the last two hang")
      running.signal("SIGINT")
      yield* running.until(() => running.stderr().includes("Stopping"), "it has noticed")
      assert.isTrue(running.isRunning())
      assert.strictEqual(server.live(), 2)
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 130)
      yield* until(() => server.live() === 0, "the connections are closed")
      for (const name of ["records.ndjson", "requests_sent.log"]) {
        assert.deepStrictEqual(column(rows(name), "error_reason"), [null, null, null, "Cancelled", "Cancelled"])
      }
      assert.deepStrictEqual(names(), ["records.ndjson", "requests_sent.log", "run.json", "schedule.csv"])
    })
  )

  it.live("has whole lines for all that ended when it is killed", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(stalling)
      const { isThere, names, running, text } = yield* replay(
        server,
        { offsets: [0, 0, 0, 0, 3_600] },
        "--max-in-flight=1"
      )
      const kept = ["records.ndjson", "requests_sent.log"]
      const isKept = () => kept.every((name) => isThere(name) && text(name).split("\n").length === 4)
      yield* running.until(
        () => server.seen.length === 4 && isKept(),
        "three rows are in both files while the run goes on"
      )
      assert.isTrue(running.isRunning())
      running.signal("SIGKILL")
      assert.strictEqual(yield* running.ended, "SIGKILL")
      for (const name of kept) {
        const lines = text(name).split("\n")
        assert.strictEqual(lines.pop(), "")
        assert.deepStrictEqual(
          // In the order in which their counts of tokens came back
          lines.map((line) => [json(line)["request_id"], json(line)["error_code"]]).toSorted(),
          [
            [1, null],
            [2, null],
            [3, null]
          ]
        )
      }
      assert.deepInclude(json(text("run.json")), { run_id: "run", planned: 5, open_loop: true })
      assert.deepStrictEqual(names(), [".llmperf-run.lock", ...kept, "run.json", "schedule.csv"])
    })
  )

  it.live("stops at the first signal when nothing has been sent yet", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      // The folder is made first, and such prompts take a while.
      const { isThere, running } = yield* replay(server, {
        offsets: Array.from({ length: 80 }, () => 0),
        inputTokens: 90_000
      })
      yield* running.until(() => isThere("schedule.csv"), "the folder is there")
      running.signal("SIGINT")
      assert.strictEqual(yield* running.ended, 130)
      assert.lengthOf(server.seen, 0)
      assert.isFalse(isThere("summary.json"))
    })
  )
})
