import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { createReadStream, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { file, folder } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { json, rowsIn, start } from "./processes.ts"

const loadTest = (count: number, ...more: ReadonlyArray<string>) => [
  "load-test",
  "--model=demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  `--max-num-completed-requests=${count}`,
  "--no-warmup",
  ...more
]

const environment = (server: OpenAiServer.OpenAiServer) => ({
  PATH: process.env["PATH"] ?? "",
  OPENAI_API_BASE: server.url,
  OPENAI_API_KEY: "key"
})

const summaryIn = (results: string) => json(readFileSync(join(results, "demo_60_150_summary.json"), "utf8"))

describe.concurrent("the output of a process", { timeout: 90_000 }, () => {
  it.live("is complete when connections have taken every file descriptor", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 3, everyMillis: 300 }))
      const results = yield* folder
      const running = yield* start(
        loadTest(120, "--num-concurrent-requests=120", `--results-dir=${results}`, "--quiet"),
        environment(server),
        { shell: 'ulimit -n 90 && exec "$@"' }
      )
      assert.strictEqual(yield* running.ended, 0, running.stderr())
      const summary = summaryIn(results)
      assert.strictEqual(summary["results_num_requests_started"], 120)
      assert.strictEqual(summary["verdict"], "INVALID")
      const failed = rowsIn(join(results, "records.ndjson")).filter((row) => row["error_code"] !== null)
      assert.isNotEmpty(failed)
      for (const row of failed) assert.match(String(row["error_msg"]), /EMFILE/)
    })
  )

  it.live("is not cut by the first Ctrl-C while results are written", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const results = yield* folder
      // A pipe in its place: writing the summary waits until somebody reads
      const pipe = join(results, "demo_60_150_summary.json")
      assert.strictEqual(spawnSync("mkfifo", [pipe]).status, 0)
      const list = join(results, "demo_60_150_individual_responses.json")
      const running = yield* start(loadTest(4, `--results-dir=${results}`), environment(server))
      yield* running.until(() => existsSync(list), "the list is written")
      running.signal("SIGINT")
      yield* running.until(() => running.stderr().includes("Writing the results."), "it has noticed")
      const summary = json(yield* Effect.promise(() => text(createReadStream(pipe))))
      assert.strictEqual(yield* running.ended, 0)
      assert.strictEqual(summary["results_num_completed_requests"], 4)
      assert.lengthOf(JSON.parse(readFileSync(list, "utf8")), 4)
      assert.include(running.stdout(), "4 ok, 0 failed")
    })
  )

  it.live("is written after SIGHUP, although nobody reads what is said any more", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 10, everyMillis: 20 }))
      const results = yield* folder
      const running = yield* start(loadTest(1_000, `--results-dir=${results}`), environment(server), {
        shell: 'exec "$@" > /dev/full 2> /dev/full'
      })
      yield* running.until(() => server.finished.length >= 4 && server.live() >= 2, "some requests are in flight")
      running.signal("SIGHUP")
      assert.oneOf(yield* running.ended, [3, 130])
      assert.strictEqual(summaryIn(results)["stopped"], "interrupted")
      assert.strictEqual(summaryIn(results)["results_num_completed_requests"], server.seen.length)
    })
  )

  it.live("that finds the disk full is a failure", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const running = yield* start(loadTest(4, "--json", "--quiet"), environment(server), {
        shell: 'exec "$@" > /dev/full'
      })
      assert.strictEqual(yield* running.ended, 3)
      assert.strictEqual(running.stderr(), "Cannot write standard output: no space is left on the disk\n")
    })
  )

  it.live("ends quietly with its reader", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const closed = { shell: '{ "$@"; echo "status $?" >&2; } | sleep 0' }
      const [probe, generate] = yield* Effect.all([
        start(["probe", "--model=demo"], environment(server), closed),
        start(["schedule", "generate", "--request-rate=1000", "--duration=60s"], environment(server), closed)
      ])
      for (const running of [probe, generate]) {
        assert.strictEqual(yield* running.ended, 0)
        assert.strictEqual(running.stderr(), "status 0\n")
      }
    })
  )

  it.live("has nothing of a failure that nobody foresaw: standard error has it", () =>
    Effect.gen(function* () {
      const module = yield* file("broken.mjs", 'export const layer = () => { throw new Error("never thought of") }\n')
      const running = yield* start(["load-test", "--model=demo", `--provider=${module}`, "--no-warmup"])
      yield* running.ended
      assert.strictEqual(running.stdout(), "")
      assert.include(running.stderr(), "never thought of")
    })
  )
})
