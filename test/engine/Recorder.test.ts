import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as Recorder from "../../src/engine/Recorder.ts"
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
const start = Effect.fnUntraced(function* (count: (text: string) => Effect.Effect<number, TokenizerError>) {
  const rows: Array<RequestOutcome> = []
  const texts: Array<string> = []
  const complaints: Array<string> = []
  const recorder = yield* Effect.provideService(
    Recorder.make({
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
      assert.deepStrictEqual(texts, ["Hello world", "x"])
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
})
