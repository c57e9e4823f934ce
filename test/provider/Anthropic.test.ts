import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { plan } from "./asking.ts"
import { configuredRequest, missingVariable, requestOf } from "./adapterRequest.ts"

const base: Anthropic.Options = { apiBase: "http://host:8000", apiKey: Redacted.make("secret"), model: "claude-x" }

const requestWith = (options: Partial<Anthropic.Options>) => requestOf(Anthropic.make({ ...base, ...options }))

describe("Anthropic.target", () => {
  it.each([
    ["https://api.anthropic.com", "https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/", "https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/v1", "https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/v1//", "https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/v1/messages", "https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/v1/messages/", "https://api.anthropic.com", "/v1/messages"],
    ["https://host/anthropic", "https://host", "/anthropic/v1/messages"],
    ["https://host/anthropic/v1?beta=true", "https://host", "/anthropic/v1/messages?beta=true"],
    [" http://[::1]:80/#x ", "http://[::1]", "/v1/messages"]
  ])("%s", (apiBase, origin, path) => {
    assert.deepStrictEqual(Anthropic.target(apiBase), { origin, path })
  })

  it.each(["", "host", "localhost:8000", "/v1", "ftp://host"])("%j is no address", (apiBase) => {
    assert.isNull(Anthropic.target(apiBase))
  })
})

describe("Anthropic.make", () => {
  it.effect("refuses what is no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(requestWith({ apiBase: "localhost:8000" }))
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
    })
  )

  it.effect("asks for a message, streamed", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* requestWith({})
      assert.strictEqual(provider.name, "anthropic")
      assert.strictEqual(provider.origin, "http://host:8000")
      assert.strictEqual(url, "http://host:8000/v1/messages")
      assert.deepStrictEqual(body, {
        model: "claude-x",
        max_tokens: 20,
        messages: [{ role: "user", content: plan.prompt }],
        stream: true
      })
      assert.deepStrictEqual(headers, [
        ["content-type", "application/json"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"],
        ["anthropic-version", "2023-06-01"],
        ["x-api-key", "secret"]
      ])
    })
  )

  it.effect("asks for some limit where the plan has none, for the API needs one", () =>
    Effect.gen(function* () {
      const { body } = yield* requestOf(Anthropic.make(base), { outputTokens: null })
      assert.deepInclude(body, { max_tokens: Anthropic.defaultMaxTokens })
    })
  )

  it.effect("puts parameters and headers of the user over its own", () =>
    Effect.gen(function* () {
      const { body, headers } = yield* requestWith({
        apiKey: null,
        samplingParams: { max_tokens: 9, system: "Be brief.", thinking: { type: "enabled", budget_tokens: 1024 } },
        headers: { "Anthropic-Version": "2099-01-01", "anthropic-beta": "a,b" },
        requestId: { header: "x-request-id", of: ({ id }) => `run-${id}` }
      })
      assert.deepInclude(body, {
        max_tokens: 9,
        system: "Be brief.",
        thinking: { type: "enabled", budget_tokens: 1024 }
      })
      assert.deepStrictEqual(headers.slice(3), [
        ["anthropic-version", "2099-01-01"],
        ["anthropic-beta", "a,b"],
        ["x-request-id", "run-7"]
      ])
    })
  )

  it.effect("reads the error object of a refusal", () =>
    Effect.gen(function* () {
      const { format } = yield* requestWith({})
      const body = `{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"},"request_id":"r"}`
      assert.deepInclude(format.errorOf(body, {}), { description: "model: claude-x", type: "not_found_error" })
      for (const other of ["", "busy", "{}", "null"]) assert.isUndefined(format.errorOf(other, {}))
    })
  )
})

describe("Anthropic.layerConfig", () => {
  const layer = (apiBase?: string) => Anthropic.layerConfig({ model: "claude-x", apiBase })

  it.effect.each([{}, { ANTHROPIC_API_KEY: "" }, { ANTHROPIC_API_KEY: " \n" }])("needs a key: %j", (variables) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* missingVariable(layer("https://api.example"), variables), "ANTHROPIC_API_KEY")
    })
  )

  it.effect.each([
    [{}, undefined, "https://api.anthropic.com/v1/messages"],
    [{ ANTHROPIC_API_BASE: " " }, undefined, "https://api.anthropic.com/v1/messages"],
    [{ ANTHROPIC_API_BASE: "http://env:1" }, undefined, "http://env:1/v1/messages"],
    [{ ANTHROPIC_BASE_URL: "http://sdk:1" }, undefined, "http://sdk:1/v1/messages"],
    [{ ANTHROPIC_API_BASE: "http://env:1", ANTHROPIC_BASE_URL: "http://sdk:1" }, undefined, "http://env:1/v1/messages"],
    [{ ANTHROPIC_API_BASE: "http://env:1" }, "http://given:2/v1", "http://given:2/v1/messages"]
  ] as const)("takes the address from %j and %s", ([variables, apiBase, url]) =>
    Effect.gen(function* () {
      const seen = yield* configuredRequest(layer(apiBase), { ANTHROPIC_API_KEY: " secret\n", ...variables })
      assert.strictEqual(seen.url, url)
      assert.deepInclude(seen.headers, ["x-api-key", "secret"])
    })
  )
})
