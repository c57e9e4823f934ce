/**
 * What a run comes to: the numbers of `…_summary.json`.
 *
 * The keys stand nested here and are joined with `_` in the file (`ttft_s` → `quantiles` → `p50` becomes
 * `results_ttft_s_quantiles_p50`). LLMPerf's come first, with its names and in its order; ours follow. All times are
 * seconds. What cannot be computed is `null`; no number is ever NaN or infinite. The definitions are in
 * `docs/metrics.md`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { TokenSource } from "./TokenSource.ts"

const Num = Schema.NullOr(Schema.Finite)

const quantiles = { p25: Num, p50: Num, p75: Num, p90: Num, p95: Num, p99: Num }

/**
 * The six quantiles of LLMPerf, by linear interpolation between order statistics (type 7).
 *
 * @category models
 * @since 0.1.0
 */
export const Quantiles = Schema.Struct(quantiles)

/**
 * @category models
 * @since 0.1.0
 */
export interface Quantiles extends Schema.Schema.Type<typeof Quantiles> {}

/**
 * A distribution over the requests that succeeded, as LLMPerf reports it. `stddev` is the sample standard deviation
 * (n − 1), `null` for a single value. Everything is `null` when there is no value.
 *
 * @category models
 * @since 0.1.0
 */
export const Distribution = Schema.Struct({
  quantiles: Quantiles,
  mean: Num,
  min: Num,
  max: Num,
  stddev: Num
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Distribution extends Schema.Schema.Type<typeof Distribution> {}

/**
 * A distribution of our own: LLMPerf's keys, the 99.9 % quantile and the number of values.
 *
 * @category models
 * @since 0.1.0
 */
export const DetailedDistribution = Schema.Struct({
  quantiles: Schema.Struct({ ...quantiles, p999: Num }),
  mean: Num,
  min: Num,
  max: Num,
  stddev: Num,
  count: Schema.Int
})

/**
 * @category models
 * @since 0.1.0
 */
export interface DetailedDistribution extends Schema.Schema.Type<typeof DetailedDistribution> {}

/**
 * How often each name occurs. In files the most frequent name comes first; an object in memory keeps no such order.
 *
 * @category models
 * @since 0.1.0
 */
export const Frequency = Schema.Record(Schema.String, Schema.Int)

/**
 * @category models
 * @since 0.1.0
 */
export type Frequency = typeof Frequency.Type

/**
 * Failures of one kind: how many, and the message of the first. `retry_after_s`: the longest that the server asked to wait, only there
 * where it did.
 *
 * @category models
 * @since 0.1.0
 */
export const ErrorGroup = Schema.Struct({
  reason: Schema.String,
  code: Schema.NullOr(Schema.Union([Schema.Finite, Schema.String])),
  count: Schema.Int,
  example: Schema.String,
  retry_after_s: Schema.optionalKey(Schema.Finite)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface ErrorGroup extends Schema.Schema.Type<typeof ErrorGroup> {}

/**
 * The tokenizer's counts against the server's `usage`, over the successful requests for which both are known.
 * `mean_relative_difference` is the mean of |tokenizer's − server's| / server's, over those where the server's is not 0;
 * `tokenizer_tokens` and `server_tokens` are the sums over all compared.
 *
 * @category models
 * @since 0.1.0
 */
export const UsageComparison = Schema.Struct({
  num_requests_compared: Schema.Int,
  num_requests_different: Schema.Int,
  mean_relative_difference: Num,
  tokenizer_tokens: Schema.Int,
  server_tokens: Schema.Int
})

/**
 * @category models
 * @since 0.1.0
 */
export interface UsageComparison extends Schema.Schema.Type<typeof UsageComparison> {}

/**
 * Input tokens that the server had in its cache, over the successful requests whose `usage` says both how many tokens the prompt has
 * and how many of them were cached. `share` is cached / all, as the server counts; `null` when no answer says so.
 *
 * @category models
 * @since 0.2.0
 */
export const CachedInput = Schema.Struct({
  num_requests: Schema.Int,
  total_tokens: Schema.Int,
  total_cached_tokens: Schema.Int,
  share: Num
})

/**
 * @category models
 * @since 0.2.0
 */
export interface CachedInput extends Schema.Schema.Type<typeof CachedInput> {}

/**
 * The results of a run, keys in the order of the file.
 *
 * - `quantile_error`: by how much of itself a quantile above may be off at most: 0 when all values were kept, 0.001 when there were
 *   so many that histograms took their place. The gaps between chunks are always in a histogram
 * - `token_source`: whose counts the output tokens are; `null` when no request succeeded
 * - `num_uncounted_requests`: successful requests whose output tokens are not known: those without `usage` where the server counts.
 *   From the first of them on, what needs the tokens of every answer is `null`: `total_output_tokens`,
 *   `mean_output_throughput_token_per_s` and `busy_output_throughput_token_per_s`; distributions are of the counted ones
 * - `num_requests_without_content`: successful requests whose answer had nothing in it: they have no TTFT
 * - `num_unknown_first_chunks`: measured requests of which it is not known how many tokens came with the first chunk, where these may be
 *   several; `unknown_first_chunk_share`: the mean share of their tokens that these may be: inter-token latency may be low by as much
 * - `total_hidden_reasoning_tokens`: generated and never streamed, by the server's count; in no other number
 * - `finish_reason_frequency`: of the successful requests
 * - `num_unsampled_requests`: requests that are in the totals and in no distribution
 * - `num_retried_requests`: written a second time, because the server closed a kept connection before the response began
 * - `num_unsent_requests`: planned requests that were never started, the dropped ones included
 * - `num_late_requests`: written to the socket more than 10 ms after they were due; `num_queued_requests`: waited for a place
 *   among those in flight; `num_dropped_requests`: left out because there was none. All three `null` in a closed loop, where
 *   nothing is due
 * - `failed_as_infinite`: with requests that failed as ones that never ended; those that llmperf cancelled itself are left out
 * - `inter_chunk_burst_share`: of all chunks but the first of each answer, the share that came together with the one before
 *
 * @category models
 * @since 0.1.0
 */
export const Summary = Schema.Struct({
  inter_token_latency_s: Distribution,
  ttft_s: Distribution,
  end_to_end_latency_s: Distribution,
  request_output_throughput_token_per_s: Distribution,
  number_input_tokens: Distribution,
  number_output_tokens: Distribution,
  num_requests_started: Schema.Int,
  error_rate: Schema.Finite,
  number_errors: Schema.Int,
  error_code_frequency: Frequency,
  mean_output_throughput_token_per_s: Num,
  num_completed_requests: Schema.Int,
  num_completed_requests_per_min: Num,

  sum_inter_token_latency_s: Distribution,
  mean_inter_token_latency_s: Distribution,

  dispatch_lag_s: DetailedDistribution,
  scheduled_ttft_s: DetailedDistribution,
  scheduled_end_to_end_latency_s: DetailedDistribution,
  inter_chunk_latency_s: DetailedDistribution,
  tokens_per_chunk: DetailedDistribution,
  time_to_first_answer_s: DetailedDistribution,
  dns_s: DetailedDistribution,
  connect_s: DetailedDistribution,
  tls_s: DetailedDistribution,
  failed_as_infinite: Schema.Struct({
    ttft_s: Schema.Struct({ quantiles: Quantiles }),
    end_to_end_latency_s: Schema.Struct({ quantiles: Quantiles })
  }),
  quantile_error: Schema.Finite,

  num_failed_requests: Schema.Int,
  num_cancelled_requests: Schema.Int,
  num_unsampled_requests: Schema.Int,
  num_retried_requests: Schema.Int,
  num_unsent_requests: Schema.Int,
  num_late_requests: Schema.NullOr(Schema.Int),
  num_queued_requests: Schema.NullOr(Schema.Int),
  num_dropped_requests: Schema.NullOr(Schema.Int),
  error_reason_frequency: Frequency,
  errors: Schema.Array(ErrorGroup),

  finish_reason_frequency: Frequency,

  token_source: Schema.NullOr(TokenSource),
  num_uncounted_requests: Schema.Int,
  num_requests_without_content: Schema.Int,
  total_hidden_reasoning_tokens: Schema.Int,
  num_unknown_first_chunks: Schema.Int,
  unknown_first_chunk_share: Num,
  total_input_tokens: Schema.Int,
  total_output_tokens: Schema.NullOr(Schema.Int),
  total_chunks: Schema.Int,
  inter_chunk_burst_share: Num,
  mean_tokens_per_chunk: Num,
  usage_output_tokens: UsageComparison,
  usage_input_tokens: UsageComparison,
  usage_cached_input_tokens: CachedInput,

  wall_time_s: Num,
  busy_time_s: Schema.Finite,
  busy_output_throughput_token_per_s: Num,
  request_rate_per_s: Num,
  mean_requests_in_flight: Num,
  max_requests_in_flight: Schema.Int,
  littles_law: Schema.Struct({
    rate_times_mean_latency: Num,
    relative_difference: Num
  })
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Summary extends Schema.Schema.Type<typeof Summary> {}
