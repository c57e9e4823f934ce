import { assert, describe, it } from "@effect/vitest"
import { ollamaChat, ollamaGenerate } from "../../../../src/simulator/internal/dialects/ollama.ts"
import { asked, endingOf, identity, incoming, refused, stream } from "./asking.ts"

const messages = [{ role: "user", content: "x".repeat(100) }]
const chat = asked(ollamaChat.read(incoming("/api/chat", { model: "sim", messages, options: { num_predict: 9 } })))
const generate = asked(ollamaGenerate.read(incoming("/api/generate", { model: "sim", prompt: "Hello", stream: false })))

const head = { model: "sim", created_at: "2023-11-14T22:13:20.000Z" }
const done = { done: true, prompt_eval_count: 25, eval_count: 4 }

const linesOf = (text: string) => {
  assert.isTrue(text.endsWith("\n"))
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line))
}

describe("ollama", () => {
  it("is at /api/chat and /api/generate", () => {
    assert.isTrue(ollamaChat.matches("POST", "/api/chat"))
    assert.isTrue(ollamaGenerate.matches("POST", "/api/generate"))
    assert.isFalse(ollamaChat.matches("POST", "/api/generate"))
    assert.isFalse(ollamaChat.matches("GET", "/api/chat"))
  })

  it("reads requests, which stream unless they say otherwise", () => {
    assert.deepStrictEqual(chat, {
      model: "sim",
      stream: true,
      prompt: "x".repeat(100),
      outputTokens: 9
    })
    assert.deepStrictEqual(generate, {
      model: "sim",
      stream: false,
      prompt: "Hello",
      outputTokens: undefined
    })
    const endless = { model: "sim", system: "Be brief.", prompt: "Hi", options: { num_predict: -1 } }
    assert.deepInclude(asked(ollamaGenerate.read(incoming("/api/generate", endless))), {
      prompt: "Be brief.\nHi",
      outputTokens: undefined
    })
  })

  it("refuses what it cannot read", () => {
    for (const body of ["{", {}, { model: "", messages }, { model: "sim", messages: 1 }]) {
      const answer = refused(ollamaChat.read(incoming("/api/chat", body)))
      assert.strictEqual(answer.status, 400)
      assert.isString(JSON.parse(answer.body).error)
    }
    assert.strictEqual(refused(ollamaGenerate.read(incoming("/api/generate", { prompt: "a" }))).status, 400)
  })

  it("streams a chat as lines", () => {
    const text = stream(
      ollamaChat,
      chat,
      [
        ["reasoning", "hm"],
        ["text", "one"],
        ["text", " two\n"]
      ],
      endingOf("length", 1)
    )
    assert.deepStrictEqual(linesOf(text), [
      { ...head, message: { role: "assistant", content: "", thinking: "hm" }, done: false },
      { ...head, message: { role: "assistant", content: "one" }, done: false },
      { ...head, message: { role: "assistant", content: " two\n" }, done: false },
      { ...head, message: { role: "assistant", content: "" }, ...done, done_reason: "length" }
    ])
  })

  it("hands out the call of a tool when it is complete", () => {
    const text = stream(
      ollamaChat,
      chat,
      [
        ["tool", "a"],
        ["tool", " b"]
      ],
      endingOf("tool")
    )
    const call = { id: "call_7", function: { index: 0, name: "write", arguments: { text: "a b" } } }
    assert.deepStrictEqual(linesOf(text), [
      { ...head, message: { role: "assistant", content: "", tool_calls: [call] }, done: false },
      { ...head, message: { role: "assistant", content: "" }, ...done, done_reason: "stop" }
    ])
  })

  it("streams a completion as lines", () => {
    const text = stream(
      ollamaGenerate,
      generate,
      [
        ["reasoning", "hm"],
        ["text", "one"],
        ["tool", " x"]
      ],
      endingOf("stop")
    )
    assert.deepStrictEqual(linesOf(text), [
      { ...head, response: "", thinking: "hm", done: false },
      { ...head, response: "one", done: false },
      { ...head, response: " x", done: false },
      { ...head, response: "", ...done, done_reason: "stop" }
    ])
  })

  it("sends errors and garbage, and has no pings", () => {
    const frames = ollamaChat.frames(chat, identity)
    assert.deepStrictEqual(linesOf(`${frames.failure("overloaded_error", "Overloaded")}`), [{ error: "Overloaded" }])
    assert.throws(() => linesOf(`${frames.garbage()}`), SyntaxError)
    assert.strictEqual(frames.ping(), "")
  })

  it("answers whole", () => {
    const words = { text: "a", reasoning: "hm", tool: "" }
    assert.deepStrictEqual(JSON.parse(ollamaChat.whole(chat, identity, words, endingOf("stop")).body), {
      ...head,
      message: { role: "assistant", content: "a", thinking: "hm" },
      ...done,
      done_reason: "stop"
    })
    assert.deepStrictEqual(JSON.parse(ollamaGenerate.whole(generate, identity, words, endingOf("length")).body), {
      ...head,
      response: "a",
      thinking: "hm",
      ...done,
      done_reason: "length"
    })
  })
})
