import * as Schema from "effect/Schema"
import { bounds, type Buckets, collapse, Phase, type Reading } from "../../metrics/RunMetrics.ts"
import { Grade } from "../../metrics/Verdict.ts"
import * as Exposition from "./exposition.ts"

/** What is known of a run before it begins. `info`: more labels of `llmperf_run_info`; `planned`: how many requests there are. */
export const Run = Schema.Struct({
  runId: Schema.String,
  model: Schema.String,
  version: Schema.String,
  planned: Schema.NullOr(Schema.Int),
  info: Schema.Record(Schema.String, Schema.String)
})

export interface Run extends Schema.Schema.Type<typeof Run> {}

interface Described {
  readonly name: string
  readonly unit: "" | "seconds" | "tokens"
  readonly help: string
}

interface Point {
  readonly labels: Exposition.Labels
  readonly value: number
}

/** A metric, whatever the format: its `name` has no prefix and ends in its unit. */
export type Metric = Described &
  (
    | { readonly type: "counter" | "gauge" | "info" | "stateset"; readonly points: ReadonlyArray<Point> }
    | { readonly type: "histogram"; readonly buckets: Buckets }
    | { readonly type: "summary"; readonly quantiles: ReadonlyArray<readonly [quantile: number, value: number]> }
  )

/** Labels of every sample. */
export const labelsOf = ({ model, runId }: Run): Exposition.Labels => ({ model, run_id: runId })

/** Everything that is told of a run while it goes. The names are those of finished runs where the thing is the same. */
export const metricsOf = (run: Run, reading: Reading): ReadonlyArray<Metric> => {
  const { grade, phase, requests } = reading
  return [
    {
      ...described("run", "", "What the run is"),
      type: "info",
      points: [{ labels: { version: run.version, ...run.info }, value: 1 }]
    },
    {
      ...described("run_phase", "", "How far the run is"),
      type: "stateset",
      points: Phase.literals.map((each) => ({
        labels: { llmperf_run_phase: each },
        value: each === phase ? 1 : 0
      }))
    },
    {
      ...described("verdict", "", "Whether the numbers are the server's or the client's, so far"),
      type: "stateset",
      points:
        grade === null
          ? []
          : Grade.literals.map((each) => ({ labels: { llmperf_verdict: each }, value: each === grade ? 1 : 0 }))
    },
    gauge("verdict_grade", "", "The verdict so far: 0 VALID, 1 DEGRADED, 2 INVALID", gradeOf(grade)),
    gauge("wall_time_seconds", "seconds", "Since the start of the test", reading.elapsedSeconds),
    gauge("requests_planned", "", "Requests that there will be", run.planned),
    gauge("requests_in_flight", "", "Requests sent and not yet ended", reading.inFlight),
    counter("requests_started", "", "Requests that were begun", reading.started),
    counter("requests_completed", "", "Requests that succeeded", reading.completed),
    counter("requests_failed", "", "Requests that failed", reading.failed),
    counter("requests_cancelled", "", "Requests that the client gave up because the run was over", reading.cancelled),
    counter(
      "requests_uncounted",
      "",
      "Requests that succeeded and whose output tokens are not known",
      reading.uncounted
    ),
    counter("requests_late", "", "Requests sent more than 10 ms after they were due", reading.late),
    counter("requests_queued", "", "Requests that waited for a place among those in flight", reading.queued),
    counter("requests_dropped", "", "Requests left out because there was no place in flight", reading.dropped),
    {
      ...described("errors", "", "Requests that did not succeed, by kind"),
      type: "counter",
      points: reading.errors.map(({ code, count, reason }) => ({
        labels: { reason, ...(code === "" ? {} : { code }) },
        value: count
      }))
    },
    counter("input_tokens", "tokens", "Tokens of the prompts of successful requests", reading.inputTokens),
    counter("output_tokens", "tokens", "Tokens of successful answers, of those that are known", reading.outputTokens),
    counter("chunks", "", "Chunks of successful answers", reading.chunks),
    counter("chunks_received", "", "Chunks with content of all answers, as they come", reading.chunksReceived),
    counter(
      "usage_input_tokens",
      "tokens",
      "Tokens of prompts as the server counts them, where it says how many were cached",
      reading.cacheableTokens
    ),
    counter("cached_input_tokens", "tokens", "Those of them that the server had in its cache", reading.cachedTokens),
    histogram("ttft_seconds", "seconds", TTFT, requests.ttft, bounds.ttft),
    histogram(
      "inter_token_latency_seconds",
      "seconds",
      "Mean time between two tokens of an answer",
      requests.interTokenLatency
    ),
    histogram("end_to_end_latency_seconds", "seconds", "End of the answer less sent", requests.endToEndLatency),
    histogram("dispatch_lag_seconds", "seconds", LAG, requests.dispatchLag),
    histogram("request_input_tokens", "tokens", "Tokens of a prompt", requests.inputTokens),
    histogram("request_output_tokens", "tokens", "Tokens of an answer", requests.outputTokens),
    recent("ttft_recent_seconds", TTFT, reading.recentTtft),
    recent("inter_chunk_latency_recent_seconds", "Gaps between the chunks of all answers", reading.recentGap),
    recent("dispatch_lag_recent_seconds", LAG, reading.recentLag)
  ]
}

/** As text of the one format or the other. */
export const text = (run: Run, reading: Reading, format: Exposition.Format): string =>
  Exposition.text(
    metricsOf(run, reading).map((metric) => familyOf(metric, format)),
    labelsOf(run),
    format
  )

const TTFT = "Time to the first token: first content less sent"
const LAG = "Sent less due: what the client itself was late by"

const described = (name: string, unit: Described["unit"], help: string): Described => ({ name, unit, help })

const counter = (name: string, unit: Described["unit"], help: string, value: number): Metric => ({
  ...described(name, unit, help),
  type: "counter",
  points: [{ labels: {}, value }]
})

const gauge = (name: string, unit: Described["unit"], help: string, value: number | null): Metric => ({
  ...described(name, unit, help),
  type: "gauge",
  points: value === null ? [] : [{ labels: {}, value }]
})

const histogram = (
  name: string,
  unit: Described["unit"],
  help: string,
  buckets: Buckets,
  bounds: ReadonlyArray<number> = buckets.bounds
): Metric => ({ ...described(name, unit, help), type: "histogram", buckets: collapse(buckets, bounds) })

const recent = (name: string, help: string, recent: Reading["recentTtft"]): Metric => ({
  ...described(name, "seconds", `${help}, of the last ten seconds`),
  type: "summary",
  quantiles:
    recent === null
      ? []
      : [
          [0.5, recent.p50],
          [0.99, recent.p99]
        ]
})

const gradeOf = (grade: Grade | null): number | null => (grade === null ? null : Grade.literals.indexOf(grade))

const familyOf = (metric: Metric, format: Exposition.Format): Exposition.Family => {
  const { help, name, type, unit } = metric
  return { name, type, unit, help, samples: samplesOf(metric, format) }
}

const samplesOf = (metric: Metric, format: Exposition.Format): ReadonlyArray<Exposition.Sample> => {
  switch (metric.type) {
    case "histogram":
      return samplesOfBuckets(metric.buckets, format)
    case "summary":
      return metric.quantiles.map(([quantile, value]) => ({
        suffix: "",
        labels: { quantile: Exposition.bound(quantile, format) },
        value
      }))
    default: {
      const suffix = metric.type === "counter" ? "_total" : metric.type === "info" ? "_info" : ""
      return metric.points.map((point) => ({ ...point, suffix }))
    }
  }
}

/** Buckets are told as how many values are at or below a bound. */
const samplesOfBuckets = ({ bounds, counts, sum }: Buckets, format: Exposition.Format): Array<Exposition.Sample> => {
  const samples: Array<Exposition.Sample> = []
  let upTo = 0
  for (const [bucket, count] of counts.entries()) {
    upTo += count
    const le = Exposition.bound(bounds[bucket] ?? Infinity, format)
    samples.push({ suffix: "_bucket", labels: { le }, value: upTo })
  }
  return [...samples, { suffix: "_sum", labels: {}, value: sum }, { suffix: "_count", labels: {}, value: upTo }]
}
