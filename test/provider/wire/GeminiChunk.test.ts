import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as GeminiChunk from "../../../src/provider/wire/GeminiChunk.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const { makeDecoder } = GeminiChunk

const optional = (fields: { readonly [name: string]: fc.Arbitrary<unknown> }) => fc.record(fields, { requiredKeys: [] })

const part = fc.oneof(
  { weight: 5, arbitrary: fc.record({ text: decoding.token }) },
  { weight: 2, arbitrary: fc.record({ text: decoding.token, thought: fc.constantFrom(true, true, false, null) }) },
  {
    weight: 1,
    arbitrary: optional({
      text: decoding.nullable(decoding.token),
      thoughtSignature: decoding.token,
      functionCall: decoding.nullable(
        optional({
          name: decoding.nullable(decoding.token),
          args: fc.constantFrom({ city: "Köln" }, {}, null, [1], "text")
        })
      )
    })
  }
)

const candidate = optional({
  content: decoding.nullable(
    optional({ role: fc.constant("model"), parts: decoding.nullable(fc.array(part, { maxLength: 3 })) })
  ),
  finishReason: fc.constantFrom(null, null, null, "", "STOP", "MAX_TOKENS", "SAFETY"),
  index: fc.constant(0)
})

const usage = optional({
  promptTokenCount: decoding.count,
  candidatesTokenCount: decoding.count,
  thoughtsTokenCount: decoding.count,
  cachedContentTokenCount: decoding.count,
  totalTokenCount: decoding.count
})

const chunk = fc.oneof(
  {
    weight: 20,
    arbitrary: optional({
      candidates: decoding.nullable(fc.array(candidate, { maxLength: 2 })),
      usageMetadata: decoding.nullable(usage),
      modelVersion: fc.constant("m")
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      promptFeedback: fc.constantFrom(
        null,
        {},
        { blockReason: "" },
        { blockReason: "SAFETY" },
        { blockReason: "OTHER", blockReasonMessage: "why" }
      )
    })
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>({ error: { code: 503, message: "busy" } }, [{ error: "busy" }], 5) }
)

const data = fc.oneof(
  { weight: 30, arbitrary: chunk.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.constantFrom("{not json", "[DONE]", "busy") }
)

const answer = decoding.eventStream(
  fc.array(
    data.map((data) => ({ name: "", data })),
    { maxLength: 8 }
  )
)

const decodeChunk = Schema.decodeUnknownOption(GeminiChunk.GeminiChunk)

/** A whole answer read by the schema. Where a list stands in the place of a chunk, it is an error or nothing. */
const read = (body: Uint8Array): reference.Outcome => {
  const parts: Array<reference.Part> = []
  let usage: reference.Part | undefined
  let isComplete = false
  let isForeign = false
  let isKnown = false
  const giveUsage = (): void => {
    if (usage !== undefined) parts.push(usage)
    usage = undefined
  }
  const failed = (failure: string | undefined): reference.Outcome => {
    giveUsage()
    return { parts, failure }
  }
  for (const { data, isClosed } of reference.sseEvents(body)) {
    const json = decoding.parsed(data)
    if (json === undefined) {
      if (!isClosed) break
      return failed("Protocol")
    }
    const first: unknown = Array.isArray(json.value) ? json.value[0] : json.value
    if (decoding.isObject(first) && "error" in first) return failed("InStream")
    if (!decoding.isObject(json.value)) {
      if (!isClosed) break
      return failed("Protocol")
    }
    const { candidates, promptFeedback, usageMetadata } = Option.getOrThrow(decodeChunk(json.value))
    isKnown ||= [candidates, promptFeedback, usageMetadata].some(decoding.isObject)
    isForeign = !isKnown
    for (const { content, finishReason } of candidates ?? []) {
      for (const { functionCall, text, thought } of content?.parts ?? []) {
        if (text) parts.push({ kind: thought === true ? "reasoning" : "text", text })
        if (functionCall === undefined || functionCall === null) continue
        const { args, name } = functionCall
        const written = (name ?? "") + (decoding.isObject(args) ? JSON.stringify(args) : "")
        if (written !== "") parts.push({ kind: "tool", text: written })
      }
      if (finishReason) {
        isComplete = true
        parts.push({ finished: finishReason })
      }
    }
    if (usageMetadata) {
      const { cachedContentTokenCount, candidatesTokenCount, promptTokenCount, thoughtsTokenCount } = usageMetadata
      const written = [candidatesTokenCount, thoughtsTokenCount].filter(
        (count) => count !== undefined && count !== null
      )
      usage = {
        usage: [
          promptTokenCount ?? null,
          written.length === 0 ? null : written.reduce((sum, count) => sum + count, 0),
          cachedContentTokenCount ?? null,
          thoughtsTokenCount ?? null
        ]
      }
    }
    if (isComplete) giveUsage()
    if (promptFeedback?.blockReason) return failed("InStream")
  }
  return failed(isComplete ? undefined : isForeign ? "Protocol" : "Truncated")
}

const body = (...chunks: ReadonlyArray<unknown>): string =>
  chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")

const text = (text: string, more: object = {}) => ({ candidates: [{ content: { parts: [{ text }] }, ...more }] })

describe("GeminiChunk.makeDecoder", () => {
  it("gives what the schema gives, whatever the chunks and wherever the body is cut", () => {
    fc.assert(
      fc.property(answer, bodies.cuts, (body, cuts) => {
        assert.deepStrictEqual(decoding.outcome(makeDecoder, bodies.cut(body, cuts)), read(body))
      }),
      { numRuns: 500 }
    )
  })

  it("is held against answers of every kind", () => {
    decoding.holdsEveryKind(answer, 500, read)
  })

  it("reads thoughts, text and the last usage, with the time of each chunk", () => {
    const whole = decoding.transcript("gemini-thoughts.sse")
    const ends = [...whole.toString("latin1").matchAll(/\r\n\r\n/g)].map(({ index }) => index + 4)
    const pieces = ends.map((end, i) => whole.subarray(ends[i - 1] ?? 0, end))
    const { done, events, reason } = decoding.decode(makeDecoder, pieces)
    assert.isUndefined(reason)
    assert.isFalse(done)
    assert.deepStrictEqual(events, [
      { _tag: "Content", kind: "reasoning", at: [1], text: ["**Counting**\n\nThe user wants three words."] },
      { _tag: "Content", kind: "text", at: [2, 3], text: ["One “two”", " 3 👋\n"] },
      { _tag: "Finished", at: 4, reason: "STOP" },
      { _tag: "Usage", at: 4, inputTokens: 9, outputTokens: 37, cachedInputTokens: 4, reasoningTokens: 31 }
    ])
  })

  it.each([
    [
      "gemini-function-call.sse",
      ["text I look it up.", `tool weather{"city":"Köln","days":2}`, "STOP", "usage 60 21  "]
    ],
    [
      "vertex-text.sse",
      ["text Shall", "text  I compare thee", "text  to a summer's day?", "MAX_TOKENS", "usage 7 10  "]
    ],
    ["gemini-blocked.sse", ["usage 12   ", "InStream"]],
    ["gemini-overloaded.sse", ["text Once upon", "usage 9 2  ", "InStream"]]
  ])("reads %s, cut anywhere", (name, expected) => {
    const whole = decoding.transcript(name)
    assert.deepStrictEqual(decoding.inShort(makeDecoder, whole), expected)
    const once = decoding.outcome(makeDecoder, [whole])
    fc.assert(
      fc.property(bodies.cuts, (cuts) => {
        assert.deepStrictEqual(decoding.outcome(makeDecoder, bodies.cut(whole, cuts)), once)
      }),
      { numRuns: 50 }
    )
  })

  it("says that a prompt was blocked, and why", () => {
    assert.deepInclude(decoding.failureOf(makeDecoder, decoding.transcript("gemini-blocked.sse")), {
      _tag: "InStream",
      description: "The prompt was blocked: PROHIBITED_CONTENT",
      code: "prompt_blocked",
      type: "PROHIBITED_CONTENT"
    })
    const message = body({ promptFeedback: { blockReason: "SAFETY", blockReasonMessage: "Too hot." } })
    assert.strictEqual(decoding.failureOf(makeDecoder, message)?.message, "The prompt was blocked: SAFETY (Too hot.)")
    assert.isUndefined(
      decoding.failureOf(
        makeDecoder,
        body({ promptFeedback: { safetyRatings: [] } }, text("a", { finishReason: "STOP" }))
      )
    )
  })

  it("fails on an error in the stream with its code and status", () => {
    assert.deepInclude(decoding.failureOf(makeDecoder, decoding.transcript("gemini-overloaded.sse")), {
      _tag: "InStream",
      description: "The model is overloaded. Please try again later.",
      code: 503,
      type: "UNAVAILABLE"
    })
  })

  it("a candidate that was stopped for safety is an answer", () => {
    assert.deepStrictEqual(
      decoding.inShort(makeDecoder, body(text("a"), { candidates: [{ finishReason: "SAFETY" }] })),
      ["text a", "SAFETY"]
    )
  })

  it("gives a usage that comes after the finish reason", () => {
    const usageMetadata = { promptTokenCount: 3, candidatesTokenCount: 2 }
    assert.deepStrictEqual(
      decoding.inShort(makeDecoder, body(text("a", { finishReason: "STOP" }), { usageMetadata })),
      ["text a", "STOP", "usage 3 2  "]
    )
  })

  it("needs a finish reason", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, body(text("a"))), ["text a", "Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, ""), ["Truncated"])
    const whole = body(text("a"), text("b")).slice(0, -2)
    for (let end = 1; end < whole.length; end++) {
      assert.strictEqual(decoding.failureOf(makeDecoder, whole.slice(0, end))?._tag, "Truncated", `after ${end} bytes`)
    }
  })

  it.each(["{not json", "Internal Server Error", "5", "null"])("fails on %s in the stream, and shows it", (data) => {
    const reason = decoding.failureOf(makeDecoder, `${body(text("a"))}data: ${data}\n\n`)
    assert.strictEqual(reason?._tag, "Protocol")
    assert.include(reason?.message, data)
  })

  it("never throws, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (json, value) => {
        const chunk = {
          candidates: [
            value,
            { content: value },
            { content: { parts: [value, { text: value, functionCall: value }] } }
          ],
          usageMetadata: value,
          promptFeedback: value,
          error: value
        }
        const reason = decoding.failureOf(makeDecoder, `data: ${json}\n\n${body(chunk)}`)
        assert.include(["Truncated", "Protocol", "InStream"], reason?._tag)
      }),
      { numRuns: 300 }
    )
  })
})

describe("GeminiChunk.errorOf", () => {
  it("reads an error alone and in a list", () => {
    const error = { code: 429, message: "Quota", status: "RESOURCE_EXHAUSTED" }
    for (const value of [{ error }, [{ error }]]) {
      assert.deepInclude(GeminiChunk.errorOf(value), { description: "Quota", code: 429, type: "RESOURCE_EXHAUSTED" })
    }
    assert.deepInclude(GeminiChunk.errorOf({ error: "text" }), { description: "text", code: null, type: null })
    assert.deepInclude(GeminiChunk.errorOf({ error: { reason: "x" } }), { description: `{"reason":"x"}`, code: null })
  })

  it("finds no error where there is none", () => {
    for (const value of [null, 5, "error", [], [[]], {}, { error: null }, { error: false }, [null]]) {
      assert.isUndefined(GeminiChunk.errorOf(value))
    }
  })
})
