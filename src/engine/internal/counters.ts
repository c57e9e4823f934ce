/** The counters of several agents as one. */
import * as Record from "effect/Record"
import * as LiveStats from "../../metrics/LiveStats.ts"
import type { Counters } from "../LoadAgent.ts"

export const of = (live: LiveStats.LiveStats): Counters => ({
  started: live.started,
  completed: live.completed,
  failed: live.failed,
  cancelled: live.cancelled,
  late: live.late,
  queued: live.queued,
  dropped: live.dropped,
  chunks: live.chunks,
  completedTokens: live.completedTokens,
  completedChunks: live.completedChunks,
  cacheableTokens: live.cacheableTokens,
  cachedTokens: live.cachedTokens
})

export const zero: Counters = of(LiveStats.make())

const names = Record.keys(zero)

/** Sets the counters to the sum of those of all agents. */
export const show = (live: LiveStats.LiveStats, all: ReadonlyArray<Counters>): void => {
  for (const name of names) live[name] = all.reduce((total, counters) => total + counters[name], 0)
}

/** Those of an agent that is gone: of its requests only those count that it reported as ended. */
export const ofLost = (counters: Counters, reported: number): Counters => {
  const failed = Math.min(counters.failed, reported)
  const cancelled = Math.min(counters.cancelled, reported - failed)
  return { ...counters, started: reported, failed, cancelled, completed: reported - failed - cancelled }
}
