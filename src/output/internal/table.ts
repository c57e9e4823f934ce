import * as Text from "./text.ts"

/** A column of a table. `priority` 0 is always shown; of the others the highest number goes first when room is short. */
export interface TableColumn {
  readonly title: string
  readonly priority: number
}

/** A row: its label, and one cell per column. */
export interface TableRow {
  readonly label: string
  readonly cells: ReadonlyArray<string>
}

const GAP = 2

/**
 * Lines of a table: labels on the left, cells aligned to the right under their titles. Columns that do not fit into
 * `columns` are left out; labels are cut when even that is not enough. The first line is the header.
 */
export const table = (
  columns: ReadonlyArray<TableColumn>,
  rows: ReadonlyArray<TableRow>,
  options: { readonly columns: number }
): Array<string> => {
  const widths = columns.map((column, index) =>
    Math.max(Text.width(column.title), ...rows.map((row) => Text.width(row.cells[index] ?? "")))
  )
  const labelWidth = Math.max(0, ...rows.map((row) => Text.width(row.label)))
  const shown = new Set(columns.map((_, index) => index))
  const cellsWidth = () => [...shown].reduce((sum, index) => sum + GAP + (widths[index] ?? 0), 0)

  const byPriority = columns
    .map((column, index) => ({ index, priority: column.priority }))
    .filter((column) => column.priority > 0)
    .toSorted((a, b) => b.priority - a.priority)
  for (const { index } of byPriority) {
    if (labelWidth + cellsWidth() <= options.columns) break
    shown.delete(index)
  }
  const room = Math.max(1, Math.min(labelWidth, options.columns - cellsWidth()))

  const line = (label: string, cells: ReadonlyArray<string>) =>
    [
      Text.padEnd(Text.truncate(label, room), room),
      ...[...shown].map((index) => " ".repeat(GAP) + Text.padStart(cells[index] ?? "", widths[index] ?? 0))
    ].join("")

  return [
    line(
      "",
      columns.map((column) => column.title)
    ),
    ...rows.map((row) => line(row.label, row.cells))
  ]
}
