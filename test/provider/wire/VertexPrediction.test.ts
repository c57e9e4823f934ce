import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as VertexPrediction from "../../../src/provider/wire/VertexPrediction.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"

const { makeDecoder } = VertexPrediction

const textOf = (predictions: unknown): string | undefined => {
  const { events } = decoding.decode(makeDecoder, [Buffer.from(JSON.stringify({ predictions }))])
  const [event] = events
  return event?._tag === "Whole" ? event.text : undefined
}

describe("VertexPrediction.makeDecoder", () => {
  it.each([
    ["vertex-predict-container.json", " A car is a “vehicle” 🚗.\n"],
    ["vertex-predict-text-bison.json", " A car is a vehicle."],
    ["vertex-predict-chat.json", "A car."]
  ])("reads %s, cut anywhere", (name, text) => {
    const body = decoding.transcript(name)
    fc.assert(
      fc.property(bodies.cuts, (cuts) => {
        const pieces = bodies.cut(body, cuts)
        const { done, events, reason } = decoding.decode(makeDecoder, pieces)
        assert.isUndefined(reason)
        assert.isFalse(done)
        assert.deepStrictEqual(events[0], { _tag: "Whole", at: pieces.length, text })
      }),
      { numRuns: 50 }
    )
  })

  it("reads the usage where there is one", () => {
    const events = (name: string) => decoding.decode(makeDecoder, [decoding.transcript(name)]).events
    assert.deepStrictEqual(events("vertex-predict-text-bison.json").slice(1), [
      { _tag: "Usage", at: 1, inputTokens: 5, outputTokens: 7, cachedInputTokens: null, reasoningTokens: null }
    ])
    assert.strictEqual(events("vertex-predict-container.json").length, 1)
  })

  it.each([
    [["plain"], "plain"],
    [["Prompt:\nq\nOutput:\na\nOutput:\nb"], "a\nOutput:\nb"],
    [["\nOutput:\n"], ""],
    [[""], ""],
    [[["nested", "other"]], "nested"],
    [["first", "second"], "first"],
    [[{ content: "c", text: "t" }], "c"],
    [[{ content: null, generated_text: "g" }], "g"],
    [[{ predictions: ["Prompt:\nq\nOutput:\np"] }], "p"],
    [[{ candidates: [{ content: "v" }] }], "v"],
    [[{ choices: [{ text: "l", index: 0 }] }], "l"],
    [[[{ generated_text: "tgi" }]], "tgi"],
    [{ choices: [{ message: { role: "assistant", content: "m" } }] }, "m"],
    ["bare", "bare"],
    [[{ content: 3, output: [[0.1]], outputs: "o" }], "o"]
  ])("%j", (predictions, text) => {
    assert.strictEqual(textOf(predictions), text)
  })

  it.each([["v1"], [{ tokenMetadata: { outputTokenCount: { totalTokens: "7" } } }], [[]]])(
    "takes the text, whatever the container says beside it: %j",
    (metadata) => {
      const body = JSON.stringify({ predictions: ["a"], metadata })
      const { events, reason } = decoding.decode(makeDecoder, [Buffer.from(body)])
      assert.isUndefined(reason)
      assert.deepStrictEqual(events[0], { _tag: "Whole", at: 1, text: "a" })
    }
  )

  it.each([
    ["not JSON", "<html>Sign in</html>", "Protocol", /^The answer is not JSON: <html>/],
    ["nothing", "", "Protocol", /^The answer is not JSON: $/],
    ["half of it", `{"predictions":["a`, "Protocol", /not JSON/],
    ["no predictions", `{"deployedModelId":"1"}`, "Protocol", /^No text was found in the predictions: \{"deployed/],
    ["an empty list", `{"predictions":[]}`, "Protocol", /^No text/],
    ["numbers", `{"predictions":[[0.1,0.2]]}`, "Protocol", /^No text/],
    ["an object of other names", `{"predictions":[{"label":"x"}]}`, "Protocol", /^No text/],
    [
      "an error",
      `{"error":{"code":400,"message":"Bad instance","status":"INVALID_ARGUMENT"}}`,
      "InStream",
      /^Bad instance$/
    ]
  ])("fails on %s", (_name, body, tag, message) => {
    const reason = decoding.failureOf(makeDecoder, body)
    assert.strictEqual(reason?._tag, tag)
    assert.match(reason?.message ?? "", message)
  })

  it("the schema understands what is read", () => {
    const understands = Schema.is(VertexPrediction.VertexPrediction)
    for (const name of ["container", "text-bison", "chat"]) {
      const body = decoding.transcript(`vertex-predict-${name}.json`).toString("utf8")
      assert.isTrue(understands(JSON.parse(body)), name)
    }
    assert.isFalse(understands({ predictions: [[0.1, 0.2]] }))
  })

  it("never throws, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const reason = decoding.failureOf(makeDecoder, JSON.stringify({ predictions: value, metadata: value }))
        assert.include([undefined, "Protocol"], reason?._tag)
      }),
      { numRuns: 300 }
    )
  })
})
