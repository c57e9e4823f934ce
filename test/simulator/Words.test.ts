import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import tokenizer from "llama-tokenizer-js"
import * as draws from "../../src/simulator/internal/draws.ts"
import * as Words from "../../src/simulator/Words.ts"

const count = (text: string): number => tokenizer.encode(text, false, true).length

describe("Words", () => {
  it("has at least 200 words, none twice, each one token", () => {
    assert.isAtLeast(Words.words.length, 200)
    assert.strictEqual(new Set(Words.words).size, Words.words.length)
    for (const word of Words.words) {
      assert.match(word, /^[a-z]{2,}$/)
      assert.strictEqual(count(word), 1, word)
    }
  })

  it("writes exactly as many Llama tokens as words", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.integer(), FastCheck.integer({ min: 0, max: 400 }), (seed, words) => {
        const text = Words.text(words, draws.make(seed, 1, "text"))
        assert.strictEqual(text === "" ? 0 : text.split(" ").length, words)
        assert.strictEqual(count(text), words)
      }),
      { numRuns: 200 }
    )
  })

  it("reaches the first and the last word", () => {
    assert.strictEqual(Words.pick(0), Words.words[0])
    assert.strictEqual(Words.pick(1 - 2 ** -32), Words.words.at(-1))
  })
})
