/**
 * A collector of metrics on loopback that refuses whatever is not OTLP over HTTP: the path, the headers, the message by
 * OpenTelemetry's own definitions, and what a metric must have. What it refused is in `problems`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import { gunzipSync } from "node:zlib"
import { type Value, valuesOf } from "./otlpCollector.ts"
import * as Messages from "./otlpMessages.ts"

const AnyValue = Schema.Struct({
  stringValue: Schema.optionalKey(Schema.String),
  intValue: Schema.optionalKey(Schema.String)
})

const Attributes = Schema.optionalKey(Schema.Array(Schema.Struct({ key: Schema.NonEmptyString, value: AnyValue })))

const Nanos = Schema.String.check(Schema.isPattern(/^[1-9]\d{0,18}$/))
const Count = Schema.String.check(Schema.isPattern(/^\d+$/))

const times = { attributes: Attributes, startTimeUnixNano: Nanos, timeUnixNano: Nanos }

const NumberPoint = Schema.Struct({
  ...times,
  asDouble: Schema.optionalKey(Schema.Finite),
  asInt: Schema.optionalKey(Schema.String)
})

const HistogramPoint = Schema.Struct({
  ...times,
  count: Count,
  sum: Schema.Finite,
  min: Schema.Finite,
  max: Schema.Finite,
  bucketCounts: Schema.Array(Count),
  explicitBounds: Schema.Array(Schema.Finite)
})

/** All since the start. */
const Cumulative = Schema.Literal(2)

const Metric = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/)),
  description: Schema.NonEmptyString,
  unit: Schema.optionalKey(Schema.String),
  gauge: Schema.optionalKey(Schema.Struct({ dataPoints: Schema.NonEmptyArray(NumberPoint) })),
  sum: Schema.optionalKey(
    Schema.Struct({
      dataPoints: Schema.NonEmptyArray(NumberPoint),
      aggregationTemporality: Cumulative,
      isMonotonic: Schema.Literal(true)
    })
  ),
  histogram: Schema.optionalKey(
    Schema.Struct({ dataPoints: Schema.NonEmptyArray(HistogramPoint), aggregationTemporality: Cumulative })
  )
})

const Export = Schema.Struct({
  resourceMetrics: Schema.NonEmptyArray(
    Schema.Struct({
      resource: Schema.Struct({ attributes: Attributes, droppedAttributesCount: Schema.optionalKey(Schema.Int) }),
      scopeMetrics: Schema.NonEmptyArray(
        Schema.Struct({
          scope: Schema.Struct({ name: Schema.NonEmptyString, version: Schema.NonEmptyString }),
          metrics: Schema.NonEmptyArray(Metric)
        })
      )
    })
  )
})

const decodeExport = Schema.decodeUnknownSync(Export, { onExcessProperty: "error" })

export interface Point {
  readonly attributes: { readonly [name: string]: Value }
  readonly startNanos: bigint
  readonly nanos: bigint
  /** Of a number. */
  readonly value?: number
  /** Of a histogram. */
  readonly counts?: ReadonlyArray<number>
  readonly bounds?: ReadonlyArray<number>
  readonly sum?: number
  readonly min?: number
  readonly max?: number
}

export interface Series {
  readonly kind: "gauge" | "sum" | "histogram"
  readonly unit: string
  readonly points: ReadonlyArray<Point>
}

export interface Push {
  readonly resource: { readonly [name: string]: Value }
  readonly scope: { readonly name: string; readonly version: string }
  readonly metrics: ReadonlyMap<string, Series>
}

const refuse = (problem: string): never => {
  throw new Messages.Malformed(problem)
}

const pointOf = (point: typeof NumberPoint.Type | typeof HistogramPoint.Type): Point => {
  const shared = {
    attributes: valuesOf(point.attributes),
    startNanos: BigInt(point.startTimeUnixNano),
    nanos: BigInt(point.timeUnixNano)
  }
  if (shared.startNanos > shared.nanos) refuse("a point before its start")
  if (!("bucketCounts" in point)) {
    const given = [point.asDouble, point.asInt].filter((value) => value !== undefined)
    return { ...shared, value: given.length === 1 ? Number(given[0]) : refuse("not one value") }
  }
  const { explicitBounds: bounds, max, min, sum } = point
  const counts = point.bucketCounts.map(Number)
  if (counts.length !== bounds.length + 1) refuse("not one bucket more than bounds")
  if (counts.reduce((all, count) => all + count, 0) !== Number(point.count)) refuse("the buckets are not the count")
  if (bounds.some((bound, index) => index > 0 && bound <= (bounds[index - 1] ?? NaN))) refuse("bounds do not ascend")
  if (min > max || Number(point.count) === 0) refuse("a histogram without values has no smallest and no largest")
  return { ...shared, counts, bounds, sum, min, max }
}

const seriesOf = (metric: typeof Metric.Type): Series => {
  const { gauge, histogram, name, sum, unit = "" } = metric
  const [one, ...others] = [gauge, sum, histogram].filter((each) => each !== undefined)
  if (one === undefined || others.length > 0) return refuse(`${name} is not one thing`)
  const points = one.dataPoints.map(pointOf)
  const keys = points.map(({ attributes }) => JSON.stringify(Object.entries(attributes).toSorted()))
  if (new Set(keys).size < keys.length) refuse(`${name} has the same attributes twice`)
  return { kind: gauge !== undefined ? "gauge" : sum !== undefined ? "sum" : "histogram", unit, points }
}

/** What a message of the definitions says. */
export const pushOf = (message: unknown): Push => {
  const { resourceMetrics } = decodeExport(message)
  const [{ resource, scopeMetrics }, ...moreResources] = resourceMetrics
  const [{ metrics, scope }, ...moreScopes] = scopeMetrics
  if (moreResources.length + moreScopes.length > 0) refuse("there is more than one resource or scope")
  const byName = new Map(metrics.map((metric) => [metric.name, seriesOf(metric)]))
  if (byName.size < metrics.length) refuse("a metric comes twice")
  return { resource: valuesOf(resource.attributes), scope, metrics: byName }
}

const request = Messages.typeOf("collector.metrics.v1.ExportMetricsServiceRequest")
const response = Messages.typeOf("collector.metrics.v1.ExportMetricsServiceResponse")

/** Reads a body as it is sent. */
export const read = (contentType: string | undefined, bytes: Uint8Array): Push => {
  switch (contentType) {
    case "application/json":
      return pushOf(Messages.fromJson(request, new TextDecoder("utf-8", { fatal: true }).decode(bytes)))
    case "application/x-protobuf":
      return pushOf(request.toObject(request.decode(bytes), { longs: String }))
    default:
      return refuse(`content-type is ${contentType}`)
  }
}

/** How a request is answered: with a status and more, or not at all. */
export interface Answer {
  readonly status?: number
  readonly rejected?: number
  readonly never?: boolean
}

/** A push as it arrived. */
export interface Received extends Push {
  readonly headers: IncomingHttpHeaders
}

const bodyOf = async (message: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/**
 * Serves until the scope closes. `answers` says how the request of a number, from 1, is answered; with 200 when it says nothing.
 * `taken` are those that were.
 */
export const start = Effect.fn("otlpMetricsCollector.start")(function* (
  answers: (attempt: number, headers: IncomingHttpHeaders) => Answer | undefined = () => undefined
) {
  const problems: Array<string> = []
  const taken: Array<Received> = []
  let attempts = 0
  const serve = async (message: IncomingMessage, to: ServerResponse): Promise<void> => {
    const { headers, method, url } = message
    const sent = await bodyOf(message)
    const { never = false, rejected, status = 200 } = answers(++attempts, headers) ?? {}
    if (never) return
    try {
      if (method !== "POST" || url !== "/v1/metrics") refuse(`${method} ${url}`)
      if (!/^llmperf\/\S+$/.test(headers["user-agent"] ?? "")) refuse(`user-agent is ${headers["user-agent"]}`)
      const push = read(headers["content-type"], headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent)
      if (status === 200) taken.push({ ...push, headers })
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
    const partialSuccess =
      rejected === undefined ? {} : { partialSuccess: { rejectedDataPoints: rejected, errorMessage: "too many" } }
    to.writeHead(status, { "content-type": "application/x-protobuf" }).end(
      Messages.toProtobuf(response, partialSuccess)
    )
  }
  const server = createServer((message, to) => void serve(message, to))
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    problems,
    taken,
    attempts: () => attempts
  }
})
