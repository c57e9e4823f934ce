/**
 * The verdict of a run as people and programs read it.
 *
 * @since 0.2.0
 */
import type { Fields } from "../domain/Fields.ts"
import type { Summary } from "../domain/Summary.ts"
import * as Verdict from "../metrics/Verdict.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"

export { fields, VerdictFields } from "./internal/verdictFields.ts"

/** More than these are left to the summary file. */
const MAX_REASONS = 8
const MAX_SPANS = 3

/**
 * What a headline says beside the reasons: numbers of a summary, `null` where it does not have them.
 *
 * @category models
 * @since 0.2.0
 */
export interface Facts {
  readonly num_requests_started: number | null
  readonly num_failed_requests: number | null
  readonly num_completed_requests: number | null
  readonly num_queued_requests: number | null
  readonly num_dropped_requests: number | null
}

/**
 * The facts in the fields of a summary file, whichever command wrote it.
 *
 * @category conversions
 * @since 0.2.0
 */
export const factsOf = (fields: Fields): Facts => {
  const known = (name: keyof Facts): number | null => {
    const value = fields[`results_${name}`] ?? fields[name]
    return typeof value === "number" && Number.isFinite(value) ? value : null
  }
  return {
    num_requests_started: known("num_requests_started"),
    num_failed_requests: known("num_failed_requests"),
    num_completed_requests: known("num_completed_requests"),
    num_queued_requests: known("num_queued_requests"),
    num_dropped_requests: known("num_dropped_requests")
  }
}

/**
 * The verdict in lines of at most so many columns: the grade, then each reason with what to do about it. `summary`: of the same run.
 *
 * @category rendering
 * @since 0.2.0
 */
export const lines = (
  verdict: Verdict.Verdict,
  summary: Pick<Summary, keyof Facts>,
  options: { readonly columns: number; readonly color: boolean }
): ReadonlyArray<string> => {
  const { bold, dim, green, red, yellow } = style(options.color)
  if (verdict.grade === null) {
    return Text.wrap(`No verdict: ${noVerdict(summary.num_completed_requests)}`, options.columns).map(bold)
  }
  const failed = failedShare(summary)
  const isGood = verdict.grade === "VALID" && failed === null
  const mark = isGood ? green : verdict.grade === "INVALID" ? red : yellow
  const records = verdict.sampled ? "" : " (judged from the records alone)"
  const meaning = headline(verdict.grade, verdict.reasons, summary)
  const but = failed === null ? "" : `; ${failed}`
  const head = Text.wrap(`${verdict.grade}: ${meaning}${records}${but}`, options.columns)
  const shown = verdict.reasons.slice(0, MAX_REASONS)
  const end = verdict.slices.at(-1)?.to_s ?? 0
  const said = new Set<string>()
  const reasons = shown.flatMap((reason) => {
    const advice = `${reason.advice}.`
    const isNew = !said.has(advice)
    said.add(advice)
    return [
      ...hanging(
        "  ",
        `${reason.grade === verdict.grade ? "" : `${reason.grade}: `}${sentence(reason, end)}`,
        options.columns
      ),
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
 * that holds from the start until `endSeconds` holds throughout the run.
 *
 * @category rendering
 * @since 0.2.0
 */
export const sentence = (
  reason: Omit<Verdict.Reason, "sentence" | "grade"> & { readonly sentence?: string | undefined },
  endSeconds: number
): string => {
  const { limit, slices, unit, value, what } = reason
  const found = reason.sentence ?? `${what}: ${Verdict.amount(value, unit)}`
  const [first] = slices
  const isAlways = slices.length === 1 && first !== undefined && first.from_s <= 0 && first.to_s >= endSeconds
  const where = slices.length === 0 ? "" : isAlways ? ", throughout the run" : `, at ${spans(slices)}`
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

/**
 * What a verdict comes down to, by who is behind the worst of its reasons: `the client, not the server, was the bottleneck`, or
 * `tokens were counted by the wrong tokenizer`. Several where they are equally bad. `whose`: how the numbers are spoken of.
 *
 * @category rendering
 * @since 0.2.0
 */
export const headline = (
  grade: Verdict.Grade,
  reasons: ReadonlyArray<Pick<Verdict.Reason, "check" | "grade">>,
  facts: Facts,
  whose: "these" | "its" = "these"
): string => {
  if (grade === "VALID") return `the client did not distort ${whose} numbers`
  const parties = new Set(reasons.filter((reason) => reason.grade === grade).map(({ check }) => Verdict.partyOf(check)))
  if (parties.size === 0) parties.add("client")
  return [...parties].map((party) => meanings[party](grade, facts, whose)).join("; ")
}

/**
 * That many requests failed, which the verdict says nothing of: `70.0 % of the requests failed`. `null` below 1 %.
 *
 * @category rendering
 * @since 0.2.0
 */
export const failedShare = ({
  num_failed_requests: failed,
  num_requests_started: started
}: Pick<Facts, "num_failed_requests" | "num_requests_started">): string | null =>
  failed === null || started === null || started === 0 || failed / started < NOTABLE_FAILURES
    ? null
    : `${Text.percent(failed / started)} of the requests failed`

const NOTABLE_FAILURES = 0.01

const meanings: { readonly [party in Verdict.Party]: (grade: Verdict.Grade, facts: Facts, whose: string) => string } = {
  client: (grade, _, whose) =>
    grade === "INVALID"
      ? "the client, not the server, was the bottleneck"
      : `the client may have distorted some of ${whose} numbers`,
  server: (_, { num_dropped_requests: dropped, num_queued_requests: queued }) => {
    const facts = [
      "--max-in-flight reached",
      ...((dropped ?? 0) > 0 ? [`${requests(dropped)} dropped`] : []),
      ...((queued ?? 0) > 0 ? [`${requests(queued)} held back`] : [])
    ]
    return `the server did not keep up with the schedule (${facts.join("; ")})`
  },
  tokenizer: () => "tokens were counted by the wrong tokenizer",
  counts: () => "the tokens of some answers are not known",
  prompts: () => "the server read other prompts than the ones counted",
  provider: () => "the provider threw exceptions"
}

const requests = (count: number | null): string => `${count} ${count === 1 ? "request" : "requests"}`

/**
 * Why there is no verdict, of a run in which so many requests succeeded.
 *
 * @category rendering
 * @since 0.2.0
 */
export const noVerdict = (completed: number | null): string =>
  completed === null || completed === 0
    ? "no request succeeded, so there are no latencies to judge"
    : completed === 1
      ? "the only answer had no content, so there is no TTFT to judge"
      : `none of the ${completed} answers had content, so there is no TTFT to judge`

const hanging = (indent: string, text: string, columns: number): Array<string> =>
  Text.wrap(text, columns - indent.length - 2).map((line, index) => (index === 0 ? indent : `${indent}  `) + line)
