import { assert, describe, it } from "@effect/vitest"
import { type Asked, type ContentKind, type Ending } from "../../../../src/simulator/internal/dialect.ts"
import { sageMaker } from "../../../../src/simulator/internal/dialects/sageMaker.ts"
import { asked, endingOf, identity, incoming, refused } from "./asking.ts"
import * as aws from "./aws.ts"

const path = "/endpoints/sim%3Bn%3D4/invocations-response-stream"
const prompt = "x".repeat(100)
const chat = { messages: [{ role: "user", content: prompt }], max_tokens: 9, stream: true }
const tgi = { inputs: prompt, parameters: { max_new_tokens: 9, details: true }, stream: true }
const jumpstart = {
  inputs: [
    [
      { role: "system", content: "" },
      { role: "user", content: prompt }
    ]
  ],
  parameters: { max_new_tokens: 9 }
}

const read = async (body: object | string, at = path) =>
  sageMaker.read(await aws.signed(incoming(at, body), "sagemaker"))

/** What the container writes from the beginning to the end of a good answer. */
const output = (request: Asked, contents: ReadonlyArray<readonly [ContentKind, string]>, ending: Ending): string => {
  const frames = sageMaker.frames(request, identity)
  const events = aws.eventsOf(
    frames.opening(),
    ...contents.map(([kind, text]) => frames.content(kind, text)),
    frames.finish(ending)
  )
  for (const { headers } of events) {
    assert.deepInclude(headers, { ":message-type": "event", ":event-type": "PayloadPart" })
  }
  return Buffer.from(events.map(({ payload }) => payload).join(""), "latin1").toString("utf8")
}

const datas = (text: string) =>
  text
    .split("\n\n")
    .filter((event) => event !== "")
    .map((event) => event.replace(/^data: ?/, ""))

const contents = [
  ["text", "né"],
  ["text", ' 漢😀"\n']
] as const

describe("sageMaker", () => {
  it("is at the two addresses of an endpoint", () => {
    assert.isTrue(sageMaker.matches("POST", path))
    assert.isTrue(sageMaker.matches("POST", "/endpoints/e/invocations"))
    assert.isFalse(sageMaker.matches("GET", path))
    assert.isFalse(sageMaker.matches("POST", "/endpoints/e/async-invocations"))
  })

  it("reads a request in every style", async () => {
    for (const body of [chat, tgi, jumpstart]) {
      assert.deepInclude(asked(await read(body)), {
        model: "sim;n=4",
        stream: true,
        prompt,
        outputTokens: 9
      })
    }
    assert.isFalse(asked(await read(chat, "/endpoints/e/invocations")).stream)
    assert.isUndefined(asked(await read({ inputs: "a" })).outputTokens)
  })

  it("refuses what is not signed, and what no container understands", async () => {
    const unsigned = refused(sageMaker.read(incoming(path, chat)))
    assert.strictEqual(unsigned.status, 403)
    assert.match(unsigned.headers["x-amzn-errortype"] ?? "", /^MissingAuthenticationTokenException:/)
    const expired = refused(sageMaker.read(await aws.signed(incoming(path, chat), "sagemaker", "expired")))
    assert.strictEqual(expired.status, 403)
    assert.deepStrictEqual(expired, sageMaker.expired?.())
    const cold = { ...tgi, parameters: { temperature: 0 } }
    for (const body of ["{", { prompt: "a" }, { inputs: [] }, { messages: [] }, cold]) {
      const { body: text, headers, status } = refused(await read(body))
      assert.strictEqual(status, 424)
      assert.match(headers["x-amzn-errortype"] ?? "", /^ModelError:/)
      assert.deepInclude(JSON.parse(text), { ErrorCode: "CLIENT_ERROR_FROM_MODEL", OriginalStatusCode: 422 })
    }
    assert.deepInclude(sageMaker.error(429, "rate_limit_error", "m"), { status: 429, body: '{"message":"m"}' })
  })

  it("streams chunks of OpenAI's, with usage when asked for it", async () => {
    const request = asked(await read({ ...chat, stream_options: { include_usage: true } }))
    const events = datas(
      output(request, [["reasoning", "hm"], ...contents, ["tool", "{"], ["tool", "}"]], endingOf("tool", 1))
    )
    assert.strictEqual(events.pop(), "[DONE]")
    const chunks = events.map((event) => JSON.parse(event))
    assert.deepInclude(chunks[0], { object: "chat.completion.chunk", created: identity.createdSeconds, model: "sim" })
    assert.deepStrictEqual(
      chunks.slice(0, -2).map(({ choices }) => choices[0].delta),
      [
        { role: "assistant", content: "" },
        { reasoning_content: "hm" },
        { content: "né" },
        { content: ' 漢😀"\n' },
        { tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "write", arguments: "" } }] },
        { tool_calls: [{ index: 0, function: { arguments: "{" } }] },
        { tool_calls: [{ index: 0, function: { arguments: "}" } }] }
      ]
    )
    assert.strictEqual(chunks.at(-2).choices[0].finish_reason, "tool_calls")
    assert.deepStrictEqual(chunks.at(-1).choices, [])
    assert.deepInclude(chunks.at(-1).usage, { prompt_tokens: 25, completion_tokens: 4 })
    assert.notInclude(output(asked(await read(chat)), contents, endingOf("stop")), "usage")
  })

  it("streams TGI's lines", async () => {
    const lines = datas(output(asked(await read(tgi)), contents, endingOf("length"))).map((line) => JSON.parse(line))
    assert.deepStrictEqual(
      lines.map(({ token }) => [token.text, token.special]),
      [
        ["né", false],
        [' 漢😀"\n', false],
        ["</s>", true]
      ]
    )
    assert.deepInclude(lines.at(-1), {
      generated_text: 'né 漢😀"\n',
      details: { finish_reason: "length", generated_tokens: 4, input_length: 25 }
    })
    const bare = datas(output(asked(await read({ inputs: "a" })), contents, endingOf("stop")))
    assert.isNull(JSON.parse(bare.at(-1) ?? "").details)
  })

  it("writes JumpStart's document", async () => {
    const document = JSON.parse(output(asked(await read(jumpstart)), contents, endingOf("stop")))
    assert.deepStrictEqual(document, [{ generation: { role: "assistant", content: 'né 漢😀"\n' } }])
  })

  it("fails in a stream with an exception, and writes frames that cannot be read", async () => {
    const frames = sageMaker.frames(asked(await read(chat)), identity)
    const [failure] = aws.eventsOf(frames.failure("overloaded_error", "busy"))
    assert.deepInclude(failure?.headers, { ":message-type": "exception", ":exception-type": "ModelStreamError" })
    assert.deepStrictEqual(JSON.parse(failure?.payload ?? ""), { ErrorCode: "StreamBroken", Message: "busy" })
    assert.throws(() => aws.eventsOf(frames.garbage()), /checksum/)
    assert.deepStrictEqual(
      aws.eventsOf(frames.ping()).map(({ payload }) => payload),
      [": ping\n\n"]
    )
  })

  it("answers in one body, in the style of the request", async () => {
    const words = { text: "one", reasoning: "", tool: "" }
    const bodyOf = async (body: object) =>
      JSON.parse(sageMaker.whole(asked(await read(body)), identity, words, endingOf("stop")).body)
    assert.strictEqual((await bodyOf(chat)).choices[0].message.content, "one")
    assert.deepStrictEqual(await bodyOf(tgi), [{ generated_text: "one" }])
    assert.deepStrictEqual(await bodyOf(jumpstart), [{ generation: { role: "assistant", content: "one" } }])
  })
})
