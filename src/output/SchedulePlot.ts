/**
 * What a schedule looks like: its numbers, and plots for a terminal.
 *
 * @since 0.2.0
 */
import type { Schedule } from "../domain/Schedule.ts"
import * as Quantile from "../metrics/Quantile.ts"
import * as Statistics from "../metrics/Statistics.ts"
import { style } from "./internal/style.ts"
import { table, type TableColumn } from "./internal/table.ts"
import * as Text from "./internal/text.ts"

/**
 * Lengths of prompts or answers, in tokens. A bin of the histogram counts the lengths from `from` to `to`, both included;
 * the bins begin at powers of two.
 *
 * @category models
 * @since 0.2.0
 */
export interface Lengths {
  readonly total: number
  readonly mean: number
  readonly min: number
  readonly p25: number
  readonly p50: number
  readonly p75: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  readonly histogram: ReadonlyArray<{ readonly from: number; readonly to: number; readonly count: number }>
}

/**
 * The numbers of a schedule. `null` where there are too few rows for a number to mean anything.
 *
 * - `duration_s`: the offset of the last row
 * - `mean_rate_per_s`: one by the mean gap
 * - `peak_rate_per_s`: the most rows in a second that begins at a whole number of seconds, which is `peak_at_s`
 * - `gap_mean_s`, `gap_cv`: mean of the times between one row and the next, and their standard deviation by that mean: 0
 *   when all are the same, 1 for Poisson arrivals, more for bursts
 * - `dispersion`: variance by mean of the numbers of rows in each whole second: 1 for Poisson arrivals
 * - `rate_over_time`: rows per second in bins of equal length
 * - `sessions`: how many conversations, and how many rows belong to one
 *
 * @category models
 * @since 0.2.0
 */
export interface Measures {
  readonly requests: number
  readonly duration_s: number
  readonly mean_rate_per_s: number | null
  readonly peak_rate_per_s: number
  readonly peak_at_s: number
  readonly gap_mean_s: number | null
  readonly gap_cv: number | null
  readonly dispersion: number | null
  readonly rate_over_time: { readonly bin_s: number; readonly per_s: ReadonlyArray<number> }
  readonly input_tokens: Lengths
  readonly output_tokens: Lengths
  readonly sessions: { readonly count: number; readonly requests: number } | null
}

const DEFAULT_BINS = 60

const lengthsOf = (tokens: Uint32Array): Lengths => {
  const sorted = tokens.toSorted()
  const at = (q: number) => Quantile.quantile(sorted, q) ?? 0
  const counts: Array<number> = []
  let total = 0
  for (const count of sorted) {
    total += count
    const bin = 31 - Math.clz32(count)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  const first = counts.findIndex((count) => count !== undefined)
  return {
    total,
    mean: total / sorted.length,
    min: at(0),
    p25: at(0.25),
    p50: at(0.5),
    p75: at(0.75),
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
    histogram: Array.from({ length: counts.length - first }, (_, i) => ({
      from: 2 ** (first + i),
      to: 2 ** (first + i + 1) - 1,
      count: counts[first + i] ?? 0
    }))
  }
}

const gapsOf = (offsets: Float64Array): Float64Array =>
  Float64Array.from({ length: Math.max(0, offsets.length - 1) }, (_, i) => (offsets[i + 1] ?? 0) - (offsets[i] ?? 0))

/** Counts of rows per second. Seconds without any are not kept, so that a schedule may be as long as it likes. */
const perSecond = (offsets: Float64Array) => {
  const seconds = Math.floor(offsets.at(-1) ?? 0)
  let peak = 0
  let peakAt = 0
  let sum = 0
  let squares = 0
  for (let from = 0; from < offsets.length;) {
    const second = Math.floor(offsets[from] ?? 0)
    let to = from + 1
    while (to < offsets.length && Math.floor(offsets[to] ?? 0) === second) to++
    const count = to - from
    if (count > peak) {
      peak = count
      peakAt = second
    }
    // The last second is cut off by the end of the schedule
    if (second < seconds) {
      sum += count
      squares += count * count
    }
    from = to
  }
  const mean = sum / seconds
  const variance = (squares - sum * mean) / (seconds - 1)
  return { peak, peakAt, dispersion: seconds < 2 || sum === 0 ? null : variance / mean }
}

const ratesOf = (offsets: Float64Array, bins: number): Measures["rate_over_time"] => {
  const duration = offsets.at(-1) ?? 0
  if (duration === 0) return { bin_s: 0, per_s: [] }
  const width = duration / bins
  const counts = Array.from({ length: bins }, () => 0)
  for (const offset of offsets) {
    const bin = Math.min(bins - 1, Math.floor(offset / width))
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return { bin_s: width, per_s: counts.map((count) => count / width) }
}

/**
 * Measures a schedule of at least one row. `bins` is the number of bins of `rate_over_time`, 60 when left out.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measure = (schedule: Schedule, bins: number = DEFAULT_BINS): Measures => {
  const { offsetSeconds, session } = schedule
  const gaps = gapsOf(offsetSeconds)
  const gapMean = Statistics.mean(gaps)
  const spread = Statistics.standardDeviation(gaps)
  const { dispersion, peak, peakAt } = perSecond(offsetSeconds)
  return {
    requests: schedule.length,
    duration_s: offsetSeconds.at(-1) ?? 0,
    mean_rate_per_s: gapMean === null || gapMean === 0 ? null : 1 / gapMean,
    peak_rate_per_s: peak,
    peak_at_s: peakAt,
    gap_mean_s: gapMean,
    gap_cv: gapMean === null || gapMean === 0 || spread === null ? null : spread / gapMean,
    dispersion,
    rate_over_time: ratesOf(offsetSeconds, bins),
    input_tokens: lengthsOf(schedule.inputTokens),
    output_tokens: lengthsOf(schedule.outputTokens),
    sessions:
      session === null
        ? null
        : {
            count: new Set(session).size - (session.includes(0) ? 1 : 0),
            requests: session.reduce((sum, number) => (number === 0 ? sum : sum + 1), 0)
          }
  }
}

/**
 * What is rendered: a title, facts about where the schedule comes from (name and value), and its numbers. `prefix` are
 * facts about shared prefixes.
 *
 * @category models
 * @since 0.2.0
 */
export interface Portrait {
  readonly title: string
  readonly source: ReadonlyArray<Fact>
  readonly measures: Measures
  readonly prefix: ReadonlyArray<Fact>
}

/**
 * A name and its value.
 *
 * @category models
 * @since 0.2.0
 */
export type Fact = readonly [name: string, value: string]

const MIN_COLUMNS = 40
const MOST_COLUMNS = 100
const PLOT_ROWS = 6
const EIGHTHS = 8
// Eighths of a cell, from the bottom up and from the left
const upward = " ▁▂▃▄▅▆▇█"
const rightward = " ▏▎▍▌▋▊▉█"

/** A number of eighths of cells as so many cells, each filled after the one before. */
const filled = (eighths: number, cells: number, marks: string): Array<string> =>
  Array.from({ length: cells }, (_, cell) => marks.charAt(Math.min(EIGHTHS, Math.max(0, eighths - cell * EIGHTHS))))

/** At least the smallest mark for what is there, however little. */
const eighthsOf = (value: number, most: number, cells: number): number =>
  value === 0 ? 0 : Math.max(1, Math.round((value / most) * cells * EIGHTHS))

/** Bars side by side, with the largest value and 0 on the left and the ends of the time below. */
const bars = (values: ReadonlyArray<number>, duration: number): Array<string> => {
  const most = Math.max(...values)
  const cells = values.map((value) => filled(eighthsOf(value, most, PLOT_ROWS), PLOT_ROWS, upward))
  const label = Text.number(most)
  const lines = Array.from({ length: PLOT_ROWS }, (_, row) => {
    const bar = cells.map((column) => column[PLOT_ROWS - 1 - row] ?? " ").join("")
    return `${Text.padStart(row === 0 ? label : "", label.length)} ${row === 0 ? "┤" : "│"}${bar}`.trimEnd()
  })
  const end = Text.duration(duration)
  return [
    ...lines,
    `${Text.padStart("0", label.length)} └${"─".repeat(values.length)}`,
    `${" ".repeat(label.length + 2)}0${Text.padStart(end, values.length - 1)}`
  ]
}

/** One bar a line, with the range it stands for, the count and its share. */
const histogram = ({ histogram: bins }: Lengths, requests: number, columns: number): Array<string> => {
  const names = bins.map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`))
  const values = bins.map(({ count }) => `${count}  ${Text.percent(count / requests)}`)
  const nameWidth = Math.max(...names.map(Text.width))
  const valueWidth = Math.max(...values.map(Text.width))
  const room = Math.max(EIGHTHS, columns - nameWidth - valueWidth - 5)
  const most = Math.max(...bins.map(({ count }) => count))
  return bins.map(({ count }, i) => {
    const bar = filled(eighthsOf(count, most, room), room, rightward)
      .join("")
      .trimEnd()
    return `  ${Text.padStart(names[i] ?? "", nameWidth)} ${Text.padEnd(bar, room)} ${Text.padStart(values[i] ?? "", valueWidth)}`
  })
}

const facts = (list: ReadonlyArray<Fact>, columns: number, dim: (text: string) => string): Array<string> => {
  const width = Math.max(...list.map(([name]) => Text.width(name))) + 2
  return list.flatMap(([name, value]) =>
    Text.wrap(Text.oneLine(value), Math.max(1, columns - width)).map(
      (line, i) => dim(Text.padEnd(i === 0 ? name : "", width)) + line
    )
  )
}

const lengthColumns: ReadonlyArray<TableColumn> = [
  { title: "min", priority: 3 },
  { title: "p25", priority: 5 },
  { title: "p50", priority: 0 },
  { title: "p75", priority: 6 },
  { title: "p90", priority: 2 },
  { title: "p99", priority: 0 },
  { title: "max", priority: 4 },
  { title: "mean", priority: 1 }
]

const lengthRow = (label: string, { max, mean, min, p25, p50, p75, p90, p99 }: Lengths) => ({
  label,
  cells: [min, p25, p50, p75, p90, p99, max, mean].map((value) => value.toFixed(0))
})

const timing = (measures: Measures): ReadonlyArray<Fact> => {
  const { dispersion, gap_cv, gap_mean_s, mean_rate_per_s, peak_at_s, peak_rate_per_s, requests, sessions } = measures
  const rate = mean_rate_per_s === null ? "–" : `${Text.number(mean_rate_per_s)} per second on average`
  const list: Array<Fact> = [
    ["requests", `${requests} in ${Text.duration(measures.duration_s)}`],
    ["rate", `${rate}, at most ${peak_rate_per_s} in the second at ${Text.duration(peak_at_s)}`]
  ]
  if (gap_mean_s !== null) {
    list.push(["gaps", `${Text.number(gap_mean_s)} s on average, coefficient of variation ${Text.number(gap_cv)}`])
  }
  if (dispersion !== null)
    list.push(["dispersion", `${Text.number(dispersion)} (variance by mean of requests per second)`])
  list.push(["tokens", `${measures.input_tokens.total} in, ${measures.output_tokens.total} out`])
  if (sessions !== null) list.push(["sessions", `${sessions.count}, with ${sessions.requests} of the requests`])
  return list
}

/**
 * How many bins the rate over time has when it is shown on a screen of so many columns.
 *
 * @category rendering
 * @since 0.2.0
 */
export const binsFor = (columns: number): number => Math.max(MIN_COLUMNS, Math.min(MOST_COLUMNS, columns)) - 12

/**
 * The numbers of a schedule, its rate over time and its lengths as text. No line is wider than `columns`, and none than
 * 100; below 40 columns it is cut by the terminal. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (portrait: Portrait, options: { readonly columns: number; readonly color: boolean }): string => {
  const columns = Math.max(MIN_COLUMNS, Math.min(MOST_COLUMNS, options.columns))
  const marks = style(options.color)
  const { measures } = portrait
  const { duration_s, input_tokens, output_tokens, rate_over_time, requests } = measures
  const [header = "", ...rows] = table(
    lengthColumns,
    [lengthRow("input tokens", input_tokens), lengthRow("output tokens", output_tokens)],
    { columns }
  )
  const sections: Array<ReadonlyArray<string>> = [
    Text.wrap(Text.oneLine(portrait.title), columns).map(marks.bold),
    facts([...portrait.source, ...timing(measures), ...portrait.prefix], columns, marks.dim),
    [marks.bold(header), ...rows]
  ]
  if (rate_over_time.per_s.length > 0) {
    sections.push([marks.bold("requests per second"), ...bars(rate_over_time.per_s, duration_s)])
  }
  sections.push([marks.bold("input tokens"), ...histogram(input_tokens, requests, columns)])
  sections.push([marks.bold("output tokens"), ...histogram(output_tokens, requests, columns)])
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`
}
