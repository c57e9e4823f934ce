import { assert, describe, it } from "@effect/vitest"
import { CorrectnessSink } from "../../src/metrics/CorrectnessSink.ts"
import type { Verdict } from "../../src/domain/CorrectnessResults.ts"
import * as CorrectnessConsole from "../../src/output/CorrectnessConsole.ts"
import * as Text from "../../src/output/internal/text.ts"
import { failure, outcome, record } from "../metrics/records.ts"
import { summaryOf } from "./results.ts"

type Answer = readonly [verdict: Verdict, expected: number, text: string]

const wide = { columns: 100, color: false }

const render = (answers: ReadonlyArray<Answer>, options = wide) => {
  const sink = new CorrectnessSink()
  for (const [i, [verdict, expected, generated_text]] of answers.entries()) {
    sink.add({ request_id: i + 1, verdict, expected, generated_text })
  }
  const outcomes = answers.map(([verdict]) =>
    outcome(verdict === "error" ? failure(429, "RateLimited", "HTTP 429: slow\ndown") : record({}))
  )
  return CorrectnessConsole.render(
    {
      title: "Correctness test of demo",
      correctness: sink.summary(),
      mismatches: sink.mismatches,
      summary: summaryOf(outcomes, 10),
      remarks: ["A remark"],
      files: ["/results/demo_correctness_summary.json"]
    },
    options
  )
}

const mixed: ReadonlyArray<Answer> = [
  ["correct", 5, "5"],
  ["mismatch", 2345, "The number\nis: \u001B[31m2346"],
  ["no_number", 7, ""],
  ["error", 8, ""]
]

describe("CorrectnessConsole.render", () => {
  it("tells what became of the answers, and shows those that are not right", () => {
    const lines = render(mixed).split("\n")
    for (const line of [
      "Correctness test of demo",
      "A remark",
      "answers             1 right, 1 wrong, 1 without a number",
      "mismatches          66.7 % of 3 answers",
      "requests            3 ok, 1 failed",
      "Answers that are not right",
      "  #2  expected 2345, got The number is: [31m2346",
      "  #3  expected    7, got nothing",
      "Not completed: 1 of 4 requests (25.0 %)",
      "  1 × HTTP 429: slow down",
      "Files",
      "  /results/demo_correctness_summary.json"
    ]) {
      assert.include(lines, line)
    }
  })

  it("says nothing of mismatches and failures when there are none", () => {
    const text = render([["correct", 5, "5"]])
    assert.include(text, "0.0 % of 1 answers")
    assert.notInclude(text, "not right")
    assert.notInclude(text, "Not completed")
  })

  it("begins with it when everything failed", () => {
    const text = render([
      ["error", 1, ""],
      ["error", 2, ""]
    ])
    assert.match(text, /^All 2 requests failed: 2 × HTTP 429\./)
    assert.match(text, /mismatches\s+–/)
  })

  it("shows twenty and says how many more there are", () => {
    const text = render(Array.from({ length: 130 }, (_, i): Answer => ["mismatch", i, "x"]))
    assert.lengthOf(text.match(/^ {2}#/gm) ?? [], 20)
    assert.include(text, "and 110 more")
  })

  it("keeps lines within the columns, and may colour them", () => {
    const long: Answer = ["mismatch", 1, "very long 2 ".repeat(50)]
    for (const line of render([...mixed, long], { columns: 60, color: false }).split("\n")) {
      assert.isAtMost(Text.width(line), 60)
    }
    assert.include(render([long], { columns: 60, color: false }), "…")
    assert.include(render(mixed, { columns: 60, color: true }), "\u001B[31m")
  })
})
