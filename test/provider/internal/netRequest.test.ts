import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { NetError } from "../../../src/provider/internal/netError.ts"
import * as NetRequest from "../../../src/provider/internal/netRequest.ts"

const request = { path: "/v1/x?a=b", host: "llm.test:8000", headers: ["X-Team", "é"], body: "“hello” 👋" }

const failureOf = (change: Partial<NetRequest.Outgoing>): NetError | undefined => {
  for (const write of [NetRequest.write, NetRequest.fields]) {
    try {
      write({ ...request, ...change })
    } catch (error) {
      if (error instanceof NetError) return error
      throw error
    }
  }
  return undefined
}

describe("netRequest", () => {
  it("writes head and body in one piece", () => {
    const { bytes, isClosing } = NetRequest.write(request)
    const body = Buffer.from(request.body)
    assert.isFalse(isClosing)
    assert.strictEqual(
      bytes.toString("latin1"),
      "POST /v1/x?a=b HTTP/1.1\r\nhost: llm.test:8000\r\nconnection: keep-alive\r\nX-Team: é\r\n" +
        `content-length: ${body.length}\r\n\r\n${body.toString("latin1")}`
    )
  })

  it("writes the fields of HTTP/2 in lower case, those of the connection left out", () => {
    const headers = ["X-Team", "a", "Host", "other", "Connection", "close", "x-team", "b"]
    assert.deepStrictEqual(NetRequest.fields({ ...request, headers }), {
      ":method": "POST",
      ":scheme": "https",
      ":authority": "other",
      ":path": "/v1/x?a=b",
      "content-length": String(Buffer.byteLength(request.body)),
      "x-team": ["a", "b"]
    })
  })

  it("takes the user's host, length and wish to close", () => {
    const length = String(Buffer.byteLength(request.body))
    const headers = ["Host", "other", "connection", "Close", "Content-Length", length]
    const { bytes, isClosing } = NetRequest.write({ ...request, headers })
    assert.isTrue(isClosing)
    assert.strictEqual(
      bytes.toString("latin1").split("\r\n\r\n")[0],
      `POST /v1/x?a=b HTTP/1.1\r\nhost: other\r\nconnection: close\r\ncontent-length: ${length}`
    )
  })

  it.each([
    ["a line end in a value", { headers: ["x-team", "a\r\nx-admin: 1"] }, "invalid x-team header"],
    ["a line end in a name", { headers: ["x\r\ny", "a"] }, "invalid header name"],
    ["a colon in a name", { headers: ["x: y", "a"] }, "invalid header name"],
    ["a character that is none of HTTP's", { headers: ["x-team", "“a”"] }, "invalid x-team header"],
    ["a zero", { headers: ["x-team", "\u0000"] }, "invalid x-team header"],
    ["a blank in the path", { path: "/a b" }, "invalid request path"],
    ["a line end in the path", { path: "/a\r\nhost: x" }, "invalid request path"],
    ["no path", { path: "" }, "invalid request path"],
    ["two hosts", { headers: ["host", "a", "Host", "b"] }, "duplicate host header"],
    ["another way to send the body", { headers: ["Transfer-Encoding", "chunked"] }, "invalid Transfer-Encoding header"],
    ["another length", { headers: ["content-length", "3"] }, "invalid content-length header"],
    ["a change of the protocol", { headers: ["Upgrade", "h2c"] }, "invalid Upgrade header"]
  ] as const)("refuses %s", (_name, change, message) => {
    const failure = failureOf(change)
    assert.deepInclude(failure, { kind: "unsendable", message })
  })

  it("puts no line end where there was none, whatever it is given", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("a\nb", "a\rb", "x: y", "é", "\u010a", "\u2028")
    )
    fc.assert(
      fc.property(text, text, text, (path, name, value) => {
        if (failureOf({ path, headers: [name, value] }) !== undefined) return
        const head = NetRequest.write({ ...request, path, headers: [name, value] }).bytes.toString("latin1")
        const lines = head.slice(0, head.indexOf("\r\n\r\n")).split(/[\r\n]+/)
        assert.isAtMost(lines.length, 5)
        assert.strictEqual(lines[0], `POST ${path} HTTP/1.1`)
      })
    )
  })
})
