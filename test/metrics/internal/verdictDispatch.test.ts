import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as Histogram from "../../../src/metrics/Histogram.ts"
import * as Verdict from "../../../src/metrics/Verdict.ts"
import { dispatch, records } from "../health.ts"
import { failure, record } from "../records.ts"

describe("DispatchTally", () => {
  it("is empty at first", () => {
    const report = new Verdict.DispatchTally().report()
    assert.deepStrictEqual(report.slices, [])
    assert.isNull(report.first_due_s)
    assert.isNull(report.last_sent_s)
  })

  it("counts requests in the slice in which they were due", () => {
    const { slices } = dispatch([
      record({ intended_offset_s: 0.5, dispatch_lag_s: 0.25, sent_offset_s: 0.75, end_offset_s: 1.75 }),
      record({ intended_offset_s: 0.75, dispatch_lag_s: 0.03125, sent_offset_s: 0.78125, end_offset_s: 1.78125 }),
      record({ intended_offset_s: 2, dispatch_lag_s: 0, sent_offset_s: 2, end_offset_s: 2.5 })
    ])
    assert.deepStrictEqual(slices, [
      {
        from_s: 0,
        to_s: 1,
        requests: 2,
        succeeded: 2,
        sent: 2,
        late: 2,
        very_late: 1,
        lag_total_s: 0.28125,
        lag_max_s: 0.25,
        in_flight_s: 2,
        own_errors: 0,
        added_ttft: [],
        added_gap: []
      },
      {
        from_s: 2,
        to_s: 3,
        requests: 1,
        succeeded: 1,
        sent: 1,
        late: 0,
        very_late: 0,
        lag_total_s: 0,
        lag_max_s: 0,
        in_flight_s: 0.5,
        own_errors: 0,
        added_ttft: [],
        added_gap: []
      }
    ])
  })

  it("calls neither 10 nor 100 ms late yet", () => {
    const lags = [0.01, 0.0101, 0.1, 0.1001]
    const [slice] = dispatch(lags.map((lag) => record({ dispatch_lag_s: lag }))).slices
    assert.strictEqual(slice?.late, 3)
    assert.strictEqual(slice?.very_late, 1)
  })

  it("does not hold the opening of a connection against the client", () => {
    const opened = record({ dispatch_lag_s: 0.5, dns_s: 0.125, connect_s: 0.125, tls_s: 0.1875 })
    const report = dispatch([opened, record({ dispatch_lag_s: 0.5, dns_s: 0.25, connect_s: 0.5, tls_s: 0 })])
    assert.strictEqual(report.slices[0]?.lag_total_s, 0.0625)
    assert.strictEqual(report.slices[0]?.late, 1)
    assert.strictEqual(report.opened_connections, 2)
    assert.strictEqual(report.connection_wait_total_s, 1.1875)
    assert.strictEqual(report.connection_wait_max_s, 0.75)
  })

  it("does not take the time on a connection that the server closed for a lag", () => {
    const report = dispatch([record({ dispatch_lag_s: 0.5, connection_retry_s: 0.25, connect_s: 0.125 })])
    assert.strictEqual(report.slices[0]?.lag_total_s, 0.125)
  })

  it("does not take a wait for a place in flight for a lag", () => {
    const tally = new Verdict.DispatchTally()
    tally.add(record({ dispatch_lag_s: 5 }), true)
    const [slice] = tally.report().slices
    assert.strictEqual(slice?.requests, 1)
    assert.strictEqual(slice?.sent, 0)
    assert.strictEqual(slice?.late, 0)
  })

  it("counts a request that never came to the socket, without a lag", () => {
    const never = failure("connect_error", "Connect", "refused", { dispatch_lag_s: null, sent_offset_s: null })
    const report = dispatch([never])
    assert.strictEqual(report.slices[0]?.requests, 1)
    assert.strictEqual(report.slices[0]?.sent, 0)
    assert.strictEqual(Histogram.count(Verdict.lagOf(report)), 0)
    assert.isNull(report.last_due_s)
  })

  it.each([
    ["Connect", "Could not connect: connect EMFILE 10.0.0.1:443 - Local (undefined:undefined)", "EMFILE"],
    ["Connect", "Could not connect: connect EADDRNOTAVAIL 10.0.0.1:443", "EADDRNOTAVAIL"],
    ["Connect", "Could not connect: getaddrinfo ENFILE example.org", "ENFILE"],
    ["Truncated", "The answer was cut off: the connection was lost in the middle of the answer: ENOBUFS", "ENOBUFS"],
    ["Internal", "Internal error: TypeError: x is not a function", "internal"],
    ["Connect", "Could not connect: connect ECONNREFUSED 10.0.0.1:443", null],
    ["Connect", "Could not connect: connect ETIMEDOUT 10.0.0.1:443", null],
    ["HttpStatus", "HTTP 500: EMFILE: too many open files", null],
    ["InStream", "EMFILE", null],
    ["Protocol", "Not HTTP: EMFILE", null],
    [null, "", null]
  ])("knows whose failure it is: %s %s", (reason, message, expected) => {
    const failed = record({ error_reason: reason, error_msg: message, error_code: reason === null ? null : "x" })
    assert.strictEqual(Verdict.ownErrorOf(failed), expected)
    const report = dispatch([failed, failed])
    assert.deepStrictEqual(report.own_errors, expected === null ? {} : { [expected]: 2 })
    // An exception of the provider is no want of the client
    assert.strictEqual(report.slices[0]?.own_errors, expected === null || expected === Verdict.EXCEPTION ? 0 : 2)
  })

  it("keeps at most 120 slices of a run of any length, in which nothing is lost", () => {
    const report = dispatch(records(1_000))
    assert.isAtMost(report.slices.length, 120)
    assert.strictEqual(report.slice_s, 16)
    assert.strictEqual(
      report.slices.reduce((sum, { sent }) => sum + sent, 0),
      10_000
    )
  })

  const second = 1e9
  const answered = record({ intended_offset_s: 0.5, sent_offset_s: 0.5, ttft_s: 0.4, number_chunks: 4 })
  const arrivals: Verdict.Arrivals = {
    stamps: [0.9, 0.92, 2.5, 2.5].map((at) => at * second),
    delays: Float64Array.of(0.1, 0, 0.5, 0.5),
    sendDelay: 0,
    startNanos: 0
  }

  it("counts what arrived in the slice in which it did, a gap by how much longer its end waited than its beginning", () => {
    const tally = new Verdict.DispatchTally()
    tally.add(answered, false, arrivals)
    const { slices, ...report } = tally.report()
    const found = Verdict.arrivalDelaysOf({ ...report, slices })
    assert.deepStrictEqual(
      [found.firstToken, found.chunk, found.addedTtft, found.addedGap].map((each) => [
        Histogram.count(each),
        Histogram.max(each)
      ]),
      [
        [1, 0.1],
        [4, 0.5],
        [1, 0.1],
        [3, 0.5]
      ]
    )
    const total = (counts: ReadonlyArray<number>) => counts.reduce((sum, count) => sum + count, 0)
    assert.deepStrictEqual(
      slices.map(({ added_gap, added_ttft, from_s }) => [from_s, total(added_ttft), total(added_gap)]),
      [
        [0, 1, 1],
        [2, 0, 2]
      ]
    )
  })

  it("counts a hold as the request was written, and nothing of requests that failed or are not measured", () => {
    const tally = new Verdict.DispatchTally()
    tally.add(answered, false, { ...arrivals, sendDelay: 0.2 })
    const failed = failure(500, "HttpStatus", "HTTP 500", { number_chunks: 4 })
    for (const other of [failed, { ...answered, sampled: false }]) tally.add(other, false, arrivals)
    const { addedTtft, firstToken } = Verdict.arrivalDelaysOf(tally.report())
    assert.closeTo(Histogram.max(addedTtft) ?? 0, 0.3, 1e-9)
    assert.strictEqual(Histogram.count(firstToken), 1)
  })

  it("is the same when it is asked twice", () => {
    const tally = new Verdict.DispatchTally()
    tally.add(answered, false, arrivals)
    assert.deepStrictEqual(tally.report(), tally.report())
  })

  // Lags in multiples of 2⁻¹⁰ s: their sums are exact in any order.
  const requests = fc.array(
    fc.record({ due: fc.nat(3_000), lag: fc.nat(300), length: fc.nat(2_000), own: fc.boolean() }).map((of) =>
      record({
        intended_offset_s: of.due / 8,
        dispatch_lag_s: of.lag / 1_024,
        sent_offset_s: of.due / 8 + of.lag / 1_024,
        end_offset_s: of.due / 8 + of.lag / 1_024 + of.length / 1_024,
        ...(of.own ? { error_code: "connect_error", error_reason: "Connect", error_msg: "EMFILE" } : {})
      })
    ),
    { maxLength: 60 }
  )

  it("is the same whether threads count together or apart", () => {
    fc.assert(
      fc.property(requests, requests, (a, b) => {
        const merged = Verdict.mergeDispatch(dispatch(a), dispatch(b))
        const whole = dispatch([...a, ...b])
        assert.deepStrictEqual({ ...merged, lag: null }, { ...whole, lag: null })
        assert.strictEqual(
          Histogram.quantile(Verdict.lagOf(merged), 0.99),
          Histogram.quantile(Verdict.lagOf(whole), 0.99)
        )
      }),
      { numRuns: 60 }
    )
  })

  it("is plain data that comes through a message to another thread unharmed", () => {
    const report = dispatch(records(3))
    assert.deepStrictEqual(Schema.decodeUnknownSync(Verdict.DispatchReport)(structuredClone(report)), report)
  })
})
