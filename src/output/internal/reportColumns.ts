import { type Fields } from "../../domain/Fields.ts"
import { errorKind } from "./errorKind.ts"

/**
 * The requests of a run, a column for each number; NaN is what is not known. Seconds; moments are offsets from the start.
 *
 * - `due`: when the request was to be sent; `first`: to its first token; `total`: until its end, whatever became of it
 * - `outcome`: −1 when it succeeded, otherwise the place of its reason among `reasons`
 * - `measured`: 0 for a request that is in the totals only
 * - `uncounted`: 1 for an answer whose tokens are not known
 */
export interface RunColumns {
  readonly size: number
  readonly id: ReadonlyArray<number>
  readonly due: ReadonlyArray<number>
  readonly sent: ReadonlyArray<number>
  readonly end: ReadonlyArray<number>
  readonly first: ReadonlyArray<number>
  readonly total: ReadonlyArray<number>
  readonly itl: ReadonlyArray<number>
  readonly lag: ReadonlyArray<number>
  readonly scheduledFirst: ReadonlyArray<number>
  readonly scheduledTotal: ReadonlyArray<number>
  readonly speed: ReadonlyArray<number>
  readonly inputTokens: ReadonlyArray<number>
  readonly outputTokens: ReadonlyArray<number>
  readonly outcome: ReadonlyArray<number>
  readonly measured: ReadonlyArray<number>
  readonly uncounted: ReadonlyArray<number>
  readonly reasons: ReadonlyArray<string>
}

/** The same requests with their moments so many seconds later. */
export const shifted = (columns: RunColumns, seconds: number): RunColumns => {
  const later = (moments: ReadonlyArray<number>): ReadonlyArray<number> => moments.map((at) => at + seconds)
  return { ...columns, due: later(columns.due), sent: later(columns.sent), end: later(columns.end) }
}

/** LLMPerf writes 0 or −1 where nothing came. */
const positive = (value: number): number => (value > 0 ? value : NaN)

const LONGEST_REASON = 60

const isWord = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number"

/** Why a request did not succeed, in a few words: `HTTP 503`. LLMPerf has a code alone. */
export const reasonText = (reason: unknown, code: unknown): string => {
  const known = isWord(code) ? code : null
  const words = isWord(reason) ? errorKind(String(reason), known) : String(known ?? "")
  return words.slice(0, LONGEST_REASON) || "unknown"
}

/** Takes records in and gives columns out. */
export const makeColumns = () => {
  const id: Array<number> = []
  const due: Array<number> = []
  const sent: Array<number> = []
  const end: Array<number> = []
  const first: Array<number> = []
  const total: Array<number> = []
  const itl: Array<number> = []
  const lag: Array<number> = []
  const scheduledFirst: Array<number> = []
  const scheduledTotal: Array<number> = []
  const speed: Array<number> = []
  const inputTokens: Array<number> = []
  const outputTokens: Array<number> = []
  const outcome: Array<number> = []
  const measured: Array<number> = []
  const uncounted: Array<number> = []
  const reasons = new Map<string, number>()
  let ours = false

  const reasonIndex = (record: Fields): number => {
    const reason = reasonText(record["error_reason"], record["error_code"])
    const known = reasons.get(reason)
    if (known !== undefined) return known
    reasons.set(reason, reasons.size)
    return reasons.size - 1
  }

  const add = (record: Fields): void => {
    const number = (key: string): number => {
      const value = record[key]
      return typeof value === "number" && Number.isFinite(value) ? value : NaN
    }
    const isOurs = "sent_offset_s" in record
    ours ||= isOurs
    const between = "mean_inter_token_latency_s" in record ? "mean_inter_token_latency_s" : "inter_token_latency_s"
    id.push("request_id" in record ? number("request_id") : id.length + 1)
    due.push(number("intended_offset_s"))
    sent.push(isOurs ? number("sent_offset_s") : number("start_time"))
    end.push(isOurs ? number("end_offset_s") : number("end_time"))
    first.push(positive(number("ttft_s")))
    total.push(positive(number("end_to_end_latency_s")))
    itl.push(positive(number(between)))
    lag.push(number("dispatch_lag_s"))
    scheduledFirst.push(number("scheduled_ttft_s"))
    scheduledTotal.push(number("scheduled_end_to_end_latency_s"))
    speed.push(number("request_output_throughput_token_per_s"))
    inputTokens.push(number("number_input_tokens"))
    outputTokens.push(number("number_output_tokens"))
    outcome.push(record["error_code"] === null ? -1 : reasonIndex(record))
    measured.push(record["sampled"] === false ? 0 : 1)
    uncounted.push(record["error_code"] === null && record["number_output_tokens"] === null ? 1 : 0)
  }

  const columns = (): RunColumns => {
    // The records of LLMPerf hold the time of day
    const start = ours ? 0 : sent.reduce((least, at) => (at < least ? at : least), Infinity)
    const offset = (at: number): number => at - start
    return {
      size: id.length,
      id,
      due,
      sent: start === 0 ? sent : sent.map(offset),
      end: start === 0 ? end : end.map(offset),
      first,
      total,
      itl,
      lag,
      scheduledFirst,
      scheduledTotal,
      speed,
      inputTokens,
      outputTokens,
      outcome,
      measured,
      uncounted,
      reasons: [...reasons.keys()]
    }
  }

  return { add, columns }
}

/** The values of the requests that are in distributions, ascending. */
export const sortedValues = (columns: RunColumns, values: ReadonlyArray<number>): Float64Array => {
  const chosen: Array<number> = []
  for (let i = 0; i < columns.size; i++) {
    const value = values[i] ?? NaN
    if (columns.outcome[i] === -1 && columns.measured[i] === 1 && !Number.isNaN(value)) chosen.push(value)
  }
  return Float64Array.from(chosen).toSorted()
}
