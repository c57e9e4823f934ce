import type { Distribution } from "./reportDistribution.ts"
import type { RunCharts } from "./reportModel.ts"
import { type Chart, colorOf, frame, line, marksOf, type Pair, tip, tipRow, xAxis, yAxis } from "./reportChartParts.ts"
import { counted, number, percent, seconds, unitFor } from "./reportText.ts"

interface What {
  readonly key: "first" | "itl" | "total"
  readonly name: string
  readonly title: string
}

type Runs = ReadonlyArray<RunCharts>

interface Shown {
  readonly label: string
  readonly of: Distribution
  readonly index: number
}

const shown = (runs: Runs, key: What["key"]): ReadonlyArray<Shown> =>
  runs.map((run, index) => ({ label: run.label, of: run[key], index })).filter(({ of }) => of.count > 0)

/** The value that a share of all values is not above. */
const valueAt = ({ cdf }: Distribution, share: number): number | null => cdf.find(([at]) => at >= share)?.[1] ?? null

const gistOf = (all: ReadonlyArray<Shown>): string =>
  all
    .map(
      ({ label, of }) =>
        `${all.length > 1 ? `${label}: ` : ""}half of the requests are at most ${seconds(valueAt(of, 0.5))}, 99 % at most ${seconds(valueAt(of, 0.99))}`
    )
    .join("; ")

const binsOf = (all: ReadonlyArray<Shown>): number => Math.max(...all.map(({ of }) => of.shares.length))

/** The share of requests in each bin. */
export const histogram = (runs: Runs, { key, name, title }: What): Chart | null => {
  const all = shown(runs, key)
  const [first] = all
  if (first === undefined) return null
  const { from, width } = first.of
  const bins = binsOf(all)
  const unit = unitFor(from + width * bins)
  const left = (bin: number): number => from + bin * width
  const edges = (bin: number): string =>
    `${number(left(bin) * unit.perSecond)} – ${number(left(bin + 1) * unit.perSecond)} ${unit.name}`
  const beyond = all.reduce((sum, { of }) => sum + of.beyond, 0)
  // A step is drawn half a bin to either side of its point; one more bin on both ends brings the outline down to 0
  const points = ({ shares }: Distribution): Array<Pair> => [
    [(from - width / 2) * unit.perSecond, 0],
    ...shares.map((share, bin): Pair => [(from + (bin + 0.5) * width) * unit.perSecond, share * 100]),
    [(from + (shares.length + 0.5) * width) * unit.perSecond, 0]
  ]
  return {
    name: `${name}-histogram`,
    id: `${name}-histogram`,
    title: `${title}, distribution`,
    note: `Share of the requests in each bin of ${seconds(width)}.${beyond > 0 ? ` ${counted(beyond, "request")} beyond the right end.` : ""}`,
    gist: gistOf(all),
    height: 270,
    zoom: "own",
    renderer: "svg",
    option: (look) => ({
      ...frame(
        look,
        all.map(({ label }) => label),
        true
      ),
      xAxis: xAxis(look, `${title} (${unit.name})`, number, {
        min: from * unit.perSecond,
        max: (from + bins * width) * unit.perSecond
      }),
      yAxis: yAxis(look, "Requests (%)", number),
      tooltip: {
        ...frame(look, [], false).tooltip,
        trigger: "axis",
        formatter: (params: unknown) => {
          const marks = marksOf(params)
          const bin = Math.round(((marks[0]?.x ?? 0) / unit.perSecond - from) / width - 0.5)
          return tip(
            edges(bin),
            marks.map(({ color, seriesName, y }) => tipRow(color, seriesName, percent((y ?? 0) / 100)))
          )
        }
      },
      series: all.map(({ index, label, of }) =>
        line(label, colorOf(look.palette, index), points(of), { area: all.length > 1 ? 0.14 : 0.3, step: true })
      )
    }),
    table: () => ({
      columns: [title, ...all.map(({ label }) => `${all.length > 1 ? label : "Requests"} (%)`)],
      rows: Array.from({ length: bins }, (_, bin) => [
        edges(bin),
        ...all.map(({ of }) => number((of.shares[bin] ?? 0) * 100))
      ])
    })
  }
}

/** A tail so long that the rest would be a line at the edge. */
const LONG_TAIL = 25

/** The share of requests that are not above a value. */
export const cumulative = (runs: Runs, { key, name, title }: What): Chart | null => {
  const all = shown(runs, key)
  const [one] = all
  if (one === undefined) return null
  const { from, width } = one.of
  const values = all.flatMap(({ of }) => of.cdf.flatMap(([, value]) => (value === null ? [] : [value])))
  const most = Math.max(...values)
  const middle = Math.min(...all.map(({ of }) => valueAt(of, 0.5) ?? most))
  const log = most > LONG_TAIL * middle && Math.min(...values) > 0
  const unit = unitFor(log ? middle * 4 : most)
  // Beside its histogram it has the same scale, unless that leaves out a tail
  const isCut = all.some(({ of }) => of.beyond > 0)
  const range = {
    min: from * unit.perSecond,
    ...(isCut ? {} : { max: (from + binsOf(all) * width) * unit.perSecond })
  }
  const tableShares = [0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]
  return {
    name: `${name}-cdf`,
    id: `${name}-cdf`,
    title: `${title}, cumulative`,
    note: `Share of the requests that took no longer.${log ? " The scale is logarithmic." : ""}`,
    gist: gistOf(all),
    height: 270,
    zoom: "own",
    renderer: "svg",
    option: (look) => ({
      ...frame(
        look,
        all.map(({ label }) => label),
        true
      ),
      xAxis: xAxis(look, `${title} (${unit.name})`, number, log ? { log } : range),
      yAxis: yAxis(look, "Requests (%)", number, { max: 100, interval: 25 }),
      tooltip: {
        ...frame(look, [], false).tooltip,
        trigger: "axis",
        formatter: (params: unknown) => {
          const marks = marksOf(params)
          return tip(
            seconds((marks[0]?.x ?? 0) / unit.perSecond),
            marks.map(({ color, seriesName, y }) => tipRow(color, seriesName, `${percent((y ?? 0) / 100)}`))
          )
        }
      },
      series: all.map(({ index, label, of }) =>
        line(
          label,
          colorOf(look.palette, index),
          of.cdf.flatMap(([share, value]): Array<Pair> =>
            value === null ? [] : [[value * unit.perSecond, share * 100]]
          )
        )
      )
    }),
    table: () => ({
      columns: ["Share of the requests", ...all.map(({ label }) => (all.length > 1 ? label : "At most"))],
      rows: Array.from(tableShares, (share) => [percent(share), ...all.map(({ of }) => seconds(valueAt(of, share)))])
    })
  }
}
