import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type RequestPlan } from "../../../src/domain/RequestPlan.ts"
import * as Leases from "../../../src/engine/internal/leases.ts"

describe("split", () => {
  it("gives away exactly the total, as evenly as can be", () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.integer({ min: 1, max: 64 }), (total, parts) => {
        const shares = Array.from({ length: parts }, (_, index) => Leases.split(total, parts, index))
        assert.strictEqual(
          shares.reduce((sum, share) => sum + share, 0),
          total
        )
        assert.isAtMost(Math.max(...shares) - Math.min(...shares), 1)
      })
    )
  })
})

describe("plans of a closed loop", () => {
  it("are one to spare for each slot at first, and none at the end", () => {
    assert.strictEqual(Leases.spare(10_000, 5, 10), 5)
    assert.strictEqual(Leases.spare(30, 5, 10), 5)
    assert.strictEqual(Leases.spare(20, 5, 10), 2)
    assert.strictEqual(Leases.spare(13, 5, 10), 0)
    assert.strictEqual(Leases.spare(10, 5, 10), 0)
    assert.strictEqual(Leases.spare(0, 5, 10), 0)
  })

  it("go to slots that wait, whatever is left, and never more than there are", () => {
    assert.strictEqual(Leases.wanted({ slots: 5, free: 5, held: 0 }, 100, 10), 10)
    assert.strictEqual(Leases.wanted({ slots: 5, free: 2, held: 0 }, 10, 10), 2)
    // On their way already
    assert.strictEqual(Leases.wanted({ slots: 5, free: 2, held: 2 }, 10, 10), 0)
    assert.isBelow(Leases.wanted({ slots: 5, free: 0, held: 4 }, 11, 10), 0)
  })

  it("leave no more with the agents, all together, than half of what remains beyond one for each slot", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 16 }),
        fc.nat(3_000),
        (slots, parts, left) => {
          const spare = Array.from({ length: parts }, (_, index) =>
            Leases.spare(left, Leases.split(slots, parts, index), slots)
          ).reduce((sum, each) => sum + each, 0)
          assert.isAtMost(spare, Math.max(0, (left - slots) / 2))
        }
      )
    )
  })
})

describe("plans of an open loop", () => {
  it("are held up to a number and up to a length, but always a few", () => {
    assert.isTrue(Leases.hasRoom(2_047, 100_000, 2))
    assert.isFalse(Leases.hasRoom(2_048, 100_000, 2))
    assert.isFalse(Leases.hasRoom(40, 4_000_000, 2))
    assert.isTrue(Leases.hasRoom(3, 90_000_000, 2))
  })
})

describe("parts of a lease", () => {
  const plan = (id: number, length: number): RequestPlan => ({
    id,
    dueSeconds: null,
    prompt: "x".repeat(length),
    inputTokens: length,
    targetInputTokens: length,
    outputTokens: 1,
    sampled: true
  })

  it("are all of it, in order, none too long unless it is one plan, and one at least", () => {
    assert.deepStrictEqual(Leases.parts([]), [[]])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700_000 }), { maxLength: 12 }), (lengths) => {
        const plans = lengths.map((length, index) => plan(index, length))
        const parts = Leases.parts(plans)
        assert.deepStrictEqual(parts.flat(), plans)
        for (const part of parts) {
          const characters = part.reduce((sum, { prompt }) => sum + prompt.length, 0)
          assert.isTrue(characters <= 512 * 1024 || part.filter(({ prompt }) => prompt !== "").length === 1)
        }
      }),
      { numRuns: 50 }
    )
  })
})
