import { assert, describe, it } from "@effect/vitest"
import { type Dialect } from "../../../../src/simulator/internal/dialect.ts"
import {
  vertexAnthropic,
  vertexPredict,
  vertexPublisher,
  vertexRaw
} from "../../../../src/simulator/internal/dialects/vertex.ts"
import { asked, endingOf, identity, incoming, refused, stream } from "./asking.ts"

const location = "/v1/projects/my-project/locations/us-central1"
const all: ReadonlyArray<Dialect> = [vertexPredict, vertexRaw, vertexAnthropic, vertexPublisher]
const words = { text: "Hello", reasoning: "", tool: "" }
const messages = [{ role: "user", content: "x".repeat(100) }]

describe("vertex", () => {
  it.each([
    ["endpoints/1:predict", "vertex-predict"],
    ["endpoints/sim%3Bn%3D4:predict", "vertex-predict"],
    ["endpoints/1:streamRawPredict", "vertex-raw"],
    ["endpoints/1:rawPredict", "vertex-raw"],
    ["publishers/mistralai/models/mistral-small:streamRawPredict", "vertex-raw"],
    ["publishers/anthropic/models/claude-x@1:streamRawPredict", "vertex-anthropic"],
    ["publishers/google/models/gemini-2.5-flash:streamGenerateContent", "vertex-publisher"],
    ["publishers/google/models/gemini-2.5-flash:generateContent", "vertex-publisher"],
    ["endpoints/1:explain", undefined],
    ["publishers/google/models/text-bison:predict", undefined],
    ["endpoints", undefined]
  ])("%s is for %s alone", (resource, name) => {
    const names = (method: string, path: string) =>
      all.filter((dialect) => dialect.matches(method, path)).map((dialect) => dialect.name)
    const expected = name === undefined ? [] : [name]
    assert.deepStrictEqual(names("POST", `${location}/${resource}`), expected)
    assert.deepStrictEqual(names("POST", `${location}/${resource}`.replace("/v1/", "/v1beta1/")), expected)
    assert.deepStrictEqual(names("GET", `${location}/${resource}`), [])
    assert.deepStrictEqual(names("POST", `/v1/${resource}`), [])
  })

  it("refuses tokens as Google does", () => {
    for (const dialect of all) {
      const wrong = dialect.error(401, "authentication_error", "no")
      assert.strictEqual(wrong.status, 401)
      const { error } = JSON.parse(wrong.body)
      assert.deepInclude(error, { code: 401, status: "UNAUTHENTICATED" })
      assert.match(error.message, /^Request had invalid authentication credentials\./)
      assert.strictEqual(error.details[0].reason, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
      const expired = dialect.expired?.()
      assert.strictEqual(expired?.status, 401)
      assert.strictEqual(JSON.parse(expired?.body ?? "").error.details[0].reason, "ACCESS_TOKEN_EXPIRED")
      assert.deepInclude(JSON.parse(dialect.error(404, "not_found_error", "gone").body), {
        error: { code: 404, message: "gone", status: "NOT_FOUND" }
      })
    }
  })
})

describe("vertexPredict", () => {
  const path = `${location}/endpoints/sim%3Bn%3D4:predict`
  const read = (body: object | string) => vertexPredict.read(incoming(path, body))
  const prompt = "x".repeat(100)

  it("reads the prompt and the limit, wherever it is", () => {
    const limits = [
      [{ instances: [{ prompt, max_tokens: 5 }], parameters: { maxOutputTokens: 6 } }, 5],
      [{ instances: [{ prompt }], parameters: { maxOutputTokens: 6 } }, 6],
      [{ instances: [{ prompt }], parameters: { max_tokens: 7 } }, 7],
      [{ instances: [{ prompt }], parameters: { max_new_tokens: 8 } }, 8],
      [{ instances: [{ prompt }] }, undefined]
    ] as const
    for (const [body, outputTokens] of limits) {
      assert.deepStrictEqual(asked(read(body)), {
        model: "sim;n=4",
        stream: false,
        prompt,
        outputTokens
      })
    }
  })

  it("refuses what is no request", () => {
    for (const wrong of ["{", {}, { instances: [] }, { instances: [{}] }, { instances: [{ prompt, max_tokens: 0 }] }]) {
      assert.strictEqual(refused(read(wrong)).status, 400)
    }
  })

  it("answers with the prompt before the text", () => {
    const request = asked(read({ instances: [{ prompt: "Say hello" }] }))
    const { body, status } = vertexPredict.whole(request, identity, words, endingOf("stop"))
    assert.strictEqual(status, 200)
    assert.deepStrictEqual(JSON.parse(body).predictions, ["Prompt:\nSay hello\nOutput:\nHello"])
  })
})

describe("vertexRaw", () => {
  const read = (body: object | string, id = "1") =>
    vertexRaw.read(incoming(`${location}/endpoints/${id}:streamRawPredict`, body))

  it("takes the model out of the path or the body", () => {
    assert.deepInclude(asked(read({ messages, model: "sim;n=4", max_tokens: 9, stream: true })), {
      model: "sim;n=4",
      stream: true,
      outputTokens: 9
    })
    assert.deepInclude(asked(read({ messages, model: "m" }, "sim%3Bn%3D4")), { model: "sim;n=4", stream: false })
    assert.strictEqual(asked(read({ messages })).model, "1")
    for (const wrong of ["{", {}, { messages: [] }, { messages, max_tokens: 0 }]) {
      assert.strictEqual(refused(read(wrong)).status, 400)
    }
  })

  it("streams OpenAI's chunks, with usage when it is asked for", () => {
    const contents = [["text", "Hello"]] as const
    const plain = stream(vertexRaw, asked(read({ messages, stream: true })), contents, endingOf("length"))
    assert.include(plain, `"delta":{"content":"Hello"}`)
    assert.include(plain, `"finish_reason":"length"`)
    assert.notInclude(plain, "usage")
    assert.isTrue(plain.endsWith("data: [DONE]\n\n"))
    const withUsage = { messages, stream: true, stream_options: { include_usage: true } }
    assert.include(stream(vertexRaw, asked(read(withUsage)), contents, endingOf("length")), `"completion_tokens":4`)
    const frames = vertexRaw.frames(asked(read({ messages })), identity)
    assert.include(String(frames.failure("overloaded_error", "busy")), `"message":"busy"`)
    assert.strictEqual(frames.ping(), ": ping\n\n")
  })

  it("answers in one piece", () => {
    const { body } = vertexRaw.whole(asked(read({ messages })), identity, words, endingOf("stop"))
    assert.deepInclude(JSON.parse(body).choices[0], { finish_reason: "stop" })
    assert.strictEqual(JSON.parse(body).choices[0].message.content, "Hello")
  })
})

describe("vertexAnthropic", () => {
  const read = (body: object) =>
    vertexAnthropic.read(incoming(`${location}/publishers/anthropic/models/sim%3Bn%3D4:streamRawPredict`, body))
  const good = { anthropic_version: "vertex-2023-10-16", messages, max_tokens: 9, stream: true }

  it("wants its version in the body, and answers as Anthropic does", () => {
    const request = asked(read(good))
    assert.deepInclude(request, { model: "sim;n=4", stream: true, outputTokens: 9 })
    assert.strictEqual(refused(read({ ...good, anthropic_version: undefined })).status, 400)
    const text = stream(vertexAnthropic, request, [["text", "Hello"]], endingOf("stop"))
    assert.include(text, "event: message_start\n")
    assert.include(text, "event: message_stop\n")
  })
})

describe("vertexPublisher", () => {
  it("reads and writes what the Gemini API does", () => {
    const path = `${location}/publishers/google/models/sim%3Bn%3D4:streamGenerateContent`
    const request = asked(
      vertexPublisher.read(incoming(`${path}?alt=sse`, { contents: [{ parts: [{ text: "Hi" }] }] }))
    )
    assert.deepInclude(request, {
      model: "sim;n=4",
      stream: true,
      prompt: "Hi",
      outputTokens: undefined
    })
    assert.include(stream(vertexPublisher, request, [["text", "Hello"]], endingOf("stop")), `"finishReason":"STOP"`)
    const whole = path.replace("streamGenerateContent", "generateContent")
    assert.isFalse(asked(vertexPublisher.read(incoming(whole, { contents: [{ parts: [] }] }))).stream)
  })
})
