/**
 * The agents of a fleet as text for people, and as JSON.
 *
 * @since 0.2.0
 */
import { type Limits } from "../domain/CalibrationResults.ts"
import type { RenderOptions } from "./Console.ts"
import * as Json from "./internal/Json.ts"
import { style } from "./internal/style.ts"
import { table, type TableColumn } from "./internal/table.ts"
import * as Text from "./internal/text.ts"

/**
 * What an agent says of itself and of its machine, see `LoadAgent.AgentProfile`, and how its clock stands: what it shows more than
 * ours, and how long a question and its answer took. Clocks count from a moment of their own on every machine.
 *
 * @category models
 * @since 0.2.0
 */
export interface Answer {
  readonly protocol: number
  readonly version: string
  readonly host: string
  readonly pid: number
  readonly cores: number
  readonly memoryBytes: number
  readonly load: number
  readonly openFiles: number | null
  readonly limits: Limits | null
  readonly session: string | null
  readonly clock: { readonly offsetNanos: number; readonly roundTripNanos: number }
}

/**
 * An agent: what it has answered, or why it cannot be used.
 *
 * @category models
 * @since 0.2.0
 */
export type Line =
  | { readonly name: string; readonly answer: Answer; readonly problem: null }
  | { readonly name: string; readonly answer: null; readonly problem: string }

const columnsOf: ReadonlyArray<TableColumn> = [
  { title: "version", priority: 4 },
  { title: "cores", priority: 0 },
  { title: "memory", priority: 5 },
  { title: "load", priority: 2 },
  { title: "open files", priority: 6 },
  { title: "requests/s", priority: 3 },
  { title: "tokens/s", priority: 3 },
  { title: "clock", priority: 8 },
  { title: "round trip", priority: 7 },
  { title: "state", priority: 0 }
]

const MIN_COLUMNS = 40
const UNKNOWN = "–"

const count = (value: number | undefined): string => (value === undefined ? UNKNOWN : value.toFixed(0))

const signed = (seconds: number): string => `${seconds < 0 ? "−" : "+"}${Math.abs(seconds).toFixed(3)} s`

const cells = (answer: Answer): ReadonlyArray<string> => [
  Text.oneLine(answer.version),
  String(answer.cores),
  `${(answer.memoryBytes / 1e9).toFixed(1)} GB`,
  Text.percent(answer.load),
  count(answer.openFiles ?? undefined),
  count(answer.limits?.requests.per_s),
  count((answer.limits?.paced_tokens ?? answer.limits?.tokens)?.per_s),
  signed(answer.clock.offsetNanos / 1e9),
  `${(answer.clock.roundTripNanos / 1e6).toFixed(2)} ms`,
  answer.session === null ? "free" : `works for ${Text.oneLine(answer.session)}`
]

const unknown = columnsOf.map(({ title }) => (title === "state" ? "cannot be used" : UNKNOWN))

/**
 * A row for each agent, not wider than `columns` (but never narrower than 40): what it can do at most is what `llmperf calibrate`
 * has found there. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (lines: ReadonlyArray<Line>, options: RenderOptions): string => {
  const marks = style(options.color)
  const rows = lines.map(({ answer, name }) => ({ label: name, cells: answer === null ? unknown : cells(answer) }))
  const [header = "", ...text] = table(columnsOf, rows, { columns: Math.max(MIN_COLUMNS, options.columns) })
  return `${[marks.bold(header), ...text.map((row, index) => (lines[index]?.answer === null ? marks.red(row) : row))].join("\n")}\n`
}

const fields = (answer: Answer) => ({
  version: answer.version,
  protocol: answer.protocol,
  host: answer.host,
  pid: answer.pid,
  cores: answer.cores,
  memory_bytes: answer.memoryBytes,
  load: answer.load,
  open_files: answer.openFiles,
  limits: answer.limits,
  session: answer.session,
  clock_offset_s: answer.clock.offsetNanos / 1e9,
  clock_error_s: answer.clock.roundTripNanos / 2e9,
  round_trip_s: answer.clock.roundTripNanos / 1e9
})

/**
 * All of it as one JSON document: `agents`, each with its `agent` (address) and `problem`, which is `null` when it can be used; then
 * there is also what it said. Times are seconds.
 *
 * @category rendering
 * @since 0.2.0
 */
export const toJson = (lines: ReadonlyArray<Line>): string =>
  Json.stringify({
    agents: lines.map(({ answer, name, problem }) => ({
      agent: name,
      problem,
      ...(answer === null ? {} : fields(answer))
    }))
  })
