import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as fc from "fast-check"
import { createHash } from "node:crypto"
import { type RequestRecord } from "../../../src/domain/RequestRecord.ts"
import * as Rows from "../../../src/output/internal/otlpRows.ts"
import * as Span from "../../../src/output/internal/otlpSpan.ts"
import { failure, record } from "../../metrics/records.ts"
import { valuesOf } from "../otlpCollector.ts"
import * as Messages from "../otlpMessages.ts"
import { outcomes, summaryOf } from "../results.ts"

const subject: Span.Subject = {
  runId: "20261124T093000Z-k3f9qd",
  agent: null,
  version: "1.2.3",
  llmApi: "openai",
  model: "org/model",
  provider: "openai",
  operation: "chat",
  origin: "https://llm.example.com",
  streams: true,
  samplingParams: {},
  resource: {}
}

const spansOf = (records: ReadonlyArray<RequestRecord>, of: Partial<Span.Subject> = {}): ReadonlyArray<Span.Span> =>
  Rows.rows(Rows.pack(records)).map(Span.ofRequest({ ...subject, ...of }))

const spanOf = (of: RequestRecord, about: Partial<Span.Subject> = {}): Span.Span => {
  const [span] = spansOf([of], about)
  if (span === undefined) throw new Error("there is no span")
  return span
}

const attributesOf = (of: RequestRecord, about: Partial<Span.Subject> = {}) => valuesOf(known(spanOf(of, about)))

/** The types of Effect allow `null` where there never is one. */
const known = (span: Span.Span) => JSON.parse(JSON.stringify(span.attributes))

const type = Messages.typeOf("collector.trace.v1.ExportTraceServiceRequest")

const bodiesOf = (spans: ReadonlyArray<Span.Span>) =>
  Effect.gen(function* () {
    const message = Span.message(subject)(spans)
    const bodies = yield* Effect.forEach([OtlpSerialization.layerJson, OtlpSerialization.layerProtobuf], (layer) =>
      Effect.provide(
        Effect.map(OtlpSerialization.OtlpSerialization, ({ traces }) => traces(message)),
        layer
      )
    )
    return bodies.map((body) => (body._tag === "Uint8Array" ? body.body : new Uint8Array()))
  })

describe("the span of a request", () => {
  it("says what the conventions ask for", () => {
    const attributes = attributesOf(
      record({
        usage_input_tokens: 52,
        usage_output_tokens: 11,
        usage_cached_input_tokens: 16,
        usage_reasoning_tokens: 4
      })
    )
    assert.deepInclude(attributes, {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "org/model",
      "gen_ai.request.stream": true,
      "gen_ai.request.max_tokens": 10,
      "gen_ai.usage.input_tokens": 52,
      "gen_ai.usage.output_tokens": 11,
      "gen_ai.usage.cache_read.input_tokens": 16,
      "gen_ai.usage.reasoning.output_tokens": 4,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.response.time_to_first_chunk": 0.1,
      "server.address": "llm.example.com",
      "server.port": 443,
      "http.response.status_code": 200
    })
    assert.notProperty(attributes, "error.type")
    const span = spanOf(record())
    assert.strictEqual(span.name, "chat org/model")
    assert.strictEqual(span.kind, 3)
    assert.deepStrictEqual(span.status, { code: 0 })
  })

  it("says what we know besides", () => {
    const attributes = attributesOf(
      record({ intended_offset_s: 2.5, dispatch_lag_s: 0.25, sampled: false, connect_s: 0.003 }),
      { agent: "worker 2 of 4" }
    )
    assert.deepInclude(attributes, {
      "llmperf.run_id": "20261124T093000Z-k3f9qd",
      "llmperf.agent": "worker 2 of 4",
      "llmperf.request_id": 1,
      "llmperf.x_request_id": "run-1",
      "llmperf.intended_offset_s": 2.5,
      "llmperf.dispatch_lag_s": 0.25,
      "llmperf.ttft_s": 0.1,
      "llmperf.inter_token_latency_s": 0.1,
      "llmperf.sampled": false,
      "llmperf.connect_s": 0.003,
      "llmperf.number_input_tokens": 50,
      "llmperf.number_output_tokens": 10
    })
    assert.notProperty(attributes, "llmperf.dns_s")
    assert.notProperty(attributesOf(record({ x_request_id: null })), "llmperf.x_request_id")
  })

  it("counts tokens itself where the server does not", () => {
    assert.deepInclude(attributesOf(record()), { "gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 10 })
    assert.notProperty(attributesOf(record({ number_output_tokens: null })), "gen_ai.usage.output_tokens")
  })

  it("says of a failure what its row says", () => {
    const refused = failure(429, "RateLimited", "HTTP 429: slow down", { retry_after_s: 2 })
    assert.deepInclude(attributesOf(refused), {
      "error.type": "429",
      "http.response.status_code": 429,
      "llmperf.error_reason": "RateLimited",
      "llmperf.retry_after_s": 2,
      "gen_ai.response.finish_reasons": ["error"]
    })
    assert.deepStrictEqual(spanOf(refused).status, { code: 2, message: "HTTP 429: slow down" })
    const cancelled = failure("cancelled", "Cancelled", "")
    assert.strictEqual(attributesOf(cancelled)["error.type"], "cancelled")
    assert.deepStrictEqual(spanOf(cancelled).status, { code: 2, message: "cancelled" })
  })

  it("has whole characters where a message was cut", () => {
    const { message } = { message: "", ...spanOf(failure(503, "HttpStatus", `a${"🙂".repeat(600)}`)).status }
    assert.isTrue(message.isWellFormed())
    assert.lengthOf(message, 1_024)
  })

  it("begins and ends to the nanosecond of its durations", () => {
    const span = spanOf(
      record({ start_time: 1_795_532_221.25, end_to_end_latency_s: 1.000000001, ttft_s: 0.123456789 })
    )
    assert.strictEqual(span.startTimeUnixNano, "1795532221250000000")
    assert.strictEqual(span.endTimeUnixNano, "1795532222250000001")
    assert.deepInclude(span.events[0], { name: "llmperf.first_token", timeUnixNano: "1795532221373456789" })
    assert.deepStrictEqual(spanOf(failure("truncated", "Truncated", "cut off")).events, [])
  })

  it("begins when the request was due if it was never sent", () => {
    const span = spanOf(
      failure("connect_error", "Connect", "refused", {
        start_time: null,
        end_to_end_latency_s: null,
        sent_offset_s: null,
        dispatch_lag_s: null,
        end_time: 1_700_000_010,
        intended_offset_s: 7.75,
        end_offset_s: 10
      })
    )
    assert.strictEqual(span.startTimeUnixNano, "1700000007750000000")
    assert.strictEqual(span.endTimeUnixNano, "1700000010000000000")
    assert.notProperty(valuesOf(known(span)), "gen_ai.response.finish_reasons")
  })

  it("has ids that can be made from its row", () => {
    const { links, spanId, traceId } = spanOf(record({ request_id: 42 }))
    const digest = createHash("sha256").update("20261124T093000Z-k3f9qd-42").digest("hex")
    assert.strictEqual(traceId + spanId, digest.slice(0, 48))
    const ofRun = createHash("sha256").update("20261124T093000Z-k3f9qd").digest("hex")
    assert.deepStrictEqual(
      links.map((link) => link.traceId + link.spanId),
      [ofRun.slice(0, 48)]
    )
  })

  it("tells what was asked for with every request", () => {
    const samplingParams = {
      temperature: 0,
      top_p: 1,
      top_k: 40,
      seed: 7,
      stop: ["a", "b"],
      max_tokens: 99,
      frequency_penalty: "x"
    }
    const attributes = attributesOf(record(), { samplingParams })
    assert.deepInclude(attributes, {
      "gen_ai.request.temperature": 0,
      "gen_ai.request.top_p": 1,
      "gen_ai.request.top_k": 40,
      "gen_ai.request.seed": 7,
      "gen_ai.request.stop_sequences": ["a", "b"],
      "gen_ai.request.max_tokens": 99
    })
    assert.notProperty(attributes, "gen_ai.request.frequency_penalty")
    const whole = attributesOf(record(), { streams: false })
    assert.notProperty(whole, "gen_ai.request.stream")
    assert.notProperty(whole, "gen_ai.response.time_to_first_chunk")
  })

  it("knows the server by any kind of origin", () => {
    const server = (origin: string | null) => {
      const { "server.address": address, "server.port": port } = attributesOf(record(), { origin })
      return [address, port]
    }
    assert.deepStrictEqual(server("http://127.0.0.1:8000"), ["127.0.0.1", 8000])
    assert.deepStrictEqual(server("http://[::1]"), ["::1", 80])
    assert.deepStrictEqual(server(null), [undefined, undefined])
  })

  it.effect("is what OpenTelemetry's definitions have, whatever the record", () =>
    Effect.gen(function* () {
      const anything = fc.double({ noDefaultInfinity: true, noNaN: true })
      const seconds = fc.option(fc.oneof(fc.double({ min: 0, max: 1e4, noNaN: true }), anything))
      const count = fc.option(fc.oneof(fc.nat(), fc.maxSafeInteger()))
      const text = fc.option(
        fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "binary-ascii" }), fc.constant("\ud800"))
      )
      const records = fc.array(
        fc.record({
          request_id: fc.nat(),
          start_time: fc.option(fc.double({ min: 1, max: 4e9, noNaN: true })),
          end_time: fc.option(fc.double({ min: 1, max: 4e9, noNaN: true })),
          ttft_s: seconds,
          end_to_end_latency_s: seconds,
          intended_offset_s: anything,
          end_offset_s: anything,
          inter_token_latency_s: seconds,
          status: count,
          usage_output_tokens: count,
          finish_reason: text,
          x_request_id: text,
          error_code: fc.option(fc.oneof(fc.integer(), fc.string())),
          error_msg: fc.string({ unit: "binary", maxLength: 3_000 })
        }),
        { minLength: 1, maxLength: 5 }
      )
      for (const overrides of fc.sample(records, 100)) {
        const spans = spansOf(overrides.map(record))
        for (const { endTimeUnixNano, events, startTimeUnixNano } of spans) {
          const moments = [startTimeUnixNano, ...events.map(({ timeUnixNano }) => timeUnixNano), endTimeUnixNano]
          const [first = 0n, second = 0n, third = second] = moments.map(BigInt)
          assert.isTrue(first <= second && second <= third, moments.join(" "))
        }
        const [json = new Uint8Array(), protobuf = new Uint8Array()] = yield* bodiesOf(spans)
        const read = Messages.fromJson(type, new TextDecoder("utf-8", { fatal: true }).decode(json))
        assert.deepStrictEqual(withoutZeros(Messages.fromProtobuf(type, protobuf)), withoutZeros(read))
      }
    })
  )
})

/** Protobuf writes no zeros, JSON does; but a value that is 0 is a value. */
const withoutZeros = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, item) => (item === 0 && key !== "doubleValue" ? undefined : item)))

describe("the span of a run", () => {
  const run = Span.runOf(
    1_700_000_000,
    5.5,
    summaryOf(
      outcomes.map((one) => one),
      5
    )
  )

  it("tells its results", () => {
    const span = Span.ofRun(subject, run)
    assert.strictEqual(span.name, "llmperf run org/model")
    assert.strictEqual(span.kind, 1)
    assert.strictEqual(span.startTimeUnixNano, "1700000000000000000")
    assert.strictEqual(span.endTimeUnixNano, "1700000005500000000")
    assert.deepInclude(valuesOf(known(span)), {
      "llmperf.run_id": subject.runId,
      "llmperf.llm_api": "openai",
      "llmperf.model": "org/model",
      "llmperf.num_completed_requests": 12,
      "llmperf.num_failed_requests": 3,
      "llmperf.num_cancelled_requests": 1
    })
  })

  it("is what the spans of its requests are linked to", () => {
    const { spanId, traceId } = Span.ofRun(subject, run)
    const [link] = spanOf(record()).links
    assert.deepInclude(link, { spanId, traceId })
  })

  it.effect("is what OpenTelemetry's definitions have", () =>
    Effect.gen(function* () {
      const [json = new Uint8Array(), protobuf = new Uint8Array()] = yield* bodiesOf([Span.ofRun(subject, run)])
      const read = Messages.fromJson(type, new TextDecoder().decode(json))
      assert.deepStrictEqual(withoutZeros(Messages.fromProtobuf(type, protobuf)), withoutZeros(read))
    })
  )
})

describe("the resource", () => {
  const attributesOf = (of: Partial<Span.Subject>) =>
    valuesOf(JSON.parse(JSON.stringify(Span.resourceOf({ ...subject, ...of }).attributes)))

  it("is this program, and this run of it", () => {
    assert.deepStrictEqual(attributesOf({}), {
      "service.name": "llmperf",
      "service.version": "1.2.3",
      "service.instance.id": "20261124T093000Z-k3f9qd"
    })
    assert.strictEqual(attributesOf({ agent: "a" })["service.instance.id"], "20261124T093000Z-k3f9qd/a")
  })

  it("has what the user adds, but for the run", () => {
    const resource = { "service.name": "nightly", "deployment.environment.name": "staging", "service.instance.id": "x" }
    assert.deepInclude(attributesOf({ resource }), {
      "service.name": "nightly",
      "deployment.environment.name": "staging",
      "service.instance.id": "20261124T093000Z-k3f9qd"
    })
  })
})
