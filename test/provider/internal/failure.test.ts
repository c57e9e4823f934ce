import { assert, describe, it } from "@effect/vitest"
import * as failure from "../../../src/provider/internal/failure.ts"
import { NetError } from "../../../src/provider/internal/netError.ts"

const limits = { connectSeconds: 10, idleSeconds: 180 }

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code })

const refused = (address: string) => withCode(`connect ECONNREFUSED ${address}`, "ECONNREFUSED")

describe("failure.fromSocket", () => {
  it("leaves out an address on this side that there is not", () => {
    const error = withCode("connect EMFILE 127.0.0.1:80 - Local (undefined:undefined)", "EMFILE")
    assert.strictEqual(
      failure.fromSocket(error, "opening", limits).message,
      "Could not connect: connect EMFILE 127.0.0.1:80"
    )
  })

  it.each([
    ["connect", new NetError("connect-timeout", "too late"), 10],
    ["headers", new NetError("headers-timeout", "too late"), 180],
    ["idle", new NetError("idle-timeout", "too late"), 180]
  ] as const)("a time limit: %s", (phase, error, limitSeconds) => {
    const reason = failure.fromSocket(error, phase === "idle" ? "in-answer" : "before-answer", limits)
    assert.deepInclude(reason, { _tag: "Timeout", phase, limitSeconds })
    assert.strictEqual(reason.errorCode, `timeout_${phase}`)
  })

  it.each([
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "CERT_HAS_EXPIRED",
    "CERT_NOT_YET_VALID",
    "HOSTNAME_MISMATCH",
    "INVALID_CA",
    "INVALID_PURPOSE",
    "PATH_LENGTH_EXCEEDED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "ERR_SSL_WRONG_VERSION_NUMBER",
    "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    "EPROTO"
  ])("TLS: %s", (code) => {
    const reason = failure.fromSocket(withCode("no", code), "before-answer", limits)
    assert.deepInclude(reason, { _tag: "Tls", code })
    assert.match(reason.message, /^TLS failed: no( \(.*\))?$/)
    assert.strictEqual(reason.errorCode, "tls_error")
  })

  it.each([
    ["SELF_SIGNED_CERT_IN_CHAIN", ["--ca", "--insecure"]],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", ["--ca", "--insecure"]],
    ["ERR_TLS_CERT_ALTNAME_INVALID", ["another host", "--insecure"]],
    ["CERT_HAS_EXPIRED", ["clock", "--insecure"]],
    ["ERR_SSL_WRONG_VERSION_NUMBER", ["http://"]],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", ["--client-cert", "--client-key"]]
  ] as const)("what helps against TLS: %s", (code, words) => {
    const { message } = failure.fromSocket(withCode("no", code), "before-answer", limits)
    for (const word of words) assert.include(message, word)
  })

  it("a connection that could not be opened, with the code of the system", () => {
    const reason = failure.fromSocket(refused("127.0.0.1:1"), "opening", limits)
    assert.deepInclude(reason, { _tag: "Connect", code: "ECONNREFUSED" })
    assert.strictEqual(reason.message, "Could not connect: connect ECONNREFUSED 127.0.0.1:1")
    assert.strictEqual(
      failure.fromSocket(withCode("getaddrinfo", "ENOTFOUND"), "opening", limits).message,
      "Could not connect: getaddrinfo (ENOTFOUND)"
    )
  })

  it("several addresses that could not be reached, all of them named", () => {
    const both = [refused("::1:9"), refused("127.0.0.1:9")]
    const reason = failure.fromSocket(new AggregateError(both), "opening", limits)
    assert.deepInclude(reason, { _tag: "Connect", code: "ECONNREFUSED" })
    assert.strictEqual(
      reason.message,
      "Could not connect: connect ECONNREFUSED ::1:9; connect ECONNREFUSED 127.0.0.1:9"
    )
  })

  it("a connection that was lost before the answer, and one that was lost within it", () => {
    const error = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
    const before = failure.fromSocket(error, "before-answer", limits)
    assert.deepInclude(before, { _tag: "ConnectionLost", code: "ECONNRESET" })
    assert.notInclude(before.message, "Could not connect")
    const within = failure.fromSocket(error, "in-answer", limits)
    assert.strictEqual(within._tag, "Truncated")
    assert.include(within.message, "ECONNRESET")
  })

  it("a connection that the other side closed", () => {
    const before = failure.fromSocket(new NetError("closed", "closed by the other side"), "before-answer", limits)
    assert.deepInclude(before, { _tag: "ConnectionLost", description: "closed by the other side", code: null })
    const within = failure.fromSocket(new NetError("cut-off", "closed in the middle"), "in-answer", limits)
    assert.deepInclude(within, { _tag: "Truncated", description: "closed in the middle" })
  })

  it("bytes that are no HTTP", () => {
    for (const stage of ["before-answer", "in-answer"] as const) {
      const reason = failure.fromSocket(new NetError("not-http", "a broken status line"), stage, limits)
      assert.strictEqual(reason._tag, "Protocol")
      assert.strictEqual(reason.errorCode, "protocol_error")
      assert.strictEqual(reason.message, "Not HTTP: a broken status line")
    }
  })

  it("a request that cannot be written, and headers that cannot be read, are no matter of the connection", () => {
    const invalid = failure.fromSocket(new NetError("unsendable", "invalid x header"), "before-answer", limits)
    assert.strictEqual(invalid._tag, "Protocol")
    assert.include(invalid.message, "invalid x header")
    const large = failure.fromSocket(new NetError("too-large", "20 kB"), "before-answer", limits)
    assert.strictEqual(large._tag, "TooLarge")
    assert.include(large.message, "16 KiB")
    assert.strictEqual(failure.fromSocket(new NetError("no-http2", "no"), "before-answer", limits)._tag, "Protocol")
  })

  it("something that is no error", () => {
    assert.strictEqual(failure.fromSocket("boom", "opening", limits).message, "Could not connect: boom")
    assert.deepInclude(failure.fromSocket(new Error(""), "opening", limits), { _tag: "Connect", code: null })
  })
})

describe("failure.fromStatus", () => {
  it("keeps status and text", () => {
    const reason = failure.fromStatus(500, "broken", {})
    assert.deepInclude(reason, { _tag: "HttpStatus", status: 500, body: "broken", retryAfterSeconds: null })
    assert.strictEqual(reason.errorCode, 500)
    assert.strictEqual(reason.message, "HTTP 500: broken")
    assert.strictEqual(failure.fromStatus(204, "", {}).message, "HTTP 204")
  })

  it("tells 429 from the others", () => {
    const reason = failure.fromStatus(429, "slow down", { "retry-after": "2" })
    assert.deepInclude(reason, { _tag: "RateLimited", status: 429, body: "slow down", retryAfterSeconds: 2 })
    assert.strictEqual(reason.errorCode, 429)
    assert.strictEqual(failure.fromStatus(503, "", { "retry-after": "2" })._tag, "HttpStatus")
    assert.strictEqual(failure.fromStatus(400, "", {}, "ThrottlingException")._tag, "RateLimited")
    assert.strictEqual(failure.fromStatus(400, "", {}, "ValidationException")._tag, "HttpStatus")
  })

  it("names the address of a redirection", () => {
    const reason = failure.fromStatus(307, "<html>", { location: "https://x/v1" })
    assert.include(reason.message, "HTTP 307: redirected to https://x/v1")
    assert.strictEqual(failure.fromStatus(304, "text", {}).message, "HTTP 304: text")
    assert.strictEqual(failure.fromStatus(500, "text", { location: "https://x" }).message, "HTTP 500: text")
  })

  const date = "Wed, 21 Oct 2026 07:28:00 GMT"
  it.each([
    ["seconds", { "retry-after": "30" }, 30],
    ["what LiteLLM hands on", { "llm_provider-retry-after": "30" }, 30],
    ["a proxy's own before what it hands on", { "retry-after": "1", "llm_provider-retry-after": "30" }, 1],
    ["parts of a second", { "retry-after": "0.25" }, 0.25],
    ["0", { "retry-after": "0" }, 0],
    ["the first of several", { "retry-after": ["3", "4"] }, 3],
    ["a date, counted from the date of the answer", { "retry-after": "Wed, 21 Oct 2026 07:29:30 GMT", date }, 90],
    ["a date that has passed", { "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", date }, 0],
    ["a date without a date to count from", { "retry-after": date }, null],
    ["a date that is none", { "retry-after": "soon", date }, null],
    ["a date with a date that is none", { "retry-after": date, date: "now" }, null],
    ["a negative number", { "retry-after": "-1", date }, null],
    ["a number that is not decimal", { "retry-after": "0x10", date }, null],
    ["nothing in it", { "retry-after": " ", date }, null],
    ["no header", { date }, null]
  ])("Retry-After: %s", (_name, headers, expected) => {
    const reason = failure.fromStatus(429, "", headers)
    assert.strictEqual("retryAfterSeconds" in reason ? reason.retryAfterSeconds : undefined, expected)
  })
})
