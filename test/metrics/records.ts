import { type RequestOutcome, type RequestRecord } from "../../src/domain/RequestRecord.ts"

/** A request that succeeded: sent at 0, first token after 0.1 s, end after 1 s, 10 tokens in 10 chunks. */
export const record = (overrides: Partial<RequestRecord> = {}): RequestRecord => ({
  error_code: null,
  error_msg: "",
  inter_token_latency_s: 0.1,
  sum_inter_token_latency_s: 0.9,
  mean_inter_token_latency_s: 0.1,
  ttft_s: 0.1,
  end_to_end_latency_s: 1,
  start_time: 1_700_000_000,
  end_time: 1_700_000_001,
  request_output_throughput_token_per_s: 10,
  number_total_tokens: 60,
  number_output_tokens: 10,
  number_input_tokens: 50,
  request_id: 1,
  x_request_id: "run-1",
  error_reason: null,
  status: 200,
  finish_reason: "stop",
  target_input_tokens: 50,
  target_output_tokens: 10,
  intended_offset_s: 0,
  sent_offset_s: 0,
  end_offset_s: 1,
  dispatch_lag_s: 0,
  scheduled_ttft_s: 0.1,
  scheduled_end_to_end_latency_s: 1,
  time_to_first_answer_s: 0.1,
  dns_s: null,
  connect_s: null,
  tls_s: null,
  number_chunks: 10,
  tokens_per_chunk: 1,
  max_inter_chunk_latency_s: 0.1,
  token_source: "tokenizer",
  tokenizer_output_tokens: 10,
  first_chunk_tokens: 1,
  hidden_reasoning_tokens: null,
  usage_input_tokens: null,
  usage_output_tokens: null,
  usage_cached_input_tokens: null,
  usage_reasoning_tokens: null,
  retry_after_s: null,
  rate_limit: null,
  sampled: true,
  ...overrides
})

/** A request that failed after 0.5 s without an answer. */
export const failure = (
  code: number | string,
  reason: string,
  message: string,
  overrides: Partial<RequestRecord> = {}
): RequestRecord =>
  record({
    error_code: code,
    error_msg: message,
    error_reason: reason,
    status: typeof code === "number" ? code : null,
    inter_token_latency_s: null,
    sum_inter_token_latency_s: null,
    mean_inter_token_latency_s: null,
    ttft_s: null,
    end_to_end_latency_s: 0.5,
    end_time: 1_700_000_000.5,
    end_offset_s: 0.5,
    request_output_throughput_token_per_s: null,
    number_total_tokens: 50,
    number_output_tokens: 0,
    tokenizer_output_tokens: 0,
    first_chunk_tokens: null,
    scheduled_ttft_s: null,
    scheduled_end_to_end_latency_s: 0.5,
    time_to_first_answer_s: null,
    number_chunks: 0,
    tokens_per_chunk: null,
    max_inter_chunk_latency_s: null,
    finish_reason: null,
    ...overrides
  })

export const outcome = (record: RequestRecord, gaps: ReadonlyArray<number> = []): RequestOutcome => ({
  record,
  interChunkSeconds: Float64Array.from(gaps)
})
