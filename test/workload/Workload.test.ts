import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as Prompt from "../../src/workload/Prompt.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Workload from "../../src/workload/Workload.ts"

const options: Workload.Options = {
  count: 5,
  seed: 11111,
  meanInputTokens: 550,
  stddevInputTokens: 150,
  meanOutputTokens: 150,
  stddevOutputTokens: 80,
  promptMode: "exact"
}

const make = (changes: Partial<Workload.Options> = {}) =>
  Effect.provide(Workload.make({ ...options, ...changes }), Tokenizer.layerLlama)

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16)

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

describe("llmperf mode", () => {
  // Output tokens, nominal input tokens, characters, start of the SHA-256: printed by LLMPerf.
  it.effect.each([
    {
      name: "defaults of the command line",
      changes: {},
      expected: [
        [167, 538, 1723, "aac8620ea1cf109a"],
        [92, 581, 1822, "d713071be7542309"],
        [231, 601, 1941, "272624e33d888e25"],
        [173, 531, 1685, "ade381142a90588b"],
        [64, 483, 1514, "451cbfe4a42a0962"]
      ]
    },
    {
      name: "examples of the README",
      changes: { stddevOutputTokens: 10 },
      expected: [
        [152, 538, 1723, "f24d8088e583beed"],
        [142, 581, 1822, "23df4f8646df231b"],
        [160, 601, 1941, "2981677f77d4ede9"],
        [152, 531, 1685, "d86f7b223af99002"],
        [139, 483, 1514, "2abdf65c9890b919"]
      ]
    },
    {
      name: "leaderboard",
      changes: { stddevInputTokens: 0, stddevOutputTokens: 0 },
      expected: [
        [150, 550, 1763, "01b278acceb335c1"],
        [150, 550, 1730, "f769defb88d2e2e7"],
        [150, 550, 1739, "edec7c9712354d45"],
        [150, 550, 1764, "9d1fcdc13ff97227"],
        [150, 550, 1728, "999596316f80a331"]
      ]
    }
  ])("sends what LLMPerf sends: $name", ({ changes, expected }) =>
    Effect.gen(function* () {
      const { plans } = yield* make({ ...changes, promptMode: "llmperf" })
      assert.deepStrictEqual(
        plans.map((plan) => [plan.outputTokens, plan.targetInputTokens, plan.prompt.length, sha256(plan.prompt)]),
        expected
      )
    })
  )

  it.effect("says how many tokens the prompts really have", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const workload = yield* Workload.make({ ...options, count: 60, stddevInputTokens: 0, promptMode: "llmperf" })
      assert.isTrue(workload.plans.every((plan) => plan.inputTokens === tokenizer.count(plan.prompt)))
      assert.closeTo(mean(workload.plans.map((plan) => plan.inputTokens)), 513, 2)
      assert.strictEqual(workload.inexactPrompts, 60)
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )
})

describe("exact mode", () => {
  it.effect("plans requests of the wanted length, numbered from 1, all different", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const workload = yield* Workload.make({ ...options, count: 300 })
      assert.strictEqual(workload.inexactPrompts, 0)
      assert.strictEqual(new Set(workload.plans.map((plan) => plan.prompt)).size, 300)
      workload.plans.forEach((plan, i) => {
        assert.strictEqual(plan.id, i + 1)
        assert.strictEqual(plan.dueSeconds, null)
        assert.strictEqual(plan.inputTokens, plan.targetInputTokens)
        assert.strictEqual(plan.inputTokens, tokenizer.count(plan.prompt))
        assert.strictEqual(plan.prompt.indexOf(Prompt.header(plan.outputTokens ?? 0)), plan.prompt.indexOf("\n") + 1)
        assert.isTrue(Schema.is(RequestPlan)(plan))
      })
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("has the lengths and the order of lines of llmperf mode", () =>
    Effect.gen(function* () {
      const exact = yield* make({ count: 50, samePrompts: true })
      const distinct = yield* make({ count: 50 })
      const llmperf = yield* make({ count: 50, promptMode: "llmperf" })
      exact.plans.forEach((plan, i) => {
        const other = llmperf.plans[i]
        assert.strictEqual(plan.outputTokens, other?.outputTokens)
        assert.strictEqual(plan.targetInputTokens, other?.targetInputTokens)
        assert.strictEqual(distinct.plans[i]?.targetInputTokens, other?.targetInputTokens)
        const lines = plan.prompt.slice(0, 400)
        assert.include(distinct.plans[i]?.prompt ?? "", lines)
        const glued = plan.prompt.replaceAll("admiring praise.\n", "admiring praise.")
        assert.strictEqual(glued.slice(0, 400), other?.prompt.slice(0, 400))
      })
    })
  )

  it.effect("depends on the seed alone", () =>
    Effect.gen(function* () {
      const first = yield* make({ count: 40 })
      assert.deepStrictEqual(yield* make({ count: 40 }), first)
      const longer = yield* make({ count: 60 })
      assert.deepStrictEqual(longer.plans.slice(0, 40), first.plans)
      const other = yield* make({ count: 40, seed: 11112 })
      const prompts = new Set(first.plans.map((plan) => plan.prompt))
      assert.isFalse(other.plans.some((plan) => prompts.has(plan.prompt)))
    })
  )

  it.effect("begins no two prompts alike, of one run or of two, by as much as a block of a prefix cache", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const changes = { count: 1_000, stddevInputTokens: 0, meanInputTokens: 60 }
      const runs = yield* Effect.forEach([1, 2], (seed) => make({ ...changes, seed }))
      const all = runs.flatMap(({ plans }) => plans.map(({ prompt }) => tokenizer.encode(prompt)))
      const beginnings = (tokens: number) => new Set(all.map((ids) => ids.slice(0, tokens).join(" "))).size
      assert.isAbove(beginnings(1), 200)
      assert.isAbove(beginnings(2), 1_900)
      assert.strictEqual(beginnings(6), 2_000)
      // No two of one run begin with the same two words as long as there are others
      const first = all.slice(0, 200).map((ids) => ids[0])
      assert.strictEqual(new Set(first).size, 200)
      // All of it may be the same in two runs, when that is wanted
      const same = yield* Effect.forEach([1, 2], () => make({ ...changes, count: 20, samePrompts: true }))
      assert.deepStrictEqual(same[0], same[1])
      assert.isTrue(same[0]?.plans.every(({ prompt }) => prompt.startsWith(Prompt.header(150).slice(0, 45))))
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("counts the lengths that were too small and drawn again", () =>
    Effect.gen(function* () {
      const minimum = yield* Prompt.minimumInputTokens({ outputTokens: 150, promptMode: "exact" })
      const workload = yield* Workload.make({ ...options, count: 200, meanInputTokens: 100, stddevInputTokens: 100 })
      assert.isTrue(workload.plans.every((plan) => plan.targetInputTokens >= minimum - 2))
      // 23 % of such a distribution lie below the instruction, 3 % of the output lengths below 1.
      assert.isTrue(workload.redrawnInputTokens > 30 && workload.redrawnInputTokens < 100)
      assert.isTrue(workload.redrawnOutputTokens > 0 && workload.redrawnOutputTokens < 20)
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("draws other lengths when no new text is left at the smallest ones", () =>
    Effect.gen(function* () {
      const changes = {
        count: 600,
        meanInputTokens: 27,
        stddevInputTokens: 0.6,
        stddevOutputTokens: 0,
        samePrompts: true
      }
      const workload = yield* make(changes)
      assert.strictEqual(new Set(workload.plans.map((plan) => plan.prompt)).size, 600)
      assert.strictEqual(workload.inexactPrompts, 0)
      assert.deepStrictEqual(yield* make(changes), workload)
    })
  )

  it.effect("refuses a mean below the smallest prompt and names the smallest possible value", () =>
    Effect.gen(function* () {
      for (const promptMode of ["exact", "llmperf"] as const) {
        const outputs = { stddevOutputTokens: 0, promptMode, samePrompts: true }
        const error = yield* Effect.flip(make({ ...outputs, meanInputTokens: 10, stddevInputTokens: 400 }))
        assert.strictEqual(error._tag, "PromptError")
        assert.strictEqual(error.reason._tag, "TooShort")
        assert.include(error.message, "smallest possible value is 27")
        const smallest = yield* make({ ...outputs, count: 1, meanInputTokens: 27, stddevInputTokens: 0 })
        assert.strictEqual(smallest.plans[0]?.targetInputTokens, 27)
      }
    })
  )

  it.effect("fails instead of looping when there is no usable length or no new text", () =>
    Effect.gen(function* () {
      const outputs = yield* Effect.flip(make({ meanOutputTokens: 0, stddevOutputTokens: 0 }))
      assert.strictEqual(outputs.reason._tag, "ImpossibleLength")
      const texts = yield* Effect.flip(
        make({ count: 1000, meanInputTokens: 27, stddevInputTokens: 0, stddevOutputTokens: 0, samePrompts: true })
      )
      assert.strictEqual(texts.reason._tag, "NotDistinct")
    })
  )

  it.effect("counts the prompts for which the tokenizer allows no exact text", () =>
    Effect.gen(function* () {
      const workload = yield* Workload.make({ ...options, count: 40 })
      const inexact = workload.plans.filter((plan) => plan.inputTokens !== plan.targetInputTokens)
      assert.strictEqual(workload.inexactPrompts, inexact.length)
      assert.isTrue(inexact.length > 5 && inexact.length < 35)
      assert.isTrue(inexact.every((plan) => Math.abs(plan.inputTokens - plan.targetInputTokens) === 1))
    }).pipe(
      Effect.provideService(Tokenizer.Tokenizer, {
        name: "two to a word",
        count: (text) => 2 * (text.match(/\S+/g)?.length ?? 0),
        encode: () => [],
        decode: () => ""
      })
    )
  )
})
