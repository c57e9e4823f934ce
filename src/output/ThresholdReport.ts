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
import { uncountedAnswers } from "./internal/uncounted.ts"

/**
 * A heading and a line for every threshold. Ends with a newline; empty when there are none.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (checked: ReadonlyArray<Checked>, options: RenderOptions): string => {
  if (checked.length === 0) return ""
  const marks = style(options.color)
  const countOf = (wanted: Checked["outcome"]): number => checked.filter(({ outcome }) => outcome === wanted).length
  const counts = [
    ...(countOf("failed") === 0 ? [] : [`${countOf("failed")} of ${checked.length} missed`]),
    ...(countOf("unknown") === 0 ? [] : [`${countOf("unknown")} of ${checked.length} cannot be judged`])
  ]
  const heading = `Thresholds: ${counts.length === 0 ? "all met" : counts.join(", ")}`
  const width = Math.max(...checked.map(({ threshold }) => Text.width(threshold.text)))
  const longest = Math.max(...checked.map(({ outcome }) => words[outcome].length))
  const markOf = { passed: marks.green, failed: marks.red, unknown: marks.yellow }
  const lines = checked.map((one) =>
    markOf[one.outcome](
      `  ${words[one.outcome].padEnd(longest)}  ${Text.padEnd(one.threshold.text, width)}  ${found(one)}`
    )
  )
  return `${[marks.bold(heading), ...lines].join("\n")}\n`
}

const words = { passed: "met", failed: "MISSED", unknown: "UNKNOWN" } as const

const found = ({ count, needed, outcome, threshold, uncounted, value }: Checked): string => {
  if (value === null) {
    const why = uncounted === null ? null : uncountedAnswers(uncounted)
    return why === null ? "there is no such number in this run" : `unknown: ${why}`
  }
  const text =
    value === Infinity
      ? "never, for requests that failed"
      : threshold.unit === ""
        ? Text.number(value)
        : amount(threshold.unit, value)
  if (outcome !== "unknown") return text
  return `${text}, but ${threshold.path.at(-1)} needs ${needed} values, and there ${count === 1 ? "is" : "are"} ${count}`
}

/**
 * A threshold in a summary: as it was given, the number of the run (`null` where there is none or where it is infinite), whether it
 * was met, and `outcome`, which is `unknown` when it cannot be judged.
 *
 * @category models
 * @since 0.2.0
 */
export const ThresholdFields = Schema.Struct({
  threshold: Schema.String,
  value: Schema.NullOr(Schema.Finite),
  passed: Schema.Boolean,
  outcome: Schema.Literals(["passed", "failed", "unknown"])
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
  checked.map(({ outcome, threshold, value }) => ({
    threshold: threshold.text,
    value: value !== null && Number.isFinite(value) ? value : null,
    passed: outcome === "passed",
    outcome
  }))
