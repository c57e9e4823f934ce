/**
 * The verdict of a run as people and programs read it.
 *
 * @since 0.2.0
 */
import * as Verdict from "../metrics/Verdict.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"

export { fields, VerdictFields } from "./internal/verdictFields.ts"

/** More than these are left to the summary file. */
const MAX_REASONS = 8
const MAX_SPANS = 3

/**
 * The verdict in lines of at most so many columns: the grade, then each reason with what to do about it.
 *
 * @category rendering
 * @since 0.2.0
 */
export const lines = (
  verdict: Verdict.Verdict,
  options: { readonly columns: number; readonly color: boolean }
): ReadonlyArray<string> => {
  const { bold, dim, green, red, yellow } = style(options.color)
  if (verdict.grade === null) return Text.wrap(noVerdict, options.columns).map(bold)
  const mark = verdict.grade === "VALID" ? green : verdict.grade === "DEGRADED" ? yellow : red
  const records = verdict.sampled ? "" : " (judged from the records alone)"
  const head = Text.wrap(`${verdict.grade}: ${meanings[verdict.grade]}${records}`, options.columns)
  const shown = verdict.reasons.slice(0, MAX_REASONS)
  const end = verdict.slices.at(-1)?.to_s ?? 0
  const said = new Set<string>()
  const reasons = shown.flatMap((reason) => {
    const advice = `${reason.advice}.`
    const isNew = !said.has(advice)
    said.add(advice)
    return [
      ...hanging("  ", `${reason.grade}: ${sentence(reason, end)}`, options.columns),
      ...(isNew ? hanging("    ", advice, options.columns).map(dim) : [])
    ]
  })
  const more = verdict.reasons.length - shown.length
  return [
    ...head.map((line) => bold(mark(line))),
    ...reasons,
    ...(more > 0 ? [Text.truncate(`  and ${more} more: see the summary file`, options.columns)] : [])
  ]
}

/**
 * A reason without its advice: `Slots stood empty 39.9 % of the time, waiting for the client (limit 5.0 %), at 12.0–14.0 s`. A reason
 * that holds until `endSeconds` from the start holds all the time.
 *
 * @category rendering
 * @since 0.2.0
 */
export const sentence = (
  reason: Omit<Verdict.Reason, "sentence"> & { readonly sentence?: string | undefined },
  endSeconds: number
): string => {
  const { limit, slices, unit, value, what } = reason
  const found = reason.sentence ?? `${what}: ${Verdict.amount(value, unit)}`
  const [first] = slices
  const isAlways = slices.length === 1 && first !== undefined && first.from_s <= 0 && first.to_s >= endSeconds
  const where = slices.length === 0 ? "" : isAlways ? ", all the time" : `, at ${spans(slices)}`
  return `${found} (limit ${Verdict.amount(limit, unit)})${where}`
}

/**
 * Stretches of a run for people: `12.0–14.0 s, 20.0–21.0 s`.
 *
 * @category rendering
 * @since 0.2.0
 */
export const spans = (all: ReadonlyArray<Verdict.Span>): string => {
  const shown = all.slice(0, MAX_SPANS).map(({ from_s, to_s }) => `${from_s.toFixed(1)}–${to_s.toFixed(1)} s`)
  const more = all.length - shown.length
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

/**
 * A grade in one small word, for a line that has little room.
 *
 * @category rendering
 * @since 0.2.0
 */
export const word = (grade: Verdict.Grade): string => grade.toLowerCase()

const meanings: { readonly [grade in Verdict.Grade]: string } = {
  VALID: "the client did not distort these numbers",
  DEGRADED: "the client may have distorted some of these numbers",
  INVALID: "the client, not the server, was the bottleneck"
}

const noVerdict = "No verdict: no request succeeded, so there are no latencies to judge"

const hanging = (indent: string, text: string, columns: number): Array<string> =>
  Text.wrap(text, columns - indent.length - 2).map((line, index) => (index === 0 ? indent : `${indent}  `) + line)
