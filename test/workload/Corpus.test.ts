import { assert, describe, it } from "@effect/vitest"
import llama from "llama-tokenizer-js"
import { createHash } from "node:crypto"
import * as Corpus from "../../src/workload/Corpus.ts"

describe("Corpus", () => {
  it("is the text that LLMPerf sends", () => {
    assert.strictEqual(createHash("sha256").update(Corpus.text).digest("hex"), Corpus.sha256)
    assert.strictEqual(Buffer.byteLength(Corpus.text), 3641)
    assert.match(Corpus.text, /^[\n\x20-\x7e]+$/)
  })

  it("has 84 different lines that keep their newlines, the last has none", () => {
    assert.strictEqual(Corpus.lines.join(""), Corpus.text)
    assert.strictEqual(new Set(Corpus.lines).size, 84)
    assert.isTrue(Corpus.lines.slice(0, -1).every((line) => /^[^\n]+\n$/.test(line)))
    assert.strictEqual(Corpus.lines.at(-1), "To subjects worse have given admiring praise.")
  })

  it("knows how many tokens Llama has for each line, start token included", () => {
    assert.deepStrictEqual(
      Corpus.lines.map((line) => llama.encode(line).length),
      [...Corpus.llamaTokens]
    )
    assert.strictEqual(
      Corpus.llamaTokens.reduce((sum, tokens) => sum + tokens),
      1138
    )
    assert.strictEqual(llama.encode(Corpus.text).length, 1068)
  })
})
