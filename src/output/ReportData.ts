/**
 * What a report shows of runs: their requests, counted and cut to what can be seen.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Fields } from "../domain/Fields.ts"
import * as Export from "./Export.ts"
import { makeColumns, type RunColumns, shifted, sortedValues } from "./internal/reportColumns.ts"
import { type Distribution, distributions, type Percentiles, percentiles } from "./internal/reportDistribution.ts"
import type * as Model from "./internal/reportModel.ts"
import { points, slowest } from "./internal/reportRequests.ts"
import { type ChunkTokens, makeChunkTokens, spanOf, stepFor, timeline } from "./internal/reportTimeline.ts"
import { type Totals, totals } from "./internal/reportTotals.ts"
import * as RunReader from "./RunReader.ts"

export { type Distribution, type Percentiles } from "./internal/reportDistribution.ts"
export { type Points, type Slowest } from "./internal/reportRequests.ts"
export { type Timeline } from "./internal/reportTimeline.ts"
export { type Totals } from "./internal/reportTotals.ts"

/**
 * How many requests a scatter of a report shows at most, over all its runs.
 *
 * @category constants
 * @since 0.2.0
 */
export const MOST_POINTS = 10_000

/**
 * What the charts of one run are drawn from. All of it is JSON.
 *
 * - `label`: the name of the run in legends
 * - `span`: seconds from its start to its end; `null` when its requests do not say when they were sent, as in some files of
 *   LLMPerf: then there is no `timeline`
 * - `touched`: when, in seconds, the client had a part in the numbers, by the verdict
 * - `chunked`: whether tokens over time are by the times at which chunks arrived
 *
 * @category models
 * @since 0.2.0
 */
export interface RunCharts extends Model.RunCharts {}

/**
 * A row of the table of percentiles: `name` says of what, `unit` in what its values are.
 *
 * @category models
 * @since 0.2.0
 */
export interface PercentileRow extends Percentiles {
  readonly name: string
  readonly unit: "s" | "tokens" | "tokens/s"
}

/**
 * One run of a report.
 *
 * - `path`: where it was read from; `summary`: its summary as it stands in the file
 *
 * @category models
 * @since 0.2.0
 */
export interface ReportRun {
  readonly path: string
  readonly summary: Fields
  readonly summarized: boolean
  readonly totals: Totals
  readonly percentiles: ReadonlyArray<PercentileRow>
  readonly charts: RunCharts
}

/**
 * `remarks`: what could not be read, and is not in the report.
 *
 * @category models
 * @since 0.2.0
 */
export interface ReportData {
  readonly runs: ReadonlyArray<ReportRun>
  readonly remarks: ReadonlyArray<string>
}

/**
 * Reads runs, by their folders or files, for one report. Their slices of time and the bins of their distributions are the
 * same, so that they can be laid over each other. The times of chunks are read too where a run has kept them.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("ReportData.read")(function* (
  paths: ReadonlyArray<string>
): Effect.fn.Return<ReportData, RunReader.RunReadError, FileSystem.FileSystem | Path.Path> {
  const runs = yield* Effect.forEach(paths, (path) =>
    Effect.gen(function* () {
      const run = yield* RunReader.open(path)
      const { add, columns } = makeColumns()
      yield* Stream.runForEachArray(run.records, (records) => Effect.sync(() => records.forEach(add)))
      return { path, summary: run.summary, summarized: run.summarized, ...fromBegin(columns(), run.summary) }
    })
  )
  const step = stepFor(
    runs.flatMap(({ columns }) => {
      const span = spanOf(columns)
      return Number.isNaN(span) ? [] : [{ span, size: columns.size }]
    })
  )
  const loaded = yield* Effect.forEach(runs, (run) =>
    Effect.map(chunksOf(run, step), (read) => Object.assign({ chunks: null, remark: null }, run, read))
  )
  return yield* Effect.sync(() => make(loaded, step))
})

interface Loaded {
  readonly path: string
  readonly summary: Fields
  readonly summarized: boolean
  readonly columns: RunColumns
  readonly chunks: ChunkTokens | null
  readonly remark: string | null
}

/**
 * What is known of a part of a run (`llmperf analyze`) begins with that part, which is `begin` seconds after the start of the
 * run.
 */
const fromBegin = (columns: RunColumns, summary: Fields) => {
  const from = summary["analysis_from_s"]
  if (typeof from !== "number") return { columns, begin: 0 }
  const skipped = summary["analysis_skip_first"]
  const sent = columns.sent.filter((at) => !Number.isNaN(at))
  const begin = typeof skipped === "number" && skipped > 0 ? Math.min(...sent) : from
  return { columns: Number.isFinite(begin) ? shifted(columns, -begin) : columns, begin }
}

/** Tokens over time by the times of chunks, where a run has kept those. What is damaged is left out, and told. */
const chunksOf = Effect.fnUntraced(
  function* ({ begin, columns, path }: Pick<Loaded, "columns" | "path"> & { readonly begin: number }, step: number) {
    const file = Number.isNaN(spanOf(columns)) ? null : yield* Export.findChunks(path)
    if (file === null) return {}
    const { add, tokens } = makeChunkTokens(columns, step)
    yield* Stream.runForEachArray(file.requests, (requests) =>
      Effect.sync(() => {
        for (const { chunkNanos, requestId } of requests)
          add(
            requestId,
            chunkNanos.map((nanos) => nanos / 1e9 - begin)
          )
      })
    )
    return { chunks: tokens() }
  },
  Effect.catchTag("ChunkTimesError", ({ message }) => Effect.succeed({ remark: message }))
)

const make = (loaded: ReadonlyArray<Loaded>, step: number): ReportData => {
  const labels = labelsOf(loaded)
  const distributionsOf = (key: "first" | "itl" | "total") =>
    distributions(loaded.map(({ columns }) => sortedValues(columns, columns[key])))
  const first = distributionsOf("first")
  const itl = distributionsOf("itl")
  const total = distributionsOf("total")
  const empty: Distribution = { count: 0, from: 0, width: 1, shares: [], beyond: 0, cdf: [] }
  const most = Math.floor(MOST_POINTS / Math.max(1, loaded.length))
  return {
    remarks: loaded.flatMap(({ remark }) => (remark === null ? [] : [remark])),
    runs: loaded.map(({ chunks, columns, path, summarized, summary }, i): ReportRun => {
      const span = spanOf(columns)
      const isOpen = isOpenLoop(summary)
      return {
        path,
        summary,
        summarized,
        totals: totals(columns, summary, isOpen),
        percentiles: percentileRows(columns, isOpen),
        charts: {
          label: labels[i] ?? path,
          span: Number.isNaN(span) ? null : span,
          first: first[i] ?? empty,
          itl: itl[i] ?? empty,
          total: total[i] ?? empty,
          timeline: timeline(columns, step, isOpen, chunks),
          chunked: chunks !== null,
          touched: touchedOf(summary),
          points: points(columns, most),
          slowest: slowest(columns)
        }
      }
    })
  }
}

/** Whether requests had due times: only then something is said of being late. */
const isOpenLoop = (summary: Fields): boolean => {
  const late = summary["results_num_late_requests"] ?? summary["num_late_requests"]
  return (
    typeof late === "number" ||
    ("num_concurrent_requests" in summary && typeof summary["num_concurrent_requests"] !== "number")
  )
}

/** The slices that the verdict does not call VALID, neighbours as one. */
const touchedOf = (summary: Fields): RunCharts["touched"] => {
  const slices: unknown = summary["verdict_slices"]
  const spans: Array<readonly [number, number]> = []
  for (const slice of Array.isArray(slices) ? slices : []) {
    const decoded = decodeSlice(slice)
    if (Option.isNone(decoded) || decoded.value.verdict === "VALID") continue
    const { from_s, to_s } = decoded.value
    const last = spans.at(-1)
    if (last !== undefined && from_s <= last[1] + 1e-9) spans[spans.length - 1] = [last[0], to_s]
    else spans.push([from_s, to_s])
  }
  return spans
}

const decodeSlice = Schema.decodeUnknownOption(
  Schema.Struct({ from_s: Schema.Finite, to_s: Schema.Finite, verdict: Schema.String })
)

const percentileRows = (columns: RunColumns, isOpen: boolean): ReadonlyArray<PercentileRow> => {
  const row = (name: string, unit: PercentileRow["unit"], values: ReadonlyArray<number>): PercentileRow => ({
    name,
    unit,
    ...percentiles(sortedValues(columns, values))
  })
  const rows = [
    row("Time to first token", "s", columns.first),
    row("Inter-token latency", "s", columns.itl),
    row("End-to-end latency", "s", columns.total),
    ...(isOpen
      ? [
          row("Time to first token, from when it was due", "s", columns.scheduledFirst),
          row("End-to-end latency, from when it was due", "s", columns.scheduledTotal)
        ]
      : []),
    row("Dispatch lag", "s", columns.lag),
    row("Output speed of a request", "tokens/s", columns.speed),
    row("Input tokens", "tokens", columns.inputTokens),
    row("Output tokens", "tokens", columns.outputTokens)
  ]
  return rows.filter(({ count }) => count > 0)
}

/** The shortest ends of the paths that differ. */
const labelsOf = (loaded: ReadonlyArray<Pick<Loaded, "path" | "summary">>): ReadonlyArray<string> => {
  const parts = loaded.map(({ path }) => path.split(/[/\\]+/).filter((part) => part !== "" && part !== "."))
  const ends = (length: number) => parts.map((names) => names.slice(-length).join("/"))
  const longest = Math.max(1, ...parts.map(({ length }) => length))
  for (let length = 1; length < longest; length++) {
    if (new Set(ends(length)).size === loaded.length) return ends(length)
  }
  const whole = ends(longest)
  return whole.map((label, i) => (whole.indexOf(label) === i ? label : `${label} (${i + 1})`))
}
