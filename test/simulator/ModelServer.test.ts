import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import tokenizer from "llama-tokenizer-js"
import * as FastCheck from "fast-check"
import * as Fault from "../../src/simulator/Fault.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as VirtualClock from "../../src/simulator/VirtualClock.ts"

type Server = ModelServer.ModelServer["Service"]

interface Arrival {
  readonly millis: number
  readonly chunk: ModelServer.Chunk
}

const make = (options: Parameters<typeof ModelServer.ModelServerOptions.make>[0]) =>
  ModelServer.make(ModelServer.ModelServerOptions.make(options))

/** A server whose sleeps all take longer than asked, as they do on a busy computer. */
const makeLate = (lateMillis: number, options: Parameters<typeof make>[0]) =>
  TestClock.testClockWith((clock) =>
    Effect.provideService(make(options), Clock.Clock, {
      ...clock,
      sleep: (duration) => clock.sleep(Duration.sum(duration, Duration.millis(lateMillis)))
    })
  )

/** Runs a request to its end; the chunks with the moments at which they came. */
const collect = Effect.fnUntraced(function* (server: Server, request: ModelServer.GenerateRequest) {
  const chunks = yield* server.generate(request)
  return yield* Stream.runCollect(
    Stream.mapEffect(chunks, (chunk) => Effect.map(Clock.currentTimeMillis, (millis): Arrival => ({ millis, chunk })))
  )
}, Effect.scoped)

const fork = (server: Server, request: Partial<ModelServer.GenerateRequest>) =>
  Effect.forkChild(collect(server, { id: 1, inputTokens: 100, outputTokens: 3, ...request }), {
    startImmediately: true
  })

/** Lets an hour pass and takes what a request received. */
const finish = (fiber: Fiber.Fiber<Array<Arrival>, ModelServer.RequestTooLarge>) =>
  Effect.andThen(TestClock.adjust("1 hour"), Fiber.join(fiber))

const millisOf = (arrivals: ReadonlyArray<Arrival>): Array<number> => arrivals.map(({ millis }) => millis)

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

const textOf = (arrivals: ReadonlyArray<Arrival>): string => arrivals.map(({ chunk }) => chunk.text).join("")

const assertMillis = (arrivals: ReadonlyArray<Arrival>, expected: ReadonlyArray<number>): void => {
  assert.strictEqual(arrivals.length, expected.length)
  arrivals.forEach(({ millis }, i) => assert.closeTo(millis, expected[i] ?? Number.NaN, 0.002))
}

/** An engine of round numbers: 1 ms a prompt token, steps of 10 ms and 2 ms a sequence. */
const engine = { prefillTokensPerSecond: 1000, decodeStepSeconds: 0.01, decodeStepSecondsPerSequence: 0.002 }

const fixed = { ttft: Latency.constant(0.1), itl: Latency.constant(0.02) }

describe("ModelServer", () => {
  describe("options", () => {
    it("have defaults, whether made or decoded", () => {
      const made = ModelServer.ModelServerOptions.make({})
      assert.deepStrictEqual(Schema.decodeSync(ModelServer.ModelServerOptions)({}), made)
      assert.strictEqual(made.maxBatch, 256)
      assert.isNull(made.ttft)
    })

    it.each([{ maxBatch: 0 }, { kvTokens: 1.5 }, { prefillTokensPerSecond: 0 }, { decodeStepSeconds: -1 }])(
      "refuse %j",
      (options) => {
        assert.throws(() => Schema.decodeSync(ModelServer.ModelServerOptions)(options))
      }
    )
  })

  describe("with a schedule of its own", () => {
    it.effect("sends the first token after ttft and the others itl apart, to the nanosecond", () =>
      Effect.gen(function* () {
        const server = yield* make(fixed)
        const arrivals = yield* finish(yield* fork(server, { outputTokens: 5 }))
        assert.deepStrictEqual(millisOf(arrivals), [100, 120, 140, 160, 180])
        assert.deepStrictEqual(
          arrivals.map(({ chunk }) => chunk.dueNanos),
          [100e6, 120e6, 140e6, 160e6, 180e6]
        )
        assert.deepStrictEqual(
          arrivals.map(({ chunk }) => [chunk.firstToken, chunk.tokens]),
          [0, 1, 2, 3, 4].map((token) => [token, 1])
        )
      })
    )

    it.effect("keeps requests from slowing each other down", () =>
      Effect.gen(function* () {
        const server = yield* make(fixed)
        const fibers = yield* Effect.forEach(Array.from({ length: 50 }), (_, id) => fork(server, { id }))
        yield* TestClock.adjust("1 hour")
        for (const fiber of fibers) {
          assert.deepStrictEqual(millisOf(yield* Fiber.join(fiber)), [100, 120, 140])
        }
      })
    )

    it.effect("counts from the moment the request came", () =>
      Effect.gen(function* () {
        const server = yield* make(fixed)
        yield* TestClock.adjust(30)
        const arrivals = yield* finish(yield* fork(server, { arrivedNanos: 10e6 }))
        assert.deepStrictEqual(millisOf(arrivals), [110, 130, 150])
      })
    )

    it.effect("uses the request's own latencies before the server's", () =>
      Effect.gen(function* () {
        const server = yield* make(fixed)
        const arrivals = yield* finish(yield* fork(server, { ttft: Latency.constant(0), itl: Latency.constant(0.001) }))
        assert.deepStrictEqual(millisOf(arrivals), [0, 1, 2])
      })
    )

    it.effect("takes from the empty engine what is left out", () =>
      Effect.gen(function* () {
        const onlyTtft = yield* make({ ...engine, ttft: Latency.constant(0.5) })
        const onlyItl = yield* make({ ...engine, itl: Latency.constant(0.5) })
        const first = yield* fork(onlyTtft, { inputTokens: 70 })
        const second = yield* fork(onlyItl, { inputTokens: 70 })
        yield* TestClock.adjust("1 hour")
        assertMillis(yield* Fiber.join(first), [500, 512, 524])
        assertMillis(yield* Fiber.join(second), [70, 570, 1070])
      })
    )

    it.effect("never adds up lateness", () =>
      Effect.gen(function* () {
        const server = yield* makeLate(15, fixed)
        const arrivals = yield* finish(yield* fork(server, { outputTokens: 50 }))
        assertMillis(
          arrivals,
          Array.from({ length: 50 }, (_, i) => 100 + i * 20 + 15)
        )
        assert.deepStrictEqual(arrivals.at(-1)?.chunk.dueNanos, (100 + 49 * 20) * 1e6)
        assert.closeTo((yield* server.stats).maxLateSeconds, 0.015, 1e-6)
      })
    )

    it.effect("draws latencies with the asked mean", () =>
      Effect.gen(function* () {
        const server = yield* make({
          ttft: { shape: "lognormal", mean: 0.1, cv: 0.5 },
          itl: { shape: "gamma", mean: 0.02, cv: 1 },
          maxBatch: 1000
        })
        const fibers = yield* Effect.forEach(Array.from({ length: 400 }), (_, id) =>
          fork(server, { id, outputTokens: 11 })
        )
        yield* TestClock.adjust("1 hour")
        const answers = yield* Effect.forEach(fibers, Fiber.join)
        assert.closeTo(mean(answers.map((arrivals) => arrivals[0]?.millis ?? 0)), 100, 8)
        assert.closeTo(
          mean(answers.map((arrivals) => ((arrivals[10]?.millis ?? 0) - (arrivals[0]?.millis ?? 0)) / 10)),
          20,
          1
        )
      })
    )

    it.effect("sends several tokens at once, at the same rate", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, tokensPerChunk: 4 })
        const arrivals = yield* finish(yield* fork(server, { outputTokens: 10 }))
        assert.deepStrictEqual(millisOf(arrivals), [100, 180, 220])
        assert.deepStrictEqual(
          arrivals.map(({ chunk }) => [chunk.firstToken, chunk.tokens]),
          [
            [0, 4],
            [4, 4],
            [8, 2]
          ]
        )
      })
    )
  })

  describe("in steps", () => {
    it.effect("reads the prompt at the prefill rate, then takes a + b a token", () =>
      Effect.gen(function* () {
        const server = yield* make(engine)
        assertMillis(yield* finish(yield* fork(server, { inputTokens: 100 })), [100, 112, 124])
        assertMillis(
          yield* finish(yield* fork(server, { inputTokens: 7 })),
          [7, 19, 31].map((at) => at + 3_600_000)
        )
      })
    )

    it.effect("begins to read a prompt when the request came", () =>
      Effect.gen(function* () {
        const server = yield* make(engine)
        yield* TestClock.adjust(30)
        const first = yield* fork(server, { inputTokens: 100, outputTokens: 2, arrivedNanos: 10e6 })
        // It came while the first was being read
        const second = yield* fork(server, { id: 2, inputTokens: 50, outputTokens: 1, arrivedNanos: 12e6 })
        yield* TestClock.adjust("1 hour")
        assertMillis(yield* Fiber.join(first), [110, 172])
        assertMillis(yield* Fiber.join(second), [172])
      })
    )

    it.effect("takes longer steps for larger batches", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...engine, prefillTokensPerSecond: 1e9 })
        const gaps: Array<number> = []
        for (const size of [1, 2, 10]) {
          const fibers = yield* Effect.forEach(Array.from({ length: size }), (_, id) =>
            fork(server, { id, outputTokens: 30 })
          )
          yield* TestClock.adjust("1 hour")
          const answers = yield* Effect.forEach(fibers, Fiber.join)
          const [answer = []] = answers
          gaps.push((answer[11]?.millis ?? 0) - (answer[10]?.millis ?? 0))
        }
        assert.closeTo(gaps[0] ?? 0, 12, 0.002)
        assert.closeTo(gaps[1] ?? 0, 14, 0.002)
        assert.closeTo(gaps[2] ?? 0, 30, 0.002)
      })
    )

    it.effect("holds up those decoding while it reads a new prompt", () =>
      Effect.gen(function* () {
        const server = yield* make(engine)
        const first = yield* fork(server, { id: 1, inputTokens: 100, outputTokens: 4 })
        yield* TestClock.adjust(105)
        const second = yield* fork(server, { id: 2, inputTokens: 50, outputTokens: 2 })
        yield* TestClock.adjust("1 hour")
        // The step under way ends at 112; the next reads 50 tokens and decodes one sequence: 62 ms; then two: 14 ms.
        assertMillis(yield* Fiber.join(first), [100, 112, 174, 188])
        assertMillis(yield* Fiber.join(second), [174, 188])
      })
    )

    it.effect("sends a chunk of several tokens when its last one is ready", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...engine, tokensPerChunk: 2 })
        const arrivals = yield* finish(yield* fork(server, { inputTokens: 100, outputTokens: 5 }))
        assertMillis(arrivals, [112, 136, 148])
        assert.deepStrictEqual(
          arrivals.map(({ chunk }) => chunk.tokens),
          [2, 2, 1]
        )
      })
    )

    it.effect("starts the next step when the last one was due, however late it is noticed", () =>
      Effect.gen(function* () {
        const server = yield* makeLate(5, engine)
        const arrivals = yield* finish(yield* fork(server, { inputTokens: 100, outputTokens: 100 }))
        assertMillis(
          arrivals,
          Array.from({ length: 100 }, (_, i) => 100 + i * 12 + 5)
        )
      })
    )
  })

  describe("the queue", () => {
    it.effect("lets in as many as the batch takes, first come first served", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, maxBatch: 2 })
        const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (id) => fork(server, { id, outputTokens: 2 }))
        yield* TestClock.adjust(50)
        const stats = yield* server.stats
        assert.deepInclude(stats, { inFlight: 5, queued: 3, batch: 2, peakBatch: 2 })
        yield* TestClock.adjust("1 hour")
        const firsts = yield* Effect.forEach(fibers, (fiber) => Effect.map(Fiber.join(fiber), millisOf))
        assert.deepStrictEqual(firsts, [
          [100, 120],
          [100, 120],
          [220, 240],
          [220, 240],
          [340, 360]
        ])
        assert.deepInclude(yield* server.stats, {
          inFlight: 0,
          peakInFlight: 5,
          queued: 0,
          batch: 0,
          kvTokens: 0,
          tokens: 10,
          completed: 5,
          cancelled: 0
        })
      })
    )

    it.effect("lets nobody pass who waits for room in the KV cache", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, kvTokens: 1000 })
        const large = yield* fork(server, { id: 1, inputTokens: 600, outputTokens: 2 })
        const larger = yield* fork(server, { id: 2, inputTokens: 700, outputTokens: 2 })
        const small = yield* fork(server, { id: 3, inputTokens: 10, outputTokens: 2 })
        assert.deepInclude(yield* server.stats, { queued: 2, batch: 1, kvTokens: 602 })
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(millisOf(yield* Fiber.join(large)), [100, 120])
        assert.deepStrictEqual(millisOf(yield* Fiber.join(larger)), [220, 240])
        assert.deepStrictEqual(millisOf(yield* Fiber.join(small)), [220, 240])
      })
    )

    it.effect("refuses at once what can never fit", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, kvTokens: 1000 })
        const error = yield* Effect.flip(collect(server, { id: 1, inputTokens: 990, outputTokens: 11 }))
        assert.deepInclude(error, { _tag: "RequestTooLarge", neededTokens: 1001, kvTokens: 1000 })
        assert.include(error.message, "1001")
        assert.deepInclude(yield* server.stats, { inFlight: 0, queued: 0, cancelled: 0 })
      })
    )

    it.effect("works with steps too", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...engine, maxBatch: 1 })
        const first = yield* fork(server, { id: 1, inputTokens: 100, outputTokens: 2 })
        const second = yield* fork(server, { id: 2, inputTokens: 10, outputTokens: 2 })
        yield* TestClock.adjust("1 hour")
        assertMillis(yield* Fiber.join(first), [100, 112])
        assertMillis(yield* Fiber.join(second), [122, 134])
      })
    )
  })

  describe("a client that goes away", () => {
    it.effect("frees its place for the next at once", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, maxBatch: 1, kvTokens: 200 })
        const first = yield* fork(server, { id: 1, outputTokens: 50 })
        const second = yield* fork(server, { id: 2, outputTokens: 2 })
        yield* TestClock.adjust(130)
        yield* Fiber.interrupt(first)
        assert.deepInclude(yield* server.stats, { inFlight: 1, queued: 0, batch: 1, kvTokens: 102, cancelled: 1 })
        assert.deepStrictEqual(millisOf(yield* finish(second)), [230, 250])
        assert.deepInclude(yield* server.stats, { batch: 0, kvTokens: 0, completed: 1, cancelled: 1 })
      })
    )

    it.effect("leaves the queue", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...fixed, maxBatch: 1 })
        const first = yield* fork(server, { id: 1, outputTokens: 2 })
        const second = yield* fork(server, { id: 2 })
        const third = yield* fork(server, { id: 3, outputTokens: 2 })
        yield* TestClock.adjust(10)
        yield* Fiber.interrupt(second)
        assert.deepInclude(yield* server.stats, { inFlight: 2, queued: 1, batch: 1, cancelled: 1 })
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(millisOf(yield* Fiber.join(first)), [100, 120])
        assert.deepStrictEqual(millisOf(yield* Fiber.join(third)), [220, 240])
      })
    )

    it.effect("frees its place in steps, and the batch is smaller from the next step on", () =>
      Effect.gen(function* () {
        const server = yield* make({ ...engine, prefillTokensPerSecond: 1e6 })
        const stays = yield* fork(server, { id: 1, inputTokens: 100, outputTokens: 60 })
        const goes = yield* fork(server, { id: 2, inputTokens: 100, outputTokens: 60 })
        yield* TestClock.adjust(400)
        assert.strictEqual((yield* server.stats).batch, 2)
        yield* Fiber.interrupt(goes)
        assert.deepInclude(yield* server.stats, { batch: 1, kvTokens: 160, cancelled: 1 })
        const arrivals = yield* finish(stays)
        const gaps = arrivals.slice(1).map(({ millis }, i) => millis - (arrivals[i]?.millis ?? 0))
        assert.closeTo(gaps[20] ?? 0, 14, 0.002)
        assert.closeTo(gaps.at(-1) ?? 0, 12, 0.002)
      })
    )

    it.effect("counts as cancelled when the reader stops by itself, and not after the last token", () =>
      Effect.gen(function* () {
        const server = yield* make(fixed)
        const partial = yield* Effect.forkChild(
          Effect.scoped(
            Effect.flatMap(server.generate({ id: 1, inputTokens: 1, outputTokens: 9 }), (chunks) =>
              Stream.runCollect(Stream.take(chunks, 2))
            )
          )
        )
        yield* TestClock.adjust(120)
        assert.strictEqual((yield* Fiber.join(partial)).length, 2)
        assert.deepInclude(yield* server.stats, { inFlight: 0, completed: 0, cancelled: 1 })
        yield* finish(yield* fork(server, {}))
        assert.deepInclude(yield* server.stats, { inFlight: 0, completed: 1, cancelled: 1 })
      })
    )
  })

  describe("the text", () => {
    it.effect("counts exactly the asked number of Llama tokens", () =>
      Effect.gen(function* () {
        for (const tokensPerChunk of [1, 3]) {
          const server = yield* make({ ...fixed, tokensPerChunk })
          for (const outputTokens of [1, 2, 17, 100]) {
            const arrivals = yield* finish(yield* fork(server, { outputTokens }))
            assert.strictEqual(tokenizer.encode(textOf(arrivals), false, true).length, outputTokens)
          }
        }
      })
    )

    it.effect("and latencies are the same for the same seed and id, whatever else is going on", () =>
      Effect.gen(function* () {
        const options = { ttft: { shape: "exponential", mean: 0.1, cv: 1 } as const, itl: fixed.itl }
        const answer = Effect.fnUntraced(function* (seed: number, id: string, others: number) {
          const server = yield* make({ ...options, seed })
          for (let i = 0; i < others; i++) yield* fork(server, { id: i })
          const start = yield* Clock.currentTimeMillis
          const arrivals = yield* finish(yield* fork(server, { id, outputTokens: 20 }))
          return { text: textOf(arrivals), ttft: Math.round(((arrivals[0]?.millis ?? 0) - start) * 1000) }
        })
        const reference = yield* answer(1, "a", 0)
        assert.deepStrictEqual(yield* answer(1, "a", 5), reference)
        for (const other of [yield* answer(2, "a", 0), yield* answer(1, "b", 0)]) {
          assert.notStrictEqual(other.text, reference.text)
          assert.notStrictEqual(other.ttft, reference.ttft)
        }
      })
    )

    it.effect("does not depend on how times are drawn", () =>
      Effect.gen(function* () {
        const texts = yield* Effect.forEach([fixed, engine, { ...engine, tokensPerChunk: 5 }], (options) =>
          Effect.gen(function* () {
            const server = yield* make(options)
            return textOf(yield* finish(yield* fork(server, { outputTokens: 30 })))
          })
        )
        assert.strictEqual(new Set(texts).size, 1)
      })
    )
  })

  describe("faults", () => {
    const fault = Schema.decodeSync(Fault.FaultFromString)

    it.effect("are counted in the order of arrival", () =>
      Effect.gen(function* () {
        const server = yield* make({ faults: [fault("429:2")] })
        const hit = yield* Effect.forEach([1, 2, 3, 4], (id) => server.faults(id, id === 1 ? [fault("ping")] : []))
        assert.deepStrictEqual(
          hit.map((faults) => faults.map(({ kind }) => kind)),
          [["ping"], ["429"], [], ["429"]]
        )
      })
    )
  })

  it.effect("handles a day of traffic under the test clock", () =>
    Effect.gen(function* () {
      const server = yield* make({ maxBatch: 8 })
      const fibers = yield* Effect.forEach(Array.from({ length: 200 }), (_, id) =>
        Effect.forkChild(
          Effect.andThen(
            Effect.sleep(id * 50),
            collect(server, { id, inputTokens: 50 + (id % 7) * 100, outputTokens: 1 + (id % 40) })
          )
        )
      )
      yield* TestClock.adjust("1 day")
      const answers = yield* Effect.forEach(fibers, Fiber.join)
      answers.forEach((arrivals, id) => assert.strictEqual(arrivals.length, 1 + (id % 40)))
      const stats = yield* server.stats
      assert.deepInclude(stats, { completed: 200, inFlight: 0, batch: 0, kvTokens: 0, peakBatch: 8 })
      assert.isAbove(stats.peakInFlight, 8)
      assert.closeTo(stats.maxLateSeconds, 0, 1e-6)
    })
  )

  describe("whole answers", () => {
    interface Asked {
      readonly at: number
      readonly inputTokens: number
      readonly outputTokens: number
      /** Milliseconds after which the client goes away; most stay. */
      readonly patience: number
    }
    const asked: FastCheck.Arbitrary<Asked> = FastCheck.record({
      at: FastCheck.integer({ min: 1, max: 1_500 }),
      inputTokens: FastCheck.integer({ min: 1, max: 300 }),
      outputTokens: FastCheck.integer({ min: 1, max: 40 }),
      patience: FastCheck.oneof(
        { weight: 3, arbitrary: FastCheck.constant(1e6) },
        FastCheck.integer({ min: 1, max: 900 })
      )
    })

    /** What each client has received when it is done or goes away, and what the server counts. */
    const serve = (
      options: Parameters<typeof make>[0],
      requests: ReadonlyArray<Asked>,
      isWhole: (id: number) => boolean
    ) =>
      Effect.gen(function* () {
        const server = yield* make(options)
        const received = requests.map((): Array<ModelServer.Chunk> => [])
        yield* Effect.forEach(
          requests,
          ({ at, inputTokens, outputTokens, patience }, id) => {
            const request = { id, inputTokens, outputTokens }
            const read = isWhole(id)
              ? Effect.gen(function* () {
                  let answer: ModelServer.WholeAnswer | undefined
                  // Runs after the request was cancelled.
                  yield* Effect.addFinalizer(() => Effect.sync(() => received[id]?.push(...(answer?.take() ?? []))))
                  answer = yield* server.generateWhole(request)
                  yield* answer.completed
                })
              : Effect.flatMap(
                  server.generate(request),
                  Stream.runForEach((chunk) => Effect.sync(() => received[id]?.push(chunk)))
                )
            // Everybody has nanoseconds of his own, so that nobody comes or goes at a moment at which somebody else does, or at
            // which a step ends that began with somebody's coming: steps take whole tenths of a millisecond.
            const sleep = (millis: number, nanos: number) =>
              Effect.sleep(Duration.nanos(BigInt(millis) * 1_000_000n + BigInt(nanos)))
            return Effect.andThen(
              sleep(at, 12_345 * (id + 1)),
              Effect.raceFirst(Effect.scoped(read), sleep(patience, 7_001))
            )
          },
          { concurrency: "unbounded", discard: true }
        )
        const { batch, cancelled, completed, inFlight, kvTokens, peakBatch, peakInFlight, queued, tokens } =
          yield* server.stats
        const stats = { batch, cancelled, completed, inFlight, kvTokens, peakBatch, peakInFlight, queued, tokens }
        return { received, stats }
      }).pipe(Effect.scoped, Effect.provide(VirtualClock.layer), Effect.runPromise)

    it.each<readonly [string, Parameters<typeof make>[0]]>([
      ["by the steps of the batch", { ...engine, maxBatch: 5, kvTokens: 1_000 }],
      ["in chunks of several tokens", { ...engine, maxBatch: 5, tokensPerChunk: 3 }],
      [
        "with schedules of their own",
        { ttft: Latency.constant(0.05), itl: { shape: "exponential", mean: 0.02, cv: 0 } }
      ],
      ["with schedules of their own and a small batch", { ...fixed, maxBatch: 3, tokensPerChunk: 4 }]
    ])("are the same as those read chunk by chunk, at the same moments, %s", (_, options) =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(asked, { minLength: 1, maxLength: 12 }), async (requests) => {
          const byChunk = await serve(options, requests, () => false)
          assert.deepStrictEqual(await serve(options, requests, () => true), byChunk)
          assert.deepStrictEqual(await serve(options, requests, (id) => id % 2 === 0), byChunk)
        }),
        { numRuns: 60 }
      )
    )

    it.effect("waken nobody before they are complete", () =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        let sleeps = 0
        const counting: Clock.Clock = {
          currentTimeMillis: clock.currentTimeMillis,
          currentTimeNanos: clock.currentTimeNanos,
          monotonicTimeNanos: clock.monotonicTimeNanos,
          currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
          currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
          monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
          sleep: (duration) => {
            sleeps++
            return clock.sleep(duration)
          }
        }
        const server = yield* Effect.provideService(make(engine), Clock.Clock, counting)
        const answer = yield* server.generateWhole({ id: 1, inputTokens: 10, outputTokens: 500 })
        yield* answer.completed
        assert.strictEqual(answer.take().length, 500)
        assert.deepStrictEqual(answer.take(), [])
        assert.closeTo(Number(clock.monotonicTimeNanosUnsafe()), (10 + 499 * 12) * 1e6, 1_000)
        assert.isBelow(sleeps, 4)
      }).pipe(Effect.provide(VirtualClock.layer))
    )
  })
})
