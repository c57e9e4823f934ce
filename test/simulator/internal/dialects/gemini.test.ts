import { assert, describe, it } from "@effect/vitest"
import { gemini } from "../../../../src/simulator/internal/dialects/gemini.ts"
import { asked, endingOf, identity, incoming, refused, stream } from "./asking.ts"

const path = "/v1beta/models/sim%3Bn%3D4:streamGenerateContent"
const events = `${path}?alt=sse`
const body = {
  contents: [{ role: "user", parts: [{ text: "x".repeat(96) }, { text: "yyy" }] }],
  generationConfig: { maxOutputTokens: 9, temperature: 0 }
}
const request = asked(gemini.read(incoming(events, body)))

const eventsOf = (text: string): ReadonlyArray<unknown> =>
  text
    .split("\n\n")
    .slice(0, -1)
    .map((event) => JSON.parse(event.replace(/^data: /, "")))

const tail = { modelVersion: "sim", responseId: "sim-7" }
const candidate = (part: object, more: object = {}) => ({
  candidates: [{ content: { role: "model", parts: [part] }, ...more, index: 0 }]
})

describe("gemini", () => {
  it("is where models are asked for content", () => {
    for (const good of [
      path,
      "/v1/models/m:generateContent",
      "/v1beta/tunedModels/mine:streamGenerateContent",
      "/v1beta/models/gemini-2.5-flash:generateContent"
    ]) {
      assert.isTrue(gemini.matches("POST", good), good)
    }
    for (const other of [
      "/v1beta/models",
      "/v1beta/models/m:countTokens",
      "/v1/chat/completions",
      "/v2/models/m:generateContent"
    ]) {
      assert.isFalse(gemini.matches("POST", other), other)
    }
    assert.isFalse(gemini.matches("GET", path))
  })

  it("reads a request, the model out of the path", () => {
    assert.deepInclude(request, {
      model: "sim;n=4",
      stream: true,
      prompt: `${"x".repeat(96)}\nyyy`,
      outputTokens: 9
    })
    const whole = gemini.read(
      incoming("/v1/models/100%:generateContent", {
        contents: [{ parts: [{ text: "a" }] }],
        systemInstruction: { parts: [{ text: "Be brief." }] }
      })
    )
    assert.deepInclude(asked(whole), { model: "100%", stream: false, prompt: "Be brief.\na", outputTokens: undefined })
  })

  it("refuses what is no request, as Google does", () => {
    for (const wrong of ["{", {}, { contents: [] }, { ...body, generationConfig: { maxOutputTokens: 0 } }]) {
      const { body: text, status } = refused(gemini.read(incoming(path, wrong)))
      assert.strictEqual(status, 400)
      assert.deepInclude(JSON.parse(text).error, { code: 400, status: "INVALID_ARGUMENT" })
    }
  })

  it("streams thoughts, text and calls", () => {
    const contents = [
      ["reasoning", "hm"],
      ["text", ' "two"\n'],
      ["tool", " three"]
    ] as const
    assert.deepStrictEqual(eventsOf(stream(gemini, request, contents, endingOf("length", 1))), [
      { ...candidate({ text: "hm", thought: true }), ...tail },
      { ...candidate({ text: ' "two"\n' }), ...tail },
      { ...candidate({ functionCall: { name: "write", args: { text: " three" } } }), ...tail },
      {
        ...candidate({ text: "" }, { finishReason: "MAX_TOKENS" }),
        usageMetadata: { promptTokenCount: 25, candidatesTokenCount: 3, totalTokenCount: 29, thoughtsTokenCount: 1 },
        ...tail
      }
    ])
    const [end] = eventsOf(stream(gemini, request, [], endingOf("stop")))
    assert.deepInclude(end, candidate({ text: "" }, { finishReason: "STOP" }))
  })

  it("streams a list where no events are asked for", () => {
    const text = stream(gemini, asked(gemini.read(incoming(path, body))), [["text", "a"]], endingOf("stop"))
    assert.deepInclude(JSON.parse(text)[0], candidate({ text: "a" }))
    assert.strictEqual(JSON.parse(text).length, 2)
    const frames = gemini.frames(asked(gemini.read(incoming(path, body))), identity)
    assert.strictEqual(frames.contentType, "application/json; charset=UTF-8")
    assert.strictEqual(JSON.parse(String(frames.failure("overloaded_error", "busy")))[0].error.code, 503)
  })

  it("answers in one piece", () => {
    const words = { text: "Hello", reasoning: "hm", tool: "" }
    const answer = gemini.whole(request, identity, words, endingOf("stop", 1))
    assert.strictEqual(answer.status, 200)
    assert.deepStrictEqual(JSON.parse(answer.body), {
      candidates: [
        {
          content: { role: "model", parts: [{ text: "hm", thought: true }, { text: "Hello" }] },
          finishReason: "STOP",
          index: 0
        }
      ],
      usageMetadata: { promptTokenCount: 25, candidatesTokenCount: 3, totalTokenCount: 29, thoughtsTokenCount: 1 },
      ...tail
    })
  })

  it("fails as Google does", () => {
    const errorOf = (answer: ReturnType<typeof gemini.error> | undefined) => [
      answer?.status,
      JSON.parse(answer?.body ?? "{}").error
    ]
    const [status, error] = errorOf(gemini.error(429, "rate_limit_error", "Slow down."))
    assert.deepStrictEqual([status, error], [429, { code: 429, message: "Slow down.", status: "RESOURCE_EXHAUSTED" }])
    const [wrongStatus, wrong] = errorOf(gemini.error(401, "authentication_error", "no"))
    assert.strictEqual(wrongStatus, 400)
    assert.deepInclude(wrong, { code: 400, status: "INVALID_ARGUMENT" })
    assert.strictEqual(wrong.details[0].reason, "API_KEY_INVALID")
    assert.match(errorOf(gemini.expired?.())[1].message, /expired/)
    const frames = gemini.frames(request, identity)
    assert.deepStrictEqual(eventsOf(String(frames.failure("overloaded_error", "busy"))), [
      { error: { code: 503, message: "busy", status: "UNAVAILABLE" } }
    ])
    assert.strictEqual(frames.opening(), "")
    assert.strictEqual(frames.ping(), "")
    assert.throws(() => eventsOf(String(frames.garbage())))
  })
})
