import { assert, describe, it } from "@effect/vitest"
import * as truths from "../../../src/simulator/internal/truth.ts"

const entry = (id: number, moments: number): truths.Entry => ({
  id,
  requestId: `run-"${id}`,
  received: 1.5,
  sent: Array.from({ length: moments }, (_, i) => 2 + i / 1e6)
})

describe("truth", () => {
  it("gives lines of JSON, once", () => {
    const truth = truths.make(100)
    truth.add(entry(1, 2), true)
    truth.add(entry(2, 0), false)
    const lines = truth.take().trimEnd().split("\n")
    assert.deepStrictEqual(
      lines.map((line) => JSON.parse(line)),
      [
        { id: 1, rid: `run-"1`, recv: 1.5, ok: true, tokens: [2, 2.000001] },
        { id: 2, rid: `run-"2`, recv: 1.5, ok: false, tokens: [] }
      ]
    )
    assert.strictEqual(truth.take(), "")
  })

  it("drops the oldest beyond its limit, and counts them", () => {
    const truth = truths.make(1000)
    for (let id = 1; id <= 5000; id++) truth.add(entry(id, 9), true)
    const ids = truth
      .take()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).id)
    assert.deepStrictEqual(
      ids,
      Array.from({ length: 100 }, (_, i) => 4901 + i)
    )
    assert.strictEqual(truth.dropped(), 4900)
  })

  it("keeps the newest even when it alone is over the limit", () => {
    const truth = truths.make(3)
    truth.add(entry(1, 1), true)
    truth.add(entry(2, 10), true)
    assert.strictEqual(JSON.parse(truth.take()).id, 2)
  })
})
