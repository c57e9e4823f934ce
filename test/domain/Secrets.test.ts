import { assert, describe, it } from "@effect/vitest"
import * as Secrets from "../../src/domain/Secrets.ts"

const key = "sk-proj-0123456789abcdefghij"

describe("shownAddress", () => {
  it.each(["localhost:8000", "ftp://llm.example.com/v1", "10.0.0.1:8000/v1", "//llm.example.com", "[::1]:8000"])(
    "shows %s",
    (text) => {
      assert.strictEqual(Secrets.shownAddress(` ${text} `), text)
    }
  )

  it.each([
    key,
    "ya29.a0AfH6SMBx1234567890",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "http://user:pa55word@llm.example.com:x",
    "hf_0123456789abcdef",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  ])("does not show %s", (text) => {
    const shown = Secrets.shownAddress(text)
    assert.include(shown, `a text of ${text.length} characters`)
    assert.notInclude(shown, text)
  })

  it("leaves out a query", () => {
    assert.strictEqual(Secrets.shownAddress(`ws://llm.example.com/v1?key=${key}`), "ws://llm.example.com/v1")
  })
})

describe("shownValue", () => {
  it.each([
    ["http://user:pa55word@host:1", "http://***@host:1"],
    ["10.0.0.7:7070,http://pa55word@host", "10.0.0.7:7070,http://***@host"],
    ["https://host/v1?api_key=pa55word&page=2", "https://host/v1?api_key=***&page=2"],
    ["https://host/v1?page=2&X-Amz-Signature=pa55word", "https://host/v1?page=2&X-Amz-Signature=***"],
    ["team@example.com", "team@example.com"],
    ["-5", "-5"]
  ])("of %s is %s", (text, shown) => {
    assert.strictEqual(Secrets.shownValue(text), shown)
  })

  it("is the beginning of a long text", () => {
    const shown = Secrets.shownValue("9".repeat(1_000_000))
    assert.isBelow(shown.length, 300)
    assert.include(shown, "1000000 characters")
  })
})
