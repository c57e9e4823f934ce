import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as AzureOpenAi from "../../src/provider/AzureOpenAi.ts"
import { type Endpoint } from "../../src/provider/OpenAi.ts"
import { plan } from "./asking.ts"
import { bodyOf, failureOf, headersOf, recording, requestOf, urlOf } from "./recording.ts"

const host = "https://name.openai.azure.com"

const key = { AZURE_API_KEY: "secret", AZURE_API_BASE: host }

describe("AzureOpenAi: the address", () => {
  it.effect.each([
    ["", "chat", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"],
    ["/", "completions", "/openai/deployments/my%20gpt/completions?api-version=2024-10-21"],
    ["/openai", "chat", "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"],
    ["/openai/deployments/other", "chat", "/openai/deployments/other/chat/completions?api-version=2024-10-21"],
    [
      "/openai/deployments/other/chat/completions?api-version=2023-05-15",
      "chat",
      "/openai/deployments/other/chat/completions?api-version=2023-05-15"
    ],
    ["/?x=1", "chat", "/openai/deployments/my%20gpt/chat/completions?x=1&api-version=2024-10-21"],
    ["/gateway", "chat", "/gateway/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"],
    ["/deployments/other", "chat", "/deployments/other/chat/completions?api-version=2024-10-21"],
    ["/openai/v1", "chat", "/openai/v1/chat/completions"],
    ["/openai/v1/", "responses", "/openai/v1/responses"],
    ["/openai/v1/chat/completions", "chat", "/openai/v1/chat/completions"],
    ["/openai/v1?api-version=preview", "chat", "/openai/v1/chat/completions?api-version=preview"],
    ["/models", "chat", "/models/chat/completions?api-version=2024-05-01-preview"],
    ["", "responses", "/openai/responses?api-version=2025-04-01-preview"],
    ["/openai/deployments/other", "responses", "/openai/responses?api-version=2025-04-01-preview"]
  ] as const)("%j for %s", ([path, endpoint, expected]: readonly [string, Endpoint, string]) =>
    Effect.gen(function* () {
      const layer = AzureOpenAi.layer({
        apiBase: `${host}${path}`,
        credential: { _tag: "Key", key: Redacted.make("k") },
        model: "my gpt",
        endpoint
      })
      assert.strictEqual(urlOf(yield* requestOf(layer, {})), `${host}${expected}`)
    })
  )

  it.effect("refuses what is none", () =>
    Effect.gen(function* () {
      const make = AzureOpenAi.make({
        apiBase: "name.openai.azure.com",
        credential: { _tag: "Key", key: Redacted.make("k") },
        model: "m"
      })
      assert.include((yield* Effect.flip(Effect.provide(make, recording().layer))).message, "name.openai.azure.com")
    })
  )
})

describe("AzureOpenAi.layerConfig", () => {
  it.effect("sends the key as Azure wants it, and what OpenAI's API is sent", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(AzureOpenAi.layerConfig({ model: "gpt" }), key)
      assert.deepStrictEqual(headersOf(request), [
        ["content-type", "application/json"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"],
        ["api-key", "secret"]
      ])
      assert.deepStrictEqual(bodyOf(request), {
        model: "gpt",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 20
      })
    })
  )

  it.effect.each([
    [
      { ...key, AZURE_API_VERSION: "2025-01-01-preview", OPENAI_API_VERSION: "x" },
      host,
      "2025-01-01-preview",
      "secret"
    ],
    [
      { AZURE_OPENAI_API_KEY: "other", AZURE_OPENAI_ENDPOINT: "https://e.openai.azure.com", OPENAI_API_VERSION: "v" },
      "https://e.openai.azure.com",
      "v",
      "other"
    ],
    [{ ...key, AZURE_API_KEY: " ", AZURE_OPENAI_API_KEY: "other" }, host, "2024-10-21", "other"]
  ] as const)("takes the names of LiteLLM and of Azure: %j", ([variables, base, version, secret]) =>
    Effect.gen(function* () {
      const request = yield* requestOf(AzureOpenAi.layerConfig({ model: "m" }), variables)
      assert.strictEqual(urlOf(request), `${base}/openai/deployments/m/chat/completions?api-version=${version}`)
      assert.deepInclude(headersOf(request), ["api-key", secret])
    })
  )

  it.effect("sends a token of Entra ID where there is no key", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(AzureOpenAi.layerConfig({ model: "m", apiBase: host }), {
        AZURE_AD_TOKEN: "jwt"
      })
      assert.deepInclude(headersOf(request), ["authorization", "Bearer jwt"])
      assert.notInclude(request?.headers ?? [], "api-key")
    })
  )

  it.effect("names what is missing", () =>
    Effect.gen(function* () {
      const layer = AzureOpenAi.layerConfig({ model: "m" })
      assert.match((yield* failureOf(layer, {})).message, /^AZURE_API_BASE must be set/)
      assert.match((yield* failureOf(layer, { AZURE_API_BASE: host })).message, /^AZURE_API_KEY must be set/)
    })
  )
})
