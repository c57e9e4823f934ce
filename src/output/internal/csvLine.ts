import type { Cell } from "./exportColumns.ts"

const special = /[,"\r\n]/
/** Readers take one at the beginning of a file for a mark, and leave it out. */
const MARK = "\uFEFF"

const cellText = (cell: Cell): string => {
  if (cell === null) return ""
  if (typeof cell !== "string") return String(cell)
  return special.test(cell) || cell.startsWith(MARK) ? `"${cell.replaceAll('"', '""')}"` : cell
}

/** A row of CSV as RFC 4180 has it, with its end. `null` is nothing between two commas. */
export const csvLine = (cells: ReadonlyArray<Cell>): string => `${cells.map(cellText).join(",")}\r\n`
