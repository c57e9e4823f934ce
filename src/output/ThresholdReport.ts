/**
 * What became of the thresholds of a run, as text and as JSON.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import type { Checked } from "../metrics/Threshold.ts"
import type { RenderOptions } from "./Console.ts"
import { amount, ofUnknown, statisticName } from "./internal/comparisonText.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"
import { uncountedAnswers } from "./internal/uncounted.ts"

/**
 * What becomes of thresholds that cannot be judged: whether they let the run pass.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly allowUnknown: boolean
}

const MIN_COLUMNS = 30

/**
 * A heading and each threshold with what was found. Ends with a newline; empty when there are none.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (checked: ReadonlyArray<Checked>, options: RenderOptions & Options): string => {
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
  const lines = checked.flatMap((one) => {
    const head = `  ${words[one.outcome].padEnd(longest)}  ${Text.padEnd(one.threshold.text, width)}  `
    const unknown = one.outcome === "unknown" ? `: ${ofUnknown("run", options)}` : ""
    return Text.wrap(`${found(one)}${unknown}`, Math.max(MIN_COLUMNS, options.columns - Text.width(head))).map(
      (line, index) => markOf[one.outcome]((index === 0 ? head : Text.padEnd("", Text.width(head))) + line)
    )
  })
  return `${[marks.bold(heading), ...lines].join("\n")}\n`
}

/**
 * A line for each threshold that makes the run fail, for where nothing else is shown.
 *
 * @category rendering
 * @since 0.2.0
 */
export const failures = (checked: ReadonlyArray<Checked>, options: Options): ReadonlyArray<string> =>
  checked.flatMap((one) => {
    const condition = `${one.threshold.text} (${found(one)})`
    if (one.outcome === "failed") return [`Threshold missed: ${condition}.`]
    if (one.outcome === "passed" || options.allowUnknown) return []
    return [`Threshold cannot be judged: ${condition}. It ${ofUnknown("run", options)}.`]
  })

const words = { passed: "met", failed: "MISSED", unknown: "UNKNOWN" } as const

const found = ({ count, needed, outcome, statistic, threshold, uncounted, value }: Checked): string => {
  if (value === null) {
    const why = uncounted === null ? null : uncountedAnswers(uncounted)
    return why === null ? "there is no such number in this run" : `unknown: ${why}`
  }
  const text =
    value === Infinity
      ? "never, for requests that failed"
      : threshold.unit === ""
        ? Number.isInteger(value)
          ? String(value)
          : Text.number(value)
        : amount(threshold.unit, value)
  if (outcome !== "unknown" || statistic === null) return text
  return `${text}, but ${statisticName(statistic)} needs ${needed} values, and there ${count === 1 ? "is" : "are"} ${count}`
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
