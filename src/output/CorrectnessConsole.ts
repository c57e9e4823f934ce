/**
 * The results of a correctness test as text for people.
 *
 * @since 0.2.0
 */
import type { CorrectnessSummary, Mismatch } from "../domain/CorrectnessResults.ts"
import type { Summary } from "../domain/Summary.ts"
import type { Verdict } from "../metrics/Verdict.ts"
import type { CacheRemark } from "./CacheText.ts"
import type { Asked, RenderOptions } from "./Console.ts"
import { cacheLines } from "./internal/cacheLines.ts"
import { failures, nothingCompleted } from "./internal/failures.ts"
import { style, type Style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"
import * as VerdictText from "./VerdictText.ts"

/**
 * What is shown: a title, what became of the answers, some of those that are not right, the numbers of the run, remarks of
 * the caller, what the server had in its cache (`cache`), and the files that were written. `asked`: what was asked, for advice on
 * failures to name.
 *
 * @category models
 * @since 0.2.0
 */
export interface Report {
  readonly title: string
  readonly correctness: CorrectnessSummary
  readonly mismatches: ReadonlyArray<Mismatch>
  readonly summary: Summary
  readonly remarks?: ReadonlyArray<string> | undefined
  readonly verdict?: Verdict | undefined
  readonly cache?: CacheRemark | null | undefined
  readonly files?: ReadonlyArray<string> | undefined
  readonly asked?: Asked | undefined
}

const MAX_MISMATCHES = 20
const MIN_COLUMNS = 40

/**
 * Totals, then the answers that are not right, each in one line that may be cut, then failures and files. No line is wider
 * than `columns` (but never narrower than 40), except the paths of files. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (report: Report, options: RenderOptions): string => {
  const columns = Math.max(MIN_COLUMNS, options.columns)
  const marks = style(options.color)
  const { correctness, files = [], remarks = [], summary, title, verdict } = report
  const sections: Array<ReadonlyArray<string>> = []
  if (summary.num_completed_requests === 0) sections.push(nothingCompleted(summary, columns, marks))
  sections.push(Text.wrap(Text.oneLine(title), columns).map(marks.bold))
  if (remarks.length > 0) {
    sections.push(remarks.flatMap((remark) => Text.wrap(Text.oneLine(remark), columns).map(marks.yellow)))
  }
  sections.push(totals(correctness, summary, columns, marks))
  if (correctness.num_mismatched_requests > 0) sections.push(wrongAnswers(report, columns, marks))
  if (summary.number_errors > 0) sections.push(failures(summary, columns, marks, report.asked))
  const client = [
    ...(verdict === undefined ? [] : VerdictText.lines(verdict, summary, { columns, color: options.color })),
    ...cacheLines(report.cache ?? null, columns, marks)
  ]
  if (client.length > 0) sections.push(client)
  if (files.length > 0) sections.push([marks.bold("Files"), ...files.map((file) => `  ${file}`)])
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`
}

const totals = (
  { answer_mismatch_rate, ...counts }: CorrectnessSummary,
  summary: Summary,
  columns: number,
  marks: Style
): Array<string> => {
  const wrong = counts.num_mismatched_requests - counts.num_no_number_requests
  const latency = summary.end_to_end_latency_s.quantiles
  const rows: ReadonlyArray<readonly [label: string, value: string]> = [
    [
      "answers",
      `${counts.num_correct_requests} right, ${wrong} wrong, ${counts.num_no_number_requests} without a number`
    ],
    [
      "mismatches",
      answer_mismatch_rate === null
        ? "–"
        : `${Text.percent(answer_mismatch_rate)} of ${counts.num_non_errored_requests} answers`
    ],
    [
      "requests",
      `${summary.num_completed_requests} ok, ${summary.num_failed_requests} failed` +
        (summary.num_cancelled_requests > 0 ? `, ${summary.num_cancelled_requests} cancelled` : "")
    ],
    ...(latency.p50 === null || latency.p99 === null
      ? []
      : [["end-to-end latency", `p50 ${Text.duration(latency.p50)}, p99 ${Text.duration(latency.p99)}`] as const])
  ]
  const labelWidth = Math.max(...rows.map(([label]) => label.length)) + 2
  return rows.flatMap(([label, value]) =>
    Text.wrap(value, Math.max(1, columns - labelWidth)).map(
      (line, index) => marks.dim(Text.padEnd(index === 0 ? label : "", labelWidth)) + line
    )
  )
}

/** The request, what was expected, and the answer in one line. */
const wrongAnswers = ({ correctness, mismatches }: Report, columns: number, marks: Style): Array<string> => {
  const shown = mismatches.toSorted((a, b) => a.requestId - b.requestId).slice(0, MAX_MISMATCHES)
  const idWidth = Math.max(0, ...shown.map(({ requestId }) => String(requestId).length))
  const numberWidth = Math.max(0, ...shown.map(({ expected }) => String(expected).length))
  const lines = shown.map(({ expected, requestId, text }) => {
    const head = `  #${String(requestId).padEnd(idWidth)}  expected ${String(expected).padStart(numberWidth)}`
    const line = Text.truncate(`${head}, got ${Text.oneLine(text) || "nothing"}`, columns)
    return marks.red(line.slice(0, head.length)) + line.slice(head.length)
  })
  const more = correctness.num_mismatched_requests - shown.length
  return [
    marks.bold("Answers that are not right"),
    ...lines,
    ...(more > 0 ? [Text.truncate(`  and ${more} more: "verdict" in records.ndjson tells them`, columns)] : [])
  ]
}
