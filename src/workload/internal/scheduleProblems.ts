/** What is wrong at one place of a file: where that is known, what is there, and what should be. */
export interface Found {
  readonly line: number | null
  readonly column: string | null
  readonly value: string | null
  readonly expected: string
}

const LONGEST_VALUE = 60

const textOf = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE - 1)}…` : text
}

/** Keeps the first problems and counts the others. */
export const make = (limit: number) => {
  const kept: Array<Found> = []
  let count = 0
  return {
    kept,
    count: (): number => count,
    add: (line: number | null, column: string | null, value: unknown, expected: string): void => {
      count++
      if (kept.length < limit) kept.push({ line, column, value: value === undefined ? null : textOf(value), expected })
    }
  }
}

export type Problems = ReturnType<typeof make>
