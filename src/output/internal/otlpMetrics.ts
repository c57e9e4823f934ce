/**
 * The metrics of a run for a collector: those that the semantic conventions for generative AI have a name for
 * (https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md), and all as our own.
 */
import { type MetricsData } from "effect/observability/OtlpMetrics"
import { type KeyValue } from "effect/observability/OtlpResource"
import * as Schema from "effect/Schema"
import { bounds, type Buckets, collapse, type Reading } from "../../metrics/RunMetrics.ts"
import { type Labels } from "./exposition.ts"
import * as LiveMetrics from "./liveMetrics.ts"
import * as Attributes from "./otlpAttributes.ts"

/**
 * Who measures and what is measured.
 *
 * - `provider`, `operation`: as the conventions call them
 * - `origin`: scheme, host and port of the server, `null` when there is no socket
 * - `resource`: attributes of the sender that the user has set
 */
export const Subject = Schema.Struct({
  ...LiveMetrics.Run.fields,
  provider: Schema.String,
  operation: Schema.String,
  origin: Schema.NullOr(Schema.String),
  resource: Schema.Record(Schema.String, Schema.String)
})

export interface Subject extends Schema.Schema.Type<typeof Subject> {}

type ResourceMetrics = MetricsData["resourceMetrics"][number]
type Metric = ResourceMetrics["scopeMetrics"][number]["metrics"][number]

/** Nanoseconds since 1970 as text: what is counted began at `start`, and was so at `at`. */
interface Times {
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
}

/** All since the start: a message that is lost is made good by the next. */
const CUMULATIVE = 2

/** Makes messages of readings. `startNanos`: since when is counted, nanoseconds since 1970. */
export const message = (
  subject: Subject,
  startNanos: bigint
): ((reading: Reading, nowNanos: bigint) => MetricsData) => {
  const resource = resourceOf(subject)
  const scope = { name: "llmperf", version: subject.version }
  const shared = LiveMetrics.labelsOf(subject)
  const common = commonOf(subject)
  return (reading, nowNanos) => {
    const times = { startTimeUnixNano: String(startNanos), timeUnixNano: String(nowNanos) }
    const ours = LiveMetrics.metricsOf(subject, reading).map((metric) => metricOf(metric, shared, times))
    const metrics = [...genAi(common, reading, times), ...ours.filter((metric) => metric !== null)]
    return { resourceMetrics: [{ resource, scopeMetrics: [{ scope, metrics }] }] }
  }
}

/** What the user has set wins, but for the run. */
const resourceOf = ({ resource, runId, version }: Subject): ResourceMetrics["resource"] => {
  const attributes = Attributes.make()
  const own = { "service.name": "llmperf", "service.version": version, ...resource, "service.instance.id": runId }
  for (const [name, value] of Object.entries(own)) attributes.text(name, value)
  return { attributes: attributes.all, droppedAttributesCount: 0 }
}

const commonOf = ({ model, operation, origin, provider }: Subject): ReadonlyArray<KeyValue> => {
  const attributes = Attributes.make()
    .text("gen_ai.operation.name", operation)
    .text("gen_ai.provider.name", provider)
    .text("gen_ai.request.model", model)
  if (origin === null || !URL.canParse(origin)) return attributes.all
  const { hostname, port, protocol } = new URL(origin)
  const usual = protocol === "https:" ? 443 : 80
  return attributes
    .text("server.address", hostname.replaceAll(/^\[|\]$/g, ""))
    .int("server.port", port === "" ? usual : Number(port)).all
}

const ofType = (type: "input" | "output") => Attributes.make().text("gen_ai.token.type", type).all

/** The server's times are those that a client sees: they have the network in them. */
const genAi = (common: ReadonlyArray<KeyValue>, { requests }: Reading, times: Times): ReadonlyArray<Metric> => {
  const { endToEndLatency, inputTokens, interTokenLatency, outputTokens, ttft } = requests
  const histogram = (
    name: string,
    unit: string,
    description: string,
    parts: ReadonlyArray<readonly [buckets: Buckets, more: ReadonlyArray<KeyValue>]>
  ) => histogramOf({ name: `gen_ai.${name}`, unit, description }, parts, common, times)
  return [
    histogram("client.operation.duration", "s", "GenAI operation duration.", [
      [collapse(endToEndLatency, bounds.genAi.operationDuration), []]
    ]),
    histogram("client.operation.time_to_first_chunk", "s", "Time to receive the first chunk.", [
      [collapse(ttft, bounds.genAi.operationDuration), []]
    ]),
    histogram("server.time_to_first_token", "s", "Time to generate first token for successful responses.", [
      [collapse(ttft, bounds.genAi.timeToFirstToken), []]
    ]),
    histogram(
      "server.time_per_output_token",
      "s",
      "Time per output token generated after the first token for successful responses.",
      [[collapse(interTokenLatency, bounds.genAi.timePerOutputToken), []]]
    ),
    histogram("client.token.usage", "{token}", "Number of input and output tokens used.", [
      [collapse(inputTokens, bounds.genAi.tokenUsage), ofType("input")],
      [collapse(outputTokens, bounds.genAi.tokenUsage), ofType("output")]
    ])
  ].filter((metric) => metric !== null)
}

interface Head {
  readonly name: string
  readonly unit: string
  readonly description: string
}

/** `llmperf.ttft` in `s`: who makes names for Prometheus of these comes to those of `/metrics`. */
const headOf = ({ help, name, unit }: LiveMetrics.Metric): Head => ({
  name: `llmperf.${name.replace(/_seconds$/, "")}`,
  unit: { "": "", seconds: "s", tokens: "{token}" }[unit],
  description: help
})

const attributesOf = (labels: Labels): Array<KeyValue> => {
  const attributes = Attributes.make()
  for (const [name, value] of Object.entries(labels)) attributes.text(name, value)
  return attributes.all
}

/** What the run is, is said of the resource; what is in one of several states has its number. `null` where there is nothing to say. */
const metricOf = (metric: LiveMetrics.Metric, shared: Labels, times: Times): Metric | null => {
  switch (metric.type) {
    case "info":
    case "stateset":
      return null
    case "counter":
    case "gauge": {
      const points = metric.points.map(({ labels, value }) => ({
        attributes: attributesOf({ ...shared, ...labels }),
        ...times,
        ...(metric.unit === "seconds" ? { asDouble: value } : { asInt: String(value) })
      }))
      if (points.length === 0) return null
      return metric.type === "gauge"
        ? { ...headOf(metric), gauge: { dataPoints: points } }
        : {
            ...headOf(metric),
            sum: { dataPoints: points, aggregationTemporality: CUMULATIVE, isMonotonic: true }
          }
    }
    case "summary": {
      if (metric.quantiles.length === 0) return null
      const dataPoints = metric.quantiles.map(([quantile, value]) => ({
        attributes: attributesOf({ ...shared, quantile: String(quantile) }),
        ...times,
        asDouble: value
      }))
      return { ...headOf(metric), gauge: { dataPoints } }
    }
    case "histogram":
      return histogramOf(headOf(metric), [[metric.buckets, []]], attributesOf(shared), times)
  }
}

const histogramOf = (
  head: Head,
  parts: ReadonlyArray<readonly [buckets: Buckets, more: ReadonlyArray<KeyValue>]>,
  common: ReadonlyArray<KeyValue>,
  times: Times
): Metric | null => {
  const dataPoints = parts.flatMap(([{ bounds, counts, max, min, sum }, more]) => {
    // Without a value there is neither a smallest nor a largest
    if (min === null || max === null) return []
    return [
      {
        attributes: [...common, ...more],
        ...times,
        count: counts.reduce((all, count) => all + count, 0),
        sum,
        min,
        max,
        bucketCounts: [...counts],
        explicitBounds: [...bounds]
      }
    ]
  })
  return dataPoints.length === 0 ? null : { ...head, histogram: { dataPoints, aggregationTemporality: CUMULATIVE } }
}
