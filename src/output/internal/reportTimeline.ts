import * as Quantile from "../../metrics/Quantile.ts"
import { type RunColumns } from "./reportColumns.ts"
import { roundUp } from "./reportDistribution.ts"
import { rounded } from "./reportText.ts"

type Values = ReadonlyArray<number | null>

/**
 * A run over time, in slices of `step` seconds from its start; all lists are of the same length. The last
 * slice reaches to the end of the run: up to two steps, as a few requests in the moment that is left would be no rate.
 *
 * - `planned`: requests due per second, `null` in a closed loop; `sent`, `ended`: the same for requests that were sent and
 *   those that succeeded
 * - `inFlight`: the mean number of requests in flight
 * - `tokens`: output tokens per second; those of an answer evenly over its chunks where it is known when these came, otherwise
 *   spread evenly from its first token to its end; `null` while an answer came whose tokens are not known
 * - `first50`, `first99`: TTFT of the requests sent in the slice; `lag50`, `lag99`, `lagMost`: their dispatch lag. Seconds
 * - `errors`: for each reason, how many requests ended with it
 */
export interface Timeline {
  readonly step: number
  readonly planned: Values | null
  readonly sent: Values
  readonly ended: Values
  readonly inFlight: Values
  readonly tokens: Values
  readonly first50: Values
  readonly first99: Values
  readonly lag50: Values
  readonly lag99: Values
  readonly lagMost: Values
  readonly errors: ReadonlyArray<{ readonly reason: string; readonly counts: ReadonlyArray<number> }>
}

const MOST_SLICES = 150
const FEWEST_SLICES = 40
/** With fewer in a slice, the lines show chance and little else. */
const REQUESTS_PER_SLICE = 10
/** More reasons than this are not told apart by colour. */
const MOST_REASONS = 6

/** The width of a slice for runs that are shown together. */
export const stepFor = (runs: ReadonlyArray<{ readonly span: number; readonly size: number }>): number => {
  const span = Math.max(...runs.map(({ span }) => span))
  const size = Math.max(...runs.map(({ size }) => size))
  const slices = Math.min(MOST_SLICES, Math.max(FEWEST_SLICES, size / REQUESTS_PER_SLICE))
  return roundUp(span / slices)
}

/** How long the run took by its requests; NaN when they do not say when they were sent. */
export const spanOf = ({ due, end, sent }: RunColumns): number => {
  let last = NaN
  for (const moments of [due, sent, end]) for (const at of moments) if (!(at <= last) && !Number.isNaN(at)) last = at
  return last
}

/** Spreads an amount evenly over a stretch of time. */
const spread = (into: Float64Array, step: number, from: number, to: number, amount: number): void => {
  const first = Math.max(0, Math.floor(from / step))
  if (!(to > from)) {
    const only = Math.min(first, into.length - 1)
    into[only] = (into[only] ?? 0) + amount
    return
  }
  const last = Math.min(into.length - 1, Math.floor(to / step))
  for (let i = Math.min(first, last); i <= last; i++) {
    const end = i === into.length - 1 ? to : Math.min(to, (i + 1) * step)
    const overlap = end - Math.max(from, i * step)
    into[i] = (into[i] ?? 0) + (amount * overlap) / (to - from)
  }
}

const quantilesOf = (slices: ReadonlyArray<Array<number>>, q: number): Values =>
  slices.map((values) => (values.length === 0 ? null : rounded(Quantile.quantile(values, q) ?? NaN)))

/** Ascending values of each slice. */
const grouped = (length: number) => {
  const slices = Array.from({ length }, (): Array<number> => [])
  return {
    add: (slice: number, value: number): void => {
      if (!Number.isNaN(value)) slices[slice]?.push(value)
    },
    sorted: (): ReadonlyArray<Array<number>> => {
      for (const values of slices) values.sort((a, b) => a - b)
      return slices
    }
  }
}

/** How many whole slices there are. */
const lengthFor = (span: number, step: number): number => Math.max(1, Math.floor(span / step + 1e-9))

/** Tokens in each slice by the times of chunks, and the ids of the requests whose chunks they are of. */
export interface ChunkTokens {
  readonly tokens: Float64Array
  readonly requests: ReadonlySet<number>
}

/** Takes chunks in, in seconds from the start, and spreads the tokens of their request evenly over them. */
export const makeChunkTokens = (columns: RunColumns, step: number) => {
  const tokens = new Float64Array(lengthFor(spanOf(columns), step))
  const requests = new Set<number>()
  const produced = new Map(columns.id.map((id, i) => [id, columns.outcome[i] === -1 ? columns.outputTokens[i] : NaN]))
  return {
    add: (id: number, chunkSeconds: Float64Array): void => {
      const all = produced.get(id) ?? NaN
      if (!(all > 0) || chunkSeconds.length === 0) return
      requests.add(id)
      for (const at of chunkSeconds) {
        const slice = Math.min(tokens.length - 1, Math.max(0, Math.floor(at / step)))
        tokens[slice] = (tokens[slice] ?? 0) + all / chunkSeconds.length
      }
    },
    tokens: (): ChunkTokens => ({ tokens, requests })
  }
}

export const timeline = (
  columns: RunColumns,
  step: number,
  isOpen: boolean,
  chunks: ChunkTokens | null
): Timeline | null => {
  const span = spanOf(columns)
  if (Number.isNaN(span)) return null
  const length = lengthFor(span, step)
  const zeros = (): Float64Array => new Float64Array(length)
  const planned = zeros()
  const sent = zeros()
  const ended = zeros()
  const inFlight = zeros()
  const tokens = chunks === null ? zeros() : chunks.tokens
  const unknown = zeros()
  const first = grouped(length)
  const lag = grouped(length)
  const errors = columns.reasons.map(zeros)
  const sliceAt = (at: number): number => Math.min(length - 1, Math.max(0, Math.floor(at / step)))
  const increase = (into: Float64Array, at: number): void => {
    if (!Number.isNaN(at)) into[sliceAt(at)] = (into[sliceAt(at)] ?? 0) + 1
  }
  for (let i = 0; i < columns.size; i++) {
    const start = columns.sent[i] ?? NaN
    const end = columns.end[i] ?? NaN
    const outcome = columns.outcome[i] ?? -1
    increase(planned, columns.due[i] ?? NaN)
    increase(sent, start)
    if (!Number.isNaN(start) && !Number.isNaN(end)) spread(inFlight, step, start, end, end - start)
    const failures = errors[outcome]
    if (failures !== undefined) {
      increase(failures, Number.isNaN(end) ? start : end)
      continue
    }
    increase(ended, end)
    const firstAt = start + (columns.first[i] ?? NaN)
    const produced = columns.outputTokens[i] ?? NaN
    if (columns.uncounted[i] === 1 && !Number.isNaN(end)) {
      unknown.fill(1, sliceAt(Number.isNaN(firstAt) ? start : firstAt), sliceAt(end) + 1)
    }
    const isChunked = chunks?.requests.has(columns.id[i] ?? NaN) === true
    if (produced > 0 && !isChunked && !Number.isNaN(end))
      spread(tokens, step, Number.isNaN(firstAt) ? start : firstAt, end, produced)
    if (columns.measured[i] === 1 && !Number.isNaN(start)) {
      first.add(sliceAt(start), columns.first[i] ?? NaN)
      lag.add(sliceAt(start), columns.lag[i] ?? NaN)
    }
  }
  const width = (i: number): number => Math.max(i < length - 1 ? step : span - i * step, step / 1000)
  const perSecond = (amounts: Float64Array): Values => Array.from(amounts, (amount, i) => rounded(amount / width(i)))
  const firsts = first.sorted()
  const lags = lag.sorted()
  return {
    step,
    planned: isOpen ? perSecond(planned) : null,
    sent: perSecond(sent),
    ended: perSecond(ended),
    inFlight: perSecond(inFlight),
    tokens: perSecond(tokens).map((rate, i) => (unknown[i] === 1 ? null : rate)),
    first50: quantilesOf(firsts, 0.5),
    first99: quantilesOf(firsts, 0.99),
    lag50: quantilesOf(lags, 0.5),
    lag99: quantilesOf(lags, 0.99),
    lagMost: quantilesOf(lags, 1),
    errors: mostFrequent(columns.reasons.map((reason, i) => ({ reason, counts: Array.from(errors[i] ?? []) })))
  }
}

const total = (counts: ReadonlyArray<number>): number => counts.reduce((sum, count) => sum + count, 0)

const mostFrequent = (errors: Timeline["errors"]): Timeline["errors"] => {
  const sorted = errors.toSorted((a, b) => total(b.counts) - total(a.counts))
  if (sorted.length <= MOST_REASONS) return sorted
  const rest = sorted.slice(MOST_REASONS - 1)
  const counts = rest.reduce<ReadonlyArray<number>>(
    (sum, next) => sum.map((count, i) => count + (next.counts[i] ?? 0)),
    [...(rest[0]?.counts.map(() => 0) ?? [])]
  )
  return [...sorted.slice(0, MOST_REASONS - 1), { reason: `${rest.length} other reasons`, counts }]
}
