/**
 * Whether the numbers of a run are the server's or the client's.
 *
 * `VALID`: the client had no part in them that matters. `DEGRADED`: some are touched by the client, and the reasons say which.
 * `INVALID`: what was measured is the client. `docs/verdict.md` says what is judged, and why the limits are what they are.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { type Summary } from "../domain/Summary.ts"
import * as HealthReport from "./HealthReport.ts"
import * as Check from "./internal/verdictChecks.ts"
import { type DispatchReport, type DispatchSlice, widenedDispatch } from "./internal/verdictDispatch.ts"
import { tokenFindings } from "./internal/verdictTokens.ts"
import {
  checkNames,
  checks,
  defaultLimits,
  type Limit,
  type Limits,
  Limits as LimitsSchema,
  type Unit
} from "./internal/verdictLimits.ts"

export {
  arrivalDelaysOf,
  type Arrivals,
  DispatchReport,
  DispatchSlice,
  DispatchTally,
  EXCEPTION,
  lagOf,
  mergeDispatch,
  exhaustedIn,
  ownErrorOf,
  VERY_LATE_SECONDS
} from "./internal/verdictDispatch.ts"
export { templateTokensOf } from "./internal/verdictTokens.ts"
export { defaultLimits, Limit, type LimitName, Limits, Party, partyOf, type Unit } from "./internal/verdictLimits.ts"

/**
 * From best to worst.
 *
 * @category models
 * @since 0.2.0
 */
export const Grade = Schema.Literals(["VALID", "DEGRADED", "INVALID"])

/**
 * @category models
 * @since 0.2.0
 */
export type Grade = typeof Grade.Type

/**
 * A stretch of a run in seconds after its start.
 *
 * @category models
 * @since 0.2.0
 */
export const Span = Schema.Struct({ from_s: Schema.Finite, to_s: Schema.Finite })

/**
 * @category models
 * @since 0.2.0
 */
export interface Span extends Schema.Schema.Type<typeof Span> {}

/**
 * The name of a limit.
 *
 * @category models
 * @since 0.2.0
 */
export const CheckName = Schema.Literals(checkNames)

/**
 * Why a run is not VALID.
 *
 * - `check`: the name of the limit; `what`: what was measured, in words; `sentence`: the finding, with its amount
 * - `value`, `limit`: what was measured and the limit it is above, in `unit`: seconds, or a share of one
 * - `slices`: where in the run it was so; empty when it shows only over the whole run
 * - `advice`: what to do about it
 *
 * @category models
 * @since 0.2.0
 */
export const Reason = Schema.Struct({
  check: CheckName,
  grade: Grade,
  what: Schema.String,
  sentence: Schema.String,
  value: Schema.Finite,
  unit: Schema.Literals(["s", "share"]),
  limit: Schema.Finite,
  slices: Schema.Array(Span),
  advice: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Reason extends Schema.Schema.Type<typeof Reason> {}

/**
 * The verdict of a slice: its grade, and the limits it is above.
 *
 * @category models
 * @since 0.2.0
 */
export const SliceVerdict = Schema.Struct({ ...Span.fields, grade: Grade, checks: Schema.Array(CheckName) })

/**
 * @category models
 * @since 0.2.0
 */
export interface SliceVerdict extends Schema.Schema.Type<typeof SliceVerdict> {}

/**
 * - `grade`: `null` when no request succeeded, or no answer had content: there are no latencies then that the client could have had a
 *   part in. Only failures of its own, and exceptions of the provider, are held against it
 * - `reasons`: the worst first; empty when the run is VALID
 * - `slices`: one for each slice in which something was seen, in order of time; those are left out in which the server served nothing
 * - `sampled`: whether the client was watched; without that the verdict is from the records alone
 *
 * @category models
 * @since 0.2.0
 */
export const Verdict = Schema.Struct({
  grade: Schema.NullOr(Grade),
  reasons: Schema.Array(Reason),
  slices: Schema.Array(SliceVerdict),
  sampled: Schema.Boolean
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Verdict extends Schema.Schema.Type<typeof Verdict> {}

/**
 * What is judged.
 *
 * - `summary`: the results, for what the delays of the client are held against
 * - `health`: how the client was; `null` when it was not watched, as in virtual time
 * - `dispatch`: how requests left it, see `DispatchTally`
 * - `openLoop`: whether requests had due times
 *
 * @category models
 * @since 0.2.0
 */
export interface Evidence {
  readonly summary: Summary
  readonly health: HealthReport.HealthReport | null
  readonly dispatch: DispatchReport
  readonly openLoop: boolean
  readonly limits?: Limits | undefined
}

/**
 * The verdict of a run.
 *
 * @category judging
 * @since 0.2.0
 */
export const judge = (evidence: Evidence): Verdict => {
  const { health, openLoop, summary } = evidence
  const limits = evidence.limits ?? defaultLimits
  const given = { reference: Check.referenceOf(summary), openLoop, threads: health?.threads ?? 1, limits }
  const served = slicesOf(evidence).filter(isServed)
  const slices = served.map((slice): SliceVerdict => {
    const failed = failedOf(Check.ofSlice(slice, given))
    return {
      from_s: slice.from_s,
      to_s: slice.to_s,
      grade: worst(failed.map(({ grade }) => grade)),
      checks: failed.map(({ check }) => check)
    }
  })
  const isAnswered = summary.num_completed_requests > summary.num_requests_without_content
  const healthSlices = served.flatMap(({ health }) => health ?? [])
  const ofRun = failedOf(
    isAnswered
      ? [...Check.ofRun({ ...evidence, healthSlices }, { openLoop, limits }), ...tokenFindings(summary, limits)]
      : Check.ofFailures(summary, evidence.dispatch, limits)
  )
  const ofTime = (isAnswered ? failedOf(timeFindings(slices, limits)) : []).filter((failed) =>
    addsTo(ofRun, failed, slices)
  )
  const reasons = [...ofRun, ...ofTime]
    .map((failed) => reasonOf(failed, slices))
    .toSorted((a, b) => rank(b.grade) - rank(a.grade))
  return {
    grade: isAnswered || reasons.length > 0 ? worst(reasons.map(({ grade }) => grade)) : null,
    reasons,
    slices,
    sampled: health !== null
  }
}

/**
 * How the client does at the moment, for a display.
 *
 * - `slice`: what a thread saw of itself last, `null` when it does not send or nobody watches
 * - `ttftSeconds`, `delaySeconds`: the TTFT of late, and the event loop's delay at those first tokens (p99); `null` when nothing has been
 *   measured yet
 *
 * @category judging
 * @since 0.2.0
 */
export const current = (options: {
  readonly slice: HealthReport.HealthSlice | null
  readonly ttftSeconds: number | null
  readonly delaySeconds: number | null
  readonly limits?: Limits | undefined
}): Grade => {
  const { delaySeconds, slice, ttftSeconds } = options
  const limits = options.limits ?? defaultLimits
  const reference = { ttft: ttftSeconds, gap: null }
  const delays = Check.delayFindings({ ttft: delaySeconds, gap: null }, reference, limits)
  const ofThread = slice === null ? [] : Check.ofHealth(slice, { reference, threads: 1, limits })
  return worst(failedOf([...delays, ...ofThread]).map(({ grade }) => grade))
}

/**
 * The worst of several grades; `VALID` of none.
 *
 * @category combining
 * @since 0.2.0
 */
export const worst = (grades: ReadonlyArray<Grade>): Grade =>
  grades.reduce<Grade>((a, b) => (rank(b) > rank(a) ? b : a), "VALID")

/**
 * Joins slices that follow each other without a gap.
 *
 * @category combining
 * @since 0.2.0
 */
export const spansOf = (slices: ReadonlyArray<Span>): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  for (const { from_s, to_s } of slices) {
    const last = spans.at(-1)
    if (last !== undefined && from_s <= last.to_s + 1e-9) spans[spans.length - 1] = { from_s: last.from_s, to_s }
    else spans.push({ from_s, to_s })
  }
  return spans
}

const rank = (grade: Grade): number => Grade.literals.indexOf(grade)

interface Failed {
  readonly check: Check.Finding["check"]
  readonly grade: Grade
  readonly value: number
  readonly limit: number
  readonly says?: string | undefined
}

const failedOf = (findings: ReadonlyArray<Check.Finding>): Array<Failed> =>
  findings.flatMap(({ check, limit, says, value }) => {
    const above = aboveOf(value, limit)
    return above === null ? [] : [{ check, value, says, ...above }]
  })

const aboveOf = (value: number, { degraded, invalid }: Limit): Pick<Failed, "grade" | "limit"> | null => {
  if (invalid !== null && value > invalid) return { grade: "INVALID", limit: invalid }
  return degraded !== null && value > degraded ? { grade: "DEGRADED", limit: degraded } : null
}

interface Slice extends Span {
  readonly health: HealthReport.HealthSlice | null
  readonly dispatch: DispatchSlice | null
}

/** What was seen of the client and of the requests, side by side, at the greater of their widths. */
const slicesOf = ({ dispatch, health, summary }: Evidence): Array<Slice> => {
  const width = Math.max(dispatch.slice_s, health?.slice_s ?? 0)
  const requests = widenedDispatch(dispatch, width)
  const seen = health === null ? new Map<number, HealthReport.HealthSlice>() : HealthReport.widened(health, width)
  const end = Math.max(summary.wall_time_s ?? 0, health?.slices.at(-1)?.to_s ?? 0)
  const indexes = new Set([...requests.keys(), ...seen.keys()])
  return [...indexes]
    .toSorted((a, b) => a - b)
    .map((index) => {
      const from_s = index * width
      const full = from_s + width
      return {
        from_s,
        to_s: end > from_s ? Math.min(full, end) : full,
        health: seen.get(index) ?? null,
        dispatch: requests.get(index) ?? null
      }
    })
}

/**
 * Whether the server served anything in that time: while it refuses, or is down, the client may be busy with that alone, and nothing
 * is measured that it could spoil.
 */
const isServed = ({ dispatch }: Slice): boolean =>
  dispatch === null ||
  dispatch.requests === 0 ||
  dispatch.succeeded > 0 ||
  dispatch.own_errors > 0 ||
  dispatch.added_ttft.length > 0 ||
  dispatch.added_gap.length > 0

const timeFindings = (slices: ReadonlyArray<SliceVerdict>, limits: Limits): ReadonlyArray<Check.Finding> => {
  const seconds = (chosen: ReadonlyArray<SliceVerdict>) =>
    chosen.reduce((sum, { from_s, to_s }) => sum + to_s - from_s, 0)
  const whole = seconds(slices)
  if (whole <= 0) return []
  const bad = slices.filter(({ grade }) => grade !== "VALID")
  const invalid = bad.filter(({ grade }) => grade === "INVALID")
  return [
    { check: "bad_time", value: seconds(bad) / whole, limit: limits.bad_time },
    { check: "invalid_time", value: seconds(invalid) / whole, limit: limits.invalid_time }
  ]
}

/** Whether it says more than those do: a worse grade, or slices that are touched by something else. */
const addsTo = (others: ReadonlyArray<Failed>, failed: Failed, slices: ReadonlyArray<SliceVerdict>): boolean => {
  const named = new Set(others.map(({ check }) => check))
  return (
    rank(failed.grade) > rank(worst(others.map(({ grade }) => grade))) ||
    checksOf(failed.check, slices).some((check) => !named.has(check))
  )
}

const checksOf = (check: Reason["check"], slices: ReadonlyArray<SliceVerdict>): ReadonlyArray<Reason["check"]> => [
  ...new Set(slices.flatMap((slice) => (concerns(slice, check) ? slice.checks : [])))
]

const reasonOf = ({ check, grade, limit, says: said, value }: Failed, slices: ReadonlyArray<SliceVerdict>): Reason => {
  const { advice, says, unit, what } = checks[check]
  const isOfTime = check === "bad_time" || check === "invalid_time"
  const causes = isOfTime ? ` (${causesOf(checksOf(check, slices))})` : ""
  return {
    check,
    grade,
    what: isOfTime ? `${what} (${checksOf(check, slices).join(", ")})` : what,
    sentence: said ?? `${says(amount(value, unit))}${causes}`,
    value,
    unit,
    limit,
    slices: spansOf(slices.filter((slice) => concerns(slice, check))),
    advice
  }
}

/** The causes in a few words, each once: `CPU, event-loop delay`. */
const causesOf = (names: ReadonlyArray<Reason["check"]>): string =>
  [...new Set(names.map((name) => checks[name].cause))].join(", ")

/**
 * An amount as the sentences have it: `34.0 ms`, `39.9 %`.
 *
 * @category conversions
 * @since 0.2.0
 */
export const amount = (value: number, unit: Unit): string => {
  if (unit === "share") return `${(value * 100).toFixed(1)} %`
  if (value >= 1) return `${value.toFixed(2)} s`
  const millis = value * 1_000
  return `${millis.toFixed(millis >= 10 ? 1 : 2)} ms`
}

const concerns = (slice: SliceVerdict, check: Reason["check"]): boolean => {
  switch (check) {
    case "bad_time":
      return slice.grade !== "VALID"
    case "invalid_time":
      return slice.grade === "INVALID"
    default:
      return slice.checks.includes(check)
  }
}

/**
 * Whether a text is the name of a limit.
 *
 * @category guards
 * @since 0.2.0
 */
export const isLimitName = (text: string): text is keyof Limits => Object.hasOwn(LimitsSchema.fields, text)

/**
 * The names of all limits.
 *
 * @category reading
 * @since 0.2.0
 */
export const limitNames: ReadonlyArray<keyof Limits> = CheckName.literals

/**
 * In what a limit is given.
 *
 * @category reading
 * @since 0.2.0
 */
export const unitOf = (name: keyof Limits): Unit => checks[name].limitUnit ?? checks[name].unit
