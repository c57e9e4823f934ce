import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { askedNumber } from "../../src/simulator/internal/numberQuestion.ts"
import { file, folder, llmperf } from "./invocation.ts"
import * as OpenAiServer from "./openAiServer.ts"
import { json, rowsIn } from "./processes.ts"

const simulated = (...args: ReadonlyArray<string>) =>
  llmperf([
    "correctness",
    "--llm-api=simulated",
    "--model=org/demo",
    "--sim-ttft=2ms",
    "--sim-itl=1ms",
    "--no-warmup",
    ...args
  ])

const against = (server: OpenAiServer.OpenAiServer, ...args: ReadonlyArray<string>) =>
  llmperf(["correctness", "--model=org/demo", "--no-warmup", ...args], {
    env: { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "secret" }
  })

// Most of the time of a run goes into starting its threads, so they run side by side.
describe.concurrent("llmperf correctness", { timeout: 90_000 }, () => {
  it.live("finds every answer right, and saves it", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const outcome = yield* simulated(`--results-dir=${results}`, "--run-id=night", "--metadata=gpu=H100", "--json")
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.unreported, "")
      assert.deepStrictEqual(readdirSync(results).toSorted(), [
        "org-demo_correctness_individual_responses.json",
        "org-demo_correctness_summary.json",
        "records.ndjson",
        "run.json"
      ])
      assert.strictEqual(outcome.stdout, readFileSync(join(results, "org-demo_correctness_summary.json"), "utf8"))
      assert.deepInclude(json(outcome.stdout), {
        name: "org-demo_correctness_summary",
        number_errors: 0,
        num_mismatched_requests: 0,
        error_rate: 0,
        mismatch_rate: 0,
        num_completed_requests: 50,
        num_non_errored_requests: 50,
        model: "org/demo",
        num_concurrent_requests: 10,
        llm_api: "simulated",
        num_correct_requests: 50,
        run_id: "night",
        gpu: "H100",
        // Its answers count as many tokens as it says
        results_usage_output_tokens_num_requests_different: 0,
        results_max_requests_in_flight: 10
      })
      assert.match(outcome.stderr, /50 right, 0 wrong, 0 without a number/)
      const rows = rowsIn(join(results, "records.ndjson"))
      assert.lengthOf(rows, 50)
      assert.isTrue(rows.every((row) => row["verdict"] === "correct"))
      for (const name of readdirSync(results)) {
        assert.notMatch(readFileSync(join(results, name), "utf8"), /NaN|Infinity/)
      }
    })
  )

  it.live("shows wrong answers and such without a number, and is fine with them", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const args = ["--sim-wrong-rate=20%", "--sim-silent-rate=0.1", "--seed=3"]
      const outcome = yield* simulated(...args, `--results-dir=${results}`)
      assert.strictEqual(outcome.exitCode, 0)
      assert.strictEqual(outcome.stderr, "")
      const summary = json(readFileSync(join(results, "org-demo_correctness_summary.json"), "utf8"))
      const mismatched = Number(summary["num_mismatched_requests"])
      const silent = Number(summary["num_no_number_requests"])
      assert.isAbove(mismatched, silent)
      assert.isAbove(silent, 0)
      assert.strictEqual(summary["mismatch_rate"], mismatched / 50)
      assert.include(
        outcome.stdout,
        `${50 - mismatched} right, ${mismatched - silent} wrong, ${silent} without a number`
      )
      const rows = rowsIn(join(results, "records.ndjson"))
      assert.lengthOf(
        rows.filter((row) => row["verdict"] === "mismatch" || row["verdict"] === "no_number"),
        mismatched
      )
      for (const row of rows.filter(({ verdict }) => verdict === "no_number")) {
        assert.match(
          outcome.stdout,
          new RegExp(`#${String(row["request_id"])} +expected +${String(row["expected"])}, got I can not tell\\.`)
        )
      }
      // The same seed, the same answers
      const again = yield* simulated(...args, "--json", "--quiet")
      assert.strictEqual(json(again.stdout)["num_mismatched_requests"], mismatched)
      assert.strictEqual(again.stderr, "")
    })
  )

  it.live("ends with 1 when more of the answers are wrong than may be", () =>
    Effect.gen(function* () {
      const [strict, lenient, failing] = yield* Effect.all([
        simulated("--sim-wrong-rate=1", "--max-mismatch-rate=5%", "--max-num-completed-requests=5", "--quiet"),
        simulated("--sim-wrong-rate=1", "--max-mismatch-rate=100%", "--max-num-completed-requests=5", "--quiet"),
        simulated("--sim-fault=429@every=2", "--max-mismatch-rate=0", "--max-num-completed-requests=6", "--quiet")
      ])
      assert.strictEqual(strict.exitCode, 1)
      assert.strictEqual(strict.stdout, "")
      assert.match(strict.stderr, /^100\.0 % of the answers are wrong; --max-mismatch-rate allows 5 %\.\n$/)
      assert.deepStrictEqual(lenient, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
      // Requests that failed are no wrong answers
      assert.strictEqual(failing.exitCode, 0)
    })
  )

  it.live("ends with 1 when a threshold on its answers or its requests is missed, and writes a report", () =>
    Effect.gen(function* () {
      const results = yield* folder
      const args = ["--max-num-completed-requests=5", "--sim-wrong-rate=1"]
      const [missed, met] = yield* Effect.all([
        simulated(
          ...args,
          "--threshold=num_mismatched_requests < 5",
          "--threshold=ttft_s.max < 1min",
          `--results-dir=${results}`,
          "--report"
        ),
        simulated(...args, "--threshold=num_mismatched_requests <= 5", "--threshold=results_error_rate < 1%", "--quiet")
      ])
      assert.strictEqual(missed.exitCode, 1)
      assert.match(missed.stdout, /\nThresholds: 1 of 2 missed\n {2}MISSED {2}num_mismatched_requests < 5 .*\n {2}met /)
      const report = join(results, "org-demo_correctness_report.html")
      assert.include(missed.stdout, report)
      assert.match(readFileSync(report, "utf8"), /<h1>org\/demo<\/h1>/)
      assert.deepStrictEqual(met, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
    })
  )

  it.live("ends with 1 when every request has failed, and says why", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ status: 500 }))
      const outcome = yield* against(server, "--max-num-completed-requests=4")
      assert.strictEqual(outcome.exitCode, 1)
      assert.match(outcome.stdout, /^All 4 requests failed: 4 × HTTP 500\./)
      assert.match(outcome.stdout, /4 × HTTP 500: out of order/)
    })
  )

  it.live("sends a temperature of 0 and no limit, and over it what the user wants", () =>
    Effect.gen(function* () {
      const plain = yield* OpenAiServer.make()
      const own = yield* OpenAiServer.make()
      const config = yield* file("run.yaml", "max-num-completed-requests: 3\nheader: { X-Team: inference }\n")
      const [first, second] = yield* Effect.all([
        against(plain, "--max-num-completed-requests=7", "--num-concurrent-requests=3", "--run-id=wire", "--quiet"),
        against(
          own,
          `--config=${config}`,
          '--additional-sampling-params={"temperature":null,"max_tokens":9}',
          "--quiet",
          "--json"
        )
      ])
      assert.strictEqual(first.exitCode, 0)
      assert.lengthOf(plain.seen, 7)
      assert.strictEqual(plain.peak(), 3)
      assert.deepStrictEqual(
        plain.ids().toSorted(),
        Array.from({ length: 7 }, (_, i) => `wire-${i + 1}`)
      )
      for (const { body } of plain.seen) {
        const { messages, ...fields } = body
        assert.deepStrictEqual(fields, {
          model: "org/demo",
          stream: true,
          stream_options: { include_usage: true },
          temperature: 0
        })
        const prompt = JSON.stringify(messages)
        assert.match(
          prompt,
          /Convert the following sequence of words into a number: [a-z, -]+\. Output just your final answer\./
        )
        assert.isNumber(askedNumber(prompt))
      }
      // This server says "word word word"
      assert.strictEqual(second.exitCode, 0)
      assert.deepInclude(json(second.stdout), {
        mismatch_rate: 1,
        num_no_number_requests: 3,
        additional_sampling_params_temperature: null,
        additional_sampling_params_max_tokens: 9
      })
      for (const { body, headers } of own.seen) {
        assert.isFalse("temperature" in body)
        assert.strictEqual(body["max_tokens"], 9)
        assert.strictEqual(headers["x-team"], "inference")
      }
    })
  )

  it.live("ends with 130 after Ctrl-C, and keeps what had ended", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make(() => ({ words: 20, everyMillis: 5 }))
      const results = yield* folder
      const interruption = Effect.gen(function* () {
        while (server.seen.length < 4) yield* Effect.sleep(2)
      })
      const outcome = yield* llmperf(
        [
          "correctness",
          "--model=org/demo",
          "--max-num-completed-requests=500",
          "--num-concurrent-requests=2",
          "--json",
          `--results-dir=${results}`
        ],
        { interruption, env: { OPENAI_API_BASE: server.url, OPENAI_API_KEY: "secret" } }
      )
      assert.strictEqual(outcome.exitCode, 130)
      const started = server.seen.length
      assert.deepInclude(json(outcome.stdout), { stopped: "interrupted", num_completed_requests: started })
      assert.match(outcome.stderr, /^Stopping: no new requests; those in flight have 30 s to end\./)
      assert.match(outcome.stderr, new RegExp(`Interrupted: ${500 - started} requests were not sent`))
      assert.lengthOf(rowsIn(join(results, "records.ndjson")), started)
    })
  )

  it.live("asks other APIs in their formats", () =>
    Effect.gen(function* () {
      const model = ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0) })
      const context = yield* Layer.build(
        Layer.provide(HttpFront.layer(HttpFront.HttpFrontOptions.make({})), ModelServer.layer(model))
      )
      const { url } = Context.get(context, HttpFront.HttpFront)
      for (const llmApi of ["anthropic", "ollama"]) {
        const args = [`--llm-api=${llmApi}`, `--api-base=${url}`, "--model=m", "--max-num-completed-requests=12"]
        const outcome = yield* llmperf(["correctness", ...args, "--no-warmup", "--json", "--quiet"], {
          env: { ANTHROPIC_API_KEY: "any" }
        })
        assert.strictEqual(outcome.exitCode, 0, outcome.stderr)
        assert.deepInclude(json(outcome.stdout), { num_correct_requests: 12, number_errors: 0, llm_api: llmApi })
      }
    })
  )

  it.live("refuses wrong use before anything is sent", () =>
    Effect.gen(function* () {
      const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, said: RegExp]> = [
        [[], /model/],
        [["--model=m"], /OPENAI_API_BASE/],
        [["--model=m", "--max-mismatch-rate=2"], /a share from 0 to 1/],
        [["--model=m", "--max-mismatch-rate=abc%"], /a share from 0 to 1/],
        [["--model=m", "--llm-api=simulated", "--metadata=mismatch_rate=1"], /mismatch_rate/],
        [["--model=m", "--schedule-file=x"], /schedule-file/]
      ]
      for (const [args, said] of wrong) {
        const outcome = yield* llmperf(["correctness", ...args])
        assert.strictEqual(outcome.exitCode, 2, args.join(" "))
        assert.match(outcome.stderr, said)
        assert.strictEqual(outcome.stdout, "")
      }
    })
  )
})
