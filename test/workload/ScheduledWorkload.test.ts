import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { RequestPlan } from "../../src/domain/RequestPlan.ts"
import type { Schedule } from "../../src/domain/Schedule.ts"
import { PromptError, TooShort } from "../../src/workload/Prompt.ts"
import * as PromptMaker from "../../src/workload/PromptMaker.ts"
import * as ScheduledWorkload from "../../src/workload/ScheduledWorkload.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

interface RowOf {
  readonly id?: number
  readonly input?: number
  readonly output?: number
  readonly blocks?: ReadonlyArray<number>
}

const scheduleOf = (rows: ReadonlyArray<RowOf>): Schedule => {
  const start = [0]
  for (const { blocks = [] } of rows) start.push((start.at(-1) ?? 0) + blocks.length)
  return {
    length: rows.length,
    id: Uint32Array.from(rows, ({ id }, i) => id ?? i + 1),
    offsetSeconds: Float64Array.from(rows, (_, i) => i / 10),
    inputTokens: Uint32Array.from(rows, ({ input = 100 }) => input),
    outputTokens: Uint32Array.from(rows, ({ output = 10 }) => output),
    session: null,
    prefix: rows.some(({ blocks }) => blocks !== undefined)
      ? {
          blockTokens: 16,
          start: Uint32Array.from(start),
          ids: Float64Array.from(rows.flatMap(({ blocks = [] }) => blocks))
        }
      : null
  }
}

const rows = (count: number, input = 100): ReadonlyArray<RowOf> => Array.from({ length: count }, () => ({ input }))

/** Makes a text of every row at once, keeps the batches, and fails at the row of that number. */
const recording = (options: { readonly failAt?: number; readonly blockTokens?: number } = {}) => {
  const batches: Array<ReadonlyArray<PromptMaker.Row>> = []
  const layer = Layer.succeed(PromptMaker.PromptMaker, {
    blockTokens: options.blockTokens ?? null,
    build: (batch) =>
      Effect.suspend(() => {
        batches.push(batch)
        return batch.some(({ id }) => id === options.failAt)
          ? Effect.fail(
              new PromptError({ reason: new TooShort({ inputTokens: 1, minimumInputTokens: 2, outputTokens: 3 }) })
            )
          : Effect.succeed(
              batch.map(({ id, inputTokens }) => ({
                text: `text ${id}`,
                inputTokens: id % 10 === 0 ? inputTokens - 1 : inputTokens,
                repeated: id % 7 === 0
              }))
            )
      }),
    minimumInputTokens: (lengths) => Effect.succeed(lengths.map((length) => 20 + String(length).length))
  })
  return { batches, layer }
}

const llama = (blockTokens: number | null = null) =>
  Layer.provide(
    PromptMaker.layerInline({ seed: 1, promptMode: "exact", samePrompts: true, blockTokens }),
    Tokenizer.layerLlama
  )

const all = { sampled: null }

const collect = (options: ScheduledWorkload.Options) =>
  Effect.flatMap(ScheduledWorkload.make(options), ({ plans }) => Stream.runCollect(plans))

describe("plans", () => {
  it.effect("are the rows in their order, with their numbers, due times and lengths", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf([
        { id: 3, input: 27, output: 150 },
        { id: 1, input: 550, output: 1 },
        { id: 2, input: 60, output: 20 }
      ])
      const plans = yield* collect({ schedule, sampled: Uint8Array.of(1, 0, 1) })
      assert.deepStrictEqual(
        plans.map((plan) => ({ ...plan, prompt: "" })),
        [
          {
            prompt: "",
            id: 3,
            dueSeconds: 0,
            inputTokens: 27,
            targetInputTokens: 27,
            outputTokens: 150,
            sampled: true
          },
          {
            prompt: "",
            id: 1,
            dueSeconds: 0.1,
            inputTokens: 550,
            targetInputTokens: 550,
            outputTokens: 1,
            sampled: false
          },
          {
            prompt: "",
            id: 2,
            dueSeconds: 0.2,
            inputTokens: 60,
            targetInputTokens: 60,
            outputTokens: 20,
            sampled: true
          }
        ]
      )
      assert.isTrue(plans.every(Schema.is(RequestPlan)))
    }).pipe(Effect.provide(llama()))
  )

  it.effect("are the same bytes whatever the window", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf(Array.from({ length: 200 }, (_, i) => ({ input: 27 + ((i * 37) % 300) })))
      const textsOf = (window: { readonly maximumPrompts?: number; readonly maximumTokens?: number }) =>
        Effect.provide(collect({ schedule, ...all, ...window }), llama())
      const plans = yield* textsOf({})
      assert.strictEqual(plans.length, 200)
      assert.deepStrictEqual(yield* textsOf({}), plans)
      assert.deepStrictEqual(yield* textsOf({ maximumPrompts: 1 }), plans)
      assert.deepStrictEqual(yield* textsOf({ maximumPrompts: 7, maximumTokens: 500 }), plans)
    })
  )

  it.effect("begin with the text of shared blocks", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf([{ input: 40, blocks: [1, 2] }, { input: 30 }, { input: 50, blocks: [1, 2, 3] }])
      const [first, plain, second] = yield* collect({ schedule, ...all })
      const tokenizer = yield* Tokenizer.Tokenizer
      const idsOf = (plan: RequestPlan | undefined) => tokenizer.encode(plan?.prompt ?? "")
      assert.strictEqual(idsOf(first).slice(0, 32).join(), idsOf(second).slice(0, 32).join())
      assert.isTrue(plain?.prompt.startsWith("Randomly stream"))
      assert.deepStrictEqual(
        [first, plain, second].map((plan) => idsOf(plan).length),
        [40, 30, 50]
      )
    }).pipe(Effect.provide(llama(16)), Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("are none for an empty schedule", () =>
    Effect.gen(function* () {
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf([]), ...all })
      yield* workload.ready
      assert.deepStrictEqual(yield* Stream.runCollect(workload.plans), [])
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("carry only the blocks of their own rows to the maker", () => {
    const { batches, layer } = recording({ blockTokens: 16 })
    return Effect.gen(function* () {
      const schedule = scheduleOf([{ blocks: [5, 6] }, {}, { blocks: [5] }])
      yield* collect({ schedule, ...all })
      assert.deepStrictEqual(
        batches.flat().map(({ blocks }) => blocks),
        [[5, 6], null, [5]]
      )
    }).pipe(Effect.provide(layer))
  })
})

describe("the window", () => {
  const lengthUpTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 1, maximum }))
  const Lengths = Schema.Array(Schema.Union([lengthUpTo(50), lengthUpTo(40_000)])).check(Schema.isMaxLength(300))

  it.effect.prop(
    "is never exceeded, and every row comes once and in order",
    [Lengths, lengthUpTo(80), lengthUpTo(100_000), lengthUpTo(40)],
    ([lengths, maximumPrompts, maximumTokens, takenAtOnce]) => {
      const { batches, layer } = recording()
      return Effect.gen(function* () {
        const schedule = scheduleOf(lengths.map((input) => ({ input })))
        const workload = yield* ScheduledWorkload.make({ schedule, ...all, maximumPrompts, maximumTokens })
        let seen = 0
        const bounded = () => {
          const { prompts, tokens } = workload.waiting()
          const begun = batches.flat().length
          assert.strictEqual(prompts, begun - seen)
          assert.strictEqual(
            tokens,
            lengths.slice(seen, begun).reduce((sum, length) => sum + length, 0)
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
          batches.flat().map(({ id }) => id),
          lengths.map((_, i) => i + 1)
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
    }
  )

  it.effect("is full when it is ready, and no more is built before one is taken", () => {
    const { batches, layer } = recording()
    return Effect.gen(function* () {
      const schedule = scheduleOf(rows(1_000))
      const workload = yield* ScheduledWorkload.make({ schedule, ...all, maximumPrompts: 64 })
      yield* workload.ready
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(batches.flat().length, 64)
      const first = yield* Stream.runCollect(Stream.take(workload.plans, 31))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(first.length, 31)
      assert.deepStrictEqual([batches.length, workload.waiting().prompts], [2, 33])
      yield* Stream.runCollect(Stream.take(workload.plans, 1))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([batches.length, workload.waiting().prompts], [3, 64])
    }).pipe(Effect.provide(layer))
  })

  it.effect("holds a few of the longest prompts, each built alone", () => {
    const { batches, layer } = recording()
    return Effect.gen(function* () {
      const schedule = scheduleOf(rows(10, 100_000))
      const workload = yield* ScheduledWorkload.make({ schedule, ...all, maximumTokens: 150_000 })
      yield* workload.ready
      assert.deepStrictEqual(workload.waiting(), { prompts: 4, tokens: 400_000 })
      assert.isTrue(batches.every((batch) => batch.length === 1))
    }).pipe(Effect.provide(layer))
  })

  it.effect("lets other fibers run between batches", () =>
    Effect.gen(function* () {
      const turns = yield* Ref.make(0)
      const other = yield* Effect.forkChild(Effect.forever(Ref.update(turns, (n) => n + 1)))
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(640)), ...all })
      yield* workload.ready
      // 20 batches
      assert.isAtLeast(yield* Ref.get(turns), 19)
      yield* Fiber.interrupt(other)
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("is refilled while plans wait for their time", () => {
    const { batches, layer } = recording()
    return Effect.gen(function* () {
      const schedule = scheduleOf(rows(300))
      const workload = yield* ScheduledWorkload.make({ schedule, ...all, maximumPrompts: 40 })
      yield* workload.ready
      const sending = yield* Effect.forkChild(Stream.runForEach(workload.plans, () => Effect.sleep("100 millis")))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(workload.counts.plans, 101)
      // A batch is begun as soon as there is room for all of it
      assert.isAtLeast(batches.flat().length, 101 + 40 - 32)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(sending)
      assert.strictEqual(workload.counts.plans, 300)
    }).pipe(Effect.provide(layer))
  })

  it.effect("waits for a maker that is slower than the plans are taken", () =>
    Effect.gen(function* () {
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(100)), ...all })
      const taking = yield* Effect.forkChild(Stream.runCollect(workload.plans))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(workload.counts.plans, 32)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(taking)).length, 100)
    }).pipe(
      Effect.provideService(PromptMaker.PromptMaker, {
        blockTokens: null,
        build: (batch) =>
          Effect.delay(
            Effect.succeed(batch.map(({ inputTokens }) => ({ text: "text", inputTokens, repeated: false }))),
            "1 second"
          ),
        minimumInputTokens: () => Effect.succeed([])
      })
    )
  )
})

describe("failures", () => {
  it.effect("of the maker fail the stream after the plans before, and ready when it was not ended", () =>
    Effect.gen(function* () {
      const taken: Array<number> = []
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(100)), ...all })
      const early = yield* Effect.flip(workload.ready)
      const error = yield* Effect.flip(Stream.runForEach(workload.plans, ({ id }) => Effect.sync(() => taken.push(id))))
      assert.strictEqual(error._tag, "PromptError")
      assert.strictEqual(error, early)
      assert.strictEqual(taken.length, 64)
    }).pipe(Effect.provide(recording({ failAt: 70 }).layer))
  )

  it.effect("beyond the window come when it gets there", () =>
    Effect.gen(function* () {
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(100)), ...all, maximumPrompts: 40 })
      yield* workload.ready
      const exit = yield* Effect.exit(Stream.runDrain(workload.plans))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(workload.counts.plans, 64)
    }).pipe(Effect.provide(recording({ failAt: 70 }).layer))
  )

  it.effect("that are defects are told too", () =>
    Effect.gen(function* () {
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(1)), ...all })
      const exit = yield* Effect.exit(Stream.runDrain(workload.plans))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }).pipe(
      Effect.provideService(PromptMaker.PromptMaker, {
        blockTokens: null,
        build: () => Effect.die("broken"),
        minimumInputTokens: () => Effect.succeed([])
      })
    )
  )

  it.effect("are not needed to end: the scope ends the building", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(1)), ...all }).pipe(
        Scope.provide(scope),
        Effect.provideService(PromptMaker.PromptMaker, {
          blockTokens: null,
          build: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
          minimumInputTokens: () => Effect.succeed([])
        })
      )
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(interrupted)
    })
  )
})

describe("counts", () => {
  it.effect("tell of what was handed out, not of what waits", () =>
    Effect.gen(function* () {
      const workload = yield* ScheduledWorkload.make({ schedule: scheduleOf(rows(100)), ...all })
      yield* workload.ready
      assert.deepStrictEqual({ ...workload.counts }, { plans: 0, inexactPrompts: 0, repeatedPrompts: 0 })
      yield* Stream.runDrain(Stream.take(workload.plans, 50))
      assert.deepStrictEqual({ ...workload.counts }, { plans: 50, inexactPrompts: 5, repeatedPrompts: 7 })
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("count texts that had to be given again", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf(Array.from({ length: 1_000 }, () => ({ input: 27, output: 150 })))
      const workload = yield* ScheduledWorkload.make({ schedule, ...all })
      const plans = yield* Stream.runCollect(workload.plans)
      const texts = new Set(plans.map(({ prompt }) => prompt)).size
      assert.deepStrictEqual(
        { ...workload.counts },
        { plans: 1_000, inexactPrompts: 0, repeatedPrompts: 1_000 - texts }
      )
      assert.isAbove(workload.counts.repeatedPrompts, 100)
    }).pipe(Effect.provide(llama()))
  )
})

describe("check", () => {
  it.effect("names the first row that is too short for its instruction", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf([
        { id: 9, input: 22, output: 10 },
        { id: 4, input: 22, output: 100 },
        { id: 1, input: 1, output: 10 }
      ])
      const error = yield* Effect.flip(ScheduledWorkload.check(schedule))
      assert.strictEqual(error._tag, "PromptError")
      assert.include(error.message, "Row 4: A prompt of 22 input tokens is too short")
      assert.include(error.message, "smallest possible value is 23")
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("lets rows pass that are long enough, or are made of blocks", () =>
    Effect.gen(function* () {
      const schedule = scheduleOf([{ input: 22 }, { input: 1, blocks: [1] }])
      yield* Effect.provide(ScheduledWorkload.check(schedule), recording({ blockTokens: 16 }).layer)
      // Blocks are left aside by a maker without
      const error = yield* Effect.flip(Effect.provide(ScheduledWorkload.check(schedule), recording().layer))
      assert.include(error.message, "Row 2: ")
    })
  )

  it.effect("agrees with what can be built", () =>
    Effect.gen(function* () {
      const minimum = 27
      const enough = scheduleOf([{ input: minimum, output: 150 }])
      yield* ScheduledWorkload.check(enough)
      yield* collect({ schedule: enough, ...all })
      const short = scheduleOf([{ id: 5, input: minimum - 1, output: 150 }])
      const checked = yield* Effect.flip(ScheduledWorkload.check(short))
      assert.deepStrictEqual(yield* Effect.flip(collect({ schedule: short, ...all })), checked)
    }).pipe(Effect.provide(llama()))
  )
})
