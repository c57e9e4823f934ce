/**
 * What became of one request: a row of the results.
 *
 * The names are those of the files: first LLMPerf's, then our own. All times are seconds. What is not known is `null`.
 * The definitions are in `docs/metrics.md`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TokenSource } from "./TokenSource.ts"

const Seconds = Schema.NullOr(Schema.Finite)
const Count = Schema.NullOr(Schema.Int)
/** Version 0.1 wrote down what servers gave as counts, whatever it was. What is no count is read as not known. */
const ServerCount = Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))).pipe(
  Schema.catchDecoding(() => Effect.succeedSome(null))
)

/**
 * A row of `records.ndjson` and of `…_individual_responses.json`, keys in this order.
 *
 * - `error_code` is `null` when the request succeeded; `error_msg` is then `""`
 * - `start_time` and `end_time` are epoch seconds: written to the socket, end of the response stream
 * - `intended_offset_s`, `sent_offset_s`, `end_offset_s` are seconds after the start of the run
 * - `dispatch_lag_s` = `sent_offset_s` − `intended_offset_s`; the `scheduled_…` latencies count from the intended moment
 * - `dns_s`, `connect_s`, `tls_s` are set when a connection was opened for this request
 * - `connection_retry_s`: only there when the request was written twice, because the server closed the kept connection before
 *   the response began: so long after it was written there that was known. All other times count from the second time
 * - `token_source`: whose count `number_output_tokens` is; `null` for a request that ended before that was decided
 * - `tokenizer_output_tokens` is the tokenizer's count of the text; `usage_…` are the server's own counts, `null` where it
 *   gave none, or something else than a whole number from 0
 * - `first_chunk_tokens`: how many tokens came at the moment of the first, by whoever counts; `null` when that is not known
 * - `first_chunk_share`: only there when the server counts, does not say how many tokens came at the moment of the first, and these may
 *   be several: their share of all. Time per token may be low by as much
 * - `hidden_reasoning_tokens`: those of `usage_output_tokens` that were never streamed; `null` when the server says nothing of reasoning
 * - `sampled` is `false` for a request that counts in the totals only
 * - `credential_renewed`: `true` when the server rejected the credential and the request was written once more with another; its
 *   times are those of the second attempt. There is no such key otherwise
 * - `agent`: which one sent it, of several on other machines; there is no such key otherwise
 *
 * @category models
 * @since 0.1.0
 */
export const RequestRecord = Schema.Struct({
  error_code: Schema.NullOr(Schema.Union([Schema.Finite, Schema.String])),
  error_msg: Schema.String,
  inter_token_latency_s: Seconds,
  sum_inter_token_latency_s: Seconds,
  mean_inter_token_latency_s: Seconds,
  ttft_s: Seconds,
  end_to_end_latency_s: Seconds,
  start_time: Seconds,
  end_time: Seconds,
  request_output_throughput_token_per_s: Seconds,
  number_total_tokens: Count,
  number_output_tokens: Count,
  number_input_tokens: Schema.Int,
  request_id: Schema.Int,
  x_request_id: Schema.NullOr(Schema.String),
  error_reason: Schema.NullOr(Schema.String),
  status: Count,
  finish_reason: Schema.NullOr(Schema.String),
  target_input_tokens: Schema.Int,
  target_output_tokens: Count,
  intended_offset_s: Schema.Finite,
  sent_offset_s: Seconds,
  end_offset_s: Schema.Finite,
  dispatch_lag_s: Seconds,
  scheduled_ttft_s: Seconds,
  scheduled_end_to_end_latency_s: Seconds,
  time_to_first_answer_s: Seconds,
  dns_s: Seconds,
  connect_s: Seconds,
  tls_s: Seconds,
  connection_retry_s: Schema.optionalKey(Schema.Finite),
  number_chunks: Schema.Int,
  tokens_per_chunk: Seconds,
  max_inter_chunk_latency_s: Seconds,
  token_source: Schema.NullOr(TokenSource),
  tokenizer_output_tokens: Count,
  first_chunk_tokens: Count,
  first_chunk_share: Schema.optionalKey(Schema.Finite),
  hidden_reasoning_tokens: Count,
  usage_input_tokens: ServerCount,
  usage_output_tokens: ServerCount,
  usage_cached_input_tokens: ServerCount,
  usage_reasoning_tokens: ServerCount,
  retry_after_s: Seconds,
  rate_limit: Schema.NullOr(Schema.Record(Schema.String, Schema.String)),
  sampled: Schema.Boolean,
  credential_renewed: Schema.optionalKey(Schema.Boolean),
  agent: Schema.optionalKey(Schema.String)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface RequestRecord extends Schema.Schema.Type<typeof RequestRecord> {}

/**
 * A finished request: its row, and the gaps between the chunks of its answer in seconds (empty below two chunks), which
 * are pooled into one distribution and then dropped.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOutcome {
  readonly record: RequestRecord
  readonly interChunkSeconds: Float64Array
}
