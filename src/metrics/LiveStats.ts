/**
 * Counters of a run in progress, for the live display. The engine updates them where things happen; each update is a few
 * additions.
 *
 * @since 0.1.0
 */
import type { RequestRecord } from "../domain/RequestRecord.ts"
import * as RecentTimes from "./internal/RecentTimes.ts"
import { LATE_SECONDS } from "./SummarySink.ts"

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
  /** Input tokens as the server counts them, and those of them that it had in its cache, of the completed requests that say both. */
  cacheableTokens: number
  cachedTokens: number
  /** Workers and agents that ended before their time, and why. */
  lost: ReadonlyArray<{ readonly name: string; readonly problem: string }>
  /** Times to first token, gaps between chunks, dispatch lags and delays of the client of the last seconds. */
  readonly recent: RecentTimes.RecentTimes
}

/**
 * How many durations there were, and two of their quantiles in seconds, within 3 % of them.
 *
 * @category models
 * @since 0.2.0
 */
export interface Recent {
  readonly count: number
  readonly p50: number
  readonly p99: number
}

/**
 * The counters at one moment.
 *
 * - `isRunning`: whether the clock of the test has started; `elapsedSeconds` runs from then
 * - `inFlight`: the requests started and not yet ended
 * - `recentTtft`, `recentGap`, `recentLag`: the times to first token, the gaps between chunks and the dispatch lags of the last
 *   `recentSeconds` (ten, or as many as there are); `null` when there were none. A lag is counted with the first token of its request,
 *   or at its end when it has none. `recentDelay`: how long the first tokens had waited for the client's event loop; `null` too when
 *   nobody watches
 *
 * @category models
 * @since 0.1.0
 */
export interface LiveSnapshot {
  readonly isRunning: boolean
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
  readonly cacheableTokens: number
  readonly cachedTokens: number
  readonly lost: LiveStats["lost"]
  readonly recentSeconds: number
  readonly recentTtft: Recent | null
  readonly recentGap: Recent | null
  readonly recentLag: Recent | null
  readonly recentDelay: Recent | null
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
  cacheableTokens: 0,
  cachedTokens: 0,
  lost: [],
  recent: RecentTimes.make()
})

/**
 * The clock of the test starts: nanoseconds of the monotonic clock.
 *
 * @category updating
 * @since 0.1.0
 */
export const start = (self: LiveStats, nowNanos: number): void => {
  self.startNanos = nowNanos
  RecentTimes.begin(self.recent, nowNanos)
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
 * The first token of a request has arrived, `seconds` after it was sent, which was `lagSeconds` later than it should be. It had waited
 * `delaySeconds` for the client to look at it.
 *
 * @category updating
 * @since 0.1.0
 */
export const firstToken = (self: LiveStats, seconds: number, lagSeconds?: number, delaySeconds?: number): void => {
  RecentTimes.add(self.recent, RecentTimes.TTFT, seconds)
  if (lagSeconds !== undefined) RecentTimes.add(self.recent, RecentTimes.LAG, lagSeconds)
  if (delaySeconds !== undefined) RecentTimes.add(self.recent, RecentTimes.DELAY, delaySeconds)
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
 * The chunks of an answer from the one numbered `from` (0 is the first) are new: nanoseconds of the monotonic clock, all there are so
 * far. What is counted is the time from each to the one before it.
 *
 * @category updating
 * @since 0.2.0
 */
export const gaps = (self: LiveStats, chunkAt: ReadonlyArray<number>, from: number): void => {
  for (let i = Math.max(1, from); i < chunkAt.length; i++) {
    RecentTimes.add(self.recent, RecentTimes.GAP, (chunkAt[i]! - chunkAt[i - 1]!) / 1e9)
  }
}

/**
 * A request has ended, well or badly.
 *
 * @category updating
 * @since 0.1.0
 */
export const requestEnded = (self: LiveStats, record: RequestRecord): void => {
  const lag = record.dispatch_lag_s
  if (lag !== null) {
    if (lag > LATE_SECONDS) self.late++
    if (record.ttft_s === null) RecentTimes.add(self.recent, RecentTimes.LAG, lag)
  }
  if (record.error_code !== null) {
    if (record.error_reason === "Cancelled") self.cancelled++
    else self.failed++
    return
  }
  self.completed++
  const { usage_cached_input_tokens: cached, usage_input_tokens: input } = record
  if (cached !== null && input !== null) {
    self.cacheableTokens += input
    self.cachedTokens += cached
  }
  if (record.number_output_tokens === null) return
  self.completedTokens += record.number_output_tokens
  self.completedChunks += record.number_chunks
}

/**
 * A worker or an agent has ended before its time.
 *
 * @category updating
 * @since 0.2.0
 */
export const senderLost = (self: LiveStats, lost: { readonly name: string; readonly problem: string }): void => {
  self.lost = [...self.lost, lost]
}

/**
 * The durations counted since the last time this was called, as bytes: for `addRecent` on another thread of the same machine. What is
 * taken is no longer in `self`.
 *
 * @category sharing
 * @since 0.2.0
 */
export const takeRecent = (self: LiveStats): Uint8Array<ArrayBuffer> => RecentTimes.take(self.recent)

/**
 * Counts the durations that `takeRecent` gave as if they had come now.
 *
 * @category sharing
 * @since 0.2.0
 */
export const addRecent = (self: LiveStats, bytes: Uint8Array): void => RecentTimes.addPacked(self.recent, bytes)

/**
 * The counters at the moment `nowNanos`. Takes some ten microseconds: cheap enough for ten times a second. The last seconds are told
 * apart by these calls, so that there should be one every second or more often, and by one reader.
 *
 * @category reading
 * @since 0.1.0
 */
export const snapshot = (self: LiveStats, nowNanos: number): LiveSnapshot => {
  const recent = RecentTimes.read(self.recent, nowNanos)
  return {
    isRunning: self.startNanos !== null && nowNanos >= self.startNanos,
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
    cacheableTokens: self.cacheableTokens,
    cachedTokens: self.cachedTokens,
    lost: self.lost,
    recentSeconds: recent.seconds,
    recentTtft: recent.ttft,
    recentGap: recent.gap,
    recentLag: recent.lag,
    recentDelay: recent.delay
  }
}
