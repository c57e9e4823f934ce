/**
 * The metrics of a run in progress, for monitoring systems: totals that only grow, and histograms. `docs/live-metrics.md` says what
 * becomes of them.
 *
 * They are fed with what has ended, request by request or in folds of many, and read together with the counters of `LiveStats`.
 * Adding a request takes a fraction of a microsecond, and allocates nothing unless it failed.
 *
 * Totals of tokens and chunks are of the requests that succeeded. The histograms are of those that are measured besides (`sampled`),
 * as the distributions of a `Summary` are.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import * as Bounds from "./internal/bucketBounds.ts"
import { BucketCounts } from "./internal/BucketCounts.ts"
import { ErrorTally } from "./internal/ErrorTally.ts"
import type { LiveSnapshot } from "./LiveStats.ts"
import type { SummarySink } from "./SummarySink.ts"
import { Grade } from "./Verdict.ts"

/**
 * The upper bounds of the buckets of live metrics, in seconds and tokens.
 *
 * Those under `genAi` are the ones that OpenTelemetry suggests for the metrics of these names
 * (https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md). Our own contain them, are
 * finer where most servers are, and go further.
 *
 * @category constants
 * @since 0.2.0
 */
export const bounds = {
  ttft: Bounds.ttft,
  interTokenLatency: Bounds.interTokenLatency,
  endToEndLatency: Bounds.endToEndLatency,
  dispatchLag: Bounds.dispatchLag,
  tokens: Bounds.tokenUsage,
  genAi: {
    operationDuration: Bounds.operationDuration,
    timeToFirstToken: Bounds.timeToFirstToken,
    timePerOutputToken: Bounds.timePerOutputToken,
    tokenUsage: Bounds.tokenUsage
  }
} as const

/**
 * How far a run is. `preparing`: its clock has not started.
 *
 * @category models
 * @since 0.2.0
 */
export const Phase = Schema.Literals(["preparing", "running", "over"])

/**
 * @category models
 * @since 0.2.0
 */
export type Phase = typeof Phase.Type

/**
 * - `bounds`: upper bounds of the buckets, each of which holds what is equal to its bound too
 * - `counts`: how many values are in each, and last how many are above all bounds
 * - `sum`, `min`, `max`: of all values; the last two `null` when there are none
 *
 * @category models
 * @since 0.2.0
 */
export const Buckets = Schema.Struct({
  bounds: Schema.Array(Schema.Finite),
  counts: Schema.Array(Schema.Finite),
  sum: Schema.Finite,
  min: Schema.NullOr(Schema.Finite),
  max: Schema.NullOr(Schema.Finite)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Buckets extends Schema.Schema.Type<typeof Buckets> {}

const Recent = Schema.NullOr(Schema.Struct({ count: Schema.Finite, p50: Schema.Finite, p99: Schema.Finite }))

/**
 * The metrics at one moment, as plain data that can be sent to another thread.
 *
 * - `grade`: the verdict so far, or in the end; `null` when it is not known
 * - `elapsedSeconds`, `inFlight`, `recent…`: as in `LiveSnapshot`
 * - `started`, …: totals, which never fall from one reading to the next; `chunksReceived` of all requests, as they come
 * - `inputTokens`, `outputTokens`, `chunks`: of the requests that succeeded; `uncounted`: how many of these have no known output tokens,
 *   so that `outputTokens` is too small
 * - `cacheableTokens`, `cachedTokens`: of those of them whose `usage` says how much of the prompt was cached: its tokens as the server
 *   counts, and how many of these were cached
 * - `errors`: requests that did not, by kind; `code` is `""` where there is none
 * - `requests`: of the requests that succeeded and are measured; tokens are those of one request
 *
 * @category models
 * @since 0.2.0
 */
export const Reading = Schema.Struct({
  phase: Phase,
  grade: Schema.NullOr(Grade),
  elapsedSeconds: Schema.Finite,
  started: Schema.Finite,
  inFlight: Schema.Finite,
  completed: Schema.Finite,
  failed: Schema.Finite,
  cancelled: Schema.Finite,
  late: Schema.Finite,
  queued: Schema.Finite,
  dropped: Schema.Finite,
  chunksReceived: Schema.Finite,
  inputTokens: Schema.Finite,
  outputTokens: Schema.Finite,
  chunks: Schema.Finite,
  uncounted: Schema.Finite,
  cacheableTokens: Schema.Finite,
  cachedTokens: Schema.Finite,
  errors: Schema.Array(Schema.Struct({ reason: Schema.String, code: Schema.String, count: Schema.Finite })),
  recentTtft: Recent,
  recentGap: Recent,
  recentLag: Recent,
  requests: Schema.Struct({
    ttft: Buckets,
    interTokenLatency: Buckets,
    endToEndLatency: Buckets,
    dispatchLag: Buckets,
    inputTokens: Buckets,
    outputTokens: Buckets
  })
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Reading extends Schema.Schema.Type<typeof Reading> {}

/**
 * The metrics in the making.
 *
 * @category models
 * @since 0.2.0
 */
export class RunMetrics {
  readonly #buckets = makeBuckets()
  readonly #errors = new ErrorTally()
  readonly #totals = { inputTokens: 0, outputTokens: 0, chunks: 0, uncounted: 0, cacheableTokens: 0, cachedTokens: 0 }
  readonly #most = { started: 0, completed: 0, failed: 0, cancelled: 0, late: 0, queued: 0, dropped: 0, chunks: 0 }

  /** Adds a request that has ended, well or badly. */
  addRecord(record: RequestRecord): void {
    if (record.error_code !== null) {
      this.#errors.add(record.error_reason ?? "Unknown", record.error_code, "")
      return
    }
    const buckets = this.#buckets
    const totals = this.#totals
    totals.inputTokens += record.number_input_tokens
    if (record.number_output_tokens === null) totals.uncounted++
    else totals.outputTokens += record.number_output_tokens
    totals.chunks += record.number_chunks
    const { usage_cached_input_tokens: cached, usage_input_tokens: input } = record
    if (cached !== null && input !== null) {
      totals.cacheableTokens += input
      totals.cachedTokens += cached
    }
    if (!record.sampled) return
    buckets.ttft.add(record.ttft_s)
    buckets.interTokenLatency.add(record.inter_token_latency_s)
    buckets.endToEndLatency.add(record.end_to_end_latency_s)
    buckets.dispatchLag.add(record.dispatch_lag_s)
    buckets.inputTokens.add(record.number_input_tokens)
    buckets.outputTokens.add(record.number_output_tokens)
  }

  /**
   * Adds all requests that another thread or machine has folded, as if they had been added here one by one. The fold stays as it is.
   * Of one that holds so many requests that it keeps histograms (`SummarySink.EXACT_VALUES`), a value within 0.1 % of a bound may be
   * counted on the other side of it.
   */
  addSink(sink: SummarySink): void {
    const { columns, errors, totals } = sink.parts
    const buckets = this.#buckets
    this.#totals.inputTokens += totals.inputTokens
    this.#totals.outputTokens += totals.outputTokens
    this.#totals.chunks += totals.chunks
    this.#totals.uncounted += totals.uncounted
    this.#totals.cacheableTokens += totals.cacheableTokens
    this.#totals.cachedTokens += totals.cachedTokens
    this.#errors.append(errors)
    buckets.ttft.addRanked(columns.ttft_s.ranked())
    buckets.interTokenLatency.addRanked(columns.inter_token_latency_s.ranked())
    buckets.endToEndLatency.addRanked(columns.end_to_end_latency_s.ranked())
    buckets.dispatchLag.addRanked(columns.dispatch_lag_s.ranked())
    buckets.inputTokens.addRanked(columns.number_input_tokens.ranked())
    buckets.outputTokens.addRanked(columns.number_output_tokens.ranked())
  }

  /**
   * The metrics together with the counters of the same moment. `isOver`: whether the run has ended.
   *
   * What an agent counted that is then lost is no longer in the counters (see `Fleet`). Totals keep it: one that falls is taken by
   * whoever reads it for one that began anew.
   */
  read(options: {
    readonly snapshot: LiveSnapshot
    readonly grade: Grade | null
    readonly isOver?: boolean | undefined
  }): Reading {
    const { grade, isOver = false, snapshot } = options
    const buckets = this.#buckets
    const most = this.#most
    for (const name of growing) most[name] = Math.max(most[name], snapshot[name])
    return {
      phase: isOver ? "over" : snapshot.isRunning ? "running" : "preparing",
      grade,
      elapsedSeconds: snapshot.elapsedSeconds,
      started: most.started,
      inFlight: snapshot.inFlight,
      completed: most.completed,
      failed: most.failed,
      cancelled: most.cancelled,
      late: most.late,
      queued: most.queued,
      dropped: most.dropped,
      chunksReceived: most.chunks,
      ...this.#totals,
      errors: kindsOf(this.#errors),
      recentTtft: snapshot.recentTtft,
      recentGap: snapshot.recentGap,
      recentLag: snapshot.recentLag,
      requests: {
        ttft: bucketsOf(buckets.ttft),
        interTokenLatency: bucketsOf(buckets.interTokenLatency),
        endToEndLatency: bucketsOf(buckets.endToEndLatency),
        dispatchLag: bucketsOf(buckets.dispatchLag),
        inputTokens: bucketsOf(buckets.inputTokens),
        outputTokens: bucketsOf(buckets.outputTokens)
      }
    }
  }
}

/** The names in `LiveSnapshot` of what only grows. */
const growing = ["started", "completed", "failed", "cancelled", "late", "queued", "dropped", "chunks"] as const

/** Each has the bounds of all the metrics that are made of it. */
const makeBuckets = () => ({
  ttft: new BucketCounts(Bounds.ascending(Bounds.ttft, Bounds.operationDuration)),
  interTokenLatency: new BucketCounts(Bounds.interTokenLatency),
  endToEndLatency: new BucketCounts(Bounds.endToEndLatency),
  dispatchLag: new BucketCounts(Bounds.dispatchLag),
  inputTokens: new BucketCounts(Bounds.tokenUsage),
  outputTokens: new BucketCounts(Bounds.tokenUsage)
})

/**
 * The same values in other buckets. `bounds` must be among those that there are, in ascending order.
 *
 * @category reading
 * @since 0.2.0
 */
export const collapse = (self: Buckets, bounds: ReadonlyArray<number>): Buckets => {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  let into = 0
  for (const [bucket, count] of self.counts.entries()) {
    const bound = self.bounds[bucket] ?? Number.POSITIVE_INFINITY
    while (bound > (bounds[into] ?? Number.POSITIVE_INFINITY)) into++
    counts[into] = (counts[into] ?? 0) + count
  }
  return { ...self, bounds, counts }
}

const bucketsOf = ({ bounds, counts, max, min, sum }: BucketCounts): Buckets => ({
  bounds,
  counts: Array.from(counts),
  sum,
  min: Number.isFinite(min) ? min : null,
  max: Number.isFinite(max) ? max : null
})

/** By name, so that each keeps its place. A code may be a number here and the same as text there: it is one kind to a reader. */
const kindsOf = (errors: ErrorTally): Reading["errors"] => {
  const kinds = new Map<string, { readonly reason: string; readonly code: string; count: number }>()
  for (const group of errors.groups()) {
    const reason = group.reason.toWellFormed()
    const code = group.code === null ? "" : String(group.code).toWellFormed()
    const key = JSON.stringify([reason, code])
    const kind = kinds.get(key)
    if (kind === undefined) kinds.set(key, { reason, code, count: group.count })
    else kind.count += group.count
  }
  return [...kinds].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind)
}
