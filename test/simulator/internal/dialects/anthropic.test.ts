import { assert, describe, it } from "@effect/vitest"
import { anthropic } from "../../../../src/simulator/internal/dialects/anthropic.ts"
import { asked, endingOf, eventsOf, identity, incoming, refused, stream } from "./asking.ts"

const headers = { "x-api-key": "k", "anthropic-version": "2023-06-01" }
const body = { model: "sim;n=4", max_tokens: 9, messages: [{ role: "user", content: "x".repeat(100) }], stream: true }
const read = (more: object = {}, with_: { readonly [name: string]: string } = headers) =>
  anthropic.read(incoming("/v1/messages", { ...body, ...more }, with_))
const request = asked(read())
const start = (events: ReturnType<typeof eventsOf>, index: number) =>
  events.find((event) => event.type === "content_block_start" && event["index"] === index)?.["content_block"]

describe("anthropic", () => {
  it("is at /v1/messages and /messages", () => {
    assert.isTrue(anthropic.matches("POST", "/v1/messages"))
    assert.isTrue(anthropic.matches("POST", "/messages"))
    assert.isFalse(anthropic.matches("GET", "/v1/messages"))
    assert.isFalse(anthropic.matches("POST", "/v1/messages/count_tokens"))
  })

  it("reads a request", () => {
    assert.deepStrictEqual(request, {
      model: "sim;n=4",
      stream: true,
      prompt: "x".repeat(100),
      outputTokens: 9
    })
    const parts = read({
      stream: undefined,
      system: [{ type: "text", text: "Be brief." }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "Hello" },
            { type: "image", source: {} }
          ]
        },
        { role: "assistant", content: "Hi" }
      ]
    })
    assert.deepInclude(asked(parts), { stream: false, prompt: "Be brief.\nHello\nHi" })
  })

  it("wants a key, a version, and the fields that the API wants", () => {
    const errorOf = (answer: ReturnType<typeof read>) => {
      const { body, headers, status } = refused(answer)
      assert.strictEqual(headers["content-type"], "application/json")
      const { error, type } = JSON.parse(body)
      assert.strictEqual(type, "error")
      assert.isString(error.message)
      return [status, error.type]
    }
    assert.deepStrictEqual(errorOf(read({}, { "anthropic-version": "2023-06-01" })), [401, "authentication_error"])
    assert.deepStrictEqual(errorOf(read({}, { "x-api-key": "k" })), [400, "invalid_request_error"])
    for (const more of [{ max_tokens: undefined }, { max_tokens: 0 }, { messages: [] }, { model: 1 }]) {
      assert.deepStrictEqual(errorOf(read(more)), [400, "invalid_request_error"])
    }
    assert.deepStrictEqual(errorOf(anthropic.read(incoming("/v1/messages", "{", headers))), [
      400,
      "invalid_request_error"
    ])
    assert.isTrue(asked(read({}, { authorization: "Bearer t", "anthropic-version": "x" })).stream)
  })

  it("streams text", () => {
    const contents = [
      ["text", "one"],
      ["text", ' "two"\n']
    ] as const
    const events = eventsOf(stream(anthropic, request, contents, endingOf("length")))
    assert.deepStrictEqual(events, [
      {
        type: "message_start",
        message: {
          id: "msg_7",
          type: "message",
          role: "assistant",
          model: "sim",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: {
            input_tokens: 25,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
            output_tokens: 1,
            service_tier: "standard"
          }
        }
      },
      { type: "ping" },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "one" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: ' "two"\n' } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "max_tokens", stop_sequence: null },
        usage: { output_tokens: 4 }
      },
      { type: "message_stop" }
    ])
  })

  it("streams thinking and a tool, each in its block", () => {
    const contents = [
      ["reasoning", "hm"],
      ["tool", "a"],
      ["tool", " b"]
    ] as const
    const events = eventsOf(stream(anthropic, request, contents, endingOf("tool", 1)))
    assert.deepStrictEqual(
      events.map(({ index, type }) => [type, index]),
      [
        ["message_start", undefined],
        ["ping", undefined],
        ["content_block_start", 0],
        ["content_block_delta", 0],
        ["content_block_delta", 0],
        ["content_block_stop", 0],
        ["content_block_start", 1],
        ["content_block_delta", 1],
        ["content_block_delta", 1],
        ["content_block_delta", 1],
        ["content_block_stop", 1],
        ["message_delta", undefined],
        ["message_stop", undefined]
      ]
    )
    assert.deepStrictEqual(start(events, 0), { type: "thinking", thinking: "", signature: "" })
    assert.deepStrictEqual(start(events, 1), { type: "tool_use", id: "toolu_7", name: "write", input: {} })
    assert.deepStrictEqual(events.flatMap((event) => event["delta"] ?? []).slice(0, 5), [
      { type: "thinking_delta", thinking: "hm" },
      { type: "signature_delta", signature: "c2ltdWxhdGVk" },
      { type: "input_json_delta", partial_json: "" },
      { type: "input_json_delta", partial_json: "a" },
      { type: "input_json_delta", partial_json: " b" }
    ])
    assert.deepInclude(events.at(-2), { delta: { stop_reason: "tool_use", stop_sequence: null } })
  })

  it("sends errors, pings and garbage", () => {
    const frames = anthropic.frames(request, identity)
    const [failure] = eventsOf(`${frames.failure("overloaded_error", "Overloaded")}`)
    assert.deepInclude(failure, { type: "error", error: { type: "overloaded_error", message: "Overloaded" } })
    assert.deepStrictEqual(eventsOf(`${frames.ping()}`), [{ type: "ping" }])
    assert.throws(() => eventsOf(`${frames.garbage()}`), SyntaxError)
  })

  it("answers whole", () => {
    const words = { text: "", reasoning: "hm", tool: "a b" }
    const answer = anthropic.whole(request, identity, words, endingOf("tool", 1))
    assert.strictEqual(answer.status, 200)
    assert.deepInclude(JSON.parse(answer.body), {
      type: "message",
      content: [
        { type: "thinking", thinking: "hm", signature: "c2ltdWxhdGVk" },
        { type: "tool_use", id: "toolu_7", name: "write", input: { text: "a b" } }
      ],
      stop_reason: "tool_use"
    })
    const text = anthropic.whole(request, identity, { text: "a", reasoning: "", tool: "" }, endingOf("stop"))
    const message = JSON.parse(text.body)
    assert.deepStrictEqual(message.content, [{ type: "text", text: "a" }])
    assert.strictEqual(message.stop_reason, "end_turn")
    assert.deepInclude(message.usage, { input_tokens: 25, cache_read_input_tokens: 0, output_tokens: 4 })
  })

  it("tells its rate limits when they are reached", () => {
    assert.property(anthropic.error(429, "rate_limit_error", "").headers, "anthropic-ratelimit-requests-reset")
    assert.notProperty(anthropic.error(503, "overloaded_error", "").headers, "anthropic-ratelimit-requests-reset")
  })
})
