import type { LiveSnapshot } from "../../src/metrics/LiveStats.ts"
import type { Frame } from "../../src/output/LivePanel.ts"

export const snapshot = (overrides: Partial<LiveSnapshot> = {}): LiveSnapshot => ({
  isRunning: true,
  elapsedSeconds: 64.2,
  started: 526,
  inFlight: 16,
  completed: 510,
  failed: 0,
  cancelled: 0,
  late: 0,
  queued: 0,
  dropped: 0,
  chunks: 51_000,
  completedTokens: 51_000,
  completedChunks: 51_000,
  cacheableTokens: 0,
  cachedTokens: 0,
  lost: [],
  recentSeconds: 9.5,
  recentTtft: { count: 79, p50: 0.1023, p99: 0.23456 },
  recentGap: { count: 12_345, p50: 0.0152, p99: 1.234 },
  recentLag: { count: 79, p50: 0.000_31, p99: 0.0042 },
  recentDelay: { count: 79, p50: 0, p99: 0.0012 },
  ...overrides
})

export const frame = (overrides: Partial<Frame> = {}): Frame => ({
  snapshot: snapshot(),
  total: 1000,
  tokensPerSecond: 812.4,
  tokensEachSecond: Array.from({ length: 60 }, (_, second) => 400 + (second % 10) * 100),
  endedPerSecond: 7.94,
  rate: null,
  secondsLeft: 61.7,
  places: 16,
  senders: { count: 1, name: "workers" },
  verdict: null,
  ...overrides
})
