import { BarChart, LineChart, ScatterChart } from "echarts/charts"
import {
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  TitleComponent,
  ToolboxComponent,
  TooltipComponent
} from "echarts/components"
import { init, use } from "echarts/core"
import { SVGRenderer } from "echarts/renderers"
import type { Chart } from "./reportChartParts.ts"
import { dark, light } from "./reportPalette.ts"

use([
  BarChart,
  LineChart,
  ScatterChart,
  DataZoomInsideComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  TitleComponent,
  ToolboxComponent,
  TooltipComponent,
  SVGRenderer
])

/** Draws a chart without a browser. */
export const svg = (chart: Chart, options: { readonly width: number; readonly theme: "light" | "dark" }): string => {
  const instance = init(null, null, {
    renderer: "svg",
    ssr: true,
    width: options.width,
    height: chart.height + 60
  })
  try {
    const palette = options.theme === "dark" ? dark : light
    instance.setOption(chart.option({ palette, narrow: false, title: chart.title }))
    return instance.renderToSVGString()
  } finally {
    instance.dispose()
  }
}
