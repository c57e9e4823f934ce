/**
 * Counters of a run in progress, for the live display. The engine updates them where things happen; each update is a few
 * additions.
 *
 * @since 0.1.0
 */
import type { RequestRecord } from "../domain/RequestRecord.ts"
import * as Quantile from "./Quantile.ts"
import { LATE_SECONDS } from "./SummarySink.ts"

const RECENT = 512

/**
 * The counters. Write them with the functions of this module.
 *
 * @category models
 * @since 0.1.0
 */
export interface LiveStats {
  startNanos: number | null
  started: number
  completed: number
  failed: number
  cancelled: number
  /** Of an open loop: sent later than they should be, had to wait for a place, were left out. */
  late: number
  queued: number
  dropped: number
  /** Chunks with content, counted as they arrive. */
  chunks: number
  /** Tokens and chunks of the completed requests. Tokens are known only when an answer has ended. */
  completedTokens: number
  completedChunks: number
  /** The last times to first token in seconds; a ring. */
  readonly recentTtft: Float64Array
  ttfts: number
}

/**
 * The counters at one moment. `inFlight` are the requests started and not yet ended, `elapsedSeconds` runs from
 * `start`. `recentTtft` describes the last 512 first tokens, in seconds; it is `null` before the first one.
 *
 * @category models
 * @since 0.1.0
 */
export interface LiveSnapshot {
  readonly elapsedSeconds: number
  readonly started: number
  readonly inFlight: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  readonly late: number
  readonly queued: number
  readonly dropped: number
  readonly chunks: number
  readonly completedTokens: number
  readonly completedChunks: number
  readonly recentTtft: { readonly p50: number; readonly p99: number } | null
}

/**
 * Counters at zero.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): LiveStats => ({
  startNanos: null,
  started: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  late: 0,
  queued: 0,
  dropped: 0,
  chunks: 0,
  completedTokens: 0,
  completedChunks: 0,
  recentTtft: new Float64Array(RECENT),
  ttfts: 0
})

/**
 * The clock of the test starts: nanoseconds of the monotonic clock.
 *
 * @category updating
 * @since 0.1.0
 */
export const start = (self: LiveStats, nowNanos: number): void => {
  self.startNanos = nowNanos
}

/**
 * A request starts.
 *
 * @category updating
 * @since 0.1.0
 */
export const requestStarted = (self: LiveStats): void => {
  self.started++
}

/**
 * A request that is due finds no place in flight and waits for one.
 *
 * @category updating
 * @since 0.2.0
 */
export const requestQueued = (self: LiveStats): void => {
  self.queued++
}

/**
 * A request that is due finds no place in flight and is left out.
 *
 * @category updating
 * @since 0.2.0
 */
export const requestDropped = (self: LiveStats): void => {
  self.dropped++
}

/**
 * The first token of a request has arrived, `seconds` after it was sent.
 *
 * @category updating
 * @since 0.1.0
 */
export const firstToken = (self: LiveStats, seconds: number): void => {
  self.recentTtft[self.ttfts % RECENT] = seconds
  self.ttfts++
}

/**
 * So many chunks with content have arrived.
 *
 * @category updating
 * @since 0.1.0
 */
export const chunksArrived = (self: LiveStats, count: number): void => {
  self.chunks += count
}

/**
 * A request has ended, well or badly.
 *
 * @category updating
 * @since 0.1.0
 */
export const requestEnded = (self: LiveStats, record: RequestRecord): void => {
  if ((record.dispatch_lag_s ?? 0) > LATE_SECONDS) self.late++
  if (record.error_code !== null) {
    if (record.error_reason === "Cancelled") self.cancelled++
    else self.failed++
    return
  }
  self.completed++
  if (record.number_output_tokens === null) return
  self.completedTokens += record.number_output_tokens
  self.completedChunks += record.number_chunks
}

/**
 * The counters at the moment `nowNanos`. Sorts at most 512 numbers: cheap enough for ten times a second.
 *
 * @category reading
 * @since 0.1.0
 */
export const snapshot = (self: LiveStats, nowNanos: number): LiveSnapshot => {
  const recent = self.recentTtft.subarray(0, Math.min(self.ttfts, RECENT)).toSorted()
  const p50 = Quantile.quantile(recent, 0.5)
  const p99 = Quantile.quantile(recent, 0.99)
  return {
    elapsedSeconds: self.startNanos === null ? 0 : Math.max(0, (nowNanos - self.startNanos) / 1e9),
    started: self.started,
    inFlight: self.started - self.completed - self.failed - self.cancelled,
    completed: self.completed,
    failed: self.failed,
    cancelled: self.cancelled,
    late: self.late,
    queued: self.queued,
    dropped: self.dropped,
    chunks: self.chunks,
    completedTokens: self.completedTokens,
    completedChunks: self.completedChunks,
    recentTtft: p50 === null || p99 === null ? null : { p50, p99 }
  }
}
