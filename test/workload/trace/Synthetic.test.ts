import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Arrival from "../../../src/workload/Arrival.ts"
import * as PythonRandom from "../../../src/workload/PythonRandom.ts"
import * as ScheduleEdit from "../../../src/workload/ScheduleEdit.ts"
import * as Synthetic from "../../../src/workload/trace/Synthetic.ts"
import { offsetsOf, rowsOf } from "./reading.ts"

const make = (
  changes: Partial<Omit<Synthetic.Options, "arrivals">> = {},
  { count = 200, rate = 2, seed = 1 }: { count?: number; rate?: number; seed?: number } = {}
) => {
  const random = PythonRandom.make(seed)
  const arrivals = Arrival.make(
    { process: { kind: "poisson" }, rate: Arrival.fixed(rate), seconds: null, count },
    random.fork("arrivals")
  )
  return Synthetic.make(
    {
      arrivals: Result.getOrThrow(arrivals),
      input: { mean: 550, stddev: 150 },
      output: { mean: 150, stddev: 80 },
      minimumInputTokens: () => 30,
      conversations: null,
      ...changes
    },
    random
  )
}

const scheduleOf = (...args: Parameters<typeof make>) => Result.getOrThrow(make(...args))

describe("Synthetic", () => {
  it("single requests: the times of the process to a microsecond, lengths of their distributions", () => {
    const schedule = scheduleOf({}, { count: 2_000 })
    const arrivals = Result.getOrThrow(
      Arrival.make(
        { process: { kind: "poisson" }, rate: Arrival.fixed(2), seconds: null, count: 2_000 },
        PythonRandom.make(1).fork("arrivals")
      )
    )
    assert.deepStrictEqual(
      offsetsOf(schedule),
      [...arrivals].map((due) => Math.round(due * 1e6) / 1e6)
    )
    const mean = (values: Uint32Array) => values.reduce((sum, value) => sum + value, 0) / values.length
    assert.closeTo(mean(schedule.inputTokens), 550, 12)
    // Below one token it is drawn again, which lifts the mean
    assert.closeTo(mean(schedule.outputTokens), 154, 7)
    assert.isAtLeast(Math.min(...schedule.inputTokens), 30)
    assert.isAtLeast(Math.min(...schedule.outputTokens), 1)
    assert.isNull(schedule.session)
    assert.isNull(schedule.prefix)
  })

  it("the same seed gives the same schedule, and lengths do not depend on the rate", () => {
    assert.deepStrictEqual(scheduleOf(), scheduleOf())
    const faster = scheduleOf({}, { rate: 20 })
    assert.deepStrictEqual(faster.inputTokens, scheduleOf().inputTokens)
    assert.notDeepEqual(faster.offsetSeconds, scheduleOf().offsetSeconds)
    assert.notDeepEqual(scheduleOf({}, { seed: 2 }).inputTokens, faster.inputTokens)
  })

  it("keeps above the shortest prompt for each answer", () => {
    const schedule = scheduleOf({ minimumInputTokens: (outputTokens) => 500 + outputTokens })
    for (const { input, output } of rowsOf(schedule)) assert.isAtLeast(input ?? 0, 500 + (output ?? 0))
  })

  it("conversations: turns in order, pauses, prompts that hold what was said, blocks of the turn before", () => {
    const schedule = scheduleOf({ conversations: { turns: 4, thinkSeconds: 30 } }, { count: 500, rate: 0.1 })
    const rows = rowsOf(schedule)
    assert.strictEqual(rows.length, 2_000)
    assert.deepStrictEqual(
      rows.map(({ id }) => id),
      rows.map((_, i) => i + 1)
    )
    assert.strictEqual(schedule.prefix?.blockTokens, Synthetic.BLOCK_TOKENS)
    const pauses: Array<number> = []
    const bySession = Map.groupBy(rows, ({ session }) => session)
    assert.strictEqual(bySession.size, 500)
    for (const turns of bySession.values()) {
      assert.strictEqual(turns.length, 4)
      for (const [i, turn] of turns.entries()) {
        assert.strictEqual(turn.blocks?.length, Math.floor((turn.input ?? 0) / Synthetic.BLOCK_TOKENS))
        const before = turns[i - 1]
        if (before === undefined) continue
        pauses.push((turn.offset ?? 0) - (before.offset ?? 0))
        assert.isAtLeast((turn.input ?? 0) - (before.input ?? 0) - (before.output ?? 0), 30)
        assert.deepStrictEqual(turn.blocks?.slice(0, before.blocks?.length), before.blocks)
      }
    }
    assert.isAtLeast(Math.min(...pauses), 15 - 1e-6)
    // Half is fixed, half exponential: standard error 15 / √1500
    assert.closeTo(pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length, 30, 4 * 0.39)
    assert.isEmpty(rows.filter(({ session }) => session === null || session === 0))
    // Sessions are numbered in the order in which they begin
    assert.deepStrictEqual(ScheduleEdit.window(schedule, null, null).session, schedule.session)
  })

  it("lengths that cannot be had", () => {
    const failure = make({ output: { mean: -5, stddev: 0 } })
    assert.strictEqual(Result.getOrThrow(Result.flip(failure))._tag, "ImpossibleLength")
  })
})
