import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Verdict } from "../../src/domain/CorrectnessResults.ts"
import { CorrectnessSink, judge, numbersIn } from "../../src/metrics/CorrectnessSink.ts"

/** The definition, read character by character. */
const numbersOf = (text: string): ReadonlyArray<string> => {
  const isDigit = (char: string | undefined) => char !== undefined && char >= "0" && char <= "9"
  const chars = Array.from(text)
  const kept = chars.filter((char, i) => !(char === "," && isDigit(chars[i - 1]) && isDigit(chars[i + 1])))
  const found: Array<string> = []
  let run = ""
  for (const char of [...kept, "end"]) {
    if (isDigit(char)) run += char
    else if (run !== "") {
      found.push(run)
      run = ""
    }
  }
  return found
}

const numbers = fc.integer({ min: 0, max: 10_000 })
const wordless = fc.string({ unit: fc.constantFrom("a", " ", ".", "\n", "-", "$", "é", "*") })

describe("judge", () => {
  it.each<[string, number, Verdict]>([
    ["2345", 2345, "correct"],
    ["2,345.", 2345, "correct"],
    ["The answer is 2345", 2345, "correct"],
    ["1. The answer:\n\n**2,345**", 2345, "correct"],
    ["2345.0", 2345, "correct"],
    ["-2345", 2345, "correct"],
    ["Of 7 candidates it is 2345, not 2346.", 2345, "correct"],
    ["0", 0, "correct"],
    ["10,000", 10_000, "correct"],
    ["02345", 2345, "mismatch"],
    ["23456", 2345, "mismatch"],
    ["12345", 2345, "mismatch"],
    ["2 345", 2345, "mismatch"],
    ["2, 345", 2345, "mismatch"],
    ["2.345", 2345, "mismatch"],
    ["1,2345", 2345, "mismatch"],
    ["00", 0, "mismatch"],
    ["two thousand", 2345, "no_number"],
    ["", 0, "no_number"],
    ["２３４５", 2345, "no_number"]
  ])("%j for %i: %s", (text, expected, verdict) => {
    assert.strictEqual(judge(text, expected), verdict)
  })

  it("finds the numbers that a reading by character finds", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123,,. a\n") }), (text) => {
        assert.deepStrictEqual(numbersIn(text), numbersOf(text))
      })
    )
  })

  it("finds a number between words, with and without commas, and in no longer number", () => {
    fc.assert(
      fc.property(numbers, wordless, wordless, fc.integer({ min: 0, max: 9 }), (number, before, after, digit) => {
        assert.strictEqual(judge(`${before}${number}${after}`, number), "correct")
        assert.strictEqual(judge(`${before}${number.toLocaleString("en-US")}${after}`, number), "correct")
        assert.strictEqual(judge(`${before}${number}${digit}${after}`, number), "mismatch")
        assert.strictEqual(judge(`${before}${digit}${number}${after}`, number), "mismatch")
        assert.strictEqual(judge(`${before}${digit},${number}${after}`, number), "mismatch")
        assert.strictEqual(judge(`${before}${after}`, number), "no_number")
      })
    )
  })

  it("takes a comma for a separator only between two digits", () => {
    fc.assert(
      fc.property(numbers, numbers, (one, other) => {
        assert.strictEqual(judge(`${one}, ${other}`, one), "correct")
        assert.strictEqual(judge(`${one}, ${other}`, other), "correct")
        assert.deepStrictEqual(numbersIn(`${one},${other}`), [`${one}${other}`])
      })
    )
  })
})

const row = (id: number, verdict: Verdict) => ({
  request_id: id,
  expected: id * 10,
  verdict,
  generated_text: `text ${id}`
})

describe("CorrectnessSink", () => {
  it("counts nothing as nothing", () => {
    assert.deepStrictEqual(new CorrectnessSink().summary(), {
      number_errors: 0,
      num_mismatched_requests: 0,
      error_rate: null,
      mismatch_rate: null,
      num_completed_requests: 0,
      num_non_errored_requests: 0,
      num_correct_requests: 0,
      num_no_number_requests: 0,
      answer_mismatch_rate: null
    })
  })

  it("divides by all requests as LLMPerf does, and by the answers beside", () => {
    const sink = new CorrectnessSink()
    const verdicts = ["correct", "error", "mismatch", "no_number", "correct", "correct", "error", "mismatch"] as const
    for (const [i, verdict] of verdicts.entries()) sink.add(row(i + 1, verdict))
    assert.deepStrictEqual(sink.summary(), {
      number_errors: 2,
      num_mismatched_requests: 3,
      error_rate: 2 / 8,
      mismatch_rate: 3 / 8,
      num_completed_requests: 8,
      num_non_errored_requests: 6,
      num_correct_requests: 3,
      num_no_number_requests: 1,
      answer_mismatch_rate: 3 / 6
    })
    assert.deepStrictEqual(sink.mismatches, [
      { requestId: 3, expected: 30, text: "text 3" },
      { requestId: 4, expected: 40, text: "text 4" },
      { requestId: 8, expected: 80, text: "text 8" }
    ])
  })

  it("has a share of answers only where something was answered", () => {
    const sink = new CorrectnessSink()
    sink.add(row(1, "error"))
    assert.strictEqual(sink.summary().error_rate, 1)
    assert.strictEqual(sink.summary().mismatch_rate, 0)
    assert.strictEqual(sink.summary().answer_mismatch_rate, null)
  })

  it("counts every mismatch and keeps the first hundred", () => {
    const sink = new CorrectnessSink()
    for (let id = 1; id <= 250; id++) sink.add(row(id, "mismatch"))
    assert.strictEqual(sink.summary().num_mismatched_requests, 250)
    assert.lengthOf(sink.mismatches, 100)
    assert.strictEqual(sink.mismatches.at(-1)?.requestId, 100)
  })
})
