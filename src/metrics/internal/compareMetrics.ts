import type { DistributionKey, RequestSeries } from "../RequestSeries.ts"

/** What a number is of: seconds, tokens, or a share of one. */
export type Unit = "s" | "tokens" | "tokens/s" | "1/s" | "1/min" | "share"

interface Named {
  readonly key: string
  readonly label: string
  readonly unit: Unit
  /** Which way is an improvement; `null` where neither is. */
  readonly better: "lower" | "higher" | null
}

export interface DistributionMetric extends Named {
  readonly kind: "distribution"
  readonly key: DistributionKey
}

/** A sum over all requests, for each second of the run or for each request; `null` where it is not known of all. */
export interface RatioMetric extends Named {
  readonly kind: "ratio"
  readonly per: "second" | "request"
  readonly numerators: (series: RequestSeries) => Float64Array | null
}

export type Metric = DistributionMetric | RatioMetric

const distribution = (
  key: DistributionKey,
  label: string,
  unit: Unit,
  better: Metric["better"]
): DistributionMetric => ({ kind: "distribution", key, label, unit, better })

export const metrics: ReadonlyArray<Metric> = [
  distribution("ttft_s", "TTFT", "s", "lower"),
  distribution("inter_token_latency_s", "inter-token latency", "s", "lower"),
  distribution("end_to_end_latency_s", "end-to-end latency", "s", "lower"),
  distribution("request_output_throughput_token_per_s", "request throughput", "tokens/s", "higher"),
  distribution("scheduled_ttft_s", "scheduled TTFT", "s", "lower"),
  distribution("scheduled_end_to_end_latency_s", "scheduled end-to-end latency", "s", "lower"),
  distribution("dispatch_lag_s", "dispatch lag", "s", "lower"),
  distribution("time_to_first_answer_s", "time to first answer", "s", "lower"),
  distribution("number_input_tokens", "input tokens", "tokens", null),
  distribution("number_output_tokens", "output tokens", "tokens", null),
  {
    kind: "ratio",
    key: "mean_output_throughput_token_per_s",
    label: "output throughput",
    unit: "tokens/s",
    better: "higher",
    per: "second",
    numerators: ({ outputTokens, uncounted }) => (uncounted > 0 ? null : outputTokens)
  },
  {
    kind: "ratio",
    key: "request_rate_per_s",
    label: "request rate",
    unit: "1/s",
    better: null,
    per: "second",
    numerators: ({ sent }) => sent
  },
  {
    kind: "ratio",
    key: "num_completed_requests_per_min",
    label: "completed requests",
    unit: "1/min",
    better: "higher",
    per: "second",
    numerators: ({ succeeded }) => succeeded.map((one) => one * 60)
  },
  {
    kind: "ratio",
    key: "error_rate",
    label: "error rate",
    unit: "share",
    better: "lower",
    per: "request",
    numerators: ({ failed }) => failed
  }
]

export const keys: ReadonlyArray<string> = metrics.map(({ key }) => key)

export const byKey = (key: string): Metric | undefined => metrics.find((metric) => metric.key === key)
