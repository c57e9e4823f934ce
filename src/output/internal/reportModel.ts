import type { Distribution } from "./reportDistribution.ts"
import type { Points, Slowest } from "./reportRequests.ts"
import type { Timeline } from "./reportTimeline.ts"

/** See `ReportData.RunCharts`. */
export interface RunCharts {
  readonly label: string
  readonly span: number | null
  readonly first: Distribution
  readonly itl: Distribution
  readonly total: Distribution
  readonly timeline: Timeline | null
  readonly chunked: boolean
  readonly touched: ReadonlyArray<readonly [from: number, to: number]>
  readonly points: Points
  readonly slowest: Slowest
}
