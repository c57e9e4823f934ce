import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as LlmError from "../../src/domain/LlmError.ts"

const cases: ReadonlyArray<readonly [LlmError.Reason, code: number | string, message: string]> = [
  [
    new LlmError.Connect({ description: "refused", code: "ECONNREFUSED" }),
    "connect_error",
    "Could not connect: refused"
  ],
  [new LlmError.Tls({ description: "expired", code: null }), "tls_error", "TLS failed: expired"],
  [new LlmError.Timeout({ phase: "connect", limitSeconds: 10 }), "timeout_connect", "Timed out (connect) after 10 s"],
  [new LlmError.Timeout({ phase: "headers", limitSeconds: 0.5 }), "timeout_headers", "Timed out (headers) after 0.5 s"],
  [new LlmError.Timeout({ phase: "idle", limitSeconds: 180 }), "timeout_idle", "Timed out (idle) after 180 s"],
  [new LlmError.Timeout({ phase: "total", limitSeconds: 60 }), "timeout_total", "Timed out (total) after 60 s"],
  [new LlmError.HttpStatus({ status: 500, body: "broken", retryAfterSeconds: null }), 500, "HTTP 500: broken"],
  [new LlmError.HttpStatus({ status: 204, body: "", retryAfterSeconds: null }), 204, "HTTP 204"],
  [new LlmError.RateLimited({ status: 429, body: "slow", retryAfterSeconds: 2 }), 429, "HTTP 429: slow"],
  [new LlmError.RateLimited({ status: 429, body: "", retryAfterSeconds: null }), 429, "HTTP 429"],
  [new LlmError.InStream({ description: "busy", code: 529, type: "overloaded" }), 529, "busy"],
  [new LlmError.InStream({ description: "busy", code: "overloaded", type: null }), "overloaded", "busy"],
  [
    new LlmError.InStream({ description: "", code: null, type: null }),
    "in_stream_error",
    "The server reported an error in the stream"
  ],
  [
    new LlmError.ConnectionLost({ description: "read ECONNRESET", code: "ECONNRESET" }),
    "connection_lost",
    "The connection was lost before the response began: read ECONNRESET"
  ],
  [
    new LlmError.TooLarge({ description: "an event of more than 10 MiB" }),
    "too_large",
    "The response is too large: an event of more than 10 MiB"
  ],
  [new LlmError.Truncated({ description: "reset" }), "truncated", "The answer was cut off: reset"],
  [new LlmError.Protocol({ description: "a page" }), "protocol_error", "a page"],
  [new LlmError.Internal({ description: "odd" }), "internal_error", "Internal error: odd"],
  [new LlmError.Cancelled({ description: "over" }), "cancelled", "over"],
  [
    new LlmError.MissingCredential({ variable: "OPENAI_API_KEY", description: "the key" }),
    "missing_credential",
    "OPENAI_API_KEY must be set: the key"
  ]
]

describe("LlmError", () => {
  it("has a case for every reason", () => {
    const tags = new Set(cases.map(([{ _tag }]) => _tag))
    assert.strictEqual(tags.size, LlmError.Reason.members.length)
  })

  it.each(cases)("%s", (reason, code, message) => {
    const error = LlmError.fromReason(reason)
    assert.strictEqual(error.errorCode, code)
    assert.strictEqual(error.message, message)
    assert.strictEqual(error.reason, reason)
    assert.instanceOf(error, Error)
  })

  it("comes back from JSON as it was", () => {
    const codec = Schema.fromJsonString(LlmError.LlmError)
    for (const [reason] of cases) {
      const error = LlmError.fromReason(reason)
      const back = Schema.decodeSync(codec)(Schema.encodeSync(codec)(error))
      assert.strictEqual(back.errorCode, error.errorCode)
      assert.strictEqual(back.message, error.message)
      assert.deepStrictEqual({ ...back.reason }, { ...error.reason })
    }
  })

  it.effect("is caught by its reason", () =>
    Effect.gen(function* () {
      const failing = (reason: LlmError.Reason) =>
        Effect.fail(LlmError.fromReason(reason)).pipe(
          Effect.catchReason("LlmError", "RateLimited", ({ retryAfterSeconds }) => Effect.succeed(retryAfterSeconds))
        )
      assert.strictEqual(yield* failing(new LlmError.RateLimited({ status: 429, body: "", retryAfterSeconds: 3 })), 3)
      const error = yield* Effect.flip(failing(new LlmError.Truncated({ description: "reset" })))
      assert.strictEqual(error.reason._tag, "Truncated")
    })
  )
})
