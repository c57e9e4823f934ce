import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import { Summary } from "../../src/domain/Summary.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { assertClose, mixed, openLoopOutcomes, sinkOf } from "./outcomes.ts"
import { failure, outcome, record } from "./records.ts"

const summarize = (outcomes: ReadonlyArray<RequestOutcome>, wallSeconds = 10): Summary =>
  sinkOf(outcomes).summary({ wallSeconds })

const isSummary = Schema.is(Summary)

const outcomes = fc.array(mixed, { maxLength: 40 })

/** A request of 50 tokens that was in flight between these moments. */
const at = (sent: number, end: number): RequestOutcome =>
  outcome(
    record({ sent_offset_s: sent, end_offset_s: end, end_to_end_latency_s: end - sent, number_output_tokens: 50 })
  )

/** Distributions over the requests that succeeded. */
const distributions = [
  "inter_token_latency_s",
  "ttft_s",
  "end_to_end_latency_s",
  "request_output_throughput_token_per_s",
  "number_input_tokens",
  "number_output_tokens",
  "sum_inter_token_latency_s",
  "mean_inter_token_latency_s",
  "dispatch_lag_s",
  "scheduled_ttft_s",
  "scheduled_end_to_end_latency_s",
  "inter_chunk_latency_s",
  "tokens_per_chunk",
  "time_to_first_answer_s"
] as const

/** The results that describe only what is measured: the distributions, and those with failures as infinite. */
const measuredOnly = [
  ...distributions,
  "dns_s",
  "connect_s",
  "tls_s",
  "failed_as_infinite",
  "inter_chunk_burst_share"
] as const

const total = (frequency: { readonly [name: string]: number }): number =>
  Object.values(frequency).reduce((sum, count) => sum + count, 0)

describe("SummarySink", () => {
  it("gives LLMPerf's numbers for its check vector", () => {
    const summary = summarize([0.1, 0.4, 0.35, 0.8].map((ttft_s) => outcome(record({ ttft_s }))))
    const { quantiles, mean, min, max, stddev } = summary.ttft_s
    assert.strictEqual(quantiles.p25, 0.2875)
    assert.strictEqual(quantiles.p50, 0.375)
    assert.strictEqual(quantiles.p75, 0.5)
    assert.closeTo(quantiles.p90 ?? 0, 0.68, 1e-15)
    assert.closeTo(quantiles.p95 ?? 0, 0.74, 1e-15)
    assert.closeTo(quantiles.p99 ?? 0, 0.788, 1e-15)
    assert.strictEqual(mean, 0.4125)
    assert.strictEqual(min, 0.1)
    assert.strictEqual(max, 0.8)
    assert.strictEqual(stddev, 0.28975564417856187)
  })

  it("has LLMPerf's keys first, in its order, with its shape", () => {
    const summary = summarize([outcome(record())])
    assert.deepStrictEqual(Object.keys(summary), Object.keys(Summary.fields))
    assert.deepStrictEqual(Object.keys(summary).slice(0, 13), [
      "inter_token_latency_s",
      "ttft_s",
      "end_to_end_latency_s",
      "request_output_throughput_token_per_s",
      "number_input_tokens",
      "number_output_tokens",
      "num_requests_started",
      "error_rate",
      "number_errors",
      "error_code_frequency",
      "mean_output_throughput_token_per_s",
      "num_completed_requests",
      "num_completed_requests_per_min"
    ])
    assert.deepStrictEqual(Object.keys(summary.ttft_s), ["quantiles", "mean", "min", "max", "stddev"])
    assert.deepStrictEqual(Object.keys(summary.ttft_s.quantiles), ["p25", "p50", "p75", "p90", "p95", "p99"])
  })

  it("has nothing but nulls and zeros for no requests", () => {
    const summary = summarize([], 0)
    assert.isTrue(isSummary(summary))
    assert.strictEqual(summary.num_requests_started, 0)
    assert.strictEqual(summary.error_rate, 0)
    assert.isNull(summary.ttft_s.mean)
    assert.isNull(summary.mean_output_throughput_token_per_s)
    assert.isNull(summary.littles_law.relative_difference)
    assert.deepStrictEqual(summary.error_code_frequency, {})
  })

  it("has no deviation for one request, and it is null", () => {
    const summary = summarize([outcome(record())])
    assert.isNull(summary.ttft_s.stddev)
    assert.strictEqual(summary.ttft_s.quantiles.p99, 0.1)
  })

  it("counts failures but keeps them out of every distribution and sum", () => {
    const summary = summarize([
      outcome(record({ ttft_s: 0.2, end_to_end_latency_s: 2, number_output_tokens: 30 })),
      outcome(failure(429, "RateLimited", "slow down", { ttft_s: 50, number_output_tokens: 9999 }), [50]),
      outcome(failure(429, "RateLimited", "slow down please")),
      outcome(failure("timeout_total", "Timeout", "too long")),
      outcome(failure("cancelled", "Cancelled", "stopped"))
    ])
    assert.strictEqual(summary.num_requests_started, 5)
    assert.strictEqual(summary.num_completed_requests, 1)
    assert.strictEqual(summary.number_errors, 4)
    assert.strictEqual(summary.error_rate, 0.8)
    assert.strictEqual(summary.num_failed_requests, 3)
    assert.strictEqual(summary.num_cancelled_requests, 1)
    assert.deepStrictEqual(summary.error_code_frequency, { "429": 2, cancelled: 1, timeout_total: 1 })
    assert.deepStrictEqual(Object.entries(summary.error_reason_frequency)[0], ["RateLimited", 2])
    assert.deepStrictEqual(summary.errors[0], { reason: "RateLimited", code: 429, count: 2, example: "slow down" })
    assert.strictEqual(summary.ttft_s.max, 0.2)
    assert.strictEqual(summary.inter_chunk_latency_s.count, 0)
    assert.strictEqual(summary.total_output_tokens, 30)
    assert.strictEqual(summary.mean_output_throughput_token_per_s, 3)
    assert.strictEqual(summary.num_completed_requests_per_min, 6)
  })

  it("takes a failed request for one that never ended, beside", () => {
    const good = Array.from({ length: 98 }, (_, i) => outcome(record({ ttft_s: (i + 1) / 100 })))
    const summary = summarize([
      ...good,
      outcome(failure(500, "HttpStatus", "")),
      outcome(failure(500, "HttpStatus", ""))
    ])
    const { quantiles } = summary.failed_as_infinite.ttft_s
    assert.closeTo(quantiles.p50 ?? 0, 0.505, 1e-12)
    assert.closeTo(quantiles.p95 ?? 0, 0.9505, 1e-12)
    assert.isNull(quantiles.p99)
    assert.closeTo(summary.ttft_s.quantiles.p99 ?? 0, 0.9703, 1e-12)
  })

  it("leaves out what llmperf cancelled: how long it would have taken is not known", () => {
    const good = Array.from({ length: 98 }, (_, i) => outcome(record({ ttft_s: (i + 1) / 100 })))
    const cut = Array.from({ length: 40 }, () => outcome(failure("cancelled", "Cancelled", "the test was over")))
    const summary = summarize([...good, ...cut])
    assert.deepStrictEqual(summary.failed_as_infinite.ttft_s.quantiles, summary.ttft_s.quantiles)
    assert.strictEqual(summary.num_cancelled_requests, 40)
    const withFailures = summarize([
      ...good,
      ...cut,
      ...Array.from({ length: 2 }, () => outcome(failure(500, "HttpStatus", "")))
    ])
    assert.closeTo(withFailures.failed_as_infinite.ttft_s.quantiles.p95 ?? 0, 0.9505, 1e-12)
    assert.isNull(withFailures.failed_as_infinite.ttft_s.quantiles.p99)
  })

  it("takes the rate of an open loop over the time in which it sent", () => {
    // 10/s for 10 s, and answers until 18 s
    const all = Array.from({ length: 100 }, (_, i) => at(i / 10, i / 10 + 8))
    const sink = sinkOf(all)
    const openLoop = { queued: 0, dropped: 0 }
    assert.closeTo(sink.summary({ wallSeconds: 18, openLoop }).request_rate_per_s ?? 0, 10, 1e-9)
    assert.closeTo(sink.summary({ wallSeconds: 18 }).request_rate_per_s ?? 0, 100 / 18, 1e-9)
    assert.strictEqual(sinkOf([at(1, 2)]).summary({ wallSeconds: 4, openLoop }).request_rate_per_s, 0.25)
    const [a, b] = [sinkOf(all.slice(0, 50)), sinkOf(all.slice(50))]
    a.merge(b)
    assert.closeTo(a.summary({ wallSeconds: 18, openLoop }).request_rate_per_s ?? 0, 10, 1e-9)
  })

  it("tells how many chunks came together with the one before", () => {
    const summary = summarize([
      outcome(record(), [0, 0.00005, 0.2, 0]),
      outcome(record(), [0.02, 0.02, 0.02, 0.02]),
      outcome(record({ sampled: false }), [0, 0, 0]),
      outcome(failure(500, "HttpStatus", ""), [0, 0, 0])
    ])
    assert.strictEqual(summary.inter_chunk_burst_share, 3 / 8)
    assert.isNull(summarize([outcome(record())]).inter_chunk_burst_share)
  })

  it("measures throughput over the time when requests were in flight", () => {
    // 0–2, 1–3 and 8–10 s: busy for 5 s of 20
    const summary = summarize([at(0, 2), at(8, 10), at(1, 3)], 20)
    assert.strictEqual(summary.busy_time_s, 5)
    assert.strictEqual(summary.busy_output_throughput_token_per_s, 30)
    assert.strictEqual(summary.mean_output_throughput_token_per_s, 7.5)
    assert.strictEqual(summary.max_requests_in_flight, 2)
    assert.strictEqual(summary.mean_requests_in_flight, 6 / 20)
    assert.strictEqual(summary.request_rate_per_s, 3 / 20)
    assert.closeTo(summary.littles_law.rate_times_mean_latency ?? 0, 0.3, 1e-15)
    assert.closeTo(summary.littles_law.relative_difference ?? 1, 0, 1e-12)
  })

  it("has requests that are not measured in its totals and in no distribution", () => {
    const summary = summarize([
      outcome(record({ ttft_s: 0.2, number_output_tokens: 30 }), [0.1]),
      outcome(record({ ttft_s: 70, number_output_tokens: 500, usage_output_tokens: 400, sampled: false }), [70]),
      outcome(failure(503, "HttpStatus", "busy", { sampled: false }))
    ])
    assert.strictEqual(summary.num_unsampled_requests, 2)
    assert.strictEqual(summary.num_requests_started, 3)
    assert.strictEqual(summary.num_completed_requests, 2)
    assert.strictEqual(summary.num_failed_requests, 1)
    assert.deepStrictEqual(summary.error_code_frequency, { "503": 1 })
    assert.strictEqual(summary.total_output_tokens, 530)
    assert.strictEqual(summary.total_input_tokens, 100)
    assert.strictEqual(summary.mean_output_throughput_token_per_s, 53)
    assert.strictEqual(summary.usage_output_tokens.num_requests_compared, 1)
    assert.strictEqual(summary.max_requests_in_flight, 3)
    assert.strictEqual(summary.ttft_s.max, 0.2)
    assert.strictEqual(summary.number_output_tokens.max, 30)
    assert.strictEqual(summary.inter_chunk_latency_s.count, 1)
    // The failure is not measured, so none of the measured requests is one that never ended
    assert.strictEqual(summary.failed_as_infinite.ttft_s.quantiles.p99, 0.2)
  })

  it("counts as late what was written more than 10 ms after it was due, of any outcome", () => {
    const sink = sinkOf([
      outcome(record({ dispatch_lag_s: 0 })),
      outcome(record({ dispatch_lag_s: 0.01 })),
      outcome(record({ dispatch_lag_s: 0.010_001 })),
      outcome(record({ dispatch_lag_s: 3, sampled: false })),
      outcome(failure(500, "HttpStatus", "", { dispatch_lag_s: 0.5 })),
      outcome(failure("connect_error", "Connect", "", { sent_offset_s: null, dispatch_lag_s: null }))
    ])
    const summary = sink.summary({ wallSeconds: 1, unsent: 7, openLoop: { queued: 4, dropped: 5 } })
    assert.strictEqual(summary.num_late_requests, 3)
    assert.strictEqual(summary.num_unsent_requests, 7)
    assert.strictEqual(summary.num_queued_requests, 4)
    assert.strictEqual(summary.num_dropped_requests, 5)
  })

  it("counts what was written a second time, of any outcome", () => {
    const sink = sinkOf([
      outcome(record()),
      outcome(record({ connection_retry_s: 0.001 })),
      outcome(failure("connection_lost", "ConnectionLost", "", { connection_retry_s: 0 }))
    ])
    assert.strictEqual(sink.summary({ wallSeconds: 1 }).num_retried_requests, 2)
  })

  it("has nothing late, queued or dropped where nothing is due", () => {
    for (const context of [{ wallSeconds: 1 }, { wallSeconds: 1, openLoop: null }]) {
      const summary = sinkOf([outcome(record({ dispatch_lag_s: 5 }))]).summary(context)
      assert.isNull(summary.num_late_requests)
      assert.isNull(summary.num_queued_requests)
      assert.isNull(summary.num_dropped_requests)
      assert.strictEqual(summary.num_unsent_requests, 0)
    }
    const open = sinkOf([]).summary({ wallSeconds: 0, openLoop: { queued: 0, dropped: 0 } })
    assert.strictEqual(open.num_late_requests, 0)
    assert.isTrue(isSummary(open))
  })

  it("finds that Little's law is off when failures held places", () => {
    const summary = summarize([
      outcome(record({ sent_offset_s: 0, end_offset_s: 1, end_to_end_latency_s: 1 })),
      outcome(failure("timeout_total", "Timeout", "", { sent_offset_s: 0, end_offset_s: 9 }))
    ])
    assert.strictEqual(summary.mean_requests_in_flight, 1)
    assert.strictEqual(summary.littles_law.rate_times_mean_latency, 0.1)
    assert.strictEqual(summary.littles_law.relative_difference, -0.9)
  })

  it("does not call requests that follow each other concurrent", () => {
    const after = Array.from({ length: 5 }, (_, i) => outcome(record({ sent_offset_s: i, end_offset_s: i + 1 })))
    const summary = summarize(after)
    assert.strictEqual(summary.max_requests_in_flight, 1)
    assert.strictEqual(summary.busy_time_s, 5)
  })

  it("compares its token counts with the server's", () => {
    const summary = summarize([
      outcome(record({ tokenizer_output_tokens: 100, usage_output_tokens: 100 })),
      outcome(record({ tokenizer_output_tokens: 110, usage_output_tokens: 100 })),
      // What was never streamed is nothing that the tokenizer could count
      outcome(record({ tokenizer_output_tokens: 90, usage_output_tokens: 150, hidden_reasoning_tokens: 50 })),
      outcome(record({ tokenizer_output_tokens: 5, usage_output_tokens: 0 })),
      outcome(record({ tokenizer_output_tokens: 77 })),
      outcome(record({ tokenizer_output_tokens: null, usage_output_tokens: 3 }))
    ])
    assert.deepStrictEqual(summary.usage_output_tokens, {
      num_requests_compared: 4,
      num_requests_different: 3,
      mean_relative_difference: 0.2 / 3,
      tokenizer_tokens: 305,
      server_tokens: 300
    })
    assert.strictEqual(summary.total_hidden_reasoning_tokens, 50)
    assert.strictEqual(summary.usage_input_tokens.num_requests_compared, 0)
    assert.isNull(summary.usage_input_tokens.mean_relative_difference)
  })

  it("has the share of cached input tokens, over the requests of which the server says it", () => {
    const outcomes = [
      outcome(record({ usage_input_tokens: 600, usage_cached_input_tokens: 0 })),
      outcome(record({ usage_input_tokens: 400, usage_cached_input_tokens: 384 })),
      outcome(record({ usage_input_tokens: 500 })),
      outcome(record({})),
      outcome(failure(500, "ServerError", "", { usage_input_tokens: 10, usage_cached_input_tokens: 10 }))
    ]
    const known = { num_requests: 2, total_tokens: 1_000, total_cached_tokens: 384, share: 0.384 }
    assert.deepStrictEqual(summarize(outcomes).usage_cached_input_tokens, known)
    const [one, other] = [new SummarySink.SummarySink(), new SummarySink.SummarySink()]
    for (const [i, each] of outcomes.entries()) (i % 2 === 0 ? one : other).add(each)
    const far = Result.getOrThrow(SummarySink.unpack(SummarySink.pack(other)))
    one.merge(far)
    assert.deepStrictEqual(one.summary({ wallSeconds: 1 }).usage_cached_input_tokens, known)
    assert.isNull(summarize([outcome(record({}))]).usage_cached_input_tokens.share)
  })

  it("counts tokens per chunk over the requests whose tokens are known", () => {
    const summary = summarize([
      outcome(record({ number_output_tokens: 30, number_chunks: 10, tokens_per_chunk: 3 })),
      outcome(record({ number_output_tokens: 10, number_chunks: 10, tokens_per_chunk: 1 })),
      outcome(record({ number_output_tokens: null, number_chunks: 500, tokens_per_chunk: null }))
    ])
    assert.strictEqual(summary.mean_tokens_per_chunk, 2)
    assert.strictEqual(summary.tokens_per_chunk.mean, 2)
    assert.strictEqual(summary.total_chunks, 520)
  })

  it("says whose counts the tokens are, and how many answers have none", () => {
    const byServer = (tokens: number | null) =>
      outcome(record({ token_source: "server", number_output_tokens: tokens, usage_output_tokens: tokens }))
    const undecided = outcome(
      failure("timeout_idle", "Timeout", "", { token_source: null, number_output_tokens: null })
    )
    const summary = summarize([undecided, byServer(7), byServer(null), byServer(5)])
    assert.deepInclude(summary, { token_source: "server", num_uncounted_requests: 1 })
    // What needs the tokens of every answer is not known; distributions are of those that are
    assert.deepInclude(summary, {
      total_output_tokens: null,
      mean_output_throughput_token_per_s: null,
      busy_output_throughput_token_per_s: null
    })
    assert.strictEqual(summary.number_output_tokens.mean, 6)
    assert.deepInclude(summarize([undecided, byServer(7), byServer(5)]), {
      num_uncounted_requests: 0,
      total_output_tokens: 12
    })
    assert.deepInclude(summarize([outcome(record())]), { token_source: "tokenizer", num_uncounted_requests: 0 })
    assert.deepInclude(summarize([undecided]), { token_source: null, num_uncounted_requests: 0 })
  })

  it("says of how many answers the first chunk is not known, and what share it may be", () => {
    const outcomes = [
      outcome(record({ token_source: "server", first_chunk_tokens: null, first_chunk_share: 0.1 })),
      outcome(record({ token_source: "server", first_chunk_tokens: null, first_chunk_share: 0.05 })),
      outcome(record({ token_source: "server" }))
    ]
    assert.deepInclude(summarize(outcomes), {
      num_unknown_first_chunks: 2,
      unknown_first_chunk_share: (0.1 + 0.05) / 2
    })
    assert.deepInclude(summarize([]), { num_unknown_first_chunks: 0, unknown_first_chunk_share: null })
    const sink = new SummarySink.SummarySink()
    for (const each of outcomes) sink.add(each)
    const far = Result.getOrThrow(SummarySink.unpack(SummarySink.pack(sink), { requests: 3, seconds: 10 }))
    assert.deepStrictEqual(far.summary({ wallSeconds: 1 }), sink.summary({ wallSeconds: 1 }))
  })

  it("counts why answers ended, those of failed requests not", () => {
    const ended = (reason: string | null) => outcome(record({ finish_reason: reason }))
    const { finish_reason_frequency } = summarize([
      ended("stop"),
      ended("content_filter"),
      ended("stop"),
      ended("__proto__"),
      ended(null),
      outcome(failure(500, "HttpStatus", "", { finish_reason: "length" }))
    ])
    assert.deepStrictEqual(Object.entries(finish_reason_frequency), [
      ["stop", 2],
      ["__proto__", 1],
      ["content_filter", 1]
    ])
  })

  it("does not tell apart more than 256 reasons", () => {
    const many = Array.from({ length: 300 }, (_, i) => outcome(record({ finish_reason: `reason ${i}` })))
    const { finish_reason_frequency } = summarize([...many, outcome(record({ finish_reason: "reason 0" }))])
    assert.strictEqual(Object.keys(finish_reason_frequency).length, 257)
    assert.strictEqual(finish_reason_frequency["(other)"], 44)
    assert.strictEqual(finish_reason_frequency["reason 0"], 2)
  })

  it("keeps connection times only of requests that opened a connection", () => {
    const summary = summarize([
      outcome(record({ connect_s: 0.002, dns_s: 0.001, tls_s: 0 })),
      outcome(record()),
      outcome(record())
    ])
    assert.strictEqual(summary.connect_s.count, 1)
    assert.strictEqual(summary.connect_s.max, 0.002)
    assert.strictEqual(summary.ttft_s.quantiles.p50, 0.1)
  })

  it("tells codes apart without end only up to a limit, and loses none", () => {
    const many = Array.from({ length: 1000 }, (_, i) => outcome(failure(`code ${i}`, "InStream", `message ${i}`)))
    const summary = summarize(many)
    assert.isAtMost(summary.errors.length, 257)
    const counts = Object.values(summary.error_code_frequency)
    assert.strictEqual(
      counts.reduce((sum, count) => sum + count, 0),
      1000
    )
    assert.strictEqual(summary.errors[0]?.reason, "(other)")
  })

  it("keeps the longest time that a server asked to wait", () => {
    const limited = (seconds: number | null) =>
      outcome({ ...failure(429, "RateLimited", "slow down"), retry_after_s: seconds })
    assert.deepStrictEqual(summarize([limited(null), limited(20), limited(3)]).errors, [
      { reason: "RateLimited", code: 429, count: 3, example: "slow down", retry_after_s: 20 }
    ])
  })

  it("takes any text for a code", () => {
    const summary = summarize([outcome(failure("__proto__", "InStream", "")), outcome(failure("", "InStream", ""))])
    assert.deepStrictEqual(Object.entries(summary.error_code_frequency), [
      ["", 1],
      ["__proto__", 1]
    ])
  })

  it("counts every request exactly once, and every number is finite or null", () => {
    fc.assert(
      fc.property(outcomes, fc.double({ min: 0, max: 1000 }), (all, wallSeconds) => {
        const summary = summarize(all, wallSeconds)
        assert.isTrue(isSummary(summary))
        const failed = all.filter(({ record }) => record.error_code !== null).length
        assert.strictEqual(summary.num_requests_started, all.length)
        assert.strictEqual(summary.num_completed_requests, all.length - failed)
        assert.strictEqual(summary.number_errors, failed)
        assert.strictEqual(summary.num_failed_requests + summary.num_cancelled_requests, failed)
        assert.strictEqual(total(summary.error_code_frequency), failed)
        assert.strictEqual(total(summary.error_reason_frequency), failed)
        assert.strictEqual(
          summary.errors.reduce((sum, group) => sum + group.count, 0),
          failed
        )
      })
    )
  })

  it("never lets a failure into a distribution", () => {
    fc.assert(
      fc.property(outcomes, (all) => {
        const good = all.filter(({ record }) => record.error_code === null)
        const summary = summarize(all)
        const clean = summarize(good)
        for (const key of [
          ...distributions,
          "usage_output_tokens",
          "total_output_tokens",
          "mean_output_throughput_token_per_s"
        ] as const) {
          assert.deepStrictEqual(summary[key], clean[key], key)
        }
      })
    )
  })

  it("describes the measured requests and counts all", () => {
    const openLoop = { queued: 0, dropped: 0 }
    fc.assert(
      fc.property(openLoopOutcomes, (all) => {
        const summary = sinkOf(all).summary({ wallSeconds: 7, openLoop })
        assert.isTrue(isSummary(summary))
        const measured = all.filter(({ record }) => record.sampled)
        const described = sinkOf(measured).summary({ wallSeconds: 7, openLoop })
        for (const key of measuredOnly) assert.deepStrictEqual(summary[key], described[key], key)
        // Everything else is as if all had been measured
        const counted = sinkOf(
          all.map(({ interChunkSeconds, record }) => ({ interChunkSeconds, record: { ...record, sampled: true } }))
        ).summary({ wallSeconds: 7, openLoop })
        const totals = (of: Summary) => ({
          ...of,
          ...Object.fromEntries(measuredOnly.map((key) => [key, null])),
          num_unsampled_requests: null
        })
        assert.deepStrictEqual(totals(summary), totals(counted))
        assert.strictEqual(summary.num_unsampled_requests, all.length - measured.length)
        assert.strictEqual(
          summary.num_late_requests,
          all.filter(({ record }) => record.dispatch_lag_s !== null && record.dispatch_lag_s > 0.01).length
        )
      })
    )
  })

  it("merged, with requests that are not measured, is the summary of the union", () => {
    const context = { wallSeconds: 7, unsent: 3, openLoop: { queued: 1, dropped: 2 } }
    fc.assert(
      fc.property(openLoopOutcomes, openLoopOutcomes, (left, right) => {
        const merged = sinkOf(left)
        merged.merge(sinkOf(right))
        assertClose(merged.summary(context), sinkOf([...left, ...right]).summary(context))
      })
    )
  })

  it("merged is the summary of the union", () => {
    fc.assert(
      fc.property(outcomes, outcomes, (left, right) => {
        const merged = sinkOf(left)
        merged.merge(sinkOf(right))
        assertClose(merged.summary({ wallSeconds: 7 }), summarize([...left, ...right], 7))
      })
    )
  })

  it("does not depend on the order of the requests", () => {
    // The example of a kind of failure is its first, and the failures here all say the same
    fc.assert(
      fc.property(outcomes, (all) => {
        assertClose(summarize(all.toReversed()), summarize(all))
      })
    )
  })

  it("the time in flight is what counting at every moment gives", () => {
    const interval = fc.tuple(fc.nat(30), fc.nat(8)).map(([sent, length]) => [sent, sent + length] as const)
    fc.assert(
      fc.property(fc.array(interval, { maxLength: 15 }), (intervals) => {
        const summary = summarize(
          intervals.map(([sent_offset_s, end_offset_s]) => outcome(record({ sent_offset_s, end_offset_s }))),
          1
        )
        let busy = 0
        let sum = 0
        let most = 0
        for (let t = 0; t < 40; t++) {
          const inFlight = intervals.filter(([sent, end]) => sent <= t && t + 1 <= end).length
          if (inFlight > 0) busy++
          sum += inFlight
          most = Math.max(most, inFlight)
        }
        assert.strictEqual(summary.busy_time_s, busy)
        assert.strictEqual(summary.mean_requests_in_flight, sum)
        assert.isAtLeast(summary.max_requests_in_flight, most)
      })
    )
  })
})
