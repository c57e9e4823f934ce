import { assert, describe, it } from "@effect/vitest"
import { type Schedule } from "../../../src/domain/Schedule.ts"
import { busiest } from "../../../src/engine/internal/calibrationWindow.ts"

const schedule = (offsets: ReadonlyArray<number>): Schedule => ({
  length: offsets.length,
  id: Uint32Array.from(offsets, (_, i) => i + 1),
  offsetSeconds: Float64Array.from(offsets),
  inputTokens: Uint32Array.from(offsets, (_, i) => 100 + i),
  outputTokens: Uint32Array.from(offsets, () => 10),
  session: null,
  prefix: null
})

describe("busiest", () => {
  it("takes the part in which most requests are due", () => {
    const part = busiest(schedule([0, 1, 2, 10, 10.5, 11, 11.5, 20]), 2)
    assert.deepStrictEqual([...part.offsetSeconds], [0, 0.5, 1, 1.5])
    assert.deepStrictEqual([...part.inputTokens], [103, 104, 105, 106])
    assert.deepStrictEqual([...part.id], [1, 2, 3, 4])
  })

  it("takes all of a short one, and nothing of an empty one", () => {
    assert.strictEqual(busiest(schedule([0, 1, 2]), 60).length, 3)
    assert.strictEqual(busiest(schedule([]), 60).length, 0)
  })
})
