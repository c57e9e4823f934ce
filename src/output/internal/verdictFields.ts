import * as Schema from "effect/Schema"
import * as HealthSummary from "../../metrics/HealthSummary.ts"
import * as Verdict from "../../metrics/Verdict.ts"

/**
 * What a summary says of the verdict, before it is made flat. `docs/verdict.md` says what the keys mean.
 *
 * - `verdict`: `null` when no request succeeded and the client is not to blame for that
 * - `verdict_reasons`: why the run is not VALID, the worst first
 * - `verdict_slices`: the verdict of every slice of time, those that are alike as one
 * - `verdict_limits`: the limits that are not the usual ones
 * - `health`: the numbers behind it; `null` where nobody watched
 *
 * @category models
 * @since 0.2.0
 */
export const VerdictFields = Schema.Struct({
  verdict: Schema.NullOr(Verdict.Grade),
  verdict_reasons: Schema.Array(
    Schema.Struct({
      check: Verdict.CheckName,
      verdict: Verdict.Grade,
      what: Schema.String,
      // Runs of before have none
      sentence: Schema.optionalKey(Schema.String),
      value: Schema.Finite,
      unit: Verdict.Reason.fields.unit,
      limit: Schema.Finite,
      slices: Schema.Array(Verdict.Span),
      advice: Schema.String
    })
  ),
  verdict_slices: Schema.Array(
    Schema.Struct({ ...Verdict.Span.fields, verdict: Verdict.Grade, checks: Schema.Array(Verdict.CheckName) })
  ),
  verdict_limits: Schema.Record(Schema.String, Verdict.Limit),
  health: HealthSummary.HealthSummary
})

/**
 * What the summary file says of the verdict: `verdict`, `verdict_reasons`, `verdict_slices`, the limits that are not the
 * usual ones, and `health_…`, the numbers behind it. `docs/verdict.md` describes them. What was not observed is `null`.
 *
 * @category encoding
 * @since 0.2.0
 */
export const fields = (options: {
  readonly verdict: Verdict.Verdict
  readonly health: HealthSummary.HealthSummary
  readonly limits?: Verdict.Limits | undefined
}): typeof VerdictFields.Type => ({
  verdict: options.verdict.grade,
  verdict_reasons: options.verdict.reasons.map(({ grade, ...reason }) => ({
    check: reason.check,
    verdict: grade,
    what: reason.what,
    sentence: reason.sentence,
    value: reason.value,
    unit: reason.unit,
    limit: reason.limit,
    slices: reason.slices,
    advice: reason.advice
  })),
  verdict_slices: alike(options.verdict.slices).map(({ checks, from_s, grade, to_s }) => ({
    from_s,
    to_s,
    verdict: grade,
    checks
  })),
  verdict_limits: changed(options.limits ?? Verdict.defaultLimits),
  health: options.health
})

/** Neighbours of the same verdict, for the same reasons, as one. */
const alike = (slices: ReadonlyArray<Verdict.SliceVerdict>): ReadonlyArray<Verdict.SliceVerdict> => {
  const joined: Array<Verdict.SliceVerdict> = []
  for (const slice of slices) {
    const last = joined.at(-1)
    const same =
      last !== undefined &&
      last.grade === slice.grade &&
      last.checks.join() === slice.checks.join() &&
      Verdict.spansOf([last, slice]).length === 1
    if (same) joined[joined.length - 1] = { ...last, to_s: slice.to_s }
    else joined.push(slice)
  }
  return joined
}

const changed = (limits: Verdict.Limits): { readonly [name: string]: Verdict.Limit } =>
  Object.fromEntries(
    Verdict.limitNames.flatMap((name) => {
      const { degraded, invalid } = limits[name]
      const usual = Verdict.defaultLimits[name]
      return degraded === usual.degraded && invalid === usual.invalid ? [] : [[name, { degraded, invalid }]]
    })
  )
