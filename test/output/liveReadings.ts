import * as fc from "fast-check"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { type Reading, RunMetrics } from "../../src/metrics/RunMetrics.ts"
import { failure, record } from "../metrics/records.ts"

/** A run of four seconds so far: two requests that succeeded, one that failed, one in flight. */
export const reading = (): Reading => {
  const live = LiveStats.make()
  const metrics = new RunMetrics()
  LiveStats.start(live, 0)
  for (let i = 0; i < 4; i++) LiveStats.requestStarted(live)
  LiveStats.firstToken(live, 0.25, 0.02)
  LiveStats.chunksArrived(live, 23)
  LiveStats.gaps(live, [0, 15e6], 1)
  const ended = [
    record({ ttft_s: 0.25, end_to_end_latency_s: 1.5, dispatch_lag_s: 0.02, number_output_tokens: 16 }),
    record({ ttft_s: 3, end_to_end_latency_s: 4, inter_token_latency_s: 0.004, dispatch_lag_s: 0.0002 }),
    failure(429, "RateLimited", "slower")
  ]
  for (const one of ended) {
    LiveStats.requestEnded(live, one)
    metrics.addRecord(one)
  }
  return metrics.read({ snapshot: LiveStats.snapshot(live, 4e9), grade: "DEGRADED" })
}

/** A reading before anything has begun. */
export const nothing = (): Reading =>
  new RunMetrics().read({ snapshot: LiveStats.snapshot(LiveStats.make(), 0), grade: null })

const seconds = fc.option(fc.double({ min: 0, max: 1e5, noNaN: true }))

const anyRecord: fc.Arbitrary<RequestRecord> = fc.oneof(
  fc
    .record({
      ttft_s: seconds,
      end_to_end_latency_s: seconds,
      inter_token_latency_s: seconds,
      dispatch_lag_s: seconds,
      number_output_tokens: fc.option(fc.nat()),
      sampled: fc.boolean()
    })
    .map(record),
  fc
    .record({ code: fc.oneof(fc.string({ unit: "binary" }), fc.integer()), reason: fc.string({ unit: "binary" }) })
    .map(({ code, reason }) => failure(code, reason, ""))
)

/** Readings of any run, with any texts that a server may send as codes. */
export const anyReading: fc.Arbitrary<Reading> = fc
  .record({
    records: fc.array(anyRecord, { maxLength: 20 }),
    grade: fc.constantFrom("VALID", "DEGRADED", "INVALID", null),
    isOver: fc.boolean(),
    now: fc.integer({ min: 0, max: 1e12 })
  })
  .map(({ grade, isOver, now, records }) => {
    const live = LiveStats.make()
    const metrics = new RunMetrics()
    LiveStats.start(live, 0)
    for (const one of records) {
      LiveStats.requestStarted(live)
      LiveStats.requestEnded(live, one)
      metrics.addRecord(one)
    }
    return metrics.read({ snapshot: LiveStats.snapshot(live, now), grade, isOver })
  })
