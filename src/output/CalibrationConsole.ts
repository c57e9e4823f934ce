/**
 * A calibration as text for people, and as JSON.
 *
 * @since 0.2.0
 */
import {
  type AddedLatency,
  type Limit,
  type Limits,
  type LoadCalibration,
  type Machine,
  type Shape,
  type Spread
} from "../domain/CalibrationResults.ts"
import { DISTURBED, sentence } from "./CalibrationFields.ts"
import type { RenderOptions } from "./Console.ts"
import * as Json from "./internal/Json.ts"
import { style, type Style } from "./internal/style.ts"
import { table, type TableColumn, type TableRow } from "./internal/table.ts"
import * as Text from "./internal/text.ts"

/**
 * What was measured; `null` for what was left out. `file`: where it is kept, `null` for nowhere.
 *
 * @category models
 * @since 0.2.0
 */
export interface Report {
  readonly machine: Machine
  readonly load: LoadCalibration
  readonly limits: Limits | null
  readonly file: string | null
}

const MIN_COLUMNS = 40

const disturbed = "Other programs were at work meanwhile: measure again when the machine is quiet."

const columnsOf: ReadonlyArray<TableColumn> = [
  { title: "p50", priority: 0 },
  { title: "p99", priority: 0 },
  { title: "p99.9", priority: 1 },
  { title: "max", priority: 2 },
  { title: "count", priority: 3 }
]

const labels: ReadonlyArray<readonly [label: string, key: keyof AddedLatency]> = [
  ["added to TTFT", "ttft_s"],
  ["  request, client to server", "request_path_s"],
  ["  first token, server to client", "answer_path_s"],
  ["added to the time between tokens", "inter_token_latency_s"],
  ["every token, server to client", "token_delay_s"]
]

const serverLabels: ReadonlyArray<readonly [label: string, key: keyof AddedLatency]> = [
  ["null server's wait, in it at most", "server_wait_s"],
  ["null server's write, in it", "server_write_s"]
]

const cell = (seconds: number | null): string => (seconds === null ? "–" : (seconds * 1_000).toFixed(3))

const row = (label: string, { count, max, p50, p99, p999 }: Spread): TableRow => {
  return { label, cells: [cell(p50), cell(p99), cell(p999), cell(max), String(count)] }
}

/** At most one decimal. */
const rounded = (value: number): string => String(Number(value.toFixed(1)))

const shapeText = ({
  concurrency,
  input_tokens,
  itl_s,
  kind,
  output_tokens,
  requests_per_s,
  ttft_s
}: Shape): string => {
  const load = kind === "closed" ? `${concurrency} in flight` : `${Text.number(requests_per_s)} requests/s`
  const pace = itl_s === 0 ? "tokens without a pause" : `a token every ${rounded(itl_s * 1_000)} ms`
  return (
    `${load}, ${rounded(input_tokens)} tokens in, ${rounded(output_tokens)} out, ` +
    `first token after ${rounded(ttft_s * 1_000)} ms, ${pace}`
  )
}

const limitText = ({ in_flight, limit, per_s }: Limit, what: string): string => {
  const why = {
    client: "the client's thread was full",
    server: "the null server's thread was full: the client may do more",
    none: "more in flight did not bring more"
  }[limit]
  return `${per_s.toFixed(0)} ${what}, ${in_flight} in flight (${why})`
}

const limitRows = (limits: Limits): ReadonlyArray<readonly [label: string, value: string]> => [
  ["most requests", limitText(limits.requests, "a second")],
  ["most tokens", limitText(limits.tokens, "a second")],
  [
    "most paced tokens",
    limits.paced_tokens === null
      ? "–"
      : `${limits.paced_tokens.per_s.toFixed(0)} a second, ${limits.paced_tokens.in_flight} streams with a token every ${limits.paced_itl_s * 1_000} ms, each seen in time`
  ]
]

const loadRows = ({ busy, duration_s, failed_requests, lost_tokens, requests, weight }: LoadCalibration) => [
  [
    "carried",
    `${Text.number(weight.requests_per_s)} requests/s, ${Text.number(weight.tokens_per_s)} tokens/s, ` +
      `at most ${weight.in_flight} in flight, over ${Text.duration(duration_s)}`
  ] as const,
  ["requests", `${requests} sent, ${failed_requests} failed, ${lost_tokens} tokens lost`] as const,
  [
    "busy",
    `client ${Text.percent(busy.client)} of a core, null server ${Text.percent(busy.server)}, other programs ${Text.percent(busy.others)} of the machine`
  ] as const
]

const facts = (
  rows: ReadonlyArray<readonly [label: string, value: string]>,
  columns: number,
  marks: Style
): ReadonlyArray<string> => {
  const width = Math.max(...rows.map(([label]) => label.length)) + 2
  return rows.flatMap(([label, value]) =>
    Text.wrap(value, Math.max(1, columns - width)).map(
      (line, index) => marks.dim(Text.padEnd(index === 0 ? label : "", width)) + line
    )
  )
}

/**
 * The table of what is added, in milliseconds, then what was carried, the machine's limits, and a sentence. No line is wider than
 * `columns` (but never narrower than 40), except the path of the file. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = ({ file, limits, load, machine }: Report, options: RenderOptions): string => {
  const columns = Math.max(MIN_COLUMNS, options.columns)
  const marks = style(options.color)
  const rows = [
    ...labels.map(([label, key]) => row(`${label} (ms)`, load.added[key])),
    row("dispatch lag (ms)", load.lag_s),
    ...serverLabels.map(([label, key]) => row(`${label} (ms)`, load.added[key]))
  ]
  const [header, ...lines] = table(columnsOf, rows, { columns })
  const title = `Calibration: ${shapeText(load.shape)}`
  const where = `${machine.cpu_count} × ${machine.cpu_model}, ${machine.os}, Node.js ${machine.node_version}, llmperf ${machine.llmperf_version}`
  const sections: ReadonlyArray<ReadonlyArray<string>> = [
    [
      ...Text.wrap(Text.oneLine(title), columns).map(marks.bold),
      ...Text.wrap(Text.oneLine(where), columns).map(marks.dim)
    ],
    [marks.bold(header ?? ""), ...lines],
    facts([...loadRows(load), ...(limits === null ? [] : limitRows(limits))], columns, marks),
    [
      ...Text.wrap(sentence(load), columns).map(marks.bold),
      ...(load.busy.others > DISTURBED ? Text.wrap(disturbed, columns).map(marks.yellow) : [])
    ],
    ...(file === null ? [] : [[marks.bold("Kept in"), `  ${file}`]])
  ]
  return `${sections.map((part) => part.join("\n")).join("\n\n")}\n`
}

/**
 * All of it as one JSON document.
 *
 * @category rendering
 * @since 0.2.0
 */
export const toJson = ({ file, limits, load, machine }: Report): string =>
  Json.stringify({ machine, load, limits, file })
