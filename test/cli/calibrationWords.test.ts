import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { flagsIn, loadFlags, quoted, words } from "../../src/cli/internal/calibrationWords.ts"

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

describe("quoted", () => {
  it("gives what a shell takes for the same words", () => {
    const all = ["--a=1", "it's", "", 'a "b" $c \\ d', "--map=offset=ts:ms", "é"]
    assert.deepStrictEqual(words(quoted(all)), all)
    assert.strictEqual(
      execFileSync("sh", ["-c", `printf '%s\\n' ${quoted(all)}`], { encoding: "utf8" }),
      `${all.join("\n")}\n`
    )
  })
})

describe("loadFlags", () => {
  it("keeps what says how heavy a load is, and no secrets", () => {
    const args = [
      "load-test",
      "--model",
      "m",
      "--num-concurrent-requests",
      "5",
      "--duration=1m",
      "--header=a: b",
      "--quiet"
    ]
    assert.deepStrictEqual(loadFlags(args), ["--num-concurrent-requests=5", "--duration=1m"])
    assert.deepStrictEqual(loadFlags(["--arrival"]), [])
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
