import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Gemini from "../../src/provider/Gemini.ts"
import { find, tagsOf, textOf } from "./asking.ts"
import { askSimulator, checkFaults, contentsOf, type Make, simulator, success, tokens } from "./simulated.ts"

const asking =
  (key = "key"): Make =>
  (apiBase, model) =>
    Gemini.make({ apiBase, apiKey: Redacted.make(key), model })

describe("Gemini against the simulated server", () => {
  it.live("reads a good answer", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(asking())
      assert.isUndefined(asked.error)
      assert.deepStrictEqual(tagsOf(asked), ["Sent", "ResponseStarted", "Content", "Finished", "Usage", "Ended"])
      assert.strictEqual(textOf(asked).split(" ").length, tokens)
      assert.strictEqual(find(asked, "Finished")?.reason, "STOP")
      assert.deepInclude(find(asked, "Usage"), { outputTokens: tokens, reasoningTokens: null })
      assert.strictEqual(find(yield* askSimulator(asking(), ["n=20"]), "Finished")?.reason, "MAX_TOKENS")
    }).pipe(Effect.provide(simulator))
  )

  it.live("reads thoughts and function calls", () =>
    Effect.gen(function* () {
      const thoughts = yield* askSimulator(asking(), ["reason=3"])
      assert.deepStrictEqual(contentsOf(thoughts), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      assert.deepInclude(find(thoughts, "Usage"), { outputTokens: tokens, reasoningTokens: 3 })
      assert.deepStrictEqual(contentsOf(yield* askSimulator(asking(), ["tool"])), [["tool", tokens]])
    }).pipe(Effect.provide(simulator))
  )

  it.live("each fault becomes the right failure, or the right answer", () =>
    checkFaults(asking(), {
      "401": { reason: "HttpStatus", code: 400, message: /^HTTP 400: API key not valid\./ },
      "error:3": { reason: "InStream", code: 503, message: /^The model is overloaded$/, chunks: 3 },
      // Nothing marks the end, so what comes before the body ends belongs to it.
      "after-done": { reason: "Protocol", code: "protocol_error", message: /not JSON/, chunks: tokens },
      tool: success
    }).pipe(Effect.provide(simulator))
  )

  it.live("keeps what the server says about its limits", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(asking(), ["fault=429"])
      assert.deepInclude(asked.error?.reason, { _tag: "RateLimited", retryAfterSeconds: 1 })
      assert.deepInclude(find(asked, "ResponseStarted")?.rateLimit, { "x-ratelimit-remaining-requests": "0" })
    }).pipe(Effect.provide(simulator))
  )

  it.live("a key that is wrong or has expired is refused in Google's words", () =>
    Effect.gen(function* () {
      const wrong = yield* askSimulator(asking("wrong"))
      assert.strictEqual(wrong.error?.message, "HTTP 400: API key not valid. Please pass a valid API key.")
      const expired = yield* askSimulator(asking("expired"))
      // The key itself, which is this very word here, is shown nowhere.
      assert.strictEqual(expired.error?.message, "HTTP 400: API key ***. Please renew the API key.")
    }).pipe(Effect.provide(simulator))
  )
})
