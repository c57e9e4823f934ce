import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as ResponsesEvent from "../../../src/provider/wire/ResponsesEvent.ts"
import * as bodies from "./bodies.ts"
import * as decoding from "./decoding.ts"
import type * as reference from "./reference.ts"

const decode = (pieces: ReadonlyArray<Buffer>) => decoding.decode(ResponsesEvent.makeDecoder, pieces)
const outcome = (pieces: ReadonlyArray<Buffer>) => decoding.outcome(ResponsesEvent.makeDecoder, pieces)

type Json = { readonly type: string; readonly [key: string]: unknown }

const sse = (events: ReadonlyArray<Json>, isNamed = true): Buffer =>
  Buffer.from(
    events.map((event) => `${isNamed ? `event: ${event.type}\n` : ""}data: ${JSON.stringify(event)}\n\n`).join("")
  )

const delta = (text: string, type = "response.output_text.delta"): Json => ({ type, delta: text })

const completed: Json = { type: "response.completed", response: { status: "completed", error: null, usage: null } }

const decodeEvent = Schema.decodeUnknownOption(ResponsesEvent.ResponsesEvent)

/** Reads events one by one through the schema. */
const plainly = (events: ReadonlyArray<Json>): reference.Outcome => {
  const parts: Array<reference.Part> = []
  let called = false
  let refused = false
  const text = (kind: "text" | "reasoning" | "tool", text: string | null | undefined): void => {
    if (text) parts.push({ kind, text })
  }
  let isForeign = false
  let isKnown = false
  for (const json of events) {
    isKnown ||= /"type":"response\./.test(JSON.stringify(json))
    isForeign = !isKnown
    const event = Option.getOrUndefined(decodeEvent(json))
    if (event === undefined) continue
    if (event.type === "error") return { parts, failure: "InStream" }
    if ("delta" in event) refused ||= event.type === "response.refusal.delta" && event.delta !== ""
    if ("delta" in event) text(ResponsesEvent.kinds[event.type], event.delta)
    if ("item" in event) {
      called ||= typeof event.item.name === "string"
      text("tool", event.item.name)
    }
    if ("response" in event) {
      const { incomplete_details, status, usage } = event.response
      const isFailed = event.type === "response.failed" || status === "failed"
      if (!isFailed) {
        const isIncomplete = event.type === "response.incomplete" || status === "incomplete"
        const why = incomplete_details?.reason || "incomplete"
        const reason = isIncomplete
          ? why === "max_output_tokens"
            ? "length"
            : why
          : refused
            ? "refusal"
            : called
              ? "tool_calls"
              : "stop"
        parts.push({ finished: reason })
      }
      if (usage) {
        parts.push({
          usage: [
            usage.input_tokens ?? null,
            usage.output_tokens ?? null,
            usage.input_tokens_details?.cached_tokens ?? null,
            usage.output_tokens_details?.reasoning_tokens ?? null
          ]
        })
      }
      return { parts, failure: isFailed ? "InStream" : undefined }
    }
  }
  return { parts, failure: isForeign ? "Protocol" : "Truncated" }
}

const count = fc.option(fc.nat(99))

const usage = fc.record(
  {
    input_tokens: count,
    output_tokens: count,
    input_tokens_details: fc.option(fc.record({ cached_tokens: count }, { requiredKeys: [] })),
    output_tokens_details: fc.option(fc.record({ reasoning_tokens: count }, { requiredKeys: [] }))
  },
  { requiredKeys: [] }
)

const errorObject = fc.record(
  { code: fc.option(fc.constantFrom("server_error", "429", "")), message: fc.option(bodies.lineText) },
  { requiredKeys: [] }
)

const anEvent: fc.Arbitrary<Json> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constantFrom(...Object.keys(ResponsesEvent.kinds)),
      sequence_number: fc.nat(9),
      delta: bodies.lineText
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("response.output_item.added"),
      item: fc.record(
        { type: fc.constantFrom("message", "function_call"), name: fc.option(bodies.lineText) },
        { requiredKeys: ["type"] }
      )
    })
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Json>(
      { type: "response.created", response: { status: "in_progress", error: null } },
      { type: "response.output_text.done", text: "whole" },
      { type: "response.content_part.added", part: { type: "output_text", text: "" } },
      { type: "response.output_item.done", item: { type: "function_call", name: "again" } },
      { type: "something.new", delta: "unknown" }
    )
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("error"), code: fc.constant("x"), message: bodies.lineText }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("error"), error: errorObject }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom("response.completed", "response.incomplete", "response.failed"),
      response: fc.record(
        {
          status: fc.option(fc.constantFrom("completed", "incomplete", "failed")),
          incomplete_details: fc.option(
            fc.record(
              { reason: fc.option(fc.constantFrom("max_output_tokens", "content_filter", "")) },
              { requiredKeys: [] }
            )
          ),
          error: fc.option(errorObject),
          usage: fc.option(usage)
        },
        { requiredKeys: [] }
      )
    })
  }
)

const answer = fc.array(anEvent, { maxLength: 12 })

describe("ResponsesEvent.makeDecoder", () => {
  it("gives what the schema gives, whatever the events and wherever the body is cut", () => {
    fc.assert(
      fc.property(answer, fc.boolean(), bodies.cuts, (events, isNamed, cuts) => {
        assert.deepStrictEqual(outcome(bodies.cut(sse(events, isNamed), cuts)), plainly(events))
      }),
      { numRuns: 1_000 }
    )
  })

  it("is held against answers of every kind", () => {
    const found: { [name: string]: number } = {}
    const count = (name: string): void => void (found[name] = (found[name] ?? 0) + 1)
    for (const events of fc.sample(answer, { seed: 7, numRuns: 800 })) {
      const { failure, parts } = plainly(events)
      count(failure ?? "fine")
      for (const part of parts) count("kind" in part ? part.kind : "finished" in part ? part.finished : "usage")
    }
    for (const name of [
      "fine",
      "Truncated",
      "InStream",
      "text",
      "reasoning",
      "tool",
      "stop",
      "length",
      "content_filter",
      "incomplete",
      "tool_calls",
      "usage"
    ]) {
      assert.isAbove(found[name] ?? 0, 5, name)
    }
  })

  it.each([
    [
      "responses-text.sse",
      {
        parts: [
          { kind: "text", text: "Shall" },
          { kind: "text", text: " I compare" },
          { kind: "text", text: " thee — 夏" },
          { finished: "stop" },
          { usage: [36, 7, 12, 0] }
        ],
        failure: undefined
      }
    ],
    [
      "responses-reasoning-tool.sse",
      {
        parts: [
          { kind: "reasoning", text: "**Looking" },
          { kind: "reasoning", text: "** up" },
          { kind: "tool", text: "get_weather" },
          { kind: "tool", text: '{"city"' },
          { kind: "tool", text: ':"Paris"}' },
          { finished: "tool_calls" },
          { usage: [36, 85, 12, 64] }
        ],
        failure: undefined
      }
    ],
    [
      "responses-incomplete.sse",
      { parts: [{ kind: "text", text: "Once" }, { finished: "length" }, { usage: [36, 7, 12, 0] }], failure: undefined }
    ],
    ["responses-failed.sse", { parts: [{ kind: "text", text: "Once" }], failure: "InStream" }]
  ] as const)("reads %s, whole and byte by byte, and knows every cut for one", (name, expected) => {
    const body = decoding.transcript(name)
    assert.deepStrictEqual(outcome([body]), expected)
    assert.deepStrictEqual(outcome(bodies.cut(body, "all")), expected)
    const last = body.lastIndexOf("\nevent: ") + 1
    for (const end of [0, 1, 100, last - 1, last, last + 30, body.length - 4]) {
      assert.strictEqual(outcome([body.subarray(0, end)]).failure, "Truncated", `cut after ${end} bytes`)
    }
  })

  it("stamps each chunk with its arrival, and is done with the last event", () => {
    const { done, events } = decode([sse([delta("a")]), sse([delta("b"), delta("c")]), sse([completed])])
    assert.deepStrictEqual(events, [
      { _tag: "Content", kind: "text", at: [1, 2, 2], text: ["a", "b", "c"] },
      { _tag: "Finished", at: 3, reason: "stop" }
    ])
    assert.isTrue(done)
  })

  it("ignores what comes after the last event", () => {
    const body = Buffer.concat([sse([delta("a"), completed]), Buffer.from("data: [DONE]\n\nrubbish\n\n")])
    assert.isUndefined(outcome([body]).failure)
  })

  it("takes [DONE] for an end, as some servers have no other", () => {
    assert.isUndefined(outcome([Buffer.concat([sse([delta("a")]), Buffer.from("data: [DONE]\n\n")])]).failure)
  })

  it("knows an event by the name of its line when it does not say it itself", () => {
    const body = Buffer.from(`event: response.output_text.delta\ndata: {"delta":"a"}\n\n`)
    assert.deepStrictEqual(outcome([body]).parts, [{ kind: "text", text: "a" }])
  })

  it.each([
    ["of its own", { type: "error", code: "rate_limit_exceeded", message: "Slow down" }, "rate_limit_exceeded"],
    ["of a gateway", { type: "error", error: { type: "x", code: "529", message: "Slow down" } }, 529],
    ["without a code", { type: "error", code: null, message: "Slow down" }, "in_stream_error"],
    [
      "of the answer",
      {
        type: "response.failed",
        response: { status: "failed", error: { code: "server_error", message: "Slow down" } }
      },
      "server_error"
    ],
    ["without a type", { type: "", error: { message: "Slow down", code: 503 } }, 503]
  ] as const)("fails on an error %s", (_name, event, code) => {
    const { reason } = decode([sse([delta("a"), event, completed])])
    assert.strictEqual(reason?._tag, "InStream")
    assert.strictEqual(reason?.message, "Slow down")
    assert.strictEqual(reason?.errorCode, code)
  })

  it("fails on what is no event, and shows it", () => {
    for (const data of ["{not json", "5", "null"]) {
      const { reason } = decode([sse([delta("a")]), Buffer.from(`data: ${data}\n\n`), sse([completed])])
      assert.strictEqual(reason?._tag, "Protocol")
      assert.include(reason?.message, data)
    }
    const { reason } = decode([Buffer.from("event: error\ndata: busy\n\n")])
    assert.deepInclude(reason, { _tag: "InStream", description: "busy" })
    assert.strictEqual(outcome([sse([{ type: "response.completed" }])]).failure, "Protocol")
  })

  it("never throws, whatever the JSON", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(
          ...Object.keys(ResponsesEvent.kinds),
          "error",
          "response.completed",
          "response.failed",
          "response.output_item.added"
        ),
        fc.jsonValue(),
        (type, value) => {
          const { reason } = decode([sse([{ type, delta: value, item: value, response: value, error: value }])])
          assert.include(["Truncated", "Protocol", "InStream", undefined], reason?._tag)
        }
      ),
      { numRuns: 500 }
    )
  })
})
