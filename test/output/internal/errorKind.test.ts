import { assert, describe, it } from "@effect/vitest"
import * as LlmError from "../../../src/domain/LlmError.ts"
import { errorKind, errorText } from "../../../src/output/internal/errorKind.ts"

const description = "what happened"

const reasons: ReadonlyArray<readonly [reason: LlmError.Reason, text: string]> = [
  [new LlmError.Connect({ description, code: null }), "Could not connect: what happened"],
  [
    new LlmError.ConnectionLost({ description, code: null }),
    "The connection was lost before the response began: what happened"
  ],
  [new LlmError.Tls({ description, code: null }), "TLS failed: what happened"],
  [new LlmError.Timeout({ phase: "headers", limitSeconds: 5 }), "Timed out (headers) after 5 s"],
  [new LlmError.HttpStatus({ status: 401, body: "no", retryAfterSeconds: null }), "HTTP 401: no"],
  [new LlmError.HttpStatus({ status: 500, body: "", retryAfterSeconds: null }), "HTTP 500"],
  [new LlmError.RateLimited({ status: 429, body: "slow", retryAfterSeconds: null }), "HTTP 429: slow"],
  [new LlmError.InStream({ description, code: 529, type: null }), "Error in the stream (529): what happened"],
  [new LlmError.InStream({ description, code: null, type: null }), "Error in the stream: what happened"],
  [new LlmError.Truncated({ description }), "The answer was cut off: what happened"],
  [new LlmError.Protocol({ description }), "Unexpected answer: what happened"],
  [new LlmError.Internal({ description }), "Internal error: what happened"],
  [new LlmError.TooLarge({ description }), "The response is too large: what happened"],
  [new LlmError.Cancelled({ description }), "Cancelled: what happened"]
]

describe("errorText", () => {
  it.each(reasons)("says of what kind a failure is, once: %s", (reason, text) => {
    assert.strictEqual(errorText(reason._tag, reason.errorCode, reason.message), text)
    assert.isTrue(text.startsWith(errorKind(reason._tag, reason.errorCode)))
  })

  it("leaves the kinds of other programs as they are", () => {
    assert.strictEqual(errorText("Other", 5, ""), "Other 5")
    assert.strictEqual(errorText("(other)", "(other)", "x"), "(other): x")
    assert.strictEqual(errorKind("toString", null), "toString")
  })
})
