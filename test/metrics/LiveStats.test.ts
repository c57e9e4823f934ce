import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { failure, record } from "./records.ts"

describe("LiveStats", () => {
  it("is at zero before the start", () => {
    const snapshot = LiveStats.snapshot(LiveStats.make(), 5e9)
    assert.strictEqual(snapshot.elapsedSeconds, 0)
    assert.strictEqual(snapshot.inFlight, 0)
    assert.isFalse(snapshot.isRunning)
    assert.strictEqual(snapshot.recentSeconds, 0)
    assert.isNull(snapshot.recentTtft)
    assert.isNull(snapshot.recentGap)
    assert.isNull(snapshot.recentLag)
  })

  it("runs from its start, which may be told ahead", () => {
    const stats = LiveStats.make()
    LiveStats.start(stats, 2e9)
    assert.isFalse(LiveStats.snapshot(stats, 1.9e9).isRunning)
    assert.isTrue(LiveStats.snapshot(stats, 2e9).isRunning)
  })

  it("counts requests, what is in flight, chunks and tokens", () => {
    const stats = LiveStats.make()
    LiveStats.start(stats, 1e9)
    for (let i = 0; i < 5; i++) LiveStats.requestStarted(stats)
    LiveStats.chunksArrived(stats, 3)
    LiveStats.chunksArrived(stats, 4)
    LiveStats.requestEnded(stats, record({ number_output_tokens: 20, number_chunks: 5 }))
    LiveStats.requestEnded(stats, record({ number_output_tokens: null, number_chunks: 5 }))
    LiveStats.requestEnded(stats, failure(500, "HttpStatus", "", { dispatch_lag_s: null }))
    LiveStats.requestEnded(stats, failure("cancelled", "Cancelled", "", { dispatch_lag_s: null }))
    const snapshot = LiveStats.snapshot(stats, 3.5e9)
    assert.deepStrictEqual(snapshot, {
      isRunning: true,
      elapsedSeconds: 2.5,
      started: 5,
      inFlight: 1,
      completed: 2,
      failed: 1,
      cancelled: 1,
      late: 0,
      queued: 0,
      dropped: 0,
      chunks: 7,
      completedTokens: 20,
      completedChunks: 5,
      cacheableTokens: 0,
      cachedTokens: 0,
      lost: [],
      recentSeconds: 2.5,
      recentTtft: null,
      recentGap: null,
      recentLag: null,
      recentDelay: null
    })
  })

  it("counts what an open loop does with its times", () => {
    const stats = LiveStats.make()
    // 10 ms are not late yet, and a request that never came to the socket has no lag.
    for (const lag of [0, 0.01, 0.0101, null, 3]) LiveStats.requestEnded(stats, record({ dispatch_lag_s: lag }))
    LiveStats.requestEnded(stats, failure(500, "HttpStatus", "", { dispatch_lag_s: 0.5 }))
    for (let i = 0; i < 4; i++) LiveStats.requestQueued(stats)
    for (let i = 0; i < 2; i++) LiveStats.requestDropped(stats)
    const { dropped, late, queued, started } = LiveStats.snapshot(stats, 0)
    assert.deepStrictEqual({ dropped, late, queued, started }, { dropped: 2, late: 3, queued: 4, started: 0 })
  })

  it("describes the last ten seconds, and says how many there are", () => {
    const stats = LiveStats.make()
    LiveStats.start(stats, 0)
    let seconds = 0
    const pass = (until: number, ttft: number) => {
      for (; seconds < until; seconds += 0.25) {
        LiveStats.firstToken(stats, ttft)
        LiveStats.snapshot(stats, seconds * 1e9)
      }
    }
    pass(3, 100)
    assert.deepStrictEqual(read(stats, 3), { seconds: 3, count: 12 })
    pass(20, 0.5)
    const { recentSeconds, recentTtft } = LiveStats.snapshot(stats, 20e9)
    assert.isAtLeast(recentSeconds, 9)
    assert.isAtMost(recentSeconds, 10)
    // One at either end may belong to the neighbour
    assert.closeTo(recentTtft?.count ?? 0, recentSeconds * 4, 1)
    assert.closeTo(recentTtft?.p99 ?? 0, 0.5, 0.5 / 32)
    // Nothing comes any more
    for (; seconds < 40; seconds += 0.25) LiveStats.snapshot(stats, seconds * 1e9)
    assert.isNull(LiveStats.snapshot(stats, 40e9).recentTtft)
  })

  it("a reader that comes every ten seconds sees each of them once", () => {
    const stats = LiveStats.make()
    LiveStats.start(stats, 0)
    for (let second = 10; second <= 40; second += 10) {
      for (let i = 0; i < second; i++) LiveStats.firstToken(stats, 0.1)
      assert.deepStrictEqual(read(stats, second), { seconds: 10, count: second })
    }
  })

  it("quantiles are within 1/32 of a value of that rank, for durations from microseconds to minutes", () => {
    const seconds = fc.double({ min: 0, max: 530, noNaN: true })
    const scaled = fc.tuple(seconds, fc.constantFrom(1, 1e-2, 1e-4, 1e-6)).map(([value, scale]) => value * scale)
    fc.assert(
      fc.property(fc.array(scaled, { minLength: 1, maxLength: 200 }), (values) => {
        const stats = LiveStats.make()
        for (const value of values) LiveStats.firstToken(stats, value)
        const sorted = values.toSorted((a, b) => a - b)
        const { recentTtft } = LiveStats.snapshot(stats, 1)
        assert.strictEqual(recentTtft?.count, values.length)
        for (const [read, q] of [
          [recentTtft?.p50, 0.5],
          [recentTtft?.p99, 0.99]
        ] as const) {
          const exact = sorted[Math.round((sorted.length - 1) * q)] ?? Number.NaN
          assert.closeTo(read ?? Number.NaN, exact, exact / 32 + 0.25e-6)
        }
      })
    )
  })

  it("takes what cannot be for the nearest that can", () => {
    const stats = LiveStats.make()
    for (const lag of [-1, Number.NaN]) LiveStats.firstToken(stats, 1e9, lag)
    const { recentLag, recentTtft } = LiveStats.snapshot(stats, 0)
    assert.isBelow(recentLag?.p99 ?? 1, 1e-6)
    assert.closeTo(recentTtft?.p99 ?? 0, 537, 20)
  })

  it("counts the gap before every chunk but the first, also between two batches", () => {
    const stats = LiveStats.make()
    const chunkAt = [1e9, 1.01e9]
    LiveStats.gaps(stats, chunkAt, 0)
    chunkAt.push(1.03e9, 1.03e9)
    LiveStats.gaps(stats, chunkAt, 2)
    LiveStats.gaps(stats, [5e9], 0)
    const { recentGap } = LiveStats.snapshot(stats, 0)
    assert.strictEqual(recentGap?.count, 3)
    assert.closeTo(recentGap?.p50 ?? 0, 0.01, 0.01 / 32)
    assert.closeTo(recentGap?.p99 ?? 0, 0.02, 0.02 / 32)
  })

  it("counts a dispatch lag once: with the first token, or at the end of a request without one", () => {
    const stats = LiveStats.make()
    LiveStats.firstToken(stats, 0.1, 0.004)
    LiveStats.requestEnded(stats, record({ dispatch_lag_s: 0.004 }))
    LiveStats.requestEnded(stats, failure(500, "HttpStatus", "", { dispatch_lag_s: 0.5 }))
    LiveStats.requestEnded(stats, failure("timeout", "Timeout", "", { dispatch_lag_s: null }))
    const { recentLag } = LiveStats.snapshot(stats, 0)
    assert.strictEqual(recentLag?.count, 2)
    assert.closeTo(recentLag?.p99 ?? 0, 0.5, 0.5 / 32)
  })

  it("durations of several are those of one, each taken once", () => {
    const all = LiveStats.make()
    const sum = LiveStats.make()
    for (let worker = 1; worker <= 3; worker++) {
      const mine = LiveStats.make()
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 50; i++) {
          for (const stats of [all, mine]) {
            LiveStats.firstToken(stats, worker * 0.1 + i / 1000, i / 1e5)
            LiveStats.gaps(stats, [0, 1e6 * i * worker], 1)
          }
        }
        // Somewhere in a message, and not at a multiple of four bytes
        const bytes = LiveStats.takeRecent(mine)
        const message = new Uint8Array(bytes.length + 1)
        message.set(bytes, 1)
        LiveStats.addRecent(sum, message.subarray(1))
      }
      assert.strictEqual(LiveStats.takeRecent(mine).length, 0)
    }
    assert.deepStrictEqual(LiveStats.snapshot(sum, 0), LiveStats.snapshot(all, 0))
    LiveStats.addRecent(sum, Uint8Array.of(1, 2, 3))
    LiveStats.addRecent(sum, new Uint8Array(Uint32Array.of(1e6, 7).buffer))
    assert.deepStrictEqual(LiveStats.snapshot(sum, 0), LiveStats.snapshot(all, 0))
  })
})

const read = (stats: LiveStats.LiveStats, second: number) => {
  const { recentSeconds, recentTtft } = LiveStats.snapshot(stats, second * 1e9)
  return { seconds: recentSeconds, count: recentTtft?.count }
}
