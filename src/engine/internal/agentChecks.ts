/**
 * Whether what an agent says can be true, by what it was asked to do. Its machine is not ours: it may run something else than
 * llmperf, or be out of order.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { RequestRecord } from "../../domain/RequestRecord.ts"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import * as SummarySink from "../../metrics/SummarySink.ts"
import { type DispatchReport } from "../../metrics/Verdict.ts"
import type { Account, Counters, Report } from "../LoadAgent.ts"

/**
 * What is known of an agent.
 *
 * - `places`: how many requests it may have in flight, `null` for no limit
 * - `told`, `isLastTold`, `open`, `ended`, `leftOut`, `taken`: as in its ledger; `leases`: how many leases it was sent
 * - `isStopping`: whether it was told to stop, or is about to be
 * - `seconds`: since the start of the run, and something for clocks that differ
 */
export interface Known {
  readonly places: number | null
  readonly leases: number
  readonly told: number
  readonly isLastTold: boolean
  readonly open: ReadonlySet<number>
  readonly ended: ReadonlySet<number>
  readonly leftOut: ReadonlySet<number>
  readonly taken: number
  readonly isStopping: boolean
  readonly seconds: number
}

/** Clocks that differ, and what is under way, in seconds. */
export const SLACK_SECONDS = 10

/** More than there are buckets (`RecentTimes`). */
const MOST_RECENT_BYTES = 64 * 1024
/** More than there ever are (`MAX_SLICES`). */
const MOST_SLICES = 256
const MOST_THREADS = 4_096
/** A histogram has some 38,000 buckets. */
const MOST_HISTOGRAM_BYTES = 512 * 1024
const MOST_TEXT = 4_096

const isNatural = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const counters = (
  { cancelled, completed, dropped, failed, late, queued, started, ...others }: Counters,
  told: number
): string | null => {
  const all = [cancelled, completed, dropped, failed, late, queued, started, ...Object.values(others)]
  if (!all.every(isNatural)) return "a counter is no count"
  if (started > told) return `it began ${started} requests and was given ${told}`
  if (completed + failed + cancelled > started) return "more of its requests have ended than it began"
  return late > started || queued + dropped > told ? "it counts requests that it was not given" : null
}

const slices = (all: ReadonlyArray<{ readonly from_s: number; readonly to_s: number }>, most: number): boolean =>
  all.length <= MOST_SLICES &&
  all.every(({ from_s, to_s }, index) => from_s <= to_s && to_s <= most && from_s >= (all[index - 1]?.from_s ?? 0))

/** What the delays in a slice are counted in; see `DispatchSlice`. */
const MOST_DELAY_BUCKETS = 65

const total = (counts: ReadonlyArray<number>): number => counts.reduce((sum, count) => sum + count, 0)

const dispatch = (
  { lag, own_errors, slice_s, slices: all, ...report }: DispatchReport,
  requests: number,
  seconds: number
): string | null => {
  const sum = (count: (slice: (typeof all)[number]) => number): number =>
    all.reduce((total, slice) => total + count(slice), 0)
  const counted = sum((slice) => slice.requests)
  const errors = Object.values(own_errors).reduce((total, count) => total + count, 0)
  if (counted !== requests) return `it says how ${counted} requests left it, and ${requests} did`
  const isPossible =
    slices(all, seconds + slice_s) &&
    all.every(
      (slice) => Math.max(slice.sent, slice.late, slice.very_late, slice.own_errors, slice.succeeded) <= slice.requests
    ) &&
    all.every((slice) => Math.max(slice.added_ttft.length, slice.added_gap.length) <= MOST_DELAY_BUCKETS) &&
    sum((slice) => total(slice.added_ttft)) <= requests &&
    sum((slice) => slice.in_flight_s) <= requests * seconds &&
    sum((slice) => slice.lag_total_s) <= requests * seconds &&
    Math.max(report.opened_connections, errors) <= requests &&
    [lag, report.first_token_delay, report.chunk_delay, report.added_ttft, report.added_gap].every(
      ({ length }) => length <= MOST_HISTOGRAM_BYTES
    )
  return isPossible ? null : "it says what cannot be of how its requests left it"
}

const health = (report: HealthReport.HealthReport, seconds: number): string | null =>
  slices(report.slices, seconds + report.slice_s) &&
  report.threads <= MOST_THREADS &&
  report.loop_delay.length <= MOST_HISTOGRAM_BYTES
    ? null
    : "it says what cannot be of its own health"

/** The ids of requests that have ended: each was given to it, and none comes twice. */
const endedIds = (ids: ReadonlyArray<number>, may: (id: number) => boolean): string | null => {
  const seen = new Set<number>()
  for (const id of ids) {
    if (!may(id)) return `request ${id} was not given to it, or had ended before`
    if (seen.has(id)) return `request ${id} ended twice`
    seen.add(id)
  }
  return null
}

const summary = (bytes: Uint8Array, expected: SummarySink.Expected): Result.Result<SummarySink.SummarySink, string> =>
  Result.mapError(
    SummarySink.unpack(bytes, expected),
    ({ description }) => `its summary is of something else (${description})`
  )

/** The fold of what a report says has ended, `null` for nothing; or why the report cannot be true. */
export const checkReport = (report: Report, known: Known): Result.Result<SummarySink.SummarySink | null, string> => {
  const { ended, inFlight, leases, leftOut, loopEnded, taken } = report
  const { isLastTold, isStopping, open, places, seconds, told } = known
  if (!isNatural(taken) || taken < known.taken || taken > told) {
    return Result.fail(`it began ${taken} requests after ${known.taken}, and was given ${told}`)
  }
  if (!isNatural(leases) || leases > known.leases) {
    return Result.fail(`it had ${leases} leases, and was sent ${known.leases}`)
  }
  if (!isNatural(inFlight) || inFlight > taken) {
    return Result.fail(`${inFlight} of its requests are in flight, and it began ${taken}`)
  }
  if (places !== null && inFlight > places) {
    return Result.fail(`${inFlight} of its requests are in flight, and it has ${places} places`)
  }
  const { dropped, started } = report.counters
  const problem =
    counters(report.counters, told) ??
    (started + dropped === taken ? null : `it began ${taken} requests, and ${started + dropped}`) ??
    (loopEnded && !isLastTold && !isStopping ? "it is done, and was not told that there is no more" : null) ??
    (loopEnded && !isStopping && taken < told
      ? `it is done after ${taken} of the ${told} requests it was given`
      : null) ??
    (report.recent.length > MOST_RECENT_BYTES ? "it reports too many durations" : null) ??
    ((report.uncounted?.description.length ?? 0) > MOST_TEXT ? "its words have no end" : null) ??
    (report.spans !== null && ![report.spans.sent, report.spans.dropped, report.spans.failed].every(isNatural)
      ? "a number of spans is no count"
      : null) ??
    (report.health === null ? null : health(report.health, seconds)) ??
    endedIds([...(ended?.ids ?? []), ...leftOut], (id) => open.has(id))
  if (problem !== null) return Result.fail(problem)
  const all = known.ended.size + (ended?.ids.length ?? 0)
  if (all > started) return Result.fail(`${all} of its requests have ended, and it began ${started}`)
  if (known.leftOut.size + leftOut.length !== dropped) return Result.fail("it does not name what it left out")
  const ofDispatch = report.dispatch === null ? null : dispatch(report.dispatch, all, seconds)
  if (ofDispatch !== null) return Result.fail(ofDispatch)
  return ended === null ? Result.succeed(null) : summary(ended.summary, { requests: ended.ids.length, seconds })
}

/** Why an agent that ended its run in order did not do what it was asked to; `null` when it did. */
export const checkEnd = ({ ended, isStopping, leftOut, open, taken }: Known): string | null => {
  if (!isStopping && open.size > 0) return `it ended its run, and of ${open.size} requests it was given it said nothing`
  const left = taken - ended.size - leftOut.size
  return left === 0 ? null : `it ended its run, and of ${left} requests it began it said nothing`
}

/** The fold of all that has ended, or why the account cannot be true. */
export const checkAccount = (account: Account, known: Known): Result.Result<SummarySink.SummarySink, string> => {
  const ids = new Set(account.ids)
  const forgotten = [...known.ended].find((id) => !ids.has(id))
  const problem =
    endedIds(
      [...account.ids, ...account.leftOut],
      (id) => known.open.has(id) || known.ended.has(id) || known.leftOut.has(id)
    ) ??
    (forgotten === undefined ? null : `request ${forgotten} had ended and is missing`) ??
    counters(account.counters, known.told) ??
    dispatch(account.dispatch, account.ids.length, known.seconds) ??
    (account.health === null ? null : health(account.health, known.seconds))
  return problem === null
    ? summary(account.summary, { requests: account.ids.length, seconds: known.seconds })
    : Result.fail(problem)
}

/**
 * The rows of an agent, which are taken over one after the other.
 *
 * - `ended`: the requests that must have one; `agent`, `xRequestId`: what stands in each
 */
export interface Rows {
  readonly ended: ReadonlySet<number>
  readonly agent: string
  readonly xRequestId: (id: number) => string | null
}

const NEWLINE = 10

const decodeRecord = Schema.decodeUnknownResult(RequestRecord)
const decodeNumbered = Schema.decodeUnknownResult(Schema.Struct({ request_id: Schema.Int }))
const exact = { onExcessProperty: "error" } as const

/** So many bytes of whole lines are good, of so many lines; `problem`: why the next is not. */
export interface Accepted {
  readonly bytes: Uint8Array
  readonly count: number
  readonly problem: string | null
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const linesOf = (bytes: Uint8Array, seen: Set<number>, check: (value: unknown) => number | string): Accepted => {
  const decoder = new TextDecoder()
  let count = 0
  let from = 0
  const upTo = (problem: string | null): Accepted => ({ bytes: bytes.subarray(0, from), count, problem })
  while (from < bytes.length) {
    const end = bytes.indexOf(NEWLINE, from)
    if (end < 0) return upTo("a row is cut off")
    const id = check(parse(decoder.decode(bytes.subarray(from, end))))
    if (typeof id === "string") return upTo(id)
    if (seen.has(id)) return upTo(`the row of request ${id} comes twice`)
    seen.add(id)
    count++
    from = end + 1
  }
  return upTo(null)
}

const notOf = (id: number): string => `there is a row of request ${id}, which it did not report`

/** Lines of records, each of a request that must have one and has none yet. `seen` are those that have. */
export const acceptRecords = (bytes: Uint8Array, seen: Set<number>, { agent, ended, xRequestId }: Rows): Accepted =>
  linesOf(bytes, seen, (value) => {
    const decoded = decodeRecord(value, exact)
    if (Result.isFailure(decoded)) return "a row is no record of a request"
    const record = decoded.success
    const id = record.request_id
    if (!ended.has(id)) return notOf(id)
    return record.agent === agent && record.x_request_id === xRequestId(id)
      ? id
      : `the row of request ${id} is of another agent or run`
  })

/** The same with lines of `requests_sent.log`. */
export const acceptSent = (bytes: Uint8Array, seen: Set<number>, { ended }: Rows): Accepted =>
  linesOf(bytes, seen, (value) => {
    const decoded = decodeNumbered(value)
    if (Result.isFailure(decoded)) return "a line of its log is none of a request"
    const id = decoded.success.request_id
    return ended.has(id) ? id : notOf(id)
  })

/** The same with blocks of chunk times, of which all are good or none; `read` as `ChunkTimes.makeIdReader`. */
export const acceptChunks = (
  bytes: Uint8Array,
  seen: Set<number>,
  { ended }: Rows,
  read: (blocks: Uint8Array, most: number) => ReadonlyArray<number> | null
): Accepted => {
  const ids = read(bytes, ended.size)
  const problem = ids === null ? "its chunk times are damaged" : endedIds(ids, (id) => ended.has(id) && !seen.has(id))
  if (ids === null || problem !== null) return { bytes: new Uint8Array(0), count: 0, problem }
  for (const id of ids) seen.add(id)
  return { bytes, count: ids.length, problem: null }
}
