import { assert, describe, it } from "@effect/vitest"
import * as batch from "../../../src/simulator/internal/batch.ts"

const limits: batch.Limits = {
  prefillTokensPerSecond: 1000,
  decodeStepSeconds: 0.01,
  decodeStepSecondsPerSequence: 0.002,
  maxBatch: 1,
  kvTokens: 1000
}

const job = (schedule: batch.OwnSchedule | undefined): batch.Job => ({
  inputTokens: 100,
  outputTokens: 2,
  tokensPerChunk: 1,
  kvTokens: 102,
  schedule,
  word: () => "word",
  state: "new",
  arrivedNanos: 0,
  admittedNanos: 0,
  generated: 0,
  sent: 0,
  outbox: [],
  wake: undefined,
  dueNanos: 0,
  order: 0
})

const millis = 1e6

const dueMillis = ({ outbox }: batch.Job): ReadonlyArray<number> => outbox.map(({ dueNanos }) => dueNanos / millis)

describe("batch", () => {
  const own = { first: () => 0.1, gap: () => 0.02 }

  it("gives a place from the moment it was free, but not from before the request came", () => {
    const server = batch.make(limits)
    const [first, second, third] = [job(own), job(own), job(own)]
    server.submit(first, 0)
    server.submit(second, 50 * millis)
    // The computer was busy: what was due at 120 ms is noticed at 140 ms.
    server.advance(140 * millis, 100)
    server.advance(300 * millis, 100)
    assert.deepStrictEqual(dueMillis(first), [100, 120])
    assert.deepStrictEqual(dueMillis(second), [220, 240])

    server.submit(third, 310 * millis)
    const late = job(own)
    // It came after the place was free, but before that was noticed.
    server.submit(late, 440 * millis)
    server.advance(600 * millis, 100)
    assert.deepStrictEqual(dueMillis(third), [410, 430])
    assert.deepStrictEqual(dueMillis(late), [540, 560])
  })

  it("begins a step when the request came, but not before the last one ended", () => {
    const server = batch.make({ ...limits, maxBatch: 2 })
    const [first, second, third] = [job(undefined), job(undefined), job(undefined)]
    server.submit(first, 0)
    server.advance(150 * millis, 100)
    assert.deepStrictEqual(dueMillis(first), [100, 112])
    server.submit(second, 90 * millis)
    server.advance(300 * millis, 100)
    assert.deepStrictEqual(dueMillis(second), [212, 224])
    server.submit(third, 310 * millis)
    server.advance(500 * millis, 100)
    assert.deepStrictEqual(dueMillis(third), [410, 422])
  })

  it("does not put a request into a step that began before it came", () => {
    const server = batch.make({ ...limits, maxBatch: 2 })
    const [first, second] = [job(undefined), job(undefined)]
    server.submit(first, 0)
    // The first step ended at 100 ms, which is noticed only at 105 ms.
    server.submit(second, 103 * millis)
    server.advance(105 * millis, 100)
    server.advance(1000 * millis, 100)
    assert.deepStrictEqual(dueMillis(first), [100, 112])
    assert.deepStrictEqual(dueMillis(second), [212, 224])
  })

  it("stops at its limit and goes on from there", () => {
    const server = batch.make(limits)
    const only = { ...job({ first: () => 0, gap: () => 0 }), outputTokens: 10 }
    server.submit(only, 0)
    assert.strictEqual(server.advance(0, 4).length, 1)
    assert.strictEqual(only.outbox.length, 4)
    assert.strictEqual(server.nextDue(), 0)
    server.advance(0, 100)
    assert.strictEqual(only.outbox.length, 10)
    assert.isUndefined(server.nextDue())
  })

  it("forgets a cancelled request, once", () => {
    const server = batch.make(limits)
    const [running, queued] = [job(own), job(own)]
    server.submit(running, 0)
    server.submit(queued, 0)
    for (const gone of [queued, running, running, queued]) server.cancel(gone, 10 * millis)
    assert.strictEqual(server.advance(1000 * millis, 100).length, 0)
    assert.deepInclude(server.counts, { inFlight: 0, queued: 0, batch: 0, kvTokens: 0, cancelled: 2, completed: 0 })
  })
})
