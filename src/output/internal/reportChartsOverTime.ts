import type { RunCharts } from "./reportModel.ts"
import type { Timeline } from "./reportTimeline.ts"
import {
  type Chart,
  colorOf,
  frame,
  line,
  lineLegend,
  type Look,
  marksOf,
  type Option,
  type Pair,
  tip,
  tipRow,
  xAxis,
  yAxis
} from "./reportChartParts.ts"
import { clock, count, number, seconds, timeUnitFor, unitFor } from "./reportText.ts"

type Runs = ReadonlyArray<RunCharts>
type Values = ReadonlyArray<number | null>

/** A line of a chart over time; `tone` is the place of its colour. */
interface Line {
  readonly name: string
  readonly values: Values
  readonly tone: number
  readonly dash?: "dashed" | "dotted"
}

interface Over {
  readonly name: string
  readonly title: string
  readonly note: string
  readonly gist: string
  readonly step: number
  readonly span: number
  readonly lines: ReadonlyArray<Line>
  readonly unit: string
  readonly scale?: number
  /** A value as people read it, in a tooltip or a table. */
  readonly read: (value: number | null) => string
  readonly area?: boolean
  readonly stacked?: boolean
  /** When, in seconds, the client had a part in the numbers. */
  readonly touched: RunCharts["touched"]
}

const greatest = (lines: ReadonlyArray<Line>): number =>
  Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)))

const mean = (values: Values): number | null => {
  const all = values.filter((value) => value !== null)
  return all.length === 0 ? null : all.reduce((sum, value) => sum + value, 0) / all.length
}

const overTime = (over: Over): Chart => {
  const { lines, span, step } = over
  const scale = over.scale ?? 1
  const time = timeUnitFor(span)
  const shaded = over.touched.map(([from, to]) => [from / time.seconds, to / time.seconds] as const)
  const slices = Math.max(...lines.map(({ values }) => values.length))
  // The last slice reaches to the end of the run
  const end = Math.max(span, slices * step)
  const slice = (i: number): string =>
    `${clock(i * step, span)} – ${clock(i < slices - 1 ? (i + 1) * step : end, span)}`
  const pair = (value: number | null, i: number): Pair => [
    ((i + 0.5) * step) / time.seconds,
    value === null ? null : value * scale
  ]
  const pairs = (values: Values): Array<Pair> => {
    // A step reaches half a slice to either side: one more on both ends fills the first and the last
    const ends = over.stacked === true ? [values[0] ?? null, values.at(-1) ?? null] : []
    return [
      ...ends.slice(0, 1).map((value) => pair(value, -1)),
      ...values.map(pair),
      ...ends.slice(1).map((value) => pair(value, values.length))
    ]
  }
  const option = (look: Look): Option => {
    const parts = frame(
      look,
      lines.map(({ name }) => name),
      true
    )
    return {
      ...(over.stacked === true ? parts : lineLegend(parts)),
      xAxis: xAxis(look, `Time since the start (${time.name})`, number, {
        min: 0,
        max: end / time.seconds
      }),
      yAxis: yAxis(look, over.unit, number, { wholes: over.stacked === true }),
      tooltip: {
        ...parts.tooltip,
        trigger: "axis",
        formatter: (params: unknown) => {
          const marks = marksOf(params)
          return tip(
            slice(Math.max(0, Math.min(slices - 1, Math.floor(((marks[0]?.x ?? 0) * time.seconds) / step)))),
            marks.map(({ color, seriesName, y }) => tipRow(color, seriesName, over.read(y === null ? null : y / scale)))
          )
        }
      },
      series: lines.map(({ dash, name, tone, values }, i) =>
        line(name, colorOf(look.palette, tone), pairs(values), {
          ...(i > 0 ? {} : { shaded: { spans: shaded, color: look.palette.warn } }),
          ...(dash === undefined ? {} : { dash }),
          ...(over.stacked === true
            ? { area: 0.9, stack: "all", step: true }
            : over.area === true && lines.length === 1
              ? { area: 0.18 }
              : {})
        })
      )
    }
  }
  return {
    name: over.name,
    id: over.name,
    title: over.title,
    note: over.touched.length === 0 ? over.note : `${over.note} Shaded: the client had a part in it.`,
    gist: over.gist,
    height: 250,
    zoom: "time",
    renderer: "svg",
    option,
    table: () => ({
      columns: ["Time since the start", ...lines.map(({ name }) => name)],
      rows: Array.from({ length: slices }, (_, i) => [
        slice(i),
        ...lines.map(({ values }) => over.read(values[i] ?? null))
      ])
    })
  }
}

interface Timed {
  readonly label: string
  readonly timeline: Timeline
  readonly touched: RunCharts["touched"]
  readonly span: number
  readonly tone: number
}

const timed = (runs: Runs): ReadonlyArray<Timed> =>
  runs.flatMap(({ label, span, timeline, touched }, tone) =>
    timeline === null || span === null ? [] : [{ label, timeline, touched, span, tone }]
  )

const spanOf = (all: ReadonlyArray<Timed>): Pick<Over, "span" | "step" | "touched"> => ({
  // Of several runs it would not be seen which is meant
  touched: all.length === 1 ? (all[0]?.touched ?? []) : [],
  span: Math.max(...all.map(({ span }) => span)),
  step: all[0]?.timeline.step ?? 1
})

const perSecond = (value: number | null): string => (value === null ? "–" : `${number(value)} per s`)

const meansOf = (
  all: ReadonlyArray<Timed>,
  of: (timeline: Timeline) => Values,
  read: (value: number | null) => string
) =>
  all
    .map(({ label, timeline }) => `${all.length > 1 ? `${label}: ` : ""}on average ${read(mean(of(timeline)))}`)
    .join("; ")

/** Requests sent per second, and of a single run those that ended. */
export const rate = (runs: Runs): Chart | null => {
  const all = timed(runs)
  const [only, second] = all
  if (only === undefined) return null
  return overTime({
    name: "rate",
    title: "Requests per second",
    note: second === undefined ? "Requests sent, and requests that succeeded." : "Requests sent.",
    gist: meansOf(all, ({ sent }) => sent, perSecond),
    ...spanOf(all),
    lines:
      second === undefined
        ? [
            { name: "sent", values: only.timeline.sent, tone: 0 },
            { name: "succeeded", values: only.timeline.ended, tone: 2, dash: "dashed" }
          ]
        : all.map(({ label, timeline, tone }) => ({ name: label, values: timeline.sent, tone })),
    unit: "Requests per second",
    read: perSecond
  })
}

/** One line for each run. */
const simple = (
  runs: Runs,
  of: (timeline: Timeline) => Values,
  options: Pick<Over, "name" | "note" | "read" | "title" | "unit">
): Chart | null => {
  const all = timed(runs)
  if (all.length === 0) return null
  return overTime({
    ...options,
    ...spanOf(all),
    gist: meansOf(all, of, options.read),
    lines: all.map(({ label, timeline, tone }) => ({
      name: all.length > 1 ? label : options.title,
      values: of(timeline),
      tone
    })),
    area: true
  })
}

export const inFlight = (runs: Runs): Chart | null =>
  simple(runs, (timeline) => timeline.inFlight, {
    name: "in-flight",
    title: "Requests in flight",
    note: "The mean number of requests that the server was answering.",
    unit: "Requests",
    read: number
  })

/** When the tokens of an answer came. */
const tokensNote = (runs: Runs): string => {
  const byChunk = "The tokens of each answer, evenly over its chunks, when those arrived."
  const spread = "The tokens of each answer are spread evenly from its first token to its end."
  if (runs.every(({ chunked }) => chunked)) return byChunk
  const some = runs.filter(({ chunked }) => chunked).map(({ label }) => label)
  return some.length === 0 ? spread : `${spread} Of ${some.join(", ")}: when its chunks arrived.`
}

const uncountedNote = (runs: Runs): string =>
  runs.some(({ timeline }) => timeline?.tokens.includes(null) === true)
    ? " Left out: times at which an answer came whose tokens are not known."
    : ""

export const throughput = (runs: Runs): Chart | null =>
  simple(runs, (timeline) => timeline.tokens, {
    name: "throughput",
    title: "Output tokens per second",
    note: tokensNote(runs) + uncountedNote(runs),
    unit: "Tokens per second",
    read: (value) => (value === null ? "–" : `${number(value)} tokens/s`)
  })

interface Quantile {
  readonly name: string
  readonly of: (timeline: Timeline) => Values
}

/** Quantiles over time: by colour for a single run, by colour of the run and kind of line for several. */
const quantiles = (
  runs: Runs,
  shown: ReadonlyArray<Quantile>,
  options: Pick<Over, "name" | "note" | "title"> & { readonly axis: string }
): Chart | null => {
  const all = timed(runs)
  const dashes = ["solid", "dashed", "dotted"] as const
  const tones = [0, 1, 6]
  const lines = all.flatMap(({ label, timeline, tone }) =>
    shown.map(({ name, of }, i): Line => {
      const dash = dashes[i]
      return {
        name: all.length > 1 ? `${label}, ${name}` : name,
        values: of(timeline),
        tone: all.length > 1 ? tone : (tones[i] ?? 0),
        ...(dash === undefined || dash === "solid" || (all.length === 1 && dash === "dashed") ? {} : { dash })
      }
    })
  )
  if (!lines.some(({ values }) => values.some((value) => value !== null))) return null
  const unit = unitFor(greatest(lines))
  return overTime({
    ...options,
    ...spanOf(all),
    gist: lines.map(({ name, values }) => `${name}: on average ${seconds(mean(values))}`).join("; "),
    lines,
    unit: `${options.axis} (${unit.name})`,
    scale: unit.perSecond,
    read: seconds
  })
}

export const firstOverTime = (runs: Runs): Chart | null =>
  quantiles(
    runs,
    [
      { name: "p50", of: (timeline) => timeline.first50 },
      { name: "p99", of: (timeline) => timeline.first99 }
    ],
    {
      name: "ttft-over-time",
      title: "Time to first token over time",
      note: "By the time at which the requests were sent. With fewer than 100 in a slice, p99 is close to the longest.",
      axis: "TTFT"
    }
  )

export const dispatchLag = (runs: Runs): Chart | null =>
  quantiles(
    runs,
    [
      { name: "p50", of: (timeline) => timeline.lag50 },
      { name: "p99", of: (timeline) => timeline.lag99 },
      ...(runs.length === 1 ? [{ name: "longest", of: (timeline: Timeline) => timeline.lagMost }] : [])
    ],
    {
      name: "dispatch-lag",
      title: "Dispatch lag",
      note: "From when a request was due until it was written to the socket.",
      axis: "Lag"
    }
  )

/** Requests per second as planned and as sent, of an open loop. */
export const schedule = ({ span, timeline, touched }: RunCharts): Chart | null => {
  if (timeline === null || span === null || timeline.planned === null) return null
  return overTime({
    name: "schedule",
    title: "The schedule, as planned and as sent",
    note: "Where the lines part, requests went out later than they were due.",
    gist: `planned: on average ${perSecond(mean(timeline.planned))}; sent: on average ${perSecond(mean(timeline.sent))}`,
    touched,
    span,
    step: timeline.step,
    lines: [
      { name: "planned", values: timeline.planned, tone: 0 },
      { name: "sent", values: timeline.sent, tone: 1, dash: "dashed" }
    ],
    unit: "Requests per second",
    read: perSecond
  })
}

const total = (counts: ReadonlyArray<number>): number => counts.reduce((sum, one) => sum + one, 0)

/** Why requests did not succeed, and when. */
export const errors = ({ span, timeline, touched }: RunCharts): Chart | null => {
  if (timeline === null || span === null || timeline.errors.length === 0) return null
  return overTime({
    name: "errors",
    title: "Failures over time",
    note: "Requests that did not succeed, by reason, at the time at which they ended.",
    gist: timeline.errors.map(({ counts, reason }) => `${reason}: ${count(total(counts))}`).join("; "),
    touched,
    span,
    step: timeline.step,
    lines: timeline.errors.map(({ counts, reason }, i) => ({ name: reason, values: counts, tone: i + 1 })),
    unit: "Requests",
    read: (value) => number(value),
    stacked: true
  })
}
