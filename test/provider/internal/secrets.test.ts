import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as FastCheck from "fast-check"
import * as LlmError from "../../../src/domain/LlmError.ts"
import * as Secrets from "../../../src/provider/internal/secrets.ts"

const key = "sk-proj-0123456789abcdefghij"

const request = (headers: ReadonlyArray<string>, path = "/v1/chat/completions") => ({ path, headers })

describe("masking", () => {
  it.each([
    ["authorization", `Bearer ${key}`],
    ["Authorization", `bearer  ${key} `],
    ["x-api-key", key],
    ["api-key", key],
    ["x-goog-api-key", key],
    ["x-amz-security-token", key],
    ["proxy-authorization", `Basic ${key}`],
    ["cookie", key],
    ["x-team-secret", key]
  ])("hides what is sent in %s", (name, value) => {
    const mask = Secrets.masking(request(["accept", "text/event-stream", name, value]))
    assert.strictEqual(
      mask(`Incorrect API key provided: ${key}. Try "${key}x"`),
      'Incorrect API key provided: ***. Try "***x"'
    )
  })

  it("hides what is sent in the query", () => {
    const mask = Secrets.masking(request([], `/v1/models/m:stream?alt=sse&key=${key}`))
    assert.strictEqual(mask(`bad ${key}; alt=sse`), "bad ***; alt=sse")
  })

  it("hides it as it stands in JSON and in addresses", () => {
    const odd = 'pass/"word"/0123456789'
    const mask = Secrets.masking(request(["x-api-key", odd]))
    assert.strictEqual(mask(JSON.stringify({ key: odd })), '{"key":"***"}')
    assert.strictEqual(mask(`?key=${encodeURIComponent(odd)}`), "?key=***")
  })

  it("hides secrets that are told it, wherever they are sent", () => {
    const mask = Secrets.masking({ ...request(["x-team", "blue"]), secrets: [Redacted.make(` ${key} `)] })
    assert.strictEqual(mask(`${key} of blue`), "*** of blue")
  })

  it("leaves other headers alone, and counts of tokens", () => {
    const mask = Secrets.masking(
      request(["content-type", "application/json", "x-max-tokens", "4096000", "x-request-id", "run-123456-7"])
    )
    const text = "application/json 4096000 run-123456-7"
    assert.strictEqual(mask(text), text)
  })

  it("hides short secrets as words only, and no placeholders", () => {
    const short = Secrets.masking(request(["authorization", "Bearer dummy"]))
    assert.strictEqual(short("key dummy, not a dummyload"), "key ***, not a dummyload")
    const placeholder = Secrets.masking(request(["authorization", "Bearer key"]))
    assert.strictEqual(placeholder("the key is wrong"), "the key is wrong")
  })

  it("hides the beginning of a secret that the end of a text has cut", () => {
    const mask = Secrets.masking(request(["x-api-key", key]))
    for (let length = 8; length < key.length; length++) {
      assert.strictEqual(mask(`wrong: ${key.slice(0, length)}`), "wrong: ***")
    }
  })

  it("no text holds a secret any more", () => {
    const word = FastCheck.string({
      minLength: 16,
      maxLength: 40,
      unit: FastCheck.constantFrom("a", "b", "-", "/", '"', "é")
    })
    FastCheck.assert(
      FastCheck.property(word, FastCheck.array(FastCheck.string()), (secret, parts) => {
        FastCheck.pre(secret.trim() === secret)
        const masked = Secrets.masking(request(["x-api-key", secret]))(parts.join(secret))
        assert.isFalse(masked.includes(secret))
      })
    )
  })
})

describe("maskReason", () => {
  const mask = Secrets.masking(request(["x-api-key", key]))
  it.each([
    new LlmError.HttpStatus({ status: 401, body: `no ${key}`, retryAfterSeconds: 3 }),
    new LlmError.RateLimited({ status: 429, body: `no ${key}`, retryAfterSeconds: null }),
    new LlmError.InStream({ description: `no ${key}`, code: key, type: key }),
    new LlmError.Protocol({ description: `no ${key}` }),
    new LlmError.Truncated({ description: `no ${key}` }),
    new LlmError.Connect({ description: `no ${key}`, code: "ECONNRESET" }),
    new LlmError.Tls({ description: `no ${key}`, code: null })
  ])("$_tag", (reason) => {
    const masked = Secrets.maskReason(reason, mask)
    assert.strictEqual(masked._tag, reason._tag)
    assert.notInclude(JSON.stringify(masked), key)
    assert.include(masked.message, "no ***")
    if (reason._tag !== "InStream") assert.strictEqual(masked.errorCode, reason.errorCode)
  })

  it("a number stays the code of an error", () => {
    const reason = new LlmError.InStream({ description: "busy", code: 503, type: null })
    assert.deepInclude(Secrets.maskReason(reason, mask), { _tag: "InStream", code: 503, type: null })
  })
})

describe("what is shown of a request", () => {
  it("secrets as their lengths, with their scheme", () => {
    assert.deepStrictEqual(
      Secrets.shownHeaders(["accept", "a/b", "authorization", `Bearer ${key}`, "api-key", key, "x-api-key", ""]),
      [
        ["accept", "a/b"],
        ["authorization", "Bearer <28 characters>"],
        ["api-key", "<28 characters>"],
        ["x-api-key", "<0 characters>"]
      ]
    )
    assert.strictEqual(Secrets.shownPath(`/x?alt=sse&key=${key}&b=1`), "/x?alt=sse&key=<28 characters>&b=1")
  })
})
