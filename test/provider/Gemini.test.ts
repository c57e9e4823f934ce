import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Gemini from "../../src/provider/Gemini.ts"
import { plan } from "./asking.ts"
import { configuredRequest, missingVariable, requestOf } from "./adapterRequest.ts"

const base: Gemini.Options = { apiKey: Redacted.make(" key\n"), model: "gemini-2.5-flash" }

const urlOf = (options: Partial<Gemini.Options>) =>
  Effect.map(requestOf(Gemini.make({ ...base, ...options })), ({ url }) => url)

describe("Gemini.make", () => {
  it.effect("asks Google for a stream of events", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* requestOf(Gemini.make(base))
      assert.strictEqual(provider.name, "gemini")
      assert.strictEqual(provider.origin, "https://generativelanguage.googleapis.com")
      assert.strictEqual(
        url,
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
      )
      assert.deepStrictEqual(headers, [
        ["content-type", "application/json"],
        ["accept", "text/event-stream"],
        ["user-agent", "llmperf"],
        ["x-goog-api-key", "key"]
      ])
      assert.deepStrictEqual(body, {
        contents: [{ role: "user", parts: [{ text: plan.prompt }] }],
        generationConfig: { maxOutputTokens: 20 }
      })
    })
  )

  it.effect.each([
    [{ apiBase: "http://host" }, "http://host/v1beta/models/gemini-2.5-flash:"],
    [{ apiBase: "http://host/" }, "http://host/v1beta/models/gemini-2.5-flash:"],
    [{ apiBase: "http://host/gateway/v1" }, "http://host/gateway/v1/models/gemini-2.5-flash:"],
    [{ apiBase: "http://host", model: "models/gemma-3" }, "http://host/v1beta/models/gemma-3:"],
    [{ apiBase: "http://host", model: "tunedModels/mine" }, "http://host/v1beta/tunedModels/mine:"],
    [{ apiBase: "http://host", model: "sim;ttft=100" }, "http://host/v1beta/models/sim%3Bttft%3D100:"]
  ] as const)("%j", ([options, start]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* urlOf(options), `${start}streamGenerateContent?alt=sse`)
    })
  )

  it.effect("asks what an address in full says", () =>
    Effect.gen(function* () {
      const full = "http://host/v1beta/models/other:streamGenerateContent?alt=sse"
      assert.strictEqual(yield* urlOf({ apiBase: full }), full)
      assert.strictEqual(
        yield* urlOf({ apiBase: "http://host/g/tunedModels/a:generateContent?alt=json&k=1" }),
        "http://host/g/tunedModels/a:streamGenerateContent?alt=sse&k=1"
      )
    })
  )

  it.effect("keeps the query of the base", () =>
    Effect.gen(function* () {
      const url = yield* urlOf({ apiBase: "http://host/v1?team=a" })
      assert.strictEqual(url, "http://host/v1/models/gemini-2.5-flash:streamGenerateContent?team=a&alt=sse")
    })
  )

  it.effect("sends the user's parameters, headers and request id", () =>
    Effect.gen(function* () {
      const { body, headers } = yield* requestOf(
        Gemini.make({
          ...base,
          samplingParams: { temperature: 0, safetySettings: [] },
          headers: { "X-Team": "a" },
          requestId: { header: "x-request-id", of: ({ id }) => `run-${id}` }
        }),
        { outputTokens: null }
      )
      assert.deepStrictEqual(headers.slice(-2), [
        ["x-team", "a"],
        ["x-request-id", "run-7"]
      ])
      assert.deepInclude(body, { generationConfig: { temperature: 0 }, safetySettings: [] })
    })
  )

  it.effect("refuses what is no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(requestOf(Gemini.make({ ...base, apiBase: "localhost:8000" })))
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
      const withUser = yield* Effect.flip(requestOf(Gemini.make({ ...base, apiBase: "https://user:pa55@host" })))
      assert.match(withUser.message, /has a user or a password/)
      assert.notInclude(withUser.message, "pa55")
    })
  )
})

describe("Gemini.layerConfig", () => {
  const layer = (options: Partial<Gemini.Options> = {}) => Gemini.layerConfig({ model: "m", ...options })

  it.effect("takes the key and the address from the environment", () =>
    Effect.gen(function* () {
      const own = yield* configuredRequest(layer(), {
        GEMINI_API_KEY: "own",
        GOOGLE_API_KEY: "other",
        GEMINI_API_BASE: "http://env"
      })
      assert.deepInclude(own.headers, ["x-goog-api-key", "own"])
      assert.strictEqual(own.url, "http://env/v1beta/models/m:streamGenerateContent?alt=sse")
      const other = yield* configuredRequest(layer({ apiBase: "http://given" }), {
        GEMINI_API_KEY: " ",
        GOOGLE_API_KEY: "other",
        GEMINI_API_BASE: "http://env"
      })
      assert.deepInclude(other.headers, ["x-goog-api-key", "other"])
      assert.match(other.url, /^http:\/\/given\//)
      const google = yield* configuredRequest(layer(), { GEMINI_API_KEY: "k", GEMINI_API_BASE: "" })
      assert.strictEqual(google.provider.origin, Gemini.defaultApiBase)
    })
  )

  it.effect("names the key when it is missing", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* missingVariable(layer(), {}), "GEMINI_API_KEY")
      assert.strictEqual(yield* missingVariable(layer(), { GEMINI_API_KEY: "", GOOGLE_API_KEY: " " }), "GEMINI_API_KEY")
    })
  )
})
