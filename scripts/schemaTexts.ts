/**
 * What the keys of our files mean, for `docs/schemas/`. A key has the same meaning in every file it stands in, unless a file has
 * texts of its own. Times are seconds (s) unless something else is said.
 */

export interface Texts {
  readonly [key: string]: string
}

export const record: Texts = {
  error_code:
    "null when the request succeeded. An HTTP status, the code a server gave in the stream, or a name such as timeout_total",
  error_msg: "What went wrong; empty when the request succeeded",
  inter_token_latency_s: "(Last content − first content) / (output tokens − 1), in s; null below two tokens",
  sum_inter_token_latency_s: "Last content − first content, in s",
  mean_inter_token_latency_s: "The same as inter_token_latency_s, in s",
  ttft_s: "Time to first token: first content − sent, in s",
  end_to_end_latency_s: "End of the answer, or the failure, − sent, in s",
  start_time: "When the request was written to the socket, in s since 1970; null when it never was",
  end_time: "When its answer ended or it failed, in s since 1970",
  request_output_throughput_token_per_s: "Output tokens / end-to-end latency, in tokens per s",
  number_total_tokens: "Input and output tokens",
  number_output_tokens: "Tokens of the generated text, reasoning and tool arguments included",
  number_input_tokens: "Tokens of the prompt that was sent",
  request_id: "1, 2, 3, … in the order of the plan",
  x_request_id: "The header that was sent: <run id>-<request id>",
  error_reason: "The kind of the failure, such as Connect, Timeout or RateLimited; null when the request succeeded",
  status: "HTTP status; null when there was no response",
  finish_reason: "Why the answer ended, as the server gave it",
  target_input_tokens: "Tokens that the prompt was to have",
  target_output_tokens: "Tokens that the server was asked for; null when it was given no number",
  intended_offset_s: "When the request was due, in s after the start of the run",
  sent_offset_s: "When it was written to the socket, in s after the start of the run; null when it never was",
  end_offset_s: "When its answer ended or it failed, in s after the start of the run",
  dispatch_lag_s: "Sent − due, in s",
  scheduled_ttft_s: "First content − due, in s",
  scheduled_end_to_end_latency_s: "End − due, in s",
  time_to_first_answer_s: "First content that is not reasoning − sent, in s",
  dns_s: "Finding the address, in s; null when no connection was opened for this request",
  connect_s: "Opening the TCP connection, in s; null when none was opened for this request",
  tls_s: "TLS handshake, in s; null when no connection was opened for this request",
  number_chunks: "Pieces of generated text, as the server sent them",
  tokens_per_chunk: "Output tokens / chunks",
  max_inter_chunk_latency_s: "The longest gap between two chunks, in s",
  usage_input_tokens: "Tokens of the prompt by the server's own count",
  usage_output_tokens: "Tokens of the answer by the server's own count",
  usage_cached_input_tokens: "Tokens of the prompt that the server had in its cache, by its own count",
  usage_reasoning_tokens: "Tokens of reasoning by the server's own count",
  retry_after_s: "How long the server asked to wait, in s",
  rate_limit: "The headers retry-after and x-ratelimit-*, as they came",
  sampled: "false for a request that is in the totals and in no distribution",
  credential_renewed:
    "`true` when the server rejected the credential and the request was sent once more with another; there is no such key otherwise",
  agent: "Which agent sent it, of several on other machines; there is no such key otherwise"
}

export const correctness: Texts = {
  expected: "The number that was asked for",
  verdict: "What the answer is: with the right number, with others, with none, or no answer because the request failed",
  generated_text: "The answer, without reasoning; what had arrived, for a request that failed"
}

export const correctnessResponse: Texts = {
  ...correctness,
  metrics: "The measurements of the request",
  request_config: "What was asked",
  model: "The model that was asked",
  prompt: "The prompt, and its length in tokens",
  sampling_params: "The sampling parameters that were sent",
  llm_api: "The kind of endpoint",
  metadata: "What the prompt was made of",
  rnd_number: "The number that was asked for"
}

export const correctnessSummary: Texts = {
  number_errors: "Requests that failed or were cancelled",
  num_mismatched_requests: "Answers without the right number",
  error_rate: "number_errors / num_completed_requests",
  mismatch_rate: "num_mismatched_requests / num_completed_requests",
  num_completed_requests: "Requests that ended, those that failed among them",
  num_non_errored_requests: "Requests that were answered",
  num_correct_requests: "Answers with the right number",
  num_no_number_requests: "Of the mismatches, those without any number",
  answer_mismatch_rate: "num_mismatched_requests / num_non_errored_requests"
}

/** Of the results by their names in domain/Summary.ts; the distributions of what stands in a record have its text. */
export const summary: Texts = {
  inter_chunk_latency_s: "Gaps between the chunks of all answers, in s",
  num_requests_started: "Finished requests, of any outcome",
  error_rate: "Failed and cancelled requests / requests started, from 0 to 1",
  number_errors: "Failed and cancelled requests",
  error_code_frequency: "How often each error_code occurs, the most frequent first",
  mean_output_throughput_token_per_s: "Output tokens of successful requests / wall time, in tokens per s",
  num_completed_requests: "Requests that succeeded",
  num_completed_requests_per_min: "Successful requests / wall time, per minute",
  failed_as_infinite_ttft_s:
    "TTFT with every request that did not succeed counted as infinite, in s; null where infinite",
  failed_as_infinite_end_to_end_latency_s:
    "End-to-end latency with every request that did not succeed counted as infinite, in s; null where infinite",
  quantile_error: "By how much of itself a quantile may be off at most; inter_chunk_latency_s always by 0.001",
  num_failed_requests: "Requests that failed",
  num_cancelled_requests: "Requests that llmperf gave up because the run was over",
  num_unsampled_requests: "Requests that are in the totals and in no distribution",
  num_unsent_requests: "Planned requests that were never started, the dropped ones included",
  num_late_requests: "Written to the socket more than 10 ms after they were due; null where nothing is due",
  num_queued_requests: "Waited for a place among those in flight; null where nothing is due",
  num_dropped_requests: "Left out because there was no place in flight; null where nothing is due",
  error_reason_frequency: "How often each kind of failure occurs, the most frequent first",
  errors: "The failures by kind, the most frequent first",
  total_input_tokens: "Tokens of the prompts of successful requests",
  total_output_tokens: "Tokens of successful answers",
  total_chunks: "Chunks of successful answers",
  mean_tokens_per_chunk: "Output tokens / chunks, over all successful answers",
  usage_output_tokens: "Our count of an answer against the server's",
  usage_input_tokens: "Our count of a prompt against the server's",
  wall_time_s: "From the start of the test to its end, in s",
  busy_time_s: "Time in which at least one request was in flight, in s",
  busy_output_throughput_token_per_s: "Output tokens of successful requests / busy time, in tokens per s",
  request_rate_per_s: "Requests sent / wall time, per s",
  mean_requests_in_flight: "Requests in flight, mean over the wall time",
  max_requests_in_flight: "The most requests in flight at one moment",
  littles_law_rate_times_mean_latency: "Successful requests / wall time × their mean end-to-end latency, in requests",
  littles_law_relative_difference: "(rate × mean latency − mean in flight) / mean in flight"
}

/** The last part of the name of a number within a group; it stands before what the group is. */
export const parts: Texts = {
  quantiles_p25: "25 % quantile",
  quantiles_p50: "Median",
  quantiles_p75: "75 % quantile",
  quantiles_p90: "90 % quantile",
  quantiles_p95: "95 % quantile",
  quantiles_p99: "99 % quantile",
  quantiles_p999: "99.9 % quantile",
  mean: "Mean",
  min: "Smallest value",
  max: "Largest value",
  stddev: "Sample standard deviation",
  count: "Number of values",
  p50_s: "Median, in s",
  p99_s: "99 % quantile, in s",
  p999_s: "99.9 % quantile, in s",
  max_s: "Largest value, in s",
  num_requests_compared: "Requests with both counts",
  num_requests_different: "Those of them where the counts differ",
  mean_relative_difference: "Mean of |ours − the server's| / the server's"
}

export const errorGroup: Texts = {
  reason: "The kind of the failure",
  code: "Its error_code",
  count: "How many there were",
  example: "The message of the first"
}

/** What a summary says besides results: values of --metadata may stand in the place of most. */
export const about: Texts = {
  version: "The version of LLMPerf's format",
  name: "The name of the file, without .json",
  model: "The model that was asked",
  mean_input_tokens: "Tokens of a prompt, mean of what was asked for",
  stddev_input_tokens: "Tokens of a prompt, standard deviation of what was asked for",
  mean_output_tokens: "Tokens of an answer, mean of what was asked for",
  stddev_output_tokens: "Tokens of an answer, standard deviation of what was asked for",
  num_concurrent_requests: "Requests in flight; null in an open loop, scheduled for a schedule",
  num_launched: "Requests of the schedule that are measured",
  num_unsampled: "Requests of the schedule that are not measured",
  schedule_file: "The schedule, as it was given",
  results_subdir: "The folder of the run; null when nothing is saved",
  run_id: "The run",
  llm_api: "The kind of endpoint",
  tokenizer: "What tokens were counted with",
  prompt_mode: "How prompts were made",
  seed: "What decided everything drawn",
  test: "correctness for a correctness test",
  max_num_completed_requests: "Requests that were to be sent",
  timeout_s: "The time of the whole test, in s; null for none",
  request_timeout_s: "The time of one request, in s; null for none",
  start_time: "The start of the run, in s since 1970",
  stopped: "Why the run ended early, such as timeout; recovered when it was killed; null when it ended by itself",
  analysis_from_s: "llmperf analyze: requests sent before this were left out, in s after the start",
  analysis_to_s: "llmperf analyze: requests sent then or later were left out, in s after the start; null for the end",
  analysis_skip_first: "llmperf analyze: so many requests of the plan were left out",
  analysis_only: "llmperf analyze: which requests are measured; null as in the run",
  analysis_num_requests_left_out: "llmperf analyze: requests with a record that are not in these numbers",
  timestamp: "When the file was written, in s since 1970"
}

/** What stands under names that begin so. */
export const begins: Texts = {
  additional_sampling_params: "What was given with --additional-sampling-params, flattened",
  schedule_changes: "What was changed of the schedule, flattened",
  verdict_limits: "A limit of the verdict that is not the usual one; null for never",
  health_own_errors: "Requests that failed by the fault of the client, with this code"
}

/** How the run was made: keys that not every summary has. */
export const run: Texts = {
  network_tls_verified: "Whether certificates were verified",
  network_ca: "The file of the authorities that certificates were verified with; null for those of the system",
  network_client_certificate: "The file of the client's certificate; null when it had none",
  network_http2: "Whether HTTP/2 was spoken",
  network_proxy: "The proxy between, without its password; null for none",
  workers: "How many threads or agents sent",
  requests_per_worker: "How many requests each of them was given",
  partial: "Whether one of them was lost, so that these are the results of a part",
  lost_requests: "The ids of the requests that were lost with them",
  start_spread_s: "From the first agent that began to send to the last, in s",
  agents: "The agents on other machines",
  otlp_url: "The collector that spans were sent to",
  otlp_sent_spans: "Spans of requests that it has taken",
  otlp_dropped_spans: "Spans that were left out: too many waited, or no time was left at the end",
  otlp_failed_spans: "Spans that it refused, or did not take for a minute",
  otlp_last_problem: "What went wrong last with spans; null for nothing",
  warmup: "null when there was no warm-up",
  warmup_rehearsed_requests: "Exchanges of the warm-up with a server of our own",
  warmup_opened_connections: "Connections that the warm-up opened to the server",
  warmup_requests: "Real requests of the warm-up",
  warmup_failed_requests: "Those of them that failed",
  warmup_duration_s: "How long the warm-up took, in s",
  inexact_prompts: "Prompts that have not the length that was asked for",
  redrawn_input_tokens: "Lengths of prompts that were drawn again because they were below the least",
  redrawn_output_tokens: "Lengths of answers that were drawn again because they were below 1",
  repeated_prompts: "Prompts that were sent before in this run",
  request_rate: "The rate of an open loop, as it was asked for",
  arrival: "The arrival process of an open loop",
  burstiness: "The shape of gamma arrivals; null for others",
  burst_size: "Requests at the same moment, of arrivals in bursts; null for others",
  duration_s: "How long requests were to arrive, in s; null for no limit",
  schedule_format: "The format that the schedule was read in",
  max_in_flight: "Open loop: the most requests that could be in flight; null for no limit",
  when_full: "Open loop: what became of a request that found no place; null for no limit",
  max_sampled_requests_per_second: "Open loop: how many requests of each second were measured; null for all",
  thresholds: "What had to hold of these results, and what became of it"
}

/** The objects in the lists of a summary. */
export const lists: Texts = {
  threshold: "As it was given",
  passed: "Whether it was met",
  check: "The name of the limit",
  what: "What was measured, in words",
  value: "What was measured; of a threshold null where there is no such number",
  unit: "s, or share: 1 is all",
  limit: "The limit it is above",
  slices: "When in the run it was so; empty when it shows only over the whole run",
  from_s: "In s after the start of the run",
  to_s: "In s after the start of the run",
  advice: "What to do about it",
  checks: "The limits that were exceeded",
  verdict: "VALID, DEGRADED or INVALID",
  name: "What it is called",
  host: "The name of its machine",
  version: "Its version of llmperf",
  cores: "Processors of its machine",
  memory_bytes: "Memory of its machine, in bytes",
  open_files: "How many files it may have open; null when that is not known",
  requests: "Requests that it sent",
  missing_rows: "Requests whose rows could not be fetched from it",
  clock_offset_s: "Its clock less ours, in s",
  clock_round_trip_s: "How long a question to it took, in s: the offset may be wrong by half of it",
  clock_drift_s: "By how much the offset changed during the run, in s",
  started_s: "When it began to send, in s after the start; null when it did not",
  dispatch_lag_s: "Sent − due, of the requests that it sent, in s",
  quantiles: "Quantiles, in s",
  p25: "25 % quantile",
  p50: "Median",
  p75: "75 % quantile",
  p90: "90 % quantile",
  p95: "95 % quantile",
  p99: "99 % quantile",
  p999: "99.9 % quantile",
  mean: "Mean",
  min: "Smallest value",
  max: "Largest value",
  stddev: "Sample standard deviation",
  count: "Number of values",
  verdict_reasons: "Why its verdict is not VALID",
  lost: "Why it was lost; null when it was not",
  lost_requests: "The ids of the requests that it held when it was lost"
}

/** The verdict, what it was judged by, and the calibration: nothing of --metadata stands in their place. */
export const client: Texts = {
  verdict: "Whether these numbers are the server's: VALID, DEGRADED or INVALID",
  verdict_reasons: "Why the verdict is not VALID, the worst first",
  verdict_slices: "The verdict of every slice of time, neighbours that are alike as one",
  health_watched: "Whether the client was watched; what was not watched is null",
  health_threads: "Threads that sent",
  health_cpu_count: "Processors that the process may use",
  health_slice_s: "The length of a slice, in s",
  health_loop_delay_s: "Delay of the event loop, over all moments and threads, in s",
  health_loop_utilization: "Share of the time in which the event loop was at work",
  health_events_waiting: "Share of the events that were there before the loop asked",
  health_gc_count: "Garbage collections",
  health_gc_total_s: "All of their pauses, in s",
  health_gc_longest_s: "The longest of their pauses, in s",
  health_process_cores: "Processors that the process kept busy",
  health_machine_cpu: "Share of the machine's processors in use",
  health_steal: "Share of processor time that the host gave to other machines",
  health_rss_max_bytes: "Memory of the process, the most, in bytes",
  health_free_memory_min: "Share of the memory that was left, the least",
  health_connections_max: "Connections open at a time, the most",
  health_open_file_limit: "How many files the process may have open",
  health_client_lag_s: "Lag of the client without the opening of connections, over all requests sent, in s",
  health_late_requests: "Requests that the client sent more than 10 ms late",
  health_very_late_requests: "Requests that the client sent more than 100 ms late",
  health_opened_connections: "Requests that waited for a connection to be opened",
  health_connection_wait_s: "How long they waited, in s",
  calibration_measured_at: "When the calibration was made, ISO 8601; null, as all of it, when none fits this run",
  calibration_other_programs_share: "Share of all processors that other programs took meanwhile",
  calibration_in_flight: "Requests in flight at which it was measured",
  calibration_requests_per_s: "Requests per s at which it was measured",
  calibration_tokens_per_s: "Tokens per s at which it was measured",
  calibration_added_ttft: "What the client adds to TTFT",
  calibration_added_inter_token_latency: "What the client adds to the gap between two tokens",
  calibration_token_delay: "From the moment a token was sent to the client's stamp",
  calibration_lag: "From the moment a request was due to the client's stamp"
}

export const manifest: Texts = {
  format: "The version of this format",
  run_id: "The run",
  files: "The names of the two files at the end, without .json",
  summary: "The name of the summary",
  individual_responses: "The name of the individual responses",
  results_prefix: "What stands before each result in the summary",
  start_time: "Before the start of the run, in s since 1970",
  planned: "Requests that were to be sent; null when that is not known",
  open_loop: "Whether requests have due times",
  parameters: "What was asked for, as in the summary and not flattened",
  details: "More about the run, as in the summary and not flattened",
  metadata: "What was given with --metadata"
}

export const sentLine: Texts = {
  request_id: "The row of the schedule, from 1",
  scheduled_offset_s: "When the request was due, in s after the start of the run",
  dispatch_offset_s: "When it was written to the socket, in s after the start of the run; null when it never was",
  dispatch_lag_s: "The difference, in s",
  dispatch_ts_utc: "The time of writing, UTC",
  response_offset_s: "When its answer ended or it failed, in s after the start of the run",
  response_ts_utc: "The time of that, UTC",
  input_tokens: "Tokens of the prompt that was sent",
  output_tokens: "Tokens of the answer",
  unsampled: "Stands only in the line of a request that is not measured"
}

export const calibration: Texts = {
  format: "The version of this format",
  machine: "What it holds for",
  cpu_model: "The processor",
  cpu_count: "Processors",
  memory_bytes: "Memory, in bytes",
  os: "The operating system",
  node_version: "The version of Node.js",
  llmperf_version: "The version of llmperf",
  limits: "What the machine can do at most; null when that was not measured",
  measured_at: "When, ISO 8601",
  requests: "Of limits: the most requests per s with answers of one token. Of a load: requests that were sent",
  tokens: "The most tokens per s from a server that sends as fast as it can",
  paced_tokens: "The most tokens per s of streams at a pace that all arrived in time",
  paced_itl_s: "That pace, in s per token",
  per_s: "The most that was reached, per s",
  in_flight: "Requests in flight, at most",
  limit: "What was full",
  loads: "The loads that were measured",
  shape: "What was asked for",
  kind: "A closed loop keeps a number in flight, an open loop a rate",
  concurrency: "Requests in flight of a closed loop",
  requests_per_s: "Requests per s",
  input_tokens: "Tokens of a prompt, mean",
  output_tokens: "Tokens of an answer, mean",
  ttft_s: "Of a shape: the server's time to the first token. Of what is added: that of TTFT. In s",
  itl_s: "The server's time per token, in s",
  weight: "What was really carried",
  tokens_per_s: "Tokens received per s",
  duration_s: "How long it was measured, in s",
  failed_requests: "Requests that failed or were cancelled",
  lost_tokens: "Tokens of complete answers that the client did not stamp",
  added: "What lies between the server and what the client says of it",
  request_path_s: "From the client's stamp to the server's of the arrival, in s",
  answer_path_s: "From the server's stamp before the first token to the client's of it, in s",
  inter_token_latency_s: "Of every gap, the client's less the server's, in s",
  token_delay_s: "Of every token, from the server's stamp to the client's, in s",
  server_wait_s: "What an arrival stamp of the server may be late by, in s",
  server_write_s: "How long the kernel took to take a token, in s",
  lag_s: "From the moment a request was due to the client's stamp, in s",
  count: "Number of values",
  p50: "Median, in s",
  p99: "99 % quantile, in s",
  p999: "99.9 % quantile, in s",
  max: "Largest value, in s",
  busy: "What was at work, from 0 to 1",
  client: "Share of the time in which the client's main thread had something to do",
  server: "Share of the time in which the server's main thread had something to do",
  others: "Share of all processors that other programs took"
}
