import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { file, folder, llmperf, type Surroundings } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"

const small = [
  "load-test",
  "--model=org/demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  "--mean-output-tokens=5",
  "--stddev-output-tokens=1"
]

/** A small run against a server, all the flags after the small ones. */
const against = (server: OpenAiServer.OpenAiServer, args: ReadonlyArray<string>, around: Surroundings = {}) =>
  llmperf([...small, ...args], {
    ...around,
    env: { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "secret", ...around.env }
  })

const json = (text: string): { readonly [key: string]: unknown } => JSON.parse(text)

const rowsIn = (path: string): ReadonlyArray<{ readonly [key: string]: unknown }> =>
  readFileSync(path, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => json(line))

const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index + 1)

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("llmperf load-test", { timeout: 90_000 }, () => {
  it.live.each([
    {
      what: "refuses the key",
      server: { status: 401 },
      failure: "HTTP 401",
      advice: /does not accept the credentials/
    },
    { what: "knows no such model", server: { status: 404 }, failure: "HTTP 404", advice: /no such path or model/ },
    { what: "answers 400 to all", server: { status: 400 }, failure: "HTTP 400", advice: /rejected the request/ }
  ])("ends early when the server $what, and does not blame the client", ({ advice, failure, server: answer }) =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => answer)
      const results = yield* folder
      const outcome = yield* against(server, [
        "--num-concurrent-requests=4",
        "--max-num-completed-requests=300",
        "--no-warmup",
        "--strict",
        `--results-dir=${results}`
      ])
      assert.strictEqual(outcome.exitCode, 1)
      const sent = server.seen.length
      assert.isAtLeast(sent, 50)
      assert.isBelow(sent, 100)
      // In lines of some width
      const said = outcome.stdout.replaceAll(/\s+/g, " ")
      assert.match(
        said,
        new RegExp(`Stopped after 50 requests in a row failed with ${failure} .*; ${300 - sent} were not sent`)
      )
      assert.match(outcome.stdout, advice)
      assert.match(outcome.stdout, /No verdict: no request succeeded/)
      assert.notMatch(outcome.stdout, /INVALID|--workers/)
      const summary = json(readFileSync(join(results, "org-demo_60_5_summary.json"), "utf8"))
      assert.strictEqual(summary["stopped"], "errors")
      assert.isNull(summary["verdict"])
      assert.deepStrictEqual(summary["verdict_reasons"], [])
      assert.lengthOf(rowsIn(join(results, "records.ndjson")), sent)
    })
  )

  it.live("ends early when a share of the requests fails, and judges those that succeeded", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make((request) => (request % 4 === 0 ? { status: 500 } : {}))
      const outcome = yield* against(server, ["--max-num-completed-requests=200", "--abort-on-errors=10%"])
      assert.strictEqual(outcome.exitCode, 1)
      assert.isBelow(server.seen.length, 100)
      assert.match(
        outcome.stdout,
        /Stopped after \d+ of \d+ requests failed \(HTTP 500\) \(--abort-on-errors 10%\); \d+\s+were\s+not\s+sent/
      )
      assert.notInclude(outcome.stdout, "No verdict")
    })
  )

  it.live("sends what was asked for, keeps it in flight, and saves it", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 5, everyMillis: 4 }))
      const results = join(yield* folder, "a", "b")
      const outcome = yield* against(server, [
        "--num-concurrent-requests=3",
        "--max-num-completed-requests=20",
        "--run-id=night",
        `--results-dir=${results}`,
        "--metadata=gpu=H100,note=a=b",
        "--json"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.unreported, "")
      assert.deepStrictEqual(
        server.ids().toSorted(),
        upTo(20)
          .map((id) => `night-${id}`)
          .toSorted()
      )
      assert.strictEqual(server.peak(), 3)
      assert.lengthOf(new Set(server.seen.map(({ body }) => JSON.stringify(body["messages"]))), 20)

      // One object of JSON, the very one in the file; the table is beside it.
      assert.deepStrictEqual(readdirSync(results).toSorted(), [
        "org-demo_60_5_individual_responses.json",
        "org-demo_60_5_summary.json",
        "records.ndjson",
        "run.json"
      ])
      assert.strictEqual(outcome.stdout, readFileSync(join(results, "org-demo_60_5_summary.json"), "utf8"))
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["results_num_completed_requests"], 20)
      assert.strictEqual(summary["results_max_requests_in_flight"], 3)
      assert.strictEqual(summary["gpu"], "H100")
      assert.strictEqual(summary["note"], "a=b")
      assert.strictEqual(summary["run_id"], "night")
      assert.strictEqual(summary["warmup_requests"], 0)
      assert.strictEqual(summary["warmup_opened_connections"], 3)
      for (const part of [/TTFT/, /p99/, /20 ok, 0 failed/, /org-demo_60_5_summary\.json/, /records\.ndjson/]) {
        assert.match(outcome.stderr, part)
      }
      const rows = rowsIn(join(results, "records.ndjson"))
      assert.deepStrictEqual(
        json(`{"rows":${readFileSync(join(results, "org-demo_60_5_individual_responses.json"), "utf8")}}`)["rows"],
        rows
      )
      assert.deepStrictEqual(
        rows.map((row) => [row["number_chunks"], row["error_code"]]),
        rows.map(() => [5, null])
      )
      for (const name of readdirSync(results)) {
        assert.notMatch(readFileSync(join(results, name), "utf8"), /NaN|Infinity|secret/)
      }
    })
  )

  it.live("puts headers, key and parameters on the wire", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const config = yield* file(
        "run.yaml",
        "header:\n  X-From-File: '1'\nrequest_id_header: X-Trace\nmax-num-completed-requests: 2\n"
      )
      const outcome = yield* against(server, [
        `--config=${config}`,
        "-H",
        "X-Team: inference",
        "-H",
        "User-Agent: mine",
        "--ignore-eos",
        '--additional-sampling-params={"temperature":0,"max_tokens":9,"stream_options":null}',
        "--run-id=wire",
        "--quiet",
        "--no-warmup"
      ])
      assert.deepStrictEqual(outcome, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
      assert.lengthOf(server.seen, 2)
      for (const [index, { method, path, headers, body }] of server.seen.entries()) {
        assert.strictEqual(method, "POST")
        assert.strictEqual(path, "/v1/chat/completions")
        assert.strictEqual(headers.authorization, "Bearer secret")
        assert.strictEqual(headers["x-team"], "inference")
        assert.strictEqual(headers["user-agent"], "mine")
        // Headers on the command line stand in for those of the file.
        assert.strictEqual(headers["x-from-file"], undefined)
        assert.strictEqual(headers["x-trace"], `wire-${index + 1}`)
        assert.strictEqual(headers["x-request-id"], undefined)
        const { messages, ...fields } = body
        assert.isArray(messages)
        assert.deepStrictEqual(fields, {
          model: "org/demo",
          stream: true,
          max_tokens: 9,
          temperature: 0,
          ignore_eos: true
        })
      }
    })
  )

  it.live("takes all of it from the environment too", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const outcome = yield* llmperf(["load-test"], {
        env: {
          OPENAI_API_KEY: "secret",
          LLMPERF_API_BASE: `${server.url}/some/base/`,
          LLMPERF_MODEL: "m",
          LLMPERF_ENDPOINT: "completions",
          LLMPERF_HEADER: "X-One: 1\nX-Two: 2",
          LLMPERF_REQUEST_ID_HEADER: "none",
          LLMPERF_MEAN_INPUT_TOKENS: "60",
          LLMPERF_STDDEV_INPUT_TOKENS: "5",
          LLMPERF_MAX_NUM_COMPLETED_REQUESTS: "2",
          LLMPERF_NUM_CONCURRENT_REQUESTS: "1",
          LLMPERF_METADATA: "gpu=H100",
          LLMPERF_WARMUP: "no",
          LLMPERF_JSON: "true",
          LLMPERF_QUIET: "true"
        }
      })
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.stderr, "")
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["gpu"], "H100")
      assert.strictEqual(summary["mean_input_tokens"], 60)
      assert.lengthOf(server.seen, 2)
      for (const { path, headers, body } of server.seen) {
        assert.strictEqual(path, "/some/base/completions")
        assert.strictEqual(headers["x-one"], "1")
        assert.strictEqual(headers["x-two"], "2")
        assert.strictEqual(headers["x-request-id"], undefined)
        assert.isString(body["prompt"])
      }
    })
  )

  it.live("sends requests to warm up that are not among the results", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const results = yield* folder
      const outcome = yield* against(server, [
        "--no-warmup",
        "--warmup-requests=3",
        "--max-num-completed-requests=4",
        "--num-concurrent-requests=2",
        "--run-id=warm",
        `--results-dir=${results}`,
        "--json",
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      const ids = server.ids()
      assert.deepStrictEqual(ids.slice(0, 3).toSorted(), ["warm-warmup-1", "warm-warmup-2", "warm-warmup-3"])
      assert.deepStrictEqual(ids.slice(3).toSorted(), ["warm-1", "warm-2", "warm-3", "warm-4"])
      // None of them has a prompt that the test itself sends.
      assert.lengthOf(new Set(server.seen.map(({ body }) => JSON.stringify(body["messages"]))), 7)
      assert.deepStrictEqual(
        rowsIn(join(results, "records.ndjson"))
          .map((row) => row["request_id"])
          .toSorted(),
        [1, 2, 3, 4]
      )
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["results_num_requests_started"], 4)
      assert.strictEqual(summary["warmup_requests"], 3)
      assert.strictEqual(summary["warmup_failed_requests"], 0)
      assert.strictEqual(summary["warmup_rehearsed_requests"], 0)
    })
  )

  it.live("ends with 1 when every request has failed, and counts the reasons", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make((ordinal) => ({ status: ordinal % 3 === 0 ? 429 : 500 }))
      const outcome = yield* against(server, ["--max-num-completed-requests=9", "--no-warmup"])
      assert.strictEqual(outcome.exitCode, 1)
      assert.strictEqual(outcome.unreported, "")
      assert.strictEqual(outcome.stderr, "")
      assert.match(outcome.stdout, /^All 9 requests failed: 6 × HTTP 500, 3 × HTTP 429\./)
      assert.match(outcome.stdout, /6 × HTTP 500: out of order/)
      assert.match(outcome.stdout, /3 × HTTP 429: out of order/)
      assert.lengthOf(server.seen, 9)
    })
  )

  it.live("says in one line that every request has failed where it is to be quiet", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make((ordinal) => ({ status: ordinal % 3 === 0 ? 429 : 500 }))
      const outcome = yield* against(server, ["--max-num-completed-requests=9", "--no-warmup", "--quiet"])
      assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [1, "", ""])
      assert.match(outcome.stderr, /^All 9 requests failed: HTTP 500: out of order.* \(and 1 more kind\)\n$/)
    })
  )

  it.live("is fine when some requests have failed, and says which part", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make((ordinal) => (ordinal === 2 ? { status: 503 } : {}))
      const outcome = yield* against(server, ["--max-num-completed-requests=4", "--num-concurrent-requests=1"])
      assert.strictEqual(outcome.exitCode, 0)
      assert.match(outcome.stdout, /3 ok, 1 failed/)
      assert.match(outcome.stdout, /1 of 4 requests/)
    })
  )

  it.live("stops starting requests at --timeout, cancels after the grace, and says what was not sent", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make((ordinal) => ({ words: 3, everyMillis: ordinal === 1 ? 1 : 60_000 }))
      const outcome = yield* against(server, [
        "--max-num-completed-requests=8",
        "--num-concurrent-requests=1",
        "--timeout=300ms",
        "--grace=100ms",
        "--no-warmup"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.match(outcome.stdout, /6 were not sent \(--timeout 300ms\)/)
      assert.match(outcome.stdout, /1 ok, 0 failed, 1 cancelled/)
      assert.lengthOf(server.seen, 2)
    })
  )

  it.live("does the same at the first Ctrl-C and ends with 130", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 20, everyMillis: 5 }))
      const results = yield* folder
      // Ctrl-C comes when the fourth request has arrived.
      const interruption = Effect.gen(function* () {
        while (server.seen.length < 4) yield* Effect.sleep(2)
      })
      const outcome = yield* against(
        server,
        ["--max-num-completed-requests=500", "--num-concurrent-requests=2", "--json", `--results-dir=${results}`],
        { interruption }
      )
      assert.strictEqual(outcome.exitCode, 130)
      assert.strictEqual(outcome.unreported, "")
      const summary = json(outcome.stdout)
      const started = server.seen.length
      assert.strictEqual(summary["stopped"], "interrupted")
      assert.strictEqual(summary["results_num_unsent_requests"], 500 - started)
      assert.strictEqual(summary["results_num_completed_requests"], started)
      assert.match(outcome.stderr, /^Stopping: no new requests; those in flight have 30 s to end\./)
      assert.match(outcome.stderr, new RegExp(`Interrupted: ${500 - started} requests were not sent`))
      assert.lengthOf(rowsIn(join(results, "records.ndjson")), started)
    })
  )

  it.live("tests a simulated server", () =>
    Effect.gen(function* () {
      const outcome = yield* llmperf([
        ...small,
        "--llm-api=simulated",
        "--sim-ttft=5ms",
        "--sim-itl=1ms",
        "--sim-fault=error-vllm@every=4",
        "--max-num-completed-requests=8",
        "--json",
        "--quiet"
      ])
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.stderr, "")
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["llm_api"], "simulated")
      assert.strictEqual(summary["results_num_completed_requests"], 6)
      assert.deepStrictEqual(summary["results_error_reason_frequency"], { InStream: 2 })
      // The simulated server writes exactly as many tokens as it is asked for.
      assert.strictEqual(summary["results_usage_output_tokens_num_requests_different"], 0)
    })
  )

  it.live("prints the summary as JSON without a results folder as with one", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const outcome = yield* against(server, ["--json", "--quiet", "--no-warmup", "--max-num-completed-requests=1"])
      const summary = json(outcome.stdout)
      assert.strictEqual(summary["name"], "org-demo_60_5_summary")
      assert.isAbove(Number(summary["timestamp"]), 1_600_000_000)
      assert.isTrue(Number.isInteger(summary["timestamp"]))
    })
  )
})
