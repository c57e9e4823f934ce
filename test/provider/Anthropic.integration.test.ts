import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { find, plan, tagsOf, textOf } from "./asking.ts"
import { answer, raw } from "./servers.ts"
import {
  askAt,
  askSimulator,
  check,
  checkFaults,
  contentsOf,
  type Make,
  simulator,
  success,
  tokens
} from "./simulated.ts"
import * as decoding from "./wire/decoding.ts"

const keyed =
  (key: string | null): Make =>
  (apiBase, model) =>
    Anthropic.make({ apiBase, model, apiKey: key === null ? null : Redacted.make(key) })

const make = keyed("secret")

describe("Anthropic on the wire", () => {
  it.live("writes exactly this, and reads the answer that is documented", () =>
    Effect.gen(function* () {
      const headers = {
        "content-type": "text/event-stream; charset=utf-8",
        "Anthropic-Ratelimit-Requests-Remaining": "3"
      }
      const server = yield* raw((socket) =>
        socket.write(answer("200 OK", decoding.transcript("anthropic-text.sse"), headers))
      )
      const asked = yield* askAt(`${server.url}/v1/?beta=true`, "claude-x", make)
      assert.isUndefined(asked.error)
      assert.strictEqual(textOf(asked), "Shall I compare “thee” 👋\n")
      assert.deepStrictEqual(find(asked, "ResponseStarted")?.rateLimit, {
        "anthropic-ratelimit-requests-remaining": "3"
      })
      const body = JSON.stringify({
        model: "claude-x",
        max_tokens: 20,
        messages: [{ role: "user", content: plan.prompt }],
        stream: true
      })
      assert.deepStrictEqual(server.received, [
        {
          line: "POST /v1/messages?beta=true HTTP/1.1",
          headers: [
            ["host", server.url.slice("http://".length)],
            ["connection", "keep-alive"],
            ["content-type", "application/json"],
            ["accept", "text/event-stream"],
            ["user-agent", "llmperf"],
            ["anthropic-version", "2023-06-01"],
            ["x-api-key", "secret"],
            ["content-length", String(Buffer.byteLength(body))]
          ],
          body,
          connection: 1
        }
      ])
    })
  )
})

describe("Anthropic against the simulator", () => {
  it.live("a good answer, in full", () =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(make)
      check("nothing", asked, success)
      assert.deepStrictEqual(tagsOf(asked), [
        "Sent",
        "ResponseStarted",
        "Usage",
        "Content",
        "Finished",
        "Usage",
        "Ended"
      ])
      assert.strictEqual(find(asked, "Finished")?.reason, "end_turn")
      const usages = asked.events.filter((event) => event._tag === "Usage")
      assert.deepInclude(usages.at(-1), { outputTokens: tokens, cachedInputTokens: 0 })
      assert.isAbove(usages.at(-1)?.inputTokens ?? 0, 0)
    }).pipe(Effect.provide(simulator))
  )

  it.live("thinking and tools", () =>
    Effect.gen(function* () {
      const thinking = yield* askSimulator(make, ["reason=3"])
      assert.deepStrictEqual(contentsOf(thinking), [
        ["reasoning", 3],
        ["text", tokens - 3]
      ])
      const tool = yield* askSimulator(make, ["tool"])
      assert.deepStrictEqual(contentsOf(tool), [["tool", tokens + 1]])
      assert.strictEqual(find(tool, "Finished")?.reason, "tool_use")
    }).pipe(Effect.provide(simulator))
  )

  it.live("every fault becomes the right failure, or the right answer", () =>
    checkFaults(make, {
      "error:3": { reason: "InStream", code: "overloaded_error", message: /^The model is overloaded$/, chunks: 3 },
      // The name of the tool comes before its input.
      tool: { chunks: tokens + 1 }
    }).pipe(Effect.provide(simulator))
  )

  it.live("a refusal tells its limits", () =>
    Effect.gen(function* () {
      const { rateLimit } = find(yield* askSimulator(make, ["fault=429"]), "ResponseStarted") ?? {}
      assert.containsAllKeys(rateLimit, ["retry-after", "anthropic-ratelimit-requests-limit"])
    }).pipe(Effect.provide(simulator))
  )

  it.live.each(["wrong", "expired", null])("a bad key: %s", (key) =>
    Effect.gen(function* () {
      const asked = yield* askSimulator(keyed(key))
      check(`key ${key}`, asked, {
        reason: "HttpStatus",
        code: 401,
        message: /^HTTP 401: (The key is|x-api-key)/
      })
    }).pipe(Effect.provide(simulator))
  )
})
