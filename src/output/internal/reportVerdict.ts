import * as CacheText from "../CacheText.ts"
import type { ReportRun } from "../ReportData.ts"
import { escape, number, percent, seconds } from "./reportText.ts"

const meanings: { readonly [grade: string]: { readonly mark: string; readonly text: string } } = {
  VALID: { mark: "✓", text: "The client did not distort these numbers." },
  DEGRADED: { mark: "!", text: "The client may have distorted some of these numbers." },
  INVALID: { mark: "✕", text: "The client, not the server, was the bottleneck." }
}

const noRequest = "No request succeeded, so there are no latencies to judge."

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const amount = (value: unknown, unit: unknown): string =>
  typeof value !== "number" ? "–" : unit === "share" ? percent(value) : seconds(value)

const spans = (slices: unknown): string => {
  if (!Array.isArray(slices) || slices.length === 0) return ""
  const shown = slices.slice(0, 3).filter(isObject)
  const more = slices.length - shown.length
  return `, at ${shown.map(({ from_s, to_s }) => `${typeof from_s === "number" ? number(from_s) : "?"} – ${typeof to_s === "number" ? number(to_s) : "?"} s`).join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

/** Older runs have no sentence. */
const sentenceOf = (reason: { readonly [key: string]: unknown }): string =>
  text(reason["sentence"]) || `${text(reason["what"])}: ${amount(reason["value"], reason["unit"])}`

const reasonsOf = (reasons: unknown): string => {
  if (!Array.isArray(reasons) || reasons.length === 0) return ""
  const items = reasons.filter(isObject).map((reason) => {
    const grade = text(reason["verdict"])
    const measured = `${sentenceOf(reason)} (limit ${amount(reason["limit"], reason["unit"])})${spans(reason["slices"])}`
    return `<li><b>${escape(grade)}</b>: ${escape(measured)}<span class="advice">${escape(text(reason["advice"]))}</span></li>`
  })
  return `<ul>${items.join("")}</ul>`
}

/** What the client adds at this load, by a calibration; see `CalibrationFields`. */
const calibrationOf = ({ summary }: ReportRun): string => {
  const value = (name: string): number | null => {
    const found = summary[`calibration_${name}_s`]
    return typeof found === "number" ? found : null
  }
  const twice = (name: string): string =>
    `${seconds(value(`${name}_p50`))} (p50), ${seconds(value(`${name}_p99`))} (p99)`
  if (value("added_ttft_p50") === null) {
    return "What the client itself adds at this load is not known: it was not calibrated on this machine (llmperf calibrate)."
  }
  const others = summary["calibration_other_programs_share"]
  const disturbed =
    typeof others === "number" && others > 0.1
      ? ` Other programs took ${percent(others)} of the machine meanwhile.`
      : ""
  return `Calibrated: at this load the client adds ${twice("added_ttft")} to TTFT, and sees a token ${twice("token_delay")} after it was sent.${disturbed}`
}

/** What the server had in its cache. */
const cacheOf = ({ summary }: ReportRun): string => {
  const remark = CacheText.ofSummary(summary)
  if (remark === null) return ""
  return remark.isWarning ? `<p><b>${escape(remark.text)}</b></p>` : `<p class="note">${escape(remark.text)}</p>`
}

const verdictOf = (run: ReportRun, heading: string): string => {
  const grade = text(run.summary["verdict"])
  const known = meanings[grade]
  const badge =
    known === undefined
      ? '<span class="badge unknown"><span aria-hidden="true">?</span> NO VERDICT</span>'
      : `<span class="badge ${grade}"><span aria-hidden="true">${known.mark}</span> ${grade}</span>`
  const meaning = known?.text ?? (run.summary["verdict"] === null ? noRequest : "This run was not judged.")
  return `<div class="verdict">${badge}<div>${heading}<p><b>${escape(meaning)}</b></p>${reasonsOf(run.summary["verdict_reasons"])}${cacheOf(run)}<p class="note">${escape(calibrationOf(run))}</p></div></div>`
}

/** The verdict of each run, and what the client adds. */
export const verdicts = (runs: ReadonlyArray<ReportRun>): string =>
  `<div class="card">${runs
    .map((run) => verdictOf(run, runs.length === 1 ? "" : `<h3>${escape(run.charts.label)}</h3>`))
    .join("")}</div>`
