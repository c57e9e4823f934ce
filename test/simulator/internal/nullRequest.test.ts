import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../../src/simulator/internal/nullRequest.ts"

const request = (body: unknown, headers = "X-Request-Id: run-7\r\n") => {
  const text = JSON.stringify(body)
  return Buffer.from(
    `POST /pace/1/2/v1/chat/completions HTTP/1.1\r\nhost: a\r\n${headers}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  )
}

describe("parse", () => {
  it("reads path, id, tokens and length", () => {
    const bytes = request({ messages: [], max_tokens: 40, ignore_eos: true })
    assert.deepStrictEqual(parse(bytes), {
      path: "/pace/1/2/v1/chat/completions",
      id: "run-7",
      tokens: 40,
      end: bytes.length
    })
    assert.strictEqual(parse(request({ max_completion_tokens: 3 }))?.tokens, 3)
    assert.strictEqual(parse(request({}, ""))?.id, "")
  })

  it("waits for all of it", () => {
    const bytes = request({ prompt: "é", max_tokens: 5 })
    for (let length = 0; length < bytes.length; length++) assert.isNull(parse(bytes.subarray(0, length)))
    assert.strictEqual(parse(Buffer.concat([bytes, bytes]))?.end, bytes.length)
  })

  it("does not take a prompt for the field", () => {
    assert.strictEqual(parse(request({ max_tokens: 6, prompt: '"max_tokens":900' }))?.tokens, 6)
  })

  it("reads a request without a body", () => {
    const bytes = Buffer.from("GET /stamps HTTP/1.1\r\nhost: a\r\n\r\n")
    assert.deepStrictEqual(parse(bytes), { path: "/stamps", id: "", tokens: 0, end: bytes.length })
  })
})
