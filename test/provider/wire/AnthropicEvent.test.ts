import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as AnthropicEvent from "../../../src/provider/wire/AnthropicEvent.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import * as reference from "./reference.ts"

const { makeDecoder } = AnthropicEvent

const usage = fc.record(
  {
    input_tokens: decoding.count,
    cache_creation_input_tokens: decoding.count,
    cache_read_input_tokens: decoding.count,
    output_tokens: decoding.count,
    output_tokens_details: decoding.nullable(fc.record({ thinking_tokens: decoding.count }, { requiredKeys: [] })),
    service_tier: fc.constant("standard")
  },
  { requiredKeys: [] }
)

const texts = { text: decoding.nullable(decoding.token), thinking: decoding.nullable(decoding.token) }

const block = fc.record(
  {
    type: fc.constantFrom(
      "text",
      "thinking",
      "redacted_thinking",
      "tool_use",
      "server_tool_use",
      "mcp_tool_use",
      "new"
    ),
    ...texts,
    name: decoding.nullable(decoding.token),
    input: fc.constant({}),
    data: fc.constant("x")
  },
  { requiredKeys: ["type"] }
)

const delta = fc.record(
  {
    type: fc.constantFrom(
      "text_delta",
      "text_delta",
      "thinking_delta",
      "input_json_delta",
      "signature_delta",
      "citations_delta",
      "new"
    ),
    ...texts,
    partial_json: decoding.nullable(decoding.token),
    signature: fc.constant("x")
  },
  { requiredKeys: ["type", "text", "thinking", "partial_json"] }
)

const messageDelta = fc.record(
  { stop_reason: decoding.nullable(fc.constantFrom("end_turn", "max_tokens", "")), stop_sequence: fc.constant(null) },
  { requiredKeys: [] }
)

const weighted = (weight: number, type: string, fields: { readonly [name: string]: fc.Arbitrary<unknown> }) => ({
  weight,
  arbitrary: fc.record({ type: fc.constant(type), ...fields })
})

const event = fc.oneof(
  weighted(4, "message_start", { message: decoding.nullable(fc.record({ usage }, { requiredKeys: [] })) }),
  weighted(4, "content_block_start", { index: fc.nat(3), content_block: decoding.nullable(block) }),
  weighted(16, "content_block_delta", { index: fc.nat(3), delta: decoding.nullable(delta) }),
  weighted(1, "content_block_stop", { index: fc.nat(3) }),
  weighted(3, "message_delta", { delta: decoding.nullable(messageDelta), usage: decoding.nullable(usage) }),
  weighted(2, "message_stop", {}),
  weighted(1, "ping", {}),
  weighted(1, "something_new", { delta }),
  weighted(1, "error", {
    error: decoding.nullable(fc.record({ type: fc.constantFrom("overloaded_error", ""), message: decoding.token }))
  })
)

const answer = decoding.eventStream(
  fc.array(
    fc.oneof(
      {
        weight: 30,
        arbitrary: fc
          .tuple(event, fc.constantFrom("type", "type", "type", "", ":"), fc.constantFrom(0, 0, 1))
          .map(([event, name, indent]) => ({
            name: name === "type" ? event.type : name,
            data: JSON.stringify(event, null, indent)
          }))
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          { name: "error", data: "busy" },
          { name: "ping", data: "{" },
          { name: "", data: "5" }
        )
      }
    ),
    { maxLength: 14 }
  )
)

const decodeEvent = Schema.decodeUnknownOption(AnthropicEvent.AnthropicEvent)

const most = (values: ReadonlyArray<number | null | undefined>): number | null =>
  values.reduce<number | null>((a, b) => (b === null || b === undefined ? a : Math.max(a ?? 0, b)), null)

/** Reads a whole answer through the schema. */
const read = (body: Buffer): reference.Outcome => {
  const parts: Array<reference.Part> = []
  const usages: Array<NonNullable<AnthropicEvent.AnthropicEvent["usage"]>> = []
  const finals: Array<NonNullable<AnthropicEvent.AnthropicEvent["usage"]>> = []
  const addUsage = (): void => {
    const input = most(usages.map((usage) => usage.input_tokens))
    const cacheRead = most(usages.map((usage) => usage.cache_read_input_tokens))
    const written = most(usages.map((usage) => usage.cache_creation_input_tokens))
    parts.push({
      usage: [
        input === null ? null : input + (written ?? 0) + (cacheRead ?? 0),
        most(finals.map((usage) => usage.output_tokens)),
        cacheRead,
        most(finals.map((usage) => usage.output_tokens_details?.thinking_tokens))
      ]
    })
  }
  let isForeign = false
  let isKnown = false
  for (const { data, event: name, isClosed } of reference.sseEvents(body)) {
    const json = decoding.parsed(data)
    if (name === "error") return { parts, failure: "InStream" }
    if (json === undefined || !decoding.isObject(json.value)) {
      if (!isClosed) break
      return { parts, failure: "Protocol" }
    }
    const event = Option.getOrThrow(decodeEvent(json.value))
    const { content_block: block, delta } = event
    isKnown ||= event.type.startsWith("message_") || event.type.startsWith("content_block_") || event.type === "ping"
    isForeign = !isKnown
    const add = (kind: "text" | "reasoning" | "tool", text: string | null | undefined): void => {
      if (text) parts.push({ kind, text })
    }
    if (event.type === "error") return { parts, failure: "InStream" }
    if (event.type === "message_stop") return { parts, failure: undefined }
    if (event.type === "content_block_delta") {
      if (delta?.type === "text_delta") add("text", delta.text)
      if (delta?.type === "thinking_delta") add("reasoning", delta.thinking)
      if (delta?.type === "input_json_delta") add("tool", delta.partial_json)
    }
    if (event.type === "content_block_start") {
      if (block?.type === "text") add("text", block.text)
      if (block?.type === "thinking") add("reasoning", block.thinking)
      if (block?.type?.endsWith("tool_use")) add("tool", block.name)
    }
    if (event.type === "message_start" && event.message?.usage) {
      usages.push(event.message.usage)
      addUsage()
    }
    if (event.type === "message_delta") {
      if (delta?.stop_reason) parts.push({ finished: delta.stop_reason })
      if (event.usage) {
        usages.push(event.usage)
        finals.push(event.usage)
        addUsage()
      }
    }
  }
  return { parts, failure: isForeign ? "Protocol" : "Truncated" }
}

const data = (event: object): string => `data: ${JSON.stringify(event)}\n\n`
const text = (text: string): string => data({ type: "content_block_delta", delta: { type: "text_delta", text } })
const stop = data({ type: "message_stop" })

describe("AnthropicEvent.makeDecoder", () => {
  it("gives what the schema gives, whatever the events and wherever the body is cut", () => {
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

  it("reads text, with the time of each chunk, and adds what was cached to the input", () => {
    const body = decoding.transcript("anthropic-text.sse")
    const middle = body.indexOf("compare")
    const { done, events, reason } = decoding.decode(makeDecoder, [body.subarray(0, middle), body.subarray(middle)])
    assert.isUndefined(reason)
    assert.isTrue(done)
    assert.deepStrictEqual(events, [
      { _tag: "Usage", at: 1, inputTokens: 1125, outputTokens: null, cachedInputTokens: 1000, reasoningTokens: null },
      { _tag: "Content", kind: "text", at: [1, 2], text: ["Shall", " I compare “thee” 👋\n"] },
      { _tag: "Finished", at: 2, reason: "end_turn" },
      { _tag: "Usage", at: 2, inputTokens: 1125, outputTokens: 15, cachedInputTokens: 1000, reasoningTokens: null }
    ])
  })

  it("reads thinking, the name of a tool and its input, and the counts that came later", () => {
    assert.deepStrictEqual(decoding.inShort(makeDecoder, decoding.transcript("anthropic-thinking-tool.sse")), [
      "usage 472  0 ",
      "reasoning Which day",
      "reasoning  is it?",
      "text Let me look.",
      "tool get_weather",
      'tool {"day": "sum',
      'tool mer"}',
      "tool_use",
      "usage 487 89 7 40"
    ])
  })

  it.each(["anthropic-text.sse", "anthropic-thinking-tool.sse", "anthropic-overloaded.sse"])(
    "reads %s the same wherever it is cut",
    (name) => decoding.isSameWhereverCut(makeDecoder, name)
  )

  it("fails when it is overloaded in the middle, and keeps what came", () => {
    const body = decoding.transcript("anthropic-overloaded.sse")
    assert.deepStrictEqual(decoding.inShort(makeDecoder, body), ["usage 9   ", "text Rough winds", "InStream"])
    const reason = decoding.failureOf(makeDecoder, body)
    assert.deepInclude(reason, { description: "Overloaded", code: "overloaded_error", type: "overloaded_error" })
    assert.strictEqual(reason?.errorCode, "overloaded_error")
  })

  it("is not complete without message_stop, whatever else came", () => {
    const finish = data({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } })
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + finish), [
      "text a",
      "end_turn",
      "usage  1  ",
      "Truncated"
    ])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, ""), ["Truncated"])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + finish + stop.trimEnd()), [
      "text a",
      "end_turn",
      "usage  1  "
    ])
    assert.deepStrictEqual(decoding.inShort(makeDecoder, text("a") + stop + "data: [DONE]\n\ndata: {"), ["text a"])
  })

  it("goes by the type in the data where events have no names", () => {
    const named = decoding.transcript("anthropic-thinking-tool.sse").toString()
    assert.deepStrictEqual(
      decoding.inShort(makeDecoder, named.replaceAll(/^event: .*\n/gm, "")),
      decoding.inShort(makeDecoder, named)
    )
  })

  it("passes over what has not the promised type", () => {
    const odd = [
      {},
      [],
      { type: 5 },
      { type: "message_start" },
      { type: "message_start", message: { usage: "x" } },
      { type: "content_block_start", content_block: { type: "tool_use", name: 5 } },
      { type: "content_block_delta" },
      { type: "content_block_delta", delta: { type: "text_delta", text: 5 } },
      { type: "message_delta", delta: 5, usage: 5 },
      { type: "message_delta", delta: { stop_reason: 5 } }
    ]
    assert.deepStrictEqual(decoding.inShort(makeDecoder, odd.map(data).join("") + stop), [])
  })

  it.each([
    ["text", "data: Internal Server Error\n\n", "Protocol", "Internal Server Error"],
    ["a number", "data: 5\n\n", "Protocol", "5"],
    ["an error without an object", "event: error\ndata: busy\n\n", "InStream", "busy"],
    ["an error of another form", `event: error\ndata: {"message":"busy"}\n\n`, "InStream", `{"message":"busy"}`],
    ["an error that is a text", `data: {"type":"error","error":"busy"}\n\n`, "InStream", "busy"],
    ["an error without a message", `data: {"type":"error","error":{"type":"api_error"}}\n\n`, "InStream", "api_error"]
  ] as const)("fails on %s, and shows it", (_name, body, tag, shown) => {
    const reason = decoding.failureOf(makeDecoder, text("a") + body + stop)
    assert.strictEqual(reason?._tag, tag)
    assert.include(reason?.message, shown)
  })
})

describe("AnthropicEvent.errorOf", () => {
  it("finds no error where there is none", () => {
    for (const value of [null, 5, "error", [], {}, { error: null }, { type: "message" }]) {
      assert.isUndefined(AnthropicEvent.errorOf(value))
    }
  })
})
