/**
 * Spans of requests and of the run, by the semantic conventions for generative AI, version 0.1.0
 * (https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md).
 */
import { type TraceData } from "effect/observability/OtlpTracer"
import * as Schema from "effect/Schema"
import { type Summary } from "../../domain/Summary.ts"
import * as Attributes from "./otlpAttributes.ts"
import * as Ids from "./otlpIds.ts"
import { type Row } from "./otlpRows.ts"

export type ResourceSpans = TraceData["resourceSpans"][number]
export type Span = ResourceSpans["scopeSpans"][number]["spans"][number]

/**
 * What all spans of a sender have in common.
 *
 * - `agent`: which of several senders it is
 * - `origin`: scheme, host and port of the server; `streams`: whether answers are asked for as streams
 * - `samplingParams`: what is put into every request body
 * - `resource`: attributes that the user has set
 */
export const Subject = Schema.Struct({
  runId: Schema.String,
  agent: Schema.NullOr(Schema.String),
  version: Schema.String,
  llmApi: Schema.String,
  model: Schema.String,
  provider: Schema.String,
  operation: Schema.String,
  origin: Schema.NullOr(Schema.String),
  streams: Schema.Boolean,
  samplingParams: Schema.Record(Schema.String, Schema.Unknown),
  resource: Schema.Record(Schema.String, Schema.String)
})

export interface Subject extends Schema.Schema.Type<typeof Subject> {}

/** A run as a whole, once it has ended. */
export const Run = Schema.Struct({
  startEpochSeconds: Schema.Finite,
  wallSeconds: Schema.Finite,
  counts: Schema.Record(Schema.String, Schema.Finite),
  numbers: Schema.Record(Schema.String, Schema.Finite)
})

export interface Run extends Schema.Schema.Type<typeof Run> {}

const KIND_INTERNAL = 1
const KIND_CLIENT = 3
const STATUS_UNSET = { code: 0 } as const
const STATUS_ERROR = 2

/** Of what 64 bits hold; the year 2262. */
const MOST_SECONDS = 9_223_372_036

const withinBounds = (seconds: number): number => Math.min(MOST_SECONDS, Math.max(0, seconds))

/** Epoch seconds as nanoseconds, as exact as the number is. */
const nanosOf = (epochSeconds: number): bigint => {
  const seconds = withinBounds(epochSeconds)
  const whole = Math.floor(seconds)
  return BigInt(whole) * 1_000_000_000n + BigInt(Math.round((seconds - whole) * 1e9))
}

/** A duration is exact to the nanosecond, which the moments that it lies between are not. */
const after = (nanos: bigint, seconds: number): bigint => {
  const later = nanos + BigInt(Math.round(withinBounds(seconds) * 1e9))
  const most = BigInt(MOST_SECONDS) * 1_000_000_000n
  return later < most ? later : most
}

/** Host and port of an origin, which names no port when it is the usual one. */
const serverOf = (origin: string | null): { readonly address: string | null; readonly port: number | null } => {
  if (origin === null || !URL.canParse(origin)) return { address: null, port: null }
  const { hostname, port, protocol } = new URL(origin)
  const usual = protocol === "https:" ? 443 : 80
  return { address: hostname.replaceAll(/^\[|\]$/g, ""), port: port === "" ? usual : Number(port) }
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null)

const integerOf = (value: unknown): number | null => (Number.isInteger(value) ? numberOf(value) : null)

/** The parameters of a request that spans tell of. */
const parameterNames = new Set([
  "temperature",
  "top_p",
  "top_k",
  "frequency_penalty",
  "presence_penalty",
  "seed",
  "stop",
  "max_tokens",
  "max_completion_tokens"
])

export const parametersIn = (given: Subject["samplingParams"]): Subject["samplingParams"] =>
  Object.fromEntries(Object.entries(given).filter(([name]) => parameterNames.has(name)))

/** Those that the conventions have a name for, and that go with every request. */
const parameters = (attributes: Attributes.Attributes, given: Subject["samplingParams"]): void => {
  attributes
    .double("gen_ai.request.temperature", numberOf(given["temperature"]))
    .double("gen_ai.request.top_p", numberOf(given["top_p"]))
    .int("gen_ai.request.top_k", integerOf(given["top_k"]))
    .double("gen_ai.request.frequency_penalty", numberOf(given["frequency_penalty"]))
    .double("gen_ai.request.presence_penalty", numberOf(given["presence_penalty"]))
    .int("gen_ai.request.seed", integerOf(given["seed"]))
  const { stop } = given
  if (Array.isArray(stop) && stop.every((sequence) => typeof sequence === "string")) {
    attributes.texts("gen_ai.request.stop_sequences", stop)
  }
}

/** A length that the user has put into every body takes the place of that of the request. */
const maxTokensOf = (given: Subject["samplingParams"], row: Row): number | null =>
  integerOf(given["max_tokens"]) ?? integerOf(given["max_completion_tokens"]) ?? row.number("target_output_tokens")

/** When a request was written to its connection; of one that never was, when it was due. */
const startOf = (row: Row): bigint => {
  const start = row.number("start_time")
  if (start !== null) return nanosOf(start)
  const beforeEnd = (row.number("end_offset_s") ?? 0) - (row.number("intended_offset_s") ?? 0)
  return nanosOf((row.number("end_time") ?? 0) - Math.max(0, beforeEnd))
}

const endOf = (start: bigint, row: Row): bigint => {
  const latency = row.number("end_to_end_latency_s")
  if (latency !== null && row.number("start_time") !== null) return after(start, latency)
  const end = nanosOf(row.number("end_time") ?? 0)
  return end > start ? end : start
}

/** Makes the span of a request. */
export const ofRequest = (subject: Subject): ((row: Row) => Span) => {
  const run = Ids.of(subject.runId)
  const { address, port } = serverOf(subject.origin)
  const common = Attributes.make()
    .text("gen_ai.operation.name", subject.operation)
    .text("gen_ai.provider.name", subject.provider)
    .text("gen_ai.request.model", subject.model)
    .text("server.address", address)
    .int("server.port", port)
  if (subject.streams) common.flag("gen_ai.request.stream", true)
  parameters(common, subject.samplingParams)
  common.text("llmperf.run_id", subject.runId).text("llmperf.agent", subject.agent)
  const name = `${subject.operation} ${subject.model}`.toWellFormed()
  const links = [{ ...run, attributes: [], droppedAttributesCount: 0 }]

  return (row) => {
    const start = startOf(row)
    const requestId = row.number("request_id") ?? 0
    const errorCode = row.text("error_code")
    const ttft = row.number("ttft_s")
    const finishReason = row.text("finish_reason")
    const attributes = Attributes.make()
    attributes.all.push(...common.all)
    attributes
      .int("gen_ai.request.max_tokens", maxTokensOf(subject.samplingParams, row))
      .int("gen_ai.usage.input_tokens", row.number("usage_input_tokens") ?? row.number("number_input_tokens"))
      .int("gen_ai.usage.output_tokens", row.number("usage_output_tokens") ?? row.number("number_output_tokens"))
      .int("gen_ai.usage.cache_read.input_tokens", row.number("usage_cached_input_tokens"))
      .int("gen_ai.usage.reasoning.output_tokens", row.number("usage_reasoning_tokens"))
    // An answer that was awaited and did not come to its end has the reason "error" by the conventions
    if (finishReason !== null) attributes.texts("gen_ai.response.finish_reasons", [finishReason])
    else if (errorCode !== null && row.number("start_time") !== null) {
      attributes.texts("gen_ai.response.finish_reasons", ["error"])
    }
    if (subject.streams) attributes.double("gen_ai.response.time_to_first_chunk", ttft)
    attributes
      .text("error.type", errorCode)
      .int("http.response.status_code", row.number("status"))
      .int("llmperf.request_id", requestId)
      .text("llmperf.x_request_id", row.text("x_request_id"))
      .flag("llmperf.sampled", row.sampled)
      .text("llmperf.error_reason", row.text("error_reason"))
      .double("llmperf.intended_offset_s", row.number("intended_offset_s"))
      .double("llmperf.dispatch_lag_s", row.number("dispatch_lag_s"))
      .double("llmperf.ttft_s", ttft)
      .double("llmperf.scheduled_ttft_s", row.number("scheduled_ttft_s"))
      .double("llmperf.time_to_first_answer_s", row.number("time_to_first_answer_s"))
      .double("llmperf.inter_token_latency_s", row.number("inter_token_latency_s"))
      .double("llmperf.max_inter_chunk_latency_s", row.number("max_inter_chunk_latency_s"))
      .int("llmperf.number_input_tokens", row.number("number_input_tokens"))
      .int("llmperf.number_output_tokens", row.number("number_output_tokens"))
      .int("llmperf.number_chunks", row.number("number_chunks"))
      .double("llmperf.dns_s", row.number("dns_s"))
      .double("llmperf.connect_s", row.number("connect_s"))
      .double("llmperf.tls_s", row.number("tls_s"))
      .double("llmperf.connection_retry_s", row.number("connection_retry_s"))
      .double("llmperf.retry_after_s", row.number("retry_after_s"))
    const end = endOf(start, row)
    const first = after(start, ttft ?? 0)
    const firstToken = {
      name: "llmperf.first_token",
      timeUnixNano: String(first < end ? first : end),
      attributes: [],
      droppedAttributesCount: 0
    }
    return {
      ...Ids.ofRequest(subject.runId, requestId),
      parentSpanId: undefined,
      name,
      kind: KIND_CLIENT,
      startTimeUnixNano: String(start),
      endTimeUnixNano: String(end),
      attributes: attributes.all,
      droppedAttributesCount: 0,
      events: ttft === null ? [] : [firstToken],
      droppedEventsCount: 0,
      status:
        errorCode === null
          ? STATUS_UNSET
          : { code: STATUS_ERROR, message: (row.text("error_msg") ?? errorCode).toWellFormed() },
      links,
      droppedLinksCount: 0
    }
  }
}

/** What the span of a run tells of it. */
export const runOf = (startEpochSeconds: number, wallSeconds: number, summary: Summary): Run => ({
  startEpochSeconds,
  wallSeconds,
  counts: {
    num_requests_started: summary.num_requests_started,
    num_completed_requests: summary.num_completed_requests,
    num_failed_requests: summary.num_failed_requests,
    num_cancelled_requests: summary.num_cancelled_requests,
    num_unsent_requests: summary.num_unsent_requests,
    total_input_tokens: summary.total_input_tokens,
    ...present({ total_output_tokens: summary.total_output_tokens })
  },
  numbers: present({
    error_rate: summary.error_rate,
    request_rate_per_s: summary.request_rate_per_s,
    mean_output_throughput_token_per_s: summary.mean_output_throughput_token_per_s,
    ttft_s_p50: summary.ttft_s.quantiles.p50,
    ttft_s_p99: summary.ttft_s.quantiles.p99,
    inter_token_latency_s_p50: summary.inter_token_latency_s.quantiles.p50,
    inter_token_latency_s_p99: summary.inter_token_latency_s.quantiles.p99,
    end_to_end_latency_s_p50: summary.end_to_end_latency_s.quantiles.p50,
    end_to_end_latency_s_p99: summary.end_to_end_latency_s.quantiles.p99
  })
})

const present = (numbers: { readonly [name: string]: number | null }): { readonly [name: string]: number } =>
  Object.fromEntries(
    Object.entries(numbers).flatMap(([name, value]): Array<readonly [string, number]> =>
      value === null ? [] : [[name, value]]
    )
  )

/** Makes the span of the run, which the spans of its requests are linked to. */
export const ofRun = (subject: Subject, { counts, numbers, startEpochSeconds, wallSeconds }: Run): Span => {
  const start = nanosOf(startEpochSeconds)
  const attributes = Attributes.make()
    .text("llmperf.run_id", subject.runId)
    .text("llmperf.llm_api", subject.llmApi)
    .text("llmperf.model", subject.model)
  for (const [name, value] of Object.entries(counts)) attributes.int(`llmperf.${name}`, value)
  for (const [name, value] of Object.entries(numbers)) attributes.double(`llmperf.${name}`, value)
  return {
    ...Ids.of(subject.runId),
    parentSpanId: undefined,
    name: `llmperf run ${subject.model}`.toWellFormed(),
    kind: KIND_INTERNAL,
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(after(start, wallSeconds)),
    attributes: attributes.all,
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    status: STATUS_UNSET,
    links: [],
    droppedLinksCount: 0
  }
}

/** Who the spans are from. What the user has set wins, but for the run. */
export const resourceOf = ({ agent, resource, runId, version }: Subject): ResourceSpans["resource"] => {
  const attributes = Attributes.make()
  const own = {
    "service.name": "llmperf",
    "service.version": version,
    ...resource,
    "service.instance.id": agent === null ? runId : `${runId}/${agent}`
  }
  for (const [name, value] of Object.entries(own)) attributes.text(name, value)
  return { attributes: attributes.all, droppedAttributesCount: 0 }
}

/** A message with spans. */
export const message = (subject: Subject): ((spans: ReadonlyArray<Span>) => TraceData) => {
  const resource = resourceOf(subject)
  const scope = { name: "llmperf", version: subject.version }
  return (spans) => ({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans: [...spans] }] }] })
}
