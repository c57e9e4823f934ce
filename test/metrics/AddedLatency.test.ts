import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type ServerExchange } from "../../src/domain/CalibrationResults.ts"
import * as AddedLatency from "../../src/metrics/AddedLatency.ts"

const server = (part: Partial<ServerExchange>): ServerExchange => ({
  arrivedAt: 0,
  waitedNanos: 0,
  writtenAt: [],
  takenAt: [],
  ...part
})

const client = (sentAt: number, chunkAt: ReadonlyArray<number>, isComplete = true) => ({ sentAt, chunkAt, isComplete })

describe("spread", () => {
  it("interpolates, and is empty of nothing", () => {
    assert.deepStrictEqual(AddedLatency.spread([]), { count: 0, p50: null, p99: null, p999: null, max: null })
    assert.deepStrictEqual(AddedLatency.spread([3, 1, 2]), { count: 3, p50: 2, p99: 2.98, p999: 2.998, max: 3 })
  })
})

describe("between", () => {
  it("subtracts the server's stamps from the client's", () => {
    const { added, lostTokens, unmatched } = AddedLatency.between(
      new Map([["a", client(1_000, [10_700, 20_900, 30_400])]]),
      new Map([
        [
          "a",
          server({
            arrivedAt: 1_400,
            waitedNanos: 100,
            writtenAt: [10_000, 20_000, 30_000],
            takenAt: [10_010, 20_020, 30_030]
          })
        ]
      ])
    )
    const nanos = (seconds: number | null) => Math.round((seconds ?? NaN) * 1e9)
    // 400 there and 700 back
    assert.strictEqual(nanos(added.request_path_s.max), 400)
    assert.strictEqual(nanos(added.answer_path_s.max), 700)
    assert.strictEqual(nanos(added.ttft_s.max), 1_100)
    assert.strictEqual(added.ttft_s.count, 1)
    // Delays of 700, 900 and 400: gaps that were 200 longer and 500 shorter
    assert.deepStrictEqual([added.inter_token_latency_s.count, nanos(added.inter_token_latency_s.max)], [2, 200])
    assert.strictEqual(nanos(added.inter_token_latency_s.p50), -150)
    assert.deepStrictEqual([added.token_delay_s.count, nanos(added.token_delay_s.max)], [3, 900])
    assert.strictEqual(nanos(added.server_wait_s.max), 100)
    assert.strictEqual(nanos(added.server_write_s.max), 30)
    assert.strictEqual(lostTokens, 0)
    assert.strictEqual(unmatched, 0)
  })

  it("is what the client measured less what the server did", () => {
    const stamps = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(stamps, stamps, fc.nat(1_000_000), fc.nat(1_000_000), (writes, delays, there, waited) => {
        const length = Math.min(writes.length, delays.length)
        let at = there
        const writtenAt = writes.slice(0, length).map((gap) => (at += gap))
        const chunkAt = writtenAt.map((written, i) => written + (delays[i] ?? 0))
        const { added } = AddedLatency.between(
          new Map([["a", client(0, chunkAt)]]),
          new Map([["a", server({ arrivedAt: there, waitedNanos: waited, writtenAt, takenAt: writtenAt })]])
        )
        const ttft = (chunkAt[0] ?? 0) - ((writtenAt[0] ?? 0) - there)
        assert.closeTo(added.ttft_s.max ?? NaN, ttft / 1e9, 1e-12)
        // A server cannot have let a request wait that was not sent yet
        assert.isAtMost(added.server_wait_s.max ?? NaN, added.request_path_s.max ?? NaN)
        assert.strictEqual(added.inter_token_latency_s.count, length - 1)
        assert.strictEqual(added.token_delay_s.count, length)
      })
    )
  })

  it("counts what only one of them saw, and tokens that got lost", () => {
    const { added, lostTokens, unmatched } = AddedLatency.between(
      new Map([
        ["whole", client(0, [10])],
        ["given up", client(0, [10], false)],
        ["not arrived", client(0, [])]
      ]),
      new Map([
        ["whole", server({ writtenAt: [5, 6, 7] })],
        ["given up", server({ writtenAt: [5, 6, 7] })],
        ["of another", server({})]
      ])
    )
    assert.strictEqual(lostTokens, 2)
    assert.strictEqual(unmatched, 2)
    assert.strictEqual(added.token_delay_s.count, 2)
  })

  it("leaves out what was written before", () => {
    const { added } = AddedLatency.between(
      new Map([["a", client(0, [11, 25, 33])]]),
      new Map([["a", server({ arrivedAt: 5, writtenAt: [10, 20, 30] })]]),
      20
    )
    assert.strictEqual(added.ttft_s.count, 0)
    assert.strictEqual(added.request_path_s.count, 0)
    assert.deepStrictEqual([added.token_delay_s.count, added.inter_token_latency_s.count], [2, 2])
    assert.closeTo(added.inter_token_latency_s.max ?? NaN, 4e-9, 1e-15)
  })
})
