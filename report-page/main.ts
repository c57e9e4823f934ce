/** What makes the page of a report live: it draws the charts from the data in the page, and minds theme, size, print and keys. */
import { BarChart, LineChart, ScatterChart } from "echarts/charts"
import {
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  ToolboxComponent,
  TooltipComponent
} from "echarts/components"
import { type EChartsType, init, use } from "echarts/core"
import { CanvasRenderer, SVGRenderer } from "echarts/renderers"
import type { Chart, Table } from "../src/output/internal/reportChartParts.ts"
import { sectionsOf } from "../src/output/internal/reportCharts.ts"
import type { RunCharts } from "../src/output/internal/reportModel.ts"
import { dark, light } from "../src/output/internal/reportPalette.ts"

use([
  BarChart,
  LineChart,
  ScatterChart,
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  ToolboxComponent,
  TooltipComponent,
  CanvasRenderer,
  SVGRenderer
])

/** A chart in its place on the page. */
interface Drawn {
  readonly chart: Chart
  readonly host: HTMLElement
  readonly instance: EChartsType
}

const NARROW = 520
/** What fits between the margins of a sheet of A4 or Letter, in CSS pixels. */
const PAPER_WIDTH = 630

const { runs }: { readonly runs: ReadonlyArray<RunCharts> } = JSON.parse(
  document.getElementById("data")?.textContent ?? '{"runs":[]}'
)
const systemDark = matchMedia("(prefers-color-scheme: dark)")
let chosenTheme: "light" | "dark" | null = null
let printing = false

const isDark = (): boolean => !printing && (chosenTheme === null ? systemDark.matches : chosenTheme === "dark")

const optionOf = ({ chart, host }: Pick<Drawn, "chart" | "host">) =>
  chart.option({ palette: isDark() ? dark : light, narrow: host.clientWidth < NARROW, title: null })

const draw = ({ chart, host, instance }: Drawn): void => {
  instance.setOption(optionOf({ chart, host }), { notMerge: true })
  // With this, dragging over the chart selects what to zoom into
  if (chart.zoom !== "none" && !matchMedia("(pointer: coarse)").matches) {
    instance.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true })
  }
}

const hosts = new Map(
  [...document.querySelectorAll<HTMLElement>("[data-chart]")].map((host) => [host.dataset["chart"] ?? "", host])
)

const drawn = sectionsOf(runs).flatMap(({ charts }) =>
  charts.flatMap((chart): Array<Drawn> => {
    const host = hosts.get(chart.id)
    if (host === undefined) return []
    const instance = init(host, null, { renderer: chart.renderer, devicePixelRatio: Math.max(2, devicePixelRatio) })
    return [{ chart, host, instance }]
  })
)

const redraw = (): void => drawn.forEach(draw)

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

const firstOf = (list: unknown): { readonly [key: string]: unknown } => {
  const first: unknown = Array.isArray(list) ? list[0] : undefined
  return isObject(first) ? first : {}
}

/** Zoom: charts over time go together. */
const together = (of: Drawn): ReadonlyArray<Drawn> =>
  of.chart.zoom === "time" ? drawn.filter(({ chart }) => chart.zoom === "time") : [of]

let spreading = false

const zoomTo = (of: Drawn, to: { readonly start: number; readonly end: number }): void => {
  spreading = true
  for (const { instance } of together(of)) instance.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, ...to })
  spreading = false
}

const zoomOf = ({ instance }: Drawn): { readonly start: number; readonly end: number } => {
  const { end, start } = firstOf(instance.getOption()["dataZoom"])
  return typeof start === "number" && typeof end === "number" ? { start, end } : { start: 0, end: 100 }
}

const watchZoom = (of: Drawn): void => {
  of.instance.on("datazoom", () => {
    if (!spreading) zoomTo(of, zoomOf(of))
  })
  of.host.addEventListener("dblclick", () => zoomTo(of, { start: 0, end: 100 }))
}

/** Keys: the arrows go from value to value, + and − zoom, 0 shows all. What is shown is read out too. */
const live = document.getElementById("live")

/** The places of the values that lie on the axis: outlines have ends beyond it. */
const placesOf = ({ instance }: Drawn): ReadonlyArray<number> => {
  const option = instance.getOption()
  const { data } = firstOf(option["series"])
  const { max, min } = firstOf(option["xAxis"])
  const isBelow = (x: unknown): boolean => typeof x === "number" && typeof min === "number" && x < min
  const isAbove = (x: unknown): boolean => typeof x === "number" && typeof max === "number" && x > max
  return (Array.isArray(data) ? data : []).flatMap((value: unknown, i) => {
    const x: unknown = Array.isArray(value) ? value[0] : undefined
    return isBelow(x) || isAbove(x) ? [] : [i]
  })
}

const watchKeys = (of: Drawn): void => {
  let at = -1
  const show = (index: number): void => {
    const places = placesOf(of)
    at = Math.max(0, Math.min(places.length - 1, index))
    of.instance.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: places[at] ?? 0 })
    const tip = of.host.querySelector<HTMLElement>(".tip")
    if (live !== null && tip !== null)
      live.textContent = [...tip.querySelectorAll("div,span,b")]
        .filter((part) => part.childElementCount === 0)
        .map((part) => part.textContent)
        .join(" ")
  }
  const zoom = (factor: number): void => {
    if (of.chart.zoom === "none") return
    const { end, start } = zoomOf(of)
    const middle = (start + end) / 2
    const half = Math.min(50, ((end - start) / 2) * factor)
    const from = Math.max(0, Math.min(100 - 2 * half, middle - half))
    zoomTo(of, { start: from, end: from + 2 * half })
  }
  const keys: { readonly [key: string]: () => void } = {
    ArrowRight: () => show(at + 1),
    ArrowDown: () => show(at + 1),
    ArrowLeft: () => show(at - 1),
    ArrowUp: () => show(at - 1),
    Home: () => show(0),
    End: () => show(Infinity),
    "+": () => zoom(0.5),
    "-": () => zoom(2),
    "0": () => zoom(Infinity),
    Escape: () => of.instance.dispatchAction({ type: "hideTip" })
  }
  of.host.addEventListener("keydown", (event) => {
    const action = keys[event.key]
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    action()
  })
  of.host.addEventListener("blur", () => of.instance.dispatchAction({ type: "hideTip" }))
}

const element = <Tag extends keyof HTMLElementTagNameMap>(tag: Tag, text: string, scope?: "col" | "row") => {
  const made = document.createElement(tag)
  made.textContent = text
  if (scope !== undefined) made.setAttribute("scope", scope)
  return made
}

/** Tables are made when they are opened. */
const tableOf = ({ columns, rows }: Table, name: string): HTMLElement => {
  const table = document.createElement("table")
  table.append(element("caption", name))
  table.caption?.classList.add("hidden")
  const head = table.createTHead().insertRow()
  for (const column of columns) head.append(element("th", column, "col"))
  const body = table.createTBody()
  for (const [first = "", ...others] of rows) {
    const row = body.insertRow()
    row.append(element("th", first, "row"), ...others.map((cell) => element("td", cell)))
  }
  const scroll = document.createElement("div")
  scroll.className = "scroll"
  scroll.tabIndex = 0
  scroll.setAttribute("role", "region")
  scroll.setAttribute("aria-label", `Data of ${name}`)
  scroll.append(table)
  return scroll
}

const watchTable = ({ chart }: Drawn): void => {
  const details = document.querySelector<HTMLDetailsElement>(`[data-table="${CSS.escape(chart.id)}"]`)
  details?.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(tableOf(chart.table(), chart.title))
  })
}

const watchSave = ({ chart, host, instance }: Drawn): void => {
  const button = document.querySelector<HTMLButtonElement>(`[data-save="${CSS.escape(chart.id)}"]`)
  if (button === null) return
  button.hidden = false
  button.addEventListener("click", () => {
    const link = document.createElement("a")
    link.download = `${chart.id}.${chart.renderer === "svg" ? "svg" : "png"}`
    link.href = instance.getDataURL({
      backgroundColor: getComputedStyle(host.closest("figure") ?? host).backgroundColor
    })
    link.click()
  })
}

for (const of of drawn) {
  draw(of)
  watchZoom(of)
  watchKeys(of)
  watchTable(of)
  watchSave(of)
}

const themeButton = document.getElementById("theme")
const printButton = document.getElementById("print")

const nameTheme = (): void => {
  if (themeButton !== null) themeButton.textContent = isDark() ? "Light theme" : "Dark theme"
}

if (themeButton !== null) {
  themeButton.hidden = false
  nameTheme()
  themeButton.addEventListener("click", () => {
    chosenTheme = isDark() ? "light" : "dark"
    document.documentElement.dataset["theme"] = chosenTheme
    nameTheme()
    redraw()
  })
}
systemDark.addEventListener("change", () => {
  nameTheme()
  redraw()
})

if (printButton !== null) {
  printButton.hidden = false
  printButton.addEventListener("click", () => print())
}

const resize = (): void => {
  for (const of of drawn) {
    of.instance.resize(printing ? { width: PAPER_WIDTH } : { width: "auto" })
    draw(of)
  }
}

/** Paper is light, and of another width. */
const forPrint = (on: boolean): void => {
  printing = on
  if (on) document.documentElement.dataset["theme"] = "light"
  else if (chosenTheme === null) delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = chosenTheme
  resize()
}
addEventListener("beforeprint", () => forPrint(true))
addEventListener("afterprint", () => forPrint(false))

let width = document.documentElement.clientWidth
addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return
  width = document.documentElement.clientWidth
  requestAnimationFrame(resize)
})
