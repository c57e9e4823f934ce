import { assert } from "@effect/vitest"
import * as fc from "fast-check"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { failure, outcome, record } from "./records.ts"

export const sinkOf = (
  outcomes: ReadonlyArray<RequestOutcome>,
  options: SummarySink.Options = {}
): SummarySink.SummarySink => {
  const sink = new SummarySink.SummarySink(options)
  for (const each of outcomes) sink.add(each)
  return sink
}

const ok = fc
  .record({
    ttft: fc.double({ min: 0.001, max: 5, noNaN: true }),
    tail: fc.double({ min: 0, max: 20, noNaN: true }),
    sent: fc.double({ min: 0, max: 100, noNaN: true }),
    tokens: fc.integer({ min: 0, max: 500 }),
    usage: fc.option(fc.integer({ min: 0, max: 500 })),
    hidden: fc.option(fc.integer({ min: 0, max: 50 })),
    source: fc.constantFrom("server" as const, "tokenizer" as const),
    ending: fc.option(fc.constantFrom("stop", "length", "content_filter", "__proto__")),
    gaps: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 })
  })
  .map(({ ttft, tail, sent, tokens, usage, hidden, source, ending, gaps }) =>
    outcome(
      record({
        ttft_s: ttft,
        end_to_end_latency_s: ttft + tail,
        sent_offset_s: sent,
        end_offset_s: sent + ttft + tail,
        token_source: source,
        number_output_tokens: source === "tokenizer" ? tokens : usage,
        hidden_reasoning_tokens: hidden,
        finish_reason: ending,
        tokenizer_output_tokens: tokens,
        usage_output_tokens: usage,
        number_chunks: gaps.length + 1
      }),
      gaps
    )
  )
const bad = fc
  .record({
    code: fc.oneof(fc.integer({ min: 400, max: 599 }), fc.string({ maxLength: 10 })),
    reason: fc.constantFrom("HttpStatus", "Timeout", "Cancelled"),
    ttft: fc.option(fc.double({ min: 1000, max: 2000, noNaN: true })),
    sent: fc.option(fc.double({ min: 0, max: 100, noNaN: true }))
  })
  .map(({ code, reason, ttft, sent }) =>
    outcome(
      failure(code, reason, "failed", {
        ttft_s: ttft,
        number_output_tokens: 100_000,
        sent_offset_s: sent,
        end_offset_s: (sent ?? 0) + 0.5
      }),
      [1000]
    )
  )

/** Requests of which a fifth did not succeed. */
export const mixed = fc.oneof({ weight: 4, arbitrary: ok }, { weight: 1, arbitrary: bad })

/** Requests of an open loop, some of which are not measured and some late. */
export const openLoopOutcomes = fc.array(
  fc
    .record({
      each: mixed,
      sampled: fc.boolean(),
      lag: fc.oneof(fc.double({ min: 0, max: 0.02, noNaN: true }), fc.constant(SummarySink.LATE_SECONDS))
    })
    .map(({ each, sampled, lag }): RequestOutcome => {
      const { interChunkSeconds, record } = each
      return {
        record: { ...record, sampled, dispatch_lag_s: record.sent_offset_s === null ? null : lag },
        interChunkSeconds
      }
    }),
  { maxLength: 40 }
)

/** Equal but for rounding: sums depend on the order in which they are formed. */
export const assertClose = (actual: unknown, expected: unknown, path = "summary"): void => {
  if (typeof actual === "number" && typeof expected === "number") {
    assert.closeTo(actual, expected, 1e-9 * Math.max(1, Math.abs(expected)), path)
  } else if (typeof actual === "object" && actual !== null && typeof expected === "object" && expected !== null) {
    assert.deepStrictEqual(Object.keys(actual), Object.keys(expected), path)
    const others = new Map(Object.entries(expected))
    for (const [key, value] of Object.entries(actual)) assertClose(value, others.get(key), `${path}.${key}`)
  } else {
    assert.strictEqual(actual, expected, path)
  }
}
