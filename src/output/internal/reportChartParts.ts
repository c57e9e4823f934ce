/** What the charts of the report have in common. Runs in a browser too. */
import type { BarSeriesOption, LineSeriesOption, ScatterSeriesOption } from "echarts/charts"
import type {
  DataZoomComponentOption,
  GridComponentOption,
  LegendComponentOption,
  MarkAreaComponentOption,
  TitleComponentOption,
  ToolboxComponentOption,
  TooltipComponentOption
} from "echarts/components"
import type { ComposeOption } from "echarts/core"
import type { Palette } from "./reportPalette.ts"
import { escape } from "./reportText.ts"

export type Option = ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | ScatterSeriesOption
  | DataZoomComponentOption
  | GridComponentOption
  | LegendComponentOption
  | MarkAreaComponentOption
  | TitleComponentOption
  | ToolboxComponentOption
  | TooltipComponentOption
>

export type Axis = NonNullable<Option["xAxis"]>

/** How a chart is to look: `narrow` on a phone, with a `title` when it stands alone. */
export interface Look {
  readonly palette: Palette
  readonly narrow: boolean
  readonly title: string | null
}

/** What a chart shows, as a table. The cells are what people read. */
export interface Table {
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * One chart.
 *
 * - `name`: what it is called on the command line; `id` tells apart the same chart of several runs
 * - `note`: a sentence under its title; `gist`: what is to be seen in it, for people who cannot
 * - `zoom`: over time together with its neighbours, by itself, or not at all
 */
export interface Chart {
  readonly name: string
  readonly id: string
  readonly title: string
  readonly note: string
  readonly gist: string
  readonly height: number
  readonly zoom: "time" | "own" | "none"
  readonly renderer: "svg" | "canvas"
  readonly option: (look: Look) => Option
  readonly table: () => Table
}

// Without quotes: in an image the list stands in an attribute, where they would end it
export const font = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Noto Sans, Arial, sans-serif"

export const colorOf = ({ series }: Palette, index: number): string => series[index % series.length] ?? "#0072b2"

export const xAxis = (
  { palette }: Look,
  name: string,
  label: (value: number) => string,
  more: { readonly max?: number; readonly min?: number; readonly log?: boolean } = {}
): Axis => ({
  type: more.log === true ? "log" : "value",
  name,
  nameLocation: "middle",
  nameGap: 8,
  nameTextStyle: { color: palette.muted, fontSize: 12, padding: [6, 0, 0, 0] },
  axisLabel: {
    color: palette.muted,
    hideOverlap: true,
    showMaxLabel: more.max === undefined,
    showMinLabel: more.min === undefined || more.min === 0,
    formatter: label
  },
  axisLine: { show: true, lineStyle: { color: palette.line } },
  axisTick: { show: true, lineStyle: { color: palette.line } },
  splitLine: { show: false },
  axisPointer: { lineStyle: { color: palette.muted, type: "solid" }, label: { show: false } },
  ...(more.max === undefined ? {} : { max: more.max }),
  ...(more.min === undefined ? {} : { min: more.min })
})

export const yAxis = (
  { palette }: Look,
  name: string,
  label: (value: number) => string,
  more: { readonly max?: number; readonly interval?: number; readonly wholes?: boolean } = {}
): NonNullable<Option["yAxis"]> => ({
  type: "value",
  name,
  nameLocation: "middle",
  nameGap: 8,
  nameTextStyle: { color: palette.muted, fontSize: 12, padding: [0, 0, 4, 0] },
  axisLabel: { color: palette.muted, formatter: label },
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: palette.line, opacity: 0.8 } },
  min: 0,
  splitNumber: 4,
  ...(more.max === undefined ? {} : { max: more.max }),
  ...(more.interval === undefined ? {} : { interval: more.interval }),
  ...(more.wholes === true ? { minInterval: 1 } : {})
})

/** A row of a tooltip: a mark of the colour, a name, a value. */
export const tipRow = (color: string, name: string, value: string): string =>
  `<div style="display:flex;gap:8px;align-items:baseline"><span style="flex:none;width:9px;height:9px;border-radius:3px;background:${escape(color)}"></span><span style="white-space:normal">${escape(name)}</span><b style="margin-left:auto;padding-left:14px;font-weight:600">${escape(value)}</b></div>`

export const tip = (head: string, rows: ReadonlyArray<string>): string =>
  `<div style="font-weight:600;margin-bottom:4px">${escape(head)}</div>${rows.join("")}`

export const tooltip = ({ palette }: Look): TooltipComponentOption => ({
  className: "tip",
  confine: true,
  transitionDuration: 0,
  backgroundColor: palette.surface,
  borderColor: palette.line,
  padding: [8, 12],
  textStyle: { color: palette.ink, fontSize: 12.5, fontFamily: font },
  extraCssText:
    "box-shadow:0 4px 16px rgba(0,0,0,.16);border-radius:8px;font-variant-numeric:tabular-nums;max-width:min(340px,90vw)"
})

/** A legend in which one sees how each line is dashed: the mark in its middle is small. */
export const lineLegend = (parts: Option): Option => ({ ...parts, legend: { ...parts.legend, itemHeight: 4 } })

/** The frame of every chart: fonts, margins, a legend where there is more than one thing to tell apart. */
export const frame = (look: Look, names: ReadonlyArray<string>, zooms: boolean): Option => {
  const { narrow, palette, title } = look
  const head = title === null ? 0 : 34
  const legend = names.length > 1
  return {
    animation: false,
    backgroundColor: title === null ? "transparent" : palette.surface,
    textStyle: { fontFamily: font, fontSize: 12, color: palette.ink },
    ...(title === null
      ? {}
      : { title: { text: title, left: 12, top: 8, textStyle: { fontSize: 15, fontWeight: 600, color: palette.ink } } }),
    grid: {
      left: title === null ? 4 : 16,
      right: narrow ? 10 : 20,
      top: head + (legend ? 38 : 14),
      bottom: title === null ? 4 : 12,
      outerBoundsMode: "same",
      outerBoundsContain: "all"
    },
    legend: {
      show: legend,
      type: "scroll",
      left: title === null ? 0 : 12,
      top: head,
      itemWidth: 26,
      itemHeight: 10,
      itemGap: 18,
      data: [...names],
      textStyle: { color: palette.ink, fontSize: 12.5 },
      inactiveColor: palette.line,
      pageIconColor: palette.muted,
      pageTextStyle: { color: palette.muted }
    },
    tooltip: { ...tooltip(look), trigger: "axis", axisPointer: { type: "line" } },
    ...(zooms
      ? {
          dataZoom: [
            {
              type: "inside",
              filterMode: "none",
              zoomOnMouseWheel: false,
              moveOnMouseWheel: false,
              moveOnMouseMove: false,
              preventDefaultMouseMove: false
            }
          ],
          toolbox: {
            show: true,
            itemSize: 0,
            top: -100,
            feature: { dataZoom: { yAxisIndex: "none", filterMode: "none" } }
          }
        }
      : {})
  }
}

export type Pair = [x: number, y: number | null]

export const line = (
  name: string,
  color: string,
  data: Array<Pair>,
  more: {
    readonly shaded?: { readonly spans: ReadonlyArray<readonly [from: number, to: number]>; readonly color: string }
    readonly dash?: "dashed" | "dotted"
    readonly area?: number
    readonly step?: boolean
    readonly stack?: string
  } = {}
): LineSeriesOption => ({
  type: "line",
  name,
  data,
  color,
  // Without marks, so that a legend shows how a line is dashed; a line of one point would be nothing
  symbol: data.length === 1 ? "circle" : "none",
  symbolSize: 6,
  connectNulls: true,
  lineStyle: {
    width: more.stack === undefined ? (more.step === true ? 1.5 : 2) : 0,
    color,
    type: more.dash ?? "solid"
  },
  emphasis: { disabled: true },
  ...(more.area === undefined ? {} : { areaStyle: { color, opacity: more.area } }),
  ...(more.step === true ? { step: "middle" as const } : {}),
  ...(more.shaded === undefined || more.shaded.spans.length === 0
    ? {}
    : {
        markArea: {
          silent: true,
          itemStyle: { color: more.shaded.color, opacity: 0.13 },
          data: more.shaded.spans.map(([from, to]): [{ xAxis: number }, { xAxis: number }] => [
            { xAxis: from },
            { xAxis: to }
          ])
        }
      }),
  ...(more.stack === undefined ? {} : { stack: more.stack })
})

/** What a tooltip of an axis is given: a mark for each series. ECharts' own type does not say more. */
export interface Mark {
  readonly seriesName: string
  readonly color: string
  readonly x: number
  readonly y: number | null
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

export const marksOf = (params: unknown): ReadonlyArray<Mark> =>
  (Array.isArray(params) ? params : [params]).filter(isObject).flatMap(({ color, seriesName, value }) => {
    if (!Array.isArray(value)) return []
    const [x, y] = value
    return typeof x === "number"
      ? [
          {
            seriesName: String(seriesName),
            color: typeof color === "string" ? color : "currentColor",
            x,
            y: typeof y === "number" ? y : null
          }
        ]
      : []
  })

/** The place of what a tooltip is about, in the data. */
export const indexOf = (params: unknown): number => {
  const first = (Array.isArray(params) ? params : [params]).find(isObject)
  const index = first?.["dataIndex"]
  return typeof index === "number" ? index : -1
}
