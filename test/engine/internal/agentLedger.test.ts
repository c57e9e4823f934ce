import { assert, describe, it } from "@effect/vitest"
import { AgentLedger } from "../../../src/engine/internal/agentLedger.ts"

const plans = [1, 2, 3, 4].map((id) => ({
  id,
  dueSeconds: null,
  prompt: "",
  inputTokens: 10 * id,
  targetInputTokens: 10 * id,
  outputTokens: null,
  sampled: true
}))

const given = () => {
  const ledger = new AgentLedger()
  for (const plan of plans) ledger.give(plan)
  return ledger
}

describe("AgentLedger", () => {
  it("holds what it was given until it is begun", () => {
    const ledger = given()
    assert.deepStrictEqual([ledger.held, ledger.heldTokens], [4, 100])
    ledger.began(3)
    assert.deepStrictEqual([ledger.held, ledger.heldTokens, ledger.taken], [1, 40, 3])
    ledger.began(3)
    assert.deepStrictEqual([ledger.held, ledger.heldTokens], [1, 40])
  })

  it("tells what has ended from what is open", () => {
    const ledger = given()
    const [first, second, third, fourth] = plans.map(({ id }) => id)
    assert.isDefined(fourth)
    ledger.end([third!, first!])
    assert.deepStrictEqual(ledger.openIds(), [second!, fourth])
    assert.deepStrictEqual(ledger.endedWithout(new Set([third!])), [first!])
  })
})
