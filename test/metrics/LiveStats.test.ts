import { assert, describe, it } from "@effect/vitest"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { failure, record } from "./records.ts"

describe("LiveStats", () => {
  it("is at zero before the start", () => {
    const snapshot = LiveStats.snapshot(LiveStats.make(), 5e9)
    assert.strictEqual(snapshot.elapsedSeconds, 0)
    assert.strictEqual(snapshot.inFlight, 0)
    assert.isNull(snapshot.recentTtft)
  })

  it("counts requests, what is in flight, chunks and tokens", () => {
    const stats = LiveStats.make()
    LiveStats.start(stats, 1e9)
    for (let i = 0; i < 5; i++) LiveStats.requestStarted(stats)
    LiveStats.chunksArrived(stats, 3)
    LiveStats.chunksArrived(stats, 4)
    LiveStats.requestEnded(stats, record({ number_output_tokens: 20, number_chunks: 5 }))
    LiveStats.requestEnded(stats, record({ number_output_tokens: null, number_chunks: 5 }))
    LiveStats.requestEnded(stats, failure(500, "HttpStatus", ""))
    LiveStats.requestEnded(stats, failure("cancelled", "Cancelled", ""))
    const snapshot = LiveStats.snapshot(stats, 3.5e9)
    assert.deepStrictEqual(snapshot, {
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
      recentTtft: null
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

  it("describes only the last 512 first tokens", () => {
    const stats = LiveStats.make()
    for (let i = 0; i < 1000; i++) LiveStats.firstToken(stats, 100)
    for (let i = 1; i <= 512; i++) LiveStats.firstToken(stats, i / 1000)
    const { recentTtft } = LiveStats.snapshot(stats, 0)
    assert.closeTo(recentTtft?.p50 ?? 0, 0.2565, 1e-12)
    assert.closeTo(recentTtft?.p99 ?? 0, 0.50689, 1e-12)
  })

  it("describes the few there are at first", () => {
    const stats = LiveStats.make()
    LiveStats.firstToken(stats, 0.3)
    LiveStats.firstToken(stats, 0.1)
    assert.closeTo(LiveStats.snapshot(stats, 0).recentTtft?.p50 ?? 0, 0.2, 1e-12)
  })
})
