import { assert, describe, it } from "@effect/vitest"
import { type Reason } from "../../../../src/simulator/internal/dialect.ts"
import { tgi } from "../../../../src/simulator/internal/dialects/tgi.ts"
import { asked, endingOf, identity, incoming, refused, stream } from "./asking.ts"

const parameters = { max_new_tokens: 9, details: true }
const streamed = asked(tgi.read(incoming("/generate_stream", { inputs: "x".repeat(100), parameters })))

const eventsOf = (text: string): ReadonlyArray<unknown> =>
  text
    .split("\n\n")
    .slice(0, -1)
    .map((event) => {
      assert.match(event, /^data:\{.*\}$/)
      return JSON.parse(event.slice("data:".length))
    })

const token = (index: number, id: number, text: string, special = false) => ({
  index,
  token: { id, text, logprob: -0.5, special }
})

describe("tgi", () => {
  it("is at /generate_stream, /generate and /", () => {
    for (const path of ["/generate_stream", "/generate", "/"]) {
      assert.isTrue(tgi.matches("POST", path))
      assert.isFalse(tgi.matches("GET", path))
    }
    for (const path of ["", "/v1/generate", "/generate_stream/x", "/chat_tokenize"]) {
      assert.isFalse(tgi.matches("POST", path))
    }
  })

  it("reads requests", () => {
    assert.deepInclude(streamed, {
      model: "tgi",
      stream: true,
      prompt: "x".repeat(100),
      outputTokens: 9
    })
    const bare = asked(tgi.read(incoming("/generate", { inputs: "Hi", parameters: null, model: "sim;ttft=1" })))
    assert.deepInclude(bare, { model: "sim;ttft=1", stream: false, outputTokens: undefined })
  })

  it.each([
    ["/generate_stream", undefined, true],
    ["/generate_stream", false, true],
    ["/generate", true, false],
    ["/", true, true],
    ["/", false, false],
    ["/", undefined, false]
  ])("streams at %s with stream %s: %s", (path, given, expected) => {
    const read = asked(tgi.read(incoming(path, { inputs: "a", ...(given === undefined ? {} : { stream: given }) })))
    assert.strictEqual(read.stream, expected)
  })

  it.each([
    ["{", "inputs"],
    [{}, "inputs"],
    [{ inputs: 5 }, "inputs"],
    [{ inputs: "" }, "inputs"],
    [{ inputs: "a", parameters: { max_new_tokens: 0 } }, "max_new_tokens"],
    [{ inputs: "a", parameters: { temperature: 0 } }, "temperature"]
  ])("refuses %j, naming %s", (body, named) => {
    const { body: text, status } = refused(tgi.read(incoming("/generate_stream", body)))
    assert.strictEqual(status, 422)
    assert.deepInclude(JSON.parse(text), { error_type: "validation" })
    assert.match(JSON.parse(text).error, new RegExp(`^Input validation error: .*\`${named}\``))
  })

  it("streams a token an event, and ends with the whole text and its details", () => {
    const text = stream(
      tgi,
      streamed,
      [
        ["reasoning", "hm"],
        ["text", " “two”\n"]
      ],
      endingOf("stop")
    )
    assert.deepStrictEqual(eventsOf(text), [
      { ...token(1, 1001, "hm"), generated_text: null, details: null },
      { ...token(2, 1002, " “two”\n"), generated_text: null, details: null },
      {
        ...token(3, 2, "</s>", true),
        generated_text: "hm “two”\n",
        details: { finish_reason: "eos_token", generated_tokens: 4, seed: null, input_length: 25 }
      }
    ])
  })

  it.each([
    ["length", "", false, "length"],
    ["tool", "</s>", true, "eos_token"]
  ] as const)("ends for the reason %s with %j", (reason: Reason, text, special, finishReason) => {
    const last = eventsOf(stream(tgi, streamed, [["tool", "a"]], endingOf(reason))).at(-1)
    assert.deepNestedInclude(last, {
      "token.text": text,
      "token.special": special,
      "details.finish_reason": finishReason
    })
  })

  it("gives details only to those who ask", () => {
    const plain = asked(tgi.read(incoming("/generate_stream", { inputs: "a" })))
    assert.deepInclude(eventsOf(stream(tgi, plain, [["text", "a"]], endingOf("stop"))).at(-1), {
      generated_text: "a",
      details: null
    })
  })

  it("sends errors, garbage and pings", () => {
    const frames = tgi.frames(streamed, identity)
    assert.deepStrictEqual(eventsOf(`${frames.failure("overloaded_error", "Model is overloaded")}`), [
      { error: "Model is overloaded", error_type: "overloaded" }
    ])
    assert.strictEqual(frames.garbage(), "data:{not json\n\n")
    assert.strictEqual(frames.ping(), ":\n\n")
  })

  it("answers whole, in a list at /", () => {
    const words = { text: "a", reasoning: "hm", tool: " b" }
    const at = (path: string, more: object = {}) =>
      JSON.parse(
        tgi.whole(asked(tgi.read(incoming(path, { inputs: "a", ...more }))), identity, words, endingOf("stop")).body
      )
    assert.deepStrictEqual(at("/generate"), { generated_text: "hma b" })
    assert.deepStrictEqual(at("/"), [{ generated_text: "hma b" }])
    assert.deepNestedInclude(at("/generate", { parameters }), {
      generated_text: "hma b",
      "details.finish_reason": "eos_token",
      "details.generated_tokens": 4
    })
  })

  it("refuses in its own words", () => {
    for (const [status, type, expectedStatus, expectedType] of [
      [400, "invalid_request_error", 422, "validation"],
      [401, "authentication_error", 401, "authentication"],
      [429, "rate_limit_error", 429, "overloaded"],
      [500, "api_error", 500, "generation"],
      [503, "overloaded_error", 503, "overloaded"]
    ] as const) {
      const answer = tgi.error(status, type, "no")
      assert.strictEqual(answer.status, expectedStatus)
      assert.deepStrictEqual(JSON.parse(answer.body), { error: "no", error_type: expectedType })
    }
  })
})
