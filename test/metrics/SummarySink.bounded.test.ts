import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Schema from "effect/Schema"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import { Summary } from "../../src/domain/Summary.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { assertClose, openLoopOutcomes, sinkOf } from "./outcomes.ts"
import { failure, outcome, record } from "./records.ts"

const context = { wallSeconds: 7, unsent: 3, openLoop: { queued: 1, dropped: 2 } }
const histograms = { exactValues: 0 }
const isSummary = Schema.is(Summary)

/** The results that come from columns. */
const columns = [
  "inter_token_latency_s",
  "sum_inter_token_latency_s",
  "mean_inter_token_latency_s",
  "ttft_s",
  "end_to_end_latency_s",
  "request_output_throughput_token_per_s",
  "number_input_tokens",
  "number_output_tokens",
  "dispatch_lag_s",
  "scheduled_ttft_s",
  "scheduled_end_to_end_latency_s",
  "tokens_per_chunk",
  "time_to_first_answer_s",
  "dns_s",
  "connect_s",
  "tls_s"
] as const

/** What is not exact once there are histograms. */
const inexact = [...columns, "failed_as_infinite", "quantile_error", "busy_time_s", "max_requests_in_flight"]

const without = (summary: Summary, keys: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(summary).filter(([key]) => !keys.includes(key)))

const numbers = (object: object): ReadonlyArray<readonly [string, number | null]> =>
  Object.entries(object).map(([key, value]) => [key, typeof value === "number" ? value : null] as const)

/** Every quantile within 0.1 % of the exact one; nothing smaller than `smallest` is told from zero. */
const assertQuantiles = (actual: object, exact: object, smallest: number, path: string): void => {
  const others = new Map(numbers(exact))
  for (const [name, value] of numbers(actual)) {
    const expected = others.get(name) ?? null
    if (value === null || expected === null) assert.strictEqual(value, expected, `${path}.${name}`)
    else {
      const allowed = SummarySink.QUANTILE_ERROR * Math.abs(expected) + smallest
      assert.isAtMost(Math.abs(value - expected), allowed, `${path}.${name}`)
    }
  }
}

const logUniform = (min: number, max: number) =>
  fc.double({ min: Math.log(min), max: Math.log(max), noNaN: true }).map(Math.exp)

/** Requests whose numbers have all sizes that occur, and more. */
const wild = fc
  .record({
    seconds: logUniform(1e-6, 100_000),
    rate: logUniform(0.001, 1e7),
    tokens: fc.oneof(fc.nat(2_000), fc.nat(3_000_000)),
    sampled: fc.boolean(),
    failed: fc.boolean()
  })
  .map(({ failed, rate, sampled, seconds, tokens }): RequestOutcome => {
    if (failed) return outcome(failure(500, "HttpStatus", "no", { sampled }))
    return outcome(
      record({
        inter_token_latency_s: seconds,
        sum_inter_token_latency_s: seconds,
        mean_inter_token_latency_s: seconds,
        ttft_s: seconds,
        end_to_end_latency_s: seconds,
        request_output_throughput_token_per_s: rate,
        number_input_tokens: tokens,
        number_output_tokens: tokens,
        dispatch_lag_s: seconds,
        scheduled_ttft_s: seconds,
        scheduled_end_to_end_latency_s: seconds,
        tokens_per_chunk: rate,
        time_to_first_answer_s: null,
        dns_s: seconds,
        sampled
      })
    )
  })

describe("beyond the values that are kept", () => {
  it("quantiles are within 0.1 %, those with failures as infinite too, and all else is as before", () => {
    fc.assert(
      fc.property(fc.array(wild, { maxLength: 60 }), (outcomes) => {
        const exact = sinkOf(outcomes).summary(context)
        const summary = sinkOf(outcomes, histograms).summary(context)
        assert.isTrue(isSummary(summary))
        assertClose(without(summary, inexact), without(exact, inexact))
        for (const key of columns) {
          const { quantiles, ...moments } = summary[key]
          const { quantiles: exactQuantiles, ...exactMoments } = exact[key]
          assertQuantiles(quantiles, exactQuantiles, 1e-12, key)
          for (const [name, value] of numbers(moments)) {
            const expected = new Map(numbers(exactMoments)).get(name) ?? null
            if (value === null || expected === null) assert.strictEqual(value, expected, `${key}.${name}`)
            // Relative to the largest: what rounding leaves of a spread of nothing
            else assert.closeTo(value, expected, 1e-7 * Math.abs(exact[key].max ?? 0), `${key}.${name}`)
          }
        }
        for (const key of ["ttft_s", "end_to_end_latency_s"] as const) {
          const { quantiles } = summary.failed_as_infinite[key]
          assertQuantiles(quantiles, exact.failed_as_infinite[key].quantiles, 1e-12, key)
        }
      }),
      { numRuns: 40 }
    )
  })

  it("counts of tokens are whole, exact below 1,024, and of any size", () => {
    const lengths = [1, 2, 511, 512, 513, 1_000, 1_023, 1_024, 4_097, 200_001, 1_048_577, 30_000_001]
    for (const tokens of lengths) {
      // Neither the smallest nor the largest, which are kept
      const all = [0, tokens, tokens, tokens, tokens * 2].map((number_output_tokens) =>
        outcome(record({ number_output_tokens }))
      )
      const { max, quantiles } = sinkOf(all, histograms).summary(context).number_output_tokens
      const { p50 } = quantiles
      assert.isTrue(Number.isInteger(p50))
      assert.isAtMost(Math.abs((p50 ?? 0) - tokens), tokens < 1_024 ? 0 : tokens / 1_024)
      assert.strictEqual(max, tokens * 2)
    }
  })

  it("begins for each number when there are more of it, and is told", () => {
    const outcomes = Array.from({ length: 12 }, (_, i) =>
      outcome(record({ ttft_s: i, connect_s: i < 10 ? i : null, number_output_tokens: i < 11 ? i : null }))
    )
    const within = sinkOf(outcomes.slice(0, 10), { exactValues: 10 }).summary(context)
    assert.strictEqual(within.quantile_error, 0)
    const beyond = sinkOf(outcomes, { exactValues: 10 }).summary(context)
    assert.strictEqual(beyond.quantile_error, 0.001)
    assert.strictEqual(beyond.connect_s.quantiles.p50, 4.5)
    assert.notStrictEqual(beyond.ttft_s.quantiles.p50, 5.5)
    assert.closeTo(beyond.ttft_s.quantiles.p50 ?? 0, 5.5, 0.0055)
  })

  it("merged is the union, whichever side is exact", () => {
    const limit = fc.constantFrom(0, 3, 15, 1_000)
    fc.assert(
      fc.property(openLoopOutcomes, openLoopOutcomes, limit, limit, (left, right, exactValues, other) => {
        const merged = sinkOf(left, { exactValues })
        merged.merge(sinkOf(right, { exactValues: other }))
        // A side that is a histogram already can't be anything else afterwards
        const expected = sinkOf([...left, ...right], { exactValues })
        const summary = merged.summary(context)
        if (other >= exactValues) return assertClose(summary, expected.summary(context))
        assertClose(without(summary, inexact), without(expected.summary(context), inexact))
        for (const key of columns) {
          assertQuantiles(
            summary[key].quantiles,
            sinkOf([...left, ...right]).summary(context)[key].quantiles,
            1e-6,
            key
          )
        }
      }),
      { numRuns: 30 }
    )
  })

  it("merged with itself is twice the same", () => {
    for (const exactValues of [0, 5, 15, 100]) {
      const outcomes = Array.from({ length: 10 }, (_, i) =>
        outcome(record({ ttft_s: i, sent_offset_s: i, end_offset_s: i + 1 }))
      )
      const sink = sinkOf(outcomes, { exactValues })
      sink.merge(sink)
      assertClose(sink.summary(context), sinkOf([...outcomes, ...outcomes], { exactValues }).summary(context))
    }
  })
})

describe("requests in flight", () => {
  it("are counted in a grid when there are more than are kept", () => {
    // 50 at a time, for 400 s
    const outcomes = Array.from({ length: 20_000 }, (_, i) => {
      const sent = Math.floor(i / 50) + (i % 50) / 1_000
      return outcome(record({ sent_offset_s: sent, end_offset_s: sent + 0.9999 }))
    })
    const exact = sinkOf(outcomes).summary(context)
    const summary = sinkOf(outcomes, { exactValues: 1_000 }).summary(context)
    assert.strictEqual(summary.max_requests_in_flight, 50)
    assert.isTrue(summary.busy_time_s >= exact.busy_time_s && summary.busy_time_s < exact.busy_time_s + 0.01)
    assert.closeTo(summary.mean_requests_in_flight ?? 0, exact.mean_requests_in_flight ?? 1, 1e-9)
    assert.strictEqual(summary.request_rate_per_s, exact.request_rate_per_s)
  })
})
