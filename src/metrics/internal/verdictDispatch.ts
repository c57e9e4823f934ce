import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type RequestRecord } from "../../domain/RequestRecord.ts"
import * as Histogram from "../Histogram.ts"
import { LATE_SECONDS } from "../SummarySink.ts"
import { AddedDelays } from "./AddedDelays.ts"
import * as DelayBuckets from "./delayBuckets.ts"
import { at, Grid, MAX_SLICES, onGrid, together } from "./verdictGrid.ts"

const NaturalInt = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * A request that goes out later than this by the fault of the client has moved to another moment than the one asked for:
 * in seconds.
 *
 * @category constants
 * @since 0.2.0
 */
export const VERY_LATE_SECONDS = 0.1

/**
 * The requests due in a slice of time, and what arrived in it.
 *
 * - `succeeded`: of those due
 * - `sent`: written to the socket, and not kept back by `--max-in-flight`; the lags are theirs
 * - `late`, `very_late`: more than 10 and 100 ms after they were due, by the fault of the client
 * - `lag_total_s`, `lag_max_s`: their lag, without the opening of connections; the total leaves out requests that the server
 *   refused. `in_flight_s`: their latencies, summed
 * - `own_errors`: failures that are the client's own, without exceptions of the provider
 * - `added_ttft`, `added_gap`: by how much delays of the client may have lengthened the TTFT of first tokens that arrived (the latency
 *   of answers that do not stream) and the gaps between chunks: counts of those below 1 ms, then of four buckets for every doubling
 *
 * @category models
 * @since 0.2.0
 */
export const DispatchSlice = Schema.Struct({
  from_s: NonNegative,
  to_s: NonNegative,
  requests: NaturalInt,
  succeeded: NaturalInt,
  sent: NaturalInt,
  late: NaturalInt,
  very_late: NaturalInt,
  lag_total_s: NonNegative,
  lag_max_s: NonNegative,
  in_flight_s: NonNegative,
  own_errors: NaturalInt,
  added_ttft: Schema.Array(NaturalInt),
  added_gap: Schema.Array(NaturalInt)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface DispatchSlice extends Schema.Schema.Type<typeof DispatchSlice> {}

/**
 * How the requests of a run left the client, and how long what came back waited for it.
 *
 * - `slice_s`: the width of a slice in seconds; `slices`: in order of time, at most 120
 * - `lag`: the lags, an encoded `Histogram` of seconds
 * - `first_token_delay`, `chunk_delay`: how long first tokens (whole answers where they do not stream) and all chunks waited for the
 *   event loop, of the requests that succeeded and are measured; `added_ttft`, `added_gap`: by how much that may have lengthened
 *   TTFT (the latency) and the gaps between chunks. Encoded `Histogram`s of seconds; empty where nobody watched
 * - `first_…_s`, `last_…_s`: when the first and the last request were due, and went out but for the opening of connections;
 *   `null` when none was
 * - `opened_connections`: requests that waited for a connection to be opened; `connection_wait_…_s`: for how long
 * - `own_errors`: failures of the client's own by their code, and exceptions of the provider (`internal`)
 *
 * @category models
 * @since 0.2.0
 */
export const DispatchReport = Schema.Struct({
  slice_s: Schema.Finite.check(Schema.isGreaterThan(0)),
  slices: Schema.Array(DispatchSlice),
  lag: Schema.Uint8Array,
  first_token_delay: Schema.Uint8Array,
  chunk_delay: Schema.Uint8Array,
  added_ttft: Schema.Uint8Array,
  added_gap: Schema.Uint8Array,
  first_due_s: Schema.NullOr(Schema.Finite),
  last_due_s: Schema.NullOr(Schema.Finite),
  first_sent_s: Schema.NullOr(Schema.Finite),
  last_sent_s: Schema.NullOr(Schema.Finite),
  opened_connections: NaturalInt,
  connection_wait_total_s: NonNegative,
  connection_wait_max_s: NonNegative,
  own_errors: Schema.Record(Schema.String, NaturalInt)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface DispatchReport extends Schema.Schema.Type<typeof DispatchReport> {}

/**
 * What this machine has run out of, files, ports, buffers or memory, as the operating system calls it in a message; `null` when it has not.
 *
 * @category reading
 * @since 0.2.0
 */
export const exhaustedIn = (message: string): string | null =>
  /\b(?:EMFILE|ENFILE|EADDRNOTAVAIL|ENOBUFS|ENOMEM)\b/.exec(message)?.[0] ?? null

/**
 * The code of exceptions in the provider among the failures of the client's own.
 *
 * @category constants
 * @since 0.2.0
 */
export const EXCEPTION = "internal"

/**
 * The code of a failure that is the client's own: out of files, ports, buffers or memory, or an exception in the provider
 * (`internal`); `null` for every other.
 *
 * @category reading
 * @since 0.2.0
 */
export const ownErrorOf = (record: RequestRecord): string | null => {
  switch (record.error_reason) {
    case "Connect":
    case "ConnectionLost":
    case "Truncated":
      return exhaustedIn(record.error_msg)
    case "Internal":
      return EXCEPTION
    default:
      return null
  }
}

/** Reasons for which a server does not serve a request at all. */
const refusals: ReadonlySet<string | null> = new Set([
  "Connect",
  "Tls",
  "HttpStatus",
  "RateLimited",
  "MissingCredential"
])

/**
 * What arrived of an answer, and how long it had waited for the client; see `LoopDelays`.
 *
 * - `stamps`: when each chunk with content was looked at, in nanoseconds of the monotonic clock, or the end of an answer that does not
 *   stream; `delays`: how long it had waited, in seconds
 * - `sendDelay`: how long the client may have been held up as it wrote the request, in seconds
 * - `startNanos`: the start of the run
 *
 * @category models
 * @since 0.2.0
 */
export interface Arrivals {
  readonly stamps: ReadonlyArray<number>
  readonly delays: Float64Array
  readonly sendDelay: number
  readonly startNanos: number
}

const nothingAt = (second: number): DispatchSlice => ({
  from_s: second,
  to_s: second,
  requests: 0,
  succeeded: 0,
  sent: 0,
  late: 0,
  very_late: 0,
  lag_total_s: 0,
  lag_max_s: 0,
  in_flight_s: 0,
  own_errors: 0,
  added_ttft: DelayBuckets.none,
  added_gap: DelayBuckets.none
})

interface Cell {
  readonly from: number
  readonly to: number
  readonly ttft: DelayBuckets.DelayCounts
  readonly gap: DelayBuckets.DelayCounts
}

/**
 * Takes down how requests leave the client, and how long what comes back waits for it. It keeps a few numbers per slice of time,
 * whatever the number of requests.
 *
 * @category models
 * @since 0.2.0
 */
export class DispatchTally {
  readonly #grid: Grid<DispatchSlice>
  readonly #lag = Histogram.make()
  readonly #firstTokenDelay = Histogram.make()
  readonly #chunkDelay = Histogram.make()
  readonly #ttft = new AddedDelays((second, added) => this.#cellOf(second).ttft.add(added))
  readonly #gaps = new AddedDelays((second, added) => this.#cellOf(second).gap.add(added))
  /** What arrived in each slice and is not in the grid yet; the last one that something was added to. */
  readonly #cells = new Map<number, Cell>()
  #cell: Cell | null = null
  readonly #ownErrors = new Map<string, number>()
  #firstDue = Number.POSITIVE_INFINITY
  #lastDue = Number.NEGATIVE_INFINITY
  #firstSent = Number.POSITIVE_INFINITY
  #lastSent = Number.NEGATIVE_INFINITY
  #opened = 0
  #waitTotal = 0
  #waitMax = 0

  constructor(sliceSeconds: number = 1) {
    this.#grid = new Grid(sliceSeconds, join)
  }

  /**
   * Adds a finished request. `queued`: it had to wait for a place among those that may be in flight, which is what the user
   * asked for and no lag of the client. `arrivals`: how long its answer waited for the client, where somebody watched.
   */
  add(record: RequestRecord, queued: boolean = false, arrivals: Arrivals | null = null): void {
    const due = Math.max(0, record.intended_offset_s)
    const ownError = ownErrorOf(record)
    if (ownError !== null) this.#ownErrors.set(ownError, (this.#ownErrors.get(ownError) ?? 0) + 1)
    const slice = {
      ...nothingAt(due),
      requests: 1,
      succeeded: record.error_code === null ? 1 : 0,
      own_errors: ownError === null || ownError === EXCEPTION ? 0 : 1
    }
    const opening = record.connect_s === null ? 0 : record.connect_s + (record.dns_s ?? 0) + (record.tls_s ?? 0)
    if (record.connect_s !== null) {
      this.#opened++
      this.#waitTotal += opening
      this.#waitMax = Math.max(this.#waitMax, opening)
    }
    if (record.dispatch_lag_s !== null && record.sent_offset_s !== null && !queued) {
      // What passed on a connection that the server closed is no lag of the client either.
      const lag = Math.max(0, record.dispatch_lag_s - opening - (record.connection_retry_s ?? 0))
      Histogram.add(this.#lag, lag)
      slice.sent = 1
      slice.late = lag > LATE_SECONDS ? 1 : 0
      slice.very_late = lag > VERY_LATE_SECONDS ? 1 : 0
      slice.lag_total_s = refusals.has(record.error_reason) ? 0 : lag
      slice.lag_max_s = lag
      slice.in_flight_s = Math.max(0, record.end_offset_s - record.sent_offset_s)
      const intended = record.intended_offset_s
      this.#firstDue = Math.min(this.#firstDue, intended)
      this.#lastDue = Math.max(this.#lastDue, intended)
      this.#firstSent = Math.min(this.#firstSent, intended + lag)
      this.#lastSent = Math.max(this.#lastSent, intended + lag)
    }
    this.#grid.add(due, slice)
    if (arrivals !== null && record.error_code === null && record.sampled) {
      const isStream = record.number_chunks > 0
      this.#arrived(arrivals, isStream, (isStream ? record.ttft_s : record.end_to_end_latency_s) ?? 0)
    }
  }

  /** The distributions of latencies are of the same requests. `latency`: until the first token, or the end. */
  #arrived({ delays, sendDelay, stamps, startNanos }: Arrivals, isStream: boolean, latency: number): void {
    const secondOf = (stamp: number): number => Math.max(0, (stamp - startNanos) / 1e9)
    const [first] = stamps
    if (first === undefined) return
    Histogram.add(this.#firstTokenDelay, delays[0] ?? 0)
    this.#ttft.add(secondOf(first), latency, sendDelay + (delays[0] ?? 0))
    if (!isStream) return
    Histogram.addAll(this.#chunkDelay, delays)
    for (let next = 1; next < stamps.length; next++) {
      const stamp = stamps[next] ?? 0
      const before = stamps[next - 1] ?? 0
      // Of all that waited in a hold only the first follows a longer gap
      this.#gaps.add(
        secondOf(stamp),
        (stamp - before) / 1e9,
        Math.max(0, (delays[next] ?? 0) - (delays[next - 1] ?? 0))
      )
    }
  }

  #cellOf(second: number): Cell {
    if (this.#cell !== null && second >= this.#cell.from && second < this.#cell.to) return this.#cell
    const width = this.#grid.width
    const index = Math.floor(second / width)
    const there = this.#cells.get(index)
    if (there !== undefined) return (this.#cell = there)
    if (this.#cells.size >= MAX_SLICES) {
      this.#intoGrid()
      return this.#cellOf(second)
    }
    const cell = {
      from: index * width,
      to: (index + 1) * width,
      ttft: new DelayBuckets.DelayCounts(),
      gap: new DelayBuckets.DelayCounts()
    }
    this.#cells.set(index, cell)
    return (this.#cell = cell)
  }

  #intoGrid(): void {
    for (const { from, gap, to, ttft } of this.#cells.values()) {
      const middle = (from + to) / 2
      this.#grid.add(middle, { ...nothingAt(middle), added_ttft: ttft.counts, added_gap: gap.counts })
    }
    this.#cells.clear()
    this.#cell = null
  }

  /** What was added so far. */
  report(): DispatchReport {
    const addedTtft = this.#ttft.settled()
    const addedGap = this.#gaps.settled()
    this.#intoGrid()
    const width = this.#grid.width
    return {
      slice_s: width,
      slices: this.#grid.entries().map(([index, slice]) => at(slice, index * width, (index + 1) * width)),
      lag: Histogram.encode(this.#lag),
      first_token_delay: Histogram.encode(this.#firstTokenDelay),
      chunk_delay: Histogram.encode(this.#chunkDelay),
      added_ttft: Histogram.encode(addedTtft),
      added_gap: Histogram.encode(addedGap),
      first_due_s: finite(this.#firstDue),
      last_due_s: finite(this.#lastDue),
      first_sent_s: finite(this.#firstSent),
      last_sent_s: finite(this.#lastSent),
      opened_connections: this.#opened,
      connection_wait_total_s: this.#waitTotal,
      connection_wait_max_s: this.#waitMax,
      own_errors: Object.fromEntries(this.#ownErrors)
    }
  }
}

/**
 * The lags of a run, as a histogram of seconds.
 *
 * @category reading
 * @since 0.2.0
 */
export const lagOf = (report: DispatchReport): Histogram.Histogram => decoded(report.lag)

/**
 * The delays of the client at first tokens and at all chunks, and by how much they may have lengthened TTFT and gaps, as histograms of
 * seconds.
 *
 * @category reading
 * @since 0.2.0
 */
export const arrivalDelaysOf = (report: DispatchReport) => ({
  firstToken: decoded(report.first_token_delay),
  chunk: decoded(report.chunk_delay),
  addedTtft: decoded(report.added_ttft),
  addedGap: decoded(report.added_gap)
})

const decoded = (bytes: Uint8Array): Histogram.Histogram => Result.getOrElse(Histogram.decode(bytes), Histogram.make)

const mergeEncoded = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const all = decoded(left)
  Histogram.merge(all, decoded(right))
  return Histogram.encode(all)
}

/**
 * The requests of both, as if one had sent them. Slices are joined at the greater of their widths.
 *
 * @category combining
 * @since 0.2.0
 */
export const mergeDispatch = (left: DispatchReport, right: DispatchReport): DispatchReport => {
  const width = Math.max(left.slice_s, right.slice_s)
  const errors = new Map(Object.entries(left.own_errors))
  for (const [code, count] of Object.entries(right.own_errors)) errors.set(code, (errors.get(code) ?? 0) + count)
  return {
    slice_s: width,
    slices: together(widenedDispatch(left, width), widenedDispatch(right, width), join).map(([index, slice]) =>
      at(slice, index * width, (index + 1) * width)
    ),
    lag: mergeEncoded(left.lag, right.lag),
    first_token_delay: mergeEncoded(left.first_token_delay, right.first_token_delay),
    chunk_delay: mergeEncoded(left.chunk_delay, right.chunk_delay),
    added_ttft: mergeEncoded(left.added_ttft, right.added_ttft),
    added_gap: mergeEncoded(left.added_gap, right.added_gap),
    first_due_s: knownBy(Math.min, left.first_due_s, right.first_due_s),
    last_due_s: knownBy(Math.max, left.last_due_s, right.last_due_s),
    first_sent_s: knownBy(Math.min, left.first_sent_s, right.first_sent_s),
    last_sent_s: knownBy(Math.max, left.last_sent_s, right.last_sent_s),
    opened_connections: left.opened_connections + right.opened_connections,
    connection_wait_total_s: left.connection_wait_total_s + right.connection_wait_total_s,
    connection_wait_max_s: Math.max(left.connection_wait_max_s, right.connection_wait_max_s),
    own_errors: Object.fromEntries(errors)
  }
}

/** The slices at a greater width. */
export const widenedDispatch = (report: DispatchReport, width: number): ReadonlyMap<number, DispatchSlice> =>
  onGrid(report.slices, width, join)

const join = (left: DispatchSlice, right: DispatchSlice): DispatchSlice => ({
  from_s: Math.min(left.from_s, right.from_s),
  to_s: Math.max(left.to_s, right.to_s),
  requests: left.requests + right.requests,
  succeeded: left.succeeded + right.succeeded,
  sent: left.sent + right.sent,
  late: left.late + right.late,
  very_late: left.very_late + right.very_late,
  lag_total_s: left.lag_total_s + right.lag_total_s,
  lag_max_s: Math.max(left.lag_max_s, right.lag_max_s),
  in_flight_s: left.in_flight_s + right.in_flight_s,
  own_errors: left.own_errors + right.own_errors,
  added_ttft: DelayBuckets.join(left.added_ttft, right.added_ttft),
  added_gap: DelayBuckets.join(left.added_gap, right.added_gap)
})

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

const knownBy = (choose: (a: number, b: number) => number, left: number | null, right: number | null): number | null =>
  left === null || right === null ? (left ?? right) : choose(left, right)
