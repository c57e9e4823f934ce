import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { failure, record } from "../metrics/records.ts"
import { folder, llmperf } from "./invocation.ts"

/** A folder with what a killed load test left: four of ten requests, and the beginning of a fifth line. */
const killed = Effect.gen(function* () {
  const directory = yield* folder
  yield* RunManifest.write(join(directory, "run.json"), {
    runId: "night",
    files: ResultFiles.names("org/m", 550, 150),
    resultsPrefix: "results_",
    startTime: 1_764_000_000,
    planned: 10,
    openLoop: false,
    parameters: { model: "org/m" },
    details: { run_id: "night", shared_prompts: "llmperf" },
    metadata: {}
  }).pipe(Effect.provide(NodeServices.layer))
  const usage = { usage_input_tokens: 100, usage_cached_input_tokens: 95 }
  const rows = [1, 2, 3].map((id) =>
    record({ ...usage, request_id: id, x_request_id: `night-${id}`, end_offset_s: id })
  )
  rows.push(failure(500, "HttpStatus", "broken", { request_id: 4, x_request_id: "night-4" }))
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`)
  writeFileSync(join(directory, "records.ndjson"), `${lines.join("")}{"error_co`)
  return directory
})

const summary = "org-m_550_150_summary.json"
const responses = "org-m_550_150_individual_responses.json"

describe("recover", () => {
  it.effect("writes the results and shows them", () =>
    Effect.gen(function* () {
      const directory = yield* killed
      const { exitCode, stderr, stdout, unreported } = yield* llmperf(["recover", directory])
      assert.deepStrictEqual({ exitCode, stderr, unreported }, { exitCode: 0, stderr: "", unreported: "" })
      assert.match(stdout, /^Recovered run night of org\/m\n/)
      assert.match(stdout, /\n4 of 10 requests had ended and are here\.\n/)
      assert.match(stdout, /\nThe other 6 were in flight or not sent when the run ended\.\n/)
      assert.match(stdout, /\nTTFT \(ms\) /)
      assert.match(stdout, /\nrequests +3 ok, 1 failed\n/)
      assert.include(stdout, `  ${join(directory, summary)}\n  ${join(directory, responses)}\n`)
      assert.deepStrictEqual(
        readdirSync(directory).toSorted(),
        ["records.ndjson", "run.json", responses, summary].toSorted()
      )
      assert.lengthOf(JSON.parse(readFileSync(join(directory, responses), "utf8")), 4)
      const warned = /\n! 95\.0 % of the input tokens came from the server's cache [^]*--prompt-mode llmperf/
      assert.match(stdout, warned)
      assert.match((yield* llmperf(["analyze", directory])).stdout, warned)
    }).pipe(Effect.scoped)
  )

  it.effect("prints the summary as JSON, and nothing else where it is to be quiet", () =>
    Effect.gen(function* () {
      const directory = yield* killed
      const both = yield* llmperf(["recover", "--json", directory])
      assert.strictEqual(both.stdout, readFileSync(join(directory, summary), "utf8"))
      assert.match(both.stderr, /^Recovered run night/)
      assert.strictEqual(JSON.parse(both.stdout).stopped, "recovered")
      assert.strictEqual(JSON.parse(both.stdout).results_num_unsent_requests, 6)

      const json = yield* llmperf(["recover", directory, "--force", "--json", "--quiet"])
      assert.deepStrictEqual([json.exitCode, json.stderr], [0, ""])
      assert.strictEqual(JSON.parse(json.stdout).run_id, "night")
      const quiet = yield* llmperf(["recover", directory, "--force", "--quiet"])
      assert.deepStrictEqual([quiet.exitCode, quiet.stdout, quiet.stderr], [0, "", ""])
    }).pipe(Effect.scoped)
  )

  it.effect("refuses wrong use with 2, without touching anything", () =>
    Effect.gen(function* () {
      const directory = yield* killed
      yield* llmperf(["recover", directory, "--quiet"])
      const empty = yield* folder
      const foreign = yield* folder
      writeFileSync(join(foreign, "run.json"), '{"format": 99}')
      const broken = yield* killed
      writeFileSync(join(broken, "records.ndjson"), '{"request_id": 1}\n{}\n')
      for (const [args, told] of [
        [["recover"], /dir/i],
        [["recover", directory], /the summary of the run is there already .* To replace it, use --force\.\n$/],
        [["recover", empty], /it holds no run\.json\. Give the folder that a run wrote its records to\.\n$/],
        [["recover", join(empty, "none")], /it holds no run\.json/],
        [["recover", foreign], /^Cannot read .*run\.json: it has format 99/],
        [["recover", broken], /^Cannot read .*records\.ndjson, line 1: /],
        [["recover", directory, "--forse"], /--forse/]
      ] as const) {
        const before = readFileSync(join(directory, summary), "utf8")
        const outcome = yield* llmperf(args)
        assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [2, "", ""], outcome.stderr)
        assert.match(outcome.stderr, told)
        assert.notMatch(outcome.stderr, /\n\s+at |\[object|undefined/)
        assert.strictEqual(readFileSync(join(directory, summary), "utf8"), before)
      }
      assert.deepStrictEqual(readdirSync(empty), [])
      assert.deepStrictEqual(readdirSync(broken).toSorted(), ["records.ndjson", "run.json"])
    }).pipe(Effect.scoped)
  )

  it.effect("ends with 3 when it cannot write", () =>
    Effect.gen(function* () {
      const directory = yield* killed
      // A folder that is not empty cannot be replaced by a file, not even by root
      mkdirSync(join(directory, summary, "in the way"), { recursive: true })
      assert.match((yield* llmperf(["recover", directory])).stderr, /is there and cannot be read.*--force/s)
      const outcome = yield* llmperf(["recover", directory, "--force"])
      assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [3, "", ""])
      assert.strictEqual(
        outcome.stderr,
        `Cannot write ${join(directory, summary)}: a folder has the name of the file\n`
      )
    }).pipe(Effect.scoped)
  )

  it.effect("has a help with a description of each flag, and examples that are right", () =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* llmperf(["recover", "--help"])
      assert.deepStrictEqual([exitCode, stderr], [0, ""])
      for (const part of [
        /--force\n +Replace/,
        /--json\n/,
        /--quiet\n/,
        /env: LLMPERF_FORCE\)/,
        /USAGE\n +llmperf recover/
      ]) {
        assert.match(stdout, part)
      }
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 100, line)
      const examples = [...(stdout.split("\nEXAMPLES\n")[1] ?? "").matchAll(/^ {2}llmperf (recover .*?)( > \S+)?$/gm)]
      assert.lengthOf(examples, 3)
      const empty = yield* folder
      for (const [, example = ""] of examples) {
        const args = example.split(" ").map((arg) => arg.replace(/^result_outputs/, empty))
        // It is understood; what is wrong is only that there is no such run
        assert.match((yield* llmperf(args)).stderr, /it holds no run\.json/)
      }
    }).pipe(Effect.scoped)
  )
})
