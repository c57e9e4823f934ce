import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as TogetherAi from "../../src/provider/TogetherAi.ts"
import { failureOf, headersOf, recording, requestOf, urlOf } from "./recording.ts"

describe("TogetherAi", () => {
  it.effect("is OpenAI's API at its own address, with its own key", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(TogetherAi.layerConfig({ model: "org/m" }), { TOGETHERAI_API_KEY: "secret" })
      assert.strictEqual(urlOf(request), "https://api.together.xyz/v1/chat/completions")
      assert.deepInclude(headersOf(request), ["authorization", "Bearer secret"])
      assert.include(request?.body, '"model":"org/m"')
    })
  )

  it.effect("takes another address from the caller, or from its variable", () =>
    Effect.gen(function* () {
      const variables = { TOGETHER_API_KEY: "k", TOGETHERAI_API_BASE: "http://env" }
      const given = yield* requestOf(TogetherAi.layerConfig({ model: "m", apiBase: "http://given/v2" }), variables)
      assert.strictEqual(urlOf(given), "http://given/v2/chat/completions")
      const env = yield* requestOf(TogetherAi.layerConfig({ model: "m", endpoint: "completions" }), variables)
      assert.strictEqual(urlOf(env), "http://env/v1/completions")
    })
  )

  it.effect("tells its name, and which variable is missing", () =>
    Effect.gen(function* () {
      const made = yield* Effect.provide(TogetherAi.make({ model: "m", apiKey: Redacted.make("k") }), recording().layer)
      assert.strictEqual(made.name, "together")
      assert.strictEqual(made.origin, "https://api.together.xyz")
      assert.match(
        (yield* failureOf(TogetherAi.layerConfig({ model: "m" }), {})).message,
        /^TOGETHERAI_API_KEY must be set/
      )
    })
  )
})
