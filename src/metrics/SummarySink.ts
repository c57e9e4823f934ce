/**
 * Folds finished requests into the summary of a run.
 *
 * What it keeps of a request is a row of numbers in typed arrays (about 150 bytes), so that quantiles are exact; the gaps
 * between chunks go into one histogram. Nothing of the request itself is retained.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import type { RequestOutcome, RequestRecord } from "../domain/RequestRecord.ts"
import type { Summary } from "../domain/Summary.ts"
import * as Histogram from "./Histogram.ts"
import { Column } from "./internal/Column.ts"
import { ErrorTally } from "./internal/ErrorTally.ts"
import * as Distribution from "./internal/distribution.ts"
import { flight } from "./internal/flight.ts"
import { UsageTally } from "./internal/UsageTally.ts"
import * as Quantile from "./Quantile.ts"

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
  readonly #inter_token_latency_s = new Column()
  readonly #sum_inter_token_latency_s = new Column()
  readonly #mean_inter_token_latency_s = new Column()
  readonly #ttft_s = new Column()
  readonly #end_to_end_latency_s = new Column()
  readonly #request_output_throughput_token_per_s = new Column()
  readonly #number_input_tokens = new Column()
  readonly #number_output_tokens = new Column()
  readonly #dispatch_lag_s = new Column()
  readonly #scheduled_ttft_s = new Column()
  readonly #scheduled_end_to_end_latency_s = new Column()
  readonly #time_to_first_answer_s = new Column()
  readonly #tokens_per_chunk = new Column()
  readonly #dns_s = new Column()
  readonly #connect_s = new Column()
  readonly #tls_s = new Column()
  readonly #sent = new Column()
  readonly #end = new Column()
  readonly #inter_chunk_latency_s = Histogram.make()
  readonly #errors = new ErrorTally()
  readonly #usageOutput = new UsageTally()
  readonly #usageInput = new UsageTally()
  #completed = 0
  #failed = 0
  #cancelled = 0
  #unsampled = 0
  #late = 0
  // Of the requests that are measured
  #measuredErrors = 0
  #outputTokens = 0
  #inputTokens = 0
  #chunks = 0
  // The sum of the latencies of the requests that completed
  #requestSeconds = 0
  // Tokens and chunks of the requests whose tokens are known
  #tokensInChunks = 0
  #chunksWithTokens = 0

  /**
   * The sink for a stream of outcomes. It may be run more than once; all runs add to the same summary.
   */
  readonly sink: Sink.Sink<void, RequestOutcome> = Sink.forEachArray((outcomes) =>
    Effect.sync(() => {
      for (const outcome of outcomes) this.add(outcome)
    })
  )

  /** Adds one finished request. */
  add(outcome: RequestOutcome): void {
    const record = outcome.record
    if (record.sent_offset_s !== null) {
      this.#sent.push(record.sent_offset_s)
      this.#end.push(Math.max(record.sent_offset_s, record.end_offset_s))
    }
    if ((record.dispatch_lag_s ?? 0) > LATE_SECONDS) this.#late++
    if (!record.sampled) this.#unsampled++
    if (record.error_code === null) {
      this.#addCompleted(record)
      if (!record.sampled) return
      this.#addMeasured(record)
      Histogram.addAll(this.#inter_chunk_latency_s, outcome.interChunkSeconds)
      return
    }
    if (record.sampled) this.#measuredErrors++
    if (record.error_reason === "Cancelled") this.#cancelled++
    else this.#failed++
    this.#errors.add(record.error_reason ?? "Unknown", record.error_code, record.error_msg)
  }

  /** Adds everything another one holds, as if its requests had been added here. */
  merge(that: SummarySink): void {
    this.#inter_token_latency_s.append(that.#inter_token_latency_s)
    this.#sum_inter_token_latency_s.append(that.#sum_inter_token_latency_s)
    this.#mean_inter_token_latency_s.append(that.#mean_inter_token_latency_s)
    this.#ttft_s.append(that.#ttft_s)
    this.#end_to_end_latency_s.append(that.#end_to_end_latency_s)
    this.#request_output_throughput_token_per_s.append(that.#request_output_throughput_token_per_s)
    this.#number_input_tokens.append(that.#number_input_tokens)
    this.#number_output_tokens.append(that.#number_output_tokens)
    this.#dispatch_lag_s.append(that.#dispatch_lag_s)
    this.#scheduled_ttft_s.append(that.#scheduled_ttft_s)
    this.#scheduled_end_to_end_latency_s.append(that.#scheduled_end_to_end_latency_s)
    this.#time_to_first_answer_s.append(that.#time_to_first_answer_s)
    this.#tokens_per_chunk.append(that.#tokens_per_chunk)
    this.#dns_s.append(that.#dns_s)
    this.#connect_s.append(that.#connect_s)
    this.#tls_s.append(that.#tls_s)
    this.#sent.append(that.#sent)
    this.#end.append(that.#end)
    Histogram.merge(this.#inter_chunk_latency_s, that.#inter_chunk_latency_s)
    this.#errors.append(that.#errors)
    this.#usageOutput.append(that.#usageOutput)
    this.#usageInput.append(that.#usageInput)
    this.#completed += that.#completed
    this.#failed += that.#failed
    this.#cancelled += that.#cancelled
    this.#unsampled += that.#unsampled
    this.#late += that.#late
    this.#measuredErrors += that.#measuredErrors
    this.#outputTokens += that.#outputTokens
    this.#inputTokens += that.#inputTokens
    this.#chunks += that.#chunks
    this.#requestSeconds += that.#requestSeconds
    this.#tokensInChunks += that.#tokensInChunks
    this.#chunksWithTokens += that.#chunksWithTokens
  }

  /** Where the run stands: a few counters, cheap at any time. */
  counts(): Counts {
    return {
      completed: this.#completed,
      failed: this.#failed,
      cancelled: this.#cancelled,
      outputTokens: this.#outputTokens
    }
  }

  /** The summary of all requests added so far. It sorts every column: for the end of a run. */
  summary(context: RunContext): Summary {
    const wall = context.wallSeconds > 0 && Number.isFinite(context.wallSeconds) ? context.wallSeconds : null
    const perWallSecond = (value: number) => (wall === null ? null : quotient(value, wall))
    const openLoop = context.openLoop ?? null
    const errors = this.#failed + this.#cancelled
    const started = this.#completed + errors
    const ttft = this.#ttft_s.sorted()
    const endToEnd = this.#end_to_end_latency_s.sorted()
    const endToEndDistribution = Distribution.fromSorted(endToEnd)
    const inFlight = flight(this.#sent.sorted(), this.#end.sorted())
    const meanInFlight = perWallSecond(inFlight.requestSeconds)
    const expectedInFlight = this.#completed === 0 ? null : perWallSecond(this.#requestSeconds)

    return {
      inter_token_latency_s: Distribution.fromSorted(this.#inter_token_latency_s.sorted()),
      ttft_s: Distribution.fromSorted(ttft),
      end_to_end_latency_s: endToEndDistribution,
      request_output_throughput_token_per_s: Distribution.fromSorted(
        this.#request_output_throughput_token_per_s.sorted()
      ),
      number_input_tokens: Distribution.fromSorted(this.#number_input_tokens.sorted()),
      number_output_tokens: Distribution.fromSorted(this.#number_output_tokens.sorted()),
      num_requests_started: started,
      error_rate: started === 0 ? 0 : errors / started,
      number_errors: errors,
      error_code_frequency: this.#errors.byCode(),
      mean_output_throughput_token_per_s: perWallSecond(this.#outputTokens),
      num_completed_requests: this.#completed,
      num_completed_requests_per_min: perWallSecond(this.#completed * 60),

      sum_inter_token_latency_s: Distribution.fromSorted(this.#sum_inter_token_latency_s.sorted()),
      mean_inter_token_latency_s: Distribution.fromSorted(this.#mean_inter_token_latency_s.sorted()),

      dispatch_lag_s: Distribution.detailedFromSorted(this.#dispatch_lag_s.sorted()),
      scheduled_ttft_s: Distribution.detailedFromSorted(this.#scheduled_ttft_s.sorted()),
      scheduled_end_to_end_latency_s: Distribution.detailedFromSorted(this.#scheduled_end_to_end_latency_s.sorted()),
      inter_chunk_latency_s: Distribution.detailedFromHistogram(this.#inter_chunk_latency_s),
      tokens_per_chunk: Distribution.detailedFromSorted(this.#tokens_per_chunk.sorted()),
      time_to_first_answer_s: Distribution.detailedFromSorted(this.#time_to_first_answer_s.sorted()),
      dns_s: Distribution.detailedFromSorted(this.#dns_s.sorted()),
      connect_s: Distribution.detailedFromSorted(this.#connect_s.sorted()),
      tls_s: Distribution.detailedFromSorted(this.#tls_s.sorted()),
      failed_as_infinite: {
        ttft_s: {
          quantiles: Distribution.quantiles((q) => Quantile.quantileWithInfinite(ttft, this.#measuredErrors, q))
        },
        end_to_end_latency_s: {
          quantiles: Distribution.quantiles((q) => Quantile.quantileWithInfinite(endToEnd, this.#measuredErrors, q))
        }
      },

      num_failed_requests: this.#failed,
      num_cancelled_requests: this.#cancelled,
      num_unsampled_requests: this.#unsampled,
      num_unsent_requests: context.unsent ?? 0,
      num_late_requests: openLoop === null ? null : this.#late,
      num_queued_requests: openLoop?.queued ?? null,
      num_dropped_requests: openLoop?.dropped ?? null,
      error_reason_frequency: this.#errors.byReason(),
      errors: this.#errors.groups(),

      total_input_tokens: this.#inputTokens,
      total_output_tokens: this.#outputTokens,
      total_chunks: this.#chunks,
      mean_tokens_per_chunk: quotient(this.#tokensInChunks, this.#chunksWithTokens),
      usage_output_tokens: this.#usageOutput.comparison(),
      usage_input_tokens: this.#usageInput.comparison(),

      wall_time_s: wall,
      busy_time_s: inFlight.busySeconds,
      busy_output_throughput_token_per_s: quotient(this.#outputTokens, inFlight.busySeconds),
      request_rate_per_s: perWallSecond(this.#sent.length),
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

  #addCompleted(record: RequestRecord): void {
    this.#completed++
    this.#requestSeconds += record.end_to_end_latency_s ?? 0
    this.#inputTokens += record.number_input_tokens
    this.#chunks += record.number_chunks
    if (record.number_output_tokens !== null) {
      this.#outputTokens += record.number_output_tokens
      if (record.number_chunks > 0) {
        this.#tokensInChunks += record.number_output_tokens
        this.#chunksWithTokens += record.number_chunks
      }
      this.#usageOutput.add(record.number_output_tokens, record.usage_output_tokens)
    }
    this.#usageInput.add(record.number_input_tokens, record.usage_input_tokens)
  }

  #addMeasured(record: RequestRecord): void {
    this.#inter_token_latency_s.pushKnown(record.inter_token_latency_s)
    this.#sum_inter_token_latency_s.pushKnown(record.sum_inter_token_latency_s)
    this.#mean_inter_token_latency_s.pushKnown(record.mean_inter_token_latency_s)
    this.#ttft_s.pushKnown(record.ttft_s)
    this.#end_to_end_latency_s.pushKnown(record.end_to_end_latency_s)
    this.#request_output_throughput_token_per_s.pushKnown(record.request_output_throughput_token_per_s)
    this.#number_input_tokens.push(record.number_input_tokens)
    this.#number_output_tokens.pushKnown(record.number_output_tokens)
    this.#dispatch_lag_s.pushKnown(record.dispatch_lag_s)
    this.#scheduled_ttft_s.pushKnown(record.scheduled_ttft_s)
    this.#scheduled_end_to_end_latency_s.pushKnown(record.scheduled_end_to_end_latency_s)
    this.#time_to_first_answer_s.pushKnown(record.time_to_first_answer_s)
    this.#tokens_per_chunk.pushKnown(record.tokens_per_chunk)
    this.#dns_s.pushKnown(record.dns_s)
    this.#connect_s.pushKnown(record.connect_s)
    this.#tls_s.pushKnown(record.tls_s)
  }
}

const quotient = (numerator: number, denominator: number): number | null => {
  const value = numerator / denominator
  return denominator > 0 && Number.isFinite(value) ? value : null
}

/**
 * An empty summary in the making.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<SummarySink> = Effect.sync(() => new SummarySink())
