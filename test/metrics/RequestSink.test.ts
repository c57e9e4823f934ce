import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as LlmError from "../../src/domain/LlmError.ts"
import * as fc from "fast-check"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import { type TokenSource } from "../../src/domain/TokenSource.ts"
import * as RequestSink from "../../src/metrics/RequestSink.ts"

const plan: RequestPlan = {
  id: 7,
  dueSeconds: null,
  sampled: true,
  prompt: "Hello",
  inputTokens: 550,
  targetInputTokens: 555,
  outputTokens: 12
}

/** The run began at 1 s on the monotonic clock, which was 1,700,000,000 s after the epoch. */
const start: RequestSink.RunStart = { monotonicNanos: 1_000_000_000, epochSeconds: 1_700_000_000 }
const intendedAt = 3_000_000_001
const sentAt = 3_000_123_457

const sent: TokenEvent = { _tag: "Sent", at: sentAt, connection: null }
const started: TokenEvent = { _tag: "ResponseStarted", at: 3_050_000_000, status: 200, rateLimit: null }
const content = (
  kind: "text" | "reasoning" | "tool",
  ...chunks: ReadonlyArray<readonly [text: string, at: number]>
): TokenEvent => ({ _tag: "Content", kind, at: chunks.map(([, at]) => at), text: chunks.map(([text]) => text) })
const finished: TokenEvent = { _tag: "Finished", at: 3_400_000_000, reason: "length" }
const ended: TokenEvent = { _tag: "Ended", at: 3_500_123_457 }

interface Options {
  /** By the tokenizer. */
  readonly outputTokens?: number | null
  readonly firstTokens?: number | null
  readonly source?: TokenSource | null
  readonly error?: LlmError.Reason
  /** When it failed. */
  readonly endedAt?: number
  readonly xRequestId?: string | null
}

const measure = (events: ReadonlyArray<TokenEvent>, options: Options = {}): RequestSink.Measurement => {
  const measurement = RequestSink.makeMeasurement(plan, intendedAt)
  for (const event of events) RequestSink.add(measurement, event)
  if (options.error !== undefined) measurement.error = LlmError.fromReason(options.error)
  if (options.endedAt !== undefined) measurement.endedAt = options.endedAt
  return measurement
}

const outcomeOf = (events: ReadonlyArray<TokenEvent>, options: Options = {}) =>
  RequestSink.toOutcome(measure(events, options), {
    source: options.source === undefined ? "tokenizer" : options.source,
    tokens: { output: options.outputTokens ?? null, first: options.firstTokens ?? null },
    start,
    xRequestId: options.xRequestId ?? null
  })

describe("RequestSink.toOutcome", () => {
  it("gives every field of a good request, to the nanosecond", () => {
    const { interChunkSeconds, record } = outcomeOf(
      [
        { ...sent, connection: { dns: 1_000_001, tcp: 2_000_002, tls: 3_000_003 } },
        { ...started, rateLimit: { "x-ratelimit-remaining-requests": "59" } },
        content("reasoning", ["Let me see", 3_100_123_458]),
        content("text", ["one two", 3_150_123_460], ["", 3_150_123_460], [" three", 3_300_123_463]),
        finished,
        {
          _tag: "Usage",
          at: 3_400_000_001,
          inputTokens: 551,
          outputTokens: 13,
          cachedInputTokens: 512,
          reasoningTokens: 4
        },
        ended
      ],
      { outputTokens: 11, xRequestId: "run-7" }
    )
    assert.deepStrictEqual(record, {
      error_code: null,
      error_msg: "",
      inter_token_latency_s: 0.200_000_005 / 10,
      sum_inter_token_latency_s: 0.200_000_005,
      mean_inter_token_latency_s: 0.200_000_005 / 10,
      ttft_s: 0.100_000_001,
      end_to_end_latency_s: 0.5,
      start_time: 1_700_000_002.000_123_457,
      end_time: 1_700_000_002.500_123_457,
      request_output_throughput_token_per_s: 22,
      number_total_tokens: 561,
      number_output_tokens: 11,
      number_input_tokens: 550,
      request_id: 7,
      x_request_id: "run-7",
      error_reason: null,
      status: 200,
      finish_reason: "length",
      target_input_tokens: 555,
      target_output_tokens: 12,
      intended_offset_s: 2.000_000_001,
      sent_offset_s: 2.000_123_457,
      end_offset_s: 2.500_123_457,
      dispatch_lag_s: 0.000_123_456,
      scheduled_ttft_s: 0.100_123_457,
      scheduled_end_to_end_latency_s: 0.500_123_456,
      time_to_first_answer_s: 0.150_000_003,
      dns_s: 0.001_000_001,
      connect_s: 0.002_000_002,
      tls_s: 0.003_000_003,
      number_chunks: 4,
      tokens_per_chunk: 2.75,
      max_inter_chunk_latency_s: 0.150_000_003,
      token_source: "tokenizer",
      tokenizer_output_tokens: 11,
      first_chunk_tokens: null,
      hidden_reasoning_tokens: 0,
      usage_input_tokens: 551,
      usage_output_tokens: 13,
      usage_cached_input_tokens: 512,
      usage_reasoning_tokens: 4,
      retry_after_s: null,
      rate_limit: { "x-ratelimit-remaining-requests": "59" },
      sampled: true
    })
    assert.deepStrictEqual(interChunkSeconds, Float64Array.of(0.050_000_002, 0, 0.150_000_003))
  })

  it("gives records that the schema of the result files takes, with its keys in its order", () => {
    const outcomes = [
      outcomeOf([sent, started, content("text", ["a", 3_100_000_000]), finished, ended], { outputTokens: 1 }),
      outcomeOf([], { error: new LlmError.Connect({ description: "refused", code: null }), endedAt: 3_000_000_002 })
    ]
    for (const { record } of outcomes) {
      assert.deepStrictEqual(Schema.decodeSync(RequestRecord)(record), record)
      assert.deepStrictEqual(
        Object.keys(record),
        Object.keys(RequestRecord.fields).filter(
          (key) => !["agent", "credential_renewed", "connection_retry_s", "first_chunk_share"].includes(key)
        )
      )
    }
  })

  it("counts from the second time when a request was written again, and says how long the first took", () => {
    const again: TokenEvent = { ...sent, at: 3_250_000_001, lostAfter: 40_000_000 }
    const { record } = outcomeOf([sent, again, started, content("text", ["a", 4_250_000_001]), finished, ended])
    assert.strictEqual(record.connection_retry_s, 0.04)
    assert.strictEqual(record.ttft_s, 1)
    assert.strictEqual(record.dispatch_lag_s, 0.25)
    assert.deepStrictEqual(Schema.decodeSync(RequestRecord)(record), record)
  })

  it("divides by the tokens after the first, however many came in a chunk", () => {
    const ofChunks = (outputTokens: number | null, ...at: ReadonlyArray<number>) =>
      outcomeOf([sent, started, content("text", ...at.map((at) => ["x", at] as const)), ended], { outputTokens }).record
    // 3 chunks, 21 tokens: (last − first) / 20
    const many = ofChunks(21, 3_100_000_000, 3_200_000_000, 3_300_000_000)
    assert.strictEqual(many.inter_token_latency_s, 0.01)
    assert.strictEqual(many.mean_inter_token_latency_s, 0.01)
    assert.strictEqual(many.sum_inter_token_latency_s, 0.2)
    assert.strictEqual(many.tokens_per_chunk, 7)
    // As many tokens as chunks: the mean of the gaps.
    assert.strictEqual(ofChunks(3, 3_100_000_000, 3_150_000_000, 3_300_000_000).inter_token_latency_s, 0.1)
    // Below two tokens there is nothing to divide by.
    for (const tokens of [0, 1]) {
      const few = ofChunks(tokens, 3_100_000_000, 3_200_000_000)
      assert.isNull(few.inter_token_latency_s)
      assert.isNull(few.mean_inter_token_latency_s)
      assert.strictEqual(few.sum_inter_token_latency_s, 0.1)
    }
    const uncounted = ofChunks(null, 3_100_000_000, 3_200_000_000)
    assert.isNull(uncounted.inter_token_latency_s)
    assert.isNull(uncounted.number_output_tokens)
    assert.isNull(uncounted.number_total_tokens)
    assert.isNull(uncounted.tokens_per_chunk)
    assert.isNull(uncounted.request_output_throughput_token_per_s)
  })

  describe("whose tokens", () => {
    const at = (index: number) => 3_100_000_000 + index * 100_000_000
    const usage = (outputTokens: number | null, index: number, reasoningTokens: number | null = null): TokenEvent => ({
      _tag: "Usage",
      at: at(index),
      inputTokens: 600,
      outputTokens,
      cachedInputTokens: null,
      reasoningTokens
    })
    const chunks = (count: number, kind: "text" | "reasoning" = "text") =>
      content(kind, ...Array.from({ length: count }, (_, index) => ["x", at(index)] as const))
    const rowOf = (events: ReadonlyArray<TokenEvent>, options: Options) =>
      outcomeOf([sent, started, ...events, finished, ended], options).record

    it("takes the server's count where it leads, and keeps the tokenizer's beside it", () => {
      const events = [chunks(5), usage(5, 4)]
      assert.deepInclude(rowOf(events, { source: "server", outputTokens: 9, firstTokens: 2 }), {
        token_source: "server",
        number_output_tokens: 5,
        number_total_tokens: 555,
        tokenizer_output_tokens: 9,
        usage_output_tokens: 5,
        first_chunk_tokens: 1,
        inter_token_latency_s: 0.1,
        tokens_per_chunk: 1,
        request_output_throughput_token_per_s: 10
      })
      // Nine, of which two came with the first chunk: seven in 0.4 s
      assert.deepInclude(rowOf(events, { source: "tokenizer", outputTokens: 9, firstTokens: 2 }), {
        token_source: "tokenizer",
        number_output_tokens: 9,
        tokenizer_output_tokens: 9,
        usage_output_tokens: 5,
        first_chunk_tokens: 2,
        inter_token_latency_s: 0.4 / 7
      })
    })

    it("knows no tokens where the one who counts says nothing", () => {
      const unknown = {
        number_output_tokens: null,
        number_total_tokens: null,
        inter_token_latency_s: null,
        mean_inter_token_latency_s: null,
        tokens_per_chunk: null,
        request_output_throughput_token_per_s: null
      }
      assert.deepInclude(rowOf([chunks(3)], { source: "server", outputTokens: 3 }), {
        ...unknown,
        token_source: "server",
        tokenizer_output_tokens: 3
      })
      assert.deepInclude(rowOf([chunks(3), usage(null, 2)], { source: "server", outputTokens: 3 }), unknown)
      assert.deepInclude(rowOf([chunks(3), usage(3, 2)], { source: null, outputTokens: 3 }), {
        ...unknown,
        token_source: null,
        tokenizer_output_tokens: 3,
        usage_output_tokens: 3
      })
      // An answer without text has tokens or not: only the server knows
      assert.deepInclude(rowOf([], { source: "server", outputTokens: 0 }), unknown)
    })

    it("says 0 of a request that failed before anything came, whoever counts", () => {
      for (const source of ["server", "tokenizer", null] as const) {
        const { record } = outcomeOf([sent], {
          source,
          outputTokens: 0,
          error: new LlmError.Connect({ description: "refused", code: null })
        })
        assert.deepInclude(record, { number_output_tokens: 0, number_total_tokens: 550, token_source: source })
      }
      const { record } = outcomeOf([sent, chunks(2)], {
        source: "server",
        outputTokens: 2,
        error: new LlmError.Truncated({ description: "reset" })
      })
      assert.isNull(record.number_output_tokens)
    })

    it("leaves what came with the first chunk out of the time per token, as the server counts it in each", () => {
      // 4 tokens with the first chunk, then 2 with each of 3
      const events = [
        content("text", ["x", at(0)]),
        usage(4, 0),
        content("text", ["x", at(1)]),
        usage(6, 1),
        content("text", ["x", at(2)], ["x", at(3)]),
        usage(10, 3)
      ]
      assert.deepInclude(rowOf(events, { source: "server", outputTokens: 10, firstTokens: 3 }), {
        number_output_tokens: 10,
        first_chunk_tokens: 4,
        inter_token_latency_s: 0.3 / 6
      })
    })

    it("takes the tokenizer's count of what came first where the server gives only the total and both agree", () => {
      const events = [chunks(4), usage(100, 3)]
      const of = (outputTokens: number | null, firstTokens: number | null) =>
        rowOf(events, { source: "server", outputTokens, firstTokens })
      assert.deepInclude(of(100, 25), { first_chunk_tokens: 25, inter_token_latency_s: 0.3 / 75 })
      // Scaled to the server's tokens
      assert.deepInclude(of(96, 24), { first_chunk_tokens: 25, inter_token_latency_s: 0.3 / 75 })
      assert.notProperty(of(96, 24), "first_chunk_share")
      // More than 5 % apart, or not counted: one token per chunk, and how much the time per token may be low by
      assert.deepInclude(of(94, 23), {
        first_chunk_tokens: null,
        first_chunk_share: 23 / 94,
        inter_token_latency_s: 0.3 / 99
      })
      assert.deepInclude(of(null, null), { first_chunk_tokens: null, first_chunk_share: 0.25 })
      // Short answers: one token more is the mark of the end
      const short = rowOf([chunks(2), usage(9, 1)], { source: "server", outputTokens: 8, firstTokens: 4 })
      assert.deepInclude(short, { first_chunk_tokens: 5, inter_token_latency_s: 0.1 / 4 })
      // Every later chunk has a token at least, and a row that the tokenizer leads needs no share
      assert.strictEqual(
        rowOf([chunks(4), usage(5, 3)], { source: "server", outputTokens: 5, firstTokens: 4 }).first_chunk_tokens,
        2
      )
      assert.notProperty(rowOf(events, { source: "tokenizer", outputTokens: 94, firstTokens: 23 }), "first_chunk_share")
    })

    it("needs no tokenizer for what came first where every chunk is a token", () => {
      const needs = (...events: ReadonlyArray<TokenEvent>) => RequestSink.isFirstUnknown(measure([sent, ...events]))
      assert.isFalse(needs(chunks(4), usage(4, 3)))
      assert.isTrue(needs(chunks(4), usage(8, 3)))
      assert.isFalse(needs(content("text", ["x", at(0)]), usage(4, 0), content("text", ["x", at(1)]), usage(8, 1)))
      assert.isFalse(needs(chunks(4)))
      // Two chunks of one moment are two tokens
      const together = [content("text", ["a", at(0)], ["b", at(0)], ["c", at(1)]), usage(3, 1)]
      assert.isFalse(needs(...together))
      assert.deepInclude(rowOf(together, { source: "server" }), { first_chunk_tokens: 2, inter_token_latency_s: 0.1 })
    })

    it("leaves out the mark of the end, which the server counts and does not stream", () => {
      const ofEnd = (reason: string, count: number, last: number) =>
        outcomeOf([sent, started, chunks(count), { ...finished, reason }, usage(last, count + 1), ended], {
          source: "server"
        }).record
      assert.deepInclude(ofEnd("stop", 4, 5), { number_output_tokens: 5, inter_token_latency_s: 0.3 / 3 })
      assert.deepInclude(ofEnd("length", 4, 5), { number_output_tokens: 5, inter_token_latency_s: 0.3 / 4 })
      // Chunks are not tokens here: nothing shows it
      assert.strictEqual(ofEnd("stop", 4, 6).inter_token_latency_s, 0.3 / 5)
      assert.strictEqual(ofEnd("stop", 4, 4).inter_token_latency_s, 0.3 / 3)
      // Told in every chunk: 6 tokens in 4 chunks, and the mark
      const told = [chunks(4), usage(6, 3), usage(7, 4)]
      assert.deepInclude(rowOf(told, { source: "server" }), { number_output_tokens: 7, inter_token_latency_s: 0.3 / 5 })
    })

    it("has no time per token where all came at once", () => {
      const once = [content("text", ["a", at(0)], ["b", at(0)]), usage(8, 0)]
      assert.deepInclude(rowOf(once, { source: "server", outputTokens: 2 }), {
        first_chunk_tokens: 8,
        sum_inter_token_latency_s: 0,
        inter_token_latency_s: null
      })
    })

    it("leaves reasoning that was never streamed out of every count and rate", () => {
      const record = rowOf([chunks(5), usage(105, 4, 100)], { source: "server", outputTokens: 5 })
      assert.deepInclude(record, {
        number_output_tokens: 5,
        hidden_reasoning_tokens: 100,
        usage_output_tokens: 105,
        usage_reasoning_tokens: 100,
        inter_token_latency_s: 0.1,
        request_output_throughput_token_per_s: 10
      })
      const streamed = [content("reasoning", ["hm", at(0)]), content("text", ["a", at(1)]), usage(2, 1, 1)]
      assert.deepInclude(rowOf(streamed, { source: "server" }), {
        number_output_tokens: 2,
        hidden_reasoning_tokens: 0,
        inter_token_latency_s: 0.1
      })
      assert.isNull(rowOf([chunks(1), usage(1, 0)], { source: "server" }).hidden_reasoning_tokens)
      // The first visible token comes after all that was hidden
      const counted = [
        content("text", ["x", at(0)]),
        usage(102, 0, 100),
        content("text", ["x", at(1)]),
        usage(104, 1, 100)
      ]
      assert.deepInclude(rowOf(counted, { source: "server" }), { first_chunk_tokens: 2, inter_token_latency_s: 0.05 })
    })

    it("holds that time per token × tokens after the first moment is the time they took", () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 40 }),
          fc.integer({ min: 1, max: 20 }),
          fc.integer({ min: 0, max: 200 }),
          fc.integer({ min: 0, max: 30 }),
          fc.constantFrom("server" as const, "tokenizer" as const),
          (count, first, others, hidden, source) => {
            const reasoning = hidden === 0 ? null : hidden
            const events = [
              content("text", ["x", at(0)]),
              usage(first + hidden, 0, reasoning),
              content("text", ...Array.from({ length: count }, (_, i) => ["y", at(i + 1)] as const)),
              usage(first + others + hidden, count, reasoning)
            ]
            const record = rowOf(events, { source, outputTokens: first + others, firstTokens: first })
            assert.strictEqual(record.number_output_tokens, first + others)
            assert.strictEqual(record.first_chunk_tokens, first)
            if (others === 0) assert.isNull(record.inter_token_latency_s)
            else {
              assert.closeTo(
                (record.inter_token_latency_s ?? NaN) * others,
                record.sum_inter_token_latency_s ?? NaN,
                1e-9
              )
            }
          }
        )
      )
    })
  })

  it("keeps a refusal over the ordinary end that follows it", () => {
    const end = (reason: string): TokenEvent => ({ ...finished, reason })
    const reasonOf = (...reasons: ReadonlyArray<string>) =>
      outcomeOf([sent, ...reasons.map(end), ended]).record.finish_reason
    assert.strictEqual(reasonOf("refusal", "stop"), "refusal")
    assert.strictEqual(reasonOf("refusal", "length"), "length")
    assert.strictEqual(reasonOf("length", "stop"), "stop")
  })

  it("one token in one chunk", () => {
    const { interChunkSeconds, record } = outcomeOf(
      [sent, started, content("text", ["a", 3_100_123_457]), finished, ended],
      {
        outputTokens: 1
      }
    )
    assert.strictEqual(interChunkSeconds.length, 0)
    assert.deepInclude(record, {
      ttft_s: 0.1,
      time_to_first_answer_s: 0.1,
      inter_token_latency_s: null,
      sum_inter_token_latency_s: 0,
      end_to_end_latency_s: 0.5,
      request_output_throughput_token_per_s: 2,
      number_chunks: 1,
      tokens_per_chunk: 1,
      max_inter_chunk_latency_s: null
    })
  })

  it("an answer without content", () => {
    const { interChunkSeconds, record } = outcomeOf([sent, started, finished, ended], { outputTokens: 0 })
    assert.strictEqual(interChunkSeconds.length, 0)
    assert.deepInclude(record, {
      error_code: null,
      ttft_s: null,
      scheduled_ttft_s: null,
      time_to_first_answer_s: null,
      inter_token_latency_s: null,
      sum_inter_token_latency_s: null,
      end_to_end_latency_s: 0.5,
      request_output_throughput_token_per_s: 0,
      number_output_tokens: 0,
      number_total_tokens: 550,
      number_chunks: 0,
      tokens_per_chunk: null,
      max_inter_chunk_latency_s: null
    })
  })

  it("reasoning counts for the first token, and the answer has its own", () => {
    const events = (kind: "text" | "tool") => [
      sent,
      started,
      content("reasoning", ["hm", 3_100_123_457], ["so", 3_150_123_457]),
      content(kind, ["a", 3_200_123_457], ["b", 3_250_123_457]),
      ended
    ]
    for (const kind of ["text", "tool"] as const) {
      const { record } = outcomeOf(events(kind), { outputTokens: 4 })
      assert.deepInclude(record, {
        ttft_s: 0.1,
        time_to_first_answer_s: 0.2,
        inter_token_latency_s: 0.15 / 3,
        number_chunks: 4
      })
    }
    const { record } = outcomeOf([sent, content("reasoning", ["hm", 3_100_123_457]), ended], { outputTokens: 1 })
    assert.deepInclude(record, { ttft_s: 0.1, time_to_first_answer_s: null })
  })

  it("a failure before anything was sent has no latencies, and ends when it failed", () => {
    const { interChunkSeconds, record } = outcomeOf([], {
      outputTokens: 0,
      error: new LlmError.Connect({ description: "connect ECONNREFUSED", code: "ECONNREFUSED" }),
      endedAt: 3_010_000_000
    })
    assert.strictEqual(interChunkSeconds.length, 0)
    assert.deepInclude(record, {
      error_code: "connect_error",
      error_msg: "Could not connect: connect ECONNREFUSED",
      error_reason: "Connect",
      status: null,
      start_time: null,
      end_time: 1_700_000_002.01,
      intended_offset_s: 2.000_000_001,
      sent_offset_s: null,
      end_offset_s: 2.01,
      dispatch_lag_s: null,
      ttft_s: null,
      end_to_end_latency_s: null,
      scheduled_ttft_s: null,
      scheduled_end_to_end_latency_s: null,
      request_output_throughput_token_per_s: null,
      dns_s: null,
      connect_s: null,
      tls_s: null,
      number_chunks: 0
    })
  })

  it("a failure in the middle keeps all that was seen", () => {
    const { interChunkSeconds, record } = outcomeOf(
      [sent, started, content("text", ["a", 3_100_123_457], ["b", 3_200_123_457])],
      {
        outputTokens: 2,
        error: new LlmError.Truncated({ description: "reset" }),
        endedAt: 3_250_123_457
      }
    )
    assert.deepStrictEqual(interChunkSeconds, Float64Array.of(0.1))
    assert.deepInclude(record, {
      error_code: "truncated",
      error_reason: "Truncated",
      status: 200,
      ttft_s: 0.1,
      inter_token_latency_s: 0.1,
      end_to_end_latency_s: 0.25,
      end_offset_s: 2.250_123_457,
      number_output_tokens: 2,
      number_chunks: 2
    })
  })

  it("without an end, the last thing that was seen is the end", () => {
    assert.strictEqual(outcomeOf([]).record.end_offset_s, 2.000_000_001)
    assert.strictEqual(outcomeOf([sent]).record.end_offset_s, 2.000_123_457)
    assert.strictEqual(outcomeOf([sent, content("text", ["a", 3_100_000_000])]).record.end_offset_s, 2.1)
  })

  it("a refusal has its status, its code and what the server asks for", () => {
    const { record } = outcomeOf([sent, { ...started, status: 429, rateLimit: { "retry-after": "2.5" } }], {
      outputTokens: 0,
      error: new LlmError.RateLimited({ status: 429, body: "slow down", retryAfterSeconds: 2.5 }),
      endedAt: 3_060_000_000
    })
    assert.deepInclude(record, {
      error_code: 429,
      error_msg: "HTTP 429: slow down",
      error_reason: "RateLimited",
      status: 429,
      retry_after_s: 2.5,
      rate_limit: { "retry-after": "2.5" },
      ttft_s: null
    })
    const status = new LlmError.HttpStatus({ status: 503, body: "", retryAfterSeconds: 7 })
    assert.strictEqual(outcomeOf([sent], { error: status }).record.retry_after_s, 7)
  })

  it("usage that does not say everything", () => {
    const usage = {
      _tag: "Usage",
      at: 1,
      inputTokens: null,
      outputTokens: 0,
      cachedInputTokens: null,
      reasoningTokens: null
    } as const
    assert.deepInclude(outcomeOf([sent, usage, ended]).record, {
      usage_input_tokens: null,
      usage_output_tokens: 0,
      usage_cached_input_tokens: null,
      usage_reasoning_tokens: null
    })
  })

  it("an end at the very moment of the start has no throughput", () => {
    const { record } = outcomeOf([sent, content("text", ["a", sentAt]), { ...ended, at: sentAt }], { outputTokens: 5 })
    assert.strictEqual(record.end_to_end_latency_s, 0)
    assert.isNull(record.request_output_throughput_token_per_s)
  })
})

describe("RequestSink.add", () => {
  it("keeps every piece of text in its order", () => {
    const { chunkAt, text } = measure([
      sent,
      content("reasoning", ["a", 1]),
      content("text", ["b", 2], ["c", 3]),
      content("tool", ["d", 4])
    ])
    assert.deepStrictEqual(text, ["a", "b", "c", "d"])
    assert.deepStrictEqual(chunkAt, [1, 2, 3, 4])
  })

  it("forgets the first attempt when the request is sent again", () => {
    const again: TokenEvent = { _tag: "Sent", at: 9, connection: null }
    const measurement = measure([
      { ...sent, connection: { dns: 1, tcp: 2, tls: 3 } },
      { ...started, status: 400, rateLimit: { "retry-after": "1" } },
      content("text", ["a", 1]),
      finished,
      again
    ])
    assert.deepStrictEqual(measurement, { ...RequestSink.makeMeasurement(plan, intendedAt), sent: again })
  })

  it("remembers that a credential was renewed, of the first attempt nothing else", () => {
    const again: TokenEvent = { _tag: "Sent", at: 9, connection: null }
    const measurement = measure([sent, { ...started, status: 401 }, { _tag: "CredentialRenewed", at: 8 }, again, ended])
    assert.deepInclude(measurement, { sent: again, status: null, credentialRenewed: true })
    const { record } = RequestSink.toOutcome(measurement, {
      source: "tokenizer",
      tokens: { output: 0, first: 0 },
      start,
      xRequestId: null
    })
    assert.isTrue(record.credential_renewed)
    assert.deepStrictEqual(Schema.decodeSync(RequestRecord)(record), record)
  })

  it("takes the last word on usage and on the reason of the end", () => {
    const usage = (outputTokens: number): TokenEvent => ({
      _tag: "Usage",
      at: 1,
      inputTokens: 1,
      outputTokens,
      cachedInputTokens: null,
      reasoningTokens: null
    })
    const measurement = measure([sent, usage(1), { ...finished, reason: "stop" }, usage(2), finished])
    assert.strictEqual(measurement.usage?.outputTokens, 2)
    assert.strictEqual(measurement.finishReason, "length")
  })
})

describe("RequestSink.into", () => {
  const batches: ReadonlyArray<readonly [TokenEvent, ...Array<TokenEvent>]> = [
    [sent],
    [started, content("text", ["a", 1], ["b", 2])],
    [content("text", ["c", 3])],
    [finished, ended]
  ]
  const stream = Stream.fromIterable(batches).pipe(Stream.flatMap(Stream.fromArray))

  it.effect("folds a stream, and tells after each batch how much of it is new", () =>
    Effect.gen(function* () {
      const measurement = RequestSink.makeMeasurement(plan, intendedAt)
      const seen: Array<readonly [before: number, after: number]> = []
      yield* Stream.run(
        stream,
        RequestSink.into(measurement, ({ chunkAt }, before) => seen.push([before, chunkAt.length]))
      )
      assert.deepStrictEqual(seen, [
        [0, 0],
        [0, 2],
        [2, 3],
        [3, 3]
      ])
      assert.deepStrictEqual(measurement, measure(batches.flat()))
    })
  )

  it.effect("keeps what came before a failure", () =>
    Effect.gen(function* () {
      const measurement = RequestSink.makeMeasurement(plan, intendedAt)
      const error = LlmError.fromReason(new LlmError.Truncated({ description: "reset" }))
      const failing = Stream.concat(Stream.take(stream, 3), Stream.fail(error))
      assert.strictEqual(yield* Effect.flip(Stream.run(failing, RequestSink.into(measurement))), error)
      assert.deepStrictEqual(measurement.text, ["a", "b"])
      assert.isNull(measurement.error)
    })
  )
})
