import { spread, type Spread } from "./Statistics.ts"

/** What has to be reached, and whether the median does. */
export interface Bar {
  readonly text: string
  readonly met: boolean
}

/**
 * One line of a table. `against` compares each run of ours with the run of the hand-written client beside it; the bar is
 * for that comparison, or for our figure where there is none. `better` says which way the comparison gets better.
 */
export interface Row {
  readonly what: string
  readonly unit: string
  readonly ours: Spread
  readonly handwritten: Spread | null
  readonly against: ({ readonly kind: "ratio" | "difference" } & Spread) | null
  readonly better: "lower" | "higher"
  readonly bar: Bar | null
}

export interface Limit {
  readonly atMost?: number
  readonly atLeast?: number
}

/** A figure that has to reach something is better the higher it is; of all others less is better. */
const betterOf = (limit: Limit): Row["better"] => (limit.atLeast === undefined ? "lower" : "higher")

const judge = (value: number, limit: Limit, write: (value: number) => string): Bar | null => {
  if (limit.atMost !== undefined) return { text: `≤ ${write(limit.atMost)}`, met: value <= limit.atMost }
  if (limit.atLeast !== undefined) return { text: `≥ ${write(limit.atLeast)}`, met: value >= limit.atLeast }
  return null
}

/** A figure of ours alone. */
export const absolute = (
  what: string,
  unit: string,
  ours: ReadonlyArray<number>,
  limit: Limit = {},
  handwritten: ReadonlyArray<number> | null = null
): Row => {
  const figure = spread(ours)
  return {
    what,
    unit,
    ours: figure,
    handwritten: handwritten === null ? null : spread(handwritten),
    against: null,
    better: betterOf(limit),
    bar: judge(figure.median, limit, (value) => `${value} ${unit}`)
  }
}

const compared = (
  kind: "ratio" | "difference",
  compare: (ours: number, handwritten: number) => number,
  write: (value: number, unit: string) => string
) => {
  return (
    what: string,
    unit: string,
    ours: ReadonlyArray<number>,
    handwritten: ReadonlyArray<number>,
    limit: Limit = {}
  ): Row => {
    const against = spread(ours.map((value, index) => compare(value, handwritten[index] ?? 0)))
    return {
      what,
      unit,
      ours: spread(ours),
      handwritten: spread(handwritten),
      against: { kind, ...against },
      better: betterOf(limit),
      bar: judge(against.median, limit, (value) => write(value, unit))
    }
  }
}

/** Our figure divided by that of the hand-written client, pair by pair. */
export const ratio = compared(
  "ratio",
  (ours, handwritten) => ours / handwritten,
  (value) => `${value}×`
)

/** Our figure less that of the hand-written client, pair by pair. */
export const difference = compared(
  "difference",
  (ours, handwritten) => ours - handwritten,
  (value, unit) => `+${value} ${unit}`
)
