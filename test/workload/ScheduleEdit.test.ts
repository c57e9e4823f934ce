import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type { Schedule } from "../../src/domain/Schedule.ts"
import * as ScheduleEdit from "../../src/workload/ScheduleEdit.ts"
import { offsetsOf, rowsOf } from "./trace/reading.ts"

interface Row {
  readonly offset: number
  readonly input?: number
  readonly output?: number
  readonly session?: number
  readonly blocks?: ReadonlyArray<number>
}

const scheduleOf = (rows: ReadonlyArray<Row>, blockTokens = 16): Schedule => {
  const start = [0]
  for (const { blocks = [] } of rows) start.push((start.at(-1) ?? 0) + blocks.length)
  return {
    length: rows.length,
    id: Uint32Array.from(rows, (_, i) => i + 1),
    offsetSeconds: Float64Array.from(rows, ({ offset }) => offset),
    inputTokens: Uint32Array.from(rows, ({ input = 100 }) => input),
    outputTokens: Uint32Array.from(rows, ({ output = 10 }) => output),
    session: rows.some(({ session }) => session !== undefined)
      ? Uint32Array.from(rows, ({ session = 0 }) => session)
      : null,
    prefix: rows.some(({ blocks }) => blocks !== undefined)
      ? {
          blockTokens,
          start: Uint32Array.from(start),
          ids: Float64Array.from(rows.flatMap(({ blocks = [] }) => blocks))
        }
      : null
  }
}

const at = (...offsets: ReadonlyArray<number>): Schedule => scheduleOf(offsets.map((offset) => ({ offset })))

const apply = (schedule: Schedule, edits: ScheduleEdit.Edits): Schedule =>
  Result.getOrThrow(ScheduleEdit.apply(schedule, edits))

const conversation = scheduleOf([
  { offset: 0, session: 1, blocks: [1, 2] },
  { offset: 1, session: 2, blocks: [1, 3] },
  { offset: 2, session: 0, blocks: [] },
  { offset: 4, session: 1, blocks: [1, 2, 4] }
])

describe("ScheduleEdit", () => {
  it("speed divides the offsets", () => {
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.speed(at(0, 1, 3), 2)), [0, 0.5, 1.5])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.speed(at(0, 1, 3), 0.25)), [0, 4, 12])
  })

  it("window keeps rows from its start until before its end, and its start becomes 0", () => {
    const schedule = at(0, 0.5, 100.1, 100.3, 100.3, 200)
    const rows = rowsOf(ScheduleEdit.window(schedule, 100.1, 200))
    assert.deepStrictEqual(
      rows.map(({ id, offset }) => [id, offset]),
      [
        [3, 0],
        [4, 0.2],
        [5, 0.2]
      ]
    )
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.window(schedule, 100, null)), [0.1, 0.3, 0.3, 100])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.window(schedule, null, 0.5)), [0])
    assert.strictEqual(ScheduleEdit.window(schedule, 300, null).length, 0)
    assert.strictEqual(ScheduleEdit.window(schedule, 100, 50).length, 0)
  })

  it("window takes blocks along and numbers sessions anew", () => {
    const rows = rowsOf(ScheduleEdit.window(conversation, 1, null))
    assert.deepStrictEqual(
      rows.map(({ blocks, session }) => [session, blocks]),
      [
        [1, [1, 3]],
        [0, []],
        [2, [1, 2, 4]]
      ]
    )
    assert.isNull(ScheduleEdit.window(conversation, 2, 3).session)
  })

  it("limit keeps the first rows", () => {
    assert.deepStrictEqual([...ScheduleEdit.limit(at(0, 1, 2), 2).id], [1, 2])
    assert.strictEqual(ScheduleEdit.limit(at(0, 1, 2), 5).length, 3)
  })

  it("loop goes on at the mean rate, with requests of its own", () => {
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loop(at(0, 1, 3, 6), 2)), [0, 1, 3, 6, 8, 9, 11, 14])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loop(at(5, 5), 3)), [5, 5, 11, 11, 17, 17])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loop(at(0.1, 0.4), 3)), [0.1, 0.4, 0.8, 1.1, 1.5, 1.8])
    const rows = rowsOf(ScheduleEdit.loop(conversation, 3))
    assert.deepStrictEqual(
      rows.map(({ id }) => id),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    )
    assert.deepStrictEqual(
      rows.map(({ session }) => session),
      [1, 2, 0, 1, 3, 4, 0, 3, 5, 6, 0, 5]
    )
    assert.deepStrictEqual(
      rows.map(({ blocks }) => blocks),
      [[1, 2], [1, 3], [], [1, 2, 4], [6, 7], [6, 8], [], [6, 7, 9], [11, 12], [11, 13], [], [11, 12, 14]]
    )
  })

  it("loop keeps ids apart that are too large to be shifted", () => {
    const large = scheduleOf([
      { offset: 0, blocks: [2 ** 63, 7] },
      { offset: 1, blocks: [2 ** 63, 2 ** 62] }
    ])
    assert.deepStrictEqual(
      rowsOf(ScheduleEdit.loop(large, 2)).map(({ blocks }) => blocks),
      [
        [0, 1],
        [0, 2],
        [3, 4],
        [3, 5]
      ]
    )
  })

  it("loopFor fills a duration and cuts a longer schedule", () => {
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loopFor(at(0, 1, 3, 6), 14)), [0, 1, 3, 6, 8, 9, 11])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loopFor(at(0, 1, 3, 6), 14.5)), [0, 1, 3, 6, 8, 9, 11, 14])
    assert.deepStrictEqual(offsetsOf(ScheduleEdit.loopFor(at(0, 1, 3, 6), 3)), [0, 1])
  })

  it("scales lengths, rounded, never to nothing, and blocks in proportion", () => {
    const schedule = scheduleOf([
      { offset: 0, input: 100, output: 3, blocks: [1] },
      { offset: 0, input: 1, output: 1 }
    ])
    const input = ScheduleEdit.scaleInput(schedule, 0.25)
    assert.deepStrictEqual([...input.inputTokens], [25, 1])
    assert.deepStrictEqual([...input.outputTokens], [3, 1])
    assert.strictEqual(input.prefix?.blockTokens, 4)
    assert.strictEqual(ScheduleEdit.scaleInput(schedule, 0.001).prefix?.blockTokens, 1)
    assert.deepStrictEqual([...ScheduleEdit.scaleOutput(schedule, 1.5).outputTokens], [5, 2])
    assert.deepStrictEqual([...ScheduleEdit.scaleOutput(schedule, 1e12).outputTokens], [0xffff_ffff, 0xffff_ffff])
  })

  // Rows and picks of Python: [round(i * (n - 1) / (k - 1)) for i in range(k)] with the step computed first
  it.each([
    { n: 10, k: 4, picks: [0, 3, 6, 9] },
    { n: 10, k: 3, picks: [0, 4, 9] },
    { n: 6, k: 3, picks: [0, 2, 5] },
    { n: 8, k: 3, picks: [0, 4, 7] },
    { n: 7, k: 5, picks: [0, 2, 3, 4, 6] },
    { n: 5, k: 1, picks: [0] },
    { n: 5, k: 0, picks: [] },
    { n: 3, k: 9, picks: [0, 1, 2] }
  ])("picks $picks of $n rows at most $k per second", ({ k, n, picks }) => {
    const second = Array.from({ length: n }, (_, i) => 7 + i / n)
    assert.deepStrictEqual([...ScheduleEdit.pickPerSecond(at(...second), k)], picks)
  })

  it("maxRate cuts off peaks and moves nothing", () => {
    const schedule = at(0, 0.1, 0.2, 0.999, 1, 1.5, 2, 2, 2, 2, 2, 5.5)
    const thinned = ScheduleEdit.maxRate(schedule, 3)
    assert.deepStrictEqual([...thinned.id], [1, 3, 4, 5, 6, 7, 9, 11, 12])
    assert.deepStrictEqual(offsetsOf(thinned), [0, 0.2, 0.999, 1, 1.5, 2, 2, 2, 5.5])
  })

  it("makes all changes in one order", () => {
    const edited = apply(at(0, 10, 11, 13, 16, 20), {
      scaleOutput: 2,
      limit: 5,
      loop: { seconds: 20 },
      speed: 0.5,
      to: 17,
      from: 10,
      maxRate: 1
    })
    // Window 0 1 3 6, half as fast 0 2 6 12, looped every 16 until 20, of which five
    assert.deepStrictEqual(offsetsOf(edited), [0, 2, 6, 12, 16])
    assert.deepStrictEqual([...edited.id], [2, 3, 4, 5, 7])
    assert.deepStrictEqual([...edited.outputTokens], [20, 20, 20, 20, 20])
    const nothing = at(0, 1)
    assert.strictEqual(apply(nothing, { from: null, loop: undefined }), nothing)
  })

  it.each([
    [{ from: 30 }, "No row is due at 30 s or later"],
    [{ from: 1, to: 1 }, "No row is due at 1 s or later and before 1 s"],
    [{ loop: 10_000_001 }, "The loop would have 20000002 rows, 10000001 times 2, and 20000000 are the most"],
    [{ loop: { seconds: 1e9 } }, "The loop would have 100000000 rows, 50000000 times 2, and 20000000 are the most"],
    [{ from: 5, loop: { seconds: 3 } }, "No row is due before the loop ends"]
  ])("refuses %j", (edits, problem) => {
    assert.strictEqual(Result.getOrThrow(Result.flip(ScheduleEdit.apply(at(0, 10), edits))).message, problem)
  })

  const anySchedule = fc
    .array(
      fc.record({
        offset: fc.nat(400).map((quarters) => quarters / 4),
        input: fc.integer({ min: 1, max: 1_000 }),
        output: fc.integer({ min: 1, max: 1_000 }),
        session: fc.nat({ max: 3 }),
        blocks: fc.array(fc.nat(50), { maxLength: 3 })
      }),
      { minLength: 1, maxLength: 40 }
    )
    .map((rows) => scheduleOf(rows.toSorted((a, b) => a.offset - b.offset)))

  const positive = fc.double({ min: 0.01, max: 100, noNaN: true })

  const anyEdits: fc.Arbitrary<ScheduleEdit.Edits> = fc.record(
    {
      from: fc.double({ min: 0, max: 50, noNaN: true }),
      to: fc.double({ min: 50, max: 120, noNaN: true }),
      speed: positive,
      loop: fc.oneof(
        fc.integer({ min: 1, max: 5 }),
        fc.record({ seconds: fc.double({ min: 1, max: 90, noNaN: true }) })
      ),
      maxRate: fc.integer({ min: 1, max: 5 }),
      limit: fc.integer({ min: 1, max: 60 }),
      scaleInput: positive,
      scaleOutput: positive
    },
    { requiredKeys: [] }
  )

  it("whatever is done, rows stay in order, whole, and the schedule itself as it was", () => {
    fc.assert(
      fc.property(anySchedule, anyEdits, (schedule, edits) => {
        const before = structuredClone(schedule)
        const result = ScheduleEdit.apply(schedule, edits)
        fc.pre(Result.isSuccess(result))
        const edited = Result.getOrThrow(result)
        assert.deepStrictEqual(schedule, before)
        assert.strictEqual(edited.id.length, edited.length)
        assert.strictEqual(new Set(edited.id).size, edited.length)
        assert.strictEqual(edited.prefix?.start.length ?? edited.length + 1, edited.length + 1)
        const rows = rowsOf(edited)
        const sources = rowsOf(schedule)
        for (const [i, row] of rows.entries()) {
          assert.isAtLeast(row.offset ?? -1, rows[i - 1]?.offset ?? 0)
          assert.isAtLeast(row.input ?? 0, 1)
          assert.isAtLeast(row.output ?? 0, 1)
          if (edits.loop === undefined) assert.deepStrictEqual(row.blocks, sources[(row.id ?? 0) - 1]?.blocks)
        }
        if (edits.limit !== undefined && edits.limit !== null) assert.isAtMost(edited.length, edits.limit)
      }),
      { numRuns: 300 }
    )
  })
})
