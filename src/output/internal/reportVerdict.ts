import * as Schema from "effect/Schema"
import { CheckName, Grade } from "../../metrics/Verdict.ts"
import * as CacheText from "../CacheText.ts"
import type { ReportRun } from "../ReportData.ts"
import * as VerdictText from "../VerdictText.ts"
import * as EmptyAnswers from "./emptyAnswers.ts"
import { escape, number, percent, seconds } from "./reportText.ts"
import { resultOf } from "./resultOf.ts"

const marks: { readonly [grade in Grade]: string } = { VALID: "✓", DEGRADED: "!", INVALID: "✕" }

const isCheck = Schema.is(CheckName)
const isGrade = Schema.is(Grade)

/** A text as a sentence of its own. */
const sentence = (words: string): string => `${words.charAt(0).toUpperCase()}${words.slice(1)}.`

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

const reasonsOf = (reasons: ReadonlyArray<{ readonly [key: string]: unknown }>): string => {
  if (reasons.length === 0) return ""
  const items = reasons.map((reason) => {
    const grade = text(reason["verdict"])
    const measured = `${sentenceOf(reason)} (limit ${amount(reason["limit"], reason["unit"])})${spans(reason["slices"])}`
    return `<li><b>${escape(grade)}</b>: ${escape(measured)}<span class="advice">${escape(text(reason["advice"]))}</span></li>`
  })
  return `<ul>${items.join("")}</ul>`
}

/** That many answers had no content. */
const emptyOf = ({ summary }: ReportRun): string => {
  const remark = EmptyAnswers.remark(
    resultOf(summary, "num_requests_without_content") ?? 0,
    resultOf(summary, "num_completed_requests") ?? 0
  )
  return remark === null ? "" : `<p><b>${escape(remark)}</b></p>`
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

const badgeOf = (grade: Grade | null, failed: string | null): string => {
  if (grade === null) return '<span class="badge unknown"><span aria-hidden="true">?</span> NO VERDICT</span>'
  // Only the client is judged: what is good of it alone must not look as if all were
  return failed === null
    ? `<span class="badge ${grade}"><span aria-hidden="true">${marks[grade]}</span> ${grade}</span>`
    : `<span class="badge ${grade === "VALID" ? "DEGRADED" : grade}"><span aria-hidden="true">!</span> client: ${grade} · ${escape(failed)}</span>`
}

const verdictOf = (run: ReportRun, heading: string): string => {
  const { verdict: given, verdict_reasons: listed } = run.summary
  const grade = isGrade(given) ? given : null
  const facts = VerdictText.factsOf(run.summary)
  const badge = badgeOf(grade, VerdictText.failedShare(facts))
  const reasons = Array.isArray(listed) ? listed.filter(isObject) : []
  const known = reasons.flatMap(({ check, verdict }) =>
    isCheck(check) && isGrade(verdict) ? [{ check, grade: verdict }] : []
  )
  const meaning =
    grade !== null
      ? VerdictText.headline(grade, known, facts)
      : given === null
        ? VerdictText.noVerdict(facts.num_completed_requests)
        : "this run was not judged"
  return `<div class="verdict">${badge}<div>${heading}<p><b>${escape(sentence(meaning))}</b></p>${emptyOf(run)}${reasonsOf(reasons)}${cacheOf(run)}<p class="note">${escape(calibrationOf(run))}</p></div></div>`
}

/** The verdict of each run, and what the client adds. */
export const verdicts = (runs: ReadonlyArray<ReportRun>): string =>
  `<div class="card">${runs
    .map((run) => verdictOf(run, runs.length === 1 ? "" : `<h3>${escape(run.charts.label)}</h3>`))
    .join("")}</div>`
