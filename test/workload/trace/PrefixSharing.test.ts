import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { Schedule } from "../../../src/domain/Schedule.ts"
import * as PrefixSharing from "../../../src/workload/trace/PrefixSharing.ts"
import { loadFixture } from "./reading.ts"

const scheduleOf = (
  rows: ReadonlyArray<{ readonly input: number; readonly blocks: ReadonlyArray<number> }>,
  blockTokens: number
): Schedule => {
  const start = [0]
  for (const { blocks } of rows) start.push((start.at(-1) ?? 0) + blocks.length)
  return {
    length: rows.length,
    id: Uint32Array.from(rows, (_, i) => i + 1),
    offsetSeconds: Float64Array.from(rows, (_, i) => i),
    inputTokens: Uint32Array.from(rows, ({ input }) => input),
    outputTokens: Uint32Array.from(rows, () => 1),
    session: null,
    prefix: {
      blockTokens,
      start: Uint32Array.from(start),
      ids: Float64Array.from(rows.flatMap(({ blocks }) => blocks))
    }
  }
}

describe("PrefixSharing", () => {
  it("counts blocks seen before, and tokens only as far as all blocks were", () => {
    const sharing = PrefixSharing.measure(
      scheduleOf(
        [
          { input: 40, blocks: [1, 2, 3] },
          // All three blocks, the last in part
          { input: 37, blocks: [1, 2, 3] },
          // 5 is new: the block behind it is not found
          { input: 60, blocks: [1, 5, 3] },
          // More blocks than tokens
          { input: 10, blocks: [1, 2] },
          { input: 100, blocks: [] }
        ],
        16
      )
    )
    assert.deepStrictEqual(sharing, {
      blockTokens: 16,
      blocks: 11,
      distinctBlocks: 4,
      blocksSeenBefore: 7,
      cachedInputTokens: 37 + 16 + 10
    })
  })

  it.effect("a trace", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadFixture("mooncake.jsonl")
      const sharing = PrefixSharing.measure(schedule)
      assert.strictEqual(sharing?.blocks, 32)
      assert.strictEqual(sharing?.distinctBlocks, 18)
      assert.strictEqual(sharing?.blocksSeenBefore, 14)
      assert.isNull(PrefixSharing.measure({ ...schedule, prefix: null }))
    })
  )

  it("agrees with a set on any ids", () => {
    const anyId = fc.oneof(fc.nat(30), fc.maxSafeNat(), fc.constantFrom(2 ** 53, 2 ** 60, 2 ** 63))
    fc.assert(
      fc.property(
        fc.array(fc.record({ input: fc.nat(200), blocks: fc.array(anyId, { maxLength: 8 }) }), { maxLength: 400 }),
        (rows) => {
          const ids = rows.flatMap(({ blocks }) => blocks)
          const sharing = PrefixSharing.measure(scheduleOf(rows, 16))
          assert.strictEqual(sharing?.distinctBlocks, new Set(ids).size)
          assert.strictEqual(sharing?.blocksSeenBefore, ids.length - new Set(ids).size)
          const total = rows.reduce((sum, { input }) => sum + input, 0)
          assert.isAtMost(sharing?.cachedInputTokens ?? Infinity, total)
        }
      )
    )
  })

  it("holds many thousand ids", () => {
    const blocks = Array.from({ length: 100_000 }, (_, i) => i * 65_536)
    const sharing = PrefixSharing.measure(scheduleOf([{ input: 1, blocks: [...blocks, ...blocks] }], 16))
    assert.strictEqual(sharing?.distinctBlocks, 100_000)
  })
})
