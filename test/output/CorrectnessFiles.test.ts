import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as CorrectnessFiles from "../../src/output/CorrectnessFiles.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { CorrectnessRecord, CorrectnessSummary } from "../../src/domain/CorrectnessResults.ts"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"

const config = { model: "org/demo-7b", llmApi: "openai", additionalSamplingParams: { top_p: 0.5 } }

describe("names", () => {
  it("are LLMPerf's", () => {
    assert.deepStrictEqual(ResultFiles.correctnessNames("org/demo-7b v1.5"), {
      summary: "org-demo-7b-v1-5_correctness_summary",
      individualResponses: "org-demo-7b-v1-5_correctness_individual_responses"
    })
    const { individualResponses } = ResultFiles.correctnessNames("m".repeat(500))
    assert.isBelow(individualResponses.length, 250)
  })
})

describe("samplingParams", () => {
  it("are a temperature of 0, and the user's over it", () => {
    assert.deepStrictEqual(CorrectnessFiles.samplingParams({}), { temperature: 0 })
    assert.deepStrictEqual(CorrectnessFiles.samplingParams({ temperature: null, max_tokens: 9 }), {
      temperature: null,
      max_tokens: 9
    })
  })
})

describe("response", () => {
  it("has LLMPerf's keys in its order, and the verdict", () => {
    const response = CorrectnessFiles.response(config, (number) => `What is ${number}?`)
    const row = {
      error_code: null,
      ttft_s: 0.5,
      number_input_tokens: 9,
      expected: 42,
      verdict: "correct",
      generated_text: "4"
    }
    assert.strictEqual(
      JSON.stringify(response(row)),
      JSON.stringify({
        metrics: { error_code: null, ttft_s: 0.5, number_input_tokens: 9 },
        generated_text: "4",
        request_config: {
          model: "org/demo-7b",
          prompt: ["What is 42?", 9],
          sampling_params: { temperature: 0, top_p: 0.5 },
          llm_api: "openai",
          metadata: { rnd_number: 42 }
        },
        verdict: "correct"
      })
    )
  })

  it("leaves what is no row as it is", () => {
    const response = CorrectnessFiles.response(config, String)
    for (const value of [1, null, "x", [1]]) assert.strictEqual(response(value), value)
  })
})

describe("responses", () => {
  it.effect("are in the order of the questions", () =>
    Effect.gen(function* () {
      const rows = Stream.fromIterable([{ request_id: 3 }, "no row", { request_id: 1 }, { request_id: 2 }])
      const sorted = yield* Stream.runCollect(CorrectnessFiles.responses(rows, (row) => row))
      assert.deepStrictEqual(sorted, [{ request_id: 1 }, { request_id: 2 }, { request_id: 3 }, "no row"])
    })
  )
})

describe("reservedMetadata", () => {
  it("are the names of results", () => {
    assert.deepStrictEqual(
      CorrectnessFiles.reservedMetadata({
        mismatch_rate: "1",
        gpu: "H100",
        results_x: "1",
        timestamp: "2",
        model: "m"
      }),
      ["mismatch_rate", "results_x", "timestamp"]
    )
  })
})

describe("docs/correctness.md", () => {
  it("names every key, and every flag but those of a load test", () => {
    const text = readFileSync(join(import.meta.dirname, "..", "..", "docs", "correctness.md"), "utf8")
    const own = Object.keys(CorrectnessRecord.fields).filter((key) => !Object.hasOwn(RequestRecord.fields, key))
    for (const key of [...Object.keys(CorrectnessSummary.fields), ...own]) assert.include(text, `| \`${key}\``)
    for (const verdict of ["correct", "mismatch", "no_number", "error"]) assert.include(text, `| \`${verdict}\``)
    assert.include(text, "--max-mismatch-rate")
  })
})
