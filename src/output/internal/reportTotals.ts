import { type Fields } from "../../domain/Fields.ts"
import { type RunColumns } from "./reportColumns.ts"
import { resultOf } from "./resultOf.ts"
import { spanOf } from "./reportTimeline.ts"

/**
 * What the headline says of a run. Seconds, tokens, requests.
 *
 * - `wall`: how long the run took, by its summary, or from its first request to the end of its last
 * - `uncounted`: answers whose tokens are not known; there is then no `tokensPerSecond`
 * - `late`: sent more than 10 ms after they were due; `null` in a closed loop
 */
export interface Totals {
  readonly isOpen: boolean
  readonly requests: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  readonly wall: number | null
  readonly requestsPerSecond: number | null
  readonly outputTokens: number
  readonly uncounted: number
  readonly tokensPerSecond: number | null
  readonly meanInFlight: number | null
  readonly late: number | null
  readonly reasons: ReadonlyArray<{ readonly reason: string; readonly count: number }>
}

/** See `num_late_requests`. */
const LATE_SECONDS = 0.01

export const totals = (columns: RunColumns, summary: Fields, isOpen: boolean): Totals => {
  const counts = columns.reasons.map(() => 0)
  let succeeded = 0
  let outputTokens = 0
  let uncounted = 0
  let busy = 0
  let late = 0
  for (let i = 0; i < columns.size; i++) {
    const outcome = columns.outcome[i] ?? -1
    const held = (columns.end[i] ?? NaN) - (columns.sent[i] ?? NaN)
    if (held > 0) busy += held
    if ((columns.lag[i] ?? 0) > LATE_SECONDS) late += 1
    if (outcome === -1) {
      succeeded += 1
      const tokens = columns.outputTokens[i] ?? NaN
      if (tokens > 0) outputTokens += tokens
      uncounted += columns.uncounted[i] ?? 0
    } else counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  const cancelled = columns.reasons.reduce(
    (sum, reason, i) => (/^cancelled\b/i.test(reason) ? sum + (counts[i] ?? 0) : sum),
    0
  )
  const span = spanOf(columns)
  const perMinute = resultOf(summary, "num_completed_requests_per_min")
  const completed = resultOf(summary, "num_completed_requests")
  const told = perMinute !== null && perMinute > 0 && completed !== null ? (completed / perMinute) * 60 : null
  const wall = resultOf(summary, "wall_time_s") ?? told ?? (span > 0 ? span : null)
  const rate = (amount: number): number | null => (wall === null || wall <= 0 ? null : amount / wall)
  return {
    isOpen,
    requests: columns.size,
    succeeded,
    failed: columns.size - succeeded - cancelled,
    cancelled,
    wall,
    requestsPerSecond: rate(succeeded),
    outputTokens,
    uncounted,
    tokensPerSecond: uncounted > 0 ? null : rate(outputTokens),
    meanInFlight: busy > 0 ? rate(busy) : null,
    late: isOpen ? late : null,
    reasons: columns.reasons
      .map((reason, i) => ({ reason, count: counts[i] ?? 0 }))
      .toSorted((a, b) => b.count - a.count)
  }
}
