import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as TgiEvent from "../../../src/provider/wire/TgiEvent.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const { makeDecoder } = TgiEvent

const token = fc.record(
  {
    id: fc.nat(9),
    text: decoding.nullable(decoding.token),
    logprob: fc.constant(-0.5),
    special: fc.constantFrom(false, false, false, true, null)
  },
  { requiredKeys: [] }
)

const details = fc.record(
  {
    finish_reason: decoding.nullable(fc.constantFrom("length", "eos_token", "stop_sequence", "")),
    generated_tokens: decoding.count,
    seed: fc.constant(null),
    input_length: decoding.count,
    prompt_tokens: decoding.count
  },
  { requiredKeys: [] }
)

const event = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record(
      {
        index: fc.nat(9),
        token: decoding.nullable(token),
        generated_text: fc.constant(null),
        details: fc.oneof({ weight: 8, arbitrary: fc.constant(null) }, details)
      },
      { requiredKeys: ["token"] }
    )
  },
  {
    weight: 3,
    arbitrary: fc.record({ token, generated_text: decoding.token, details: decoding.nullable(details) })
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { error: decoding.token, error_type: fc.constantFrom("overloaded", "") },
      { requiredKeys: ["error"] }
    )
  }
)

const answer = decoding.eventStream(
  fc.array(
    fc.oneof(
      {
        weight: 30,
        arbitrary: fc
          .tuple(event, fc.constantFrom("", "", ":", "message"), fc.constantFrom(0, 0, 1))
          .map(([event, name, indent]) => ({ name, data: JSON.stringify(event, null, indent) }))
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom({ name: "error", data: "busy" }, { name: "", data: "{" }, { name: "", data: "5" })
      }
    ),
    { maxLength: 12 }
  )
)

const decodeEvent = Schema.decodeUnknownOption(TgiEvent.TgiEvent)

/** Reads a whole answer through the schema. */
const read = (body: Buffer): reference.Outcome => {
  const parts: Array<reference.Part> = []
  let isForeign = false
  let isKnown = false
  for (const { data, event: name, isClosed } of reference.sseEvents(body)) {
    if (name === "error") return { parts, failure: "InStream" }
    const json = decoding.parsed(data)
    if (json === undefined || !decoding.isObject(json.value)) {
      if (!isClosed) break
      return { parts, failure: "Protocol" }
    }
    const { details, generated_text, token } = Option.getOrThrow(decodeEvent(json.value))
    isKnown ||= decoding.isObject(token) || typeof generated_text === "string"
    isForeign = !isKnown
    if (token?.text && token.special !== true) parts.push({ kind: "text", text: token.text })
    if (details) {
      if (details.finish_reason) parts.push({ finished: details.finish_reason })
      const input = details.input_length ?? details.prompt_tokens ?? null
      parts.push({ usage: [input, details.generated_tokens ?? null, null, null] })
    }
    if ("error" in json.value) return { parts, failure: "InStream" }
    if (typeof generated_text === "string") return { parts, failure: undefined }
  }
  return { parts, failure: isForeign ? "Protocol" : "Truncated" }
}

const data = (event: object): string => `data:${JSON.stringify(event)}\n\n`
const text = (text: string): string => data({ token: { id: 5, text, special: false }, generated_text: null })
const last = data({ token: { id: 2, text: "</s>", special: true }, generated_text: "a" })

describe("TgiEvent.makeDecoder", () => {
  it("gives what the schema gives, whatever the events and wherever the body is cut", () => {
    fc.assert(
      fc.property(answer, bodies.cuts, (body, cuts) => {
        assert.deepStrictEqual(decoding.outcome(makeDecoder, bodies.cut(body, cuts)), read(body))
      }),
      { numRuns: 600 }
    )
  })

  it("is held against answers of every kind", () => {
    const kinds = ["fine", "Truncated", "Protocol", "InStream", "text", "finished", "usage"]
    decoding.holdsEveryKind(answer, 400, read, kinds)
  })

  it("reads an answer, with the time of each token; what is special or empty is no content", () => {
    const body = decoding.transcript("tgi-text.sse")
    const middle = body.indexOf(":\n")
    const { done, events, reason } = decoding.decode(makeDecoder, [
      body.subarray(0, 40),
      body.subarray(40, middle),
      body.subarray(middle)
    ])
    assert.isUndefined(reason)
    assert.isTrue(done)
    assert.deepStrictEqual(events, [
      { _tag: "Content", kind: "text", at: [2, 3], text: ["Shall", " 👋"] },
      { _tag: "Finished", at: 3, reason: "eos_token" },
      { _tag: "Usage", at: 3, inputTokens: 11, outputTokens: 4, cachedInputTokens: null, reasoningTokens: null }
    ])
  })

  it("reads the last token of an answer that ran into its limit", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, decoding.transcript("tgi-length.sse")), [
      "text Shall",
      "text  I",
      "length",
      "usage 11 2  "
    ])
  })

  it.each(["tgi-text.sse", "tgi-length.sse", "tgi-overloaded.sse"])("reads %s the same wherever it is cut", (name) =>
    decoding.isSameWhereverCut(makeDecoder, name)
  )

  it("fails when it is overloaded in the middle, and keeps what came", () => {
    const body = decoding.transcript("tgi-overloaded.sse")
    assert.deepStrictEqual(decoding.inShort(makeDecoder, body), ["text Shall", "InStream"])
    const reason = decoding.failureOf(makeDecoder, body)
    assert.deepInclude(reason, { description: "Model is overloaded", code: "overloaded", type: "overloaded" })
    assert.strictEqual(reason?.errorCode, "overloaded")
  })

  it("is complete with the whole text, not before, and reads nothing after it", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a")), ["text a", "Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, ""), ["Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last + text("b") + "data: {\n\n"), ["text a"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last.trimEnd()), ["text a"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last.slice(0, 30)), ["text a", "Truncated"])
    const empty = data({ token: { text: "a" }, generated_text: "" })
    assert.deepStrictEqual(decoding.inShort(makeDecoder, empty), ["text a"])
  })

  it("reads the counts under either name", () => {
    const lorax = data({
      token: { text: "a" },
      generated_text: "a",
      details: { prompt_tokens: 7, generated_tokens: 1 }
    })
    assert.deepStrictEqual(decoding.inShort(makeDecoder, lorax), ["text a", "usage 7 1  "])
  })

  it("passes over what has not the promised type", () => {
    const odd = [
      {},
      [],
      { token: 5 },
      { token: { text: 5 } },
      { token: null, details: 5, generated_text: 5 },
      { error: null }
    ]
    assert.deepStrictEqual(decoding.inShort(makeDecoder, odd.map(data).join("") + last), [])
  })

  it.each([
    ["text", "data: Internal Server Error\n\n", "Protocol", "Internal Server Error"],
    ["a number", "data: 5\n\n", "Protocol", "5"],
    ["an event named error", "event: error\ndata: busy\n\n", "InStream", "busy"],
    ["several errors", `data:{"error":["one","two"]}\n\n`, "InStream", "one; two"],
    ["an error of OpenAI's form", `data:{"error":{"message":"busy","code":529}}\n\n`, "InStream", "busy"]
  ] as const)("fails on %s, and shows it", (_name, body, tag, shown) => {
    const reason = decoding.failureOf(makeDecoder, text("a") + body + last)
    assert.strictEqual(reason?._tag, tag)
    assert.include(reason?.message, shown)
  })
})

describe("TgiEvent.errorOf", () => {
  it("finds no error where there is none", () => {
    for (const value of [null, 5, "error", [], {}, { error: null }, { generated_text: "a" }]) {
      assert.isUndefined(TgiEvent.errorOf(value))
    }
  })
})
