import { assert, describe, it } from "@effect/vitest"
import { bedrock } from "../../../../src/simulator/internal/dialects/bedrock.ts"
import { asked, endingOf, identity, incoming, refused } from "./asking.ts"
import * as aws from "./aws.ts"

const path = "/model/sim%3Bn%3D4/converse-stream"
const body = {
  messages: [{ role: "user", content: [{ text: "x".repeat(100) }] }],
  inferenceConfig: { maxTokens: 9 }
}
const bearer = { authorization: "Bearer key" }
const read = (more: object = {}, at = path) => bedrock.read(incoming(at, { ...body, ...more }, bearer))
const request = asked(read())

const payloadsOf = (events: ReadonlyArray<aws.Event>) =>
  events.map(({ headers, payload }) => {
    assert.strictEqual(headers[":message-type"], "event")
    const { p, ...value } = JSON.parse(payload)
    assert.isString(p)
    return [headers[":event-type"], value]
  })

describe("bedrock", () => {
  it("is at the two addresses of Converse", () => {
    assert.isTrue(bedrock.matches("POST", path))
    assert.isTrue(bedrock.matches("POST", "/model/m/converse"))
    assert.isFalse(bedrock.matches("GET", path))
    assert.isFalse(bedrock.matches("POST", "/model/m/invoke"))
    assert.isFalse(bedrock.matches("POST", "/model/a/b/converse"))
  })

  it("reads a request, signed or with a key", async () => {
    assert.deepStrictEqual(request, {
      model: "sim;n=4",
      stream: true,
      prompt: "x".repeat(100),
      outputTokens: 9
    })
    assert.deepStrictEqual(asked(bedrock.read(await aws.signed(incoming(path, body), "bedrock"))), request)
    assert.isFalse(asked(read({}, "/model/m/converse")).stream)
    assert.isUndefined(asked(read({ inferenceConfig: {} })).outputTokens)
    assert.deepInclude(asked(read({ system: [{ text: "Be brief." }] })), { prompt: `Be brief.\n${"x".repeat(100)}` })
  })

  it("refuses what is not signed, and what AWS would refuse", async () => {
    const errorOf = (answer: ReturnType<typeof read>) => {
      const { body, headers, status } = refused(answer)
      assert.isString(JSON.parse(body).message)
      return [status, headers["x-amzn-errortype"]?.replace(/:.*/, "")]
    }
    assert.deepStrictEqual(errorOf(bedrock.read(incoming(path, body))), [403, "MissingAuthenticationTokenException"])
    const other = await aws.signed(incoming(path, body), "sagemaker")
    assert.deepStrictEqual(errorOf(bedrock.read(other)), [403, "InvalidSignatureException"])
    const expired = await aws.signed(incoming(path, body), "bedrock", "expired")
    assert.deepStrictEqual(errorOf(bedrock.read(expired)), [403, "ExpiredTokenException"])
    for (const more of [
      { messages: [] },
      { messages: [{ role: "user", content: "x" }] },
      { inferenceConfig: { maxTokens: 0 } }
    ]) {
      assert.deepStrictEqual(errorOf(read(more)), [400, "ValidationException"])
    }
    assert.deepStrictEqual(errorOf(bedrock.error(429, "rate_limit_error", "m")), [429, "ThrottlingException"])
    const answer = bedrock.expired?.()
    assert.deepStrictEqual(answer === undefined ? answer : errorOf(answer), [403, "ExpiredTokenException"])
  })

  it("streams blocks of reasoning, text and a tool", () => {
    const frames = bedrock.frames(request, identity)
    assert.strictEqual(frames.contentType, "application/vnd.amazon.eventstream")
    const events = aws.eventsOf(
      frames.opening(),
      frames.content("reasoning", "hm"),
      frames.content("text", "one"),
      frames.content("text", ' "two"'),
      frames.content("tool", "{"),
      frames.content("tool", "}"),
      frames.finish(endingOf("tool"))
    )
    assert.deepStrictEqual(payloadsOf(events), [
      ["messageStart", { role: "assistant" }],
      ["contentBlockDelta", { contentBlockIndex: 0, delta: { reasoningContent: { text: "hm" } } }],
      ["contentBlockStop", { contentBlockIndex: 0 }],
      ["contentBlockDelta", { contentBlockIndex: 1, delta: { text: "one" } }],
      ["contentBlockDelta", { contentBlockIndex: 1, delta: { text: ' "two"' } }],
      ["contentBlockStop", { contentBlockIndex: 1 }],
      ["contentBlockStart", { contentBlockIndex: 2, start: { toolUse: { toolUseId: "tooluse_7", name: "write" } } }],
      ["contentBlockDelta", { contentBlockIndex: 2, delta: { toolUse: { input: "{" } } }],
      ["contentBlockDelta", { contentBlockIndex: 2, delta: { toolUse: { input: "}" } } }],
      ["contentBlockStop", { contentBlockIndex: 2 }],
      ["messageStop", { stopReason: "tool_use" }],
      [
        "metadata",
        {
          usage: {
            inputTokens: 25,
            outputTokens: 4,
            totalTokens: 29,
            cacheReadInputTokens: 0,
            cacheWriteInputTokens: 0
          },
          metrics: { latencyMs: 1 }
        }
      ]
    ])
  })

  it("fails in a stream with an exception, and writes frames that cannot be read", () => {
    const frames = bedrock.frames(request, identity)
    const [failure] = aws.eventsOf(frames.failure("overloaded_error", "busy"))
    assert.deepInclude(failure?.headers, {
      ":message-type": "exception",
      ":exception-type": "serviceUnavailableException"
    })
    assert.deepStrictEqual(JSON.parse(failure?.payload ?? ""), { message: "busy" })
    assert.throws(() => aws.eventsOf(frames.garbage()), /checksum/)
    assert.strictEqual(frames.ping(), "")
  })

  it("answers in one body", () => {
    const answer = bedrock.whole(request, identity, { text: "one", reasoning: "hm", tool: "" }, endingOf("length"))
    assert.strictEqual(answer.status, 200)
    const { output, stopReason, usage } = JSON.parse(answer.body)
    assert.deepStrictEqual(output.message.content, [
      { reasoningContent: { reasoningText: { text: "hm" } } },
      { text: "one" }
    ])
    assert.strictEqual(stopReason, "max_tokens")
    assert.strictEqual(usage.outputTokens, 4)
  })
})
