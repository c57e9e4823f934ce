import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import * as Stream from "effect/Stream"
import type { Format } from "../trace/Format.ts"
import { neededColumns } from "../trace/Formats.ts"
import { isBlank } from "./scheduleCells.ts"
import type { Problems } from "./scheduleProblems.ts"
import type { Cell, Rows } from "./scheduleRows.ts"
import type { Parts } from "./scheduleText.ts"

/** What a reader of a syntax needs to make rows of what it reads. */
export interface Target {
  readonly problems: Problems
  readonly formatOf: (columns: ReadonlyArray<string>) => Format
  readonly rowsOf: (format: Format, cellOf: (column: string) => Cell) => Rows
}

/** Says which columns the format needs and the file lacks. */
export const checkColumns = (
  line: number,
  format: Format,
  columns: ReadonlyArray<string>,
  what: string,
  problems: Problems
): boolean => {
  const missing = neededColumns(format).filter((name) => !columns.includes(name))
  for (const name of missing) problems.add(line, name, undefined, `${what}, which has: ${columns.join(", ")}`)
  return missing.length === 0
}

// Such a row is none of a schedule, and must not fill the memory.
const LONGEST_ROW = 1_024 * 1_024

const lineEnds = /\r\n|\r|\n/g

const lineEndsIn = (record: Csv.Row): number => {
  let count = 0
  for (const cell of record) count += cell.match(lineEnds)?.length ?? 0
  return count
}

/** Reads a table whose first line names its columns. Gives nothing when that line is not there or is wrong. */
export const read = Effect.fnUntraced(function* (parts: Parts, target: Target) {
  const { problems } = target
  // Only quoted cells can hold line ends
  let quotes = false
  let line = 1
  let width = 0
  let record: Csv.Row = []
  let rows: Rows | undefined
  let wrongHeader = false

  const readHeader = (at: number): void => {
    const names = record.map((name) => name.trim())
    const format = target.formatOf(names)
    wrongHeader = !checkColumns(at, format, names, "a column of this name in the header", problems)
    for (const name of neededColumns(format)) {
      if (names.indexOf(name) === names.lastIndexOf(name)) continue
      wrongHeader = true
      problems.add(at, name, undefined, "one column of this name, and the header has two")
    }
    if (wrongHeader) return
    width = names.length
    rows = target.rowsOf(format, (column) => {
      const index = names.indexOf(column)
      return () => record[index]
    })
  }

  const take = (records: ReadonlyArray<Csv.Row>): void => {
    for (const next of records) {
      record = next
      const at = line
      line += 1 + (quotes ? lineEndsIn(next) : 0)
      if (isBlank(next[0]) && next.every(isBlank)) continue
      if (rows === undefined) {
        readHeader(at)
        if (wrongHeader) return
      } else if (next.length === width) rows.read(at)
      else problems.add(at, null, `${next.length} cells`, `${width}, as in the header`)
    }
  }

  yield* parts.pipe(
    Stream.map((part) => {
      quotes ||= part.includes('"')
      return part
    }),
    Stream.pipeThroughChannel(Csv.decodeString({ maxRecordSize: LONGEST_ROW })),
    Stream.mapArray((records) => {
      take(records)
      return [wrongHeader] as const
    }),
    Stream.takeUntil((wrong) => wrong),
    Stream.runDrain,
    Effect.catchTag("CsvError", (error) =>
      Effect.sync(() =>
        problems.add(
          error.line,
          null,
          undefined,
          error.kind === "RecordSize" ? `CSV with rows of at most ${LONGEST_ROW} characters` : `CSV: ${error.message}`
        )
      )
    )
  )
  return rows
})
