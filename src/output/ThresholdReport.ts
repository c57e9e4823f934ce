/**
 * What became of the thresholds of a run, as text and as JSON.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import type { Checked } from "../metrics/Threshold.ts"
import type { RenderOptions } from "./Console.ts"
import { amount } from "./internal/comparisonText.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"

/**
 * A heading and a line for every threshold. Ends with a newline; empty when there are none.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (checked: ReadonlyArray<Checked>, options: RenderOptions): string => {
  if (checked.length === 0) return ""
  const marks = style(options.color)
  const missed = checked.filter(({ passed }) => !passed).length
  const heading = missed === 0 ? "Thresholds: all met" : `Thresholds: ${missed} of ${checked.length} missed`
  const width = Math.max(...checked.map(({ threshold }) => Text.width(threshold.text)))
  const lines = checked.map((one) => {
    const line = `  ${one.passed ? "met   " : "MISSED"}  ${Text.padEnd(one.threshold.text, width)}  ${found(one)}`
    return one.passed ? marks.green(line) : marks.red(line)
  })
  return `${[marks.bold(heading), ...lines].join("\n")}\n`
}

const found = ({ enough, needed, threshold, value }: Checked): string => {
  if (value === null) return "there is no such number in this run"
  if (value === Infinity) return "never, for requests that failed"
  const text = threshold.unit === "" ? Text.number(value) : amount(threshold.unit, value)
  return enough ? text : `${text} (of few requests: it wants ${needed})`
}

/**
 * A threshold in a summary: as it was given, the number of the run (`null` where there is none or where it is infinite), and
 * whether it was met.
 *
 * @category models
 * @since 0.2.0
 */
export const ThresholdFields = Schema.Struct({
  threshold: Schema.String,
  value: Schema.NullOr(Schema.Finite),
  passed: Schema.Boolean
})

/**
 * @category models
 * @since 0.2.0
 */
export interface ThresholdFields extends Schema.Schema.Type<typeof ThresholdFields> {}

/**
 * For the summary: one object per threshold.
 *
 * @category rendering
 * @since 0.2.0
 */
export const document = (checked: ReadonlyArray<Checked>): ReadonlyArray<ThresholdFields> =>
  checked.map(({ passed, threshold, value }) => ({
    threshold: threshold.text,
    value: value !== null && Number.isFinite(value) ? value : null,
    passed
  }))
