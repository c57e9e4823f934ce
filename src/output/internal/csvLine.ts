import type { Cell } from "./exportColumns.ts"

const special = /[,"\r\n]/
/** Readers take one at the beginning of a file for a mark, and leave it out. */
const MARK = "\uFEFF"

/** What spreadsheets begin a formula with, or leave out before one; in the wide letters of East Asian scripts, too. */
const formula = /^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/
/** A text that is no more than a number is not harmful, and stays one: an error code may be `-1`. */
const plainNumber = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/**
 * A text that is shown as it is: many of them come from the server under test, and spreadsheets run what looks like a formula. The `'` before
 * it is what spreadsheets themselves mark a text with.
 */
const neutral = (text: string): string => (formula.test(text) && !plainNumber.test(text) ? `'${text}` : text)

const cellText = (cell: Cell): string => {
  if (cell === null) return ""
  if (typeof cell !== "string") return String(cell)
  const text = neutral(cell)
  return special.test(text) || text.startsWith(MARK) ? `"${text.replaceAll('"', '""')}"` : text
}

/** A row of CSV as RFC 4180 has it, with its end. `null` is nothing between two commas; no text is a formula. */
export const csvLine = (cells: ReadonlyArray<Cell>): string => `${cells.map(cellText).join(",")}\r\n`
