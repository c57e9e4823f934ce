import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CorrectnessFiles from "../../src/output/CorrectnessFiles.ts"
import { makeElements, parseLoosely } from "../../src/output/internal/jsonElements.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import * as RunReader from "../../src/output/RunReader.ts"
import { failure, record } from "../metrics/records.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-reader-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const withFiles = (files: { readonly [name: string]: string }) =>
  Effect.map(folder, (path) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
    return path
  })

const load = (path: string) => RunReader.load(path).pipe(Effect.provide(NodeServices.layer))

/** What was found, with all of its records. */
const opened = (path: string) =>
  Effect.gen(function* () {
    const run = yield* RunReader.open(path)
    return { ...run, rows: yield* Stream.runCollect(run.records) }
  }).pipe(Effect.provide(NodeServices.layer))

const problem = (path: string) => Effect.map(Effect.flip(load(path)), ({ message }) => message)

const manifest = (path: string, runId: string) =>
  RunManifest.write(join(path, "run.json"), {
    runId,
    files: ResultFiles.names("m", 1, 1),
    resultsPrefix: "results_",
    startTime: 0,
    planned: 3,
    openLoop: true,
    parameters: { model: "m" },
    details: { run_id: runId },
    metadata: {}
  }).pipe(Effect.provide(NodeServices.layer))

/** As Python writes it: bare NaN, min and max of counts as text, codes as the text of a dictionary. */
const old = {
  summary: `{
    "version": "2023-08-31", "name": "m_550_150_summary", "model": "m", "mean_input_tokens": 550,
    "results_ttft_s_stddev": NaN, "results_number_input_tokens_min": "550",
    "results_error_code_frequency": "{429.0: 1}",
    "results_num_completed_requests": 2, "results_num_completed_requests_per_min": 12.0
}`,
  responses: `[
    {"error_code": null, "error_msg": "", "inter_token_latency_s": 0.05, "ttft_s": 0.4, "end_to_end_latency_s": 2.0,
     "start_time": 101.5, "end_time": 103.5, "request_output_throughput_token_per_s": 20.0, "number_total_tokens": 590,
     "number_output_tokens": 40, "number_input_tokens": 550},
    {"error_code": 429, "error_msg": "NaN, \\"[}\\\\", "inter_token_latency_s": 0, "ttft_s": 0, "end_to_end_latency_s": 0,
     "start_time": 101.0, "end_time": 101.1, "request_output_throughput_token_per_s": 0, "number_total_tokens": 550,
     "number_output_tokens": 0, "number_input_tokens": 550},
    {"error_code": null, "error_msg": "", "inter_token_latency_s": NaN, "ttft_s": -1, "end_to_end_latency_s": 3.0,
     "start_time": 100.0, "end_time": 103.0, "request_output_throughput_token_per_s": 10.0, "number_total_tokens": 580,
     "number_output_tokens": 30, "number_input_tokens": 550}
]`
}

const ours = (count: number, more: (id: number) => Parameters<typeof record>[0] = () => ({})) =>
  Array.from({ length: count }, (_, index) =>
    record({ request_id: index + 1, sent_offset_s: count - index, ttft_s: 0.1 + index / 10, ...more(index + 1) })
  )

describe("RunReader", () => {
  it.effect("reads files of LLMPerf, in the order in which requests were sent", () =>
    Effect.gen(function* () {
      const path = yield* withFiles({
        "m_550_150_summary.json": old.summary,
        "m_550_150_individual_responses.json": old.responses
      })
      for (const given of [
        path,
        join(path, "m_550_150_summary.json"),
        join(path, "m_550_150_individual_responses.json")
      ]) {
        const run = yield* load(given)
        const { series } = run
        assert.deepStrictEqual([run.writer, run.itl, run.summarized], ["LLMPerf", "per token with TTFT", true])
        assert.strictEqual(run.summary["mean_input_tokens"], 550)
        assert.isNull(run.summary["results_ttft_s_stddev"])
        assert.strictEqual(series.wallSeconds, 10)
        assert.isTrue(series.ordered)
        assert.deepStrictEqual([...series.failed], [0, 1, 0])
        assert.deepStrictEqual([...series.distributions.ttft_s], [NaN, NaN, 0.4])
        assert.deepStrictEqual([...series.distributions.inter_token_latency_s], [NaN, NaN, 0.05])
        assert.deepStrictEqual([...series.distributions.end_to_end_latency_s], [3, NaN, 2])
        assert.deepStrictEqual([...series.outputTokens], [30, 0, 40])
        assert.isTrue([...series.distributions.dispatch_lag_s].every(Number.isNaN))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("takes the mean between tokens from later versions, and the name without a beginning", () =>
    Effect.gen(function* () {
      const row = {
        error_code: null,
        ttft_s: 0.1,
        end_to_end_latency_s: 1,
        sum_inter_token_latency_s: 0.9,
        mean_inter_token_latency_s: 0.03,
        request_id: 1
      }
      const path = yield* withFiles({
        "summary.json": '{"model": "m", "wall_time_s": 7}',
        "_individual_responses.json": JSON.stringify([row, { ...row, mean_inter_token_latency_s: 0 }])
      })
      const run = yield* load(path)
      assert.deepStrictEqual([run.writer, run.itl, run.series.wallSeconds], ["LLMPerf", "between tokens", 7])
      assert.deepStrictEqual([...run.series.distributions.inter_token_latency_s], [0.03, NaN])
      assert.isFalse(run.series.ordered)
    }).pipe(Effect.scoped)
  )

  it.effect("reads the records of our own runs, those that are not measured too", () =>
    Effect.gen(function* () {
      const rows = [...ours(3, (id) => ({ sampled: id !== 2 })), failure(500, "HttpStatus", "", { sent_offset_s: 0.5 })]
      const path = yield* withFiles({
        "summary.json": JSON.stringify({ run_id: "one", wall_time_s: 20 }),
        "individual_responses.json": JSON.stringify(rows.filter(({ sampled }) => sampled)),
        "records.ndjson": `${rows.map((row) => JSON.stringify(row)).join("\n")}\n{"error_co`
      })
      yield* manifest(path, "one")
      const run = yield* load(path)
      assert.deepStrictEqual([run.writer, run.itl, run.series.length], ["llmperf", "between tokens", 4])
      assert.deepStrictEqual(
        [...run.series.distributions.ttft_s].map((x) => Number(x.toFixed(3))),
        [NaN, 0.3, NaN, 0.1]
      )
      assert.deepStrictEqual([...run.series.outputTokens], [0, 10, 10, 10])
      assert.strictEqual(run.series.uncounted, 0)

      // Records of a later run that wrote into the same folder are none of this one
      yield* manifest(path, "two")
      assert.strictEqual((yield* load(path)).series.length, 3)
    }).pipe(Effect.scoped)
  )

  it.effect("tells an answer without a count from a file without counts", () =>
    Effect.gen(function* () {
      const read = (rows: ReadonlyArray<object>) =>
        Effect.flatMap(withFiles({ "summary.json": "{}", "individual_responses.json": JSON.stringify(rows) }), load)
      const uncounted = yield* read(ours(3, (id) => ({ number_output_tokens: id === 2 ? null : 10 })))
      assert.strictEqual(uncounted.series.uncounted, 1)
      const old = yield* read(
        ours(3).map((row) => Object.fromEntries(Object.entries(row).filter(([key]) => key !== "number_output_tokens")))
      )
      assert.deepStrictEqual([old.series.uncounted, [...old.series.outputTokens]], [0, [0, 0, 0]])
    }).pipe(Effect.scoped)
  )

  it.effect("reads a run that was killed", () =>
    Effect.gen(function* () {
      const path = yield* withFiles({
        "records.ndjson": ours(2)
          .map((row) => `${JSON.stringify(row)}\n`)
          .join("")
      })
      yield* manifest(path, "one")
      const run = yield* load(path)
      assert.deepStrictEqual([run.summarized, run.summary["model"], run.series.length], [false, "m", 2])
      assert.strictEqual(run.series.wallSeconds, 1)
      assert.strictEqual((yield* load(join(path, "records.ndjson"))).series.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("reads a correctness test from its individual responses as from its records", () =>
    Effect.gen(function* () {
      const rows = [
        { ...ours(1)[0], expected: 12, verdict: "correct", generated_text: "12" },
        {
          ...failure(429, "RateLimited", "slow down", { request_id: 2 }),
          expected: 7,
          verdict: "error",
          generated_text: ""
        }
      ]
      const config = { model: "m", llmApi: "openai", additionalSamplingParams: {} }
      const responses = rows.map(CorrectnessFiles.response(config, (number) => `What is ${number}?`))
      const path = yield* withFiles({
        "m_correctness_summary.json": '{"run_id": "one", "test": "correctness"}',
        "m_correctness_individual_responses.json": JSON.stringify(responses)
      })
      const found = yield* opened(path)
      assert.deepStrictEqual(found.rows, rows)
      assert.deepStrictEqual(
        found.rows.map((row) => Object.keys(row)),
        rows.map((row) => Object.keys(row))
      )
      const run = yield* load(path)
      assert.deepStrictEqual([run.writer, run.itl, run.series.length], ["llmperf", "between tokens", 2])
    }).pipe(Effect.scoped)
  )

  it.effect(
    "reads a correctness test of LLMPerf, whose inter-token latency is a sum or a list, and so is left out",
    () =>
      Effect.gen(function* () {
        const response = (id: number, itl: unknown) => ({
          metrics: {
            error_code: null,
            error_msg: "",
            ttft_s: 0.4,
            end_to_end_latency_s: 2,
            number_output_tokens: 40,
            start_time: 100 + id,
            inter_token_latency_s: itl
          },
          generated_text: "It is 12.",
          request_config: {
            model: "m",
            prompt: ["Convert", 0],
            sampling_params: { temperature: 0 },
            llm_api: "openai",
            metadata: { rnd_number: 12 }
          }
        })
        const path = yield* withFiles({
          "m_correctness_summary.json": '{"model": "m"}',
          "m_correctness_individual_responses.json": JSON.stringify([response(1, 1.6), response(2, [0.1, 0.2])])
        })
        const run = yield* load(path)
        assert.deepStrictEqual([run.writer, run.itl], ["LLMPerf", "between tokens"])
        assert.deepStrictEqual([...run.series.distributions.inter_token_latency_s], [NaN, NaN])
        assert.deepStrictEqual([...run.series.distributions.ttft_s], [0.4, 0.4])
        const { rows } = yield* opened(path)
        assert.deepStrictEqual(
          rows.map(({ expected, generated_text }) => [expected, generated_text]),
          [
            [12, "It is 12."],
            [12, "It is 12."]
          ]
        )
      }).pipe(Effect.scoped)
  )

  it.effect("gives the manifest of the run, and never that of another", () =>
    Effect.gen(function* () {
      const rows = ours(2)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join("")
      const path = yield* withFiles({
        "m_1_1_summary.json": '{"run_id": "two"}',
        "m_1_1_individual_responses.json": JSON.stringify(ours(2)),
        "records.ndjson": rows,
        // What an earlier run left, as a later one moves it away
        "records.one.ndjson": rows
      })
      yield* manifest(path, "one")
      renameSync(join(path, "run.json"), join(path, "run.one.json"))
      yield* manifest(path, "two")
      const idOf = (file: string) =>
        Effect.map(opened(join(path, file)), ({ manifest, summary }) => [manifest?.runId, summary["run_id"]])
      assert.deepStrictEqual(yield* idOf(""), ["two", "two"])
      assert.deepStrictEqual(yield* idOf("records.ndjson"), ["two", "two"])
      assert.deepStrictEqual(yield* idOf("m_1_1_individual_responses.json"), ["two", "two"])
      assert.deepStrictEqual(yield* idOf("records.one.ndjson"), ["one", "one"])
      assert.strictEqual((yield* opened(path)).manifest?.planned, 3)

      rmSync(join(path, "records.ndjson"))
      assert.deepStrictEqual(yield* idOf(""), ["two", "two"])
      rmSync(join(path, "m_1_1_summary.json"))
      assert.deepStrictEqual(yield* idOf("m_1_1_individual_responses.json"), ["two", "two"])
      rmSync(join(path, "run.one.json"))
      assert.deepStrictEqual(yield* idOf("records.one.ndjson"), [undefined, undefined])
      writeFileSync(join(path, "m_1_1_summary.json"), '{"run_id": "three"}')
      assert.deepStrictEqual(yield* idOf(""), [undefined, "three"])
    }).pipe(Effect.scoped)
  )

  it.effect("says what is wrong", () =>
    Effect.gen(function* () {
      const empty = yield* folder
      mkdirSync(join(empty, "2026-11-24T09-30-00_schedule_run"))
      const two = yield* withFiles({ "a_1_1_summary.json": "{}", "b_1_1_summary.json": "{}" })
      const alone = yield* withFiles({ "a_1_1_summary.json": "{}" })
      const cut = yield* withFiles({ "individual_responses.json": old.responses.slice(0, -1) })
      const foreign = yield* withFiles({ "individual_responses.json": '[{"a": 1}]' })
      const object = yield* withFiles({ "individual_responses.json": "{}" })
      const none = yield* withFiles({ "individual_responses.json": " [ ] " })
      const broken = yield* withFiles({ "summary.json": "[]", "individual_responses.json": old.responses })
      const element = yield* withFiles({ "individual_responses.json": '[{"error_code": null, "ttft_s": 1}, {"a" 1}]' })
      const other = yield* withFiles({ "notes.txt": "" })
      for (const [path, told] of [
        [join(empty, "none"), /there is no such file or folder/],
        [empty, /it holds no results.*In this one|in this one: .*2026-11-24T09-30-00_schedule_run/],
        [two, /it holds 2 runs.*a_1_1_summary\.json, .*b_1_1_summary\.json/],
        [alone, /no individual responses beside the summary/],
        [cut, /not a whole list of records/],
        [foreign, /number 1 is not the record of a request/],
        [object, /not a whole list of records/],
        [none, /it holds no requests/],
        [broken, /summary\.json is not the JSON object of a summary/],
        [element, /number 2 is not JSON/],
        [join(other, "notes.txt"), /none of the files that a run writes/]
      ] as const) {
        const message = yield* problem(path)
        assert.match(message, told)
        assert.match(message, /^Cannot read a run from /)
      }
    }).pipe(Effect.scoped)
  )

  it("cuts a list into its elements, wherever the text is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue(), { maxLength: 5 }),
        fc.array(fc.nat({ max: 60 }), { maxLength: 6 }),
        fc.constantFrom(undefined, 2),
        (values, cuts, indent) => {
          const text = ` ${JSON.stringify(values, null, indent)}\n`
          const elements = makeElements()
          const found: Array<string> = []
          let from = 0
          for (const to of [...cuts.toSorted((a, b) => a - b), text.length]) {
            found.push(...elements.push(text.slice(from, to)))
            from = Math.max(from, to)
          }
          assert.deepStrictEqual(
            found.map((element) => JSON.parse(element)),
            JSON.parse(JSON.stringify(values))
          )
          assert.isTrue(elements.isWhole())
        }
      )
    )
  })

  it("knows what is no list", () => {
    for (const text of ["", "[", "[1", "[1]]", "[1] 2", "{}", "1", "[[1]"]) {
      const elements = makeElements()
      elements.push(text)
      assert.isFalse(elements.isWhole(), text)
    }
  })

  it("reads NaN where Python writes it, and leaves texts alone", () => {
    assert.deepStrictEqual(parseLoosely('{"a": NaN, "b": [-Infinity, Infinity], "NaN": "NaN \\" Infinity"}'), {
      a: null,
      b: [null, null],
      NaN: 'NaN " Infinity'
    })
    assert.throws(() => parseLoosely("{NaN: 1}"))
  })
})
