import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { askedNumber } from "../../src/simulator/internal/numberQuestion.ts"
import * as CorrectnessWorkload from "../../src/workload/CorrectnessWorkload.ts"
import * as NumberWords from "../../src/workload/NumberWords.ts"

const all = Array.from({ length: 10_001 }, (_, number) => NumberWords.fromNumber(number))

describe("NumberWords.fromNumber", () => {
  it("writes 0 to 10,000 exactly as LLMPerf does", () => {
    const hash = createHash("sha256").update(all.join("\n")).digest("hex")
    assert.strictEqual(hash, "9fdadcae6ddf06a68e4c312139db13fa31a39631d96f91a072bf9b77494e0b4a")
    assert.strictEqual(Math.max(...all.map((words) => words.length)), 47)
  })

  it.each([
    [0, "zero"],
    [23, "twenty-three"],
    [101, "one hundred and one"],
    [1_099, "one thousand and ninety-nine"],
    [1_100, "one thousand, one hundred"],
    [1_234, "one thousand, two hundred and thirty-four"],
    [10_000, "ten thousand"],
    [123_456, "one hundred and twenty-three thousand, four hundred and fifty-six"],
    [999_999, "nine hundred and ninety-nine thousand, nine hundred and ninety-nine"]
  ])("writes %i", (number, words) => {
    assert.strictEqual(NumberWords.fromNumber(number), words)
  })

  it("takes nothing but whole numbers below a million", () => {
    for (const number of [-1, 1.5, 1_000_000, NaN, Infinity]) {
      assert.throws(() => NumberWords.fromNumber(number), RangeError)
    }
  })

  it("can be read back by who knows only the words", () => {
    for (const number of all.keys()) assert.strictEqual(askedNumber(CorrectnessWorkload.prompt(number)), number)
  })
})
