import { assert, describe, it } from "@effect/vitest"
import * as GoogleBody from "../../../src/provider/internal/googleBody.ts"
import { plan } from "../asking.ts"

const contents = [{ role: "user", parts: [{ text: plan.prompt }] }]

const generate = (samplingParams?: { readonly [name: string]: unknown }, outputTokens: number | null = 20): unknown =>
  JSON.parse(GoogleBody.generateContent({ samplingParams })({ ...plan, outputTokens }))

const predict = (samplingParams?: { readonly [name: string]: unknown }, outputTokens: number | null = 20): unknown =>
  JSON.parse(GoogleBody.predict({ samplingParams })({ ...plan, outputTokens }))

describe("googleBody.generateContent", () => {
  it("asks for the prompt and the tokens", () => {
    assert.deepStrictEqual(generate(), { contents, generationConfig: { maxOutputTokens: 20 } })
    assert.deepStrictEqual(generate({}, null), { contents, generationConfig: {} })
  })

  it("knows OpenAI's names", () => {
    const params = {
      temperature: 0,
      top_p: 0.9,
      top_k: 5,
      stop: "\n",
      seed: 7,
      n: 1,
      presence_penalty: 0.5,
      frequency_penalty: -0.5
    }
    assert.deepStrictEqual(generate(params), {
      contents,
      generationConfig: {
        maxOutputTokens: 20,
        temperature: 0,
        topP: 0.9,
        topK: 5,
        stopSequences: ["\n"],
        seed: 7,
        candidateCount: 1,
        presencePenalty: 0.5,
        frequencyPenalty: -0.5
      }
    })
    assert.deepStrictEqual(generate({ stop: ["a", "b"] }), {
      contents,
      generationConfig: { maxOutputTokens: 20, stopSequences: ["a", "b"] }
    })
    for (const name of ["max_tokens", "max_completion_tokens", "max_new_tokens"]) {
      assert.deepStrictEqual(generate({ [name]: 5 }), { contents, generationConfig: { maxOutputTokens: 5 } })
      assert.deepStrictEqual(generate({ [name]: null }), { contents, generationConfig: {} })
    }
  })

  it("puts other names at the top, and a generationConfig over what is there", () => {
    const params = {
      temperature: 0.5,
      top_p: 0.1,
      safetySettings: [{ category: "x", threshold: "OFF" }],
      constructor: 1,
      removed: null,
      generationConfig: { topP: 0.2, maxOutputTokens: null, thinkingConfig: { thinkingBudget: 0, kept: null } }
    }
    assert.deepStrictEqual(generate(params), {
      contents,
      generationConfig: { temperature: 0.5, topP: 0.2, thinkingConfig: { thinkingBudget: 0, kept: null } },
      safetySettings: [{ category: "x", threshold: "OFF" }],
      constructor: 1
    })
    assert.deepStrictEqual(generate({ generationConfig: null }), { contents })
    assert.deepStrictEqual(generate({ contents: [] }), { contents: [], generationConfig: { maxOutputTokens: 20 } })
  })
})

describe("googleBody.predict", () => {
  it("asks for the tokens in both places", () => {
    assert.deepStrictEqual(predict(), {
      instances: [{ prompt: plan.prompt, max_tokens: 20 }],
      parameters: { maxOutputTokens: 20 }
    })
    assert.deepStrictEqual(predict({}, null), { instances: [{ prompt: plan.prompt }], parameters: {} })
  })

  it("renames the limit in the parameters and nothing else", () => {
    assert.deepStrictEqual(predict({ max_new_tokens: 5, temperature: 0.5, top_p: null }), {
      instances: [{ prompt: plan.prompt, max_tokens: 20, max_new_tokens: 5, temperature: 0.5 }],
      parameters: { maxOutputTokens: 5, temperature: 0.5 }
    })
    assert.deepStrictEqual(predict({ max_tokens: 6 }), {
      instances: [{ prompt: plan.prompt, max_tokens: 6 }],
      parameters: { maxOutputTokens: 6 }
    })
    assert.deepStrictEqual(predict({ max_tokens: null }), { instances: [{ prompt: plan.prompt }], parameters: {} })
  })
})
