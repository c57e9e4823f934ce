import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as OllamaLine from "../../../src/provider/wire/OllamaLine.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import type * as reference from "./reference.ts"

const { makeDecoder } = OllamaLine

const toolCall = fc.record(
  {
    id: fc.constant("call_1"),
    function: decoding.nullable(
      fc.record(
        {
          name: decoding.nullable(decoding.token),
          arguments: fc.oneof(
            fc.dictionary(decoding.token, decoding.token, { maxKeys: 2 }),
            decoding.token,
            fc.constant(null)
          )
        },
        { requiredKeys: [] }
      )
    )
  },
  { requiredKeys: [] }
)

const message = fc.record(
  {
    role: fc.constant("assistant"),
    content: decoding.nullable(decoding.token),
    thinking: decoding.nullable(decoding.token),
    tool_calls: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, fc.array(toolCall, { maxLength: 2 }))
  },
  { requiredKeys: ["content"] }
)

const line = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record(
      { model: decoding.token, message: decoding.nullable(message), done: fc.constantFrom(false, null) },
      { requiredKeys: ["message"] }
    )
  },
  {
    weight: 3,
    arbitrary: fc.record(
      {
        message,
        done: fc.constant(true),
        done_reason: decoding.nullable(fc.constantFrom("stop", "length", "")),
        prompt_eval_count: decoding.count,
        eval_count: decoding.count
      },
      { requiredKeys: ["message", "done"] }
    )
  },
  { weight: 1, arbitrary: fc.record({ error: decoding.token }) }
)

const answer = decoding.lines(
  fc.array(
    fc.oneof(
      { weight: 30, arbitrary: line.map((line) => JSON.stringify(line)) },
      { weight: 1, arbitrary: fc.constantFrom("", " ", "{", "5", ` {"done":false} `) }
    ),
    { maxLength: 12 }
  )
)

const decodeLine = Schema.decodeUnknownOption(OllamaLine.OllamaLine)

/** Reads a whole answer through the schema. */
const read = (body: Buffer): reference.Outcome => {
  const parts: Array<reference.Part> = []
  const texts = body.toString("utf8").split("\n")
  let isForeign = false
  let isKnown = false
  for (const [index, text] of texts.entries()) {
    if (text.trim() === "") continue
    const isClosed = index + 1 < texts.length
    const json = decoding.parsed(text.replace(/^\uFEFF/, ""))
    if (json === undefined || !decoding.isObject(json.value)) {
      if (!isClosed) break
      return { parts, failure: "Protocol" }
    }
    const { done, done_reason, eval_count, message, prompt_eval_count } = Option.getOrThrow(decodeLine(json.value))
    isKnown ||= decoding.isObject(message)
    isForeign = !isKnown
    if (message?.thinking) parts.push({ kind: "reasoning", text: message.thinking })
    if (message?.content) parts.push({ kind: "text", text: message.content })
    for (const call of message?.tool_calls ?? []) {
      const { arguments: given, name } = call.function ?? {}
      if (name) parts.push({ kind: "tool", text: name })
      if (given) parts.push({ kind: "tool", text: typeof given === "string" ? given : JSON.stringify(given) })
    }
    if ("error" in json.value) return { parts, failure: "InStream" }
    if (done !== true) continue
    const failure = isForeign ? "Protocol" : undefined
    if (done_reason) parts.push({ finished: done_reason })
    const counts = [prompt_eval_count ?? null, eval_count ?? null]
    if (counts.some((count) => count !== null)) parts.push({ usage: [...counts, null, null] })
    return { parts, failure }
  }
  return { parts, failure: isForeign ? "Protocol" : "Truncated" }
}

const data = (line: object): string => `${JSON.stringify(line)}\n`
const text = (content: string): string => data({ message: { role: "assistant", content }, done: false })
const last = data({ message: { role: "assistant", content: "" }, done: true, done_reason: "stop" })

describe("OllamaLine.makeDecoder", () => {
  it("gives what the schema gives, whatever the lines and wherever the body is cut", () => {
    fc.assert(
      fc.property(answer, bodies.cuts, (body, cuts) => {
        assert.deepStrictEqual(decoding.outcome(makeDecoder, bodies.cut(body, cuts)), read(body))
      }),
      { numRuns: 600 }
    )
  })

  it("is held against answers of every kind", () => {
    decoding.holdsEveryKind(answer, 400, read)
  })

  it("reads thinking and text, with the time of each chunk", () => {
    const body = decoding.transcript("ollama-text.ndjson")
    const middle = body.indexOf("“") + 1
    const { done, events, reason } = decoding.decode(makeDecoder, [body.subarray(0, middle), body.subarray(middle)])
    assert.isUndefined(reason)
    assert.isTrue(done)
    assert.deepStrictEqual(events, [
      { _tag: "Content", kind: "reasoning", at: [1, 1], text: ["Which", " day?"] },
      { _tag: "Content", kind: "text", at: [1, 2], text: ["Shall", " I “👋”\n"] },
      { _tag: "Finished", at: 2, reason: "stop" },
      { _tag: "Usage", at: 2, inputTokens: 26, outputTokens: 282, cachedInputTokens: null, reasoningTokens: null }
    ])
  })

  it("reads a call of a tool, its arguments as JSON", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, decoding.transcript("ollama-tool.ndjson")), [
      "tool get_weather",
      'tool {"day":"summer","long":true}',
      "stop",
      "usage 169 15  "
    ])
  })

  it.each(["ollama-text.ndjson", "ollama-tool.ndjson", "ollama-error.ndjson"])(
    "reads %s the same wherever it is cut",
    (name) => decoding.isSameWhereverCut(makeDecoder, name)
  )

  it("fails on an error in the middle, and keeps what came", () => {
    const body = decoding.transcript("ollama-error.ndjson")
    assert.deepStrictEqual(decoding.inShort(makeDecoder, body), ["text Rough", "InStream"])
    const reason = decoding.failureOf(makeDecoder, body)
    assert.deepInclude(reason, {
      description: "an error was encountered while running the model",
      code: null,
      type: null
    })
    assert.strictEqual(reason?.errorCode, "in_stream_error")
  })

  it("is complete with the line that is done, not before, and reads nothing after it", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a")), ["text a", "Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, ""), ["Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last + text("b"), "{not json\n", "{"), [
      "text a",
      "stop"
    ])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last.trimEnd()), ["text a", "stop"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + last.slice(0, 30)), ["text a", "Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, `${text("a")}{"error":"busy"}`), ["text a", "InStream"])
  })

  it("invents neither a finish reason nor counts", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + data({ done: true })), ["text a"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + data({ done: true, eval_count: 3 })), [
      "text a",
      "usage  3  "
    ])
  })

  it("passes over what has not the promised type", () => {
    const odd = [
      {},
      [],
      { message: 5 },
      { message: { content: 5, thinking: [], tool_calls: "x" } },
      { message: { tool_calls: [null, {}, { function: 5 }, { function: { name: 5 } }] } },
      { error: null },
      { done: "true" }
    ]
    assert.deepStrictEqual(decoding.inShort(makeDecoder, odd.map(data).join("") + last), ["stop"])
  })

  it.each([
    ["text", "Internal Server Error\n", "Internal Server Error"],
    ["JSON that is cut", "{not json\n", "{not json"],
    ["a number", "5\n", "5"]
  ])("fails on %s in the middle of the stream, and shows it", (_name, body, shown) => {
    const reason = decoding.failureOf(makeDecoder, text("a") + body + last)
    assert.strictEqual(reason?._tag, "Protocol")
    assert.include(reason?.message, shown)
  })

  it("reads a line of a megabyte, and refuses one that has no end", () => {
    const content = "lorem ipsum ".repeat(100_000)
    assert.deepStrictEqual(
      decoding.inShort(makeDecoder, ...bodies.cut(Buffer.from(text(content) + last), [5, 70_000, 900_001])),
      [`text ${content}`, "stop"]
    )
    const pieces = Array.from({ length: 12 }, () => Buffer.alloc(1024 * 1024, "a"))
    const { reason } = decoding.decode(makeDecoder, pieces)
    assert.strictEqual(reason?._tag, "TooLarge")
    assert.include(reason?.message, "a line of more than 10 MiB")
  })
})
