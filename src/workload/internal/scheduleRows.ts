import { MOST_SECONDS } from "../../domain/DurationText.ts"
import type { Schedule } from "../../domain/Schedule.ts"
import type { Format, Instant } from "../trace/Format.ts"
import { neededColumns } from "../trace/Formats.ts"
import { isBlank, TICKS } from "./scheduleCells.ts"
import * as Columns from "./scheduleColumns.ts"
import type { Problems } from "./scheduleProblems.ts"

/** The cell of the current row in a column; `undefined` when the row or the file has none. */
export type Cell = () => unknown

/** What checks lengths beyond the format: the smallest prompt that can be built, in tokens. */
export type MinimumInputTokens = (outputTokens: number) => number

const noCell: Cell = () => undefined

const trimmed = (cell: unknown): unknown => (typeof cell === "string" ? cell.trim() : cell)

/**
 * Reads rows of a format into columns. `cellOf` binds a column once, so that a row costs no look-up by name.
 */
export const make = (
  format: Format,
  cellOf: (column: string) => Cell,
  problems: Problems,
  minimumInputTokens: MinimumInputTokens | undefined
) => {
  const columns = Columns.make()
  const { blocks, sessions, skipZero, time, tokens } = format
  const [timeCell, inputCell, outputCell] = neededColumns(format).map(cellOf)
  const firstCell = sessions === null ? noCell : cellOf(sessions.columns[0])
  const secondCell = sessions?.columns[1] === undefined ? noCell : cellOf(sessions.columns[1])
  const sessionOf = sessions === null ? () => 0 : sessions.make()
  const blocksCell = blocks === null ? noCell : cellOf(blocks.column)

  const instant: Instant = { seconds: 0, ticks: 0 }
  let origin: number | undefined
  let rows = 0
  let skipped = 0
  let line = 0

  // Times count from the first row, so that ticks of any date fit into a double.
  const timeOf = (cell: unknown): number => {
    if (time.kind === "offset") return time.read(cell)
    if (!time.read(cell, instant)) return Number.NaN
    origin ??= instant.seconds
    return (instant.seconds - origin) * TICKS + instant.ticks
  }

  const readBlocks = (add: (id: number) => void): boolean => {
    const cell = blocksCell()
    return blocks === null || isBlank(cell) || blocks.read(cell, add)
  }
  // A row that turns out to be wrong must not leave its blocks behind.
  const pending: Array<number> = []
  const addPending = (id: number): void => {
    pending.push(id)
  }

  return {
    columns,
    rows: (): number => rows,
    skipped: (): number => skipped,
    /** Takes the row that the cells now give. */
    read: (at: number): void => {
      rows++
      line = at
      const before = problems.count()
      const timeText = trimmed(timeCell?.())
      const moment = timeOf(timeText)
      if (Number.isNaN(moment)) problems.add(line, format.timeColumn, timeText, time.expected)
      else if (time.kind === "offset" && moment > MOST_SECONDS) {
        problems.add(line, format.timeColumn, timeText, `at most ${MOST_SECONDS} s after the start`)
      } else if (!Number.isSafeInteger(moment) && time.kind === "instant") {
        problems.add(line, format.timeColumn, timeText, "a time within 28 years of the first row")
      }

      const inputText = trimmed(inputCell?.())
      const outputText = trimmed(outputCell?.())
      const input = tokens.read(inputText)
      const output = tokens.read(outputText)
      const zero = skipZero !== null && (input === 0 || output === 0)
      if (!(input > 0) && !(zero && input === 0)) problems.add(line, format.inputColumn, inputText, tokens.expected)
      if (!(output > 0) && !(zero && output === 0)) problems.add(line, format.outputColumn, outputText, tokens.expected)

      pending.length = 0
      if (!readBlocks(addPending)) problems.add(line, blocks?.column ?? null, blocksCell(), blocks?.expected ?? "")
      // Also for a row that is left out: it may have begun the conversation
      const session = sessionOf(firstCell(), secondCell())

      if (problems.count() > before) return
      if (zero) {
        skipped++
        return
      }
      // A prompt of blocks needs no instruction and can have any length
      const minimum = pending.length === 0 ? (minimumInputTokens?.(output) ?? 1) : 1
      if (input < minimum) {
        const why = `at least ${minimum} tokens, the shortest prompt that asks for ${output} output tokens`
        problems.add(line, format.inputColumn, inputText, why)
        return
      }
      for (const id of pending) columns.addBlock(id)
      columns.add(rows, moment, input, output, session)
    },
    finish: (): { readonly schedule: Schedule; readonly sorted: boolean } =>
      columns.finish(time.kind === "instant" ? "ticks" : "seconds", blocks?.blockTokens ?? 1)
  }
}

export type Rows = ReturnType<typeof make>
