/**
 * The verdict of a run as people and programs read it.
 *
 * @since 0.2.0
 */
import * as HealthReport from "../metrics/HealthReport.ts"
import * as Histogram from "../metrics/Histogram.ts"
import * as Verdict from "../metrics/Verdict.ts"
import { style } from "./internal/style.ts"
import * as Text from "./internal/text.ts"
import { type Fields } from "./ResultFiles.ts"

/** More than these are left to the summary file. */
const MAX_REASONS = 8
const MAX_SPANS = 3

/**
 * What the summary file says of the verdict: `verdict`, `verdict_reasons`, `verdict_slices`, the limits that are not the
 * usual ones, and `health_…`, the numbers behind it. `docs/verdict.md` describes them. What was not observed is `null`.
 *
 * @category encoding
 * @since 0.2.0
 */
export const fields = (options: {
  readonly verdict: Verdict.Verdict
  readonly health: HealthReport.HealthReport | null
  readonly dispatch: Verdict.DispatchReport
  readonly limits?: Verdict.Limits | undefined
}): Fields => ({
  verdict: options.verdict.grade,
  verdict_reasons: options.verdict.reasons.map(({ grade, ...reason }) => ({
    check: reason.check,
    verdict: grade,
    what: reason.what,
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
  health: { ...healthFields(options.health), ...dispatchFields(options.dispatch) }
})

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
  const mark = verdict.grade === "VALID" ? green : verdict.grade === "DEGRADED" ? yellow : red
  const records = verdict.sampled ? "" : " (judged from the records alone)"
  const head = Text.wrap(`Verdict: ${verdict.grade}${meanings[verdict.grade]}${records}`, options.columns)
  const shown = verdict.reasons.slice(0, MAX_REASONS)
  const end = verdict.slices.at(-1)?.to_s ?? 0
  const said = new Set<string>()
  const reasons = shown.flatMap((reason) => {
    const { advice } = reason
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
    ...(more > 0 ? [Text.truncate(`  and ${more} more, see the summary file`, options.columns)] : [])
  ]
}

/**
 * A reason in a sentence without its advice: `event-loop delay (p99) …: 34.0 ms, limit 12.0 ms, at 12.0–14.0 s`. A reason that
 * holds until `endSeconds` from the start holds all the time.
 *
 * @category rendering
 * @since 0.2.0
 */
export const sentence = (reason: Verdict.Reason, endSeconds: number): string => {
  const { limit, slices, unit, value, what } = reason
  const [first] = slices
  const isAlways = slices.length === 1 && first !== undefined && first.from_s <= 0 && first.to_s >= endSeconds
  const where = slices.length === 0 ? "" : isAlways ? ", all the time" : `, at ${spans(slices)}`
  return `${what}: ${amount(value, unit)}, limit ${amount(limit, unit)}${where}`
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
  VALID: "",
  DEGRADED: ", the client had a part in some of these numbers",
  INVALID: ", these numbers are the client's and not the server's"
}

const amount = (value: number, unit: Verdict.Unit): string =>
  unit === "s" ? `${Text.number(value * 1_000)} ms` : Text.percent(value)

const hanging = (indent: string, text: string, columns: number): Array<string> =>
  Text.wrap(text, columns - indent.length - 2).map((line, index) => (index === 0 ? indent : `${indent}  `) + line)

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

const changed = (limits: Verdict.Limits): Fields =>
  Object.fromEntries(
    Verdict.limitNames.flatMap((name) => {
      const { degraded, invalid } = limits[name]
      const usual = Verdict.defaultLimits[name]
      return degraded === usual.degraded && invalid === usual.invalid ? [] : [[name, { degraded, invalid }]]
    })
  )

const healthFields = (report: HealthReport.HealthReport | null): Fields => {
  const delays = report === null ? Histogram.make() : HealthReport.loopDelay(report)
  const { mean, most, sum } = readingsOf(report?.slices ?? [])
  const events = sum(({ events }) => events)
  const waiting = sum((slice) => slice.events_waiting)
  const free = most(({ free_memory }) => (free_memory === null ? null : 1 - free_memory))
  return {
    watched: report !== null,
    threads: report?.threads ?? null,
    cpu_count: report?.cpu_count ?? null,
    slice_s: report?.slice_s ?? null,
    loop_delay_s: distribution(delays),
    loop_utilization_mean: mean((slice) => slice.loop_utilization),
    loop_utilization_max: most((slice) => slice.loop_utilization),
    events_waiting: events === null || waiting === null || events === 0 ? null : waiting / events,
    gc_count: sum((slice) => slice.gc_count),
    gc_total_s: sum((slice) => slice.gc_total_s),
    gc_longest_s: most((slice) => slice.gc_longest_s),
    process_cores_mean: mean((slice) => slice.process_cores),
    process_cores_max: most((slice) => slice.process_cores),
    machine_cpu_mean: mean((slice) => slice.machine_cpu),
    machine_cpu_max: most((slice) => slice.machine_cpu),
    steal_mean: mean((slice) => slice.steal),
    steal_max: most((slice) => slice.steal),
    rss_max_bytes: most((slice) => slice.rss_bytes),
    free_memory_min: free === null ? null : 1 - free,
    connections_max: most((slice) => slice.connections),
    open_file_limit: report?.open_file_limit ?? null
  }
}

const dispatchFields = (report: Verdict.DispatchReport): Fields => {
  const { opened_connections: opened } = report
  return {
    client_lag_s: distribution(Verdict.lagOf(report)),
    late_requests: report.slices.reduce((count, { late }) => count + late, 0),
    very_late_requests: report.slices.reduce((count, { very_late }) => count + very_late, 0),
    opened_connections: opened,
    connection_wait_s_mean: opened === 0 ? null : report.connection_wait_total_s / opened,
    connection_wait_s_max: opened === 0 ? null : report.connection_wait_max_s,
    own_errors: report.own_errors
  }
}

const distribution = (histogram: Histogram.Histogram): Fields => ({
  quantiles: {
    p50: Histogram.quantile(histogram, 0.5),
    p90: Histogram.quantile(histogram, 0.9),
    p99: Histogram.quantile(histogram, 0.99),
    p999: Histogram.quantile(histogram, 0.999)
  },
  mean: Histogram.mean(histogram),
  max: Histogram.max(histogram)
})

type Read = (slice: HealthReport.HealthSlice) => number | null

/** Sums, means over time and maxima of what is known; `null` when nothing is. */
const readingsOf = (slices: ReadonlyArray<HealthReport.HealthSlice>) => {
  const known = (read: Read) =>
    slices.flatMap((slice) => {
      const value = read(slice)
      return value === null ? [] : [{ value, seconds: slice.observed_s }]
    })
  const fold = (read: Read, add: (sum: number, value: number, seconds: number) => number): number | null => {
    const values = known(read)
    return values.length === 0 ? null : values.reduce((sum, { seconds, value }) => add(sum, value, seconds), 0)
  }
  return {
    sum: (read: Read) => fold(read, (sum, value) => sum + value),
    most: (read: Read) => fold(read, (sum, value) => Math.max(sum, value)),
    mean: (read: Read): number | null => {
      const seconds = known(read).reduce((sum, { seconds }) => sum + seconds, 0)
      const weighted = fold(read, (sum, value, weight) => sum + value * weight)
      return weighted === null || seconds === 0 ? null : weighted / seconds
    }
  }
}
