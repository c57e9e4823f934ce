import { assert, describe, it } from "@effect/vitest"
import * as modelName from "../../../src/simulator/internal/modelName.ts"
import * as Latency from "../../../src/simulator/Latency.ts"

const all = { _tag: "All" } as const

describe("modelName", () => {
  const parse = modelName.makeParser()

  it("asks for nothing when it is only a name", () => {
    assert.deepStrictEqual(parse("meta/llama-3:8b"), { faults: [] })
  })

  it("carries times in milliseconds, tokens and faults", () => {
    assert.deepStrictEqual(parse("sim;ttft=100;itl=gamma:20:0.5;n=64;per=4;fault=429@every=2;crlf;reason=10"), {
      ttft: Latency.constant(0.1),
      itl: { shape: "gamma", mean: 0.02, cv: 0.5 },
      outputTokens: 64,
      tokensPerChunk: 4,
      faults: [
        { kind: "429", number: 0, share: { _tag: "Every", count: 2 } },
        { kind: "crlf", number: 0, share: all },
        { kind: "reasoning", number: 10, share: all }
      ]
    })
  })

  it("gives the same again", () => {
    assert.deepStrictEqual(parse("sim;n=3"), parse("sim;n=3"))
    assert.strictEqual(parse("sim;n=x"), parse("sim;n=x"))
  })

  it.each([
    ["sim;ttft=fast", "ttft:"],
    ["sim;n=0", "not a whole number"],
    ["sim;per=1.5", "not a whole number"],
    ["sim;tokens=5", `Unknown setting "tokens"`],
    ["sim;fault=nothing", "Unknown fault"],
    ["sim;", "Unknown fault"]
  ])("says what is wrong with %j", (name, reason) => {
    const parsed = parse(name)
    if (typeof parsed !== "string") return assert.fail("it was read")
    assert.include(parsed, reason)
  })
})
