import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import { type Summary } from "../../src/domain/Summary.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import { failure, outcome, record } from "../metrics/records.ts"

/** A small run: twelve requests that succeeded, three that failed, one that was cancelled. Times are dyadic fractions. */
export const outcomes: ReadonlyArray<RequestOutcome> = [
  ...Array.from({ length: 12 }, (_, i) => {
    const ttft = (10 + i) / 64
    const tokens = 20 + 3 * i
    const tail = (tokens - 1) / 64
    const endToEnd = ttft + tail
    const sent = i / 4
    const lag = i / 1024
    return outcome(
      record({
        request_id: i + 1,
        x_request_id: `demo-${i + 1}`,
        inter_token_latency_s: 1 / 64,
        sum_inter_token_latency_s: tail,
        mean_inter_token_latency_s: 1 / 64,
        ttft_s: ttft,
        end_to_end_latency_s: endToEnd,
        start_time: 1_700_000_000 + sent,
        end_time: 1_700_000_000 + sent + endToEnd,
        request_output_throughput_token_per_s: tokens / endToEnd,
        number_total_tokens: 550 + i + tokens,
        number_output_tokens: tokens,
        tokenizer_output_tokens: tokens,
        number_input_tokens: 550 + i,
        target_input_tokens: 550 + i,
        target_output_tokens: tokens,
        intended_offset_s: sent - lag,
        sent_offset_s: sent,
        end_offset_s: sent + endToEnd,
        dispatch_lag_s: lag,
        scheduled_ttft_s: lag + ttft,
        scheduled_end_to_end_latency_s: lag + endToEnd,
        time_to_first_answer_s: ttft,
        dns_s: i === 0 ? 0 : null,
        connect_s: i === 0 ? 1 / 2048 : null,
        tls_s: i === 0 ? 0 : null,
        number_chunks: tokens,
        max_inter_chunk_latency_s: 1 / 64,
        usage_input_tokens: 560 + i,
        usage_output_tokens: tokens + (i % 3 === 0 ? 1 : 0)
      }),
      Array.from({ length: tokens - 1 }, () => 1 / 64)
    )
  }),
  outcome(
    failure(429, "RateLimited", "HTTP 429: slow down", {
      request_id: 13,
      x_request_id: "demo-13",
      sent_offset_s: 1,
      end_offset_s: 1.5,
      retry_after_s: 2,
      rate_limit: { "retry-after": "2" }
    })
  ),
  outcome(
    failure(429, "RateLimited", "HTTP 429: slow down", {
      request_id: 14,
      x_request_id: "demo-14",
      sent_offset_s: 2,
      end_offset_s: 2.5
    })
  ),
  outcome(
    failure("connect_error", "Connect", 'Could not connect: "refused"\né', {
      request_id: 15,
      x_request_id: "demo-15",
      status: null,
      start_time: null,
      sent_offset_s: null,
      end_offset_s: 2.75,
      dispatch_lag_s: null
    })
  ),
  outcome(
    failure("cancelled", "Cancelled", "The time of the test was over", {
      request_id: 16,
      x_request_id: "demo-16",
      sent_offset_s: 3,
      end_offset_s: 4,
      ttft_s: 0.25,
      number_output_tokens: 3,
      number_chunks: 3
    })
  )
]

export const summaryOf = (outcomes: ReadonlyArray<RequestOutcome>, wallSeconds: number): Summary => {
  const sink = new SummarySink()
  for (const each of outcomes) sink.add(each)
  return sink.summary({ wallSeconds })
}
