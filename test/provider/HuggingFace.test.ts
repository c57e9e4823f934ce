import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as HuggingFace from "../../src/provider/HuggingFace.ts"
import { plan } from "./asking.ts"
import { configuredRequest, missingVariable, requestOf } from "./adapterRequest.ts"

const base: HuggingFace.Options = {
  apiBase: "http://host:8000/generate_stream",
  apiKey: Redacted.make("secret"),
  model: "org/model"
}

const requestWith = (options: Partial<HuggingFace.Options>) =>
  requestOf(HuggingFace.make({ ...base, includeUsage: false, ...options }))

describe("HuggingFace.routeOf", () => {
  it.each([
    ["https://router.huggingface.co/v1", "openai"],
    ["https://router.huggingface.co", "openai"],
    ["http://host:8080", "openai"],
    ["http://host:8080/v1/", "openai"],
    ["http://host:8080/generate_stream", "tgi"],
    ["http://host:8080/a/generate_stream/", "tgi"],
    ["http://host:8080/generate?x=1", "tgi"],
    ["http://host:8080/generate_stream/v1", "openai"],
    ["host", "openai"]
  ] as const)("%s", (apiBase, route) => {
    assert.strictEqual(HuggingFace.routeOf(apiBase), route)
    assert.strictEqual(HuggingFace.routeOf(apiBase, "auto"), route)
    for (const asked of ["tgi", "openai"] as const) assert.strictEqual(HuggingFace.routeOf(apiBase, asked), asked)
  })
})

describe("HuggingFace: where requests go", () => {
  it.each([
    ["http://host:8080", "/generate_stream"],
    ["http://host:8080/", "/generate_stream"],
    ["http://host:8080/v1", "/generate_stream"],
    ["http://host:8080/generate_stream", "/generate_stream"],
    ["http://host:8080/generate/", "/generate_stream"],
    ["http://host:8080/base/generate_stream?a=b", "/base/generate_stream?a=b"],
    ["http://host:8080/base", "/base/generate_stream"]
  ])("%s, to TGI", (apiBase, path) => {
    assert.deepStrictEqual(HuggingFace.tgiTarget(apiBase), { origin: "http://host:8080", path })
  })

  it.effect.each([
    ["https://router.huggingface.co/v1", "https://router.huggingface.co/v1/chat/completions"],
    ["https://router.huggingface.co", "https://router.huggingface.co/v1/chat/completions"],
    ["https://host/models/org/model", "https://host/models/org/model/v1/chat/completions"],
    ["https://host/base/v1/?a=b", "https://host/base/v1/chat/completions?a=b"],
    ["https://host/base?a=b", "https://host/base/v1/chat/completions?a=b"],
    ["https://host/v1/chat/completions", "https://host/v1/chat/completions"],
    ["https://host/generate_stream", "https://host/v1/chat/completions"]
  ] as const)("%s, in OpenAI's form", ([apiBase, url]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* requestWith({ apiBase, route: "openai" })).url, url)
    })
  )

  it.effect.each(["tgi", "openai"] as const)("refuses what is no address, to %s", (route) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(requestWith({ apiBase: "localhost:8000", route }))
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
    })
  )
})

describe("HuggingFace.make", () => {
  it.effect("asks TGI to generate", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* requestWith({})
      assert.strictEqual(provider.name, "huggingface")
      assert.strictEqual(provider.origin, "http://host:8000")
      assert.strictEqual(url, "http://host:8000/generate_stream")
      assert.deepStrictEqual(body, {
        model: "org/model",
        inputs: plan.prompt,
        parameters: { max_new_tokens: 20, details: true }
      })
      assert.deepStrictEqual(headers, [
        ["content-type", "application/json"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"],
        ["authorization", "Bearer secret"]
      ])
    })
  )

  it.effect("sends no key where there is none, and no limit where the plan has none", () =>
    Effect.gen(function* () {
      const { body, headers } = yield* requestOf(HuggingFace.make({ ...base, apiKey: null }), { outputTokens: null })
      assert.notInclude(
        headers.map(([name]) => name),
        "authorization"
      )
      assert.deepInclude(body, { parameters: { details: true } })
    })
  )

  it.effect.each([
    [
      { temperature: 0.5, top_p: 0.9 },
      { max_new_tokens: 20, details: true, temperature: 0.5, top_p: 0.9 }
    ],
    [{ temperature: 0 }, { max_new_tokens: 20, details: true }],
    [{ max_tokens: 9 }, { max_new_tokens: 9, details: true }],
    [{ max_tokens: null }, { details: true }],
    [{ max_tokens: 9, max_new_tokens: 8, details: null }, { max_new_tokens: 8 }]
  ] as const)("takes sampling parameters as TGI's: %j", ([samplingParams, parameters]) =>
    Effect.gen(function* () {
      assert.deepInclude((yield* requestWith({ samplingParams })).body, { parameters })
    })
  )

  it.effect("asks for a chat on the other route", () =>
    Effect.gen(function* () {
      const { body, headers, provider } = yield* requestWith({
        apiBase: HuggingFace.defaultApiBase,
        includeUsage: true,
        ignoreEos: true,
        samplingParams: { temperature: 0 }
      })
      assert.strictEqual(provider.name, "huggingface")
      assert.strictEqual(provider.origin, "https://router.huggingface.co")
      assert.deepStrictEqual(body, {
        model: "org/model",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 20,
        ignore_eos: true,
        temperature: 0
      })
      assert.deepInclude(headers, ["authorization", "Bearer secret"])
    })
  )

  it.effect("reads the error object of a refusal", () =>
    Effect.gen(function* () {
      const { format } = yield* requestWith({})
      const body = `{"error":"Input validation error: \`inputs\` cannot be empty","error_type":"validation"}`
      assert.deepInclude(format.errorOf(body, {}), { type: "validation", code: "validation" })
      for (const other of ["", "busy", "{}", "null"]) assert.isUndefined(format.errorOf(other, {}))
    })
  )
})

describe("HuggingFace.layerConfig", () => {
  const layer = (apiBase?: string) => HuggingFace.layerConfig({ model: "org/model", apiBase, includeUsage: false })

  it.effect.each([
    undefined,
    "https://router.huggingface.co/v1",
    "https://x.us-east-1.aws.endpoints.huggingface.cloud/generate_stream",
    "https://hf.co"
  ])("needs a key for %s", (apiBase) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* missingVariable(layer(apiBase), {}), "HUGGINGFACE_API_KEY")
      const blank = { HUGGINGFACE_API_KEY: " ", HF_TOKEN: "" }
      assert.strictEqual(yield* missingVariable(layer(apiBase), blank), "HUGGINGFACE_API_KEY")
    })
  )

  it.effect.each([
    [undefined, { HUGGINGFACE_API_KEY: "own" }, "Bearer own"],
    [undefined, { HF_TOKEN: "token" }, "Bearer token"],
    [undefined, { HUGGINGFACE_API_KEY: "own", HF_TOKEN: "token" }, "Bearer own"],
    ["http://host:8080", {}, undefined],
    ["http://host:8080", { HUGGINGFACE_API_KEY: "own" }, "Bearer own"],
    ["http://host:8080", { HF_TOKEN: "token" }, undefined],
    ["https://huggingface.co.example.com", { HF_TOKEN: "token" }, undefined],
    ["https://user-model.hf.space", { HF_TOKEN: "token" }, undefined],
    ["https://nothuggingface.co", { HF_TOKEN: "token" }, undefined]
  ] as const)("sends to %s, with %j, %s", ([apiBase, variables, authorization]) =>
    Effect.gen(function* () {
      const { headers } = yield* configuredRequest(layer(apiBase), variables)
      assert.strictEqual(headers.find(([name]) => name === "authorization")?.[1], authorization)
    })
  )

  it.effect.each([
    [{}, undefined, "https://router.huggingface.co/v1/chat/completions"],
    [{ HUGGINGFACE_API_BASE: " " }, undefined, "https://router.huggingface.co/v1/chat/completions"],
    [{ HUGGINGFACE_API_BASE: "http://env:1" }, undefined, "http://env:1/v1/chat/completions"],
    [{ HUGGINGFACE_API_BASE: "http://env:1/generate_stream" }, undefined, "http://env:1/generate_stream"],
    [{ HUGGINGFACE_API_BASE: "http://env:1" }, "http://given:2/generate", "http://given:2/generate_stream"]
  ] as const)("takes the address from %j and %s", ([variables, apiBase, url]) =>
    Effect.gen(function* () {
      const seen = yield* configuredRequest(layer(apiBase), { HUGGINGFACE_API_KEY: "k", ...variables })
      assert.strictEqual(seen.url, url)
    })
  )
})
