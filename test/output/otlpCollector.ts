/**
 * A collector on loopback that refuses whatever is not OTLP over HTTP: the path, the headers, the encoding, the message by
 * OpenTelemetry's own definitions, and what a span must have. What it refused is in `problems`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http"
import { gunzipSync } from "node:zlib"
import * as Messages from "./otlpMessages.ts"

const AnyValue = Schema.Struct({
  stringValue: Schema.optionalKey(Schema.String),
  boolValue: Schema.optionalKey(Schema.Boolean),
  intValue: Schema.optionalKey(Schema.String),
  doubleValue: Schema.optionalKey(Schema.Finite),
  arrayValue: Schema.optionalKey(Schema.Struct({ values: Schema.Array(Schema.Struct({ stringValue: Schema.String })) }))
})

const KeyValue = Schema.Struct({ key: Schema.NonEmptyString, value: AnyValue })

const Attributes = Schema.optionalKey(Schema.Array(KeyValue))

const Nanos = Schema.String.check(Schema.isPattern(/^[1-9]\d{0,18}$/))
const notZero = Schema.isPattern(/[1-9a-f]/)
const TraceId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/), notZero)
const SpanId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/), notZero)

const Span = Schema.Struct({
  traceId: TraceId,
  spanId: SpanId,
  parentSpanId: Schema.optionalKey(SpanId),
  name: Schema.NonEmptyString,
  kind: Schema.Literals([1, 2, 3, 4, 5]),
  startTimeUnixNano: Nanos,
  endTimeUnixNano: Nanos,
  attributes: Attributes,
  events: Schema.optionalKey(
    Schema.Array(Schema.Struct({ timeUnixNano: Nanos, name: Schema.NonEmptyString, attributes: Attributes }))
  ),
  links: Schema.optionalKey(Schema.Array(Schema.Struct({ traceId: TraceId, spanId: SpanId, attributes: Attributes }))),
  status: Schema.optionalKey(
    Schema.Struct({
      code: Schema.optionalKey(Schema.Literals([0, 1, 2])),
      message: Schema.optionalKey(Schema.String)
    })
  )
})

/** A span as it arrived. */
export interface Span extends Schema.Schema.Type<typeof Span> {}

const Traces = Schema.Struct({
  resourceSpans: Schema.NonEmptyArray(
    Schema.Struct({
      resource: Schema.Struct({ attributes: Schema.NonEmptyArray(KeyValue) }),
      scopeSpans: Schema.NonEmptyArray(
        Schema.Struct({
          scope: Schema.Struct({ name: Schema.NonEmptyString, version: Schema.optionalKey(Schema.String) }),
          spans: Schema.NonEmptyArray(Span)
        })
      )
    })
  )
})

const decodeTraces = Schema.decodeUnknownSync(Traces)

export type Value = string | number | boolean | ReadonlyArray<string>

type KeyValues = ReadonlyArray<typeof KeyValue.Type>

/** Attributes by name. Each has one value, and no name comes twice. */
export const valuesOf = (attributes: KeyValues = []): { readonly [key: string]: Value } => {
  const values = new Map<string, Value>()
  for (const { key, value } of attributes) {
    const given = Object.entries(value)
    if (given.length !== 1) throw new Messages.Malformed(`${key} has ${given.length} values`)
    if (values.has(key)) throw new Messages.Malformed(`${key} comes twice`)
    const one = value.stringValue ?? value.boolValue ?? value.doubleValue
    values.set(key, one ?? (value.intValue === undefined ? texts(value.arrayValue) : Number(value.intValue)))
  }
  return Object.fromEntries(values)
}

const texts = (array: (typeof AnyValue.Type)["arrayValue"]): ReadonlyArray<string> =>
  (array?.values ?? []).map(({ stringValue }) => stringValue)

const check = (span: Span): void => {
  valuesOf(span.attributes)
  for (const { attributes } of [...(span.events ?? []), ...(span.links ?? [])]) valuesOf(attributes)
  const [start, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)]
  if (start > end) throw new Messages.Malformed("a span ends before it starts")
  for (const { name, timeUnixNano } of span.events ?? []) {
    const at = BigInt(timeUnixNano)
    if (at < start || at > end) throw new Messages.Malformed(`${name} is not within its span`)
  }
}

/** How a request is answered: with a status and more, or not at all. */
export interface Answer {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  readonly rejectedSpans?: number
  readonly afterMillis?: number
  readonly never?: boolean
}

/** A request that was as it should be. `attempt` counts from 1. */
export interface Received {
  readonly attempt: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: number
  readonly resource: { readonly [key: string]: Value }
  readonly scope: { readonly name: string; readonly version?: string }
  readonly spans: ReadonlyArray<Span>
}

const request = Messages.typeOf("collector.trace.v1.ExportTraceServiceRequest")
const response = Messages.typeOf("collector.trace.v1.ExportTraceServiceResponse")

const bodyOf = async (message: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const read = (message: IncomingMessage, path: string, sent: Buffer, attempt: number): Received => {
  const { headers, method, url } = message
  const fail = (problem: string): never => {
    throw new Messages.Malformed(problem)
  }
  if (method !== "POST") fail(`the method is ${method}`)
  if (url !== path) fail(`the path is ${url}, not ${path}`)
  if (headers["content-length"] !== String(sent.length)) fail(`content-length is ${headers["content-length"]}`)
  const encoding = headers["content-encoding"]
  if (encoding !== undefined && encoding !== "gzip") fail(`content-encoding is ${encoding}`)
  if (!/^llmperf\/\S+$/.test(headers["user-agent"] ?? "")) fail(`user-agent is ${headers["user-agent"]}`)
  for (const name of ["traceparent", "b3"])
    if (headers[name] !== undefined) fail(`${name}: what is sent here is traced itself`)
  const bytes = encoding === "gzip" ? gunzipSync(sent) : sent
  const type = headers["content-type"]
  if (type !== "application/json" && type !== "application/x-protobuf") fail(`content-type is ${type}`)
  const plain =
    type === "application/json"
      ? Messages.fromJson(request, new TextDecoder("utf-8", { fatal: true }).decode(bytes))
      : Messages.fromProtobuf(request, bytes)
  const { resourceSpans } = decodeTraces(plain)
  const [{ resource, scopeSpans }, ...moreResources] = resourceSpans
  const [{ scope, spans }, ...moreScopes] = scopeSpans
  if (moreResources.length + moreScopes.length > 0) fail("there is more than one resource or scope")
  const resourceValues = valuesOf(resource.attributes)
  for (const name of ["service.name", "service.version", "service.instance.id"]) {
    if (typeof resourceValues[name] !== "string") fail(`the resource has no ${name}`)
  }
  spans.forEach(check)
  return { attempt, headers, bytes: sent.length, resource: resourceValues, scope, spans }
}

const answerWith = (to: ServerResponse, contentType: string, answer: Answer): void => {
  const { body, headers, rejectedSpans, status = 200 } = answer
  const partialSuccess = rejectedSpans === undefined ? {} : { rejectedSpans, errorMessage: "too many of them" }
  if (body !== undefined) to.writeHead(status, headers).end(body)
  else if (contentType === "application/json") {
    const json = {
      partialSuccess: {
        ...partialSuccess,
        ...(rejectedSpans === undefined ? {} : { rejectedSpans: String(rejectedSpans) })
      }
    }
    to.writeHead(status, { "content-type": contentType, ...headers }).end(JSON.stringify(json))
  } else {
    to.writeHead(status, { "content-type": contentType, ...headers }).end(
      Messages.toProtobuf(response, rejectedSpans === undefined ? {} : { partialSuccess })
    )
  }
}

/**
 * Serves until the scope closes. `answers` says how a request is answered; with 200 when it says nothing. `taken` are those
 * that were answered with 200.
 */
export const start = Effect.fn("otlpCollector.start")(function* (
  options: {
    readonly path?: string
    readonly answers?: (received: Received) => Answer | undefined
  } = {}
) {
  const { answers = () => undefined, path = "/v1/traces" } = options
  const problems: Array<string> = []
  const received: Array<Received> = []
  const taken: Array<Received> = []
  let attempt = 0

  const serve = async (message: IncomingMessage, to: ServerResponse): Promise<void> => {
    const sent = await bodyOf(message)
    attempt++
    let one: Received
    try {
      one = read(message, path, sent, attempt)
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
      to.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify({ message: problems.at(-1) }))
      return
    }
    received.push(one)
    const answer = answers(one) ?? {}
    if (answer.never === true) return
    if ((answer.status ?? 200) === 200) taken.push(one)
    setTimeout(() => answerWith(to, message.headers["content-type"] ?? "", answer), answer.afterMillis ?? 0)
  }

  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const made = createServer((message, to) => void serve(message, to))
      made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    (made) =>
      Effect.callback<void>((resume) => {
        made.close(() => resume(Effect.void))
        made.closeAllConnections()
      })
  )
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    problems,
    received,
    taken,
    spans: (): ReadonlyArray<Span> => taken.flatMap(({ spans }) => spans)
  }
})
