import { assert, describe, it } from "@effect/vitest"
import { best, isFull, type Step } from "../../../src/engine/internal/calibrationLimits.ts"

const step = (perSecond: number, inFlight: number, client: number, server: number): Step => ({
  perSecond,
  inFlight,
  busy: { client, server }
})

describe("best", () => {
  it("takes the highest and says what was full", () => {
    const steps = [step(10, 1, 0.2, 0.1), step(30, 2, 0.97, 0.5), step(20, 4, 0.99, 0.99)] as const
    assert.deepStrictEqual(best(steps), { per_s: 30, in_flight: 2, limit: "client" })
    assert.deepStrictEqual(best([step(5, 8, 0.5, 0.96)]), { per_s: 5, in_flight: 8, limit: "server" })
    assert.deepStrictEqual(best([step(5, 8, 0.5, 0.5)]), { per_s: 5, in_flight: 8, limit: "none" })
    assert.deepStrictEqual(steps.map(isFull), [false, true, true])
  })
})
