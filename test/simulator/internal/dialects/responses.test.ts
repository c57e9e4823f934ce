import { assert, describe, it } from "@effect/vitest"
import { responses } from "../../../../src/simulator/internal/dialects/responses.ts"
import { asked, endingOf, eventsOf, identity, incoming, refused, stream } from "./asking.ts"

const path = "/v1/responses"
const request = asked(
  responses.read(incoming(path, { model: "sim", input: "x".repeat(100), max_output_tokens: 4, stream: true }))
)

const usage = {
  input_tokens: 25,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 4,
  output_tokens_details: { reasoning_tokens: 1 },
  total_tokens: 29
}

describe("responses", () => {
  it("is below /v1, /openai and /openai/v1, or at the top", () => {
    for (const at of ["/v1/responses", "/responses", "/openai/responses", "/openai/v1/responses"]) {
      assert.isTrue(responses.matches("POST", at))
    }
    assert.isFalse(responses.matches("GET", path))
    assert.isFalse(responses.matches("POST", "/v1/responses/resp_1"))
  })

  it("reads a request", () => {
    assert.deepStrictEqual(request, {
      model: "sim",
      stream: true,
      prompt: "x".repeat(100),
      outputTokens: 4
    })
    const items = {
      model: "sim",
      instructions: "Be brief.",
      input: [
        { role: "user", content: [{ type: "input_text", text: "Hello" }] },
        { role: "assistant", content: "Hi" }
      ]
    }
    assert.deepStrictEqual(asked(responses.read(incoming(path, items))), {
      model: "sim",
      stream: false,
      prompt: "Be brief.\nHello\nHi",
      outputTokens: undefined
    })
  })

  it("refuses what it cannot read, in the form of OpenAI's errors", () => {
    for (const body of ["{", {}, { model: "sim" }, { model: "sim", input: "a", max_output_tokens: 0 }]) {
      const answer = refused(responses.read(incoming(path, body)))
      assert.strictEqual(answer.status, 400)
      assert.deepInclude(JSON.parse(answer.body).error, { type: "invalid_request_error", param: null, code: null })
    }
    const { error } = JSON.parse(responses.error(401, "authentication_error", "no").body)
    assert.deepStrictEqual(error, {
      message: "no",
      type: "invalid_request_error",
      param: null,
      code: "invalid_api_key"
    })
  })

  it("streams text", () => {
    const contents = [
      ["text", "one"],
      ["text", ' "two"\n']
    ] as const
    const events = eventsOf(stream(responses, request, contents, endingOf("stop", 1)))
    assert.deepStrictEqual(
      events.map((event) => event["sequence_number"]),
      events.map((_, i) => i)
    )
    assert.deepStrictEqual(
      events.map(({ type }) => type),
      [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed"
      ]
    )
    const place = { item_id: "msg_7", output_index: 0, content_index: 0 }
    assert.deepInclude(events[0]?.["response"], { id: "resp_7", status: "in_progress", output: [], usage: null })
    assert.deepInclude(events[2]?.["item"], { id: "msg_7", type: "message", status: "in_progress", content: [] })
    assert.deepInclude(events[4], { ...place, delta: "one" })
    assert.deepInclude(events[6], { ...place, text: 'one "two"\n' })
    const item = {
      id: "msg_7",
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: 'one "two"\n', annotations: [], logprobs: [] }]
    }
    assert.deepStrictEqual(events[8]?.["item"], item)
    assert.deepStrictEqual(events[9]?.["response"], {
      id: "resp_7",
      object: "response",
      created_at: 1_700_000_000,
      status: "completed",
      error: null,
      incomplete_details: null,
      max_output_tokens: 4,
      model: "sim",
      output: [item],
      usage
    })
  })

  it("streams a summary of reasoning and a call of a tool", () => {
    const contents = [
      ["reasoning", "hm"],
      ["tool", "a"],
      ["tool", " b"]
    ] as const
    const events = eventsOf(stream(responses, request, contents, endingOf("tool", 1)))
    assert.deepStrictEqual(
      events.slice(2).map(({ output_index, type }) => [type, output_index]),
      [
        ["response.output_item.added", 0],
        ["response.reasoning_summary_part.added", 0],
        ["response.reasoning_summary_text.delta", 0],
        ["response.reasoning_summary_text.done", 0],
        ["response.reasoning_summary_part.done", 0],
        ["response.output_item.done", 0],
        ["response.output_item.added", 1],
        ["response.function_call_arguments.delta", 1],
        ["response.function_call_arguments.delta", 1],
        ["response.function_call_arguments.done", 1],
        ["response.output_item.done", 1],
        ["response.completed", undefined]
      ]
    )
    assert.deepInclude(events[4], { item_id: "rs_7", summary_index: 0, delta: "hm" })
    assert.deepInclude(events[9], { item_id: "fc_7", delta: "a" })
    assert.deepInclude(events[11], { item_id: "fc_7", arguments: "a b" })
    assert.deepInclude(events.at(-1)?.["response"], {
      output: [
        { id: "rs_7", type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
        {
          id: "fc_7",
          type: "function_call",
          status: "completed",
          arguments: "a b",
          call_id: "call_7",
          name: "write"
        }
      ],
      usage
    })
  })

  it("is incomplete at the limit of tokens", () => {
    const events = eventsOf(stream(responses, request, [["text", "a"]], endingOf("length")))
    const last = events.at(-1)
    assert.strictEqual(last?.type, "response.incomplete")
    assert.deepInclude(last?.["response"], {
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" }
    })
  })

  it("sends errors, pings and garbage", () => {
    const frames = responses.frames(request, identity)
    const [failure, failed] = eventsOf(`${frames.failure("overloaded_error", "Overloaded")}`)
    assert.deepInclude(failure, { type: "error", code: "server_overloaded", message: "Overloaded", param: null })
    assert.strictEqual(failed?.type, "response.failed")
    assert.deepInclude(failed?.["response"], {
      status: "failed",
      error: { code: "server_error", message: "Overloaded" }
    })
    assert.strictEqual(frames.ping(), ": ping\n\n")
    assert.throws(() => eventsOf(`${frames.garbage()}`), SyntaxError)
  })

  it("answers whole", () => {
    const answer = responses.whole(request, identity, { text: "a b", reasoning: "hm", tool: "" }, endingOf("length", 1))
    assert.strictEqual(answer.status, 200)
    const response = JSON.parse(answer.body)
    assert.deepInclude(response, { object: "response", status: "incomplete", usage })
    assert.deepStrictEqual(
      response.output.map(({ status, type }: { readonly status?: string; readonly type: string }) => [type, status]),
      [
        ["reasoning", undefined],
        ["message", "incomplete"]
      ]
    )
    assert.strictEqual(response.output[1].content[0].text, "a b")
  })
})
