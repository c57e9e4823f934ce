import { Summary } from "../../domain/Summary.ts"
import type { ReportRun } from "../ReportData.ts"
import type { Fields } from "../../domain/Fields.ts"
import { reasonText } from "./reportColumns.ts"
import { count, escape, percent } from "./reportText.ts"

/** A value of a summary as text: not rounded, it is there to be copied. */
const valueText = (value: unknown): string => {
  if (value === null || value === undefined) return "–"
  return typeof value === "object" ? JSON.stringify(value) : String(value)
}

const results = Object.keys(Summary.fields)

/** Results stand in a summary with a prefix, and in that of a replay without one. */
const isResult = (key: string): boolean =>
  key.startsWith("results_") || results.some((name) => key === name || key.startsWith(`${name}_`))

const isOfClient = (key: string): boolean => /^(verdict|health|calibration)(_|$)/.test(key)

const keysOf = (runs: ReadonlyArray<ReportRun>, chosen: (key: string) => boolean): ReadonlyArray<string> => [
  ...new Set(runs.flatMap(({ summary }) => Object.keys(summary).filter(chosen)))
]

const tableOf = (runs: ReadonlyArray<ReportRun>, keys: ReadonlyArray<string>, name: string): string => {
  const head =
    runs.length === 1
      ? '<th scope="col">Value</th>'
      : runs.map(({ charts }) => `<th scope="col">${escape(charts.label)}</th>`).join("")
  const rows = keys.map((key) => {
    const cells = runs.map(({ summary }) => `<td>${escape(valueText(summary[key]))}</td>`)
    return `<tr><th scope="row">${escape(key)}</th>${cells.join("")}</tr>`
  })
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escape(name)}"><table class="texts"><thead><tr><th scope="col">Key</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
}

/** What was asked for: everything in the summaries that is not measured. */
export const configuration = (runs: ReadonlyArray<ReportRun>): string => {
  const keys = keysOf(runs, (key) => !isResult(key) && !isOfClient(key))
  if (keys.length === 0)
    return '<p class="card">There is no summary with this run, so nothing is known of its configuration.</p>'
  return `<div class="card">${tableOf(runs, keys, "Configuration")}</div>`
}

/** Every other key of the summaries, in tables that are folded up. */
export const rawTables = (runs: ReadonlyArray<ReportRun>): string => {
  const folded = (title: string, keys: ReadonlyArray<string>): string =>
    keys.length === 0
      ? ""
      : `<details><summary>${title} (${count(keys.length)} values)</summary>${tableOf(runs, keys, title)}</details>`
  return (
    folded("All results", keysOf(runs, isResult)) +
    folded("Verdict, calibration and health of the client", keysOf(runs, isOfClient))
  )
}

interface Group {
  readonly reason: string
  readonly count: number
  readonly example: string
}

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

/** Failures by kind: with the message of the first from the summary, otherwise by the records alone. */
const groupsOf = ({ summary, totals }: ReportRun): ReadonlyArray<Group> => {
  const errors = summary["results_errors"] ?? summary["errors"]
  if (!Array.isArray(errors) || errors.length === 0) return totals.reasons.map((reason) => ({ ...reason, example: "" }))
  return errors.filter(isObject).map((error) => {
    const found = error["count"]
    return {
      reason: reasonText(error["reason"], error["code"]),
      count: typeof found === "number" ? found : 0,
      example: typeof error["example"] === "string" ? error["example"] : ""
    }
  })
}

/** How often requests did not succeed and why, each with a message. */
export const errorTable = (runs: ReadonlyArray<ReportRun>): string => {
  const rows = runs.flatMap((run) =>
    groupsOf(run).map(({ count: found, example, reason }) => {
      const label = runs.length === 1 ? "" : `<td>${escape(run.charts.label)}</td>`
      return `<tr><th scope="row">${escape(reason)}</th>${label}<td>${count(found)}</td><td>${escape(percent(found / Math.max(1, run.totals.requests)))}</td><td>${escape(example)}</td></tr>`
    })
  )
  const label = runs.length === 1 ? "" : '<th scope="col">Run</th>'
  return `<div class="card" style="margin-top:16px"><div class="scroll" tabindex="0" role="region" aria-label="Failures by reason"><table class="texts"><thead><tr><th scope="col">Reason</th>${label}<th scope="col">Requests</th><th scope="col">Share</th><th scope="col">The first message</th></tr></thead><tbody>${rows.join("")}</tbody></table></div></div>`
}
