import { assert, describe, it } from "@effect/vitest"
import { flagsIn, words } from "../../src/cli/internal/calibrationWords.ts"

describe("words", () => {
  it("cuts at blanks, outside of quotes", () => {
    assert.deepStrictEqual(words("  --a 1\t--b=2\n"), ["--a", "1", "--b=2"])
    assert.deepStrictEqual(words(`--h "X-A: b c" --p '{"a": "\\n"}' d\\ e ''`), [
      "--h",
      "X-A: b c",
      "--p",
      '{"a": "\\n"}',
      "d e",
      ""
    ])
    assert.deepStrictEqual(words('"a\\"b"c'), ['a"bc'])
    assert.deepStrictEqual(words(""), [])
  })

  it("is null when a quote is not closed", () => {
    assert.isNull(words("--a 'b"))
  })
})

describe("flagsIn", () => {
  it("leaves out the command, however it is called", () => {
    for (const before of ["", "load-test ", "llmperf load-test ", "npx llmperf load-test "]) {
      assert.deepStrictEqual(flagsIn(`${before}--model m`), ["--model", "m"])
    }
    assert.deepStrictEqual(flagsIn("--model load-test"), ["--model", "load-test"])
    assert.isNull(flagsIn('"'))
  })
})
