import type { Summary } from "../../domain/Summary.ts"
import { type Numbers } from "./openMetricsNumbers.ts"

export interface Sample {
  readonly suffix: string
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

/** `name` is without the prefix of the program; the unit, where there is one, is its last part. */
export interface Family {
  readonly name: string
  readonly type: "gauge" | "summary" | "info" | "stateset"
  readonly unit: string
  readonly help: string
  readonly samples: ReadonlyArray<Sample>
}

interface Described {
  readonly name: string
  readonly unit: string
  readonly help: string
}

type Keys<Part> = { readonly [Key in keyof Summary]: Summary[Key] extends Part ? Key : never }[keyof Summary]
type Spread = { readonly quantiles: object; readonly mean: unknown }

const seconds = (stem: string, help: string): Described => ({ name: `${stem}_seconds`, unit: "seconds", help })
const ratio = (stem: string, help: string): Described => ({ name: `${stem}_ratio`, unit: "ratio", help })
const bare = (name: string, help: string): Described => ({ name, unit: "", help })

/** Each distribution of the summary. */
const distributions: { readonly [Key in Keys<Spread>]: Described } = {
  ttft_s: seconds("ttft", "Time to the first token: first content less sent"),
  inter_token_latency_s: seconds("inter_token_latency", "Mean time between two tokens of an answer"),
  end_to_end_latency_s: seconds("end_to_end_latency", "End of the answer less sent"),
  request_output_throughput_token_per_s: {
    name: "request_output_throughput_tokens_per_second",
    unit: "tokens_per_second",
    help: "Output tokens of a request by its end-to-end latency"
  },
  number_input_tokens: { name: "request_input_tokens", unit: "tokens", help: "Tokens of a prompt" },
  number_output_tokens: { name: "request_output_tokens", unit: "tokens", help: "Tokens of an answer" },
  sum_inter_token_latency_s: seconds("sum_inter_token_latency", "Last content less first content"),
  mean_inter_token_latency_s: seconds("mean_inter_token_latency", "The same as inter_token_latency"),
  dispatch_lag_s: seconds("dispatch_lag", "Sent less due: what the client itself was late by"),
  scheduled_ttft_s: seconds("scheduled_ttft", "First content less due"),
  scheduled_end_to_end_latency_s: seconds("scheduled_end_to_end_latency", "End of the answer less due"),
  inter_chunk_latency_s: seconds("inter_chunk_latency", "Gaps between the chunks of all answers"),
  tokens_per_chunk: bare("tokens_per_chunk", "Tokens of an answer by its chunks"),
  time_to_first_answer_s: seconds("time_to_first_answer", "First content that is not reasoning less sent"),
  dns_s: seconds("dns", "Finding the address, for requests that opened a connection"),
  connect_s: seconds("connect", "Opening the connection, for requests that opened one"),
  tls_s: seconds("tls", "TLS handshake, for requests that opened a connection")
}

/** Each number of the summary, under its key in the file. */
export const gauges: { readonly [key: string]: Described } = {
  num_requests_started: bare("requests_started", "Finished requests, of any outcome"),
  num_completed_requests: bare("requests_completed", "Requests that succeeded"),
  number_errors: bare("requests_with_error", "Failed and cancelled requests"),
  num_failed_requests: bare("requests_failed", "Requests that failed"),
  num_cancelled_requests: bare("requests_cancelled", "Requests that the client gave up because the run was over"),
  num_unsampled_requests: bare("requests_unsampled", "Requests that are in the totals and in no distribution"),
  num_retried_requests: bare(
    "requests_retried",
    "Requests written a second time because the server closed a kept connection before the response began"
  ),
  num_unsent_requests: bare("requests_unsent", "Planned requests that were never started"),
  num_late_requests: bare("requests_late", "Requests sent more than 10 ms after they were due"),
  num_queued_requests: bare("requests_queued", "Requests that waited for a place among those in flight"),
  num_dropped_requests: bare("requests_dropped", "Requests left out because there was no place in flight"),
  error_rate: ratio("error", "Failed and cancelled requests as a share of all"),
  num_completed_requests_per_min: {
    name: "completed_requests_per_minute",
    unit: "requests_per_minute",
    help: "Successful requests by the wall time"
  },
  request_rate_per_s: {
    name: "sent_requests_per_second",
    unit: "requests_per_second",
    help: "Requests sent by the wall time, in an open loop by the time from the first to the last"
  },
  mean_output_throughput_token_per_s: {
    name: "output_throughput_tokens_per_second",
    unit: "tokens_per_second",
    help: "Output tokens of successful requests by the wall time"
  },
  busy_output_throughput_token_per_s: {
    name: "busy_output_throughput_tokens_per_second",
    unit: "tokens_per_second",
    help: "Output tokens of successful requests by the time in which requests were in flight"
  },
  total_input_tokens: { name: "input_tokens", unit: "tokens", help: "Tokens of the prompts of successful requests" },
  total_output_tokens: { name: "output_tokens", unit: "tokens", help: "Tokens of successful answers" },
  num_uncounted_requests: bare("requests_uncounted", "Requests that succeeded and whose output tokens are not known"),
  num_requests_without_content: bare("requests_without_content", "Requests that succeeded with nothing in the answer"),
  total_hidden_reasoning_tokens: {
    name: "hidden_reasoning_tokens",
    unit: "tokens",
    help: "Reasoning that the server counted and did not stream"
  },
  num_unknown_first_chunks: bare(
    "requests_first_chunk_unknown",
    "Requests of which it is not known how many tokens came with the first chunk"
  ),
  unknown_first_chunk_share: ratio(
    "first_chunk_unknown",
    "Share of their tokens that these may be: inter-token latency may be low by as much"
  ),
  total_chunks: bare("chunks", "Chunks of successful answers"),
  inter_chunk_burst_share: ratio(
    "burst_chunk",
    "Chunks that came together with the one before, as a share of all but the first"
  ),
  mean_tokens_per_chunk: bare("mean_tokens_per_chunk", "Output tokens by chunks, over all successful answers"),
  usage_output_tokens_num_requests_compared: bare(
    "usage_output_requests_compared",
    "Requests whose answer was counted by the server too"
  ),
  usage_output_tokens_num_requests_different: bare(
    "usage_output_requests_different",
    "Those of them where the server counted otherwise"
  ),
  usage_output_tokens_mean_relative_difference: ratio(
    "usage_output_mean_difference",
    "Mean difference of the two counts of an answer, as a share of the server's"
  ),
  usage_output_tokens_tokenizer_tokens: {
    name: "usage_output_tokenizer_tokens",
    unit: "tokens",
    help: "Tokens of these answers by the tokenizer"
  },
  usage_output_tokens_server_tokens: {
    name: "usage_output_server_tokens",
    unit: "tokens",
    help: "Tokens of these answers by the server"
  },
  usage_input_tokens_num_requests_compared: bare(
    "usage_input_requests_compared",
    "Requests whose prompt was counted by the server too"
  ),
  usage_input_tokens_num_requests_different: bare(
    "usage_input_requests_different",
    "Those of them where the server counted otherwise"
  ),
  usage_input_tokens_mean_relative_difference: ratio(
    "usage_input_mean_difference",
    "Mean difference of the two counts of a prompt, as a share of the server's"
  ),
  usage_input_tokens_tokenizer_tokens: {
    name: "usage_input_tokenizer_tokens",
    unit: "tokens",
    help: "Tokens of these prompts by the tokenizer"
  },
  usage_input_tokens_server_tokens: {
    name: "usage_input_server_tokens",
    unit: "tokens",
    help: "Tokens of these prompts by the server"
  },
  usage_cached_input_tokens_num_requests: bare(
    "usage_cached_input_requests",
    "Requests of which the server says how much of the prompt was cached"
  ),
  usage_cached_input_tokens_total_tokens: {
    name: "usage_input_tokens",
    unit: "tokens",
    help: "Tokens of their prompts as the server counts them"
  },
  usage_cached_input_tokens_total_cached_tokens: {
    name: "cached_input_tokens",
    unit: "tokens",
    help: "Those of them that the server had in its cache"
  },
  usage_cached_input_tokens_share: ratio("cached_input", "Cached input tokens as a share of all of these prompts"),
  wall_time_s: seconds("wall_time", "From the start of the test to its end"),
  busy_time_s: seconds("busy_time", "Time in which at least one request was in flight"),
  mean_requests_in_flight: bare("mean_requests_in_flight", "Requests in flight, mean over the wall time"),
  max_requests_in_flight: bare("max_requests_in_flight", "The most requests in flight at one moment"),
  littles_law_rate_times_mean_latency: bare(
    "expected_requests_in_flight",
    "Rate of successful requests times their mean latency"
  ),
  littles_law_relative_difference: ratio(
    "littles_law_difference",
    "Expected less measured requests in flight, as a share of the measured"
  ),
  quantile_error: ratio("quantile_error", "By how much of itself a quantile may be off at most")
}

const quantiles = [
  ["p25", "0.25"],
  ["p50", "0.5"],
  ["p75", "0.75"],
  ["p90", "0.9"],
  ["p95", "0.95"],
  ["p99", "0.99"],
  ["p999", "0.999"]
] as const

const statistics = [
  ["mean", "mean"],
  ["min", "smallest value"],
  ["max", "largest value"],
  ["stddev", "sample standard deviation"]
] as const

const sample = (value: number, labels: Sample["labels"] = {}, suffix = ""): Sample => ({ suffix, labels, value })

/** `ttft_seconds` with `mean` is `ttft_mean_seconds`: the unit stays last. */
const withPart = ({ name, unit }: Described, part: string): string =>
  unit === "" ? `${name}_${part}` : `${name.slice(0, -unit.length)}${part}_${unit}`

const quantileSamples = (key: string, number: Numbers, otherwise: number | null): ReadonlyArray<Sample> =>
  quantiles.flatMap(([name, quantile]) => {
    const value = number(`${key}_quantiles_${name}`) ?? (name === "p999" ? null : otherwise)
    return value === null ? [] : [sample(value, { quantile })]
  })

/** The sum is written where the number of values is known. */
const countSamples = (key: string, number: Numbers): ReadonlyArray<Sample> => {
  const count = number(`${key}_count`)
  const mean = number(`${key}_mean`)
  if (count === null || mean === null) return []
  return [sample(mean * count, {}, "_sum"), sample(count, {}, "_count")]
}

const ofDistribution = (key: string, described: Described, number: Numbers): ReadonlyArray<Family> => [
  {
    ...described,
    type: "summary",
    samples: [...quantileSamples(key, number, null), ...countSamples(key, number)]
  },
  ...statistics.map(([part, words]): Family => {
    const value = number(`${key}_${part}`)
    return {
      name: withPart(described, part),
      unit: described.unit,
      type: "gauge",
      help: `${described.help}: ${words}`,
      samples: value === null ? [] : [sample(value)]
    }
  })
]

/** With failures counted as infinite, what is not known is infinite, unless no request has succeeded or failed at all. */
const failedAsInfinite = (key: "ttft_s" | "end_to_end_latency_s", number: Numbers): Family => {
  const { help, unit } = distributions[key]
  return {
    name: withPart(distributions[key], "failed_as_infinite"),
    unit,
    type: "summary",
    help: `${help}; infinite for a request that failed`,
    samples: isThere(key, number) ? quantileSamples(`failed_as_infinite_${key}`, number, Infinity) : []
  }
}

const isThere = (key: string, number: Numbers): boolean =>
  number("quantile_error") !== null &&
  (number(`${key}_mean`) !== null || (number("num_failed_requests") ?? 0) > (number("num_unsampled_requests") ?? 0))

/** Everything that the summary holds as numbers, in a fixed order. */
export const families = (number: Numbers): ReadonlyArray<Family> => [
  ...Object.entries(distributions).flatMap(([key, described]) => ofDistribution(key, described, number)),
  failedAsInfinite("ttft_s", number),
  failedAsInfinite("end_to_end_latency_s", number),
  ...Object.entries(gauges).map(([key, { help, name, unit }]): Family => {
    const value = number(key)
    return { name, type: "gauge", unit, help, samples: value === null ? [] : [sample(value)] }
  })
]
