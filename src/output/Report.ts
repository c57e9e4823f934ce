/**
 * A report of runs: one HTML file that needs nothing but a browser, and its charts as images.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AtomicFile from "./AtomicFile.ts"
import { type ChartName, chartNames } from "./ChartName.ts"
import { sectionsOf } from "./internal/reportCharts.ts"
import { page } from "./internal/reportPage.ts"
import * as Script from "./internal/reportScript.ts"
import { fromPlatformError, type OutputError } from "./OutputError.ts"
import * as ReportData from "./ReportData.ts"
import type * as RunReader from "./RunReader.ts"

/**
 * There is no such chart of these runs. `problem` says why.
 *
 * @category errors
 * @since 0.2.0
 */
export class ChartError extends Schema.TaggedError<ChartError>("llmperf/output/ChartError")("ChartError", {
  chart: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `There is no chart ${this.chart}: ${this.problem}.`
  }
}

/**
 * An image of `width` × `scale` pixels is wider than `MOST_PIXELS`.
 *
 * @category errors
 * @since 0.2.0
 */
export class ImageSizeError extends Schema.TaggedError<ImageSizeError>("llmperf/output/ImageSizeError")(
  "ImageSizeError",
  { width: Schema.Finite, scale: Schema.Finite }
) {
  override get message(): string {
    const wide = Math.round(this.width * this.scale)
    return `An image ${wide} pixels wide is too large: ${this.width} × ${this.scale} must be ${MOST_PIXELS} at most.`
  }
}

/**
 * How many pixels wide a PNG image may be: twice the width of the widest screens.
 *
 * @category constants
 * @since 0.2.0
 */
export const MOST_PIXELS = 16_384

/**
 * The page: headline, verdict, charts, tables and configuration. It asks nobody for anything, and runs no script but its own.
 * `version` is that of llmperf.
 *
 * @category rendering
 * @since 0.2.0
 */
export const html = Effect.fn("Report.html")(function* (
  data: ReportData.ReportData,
  version: string
): Effect.fn.Return<string, never, FileSystem.FileSystem> {
  const script = yield* Script.script
  const scriptHash = yield* Script.hashOf(script)
  return yield* Effect.sync(() => page(data, { script, scriptHash, version }))
})

/**
 * A report that was written; see `write`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Written {
  readonly bytes: number
  readonly remarks: ReadonlyArray<string>
}

/**
 * Reads runs, by their folders or files, and writes the report of them to `out`. Gives the size of the file in bytes, and what could
 * not be read and is not in it.
 *
 * @category writing
 * @since 0.2.0
 */
export const write = Effect.fn("Report.write")(function* (options: {
  readonly runs: ReadonlyArray<string>
  readonly out: string
  readonly version: string
}): Effect.fn.Return<Written, RunReader.RunReadError | OutputError, FileSystem.FileSystem | Path.Path> {
  const data = yield* ReportData.read(options.runs)
  const text = yield* html(data, options.version)
  yield* AtomicFile.write(options.out, Stream.succeed(text), fromPlatformError(options.out))
  return { bytes: new TextEncoder().encode(text).length, remarks: data.remarks }
})

/**
 * A chart of the report as an SVG image, drawn without a browser. Of the charts that show one run each, that of the first run.
 * `width` is in CSS pixels; the height is that of the chart.
 *
 * @category rendering
 * @since 0.2.0
 */
export const svg = Effect.fn("Report.svg")(function* (
  data: ReportData.ReportData,
  options: { readonly chart: ChartName; readonly theme: "light" | "dark"; readonly width: number }
): Effect.fn.Return<string, ChartError> {
  const charts = sectionsOf(data.runs.map(({ charts }) => charts)).flatMap(({ charts }) => charts)
  const chart = charts.find(({ name }) => name === options.chart)
  if (chart === undefined) {
    const there = chartNames.filter((name) => charts.some((chart) => chart.name === name))
    return yield* new ChartError({
      chart: options.chart,
      problem: `these results have no data for it; there are ${there.join(", ")}`
    })
  }
  const draw = yield* Effect.promise(() => import("./internal/reportSvg.ts"))
  return yield* Effect.sync(() => draw.svg(chart, options))
})

/**
 * The same chart as a PNG image, with `scale` pixels for each CSS pixel. It is drawn with fonts that llmperf brings along, so that
 * it is the same on every machine; they have Latin, Greek, Cyrillic and Hebrew letters.
 *
 * @category rendering
 * @since 0.2.0
 */
export const png = Effect.fn("Report.png")(function* (
  data: ReportData.ReportData,
  options: {
    readonly chart: ChartName
    readonly theme: "light" | "dark"
    readonly width: number
    readonly scale: number
  }
): Effect.fn.Return<Uint8Array, ChartError | ImageSizeError, FileSystem.FileSystem> {
  const { scale, width } = options
  if (!(width * scale <= MOST_PIXELS)) return yield* new ImageSizeError({ width, scale })
  const image = yield* svg(data, options)
  const draw = yield* Effect.promise(() => import("./internal/png.ts"))
  return yield* draw.png(image, scale)
})
