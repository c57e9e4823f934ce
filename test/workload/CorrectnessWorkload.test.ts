import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as CorrectnessWorkload from "../../src/workload/CorrectnessWorkload.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

const make = (count: number, seed: number) =>
  Effect.provide(CorrectnessWorkload.make({ count, seed }), Tokenizer.layerLlama)

describe("CorrectnessWorkload", () => {
  it("asks as the documentation of LLMPerf has it", () => {
    assert.strictEqual(
      CorrectnessWorkload.prompt(2_345),
      "Convert the following sequence of words into a number: two thousand, three hundred and forty-five. Output just your final answer."
    )
  })

  it.effect("plans the asked number of requests, without a limit to the answer", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const { numbers, plans } = yield* make(300, 7)
      assert.lengthOf(numbers, 300)
      assert.deepStrictEqual(
        plans.map(({ id }) => id),
        Array.from({ length: 300 }, (_, i) => i + 1)
      )
      for (const [i, plan] of plans.entries()) {
        assert.isTrue(Schema.is(RequestPlan)(plan))
        assert.strictEqual(plan.prompt, CorrectnessWorkload.prompt(numbers[i] ?? -1))
        assert.strictEqual(plan.inputTokens, tokenizer.count(plan.prompt))
        assert.strictEqual(plan.targetInputTokens, plan.inputTokens)
        assert.strictEqual(plan.outputTokens, null)
        assert.strictEqual(plan.dueSeconds, null)
      }
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("is decided by its seed, and a longer one begins like a shorter one", () =>
    Effect.gen(function* () {
      const long = yield* make(200, 11_111)
      const short = yield* make(20, 11_111)
      const other = yield* make(20, 11_112)
      assert.deepStrictEqual(short.plans, long.plans.slice(0, 20))
      assert.notDeepEqual(other.numbers, short.numbers)
    })
  )

  it.effect("draws from all of 0 to 10,000 alike", () =>
    Effect.gen(function* () {
      const { numbers } = yield* make(4_000, 5)
      const shares = Array.from(
        { length: 10 },
        (_, i) => numbers.filter((number) => number >= i * 1_000 && number < (i + 1) * 1_000).length
      )
      // 400 each, with a deviation of 19
      for (const count of shares) assert.closeTo(count, 400, 95)
      assert.isAtLeast(Math.min(...numbers), 0)
      assert.isAtMost(Math.max(...numbers), 10_000)
    })
  )
})
