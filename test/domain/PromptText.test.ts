import { assert, describe, it } from "@effect/vitest"
import { textOf } from "../../src/domain/PromptText.ts"

describe("PromptText", () => {
  it("finds the texts of messages and their parts, in order", () => {
    assert.strictEqual(textOf("one"), "one")
    assert.strictEqual(
      textOf([
        "one",
        { role: "user", content: [{ text: "two" }, { image: "three" }] },
        { content: "four" },
        null,
        5,
        undefined
      ]),
      "one\ntwo\nfour"
    )
    assert.strictEqual(textOf({ content: null }), "")
  })
})
