import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as ChunkTimes from "../../src/output/ChunkTimes.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { answer, start } from "../output/chunkTimes.ts"
import { outcomes, summaryOf } from "../output/results.ts"
import { folder, llmperf } from "./invocation.ts"

const summary = "m_550_150_summary.json"

/** A folder with a finished run. */
const finished = Effect.gen(function* () {
  const directory = yield* folder
  const parts = { parameters: { model: "m" }, details: { run_id: "demo" }, resultsPrefix: "results_", metadata: {} }
  yield* RunManifest.write(join(directory, "run.json"), {
    ...parts,
    runId: "demo",
    files: ResultFiles.names("m", 550, 150),
    startTime: 1_764_000_000,
    planned: 16,
    openLoop: false
  }).pipe(Effect.provide(NodeServices.layer))
  const document = ResultFiles.document({
    ...parts,
    name: "m_550_150_summary",
    results: summaryOf(outcomes, 5),
    timestamp: 1
  })
  writeFileSync(join(directory, summary), ResultFiles.stringify(document))
  writeFileSync(join(directory, "records.ndjson"), outcomes.map(({ record }) => `${JSON.stringify(record)}\n`).join(""))
  return directory
})

describe("export", () => {
  it.effect("writes to standard output, or to a file", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const records = readFileSync(join(directory, "records.ndjson"), "utf8")
      const piped = yield* llmperf(["export", directory, "--format", "ndjson"])
      assert.deepStrictEqual(piped, { exitCode: 0, stdout: records, stderr: "", unreported: "" })
      const named = yield* llmperf(["export", join(directory, summary), "--format", "csv", "--out", "-"])
      assert.match(named.stdout, /^error_code,error_msg,inter_token_latency_s,/)
      assert.lengthOf(named.stdout.split("\r\n"), 18)
      const metrics = yield* llmperf(["export", directory, "--format", "openmetrics"])
      assert.match(metrics.stdout, /\nllmperf_ttft_seconds\{model="m",run_id="demo",quantile="0\.99"\} \d/)

      const target = join(directory, "requests.parquet")
      const saved = yield* llmperf(["export", directory, "--out", target])
      assert.deepStrictEqual(saved, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
      assert.strictEqual(readFileSync(target).subarray(0, 4).toString(), "PAR1")
      assert.deepStrictEqual(
        readdirSync(directory).filter((name) => name.includes("tmp")),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.effect("takes the format from the name of the file", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const target = yield* folder
      for (const [name, beginning, more] of [
        ["a.csv", "error_code,", []],
        ["a.CSV", "error_code,", ["--format", "csv"]],
        ["a.ndjson", '{"error_code":', []],
        ["a.jsonl", '{"error_code":', []],
        ["a.pq", "PAR1", []],
        ["a.prom", "# HELP llmperf_", []],
        ["a.om", "# TYPE llmperf_", []],
        ["results.v1/a.openmetrics", "# TYPE llmperf_", []],
        ["a.txt", "error_code,", ["--format", "csv"]]
      ] as const) {
        const file = join(target, name)
        mkdirSync(dirname(file), { recursive: true })
        const { exitCode, stderr } = yield* llmperf(["export", directory, "--out", file, ...more])
        assert.deepStrictEqual([exitCode, stderr], [0, ""], name)
        assert.strictEqual(readFileSync(file, "utf8").slice(0, beginning.length), beginning, name)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("exports the requests of a run that has no summary, and says so", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      rmSync(join(directory, summary))
      const requests = yield* llmperf(["export", directory, "--format", "ndjson"])
      assert.strictEqual(requests.exitCode, 0)
      assert.lengthOf(requests.stdout.split("\n"), 17)
      assert.match(requests.stderr, /has no summary: the run has not ended yet, or was killed\./)
      const metrics = yield* llmperf(["export", directory, "--format", "prometheus"])
      assert.deepStrictEqual([metrics.exitCode, metrics.stdout], [2, ""])
      assert.match(metrics.stderr, /as prometheus: the run has no summary\. .*llmperf recover makes the summary/)
    }).pipe(Effect.scoped)
  )

  it.effect("exports the chunks of a run that has kept their times", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const without = yield* llmperf(["export", directory, "--chunks", "--format", "csv"])
      assert.deepStrictEqual([without.exitCode, without.stdout], [2, ""])
      assert.match(without.stderr, /there are no chunk times of it\. .*--chunk-times/)

      const file = join(directory, "chunks.arrow")
      yield* Effect.scoped(
        Effect.map(ChunkTimes.makeWriter(file, { runId: "demo" }), (writer) => {
          for (let id = 1; id <= 3; id++) writer.append(answer(id, 50), start)
        })
      ).pipe(Effect.provide(NodeServices.layer))
      const csv = yield* llmperf(["export", directory, "--chunks", "--format", "csv"])
      assert.deepStrictEqual([csv.exitCode, csv.stderr, csv.unreported], [0, "", ""])
      assert.match(csv.stdout, /^request_id,chunk,arrival_offset_s,since_sent_s,gap_s\r\n1,1,/)
      assert.lengthOf(csv.stdout.split("\r\n"), 152)
      const target = join(directory, "out.parquet")
      const saved = yield* llmperf(["export", file, "--chunks", "--format", "parquet", "--out", target])
      assert.deepStrictEqual(saved, { exitCode: 0, stdout: "", stderr: "", unreported: "" })
      assert.strictEqual(readFileSync(target).subarray(0, 4).toString(), "PAR1")

      const wrong = yield* llmperf(["export", directory, "--chunks", "--format", "prometheus"])
      assert.deepStrictEqual([wrong.exitCode, wrong.stdout], [2, ""])
      assert.match(wrong.stderr, /--chunks can be written as csv, parquet or ndjson, not as prometheus/)

      // The run was killed as it wrote
      writeFileSync(file, readFileSync(file).subarray(0, -20))
      const cut = yield* llmperf(["export", directory, "--chunks", "--format", "ndjson"])
      assert.deepStrictEqual([cut.exitCode, cut.stdout], [0, ""])
      assert.match(
        cut.stderr,
        /chunks\.arrow is not closed: .* Its last \d+ bytes are a part of a block, and are left out\./
      )
      writeFileSync(file, "no Arrow at all")
      const broken = yield* llmperf(["export", directory, "--chunks", "--format", "ndjson"])
      assert.deepStrictEqual([broken.exitCode, broken.stdout], [2, ""])
      assert.match(broken.stderr, /Cannot read chunk times from .*: its beginning is damaged/)
    }).pipe(Effect.scoped)
  )

  it.effect("refuses wrong use with 2, and ends with 3 when it cannot write", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const empty = yield* folder
      for (const [args, code, told] of [
        [["export", directory], 2, /^Say what to write to standard output with --format, or name a file/],
        [["export", directory, "--out", join(empty, "x.txt")], 2, /x\.txt does not say the format: .*\.csv, /],
        [["export", directory, "--out", join(empty, "csv")], 2, /does not say the format/],
        [
          ["export", directory, "--format", "csv", "--out", join(empty, "x.parquet")],
          2,
          /^--format csv contradicts --out .*x\.parquet, whose name says parquet\n$/
        ],
        [["export", directory, "--out", join(empty, "x.csv.gz")], 2, /export does not compress\. .*\| gzip > /],
        [["export", directory, "--format", "xlsx"], 2, /one of csv, parquet, ndjson, prometheus, openmetrics/],
        [["export", join(empty, "none"), "--format", "csv"], 2, /there is no such file or folder/],
        [["export", empty, "--format", "csv"], 2, /it holds no results/],
        [
          ["export", directory, "--format", "csv", "--out", join(empty, "no", "x")],
          3,
          /^Cannot write .*: its folder does not exist\n$/
        ]
      ] as const) {
        const outcome = yield* llmperf(args)
        assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [code, "", ""], outcome.stderr)
        assert.match(outcome.stderr, told)
        assert.notMatch(outcome.stderr, /\n\s+at |\[object|undefined/)
      }
      assert.deepStrictEqual(readdirSync(empty), [])
    }).pipe(Effect.scoped)
  )
})

describe("analyze", () => {
  it.effect("shows the summary of a part, as a table and as JSON", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const shown = yield* llmperf(["analyze", directory, "--warm-up", "2s"])
      assert.deepStrictEqual([shown.exitCode, shown.stderr, shown.unreported], [0, "", ""])
      assert.match(shown.stdout, /^Analysis of run demo of m\n/)
      assert.match(shown.stdout, /\n\d+ of 16 requests are in these numbers\.\n/)
      assert.match(shown.stdout, /\nInter-chunk latency is unavailable/)

      const json = yield* llmperf(["analyze", directory, "--skip-first", "4", "--to", "1m", "--json", "--quiet"])
      const document = JSON.parse(json.stdout)
      assert.deepStrictEqual(
        [document.results_num_requests_started, document.analysis_skip_first, document.analysis_to_s, json.stderr],
        [12, 4, 60, ""]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("writes it where that is asked for", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      const target = join(yield* folder, "new", "m_550_150_analyzed_summary.json")
      const saved = yield* llmperf(["analyze", directory, "--only", "sampled", "--out", join(target, "..")])
      assert.strictEqual(saved.exitCode, 0, saved.stderr)
      assert.include(saved.stdout, `  ${target}\n`)
      assert.strictEqual(JSON.parse(readFileSync(target, "utf8")).name, "m_550_150_analyzed_summary")
    }).pipe(Effect.scoped)
  )

  it.effect("refuses what cannot be", () =>
    Effect.gen(function* () {
      const directory = yield* finished
      writeFileSync(join(directory, "file"), "")
      for (const [args, code, told] of [
        [["--tokenizer", "llama"], 2, /the texts of prompts and answers are not saved/],
        [["--from", "10s", "--to", "5s"], 2, /--to 5s is not after the beginning/],
        [["--from", "1h"], 2, /none of its 16 requests is left/],
        [["--only", "some"], 2, /one of sampled, all/],
        [["--out", join(directory, "file"), "--quiet"], 3, /^Cannot write .*file: /]
      ] as const) {
        const outcome = yield* llmperf(["analyze", directory, ...args])
        assert.deepStrictEqual([outcome.exitCode, outcome.stdout, outcome.unreported], [code, "", ""], outcome.stderr)
        assert.match(outcome.stderr, told)
      }
      const ready = yield* llmperf(["analyze", directory, "--quiet"], { env: { LLMPERF_TOKENIZER: "llama" } })
      assert.strictEqual(ready.exitCode, 0, ready.stderr)
    }).pipe(Effect.scoped)
  )

  it.effect("has, as export has, a help with examples that are right", () =>
    Effect.gen(function* () {
      const empty = yield* folder
      for (const command of ["export", "analyze"]) {
        const { exitCode, stderr, stdout } = yield* llmperf([command, "--help"])
        assert.deepStrictEqual([exitCode, stderr], [0, ""])
        for (const line of stdout.split("\n")) assert.isAtMost(line.length, 100, line)
        const examples = [...(stdout.split("\nEXAMPLES\n")[1] ?? "").matchAll(/^ {2}llmperf (\w+ .*?)( > \S+)?$/gm)]
        assert.lengthOf(examples, command === "export" ? 4 : 3)
        for (const [, example = ""] of examples) {
          // It is understood; what is wrong is only that there is no such run
          const { stderr } = yield* llmperf(example.split(" ").map((word) => (word === "results" ? empty : word)))
          assert.match(stderr, /it holds no results/)
        }
      }
    }).pipe(Effect.scoped)
  )
})
