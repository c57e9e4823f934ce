import { type RunColumns } from "./reportColumns.ts"
import { rounded } from "./reportText.ts"

type Values = ReadonlyArray<number | null>

/**
 * TTFT by the length of the prompt: of `count` requests, those that are shown. Tokens and seconds.
 */
export interface Points {
  readonly count: number
  readonly inputTokens: Values
  readonly first: Values
}

/**
 * The requests that took longest from when they were due, the longest first. Seconds, of which `waited` were before it was
 * sent and `first` until the first token; `null` where that is not known. `failure` is why it did not succeed.
 */
export interface Slowest {
  readonly id: Values
  readonly start: Values
  readonly waited: Values
  readonly first: Values
  readonly whole: Values
  readonly inputTokens: Values
  readonly outputTokens: Values
  readonly failure: ReadonlyArray<string | null>
}

/** How many of the slowest requests are shown. */
const SLOWEST = 50

/** A fraction from 0 to 1 that looks random and is the same for the same number (a Weyl sequence by the golden ratio). */
const scattered = (n: number): number => (n * 0.618_033_988_749_895) % 1

export const points = (columns: RunColumns, most: number): Points => {
  const known: Array<number> = []
  for (let i = 0; i < columns.size; i++) {
    const isShown = columns.outcome[i] === -1 && columns.measured[i] === 1
    if (isShown && !Number.isNaN(columns.first[i]) && !Number.isNaN(columns.inputTokens[i])) known.push(i)
  }
  // One of each stretch of equal length, not always the same in it: a regular step could fall in with a period of the load
  const chosen =
    known.length <= most
      ? known
      : Array.from({ length: most }, (_, i) => known[Math.floor(((i + scattered(i)) * known.length) / most)] ?? 0)
  return {
    count: known.length,
    inputTokens: chosen.map((i) => columns.inputTokens[i] ?? null),
    first: chosen.map((i) => rounded(columns.first[i] ?? NaN))
  }
}

const at = (values: ReadonlyArray<number>, i: number): number => values[i] ?? NaN

export const slowest = (columns: RunColumns): Slowest => {
  const startOf = (i: number): number => {
    const due = at(columns.due, i)
    return Number.isNaN(due) ? at(columns.sent, i) : due
  }
  const wholeOf = (i: number): number => {
    const whole = at(columns.end, i) - startOf(i)
    return Number.isNaN(whole) ? at(columns.total, i) : whole
  }
  const sorted = Array.from({ length: columns.size }, (_, i) => ({ i, whole: wholeOf(i) }))
    .filter(({ whole }) => whole > 0)
    .toSorted((a, b) => b.whole - a.whole)
    .slice(0, SLOWEST)
    .map(({ i }) => i)
  const values = (of: (i: number) => number): Values => sorted.map((i) => rounded(of(i)))
  const counts = (of: ReadonlyArray<number>): Values => sorted.map((i) => (Number.isNaN(at(of, i)) ? null : at(of, i)))
  return {
    id: counts(columns.id),
    start: values(startOf),
    waited: values((i) => Math.max(0, at(columns.lag, i))),
    first: values((i) => at(columns.first, i)),
    whole: values(wholeOf),
    inputTokens: counts(columns.inputTokens),
    outputTokens: counts(columns.outputTokens),
    failure: sorted.map((i) => columns.reasons[at(columns.outcome, i)] ?? null)
  }
}
