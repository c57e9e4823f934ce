import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as VertexAi from "../../src/provider/VertexAi.ts"
import { plan } from "./asking.ts"
import { configuredRequest, missingVariable, requestOf } from "./adapterRequest.ts"

const base: VertexAi.Options = {
  accessToken: Redacted.make(" token\n"),
  projectId: "my-project",
  region: "us-central1",
  model: "m"
}

const request = (options: Partial<VertexAi.Options>) => requestOf(VertexAi.make({ ...base, ...options }))

const location = "https://us-central1-aiplatform.googleapis.com/v1/projects/my-project/locations/us-central1"

const messages = [{ role: "user", content: plan.prompt }]

describe("VertexAi.make", () => {
  it.effect("asks an endpoint for a prediction", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* request({ endpointId: "123" })
      assert.strictEqual(provider.name, "vertexai")
      assert.strictEqual(provider.origin, "https://us-central1-aiplatform.googleapis.com")
      assert.strictEqual(url, `${location}/endpoints/123:predict`)
      assert.deepStrictEqual(headers, [
        ["content-type", "application/json"],
        ["accept", "application/json"],
        ["user-agent", "llmperf"],
        ["authorization", "Bearer token"]
      ])
      assert.deepStrictEqual(body, {
        instances: [{ prompt: plan.prompt, max_tokens: 20 }],
        parameters: { maxOutputTokens: 20 }
      })
    })
  )

  it.effect("asks Google's models for a stream of events", () =>
    Effect.gen(function* () {
      const { body, headers, url } = yield* request({ model: "gemini-2.5-flash", samplingParams: { top_k: 1 } })
      assert.strictEqual(url, `${location}/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse`)
      assert.deepInclude(headers, ["accept", "text/event-stream"])
      assert.deepStrictEqual(body, {
        contents: [{ role: "user", parts: [{ text: plan.prompt }] }],
        generationConfig: { maxOutputTokens: 20, topK: 1 }
      })
    })
  )

  it.effect("asks what serves an endpoint for a chat", () =>
    Effect.gen(function* () {
      const { body, headers, url } = yield* request({ endpointId: "123", route: "raw", samplingParams: { top_k: 1 } })
      assert.strictEqual(url, `${location}/endpoints/123:streamRawPredict`)
      assert.deepInclude(headers, ["accept", "text/event-stream"])
      assert.deepStrictEqual(body, {
        model: "m",
        messages,
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 20,
        top_k: 1
      })
    })
  )

  it.effect("asks Anthropic's models in Anthropic's format", () =>
    Effect.gen(function* () {
      const { body, url } = yield* request({ model: "claude-sonnet-4@20250514" })
      assert.strictEqual(url, `${location}/publishers/anthropic/models/claude-sonnet-4@20250514:streamRawPredict`)
      assert.deepStrictEqual(body, {
        anthropic_version: "vertex-2023-10-16",
        max_tokens: 20,
        messages,
        stream: true
      })
      const unlimited = yield* requestOf(VertexAi.make({ ...base, model: "claude-x" }), { outputTokens: null })
      assert.deepInclude(unlimited.body, { max_tokens: 4_096 })
    })
  )

  it.effect("asks other partners' models for a chat", () =>
    Effect.gen(function* () {
      const { body, url } = yield* requestOf(VertexAi.make({ ...base, model: "mistral-small-2503" }), {
        outputTokens: null
      })
      assert.strictEqual(url, `${location}/publishers/mistralai/models/mistral-small-2503:streamRawPredict`)
      assert.deepStrictEqual(body, {
        model: "mistral-small-2503",
        messages,
        stream: true,
        stream_options: { include_usage: true }
      })
      const versioned = yield* requestOf(VertexAi.make({ ...base, model: "mistral-large@2407" }))
      assert.strictEqual(versioned.url, `${location}/publishers/mistralai/models/mistral-large@2407:streamRawPredict`)
      assert.deepInclude(versioned.body, { model: "mistral-large" })
    })
  )

  it.effect.each([
    [{ model: "gemini-2.5-pro" }, "publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"],
    [{ model: "gemini-2.5-pro", endpointId: "1" }, "endpoints/1:predict"],
    [
      { model: "gemini-2.5-pro", endpointId: " " },
      "publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    ],
    [
      { model: "gemini-2.5-pro", endpointId: "1", route: "publisher" },
      "publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    ],
    [{ model: "any", route: "publisher" }, "publishers/google/models/any:streamGenerateContent?alt=sse"],
    [{ model: "publishers/google/models/any" }, "publishers/google/models/any:streamGenerateContent?alt=sse"],
    [{ model: "publishers/meta/models/llama-4" }, "publishers/meta/models/llama-4:streamRawPredict"],
    [{ model: "any", publisher: "ai21" }, "publishers/ai21/models/any:streamRawPredict"],
    [{ model: "claude-x", endpointId: "1", route: "raw" }, "publishers/anthropic/models/claude-x:streamRawPredict"],
    [{ model: "mistral-7b", endpointId: "1", route: "raw" }, "endpoints/1:streamRawPredict"],
    [{ model: "4965075652664360960" }, "endpoints/4965075652664360960:predict"],
    [{ model: "4965075652664360960", endpointId: "1" }, "endpoints/1:predict"],
    [{ endpointId: "projects/9/locations/us-central1/endpoints/123" }, "endpoints/123:predict"],
    [{ endpointId: "sim;ttft=100" }, "endpoints/sim%3Bttft%3D100:predict"]
  ] as const)("%j", ([options, resource]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* request(options)).url, `${location}/${resource}`)
    })
  )

  it.effect("knows the hosts of all regions, and any other", () =>
    Effect.gen(function* () {
      const originOf = (options: Partial<VertexAi.Options>) =>
        Effect.map(request({ endpointId: "1", ...options }), ({ url }) => url.replace(/\/projects\/.*/, ""))
      assert.strictEqual(
        yield* originOf({ region: "europe-west4" }),
        "https://europe-west4-aiplatform.googleapis.com/v1"
      )
      assert.strictEqual(yield* originOf({ region: "global" }), "https://aiplatform.googleapis.com/v1")
      assert.strictEqual(yield* originOf({ region: "eu" }), "https://aiplatform.eu.rep.googleapis.com/v1")
      assert.strictEqual(yield* originOf({ apiBase: "http://host:1" }), "http://host:1/v1")
      assert.strictEqual(yield* originOf({ apiBase: "http://host:1/v1beta1/" }), "http://host:1/v1beta1")
      const full = "https://own.prediction.vertexai.goog/v1/projects/9/locations/l/endpoints/8"
      const asked = yield* request({ endpointId: "1", route: "raw", apiBase: `${full}:predict` })
      assert.strictEqual(asked.url, `${full}:streamRawPredict`)
    })
  )

  it.effect("names the endpoint when there must be one", () =>
    Effect.gen(function* () {
      for (const options of [{}, { route: "predict", model: "gemini-x" }, { route: "raw" }] as const) {
        const error = yield* Effect.flip(requestOf(VertexAi.make({ ...base, ...options })))
        assert.deepInclude(error.reason, { _tag: "MissingCredential", variable: "VERTEXAI_ENDPOINT_ID" })
      }
    })
  )

  it.effect("refuses what is no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        requestOf(VertexAi.make({ ...base, endpointId: "1", apiBase: "localhost:8000" }))
      )
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
    })
  )
})

describe("VertexAi.layerConfig", () => {
  const all = {
    GCLOUD_ACCESS_TOKEN: " token\n",
    GCLOUD_PROJECT_ID: "p",
    GCLOUD_REGION: "r",
    VERTEXAI_ENDPOINT_ID: "1",
    VERTEXAI_API_BASE: "http://env"
  }
  const layer = (options: Partial<Parameters<typeof VertexAi.layerConfig>[0]> = {}) =>
    VertexAi.layerConfig({ model: "m", ...options })

  it.effect("takes everything from the environment", () =>
    Effect.gen(function* () {
      const { headers, url } = yield* configuredRequest(layer(), all)
      assert.strictEqual(url, "http://env/v1/projects/p/locations/r/endpoints/1:predict")
      assert.deepInclude(headers, ["authorization", "Bearer token"])
    })
  )

  it.effect("takes the names that LiteLLM has, too", () =>
    Effect.gen(function* () {
      const { url } = yield* configuredRequest(layer(), {
        GCLOUD_ACCESS_TOKEN: "t",
        VERTEXAI_PROJECT: "p2",
        VERTEXAI_LOCATION: "r2",
        VERTEXAI_ENDPOINT_ID: "1"
      })
      assert.strictEqual(url, "https://r2-aiplatform.googleapis.com/v1/projects/p2/locations/r2/endpoints/1:predict")
      const both = yield* configuredRequest(layer(), { ...all, VERTEXAI_PROJECT: "p2", VERTEXAI_LOCATION: "r2" })
      assert.include(both.url, "/projects/p/locations/r/")
    })
  )

  it.effect("prefers what is given", () =>
    Effect.gen(function* () {
      const options = { projectId: "p3", region: "r3", endpointId: "3", apiBase: "http://given" }
      const { url } = yield* configuredRequest(layer(options), all)
      assert.strictEqual(url, "http://given/v1/projects/p3/locations/r3/endpoints/3:predict")
    })
  )

  it.effect.each([
    ["GCLOUD_PROJECT_ID", "GCLOUD_PROJECT_ID"],
    ["GCLOUD_REGION", "GCLOUD_REGION"],
    ["VERTEXAI_ENDPOINT_ID", "VERTEXAI_ENDPOINT_ID"]
  ] as const)("names %s when it is missing or blank", ([variable, named]) =>
    Effect.gen(function* () {
      const { [variable]: _, ...others } = all
      assert.strictEqual(yield* missingVariable(layer(), others), named)
      assert.strictEqual(yield* missingVariable(layer(), { ...others, [variable]: " " }), named)
    })
  )
})
