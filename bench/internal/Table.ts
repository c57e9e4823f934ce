import { type Environment } from "./Environment.ts"
import { type PartResult } from "./Part.ts"
import { type Row } from "./Row.ts"
import { type Spread } from "./Statistics.ts"

/** A table of text: a heading, the titles of its columns, its cells. */
export interface Grid {
  readonly title: string
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

export const number = (value: number): string => {
  const size = Math.abs(value)
  return value.toFixed(size >= 1_000 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)
}

/** The median, and the lowest and highest in brackets where they differ. */
export const figure = (
  { median, min, max }: Spread,
  unit: string,
  write: (value: number) => string = number
): string => {
  const middle = `${write(median)}${unit}`
  return min === max ? middle : `${middle} (${write(min)} to ${write(max)})`
}

export const signed = (value: number): string => `${value < 0 ? "" : "+"}${number(value)}`

const againstOf = ({ against, unit }: Row): string => {
  if (against === null) return ""
  return against.kind === "ratio" ? figure(against, "×") : figure(against, ` ${unit}`, signed)
}

const columnsOf = ({ sides }: PartResult) => ["", ...(sides ?? ["llmperf", "hand-written"]), "compared", "bar", "met"]

const cellsOf = (row: Row): ReadonlyArray<string> => [
  row.what,
  figure(row.ours, ` ${row.unit}`),
  row.handwritten === null ? "" : figure(row.handwritten, ` ${row.unit}`),
  againstOf(row),
  row.bar?.text ?? "",
  row.bar === null ? "" : row.bar.met ? "yes" : "NO"
]

/** A Markdown table whose columns line up when read as text. */
const table = (columns: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = columns.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" | ")} |`
  return [line(columns), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const facts = (environment: Environment): string =>
  Object.entries(environment)
    .map(([name, value]) => `- ${name.replaceAll("_", " ")}: ${value}`)
    .join("\n")

/** The settings, then a table for every part. Figures are medians, with the lowest and highest in brackets. */
export const render = (environment: Environment, parts: ReadonlyArray<PartResult>): string =>
  [
    facts(environment),
    ...parts.flatMap((part) => [
      `### ${part.name}`,
      `${part.settings}.`,
      table(columnsOf(part), part.rows.map(cellsOf))
    ])
  ].join("\n\n")

/** The settings, then tables of text, then sentences. */
export const renderGrids = (
  environment: Environment,
  grids: ReadonlyArray<Grid>,
  sentences: ReadonlyArray<string>
): string =>
  [
    facts(environment),
    ...grids.flatMap(({ title, columns, rows }) => [`### ${title}`, table(columns, rows)]),
    ...(sentences.length > 0 ? [sentences.map((sentence) => `- ${sentence}`).join("\n")] : [])
  ].join("\n\n")
