/**
 * Folds finished requests into the summary of a run.
 *
 * What it keeps of a request is a row of numbers in typed arrays (about 150 bytes), so that quantiles are exact; the gaps
 * between chunks go into one histogram. Beyond 100,000 requests the numbers go into histograms too: quantiles are then within
 * 0.1 %, and the memory does not grow any more (about 8 MB). Nothing of the request itself is retained.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { RequestOutcome, RequestRecord } from "../domain/RequestRecord.ts"
import type { TokenSource } from "../domain/TokenSource.ts"
import type { ErrorGroup, Summary } from "../domain/Summary.ts"
import * as Histogram from "./Histogram.ts"
import { ByteReader, ByteWriter } from "./internal/bytes.ts"
import { type Column, seconds } from "./internal/Column.ts"
import * as Distribution from "./internal/distribution.ts"
import { type Flights } from "./internal/Flights.ts"
import { SummaryParts } from "./internal/SummaryParts.ts"

/**
 * So many values of each number are kept as they are; more go into a histogram. With so many, the median of a latency that
 * varies by 30 % is itself known to 0.12 % only (1.25 σ / √n).
 *
 * @category constants
 * @since 0.2.0
 */
export const EXACT_VALUES = 100_000

/**
 * The largest relative error of a quantile that is read from a histogram: `quantile_error` of such a summary.
 *
 * @category constants
 * @since 0.2.0
 */
export const QUANTILE_ERROR = 0.001

/**
 * - `exactValues`: `EXACT_VALUES` when left out
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly exactValues?: number | undefined
}

/**
 * Bytes that are not a packed summary.
 *
 * @category errors
 * @since 0.2.0
 */
export class SummaryDecodeError extends Schema.TaggedError<SummaryDecodeError>("llmperf/metrics/SummaryDecodeError")(
  "SummaryDecodeError",
  { description: Schema.String }
) {
  override get message(): string {
    return `Not a packed summary: ${this.description}`
  }
}

/**
 * What the requests themselves do not tell.
 *
 * - `wallSeconds`: from the start of the test to its end
 * - `unsent`: planned requests that were never started
 * - `openLoop`: requests that waited for a place in flight, and that were left out for want of one; `null` in a closed loop
 *
 * @category models
 * @since 0.1.0
 */
export interface RunContext {
  readonly wallSeconds: number
  readonly unsent?: number | undefined
  readonly openLoop?: { readonly queued: number; readonly dropped: number } | null | undefined
}

/**
 * A request of an open loop is late when it is written to the socket more than so many seconds after it was due.
 *
 * @category constants
 * @since 0.2.0
 */
export const LATE_SECONDS = 0.01

/**
 * Chunks of an answer that arrive no further apart than this came together: in one read of the socket.
 *
 * @category constants
 * @since 0.2.0
 */
export const TOGETHER_SECONDS = 0.0001

/**
 * Where a run stands. `failed` does not include `cancelled`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  readonly outputTokens: number
}

/**
 * A summary in the making.
 *
 * @category models
 * @since 0.1.0
 */
export class SummarySink {
  /** @internal */
  readonly parts: SummaryParts

  constructor(options: Options = {}) {
    this.parts = new SummaryParts(options.exactValues ?? EXACT_VALUES)
  }

  /** Adds one finished request. */
  add(outcome: RequestOutcome): void {
    const { errors, flights, totals } = this.parts
    const record = outcome.record
    if (record.sent_offset_s !== null) {
      flights.add(record.sent_offset_s, Math.max(record.sent_offset_s, record.end_offset_s))
    }
    if ((record.dispatch_lag_s ?? 0) > LATE_SECONDS) totals.late++
    if (!record.sampled) totals.unsampled++
    if (record.connection_retry_s !== undefined) totals.retried++
    if (record.error_code === null) {
      addCompleted(this.parts, record)
      if (!record.sampled) return
      addMeasured(this.parts, record)
      addGaps(this.parts, outcome.interChunkSeconds)
      return
    }
    if (record.error_reason === "Cancelled") totals.cancelled++
    else {
      totals.failed++
      if (record.sampled) totals.measuredFailures++
    }
    errors.add(record.error_reason ?? "Unknown", record.error_code, record.error_msg, record.retry_after_s)
  }

  /**
   * Adds everything another one holds, as if its requests had been added here. Where both together have more values than are
   * kept here as they are, they become a histogram.
   */
  merge(that: SummarySink): void {
    this.parts.merge(that.parts)
  }

  /** Where the run stands: a few counters, cheap at any time. */
  counts(): Counts {
    const { cancelled, completed, failed, outputTokens } = this.parts.totals
    return { completed, failed, cancelled, outputTokens }
  }

  /** The failures so far by reason and code, the most frequent first. */
  errors(): ReadonlyArray<ErrorGroup> {
    return this.parts.errors.groups()
  }

  /** The summary of all requests added so far. It sorts every column: for the end of a run. */
  summary(context: RunContext): Summary {
    const wall = context.wallSeconds > 0 && Number.isFinite(context.wallSeconds) ? context.wallSeconds : null
    const perWallSecond = (value: number) => (wall === null ? null : quotient(value, wall))
    const openLoop = context.openLoop ?? null
    const { columns, flights, totals } = this.parts
    const errors = totals.failed + totals.cancelled
    const started = totals.completed + errors
    const ttft = columns.ttft_s.ranked()
    const endToEnd = columns.end_to_end_latency_s.ranked()
    const inFlight = flights.flight()
    const meanInFlight = perWallSecond(inFlight.requestSeconds)
    // A sum without the tokens of some answers is not the run's
    const outputTokens = totals.uncounted === 0 ? totals.outputTokens : null
    const expectedInFlight = totals.completed === 0 ? null : perWallSecond(totals.requestSeconds)

    return {
      inter_token_latency_s: plain(columns.inter_token_latency_s),
      ttft_s: Distribution.plain(ttft),
      end_to_end_latency_s: Distribution.plain(endToEnd),
      request_output_throughput_token_per_s: plain(columns.request_output_throughput_token_per_s),
      number_input_tokens: plain(columns.number_input_tokens),
      number_output_tokens: plain(columns.number_output_tokens),
      num_requests_started: started,
      error_rate: started === 0 ? 0 : errors / started,
      number_errors: errors,
      error_code_frequency: this.parts.errors.byCode(),
      mean_output_throughput_token_per_s: outputTokens === null ? null : perWallSecond(outputTokens),
      num_completed_requests: totals.completed,
      num_completed_requests_per_min: perWallSecond(totals.completed * 60),

      sum_inter_token_latency_s: plain(columns.sum_inter_token_latency_s),
      mean_inter_token_latency_s: plain(columns.mean_inter_token_latency_s),

      dispatch_lag_s: detailed(columns.dispatch_lag_s),
      scheduled_ttft_s: detailed(columns.scheduled_ttft_s),
      scheduled_end_to_end_latency_s: detailed(columns.scheduled_end_to_end_latency_s),
      inter_chunk_latency_s: Distribution.detailed(Distribution.ofHistogram(this.parts.gaps, seconds)),
      tokens_per_chunk: detailed(columns.tokens_per_chunk),
      time_to_first_answer_s: detailed(columns.time_to_first_answer_s),
      dns_s: detailed(columns.dns_s),
      connect_s: detailed(columns.connect_s),
      tls_s: detailed(columns.tls_s),
      failed_as_infinite: {
        ttft_s: { quantiles: Distribution.quantiles(ttft, totals.measuredFailures) },
        end_to_end_latency_s: { quantiles: Distribution.quantiles(endToEnd, totals.measuredFailures) }
      },
      quantile_error: this.parts.isExact ? 0 : QUANTILE_ERROR,

      num_failed_requests: totals.failed,
      num_cancelled_requests: totals.cancelled,
      num_unsampled_requests: totals.unsampled,
      num_retried_requests: totals.retried,
      num_unsent_requests: context.unsent ?? 0,
      num_late_requests: openLoop === null ? null : totals.late,
      num_queued_requests: openLoop?.queued ?? null,
      num_dropped_requests: openLoop?.dropped ?? null,
      error_reason_frequency: this.parts.errors.byReason(),
      errors: this.parts.errors.groups(),

      finish_reason_frequency: this.parts.finishReasons.frequency(),

      token_source: sourceOf(totals),
      num_uncounted_requests: totals.uncounted,
      num_requests_without_content: totals.withoutContent,
      total_hidden_reasoning_tokens: totals.hiddenReasoningTokens,
      num_unknown_first_chunks: totals.vagueFirst,
      unknown_first_chunk_share: quotient(totals.firstShares, totals.vagueFirst),
      total_input_tokens: totals.inputTokens,
      total_output_tokens: outputTokens,
      total_chunks: totals.chunks,
      inter_chunk_burst_share: quotient(totals.chunksTogether, Histogram.count(this.parts.gaps)),
      mean_tokens_per_chunk: quotient(totals.tokensInChunks, totals.chunksWithTokens),
      usage_output_tokens: this.parts.usageOutput.comparison(),
      usage_input_tokens: this.parts.usageInput.comparison(),
      usage_cached_input_tokens: {
        num_requests: totals.cacheKnown,
        total_tokens: totals.cacheableTokens,
        total_cached_tokens: totals.cachedTokens,
        share: quotient(totals.cachedTokens, totals.cacheableTokens)
      },

      wall_time_s: wall,
      busy_time_s: inFlight.busySeconds,
      busy_output_throughput_token_per_s: outputTokens === null ? null : quotient(outputTokens, inFlight.busySeconds),
      request_rate_per_s: (openLoop === null ? null : offeredRate(flights)) ?? perWallSecond(flights.count),
      mean_requests_in_flight: meanInFlight,
      max_requests_in_flight: inFlight.most,
      littles_law: {
        rate_times_mean_latency: expectedInFlight,
        relative_difference:
          meanInFlight === null || expectedInFlight === null
            ? null
            : quotient(expectedInFlight - meanInFlight, meanInFlight)
      }
    }
  }
}

const plain = (column: Column) => Distribution.plain(column.ranked())

const detailed = (column: Column) => Distribution.detailed(column.ranked())

/** Whose counts those of the requests are that completed. The rows of a run agree in it. */
const sourceOf = ({ byServer, byTokenizer }: SummaryParts["totals"]): TokenSource | null =>
  byServer + byTokenizer === 0 ? null : byServer >= byTokenizer ? "server" : "tokenizer"

const addCompleted = (
  { finishReasons, totals, usageInput, usageOutput }: SummaryParts,
  record: RequestRecord
): void => {
  totals.completed++
  if (record.finish_reason !== null) finishReasons.add(record.finish_reason)
  if (record.token_source === "server") totals.byServer++
  else if (record.token_source === "tokenizer") totals.byTokenizer++
  totals.hiddenReasoningTokens += record.hidden_reasoning_tokens ?? 0
  totals.requestSeconds += record.end_to_end_latency_s ?? 0
  totals.inputTokens += record.number_input_tokens
  totals.chunks += record.number_chunks
  // An answer in one piece has no chunks, but a text
  if (record.number_chunks === 0 && record.tokenizer_output_tokens === 0) totals.withoutContent++
  if (record.number_output_tokens === null) totals.uncounted++
  else {
    totals.outputTokens += record.number_output_tokens
    if (record.number_chunks > 0) {
      totals.tokensInChunks += record.number_output_tokens
      totals.chunksWithTokens += record.number_chunks
    }
  }
  usageOutput.add(record.tokenizer_output_tokens, visibleOutput(record))
  usageInput.add(record.number_input_tokens, record.usage_input_tokens)
  const { usage_cached_input_tokens: cached, usage_input_tokens: input } = record
  if (cached !== null && input !== null) {
    totals.cacheKnown++
    totals.cacheableTokens += input
    totals.cachedTokens += cached
  }
}

/** What the server counts of what was streamed. */
const visibleOutput = ({ hidden_reasoning_tokens, usage_output_tokens }: RequestRecord): number | null =>
  usage_output_tokens === null ? null : usage_output_tokens - (hidden_reasoning_tokens ?? 0)

const addMeasured = ({ columns, totals }: SummaryParts, record: RequestRecord): void => {
  if (record.first_chunk_share !== undefined) {
    totals.vagueFirst++
    totals.firstShares += record.first_chunk_share
  }
  columns.inter_token_latency_s.push(record.inter_token_latency_s)
  columns.sum_inter_token_latency_s.push(record.sum_inter_token_latency_s)
  columns.mean_inter_token_latency_s.push(record.mean_inter_token_latency_s)
  columns.ttft_s.push(record.ttft_s)
  columns.end_to_end_latency_s.push(record.end_to_end_latency_s)
  columns.request_output_throughput_token_per_s.push(record.request_output_throughput_token_per_s)
  columns.number_input_tokens.push(record.number_input_tokens)
  columns.number_output_tokens.push(record.number_output_tokens)
  columns.dispatch_lag_s.push(record.dispatch_lag_s)
  columns.scheduled_ttft_s.push(record.scheduled_ttft_s)
  columns.scheduled_end_to_end_latency_s.push(record.scheduled_end_to_end_latency_s)
  columns.time_to_first_answer_s.push(record.time_to_first_answer_s)
  columns.tokens_per_chunk.push(record.tokens_per_chunk)
  columns.dns_s.push(record.dns_s)
  columns.connect_s.push(record.connect_s)
  columns.tls_s.push(record.tls_s)
}

const addGaps = ({ gaps, totals }: SummaryParts, seconds: Float64Array): void => {
  Histogram.addAll(gaps, seconds)
  for (let i = 0; i < seconds.length; i++) if (seconds[i]! <= TOGETHER_SECONDS) totals.chunksTogether++
}

/** Of an open loop: over the time in which requests were sent, which ends before the answers do. */
const offeredRate = ({ count, sentSeconds }: Flights): number | null =>
  sentSeconds === null ? null : quotient(count - 1, sentSeconds)

const quotient = (numerator: number, denominator: number): number | null => {
  const value = numerator / denominator
  return denominator > 0 && Number.isFinite(value) ? value : null
}

const VERSION = 2

/**
 * A summary in the making as bytes, to be sent to another thread or machine and merged there: nothing is lost. At most 15 MB as
 * long as all values are kept as they are (144 bytes per request), then some hundred kB per histogram at most.
 *
 * Format, version 2, all numbers little-endian: the byte 2; the number of values that are kept, an unsigned 32-bit integer; the
 * totals as doubles; for each number of a request the byte 0 and its values, or the byte 1 and a `Histogram.encode`; the histogram
 * of the gaps; the number of requests sent and when the first and the last were as doubles, and the byte 0 and the moments when they were
 * sent, then when they ended, or the byte 1 and a grid of time; the groups of errors and the reasons why answers ended as JSON; and both
 * comparisons with the server's counts, six doubles each. What has
 * a length begins with it: an unsigned 32-bit integer, in values or in bytes.
 *
 * @category encoding
 * @since 0.2.0
 */
export const pack = (self: SummarySink): Uint8Array<ArrayBuffer> => {
  const writer = new ByteWriter()
  writer.byte(VERSION)
  writer.uint32(self.parts.limit)
  self.parts.write(writer)
  return writer.written()
}

/**
 * What a packed summary that comes from elsewhere must be of: `requests` that ended within `seconds` after the start of the run.
 *
 * @category models
 * @since 0.2.0
 */
export interface Expected {
  readonly requests: number
  readonly seconds: number
}

/** Of the errors and the histograms of a packed summary, and of each of its requests, in bytes. */
const MOST_FIXED_BYTES = 8 * 1024 * 1024
const MOST_BYTES_EACH = 256

/**
 * The summary in the making that `pack` made these bytes of. Merging it, or adding to it, is the same as with the original.
 *
 * With `expected` it fails too when it cannot be of these requests: other counts, negative or impossible durations, more bytes than
 * they need. What passes need not be true.
 *
 * @category encoding
 * @since 0.2.0
 */
export const unpack = (bytes: Uint8Array, expected?: Expected): Result.Result<SummarySink, SummaryDecodeError> => {
  if (expected !== undefined && bytes.length > MOST_FIXED_BYTES + MOST_BYTES_EACH * expected.requests) {
    return Result.fail(
      new SummaryDecodeError({ description: `${bytes.length} bytes for ${expected.requests} requests` })
    )
  }
  const reader = new ByteReader(bytes)
  const version = reader.byte()
  if (version !== VERSION) {
    return Result.fail(new SummaryDecodeError({ description: `version ${version}, expected ${VERSION}` }))
  }
  const exactValues = reader.uint32()
  if (expected !== undefined && exactValues !== EXACT_VALUES) reader.fail(`${exactValues} exact values`)
  const sink = new SummarySink({ exactValues })
  sink.parts.read(reader)
  const problem =
    reader.end() ?? (expected === undefined ? null : sink.parts.misfit(expected.requests, expected.seconds))
  return problem === null ? Result.succeed(sink) : Result.fail(new SummaryDecodeError({ description: problem }))
}
