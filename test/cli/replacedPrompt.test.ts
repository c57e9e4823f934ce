import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { replacedPrompt } from "../../src/cli/internal/replacedPrompt.ts"
import { parse } from "./invocation.ts"

const messages = [
  { role: "system", content: "Be brief." },
  {
    role: "user",
    content: [
      { type: "text", text: "Hello" },
      { type: "image_url", image_url: { url: "data:," } }
    ]
  }
]

describe("replacedPrompt", () => {
  it.effect("is the text that the API reads instead of the prompt", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<
        readonly [ReadonlyArray<string>, { readonly [name: string]: unknown }, string | null]
      > = [
        [[], { messages }, "Be brief.\nHello"],
        [[], { temperature: 0 }, null],
        // The chat API reads no such field
        [[], { prompt: "Hello" }, null],
        // It takes the field away
        [[], { messages: null }, null],
        [["--endpoint=completions"], { prompt: "Hello" }, "Hello"],
        [["--endpoint=completions"], { messages }, null],
        [["--endpoint=responses"], { input: "Hello" }, "Hello"],
        [["--llm-api=anthropic"], { messages }, "Be brief.\nHello"],
        [["--llm-api=ollama"], { messages }, null],
        [["--provider=mine.ts"], { messages }, null]
      ]
      for (const [args, params, text] of cases) {
        assert.strictEqual(replacedPrompt(yield* parse(args), params), text, JSON.stringify([args, params]))
      }
    })
  )
})
