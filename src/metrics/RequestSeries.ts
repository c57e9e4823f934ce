/**
 * What is compared of a run: its requests in the order in which they were sent, a column for every number.
 *
 * @since 0.2.0
 */

/**
 * The distributions that are compared, by their names in a record and in a summary.
 *
 * @category models
 * @since 0.2.0
 */
export const distributionKeys = [
  "ttft_s",
  "inter_token_latency_s",
  "end_to_end_latency_s",
  "request_output_throughput_token_per_s",
  "scheduled_ttft_s",
  "scheduled_end_to_end_latency_s",
  "dispatch_lag_s",
  "time_to_first_answer_s",
  "number_input_tokens",
  "number_output_tokens"
] as const

/**
 * @category models
 * @since 0.2.0
 */
export type DistributionKey = (typeof distributionKeys)[number]

/**
 * One request.
 *
 * - `start`: when it was sent, in seconds on any clock; `null` when that is not known
 * - `succeeded`; `sent`: whether it came to the socket
 * - `outputTokens`: of its answer, `null` when they are not known
 * - `inFlight`: for how many seconds it held a place, `null` when that is not known
 * - `values`: the numbers that enter distributions; empty for a request that is in the totals only. NaN is no number
 *
 * @category models
 * @since 0.2.0
 */
export interface RequestRow {
  readonly start: number | null
  readonly succeeded: boolean
  readonly sent: boolean
  readonly outputTokens: number | null
  readonly inFlight: number | null
  readonly values: { readonly [Key in DistributionKey]?: number | undefined }
}

/**
 * Requests in the order in which they were sent, column by column.
 *
 * - `ordered`: whether that order is known; otherwise it is the one in which they came
 * - `failed`, `succeeded`, `sent`: 1 or 0
 * - `outputTokens`: of the requests that succeeded, 0 for the others
 * - `uncounted`: how many requests succeeded and have no known tokens: totals of tokens are then unknown
 * - `elapsed`: the part of the wall time that goes with each request, in seconds, all together the wall time. In an open
 *   loop that is the time until the next one was sent; in a closed loop, where a request is sent when another has ended, the
 *   time that it was in flight, divided by how many were on average
 * - `closedLoop`: how many requests were kept in flight, and for how many seconds each was; `null` for an open loop, and where
 *   that is not known
 * - `distributions`: NaN where a request has no such number, and where it did not succeed
 *
 * @category models
 * @since 0.2.0
 */
export interface RequestSeries {
  readonly length: number
  readonly ordered: boolean
  readonly wallSeconds: number | null
  readonly failed: Float64Array
  readonly succeeded: Float64Array
  readonly sent: Float64Array
  readonly outputTokens: Float64Array
  readonly uncounted: number
  readonly elapsed: Float64Array
  readonly closedLoop: { readonly places: number; readonly inFlight: Float64Array } | null
  readonly distributions: { readonly [Key in DistributionKey]: Float64Array }
}

/**
 * What is known of the run as a whole: its wall time, `null` when that is not known (there are then no rates), and how many
 * requests a closed loop kept in flight, `null` for an open loop.
 *
 * @category models
 * @since 0.2.0
 */
export interface RunShape {
  readonly wallSeconds: number | null
  readonly places: number | null
}

/**
 * Puts requests in order.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (rows: ReadonlyArray<RequestRow>, { places, wallSeconds }: RunShape): RequestSeries => {
  const ordered = rows.length > 0 && rows.every(({ start }) => start !== null)
  const inOrder = ordered ? rows.toSorted((a, b) => (a.start ?? 0) - (b.start ?? 0)) : rows
  const column = (of: (row: RequestRow) => number): Float64Array => Float64Array.from(inOrder, of)
  const distribution = (key: DistributionKey): Float64Array =>
    column(({ succeeded, values }) => (succeeded ? (values[key] ?? NaN) : NaN))
  const starts = ordered ? column(({ start }) => start ?? 0) : new Float64Array(rows.length)
  const loop =
    places !== null && rows.every(({ inFlight }) => inFlight !== null)
      ? { places, inFlight: column(({ inFlight }) => inFlight ?? 0) }
      : null
  return {
    length: rows.length,
    ordered,
    wallSeconds,
    failed: column(({ succeeded }) => (succeeded ? 0 : 1)),
    succeeded: column(({ succeeded }) => (succeeded ? 1 : 0)),
    sent: column(({ sent }) => (sent ? 1 : 0)),
    outputTokens: column(({ outputTokens, succeeded }) => (succeeded ? (outputTokens ?? 0) : 0)),
    uncounted: rows.filter(({ outputTokens, succeeded }) => succeeded && outputTokens === null).length,
    elapsed: elapsed(loop, starts, wallSeconds ?? 0),
    closedLoop: loop,
    distributions: {
      ttft_s: distribution("ttft_s"),
      inter_token_latency_s: distribution("inter_token_latency_s"),
      end_to_end_latency_s: distribution("end_to_end_latency_s"),
      request_output_throughput_token_per_s: distribution("request_output_throughput_token_per_s"),
      scheduled_ttft_s: distribution("scheduled_ttft_s"),
      scheduled_end_to_end_latency_s: distribution("scheduled_end_to_end_latency_s"),
      dispatch_lag_s: distribution("dispatch_lag_s"),
      time_to_first_answer_s: distribution("time_to_first_answer_s"),
      number_input_tokens: distribution("number_input_tokens"),
      number_output_tokens: distribution("number_output_tokens")
    }
  }
}

const elapsed = (loop: RequestSeries["closedLoop"], starts: Float64Array, wallSeconds: number): Float64Array =>
  loop === null ? gaps(starts, wallSeconds) : shares(loop.inFlight, wallSeconds)

/** Little's law, request by request. */
const shares = (inFlight: Float64Array, wallSeconds: number): Float64Array => {
  const sum = inFlight.reduce((total, seconds) => total + seconds, 0)
  return inFlight.map((seconds) => (sum > 0 ? (seconds * wallSeconds) / sum : wallSeconds / inFlight.length))
}

/** The gaps between the starts, stretched; the last one counts as long as the others are on average. */
const gaps = (starts: Float64Array, wallSeconds: number): Float64Array => {
  const n = starts.length
  const span = (starts[n - 1] ?? 0) - (starts[0] ?? 0)
  if (n < 2 || span <= 0) return new Float64Array(n).fill(wallSeconds / n)
  const whole = span + span / (n - 1)
  return starts.map(
    (start, index) => ((index === n - 1 ? span / (n - 1) : (starts[index + 1] ?? 0) - start) * wallSeconds) / whole
  )
}
