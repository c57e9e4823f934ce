import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as PlanMaker from "../../src/workload/PlanMaker.ts"
import * as PlannedWorkload from "../../src/workload/PlannedWorkload.ts"
import { PromptError, TooShort } from "../../src/workload/Prompt.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Workload from "../../src/workload/Workload.ts"

const options: PlanMaker.Options = {
  count: 100,
  seed: 3,
  meanInputTokens: 60,
  stddevInputTokens: 25,
  meanOutputTokens: 20,
  stddevOutputTokens: 15,
  promptMode: "exact"
}

const llama = (changes: Partial<PlanMaker.Options> = {}) =>
  Layer.provide(PlanMaker.layerInline({ ...options, ...changes }), Tokenizer.layerLlama)

/** Plans of these lengths, made at once; keeps what was built, and fails in the batch with the plan of that number. */
const recording = (lengths: ReadonlyArray<number>, failAt = Number.POSITIVE_INFINITY) => {
  const batches: Array<ReadonlyArray<number>> = []
  const layer = Layer.succeed(PlanMaker.PlanMaker, {
    count: lengths.length,
    build: ({ from, prompts, tokens }) =>
      Effect.suspend(() => {
        const plans: Array<PlanMaker.BuiltPlan> = []
        let sum = 0
        for (const inputTokens of lengths.slice(from - 1, from - 1 + prompts)) {
          const id = from + plans.length
          if (plans.length > 0 && sum + inputTokens > tokens) break
          if (id === failAt) {
            const reason = new TooShort({ inputTokens: 1, minimumInputTokens: 2, outputTokens: 3 })
            return Effect.fail(new PromptError({ reason }))
          }
          sum += inputTokens
          plans.push({
            plan: {
              id,
              dueSeconds: null,
              sampled: true,
              prompt: `text ${id}`,
              inputTokens: id % 10 === 0 ? inputTokens - 1 : inputTokens,
              targetInputTokens: inputTokens,
              outputTokens: 1
            },
            redrawnInputTokens: id % 3 === 0 ? 2 : 0,
            redrawnOutputTokens: id % 7 === 0 ? 1 : 0
          })
        }
        batches.push(plans.map(({ plan }) => plan.id))
        return Effect.succeed({ plans, nextTokens: lengths[from - 1 + plans.length] ?? null })
      })
  })
  return { batches, layer }
}

const same = (count: number, tokens = 100): ReadonlyArray<number> => Array.from({ length: count }, () => tokens)

describe("plans", () => {
  it.effect("are those of Workload.make whatever the window, and the counts come to the same", () =>
    Effect.gen(function* () {
      const { plans, ...totals } = yield* Effect.provide(Workload.make(options), Tokenizer.layerLlama)
      for (const window of [{}, { maximumPrompts: 1 }, { maximumPrompts: 7, maximumTokens: 200 }]) {
        yield* Effect.gen(function* () {
          const workload = yield* PlannedWorkload.make(window)
          assert.deepStrictEqual(yield* Stream.runCollect(workload.plans), [...plans])
          assert.deepStrictEqual({ ...workload.counts }, { plans: 100, ...totals })
        }).pipe(Effect.provide(llama()))
      }
    })
  )

  it.effect("come from a thread too", () =>
    Effect.gen(function* () {
      const { plans } = yield* Effect.provide(Workload.make(options), Tokenizer.layerLlama)
      const workload = yield* PlannedWorkload.make()
      yield* workload.ready
      assert.deepStrictEqual(yield* Stream.runCollect(workload.plans), [...plans])
    }).pipe(Effect.provide(PlanMaker.layerWorker(options)))
  )

  it.effect("may have no end", () =>
    Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make({ maximumPrompts: 50 })
      yield* workload.ready
      const plans = yield* Stream.runCollect(Stream.take(workload.plans, 120))
      assert.deepStrictEqual(
        plans.map(({ id }) => id),
        Array.from({ length: 120 }, (_, i) => i + 1)
      )
    }).pipe(Effect.provide(llama({ count: Number.POSITIVE_INFINITY })))
  )

  it.effect("are none when none are asked for", () =>
    Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make()
      yield* workload.ready
      assert.deepStrictEqual(yield* Stream.runCollect(workload.plans), [])
    }).pipe(Effect.provide(llama({ count: 0 })))
  )
})

describe("the window", () => {
  const lengthUpTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))
  const Lengths = Schema.Array(Schema.Union([lengthUpTo(50), lengthUpTo(40_000)])).check(Schema.isMaxLength(200))

  it.effect.prop(
    "is never exceeded, and every plan comes once and in order",
    [Lengths, lengthUpTo(80), lengthUpTo(100_000), lengthUpTo(40)],
    ([lengths, maximumPrompts, maximumTokens, takenAtOnce]) => {
      const { batches, layer } = recording(lengths)
      return Effect.gen(function* () {
        const workload = yield* PlannedWorkload.make({ maximumPrompts, maximumTokens })
        let seen = 0
        const bounded = () => {
          const { prompts, tokens } = workload.waiting()
          const built = batches.flat().length
          // What is being built is reserved before its number is known
          assert.isAtLeast(prompts, built - seen)
          assert.isAtLeast(
            tokens,
            lengths.slice(seen, built).reduce((sum, length) => sum + length, 0)
          )
          assert.isAtMost(prompts, maximumPrompts)
          assert.isTrue(tokens <= maximumTokens || prompts <= 4)
        }
        yield* workload.ready
        bounded()
        yield* Stream.runForEach(workload.plans, (plan) => {
          assert.strictEqual(plan.id, ++seen)
          assert.strictEqual(plan.prompt, `text ${plan.id}`)
          bounded()
          return seen % takenAtOnce === 0 ? Effect.andThen(Effect.yieldNow, Effect.sync(bounded)) : Effect.void
        })
        assert.strictEqual(seen, lengths.length)
        assert.deepStrictEqual(workload.waiting(), { prompts: 0, tokens: 0 })
        assert.deepStrictEqual(
          batches.flat(),
          lengths.map((_, i) => i + 1)
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
    }
  )

  it.effect("is full when it is ready, and no more is built before there is room for a batch", () => {
    const { batches, layer } = recording(same(1_000))
    return Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make({ maximumPrompts: 64 })
      yield* workload.ready
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(workload.waiting(), { prompts: 64, tokens: 6_400 })
      yield* Stream.runDrain(Stream.take(workload.plans, 31))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([batches.length, workload.waiting().prompts], [2, 33])
      yield* Stream.runDrain(Stream.take(workload.plans, 1))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([batches.length, workload.waiting().prompts], [3, 64])
    }).pipe(Effect.provide(layer))
  })

  it.effect("holds a few of the longest prompts", () => {
    const { batches, layer } = recording(same(10, 100_000))
    return Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make({ maximumTokens: 150_000 })
      yield* workload.ready
      assert.deepStrictEqual(workload.waiting(), { prompts: 4, tokens: 400_000 })
      assert.isTrue(batches.every((batch) => batch.length === 1))
    }).pipe(Effect.provide(layer))
  })
})

describe("counts", () => {
  it.effect("tell of what was handed out, not of what waits", () =>
    Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make()
      yield* workload.ready
      assert.strictEqual(workload.counts.plans, 0)
      yield* Stream.runDrain(Stream.take(workload.plans, 50))
      assert.deepStrictEqual(
        { ...workload.counts },
        { plans: 50, inexactPrompts: 5, redrawnInputTokens: 32, redrawnOutputTokens: 7 }
      )
    }).pipe(Effect.provide(recording(same(100)).layer))
  )
})

describe("failures", () => {
  it.effect("fail the stream after the batches before, and ready when it was not ended", () =>
    Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make()
      const early = yield* Effect.flip(workload.ready)
      const error = yield* Effect.flip(Stream.runDrain(workload.plans))
      assert.strictEqual(error._tag, "PromptError")
      assert.strictEqual(error, early)
      assert.strictEqual(workload.counts.plans, 64)
    }).pipe(Effect.provide(recording(same(100), 70).layer))
  )

  it.effect("beyond the window come when it gets there", () =>
    Effect.gen(function* () {
      const workload = yield* PlannedWorkload.make({ maximumPrompts: 40 })
      yield* workload.ready
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Stream.runDrain(workload.plans))))
      assert.strictEqual(workload.counts.plans, 64)
    }).pipe(Effect.provide(recording(same(100), 70).layer))
  )

  it.effect("are not needed to end: the scope ends the building", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* PlannedWorkload.make().pipe(
        Scope.provide(scope),
        Effect.provideService(PlanMaker.PlanMaker, {
          count: 1,
          build: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        })
      )
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(interrupted)
    })
  )
})
