import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as Recorder from "../../src/engine/Recorder.ts"
import * as TokenDecision from "../../src/engine/TokenDecision.ts"
import * as LlmError from "../../src/domain/LlmError.ts"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import { TokenCounter } from "../../src/workload/TokenCounter.ts"
import { TokenizerError } from "../../src/workload/Tokenizer.ts"
import * as Scripted from "./scriptedProvider.ts"

/** A finished request whose text is its number, unless another is given. */
const finished = (id: number, text: ReadonlyArray<string> = [`${id}`]): RequestSink.Measurement => ({
  ...RequestSink.makeMeasurement(Scripted.plan(id), 0),
  sent: { _tag: "Sent", at: 1e6, connection: null },
  chunkAt: text.map((_, index) => (10 + index) * 1e6),
  text: [...text],
  endedAt: 50e6
})

/** A recorder over a counter; every row, every text that is to be counted and every complaint are noted. */
const start = Effect.fnUntraced(function* (
  count: (text: string) => Effect.Effect<number, TokenizerError>,
  decision: TokenDecision.TokenDecision = TokenDecision.make("tokenizer")
) {
  const rows: Array<RequestOutcome> = []
  const texts: Array<string> = []
  const complaints: Array<string> = []
  const recorder = yield* Effect.provideService(
    Recorder.make({
      decision,
      start: () => ({ monotonicNanos: 0, epochSeconds: 1_000 }),
      xRequestId: (plan) => (plan.id === 5 ? null : `run-${plan.id}`),
      onOutcome: (outcome) => rows.push(outcome),
      onUncounted: (error) => complaints.push(error.description)
    }),
    TokenCounter,
    {
      name: "test",
      count: (text) => {
        texts.push(text)
        return count(text)
      }
    }
  )
  return { recorder, rows, texts, complaints }
})

const counts = (outcomes: ReadonlyArray<RequestOutcome>) =>
  outcomes.map(({ record }) => [record.request_id, record.number_output_tokens])

describe("Recorder", () => {
  it.effect("has the whole text of a request counted and makes its row", () =>
    Effect.gen(function* () {
      const { recorder, rows, texts } = yield* start((text) => Effect.succeed(text.length))
      recorder.finished(finished(1, ["Hello", " ", "world"]))
      recorder.finished(finished(5, ["x"]))
      yield* recorder.end
      yield* recorder.run
      // The first chunk too: it is left out of the time per token
      assert.sameMembers(texts, ["Hello world", "Hello", "x"])
      assert.deepStrictEqual(
        rows.map(({ record }) => record.first_chunk_tokens),
        [5, 1]
      )
      assert.deepStrictEqual(counts(rows), [
        [1, 11],
        [5, 1]
      ])
      assert.deepStrictEqual(
        rows.map(({ record }) => record.x_request_id),
        ["run-1", null]
      )
      assert.strictEqual(rows[0]?.record.start_time, 1_000.001)
      assert.deepStrictEqual([...(rows[0]?.interChunkSeconds ?? [])], [0.001, 0.001])
      recorder.flush()
      assert.lengthOf(rows, 2)
    })
  )

  it.effect("does not ask for the count of nothing", () =>
    Effect.gen(function* () {
      const { recorder, rows, texts } = yield* start(() => Effect.succeed(7))
      recorder.finished(finished(1, []))
      recorder.finished(finished(2, ["", ""]))
      yield* recorder.end
      yield* recorder.run
      assert.deepStrictEqual(counts(rows), [
        [1, 0],
        [2, 0]
      ])
      assert.deepStrictEqual(texts, [])
    })
  )

  it.effect("gives rows as their counts come back, and waits for the last after the end", () =>
    Effect.gen(function* () {
      const { recorder, rows } = yield* start((text) => Effect.as(Effect.sleep(100 - 10 * Number(text)), Number(text)))
      const fiber = yield* Effect.forkChild(recorder.run)
      for (const id of [1, 2, 3, 4]) recorder.finished(finished(id))
      yield* recorder.end
      yield* TestClock.adjust(89)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(counts(rows), [
        [4, 4],
        [3, 3],
        [2, 2],
        [1, 1]
      ])
    })
  )

  it.effect("has no more than 256 texts with the counter at a time", () =>
    Effect.gen(function* () {
      let now = 0
      let most = 0
      const { recorder, rows } = yield* start(() =>
        Effect.suspend(() => {
          most = Math.max(most, ++now)
          return Effect.as(Effect.sleep(10), 1)
        }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              now--
            })
          )
        )
      )
      const fiber = yield* Effect.forkChild(recorder.run)
      for (let id = 1; id <= 600; id++) recorder.finished(finished(id))
      yield* recorder.end
      yield* TestClock.adjust(40)
      yield* Fiber.join(fiber)
      assert.strictEqual(new Set(rows.map(({ record }) => record.request_id)).size, 600)
      assert.strictEqual(most, 256)
    })
  )

  it.effect("gives a row without token numbers when its text cannot be counted, and tells why", () =>
    Effect.gen(function* () {
      const { recorder, rows, complaints } = yield* start((text) =>
        text === "2"
          ? Effect.fail(new TokenizerError({ tokenizer: "test", description: "no such token" }))
          : Effect.succeed(9)
      )
      for (const id of [1, 2, 3]) recorder.finished(finished(id))
      yield* recorder.end
      yield* recorder.run
      assert.sameDeepMembers(counts(rows), [
        [1, 9],
        [2, null],
        [3, 9]
      ])
      const row = rows.find(({ record }) => record.request_id === 2)?.record
      assert.strictEqual(row?.error_code, null)
      assert.strictEqual(row?.number_total_tokens, null)
      assert.strictEqual(row?.inter_token_latency_s, null)
      assert.strictEqual(row?.request_output_throughput_token_per_s, null)
      assert.closeTo(row?.ttft_s ?? 0, 0.009, 1e-12)
      assert.deepStrictEqual(complaints, ["no such token"])
    })
  )

  it.effect("still gives the rows whose counts are missing when nobody waits for them any more", () =>
    Effect.gen(function* () {
      const { recorder, rows } = yield* start((text) => (text === "1" ? Effect.succeed(4) : Effect.never))
      const fiber = yield* Effect.forkChild(recorder.run, { startImmediately: true })
      for (const id of [1, 2, 3]) recorder.finished(finished(id))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(fiber)
      recorder.finished(finished(4))
      assert.deepStrictEqual(counts(rows), [[1, 4]])
      recorder.flush()
      assert.deepStrictEqual(counts(rows), [
        [1, 4],
        [2, null],
        [3, null],
        [4, null]
      ])
      recorder.flush()
      assert.lengthOf(rows, 4)
    })
  )

  it.effect("gives each row once when counts come back after the flush", () =>
    Effect.gen(function* () {
      const { recorder, rows } = yield* start(() => Effect.as(Effect.sleep(10), 3))
      const fiber = yield* Effect.forkChild(recorder.run, { startImmediately: true })
      for (const id of [1, 2]) recorder.finished(finished(id))
      yield* TestClock.adjust(5)
      recorder.flush()
      yield* recorder.end
      yield* TestClock.adjust(5)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(counts(rows), [
        [1, null],
        [2, null]
      ])
    })
  )

  describe("whose tokens", () => {
    const answer = (id: number, outputTokens: number | null, error: LlmError.LlmError | null = null) => ({
      ...finished(id),
      usage:
        outputTokens === null
          ? null
          : {
              _tag: "Usage" as const,
              at: 1,
              inputTokens: 1,
              outputTokens,
              cachedInputTokens: null,
              reasoningTokens: null
            },
      error
    })
    const broken = LlmError.fromReason(new LlmError.Truncated({ description: "reset" }))
    const sources = (outcomes: ReadonlyArray<RequestOutcome>) =>
      outcomes.map(({ record }) => [record.request_id, record.token_source, record.number_output_tokens])
    const count = () => Effect.succeed(9)

    it.effect("is decided by the first answer that succeeds", () =>
      Effect.gen(function* () {
        for (const [first, source] of [
          [answer(2, 5), "server"],
          [answer(2, null), "tokenizer"]
        ] as const) {
          const { recorder, rows } = yield* start(count, TokenDecision.make("auto"))
          recorder.finished(answer(1, 3, broken))
          recorder.finished(first)
          recorder.finished(answer(3, null))
          recorder.finished(answer(4, 7))
          yield* recorder.end
          yield* recorder.run
          const known = (tokens: number | null) => (source === "server" ? tokens : 9)
          assert.deepStrictEqual(sources(rows), [
            [1, source, known(3)],
            [2, source, known(5)],
            [3, source, known(null)],
            [4, source, known(7)]
          ])
          assert.deepStrictEqual(
            rows.map(({ record }) => record.tokenizer_output_tokens),
            [9, 9, 9, 9]
          )
        }
      })
    )

    it.effect("is what was asked for, whatever the answers are", () =>
      Effect.gen(function* () {
        for (const asked of ["server", "tokenizer"] as const) {
          const { recorder, rows } = yield* start(count, TokenDecision.make(asked))
          recorder.finished(answer(1, null))
          recorder.finished(answer(2, 4))
          yield* recorder.end
          yield* recorder.run
          assert.deepStrictEqual(
            sources(rows),
            asked === "server"
              ? [
                  [1, "server", null],
                  [2, "server", 4]
                ]
              : [
                  [1, "tokenizer", 9],
                  [2, "tokenizer", 9]
                ]
          )
        }
      })
    )

    it.effect("has the rows of answers wait while somebody else decides, those of failures not", () =>
      Effect.gen(function* () {
        const proposals: Array<string> = []
        const decision = TokenDecision.make("auto", (source) => proposals.push(source))
        const { recorder, rows } = yield* start(count, decision)
        const fiber = yield* Effect.forkChild(recorder.run, { startImmediately: true })
        recorder.finished(answer(1, null, broken))
        recorder.finished(answer(2, null))
        recorder.finished(answer(3, 6))
        yield* TestClock.adjust(1_000)
        assert.deepStrictEqual(proposals, ["tokenizer"])
        assert.deepStrictEqual(sources(rows), [[1, null, null]])
        decision.decide("server")
        decision.decide("tokenizer")
        yield* recorder.end
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(sources(rows), [
          [1, null, null],
          [2, "server", null],
          [3, "server", 6]
        ])
      })
    )

    it.effect("is unknown for answers that nobody decides about any more", () =>
      Effect.gen(function* () {
        const { recorder, rows } = yield* start(
          count,
          TokenDecision.make("auto", () => {})
        )
        const fiber = yield* Effect.forkChild(recorder.run, { startImmediately: true })
        recorder.finished(answer(1, 6))
        yield* TestClock.adjust(1)
        yield* Fiber.interrupt(fiber)
        recorder.flush()
        assert.deepStrictEqual(sources(rows), [[1, null, null]])
      })
    )

    it.effect("holds for all rows of a run, in whatever order they come and are counted", () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(
              fc.record({ usage: fc.option(fc.nat(50)), fails: fc.boolean(), delay: fc.integer({ min: 0, max: 3 }) }),
              { minLength: 1, maxLength: 20 }
            ),
            (requests) =>
              Effect.gen(function* () {
                const delays = new Map(requests.map(({ delay }, index) => [`${index + 1}`, delay]))
                const { recorder, rows } = yield* start(
                  (text) => Effect.as(Effect.yieldNow.pipe(Effect.repeat({ times: delays.get(text) ?? 0 })), 9),
                  TokenDecision.make("auto")
                )
                requests.forEach(({ fails, usage }, index) =>
                  recorder.finished(answer(index + 1, usage, fails ? broken : null))
                )
                yield* recorder.end
                yield* recorder.run
                const first = requests.find(({ fails }) => !fails)
                const source = first === undefined ? null : first.usage === null ? "tokenizer" : "server"
                assert.strictEqual(rows.length, requests.length)
                for (const { record } of rows) {
                  const usage = requests[record.request_id - 1]?.usage ?? null
                  assert.strictEqual(record.token_source, source)
                  assert.strictEqual(
                    record.number_output_tokens,
                    source === null ? null : source === "server" ? usage : 9
                  )
                }
              }).pipe(Effect.runPromise)
          ),
          { numRuns: 100 }
        )
      )
    )
  })
})
