/** The charts of a report. Runs in a browser too. */
import type { RunCharts } from "./reportModel.ts"
import type { Chart } from "./reportChartParts.ts"
import { cumulative, histogram } from "./reportChartsOfDistributions.ts"
import { byInput, slowestRequests } from "./reportChartsOfRequests.ts"
import { dispatchLag, errors, firstOverTime, inFlight, rate, schedule, throughput } from "./reportChartsOverTime.ts"

/** Charts under one heading. */
export interface Section {
  readonly id: string
  readonly title: string
  readonly charts: ReadonlyArray<Chart>
}

type Runs = ReadonlyArray<RunCharts>

/** One chart for each of several runs, where they cannot be laid over each other. */
const each = (runs: Runs, make: (run: RunCharts) => Chart | null): ReadonlyArray<Chart> =>
  runs.flatMap((run, i) => {
    const chart = make(run)
    if (chart === null) return []
    return runs.length === 1
      ? [chart]
      : [{ ...chart, id: `${chart.id}-${i + 1}`, title: `${chart.title}: ${run.label}` }]
  })

const known = (charts: ReadonlyArray<Chart | null>): ReadonlyArray<Chart> => charts.filter((chart) => chart !== null)

/** All charts for which there is data. */
export const sectionsOf = (runs: Runs): ReadonlyArray<Section> =>
  [
    {
      id: "distributions",
      title: "Latency",
      charts: known([
        histogram(runs, { key: "first", name: "ttft", title: "Time to first token" }),
        cumulative(runs, { key: "first", name: "ttft", title: "Time to first token" }),
        histogram(runs, { key: "itl", name: "itl", title: "Inter-token latency" }),
        cumulative(runs, { key: "itl", name: "itl", title: "Inter-token latency" }),
        histogram(runs, { key: "total", name: "latency", title: "End-to-end latency" }),
        cumulative(runs, { key: "total", name: "latency", title: "End-to-end latency" })
      ])
    },
    {
      id: "over-time",
      title: "Over time",
      charts: known([rate(runs), inFlight(runs), throughput(runs), firstOverTime(runs)])
    },
    {
      id: "client",
      title: "What was sent, and when",
      charts: [...known([dispatchLag(runs)]), ...each(runs, schedule)]
    },
    { id: "prompts", title: "Length of the prompt", charts: known([byInput(runs)]) },
    { id: "failures", title: "Failures", charts: each(runs, errors) },
    { id: "slowest-requests", title: "The slowest requests", charts: each(runs, slowestRequests) }
  ].filter(({ charts }) => charts.length > 0)
