import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { judge } from "../../../src/metrics/CorrectnessSink.ts"
import * as draws from "../../../src/simulator/internal/draws.ts"
import { answer, askedNumber } from "../../../src/simulator/internal/numberQuestion.ts"
import * as Tokenizer from "../../../src/workload/Tokenizer.ts"

const question = "Convert the following sequence of words into a number: "

describe("askedNumber", () => {
  it.each([
    ["two thousand, three hundred and forty-five. Output just your final answer.", 2345],
    ["ten thousand.\nPrint the number first.", 10_000],
    ["zero.", 0],
    ["One hundred and Twenty three", 123],
    ["nine hundred and ninety-nine thousand, nine hundred and ninety-nine. Go.", 999_999]
  ])("reads %j", (words, number) => {
    assert.strictEqual(askedNumber(question + words), number)
  })

  it("finds the question after other text, and answers the last one", () => {
    const first = `${question}one. Output just your final answer.`
    assert.strictEqual(askedNumber(`You are helpful.\n${first}`), 1)
    assert.strictEqual(askedNumber(`${first}\n1\n${question}two. Output just your final answer.`), 2)
  })

  it.each(["", "Randomly stream lines from the following text with 9 output tokens.", question, `${question}umpteen.`])(
    "has no number for %j",
    (prompt) => {
      assert.strictEqual(askedNumber(prompt), undefined)
    }
  )
})

const numbers = [0, 1, 7, 10, 42, 345, 1_000, 2_345, 9_999, 10_000]

/** Many answers to each number, by chance. */
const answers = (rates: { readonly silentRate: number; readonly wrongRate: number }) =>
  numbers.flatMap((number) =>
    Array.from({ length: 200 }, (_, id) => {
      const pieces = answer(number, rates, draws.make(1, id, "answer"))
      return { number, pieces, text: pieces.join("") }
    })
  )

describe("answer", () => {
  it("is right, in many forms", () => {
    const given = answers({ silentRate: 0, wrongRate: 0 })
    for (const { number, text } of given) assert.strictEqual(judge(text, number), "correct", text)
    const forms = new Set(given.filter(({ number }) => number === 2_345).map(({ text }) => text))
    assert.strictEqual(forms.size, 10)
    assert.isTrue([...forms].some((form) => form.includes("2,345")))
    assert.isTrue([...forms].some((form) => form.includes("\n")))
  })

  it("is wrong, never right by accident", () => {
    for (const { number, text } of answers({ silentRate: 0, wrongRate: 1 })) {
      assert.strictEqual(judge(text, number), "mismatch", `${text} for ${number}`)
    }
  })

  it("has no number", () => {
    for (const { number, text } of answers({ silentRate: 1, wrongRate: 1 })) {
      assert.strictEqual(judge(text, number), "no_number")
    }
  })

  it("is wrong and silent as often as it is told", () => {
    const verdicts = answers({ silentRate: 0.1, wrongRate: 0.3 }).map(({ number, text }) => judge(text, number))
    const share = (verdict: string) => verdicts.filter((each) => each === verdict).length / verdicts.length
    assert.closeTo(share("no_number"), 0.1, 0.07)
    assert.closeTo(share("mismatch"), 0.3, 0.1)
  })

  it.effect("comes in pieces of one token each", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      for (const rates of [
        { silentRate: 0, wrongRate: 0 },
        { silentRate: 0, wrongRate: 1 },
        { silentRate: 1, wrongRate: 0 }
      ]) {
        for (const { pieces, text } of answers(rates)) {
          assert.isTrue(pieces.every((piece) => piece !== ""))
          assert.strictEqual(tokenizer.count(text), pieces.length, JSON.stringify(text))
        }
      }
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )
})
