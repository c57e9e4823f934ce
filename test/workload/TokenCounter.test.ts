import { assert, describe, it } from "@effect/vitest"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import * as Corpus from "../../src/workload/Corpus.ts"
import * as WorkerCounter from "../../src/workload/internal/WorkerCounter.ts"
import { TokenCounter, layerInline, layerWorker } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

const fixture = fileURLToPath(new URL("../fixtures/workload/tokenizer", import.meta.url))

const texts = ["", "Hello world", "🙂 漢字\n\n", "\ud800", ...Corpus.lines, Corpus.text]

const countAll = Effect.gen(function* () {
  const counter = yield* TokenCounter
  return yield* Effect.forEach(texts, counter.count, { concurrency: "unbounded" })
})

const script = new URL("../../src/workload/TokenCounterWorker.ts", import.meta.url)

// A worker of our own making, to see it end and to end it.
const makeWorker = Effect.gen(function* () {
  const workers: Array<Worker> = []
  const layer = NodeWorker.layer(() => {
    const worker = new Worker(script, { workerData: { tokenizer: "llama" } })
    workers.push(worker)
    return worker
  })
  const counter = yield* Effect.provide(WorkerCounter.make("llama"), yield* Layer.build(layer))
  return { counter, workers }
})

describe("TokenCounter", () => {
  it.effect("counts the same on the thread and on a worker", () =>
    Effect.gen(function* () {
      const inline = yield* Effect.provide(countAll, Layer.provide(layerInline, Tokenizer.layerLlama))
      const worker = yield* Effect.provide(countAll, layerWorker())
      assert.deepStrictEqual(worker, inline)
      assert.deepStrictEqual(inline.slice(0, 2), [0, 2])
      assert.strictEqual(inline.at(-1), 1067)
    })
  )

  it.effect("counts with the tokenizer that was asked for and has its name", () =>
    Effect.gen(function* () {
      const inline = yield* Effect.provide(TokenCounter, Layer.provide(layerInline, Tokenizer.layer(fixture)))
      const worker = yield* Effect.provide(TokenCounter, layerWorker({ tokenizer: fixture })).pipe(Effect.scoped)
      assert.strictEqual(inline.name, fixture)
      assert.strictEqual(worker.name, fixture)
      const counts = yield* Effect.gen(function* () {
        return yield* (yield* TokenCounter).count("abc ab z")
      }).pipe(Effect.provide(layerWorker({ tokenizer: fixture })))
      assert.strictEqual(counts, 3)
      assert.strictEqual(yield* inline.count("abc ab z"), 3)
    })
  )

  it.effect("fails with a TokenizerError when a count on the thread throws", () =>
    Effect.gen(function* () {
      const counter = yield* TokenCounter
      const error = yield* Effect.flip(counter.count("x"))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.include(error.message, "no such token")
    }).pipe(
      Effect.provide(layerInline),
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

  it.effect("fails every count with a TokenizerError when the worker can't load the tokenizer", () =>
    Effect.gen(function* () {
      const counter = yield* TokenCounter
      for (const text of ["", "a"]) {
        const error = yield* Effect.flip(counter.count(text))
        assert.strictEqual(error._tag, "TokenizerError")
        assert.strictEqual(error.tokenizer, "./no/such/folder")
        assert.include(error.message, "there is no folder")
      }
    }).pipe(Effect.provide(layerWorker({ tokenizer: "./no/such/folder" })))
  )

  it.effect("fails counts that wait and those that come later when the worker dies", () =>
    Effect.gen(function* () {
      const { counter, workers } = yield* makeWorker
      assert.strictEqual(yield* counter.count("Hello world"), 2)
      const waiting = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 2000 }, (_, i) => `${i} ${Corpus.text}`),
          (text) => Effect.exit(counter.count(text)),
          { concurrency: "unbounded" }
        ),
        { startImmediately: true }
      )
      yield* Effect.promise(() => workers[0]?.terminate() ?? Promise.resolve(0))
      const exits = yield* Fiber.join(waiting)
      const failed = exits.find(Exit.isFailure)
      assert.isDefined(failed)
      const later = yield* Effect.flip(counter.count("Hello world"))
      assert.strictEqual(later._tag, "TokenizerError")
      assert.include(later.message, "thread has ended")
      assert.strictEqual(workers.length, 1)
    })
  )

  it.effect("fails cleanly when the script of the worker is not there", () =>
    Effect.gen(function* () {
      const layer = NodeWorker.layer(() => new Worker(new URL("./no-such-script.js", import.meta.url)))
      const counter = yield* Effect.provide(WorkerCounter.make("llama"), yield* Layer.build(layer))
      const error = yield* Effect.flip(counter.count("Hello world"))
      assert.strictEqual(error._tag, "TokenizerError")
    })
  )

  it.effect("ends the thread with its scope, even before it has started, and fails what still waits", () =>
    Effect.gen(function* () {
      for (const ready of [true, false]) {
        const scope = yield* Scope.make()
        const { counter, workers } = yield* Scope.provide(makeWorker, scope)
        if (ready) yield* counter.count("")
        else yield* Effect.yieldNow
        const exit = workers[0] === undefined ? undefined : once(workers[0], "exit")
        const waiting = ready ? undefined : yield* Effect.forkChild(Effect.exit(counter.count("a")))
        yield* Effect.yieldNow
        yield* Scope.close(scope, Exit.void)
        if (exit !== undefined) yield* Effect.promise(() => exit)
        if (waiting !== undefined) assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
        const later = yield* Effect.flip(counter.count("a"))
        assert.include(later.message, "stopped with the run")
      }
    })
  )

  it.effect("forgets a count whose caller was interrupted", () =>
    Effect.gen(function* () {
      const { counter } = yield* makeWorker
      const fiber = yield* Effect.forkChild(counter.count(Corpus.text), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* counter.count("Hello world"), 2)
    })
  )
})
