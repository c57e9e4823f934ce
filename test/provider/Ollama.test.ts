import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ollama from "../../src/provider/Ollama.ts"
import { plan } from "./asking.ts"
import { configuredRequest, requestOf } from "./adapterRequest.ts"

const base: Ollama.Options = { apiBase: "http://host:11434", model: "llama3.2" }

const requestWith = (options: Partial<Ollama.Options>) => requestOf(Ollama.make({ ...base, ...options }))

describe("Ollama.target", () => {
  it.each([
    ["http://host:11434", "/api/chat"],
    ["http://host:11434/", "/api/chat"],
    ["http://host:11434/api", "/api/chat"],
    ["http://host:11434/api/chat/", "/api/chat"],
    ["http://host:11434/api/generate", "/api/chat"],
    ["http://host:11434/v1", "/api/chat"],
    ["http://host:11434/base?a=b", "/base/api/chat?a=b"],
    ["http://host:11434/base/api", "/base/api/chat"]
  ])("%s", (apiBase, path) => {
    assert.deepStrictEqual(Ollama.target(apiBase), { origin: "http://host:11434", path })
  })

  it.each(["", "host", "localhost:11434", "/api"])("%j is no address", (apiBase) => {
    assert.isNull(Ollama.target(apiBase))
  })
})

describe("Ollama.make", () => {
  it.effect("refuses what is no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(requestWith({ apiBase: "localhost:8000" }))
      assert.strictEqual(error.reason._tag, "Protocol")
      assert.include(error.message, "localhost:8000")
    })
  )

  it.effect("asks for a chat, streamed", () =>
    Effect.gen(function* () {
      const { body, headers, provider, url } = yield* requestWith({})
      assert.strictEqual(provider.name, "ollama")
      assert.strictEqual(provider.origin, "http://host:11434")
      assert.strictEqual(url, "http://host:11434/api/chat")
      assert.deepStrictEqual(body, {
        model: "llama3.2",
        messages: [{ role: "user", content: plan.prompt }],
        stream: true,
        options: { num_predict: 20 }
      })
      assert.deepStrictEqual(headers, [
        ["content-type", "application/json"],
        ["accept", "application/x-ndjson"],
        ["user-agent", "llmperf"]
      ])
    })
  )

  it.effect("sets no limit where the plan has none", () =>
    Effect.gen(function* () {
      assert.deepInclude((yield* requestOf(Ollama.make(base), { outputTokens: null })).body, { options: {} })
    })
  )

  it.effect.each([
    [{ temperature: 0, seed: 1 }, { options: { num_predict: 20, temperature: 0, seed: 1 } }],
    [{ max_tokens: 9 }, { options: { num_predict: 9 } }],
    [{ max_tokens: null }, { options: {} }],
    [{ num_predict: null, stop: ["a"] }, { options: { stop: ["a"] } }],
    [{ options: { num_ctx: 4096 }, top_k: 5 }, { options: { num_predict: 20, num_ctx: 4096, top_k: 5 } }],
    [
      { think: false, keep_alive: "5m", format: null },
      { think: false, keep_alive: "5m", options: { num_predict: 20 } }
    ]
  ] as const)(
    "takes sampling parameters as options of the model, but for those that are none: %j",
    ([samplingParams, expected]) =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* requestWith({ samplingParams })).body, {
          model: "llama3.2",
          messages: [{ role: "user", content: plan.prompt }],
          stream: true,
          ...expected
        })
      })
  )

  it.effect("reads the error object of a refusal", () =>
    Effect.gen(function* () {
      const { format } = yield* requestWith({})
      assert.deepInclude(format.errorOf(`{"error":"model 'x' not found"}`, {}), { description: "model 'x' not found" })
      for (const other of ["", "busy", "{}", "null"]) assert.isUndefined(format.errorOf(other, {}))
    })
  )

  it.effect.each([
    [`{"model":"m"`, "application/x-ndjson", true],
    ["\uFEFF", "application/x-ndjson; charset=utf-8", true],
    [`{"model":"m"`, "", true],
    [`{"model":"m"`, "text/plain", true],
    [`{"model":"m"`, "application/json; charset=utf-8", false],
    ["<html>", "text/html", false],
    ["data: {}", "text/event-stream", false]
  ] as const)("a body that begins with %s, of type %s: %s", ([start, type, isAccepted]) =>
    Effect.gen(function* () {
      const { format } = yield* requestWith({})
      assert.strictEqual(format.accepts?.(Buffer.from(start), type), isAccepted)
    })
  )
})

describe("Ollama.layerConfig", () => {
  it.effect.each([
    [{}, undefined, "http://127.0.0.1:11434/api/chat"],
    [{ OLLAMA_API_BASE: "" }, undefined, "http://127.0.0.1:11434/api/chat"],
    [{ OLLAMA_API_BASE: "http://env:1" }, undefined, "http://env:1/api/chat"],
    [{ OLLAMA_API_BASE: "http://env:1" }, "http://given:2", "http://given:2/api/chat"]
  ] as const)("takes the address from %j and %s", ([variables, apiBase, url]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* configuredRequest(Ollama.layerConfig({ model: "m", apiBase }), variables)).url, url)
    })
  )
})
