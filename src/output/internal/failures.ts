import type { ErrorGroup, Summary } from "../../domain/Summary.ts"
import { errorKind, errorText } from "./errorKind.ts"
import * as FailureAdvice from "./failureAdvice.ts"
import { withoutJson } from "./plainWords.ts"
import { type Style } from "./style.ts"
import * as Text from "./text.ts"

const MAX_ERROR_KINDS = 10
/** Lines of one kind of failure. */
const MAX_LINES = 3
/** Places of a stack that are shown. */
const MAX_PLACES = 3
/** Of so many kinds it is said what to try where other requests succeeded. */
const MAX_ADVICE = 3

/**
 * Lines about the requests that did not complete: how many, then each kind with the message of its first, and what to try. `asked`: what
 * the advice may name.
 */
export const failures = (
  summary: Summary,
  columns: number,
  marks: Style,
  asked: FailureAdvice.Asked = FailureAdvice.nothingKnown
): Array<string> => {
  const share = `${summary.number_errors} of ${summary.num_requests_started} requests (${Text.percent(summary.error_rate)})`
  const lines = Text.wrap(`Not completed: ${share}`, columns).map(marks.bold)
  const shown = summary.errors.slice(0, MAX_ERROR_KINDS)
  const countWidth = Math.max(...shown.map((group) => String(group.count).length))
  for (const group of shown) {
    const head = `  ${String(group.count).padStart(countWidth)} × `
    const indent = " ".repeat(head.length)
    const { places, text } = toldOf(group)
    const kind = kindOf(group)
    const [first = "", ...others] = atMost(MAX_LINES, text, columns - head.length)
    const marked = first.startsWith(kind) ? marks.red(head + kind) + first.slice(kind.length) : marks.red(head + first)
    lines.push(marked, ...others.map((line) => indent + line), ...places.map((place) => indent + marks.dim(place)))
  }
  const more = summary.errors.length - shown.length
  if (more > 0) lines.push(Text.truncate(`  and ${more} more kinds, see the summary file`, columns))
  if (summary.num_completed_requests > 0) {
    const brief = shown
      .slice(0, MAX_ADVICE)
      .flatMap((group) => FailureAdvice.ofSome(group, summary.num_requests_started) ?? [])
    return [...lines, ...brief.flatMap((text) => Text.wrap(text, columns))]
  }
  const advice = new Set(shown.flatMap((group) => FailureAdvice.ofGroup(group, asked) ?? []))
  for (const text of advice) lines.push(...Text.wrap(text, columns))
  if (summary.num_failed_requests > 0) {
    lines.push(...Text.wrap("llmperf probe with the same flags sends one request and shows all of it.", columns))
  }
  return lines
}

/** In lines of so many columns, of which the last ends with `…` when there are more. */
const atMost = (most: number, text: string, columns: number): Array<string> => {
  const lines = Text.wrap(text, columns)
  return lines.length <= most
    ? lines
    : [...lines.slice(0, most - 1), Text.truncate(lines.slice(most - 1).join(" "), columns)]
}

/** The first of a kind in words; of an exception, where it was thrown too, each place in a line of its own to be copied. */
const toldOf = ({ code, example, reason }: ErrorGroup) => {
  const [message = "", ...stack] = reason === "Internal" ? example.split("\n") : [example]
  const text = errorText(reason, code, Text.oneLine(withoutJson(message)))
  const all = stack.map(Text.oneLine).filter((line) => line.startsWith("at "))
  const own = all.filter((line) => !/node:internal|[/\\]node_modules[/\\]/.test(line))
  return { text, places: (own.length > 0 ? own : all).slice(0, MAX_PLACES) }
}

const kindOf = ({ code, reason }: ErrorGroup): string => Text.oneLine(errorKind(reason, code))

/** In one line that every request failed, and the most frequent failure; `null` when that is not so. */
export const allFailed = (summary: Summary): string | null => {
  const { num_completed_requests: completed, num_failed_requests: failed } = summary
  const [first, ...others] = summary.errors.filter(({ reason }) => reason !== "Cancelled")
  if (completed > 0 || failed === 0 || first === undefined) return null
  const all = failed === 1 ? "The only request failed" : `All ${failed} requests failed`
  const more = others.length === 0 ? "" : ` (and ${others.length} more ${others.length === 1 ? "kind" : "kinds"})`
  return `${all}: ${toldOf(first).text}${more}`
}

/** Why there is nothing to show: that all requests failed, were cancelled, or none was sent. */
export const nothingCompleted = (summary: Summary, columns: number, marks: Style): Array<string> => {
  const started = summary.num_requests_started
  if (started === 0) return [marks.red("No request was sent.")]
  const only = started === 1
  if (summary.num_failed_requests === 0) {
    return [marks.red(only ? "The only request was cancelled." : `All ${started} requests were cancelled.`)]
  }
  const kinds = summary.errors.slice(0, MAX_LINES).map((group) => `${group.count} × ${kindOf(group)}`)
  const more = summary.errors.length > MAX_LINES ? ", …" : ""
  const all = only ? "The only request failed" : `All ${started} requests failed`
  return Text.wrap(`${all}: ${kinds.join(", ")}${more}.`, columns).map((line) => marks.red(marks.bold(line)))
}
