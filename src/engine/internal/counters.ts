/** The counters of several agents as one. */
import type * as LiveStats from "../../metrics/LiveStats.ts"
import type { Counters } from "../LoadAgent.ts"

export const zero: Counters = {
  started: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  late: 0,
  queued: 0,
  dropped: 0,
  chunks: 0,
  completedTokens: 0,
  completedChunks: 0
}

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
  completedChunks: live.completedChunks
})

/** Sets the counters to the sum of those of all agents. */
export const show = (live: LiveStats.LiveStats, all: ReadonlyArray<Counters>): void => {
  const sum = (name: keyof Counters): number => all.reduce((total, counters) => total + counters[name], 0)
  live.started = sum("started")
  live.completed = sum("completed")
  live.failed = sum("failed")
  live.cancelled = sum("cancelled")
  live.late = sum("late")
  live.queued = sum("queued")
  live.dropped = sum("dropped")
  live.chunks = sum("chunks")
  live.completedTokens = sum("completedTokens")
  live.completedChunks = sum("completedChunks")
}

/** Those of an agent that is gone: of its requests only those count that it reported as ended. */
export const ofLost = (counters: Counters, reported: number): Counters => {
  const failed = Math.min(counters.failed, reported)
  const cancelled = Math.min(counters.cancelled, reported - failed)
  return { ...counters, started: reported, failed, cancelled, completed: reported - failed - cancelled }
}
