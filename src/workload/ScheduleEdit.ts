/**
 * Changes to a schedule: faster, a part of it, over and over, longer prompts. Each gives a new schedule whose rows are in
 * the order in which they are due, and leaves the one it gets as it is.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { MOST_SECONDS } from "../domain/DurationText.ts"
import type { PrefixBlocks, Schedule } from "../domain/Schedule.ts"
import { TICKS } from "./internal/scheduleCells.ts"
import { pickRows, renumberSessions } from "./internal/scheduleColumns.ts"

const LARGEST_COUNT = 0xffff_ffff

/** Part of the schedule, its sessions numbered without gaps. */
const part = (schedule: Schedule, rows: Uint32Array): Schedule => {
  const picked = pickRows(schedule, rows)
  return { ...picked, session: picked.session === null ? null : renumberSessions(picked.session) }
}

const range = (from: number, to: number): Uint32Array => Uint32Array.from({ length: to - from }, (_, i) => from + i)

const at = (values: Float64Array | Uint32Array, index: number): number => values[index] ?? 0

/** The sum of `a` and `b`, free of the noise of binary fractions when both are whole ticks of 100 ns, as times of traces are. */
const later = (a: number, b: number): number => {
  const sum = a + b
  const ticks = Math.round(sum * TICKS)
  const areTicks = Math.round(a * TICKS) / TICKS === a && Math.round(b * TICKS) / TICKS === b
  return areTicks && Number.isSafeInteger(ticks) ? ticks / TICKS : sum
}

/** The first row that is due at `seconds` or later. */
const rowAt = (schedule: Schedule, seconds: number): number => {
  let low = 0
  let high = schedule.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (at(schedule.offsetSeconds, middle) < seconds) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * `factor` times as fast: offsets are divided by it. 2 doubles the rate, 0.5 halves it.
 *
 * @category time
 * @since 0.2.0
 */
export const speed = (schedule: Schedule, factor: number): Schedule =>
  factor === 1 ? schedule : { ...schedule, offsetSeconds: schedule.offsetSeconds.map((offset) => offset / factor) }

/**
 * The rows due from `from` until before `to`, in seconds; `from` becomes 0. Either may be `null` for no limit.
 *
 * @category time
 * @since 0.2.0
 */
export const window = (schedule: Schedule, from: number | null, to: number | null): Schedule => {
  const start = from ?? 0
  const first = rowAt(schedule, start)
  const rows = range(first, Math.max(first, to === null ? schedule.length : rowAt(schedule, to)))
  const cut = part(schedule, rows)
  return { ...cut, offsetSeconds: cut.offsetSeconds.map((offset) => later(offset, -start)) }
}

/**
 * The first `rows` rows.
 *
 * @category rows
 * @since 0.2.0
 */
export const limit = (schedule: Schedule, rows: number): Schedule =>
  rows >= schedule.length ? schedule : part(schedule, range(0, rows))

/** The nearest whole tick of 100 ns that is not before `least`. */
const wholeTicks = (seconds: number, least: number): number => {
  const ticks = Math.round(seconds * TICKS)
  if (!Number.isSafeInteger(ticks)) return seconds
  return ticks / TICKS < least ? (ticks + 1) / TICKS : ticks / TICKS
}

/**
 * After how many seconds the schedule begins again when it is looped: one mean gap after its last row, so that the mean
 * rate goes on, to 100 ns. 1 s when all rows are due at once.
 *
 * @category getters
 * @since 0.2.0
 */
export const periodSeconds = ({ length, offsetSeconds }: Schedule): number => {
  if (length === 0) return 1
  const last = at(offsetSeconds, length - 1)
  const span = last - at(offsetSeconds, 0)
  return span === 0 ? last + 1 : wholeTicks(last + span / (length - 1), last)
}

const largest = (values: Float64Array | Uint32Array): number => {
  let max = 0
  for (const value of values) if (value > max) max = value
  return max
}

const repeat = <A extends Float64Array | Uint32Array>(
  values: A,
  into: A,
  shift: (value: number, pass: number) => number
): A => {
  for (let i = 0; i < into.length; i++) {
    into[i] = shift(at(values, i % values.length), Math.floor(i / values.length))
  }
  return into
}

/** Ids as small whole numbers, when they could not be shifted without losing digits. */
const compact = (prefix: PrefixBlocks, times: number): PrefixBlocks => {
  if ((largest(prefix.ids) + 1) * times <= Number.MAX_SAFE_INTEGER) return prefix
  const numbers = new Map<number, number>()
  const ids = prefix.ids.map((id) => {
    const known = numbers.get(id) ?? numbers.size
    numbers.set(id, known)
    return known
  })
  return { ...prefix, ids }
}

const repeatBlocks = (blocks: PrefixBlocks, times: number): PrefixBlocks => {
  const prefix = compact(blocks, times)
  const apart = largest(prefix.ids) + 1
  const rows = prefix.start.length - 1
  const start = new Uint32Array(rows * times + 1)
  for (let i = 1; i < start.length; i++) {
    start[i] = at(start, i - 1) + at(prefix.start, ((i - 1) % rows) + 1) - at(prefix.start, (i - 1) % rows)
  }
  return {
    ...prefix,
    start,
    ids: repeat(prefix.ids, new Float64Array(prefix.ids.length * times), (id, pass) => id + pass * apart)
  }
}

/**
 * The schedule `times` times, each pass `periodSeconds` after the one before.
 *
 * Later passes are new requests: they get ids, sessions and prefix blocks of their own, each by adding the largest of the
 * schedule (for blocks, one more) per pass. Within a pass prompts share what they share in the schedule; a server does not
 * find the blocks of one pass in what another left behind, which would make it look faster than it is.
 *
 * @category time
 * @since 0.2.0
 */
export const loop = (schedule: Schedule, times: number): Schedule => {
  if (times === 1 || schedule.length === 0) return schedule
  const length = schedule.length * times
  const period = periodSeconds(schedule)
  const uint32 = () => new Uint32Array(length)
  const ids = largest(schedule.id)
  const sessions = schedule.session === null ? 0 : largest(schedule.session)
  return {
    length,
    id: repeat(schedule.id, uint32(), (id, pass) => id + pass * ids),
    offsetSeconds: repeat(schedule.offsetSeconds, new Float64Array(length), (offset, pass) =>
      pass === 0 ? offset : later(offset, wholeTicks(period * pass, 0))
    ),
    inputTokens: repeat(schedule.inputTokens, uint32(), (tokens) => tokens),
    outputTokens: repeat(schedule.outputTokens, uint32(), (tokens) => tokens),
    session:
      schedule.session === null
        ? null
        : repeat(schedule.session, uint32(), (session, pass) => (session === 0 ? 0 : session + pass * sessions)),
    prefix: schedule.prefix === null ? null : repeatBlocks(schedule.prefix, times)
  }
}

/**
 * How many passes `loopFor` begins.
 *
 * @category getters
 * @since 0.2.0
 */
export const loopPasses = (schedule: Schedule, seconds: number): number =>
  Math.max(1, Math.ceil(seconds / periodSeconds(schedule)))

/**
 * The schedule over and over until `seconds`; rows due at that time or later are left out. Also cuts a longer one.
 *
 * @category time
 * @since 0.2.0
 */
export const loopFor = (schedule: Schedule, seconds: number): Schedule =>
  window(loop(schedule, loopPasses(schedule, seconds)), null, seconds)

const scaled = (tokens: Uint32Array, factor: number): Uint32Array =>
  tokens.map((count) => Math.min(LARGEST_COUNT, Math.max(1, Math.round(count * factor))))

/**
 * Prompts `factor` times as long, rounded, at least 1 token. Prefix blocks become longer or shorter in proportion, so that
 * prompts share the same part of their text as before.
 *
 * @category lengths
 * @since 0.2.0
 */
export const scaleInput = (schedule: Schedule, factor: number): Schedule => ({
  ...schedule,
  inputTokens: scaled(schedule.inputTokens, factor),
  prefix:
    schedule.prefix === null
      ? null
      : { ...schedule.prefix, blockTokens: Math.max(1, Math.round(schedule.prefix.blockTokens * factor)) }
})

/**
 * Answers `factor` times as long, rounded, at least 1 token.
 *
 * @category lengths
 * @since 0.2.0
 */
export const scaleOutput = (schedule: Schedule, factor: number): Schedule => ({
  ...schedule,
  outputTokens: scaled(schedule.outputTokens, factor)
})

const halfToEven = (value: number): number => {
  const below = Math.floor(value)
  const rest = value - below
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1
}

/**
 * At most `perSecond` rows of every second, the rows as numbers from 0 and in order.
 *
 * Seconds are counted from 0: a row belongs to the second that its offset without decimals says. Of n rows in a second
 * k = min(perSecond, n) are taken: all when k = n, the first when k = 1, else those at round(i (n − 1) / (k − 1)) for
 * i from 0 to k − 1, halves rounded to even, so that the first and the last are always among them. This is how LLMPerf's
 * schedule mode picks the requests that it measures.
 *
 * @category rows
 * @since 0.2.0
 */
export const pickPerSecond = (schedule: Schedule, perSecond: number): Uint32Array => {
  const picked: Array<number> = []
  for (let from = 0; from < schedule.length;) {
    const second = Math.floor(at(schedule.offsetSeconds, from))
    let to = from + 1
    while (to < schedule.length && Math.floor(at(schedule.offsetSeconds, to)) === second) to++
    const n = to - from
    const k = Math.min(perSecond, n)
    const step = k > 1 ? (n - 1) / (k - 1) : 0
    for (let i = 0; i < k; i++) picked.push(from + (k === n ? i : halfToEven(i * step)))
    from = to
  }
  return Uint32Array.from(picked)
}

/**
 * Thins the schedule to at most `perSecond` rows in every second, those that `pickPerSecond` takes. Seconds with fewer stay
 * as they are, and so do the offsets of the rows that stay: peaks are cut off, nothing is moved.
 *
 * @category rows
 * @since 0.2.0
 */
export const maxRate = (schedule: Schedule, perSecond: number): Schedule =>
  part(schedule, pickPerSecond(schedule, perSecond))

/**
 * All changes at once; `null` or `undefined` leaves one out.
 *
 * - `from`, `to`: seconds, see `window`; `speed`: a factor
 * - `loop`: how many passes, or `{ seconds }` to go on until then
 * - `maxRate`: rows per second; `limit`: rows
 * - `scaleInput`, `scaleOutput`: factors
 *
 * @category models
 * @since 0.2.0
 */
export interface Edits {
  readonly from?: number | null | undefined
  readonly to?: number | null | undefined
  readonly speed?: number | null | undefined
  readonly loop?: number | { readonly seconds: number } | null | undefined
  readonly maxRate?: number | null | undefined
  readonly limit?: number | null | undefined
  readonly scaleInput?: number | null | undefined
  readonly scaleOutput?: number | null | undefined
}

/**
 * The changes leave nothing to send, or make more than can be kept.
 *
 * @category errors
 * @since 0.2.0
 */
export class EditError extends Schema.TaggedError<EditError>("llmperf/workload/ScheduleEdit/EditError")("EditError", {
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

/**
 * The most rows that `apply` makes by looping; they take about 600 MB.
 *
 * @category constants
 * @since 0.2.0
 */
export const MAXIMUM_ROWS = 20_000_000

const looped = (schedule: Schedule, passes: NonNullable<Edits["loop"]>): Result.Result<Schedule, EditError> => {
  const times = typeof passes === "number" ? passes : loopPasses(schedule, passes.seconds)
  const rows = times * schedule.length
  if (rows > MAXIMUM_ROWS) {
    const problem = `The loop would have ${rows} rows, ${times} times ${schedule.length}, and ${MAXIMUM_ROWS} are the most`
    return Result.fail(new EditError({ problem }))
  }
  return Result.succeed(typeof passes === "number" ? loop(schedule, times) : loopFor(schedule, passes.seconds))
}

/**
 * Makes the changes in this order, whatever the order they were asked for in: window (in seconds of the file), speed, loop
 * (in seconds of the result), rate, limit, lengths.
 *
 * Fails with `EditError` when no row is left, a loop would have more than `MAXIMUM_ROWS`, or a row would be due after `DurationText.MOST_SECONDS`.
 *
 * @category combining
 * @since 0.2.0
 */
export const apply = (schedule: Schedule, edits: Edits): Result.Result<Schedule, EditError> => {
  let edited = schedule
  const { from = null, to = null } = edits
  if (from !== null || to !== null) edited = window(edited, from, to)
  if (edited.length === 0) {
    const end = to === null ? "" : ` and before ${to} s`
    return Result.fail(new EditError({ problem: `No row is due at ${from ?? 0} s or later${end}` }))
  }
  if (typeof edits.speed === "number") edited = speed(edited, edits.speed)
  if (edits.loop !== null && edits.loop !== undefined) {
    const result = looped(edited, edits.loop)
    if (Result.isFailure(result)) return result
    edited = result.success
    if (edited.length === 0) return Result.fail(new EditError({ problem: "No row is due before the loop ends" }))
  }
  if (typeof edits.maxRate === "number") edited = maxRate(edited, edits.maxRate)
  if (typeof edits.limit === "number") edited = limit(edited, edits.limit)
  if (typeof edits.scaleInput === "number") edited = scaleInput(edited, edits.scaleInput)
  if (typeof edits.scaleOutput === "number") edited = scaleOutput(edited, edits.scaleOutput)
  const last = edited.offsetSeconds[edited.length - 1] ?? 0
  return last <= MOST_SECONDS
    ? Result.succeed(edited)
    : Result.fail(
        new EditError({ problem: `The last row would be due after ${last} s, and ${MOST_SECONDS} s are the most` })
      )
}
