/**
 * The results as text for people.
 *
 * @since 0.1.0
 */
import type { DetailedDistribution, Distribution, Summary } from "../domain/Summary.ts"
import { type Grade, templateTokensOf, type Verdict } from "../metrics/Verdict.ts"
import { LATE_SECONDS } from "../metrics/SummarySink.ts"
import type { CacheRemark } from "./CacheText.ts"
import { cacheLines } from "./internal/cacheLines.ts"
import { errorKindInside } from "./internal/errorKind.ts"
import type { Asked } from "./internal/failureAdvice.ts"
import { allFailed, failures, nothingCompleted } from "./internal/failures.ts"
import * as EmptyAnswers from "./internal/emptyAnswers.ts"
import { cutShort } from "./internal/finishReasons.ts"
import { style, type Style } from "./internal/style.ts"
import { table, type TableColumn, type TableRow } from "./internal/table.ts"
import * as Text from "./internal/text.ts"
import { NOTABLE_FIRST_SHARE, uncountedAnswers } from "./internal/uncounted.ts"
import type { Said } from "./CalibrationFields.ts"
import * as VerdictText from "./VerdictText.ts"

/**
 * What is shown: a title, the numbers, remarks that the caller has (such as that the run was interrupted), the verdict, what the server
 * had in its cache (`cache`), what the client adds (`calibration`), and the files that were written. `asked`: what was asked, for advice on
 * failures to name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly title: string
  readonly summary: Summary
  readonly remarks?: ReadonlyArray<string> | undefined
  readonly agents?: ReadonlyArray<AgentLine> | undefined
  readonly verdict?: Verdict | undefined
  readonly cache?: CacheRemark | null | undefined
  readonly calibration?: Said | undefined
  readonly files?: ReadonlyArray<string> | undefined
  readonly asked?: Asked | undefined
}

/**
 * What was asked: the address, and the environment variable that would hold the key, where none is sent because that is not set.
 *
 * @category models
 * @since 0.2.0
 */
export type { Asked }

/**
 * An agent on another machine: how many requests it sent, the p99 of its dispatch lag, the time of a question and its answer, its
 * own verdict (`null` when it was lost), and whether it was lost. Seconds.
 *
 * @category models
 * @since 0.2.0
 */
export interface AgentLine {
  readonly name: string
  readonly requests: number
  readonly lagP99: number | null
  readonly startedAfter: number | null
  readonly roundTrip: number
  readonly verdict: Grade | null
  readonly isLost: boolean
}

/**
 * How wide the text may be, in columns, and whether it may be coloured. See `Screen.detect`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RenderOptions {
  readonly columns: number
  readonly color: boolean
}

/** Above this, mean in flight and rate × mean latency are said to disagree. */
const LITTLES_LAW_TOLERANCE = 0.05
/** Above this mean relative difference from the server's usage, that of a tokenizer that counts is a warning and no longer a note. */
const USAGE_TOLERANCE = 0.05
/** Above this many tokens per chunk the difference between chunks and tokens is pointed out. */
const TOKENS_PER_CHUNK_NOTE = 1.05
const MIN_COLUMNS = 40

export {
  /**
   * In one line that every request failed and why; `null` when one succeeded or none was sent.
   *
   * @category rendering
   * @since 0.2.0
   */
  allFailed,
  /**
   * A kind of failure in the middle of a sentence, such as `HTTP 401` or `could not connect`.
   *
   * @category rendering
   * @since 0.2.0
   */
  errorKindInside
}

/**
 * The table of distributions, then totals, failures, warnings and files. No line is wider than `columns` (but never
 * narrower than 40), except commands and the paths of files, which are left whole to be copied. Ends with a newline.
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = (report: Report, options: RenderOptions): string => {
  const columns = Math.max(MIN_COLUMNS, options.columns)
  const marks = style(options.color)
  const { summary } = report
  const sections: Array<ReadonlyArray<string>> = []

  if (summary.num_completed_requests === 0) sections.push(nothingCompleted(summary, columns, marks))
  sections.push(Text.wrap(Text.oneLine(report.title), columns).map(marks.bold))
  if (report.remarks !== undefined && report.remarks.length > 0) {
    sections.push(report.remarks.flatMap((remark) => Text.wrap(Text.oneLine(remark), columns).map(marks.yellow)))
  }
  const distributions = distributionRows(summary)
  if (distributions.length > 0) {
    const [header, ...rows] = table(tableColumns, distributions, { columns })
    sections.push([marks.bold(header ?? ""), ...rows])
  }
  sections.push(totals(summary, columns, marks))
  if (summary.number_errors > 0) sections.push(failures(summary, columns, marks, report.asked))
  if (report.agents !== undefined && report.agents.length > 0) sections.push(agents(report.agents, columns, marks))
  const warned = warnings(summary)
  if (warned.length > 0) {
    sections.push(warned.flatMap((warning) => Text.hanging("! ", warning, columns).map(marks.yellow)))
  }
  const noted = notes(summary, report.verdict)
  if (noted.length > 0) sections.push(noted.flatMap((note) => Text.hanging("- ", note, columns).map(marks.dim)))
  const client = [
    ...(report.verdict === undefined
      ? []
      : VerdictText.lines(report.verdict, summary, { columns, color: options.color })),
    ...cacheLines(report.cache ?? null, columns, marks),
    ...(report.calibration === undefined ? [] : calibration(report.calibration, columns))
  ]
  if (client.length > 0) sections.push(client)
  if (report.files !== undefined && report.files.length > 0) {
    sections.push([marks.bold("Files"), ...report.files.map((file) => `  ${file}`)])
  }
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`
}

const calibration = ({ command, text }: Said, columns: number): ReadonlyArray<string> => [
  ...Text.wrap(text, columns),
  ...(command === null ? [] : [`  ${command}`])
]

const tableColumns: ReadonlyArray<TableColumn> = [
  { title: "p25", priority: 6 },
  { title: "p50", priority: 0 },
  { title: "p75", priority: 5 },
  { title: "p90", priority: 3 },
  { title: "p95", priority: 4 },
  { title: "p99", priority: 0 },
  { title: "mean", priority: 1 },
  { title: "min", priority: 7 },
  { title: "max", priority: 2 },
  { title: "stddev", priority: 8 }
]

type AnyDistribution = Distribution | DetailedDistribution

/** One row per distribution that has values. */
const distributionRows = (summary: Summary): Array<TableRow> => {
  const rows: ReadonlyArray<TableRow | null> = [
    time("TTFT", summary.ttft_s),
    time("inter-token latency, TPOT", summary.inter_token_latency_s),
    time("end-to-end latency", summary.end_to_end_latency_s),
    amount("request throughput", "tok/s", summary.request_output_throughput_token_per_s),
    amount("input tokens", "", summary.number_input_tokens),
    amount("output tokens", "", summary.number_output_tokens),
    time("inter-chunk latency", summary.inter_chunk_latency_s),
    time("dispatch lag", summary.dispatch_lag_s),
    time("scheduled TTFT", summary.scheduled_ttft_s)
  ]
  return rows.filter((row) => row !== null)
}

const time = (name: string, distribution: AnyDistribution): TableRow | null => {
  const size = distribution.quantiles.p50 ?? 0
  // A minute in milliseconds is hard to read
  return size < 60 ? row(`${name} (ms)`, distribution, 1000) : row(`${name} (s)`, distribution, 1)
}

const amount = (name: string, unit: string, distribution: AnyDistribution): TableRow | null =>
  row(unit === "" ? name : `${name} (${unit})`, distribution, 1)

const row = (label: string, distribution: AnyDistribution, scale: number): TableRow | null => {
  const { quantiles, mean, min, max, stddev } = distribution
  if (mean === null) return null
  const decimals = Text.decimals((quantiles.p50 || mean || (max ?? 0)) * scale)
  const cell = (value: number | null) => (value === null ? "–" : (value * scale).toFixed(decimals))
  return {
    label,
    cells: [
      cell(quantiles.p25),
      cell(quantiles.p50),
      cell(quantiles.p75),
      cell(quantiles.p90),
      cell(quantiles.p95),
      cell(quantiles.p99),
      cell(mean),
      cell(min),
      cell(max),
      cell(stddev)
    ]
  }
}

const totals = (summary: Summary, columns: number, marks: Style): Array<string> => {
  const ok = `${summary.num_completed_requests} ok`
  const failed = `${summary.num_failed_requests} failed`
  const cancelled = summary.num_cancelled_requests > 0 ? `, ${summary.num_cancelled_requests} cancelled` : ""
  const rows: Array<Row> = [
    ["requests", `${ok}, ${failed}${cancelled}`],
    ...(summary.num_completed_requests === 0
      ? []
      : [["completed requests", completed(summary)] as const, ...throughputs(summary)]),
    [
      "in flight",
      `${Text.number(summary.mean_requests_in_flight)} on average, ${summary.max_requests_in_flight} at most`
    ],
    ...(summary.num_completed_requests === 0
      ? []
      : [["tokens", `${inputTokens(summary)}, ${outputTokens(summary)}`] as const]),
    ...cachedInput(summary),
    ...dispatch(summary)
  ]
  if (summary.num_failed_requests > 0 && summary.num_completed_requests > 0) {
    rows.push(["p99 incl. failures", failedAsInfinite(summary)])
  }
  const labelWidth = Math.max(...rows.map(([label]) => label.length)) + 2
  return rows.flatMap(([label, value]) =>
    Text.wrap(value, Math.max(1, columns - labelWidth)).map(
      (line, index) => marks.dim(Text.padEnd(index === 0 ? label : "", labelWidth)) + line
    )
  )
}

type Row = readonly [label: string, value: string]

const completed = ({ num_completed_requests_per_min: perMinute }: Summary): string =>
  `${Text.number(perMinute === null ? null : perMinute / 60)} requests/s, ${Text.number(perMinute)} per minute`

const throughputs = (summary: Summary): ReadonlyArray<readonly [label: string, value: string]> => {
  const uncounted = uncountedAnswers(summary)
  if (uncounted !== null) {
    return [
      ["output throughput", `unknown: ${uncounted}`],
      ["total throughput", `unknown: ${uncounted}`]
    ]
  }
  return [
    [
      "output throughput",
      `${perSecond(summary.mean_output_throughput_token_per_s)} over ${seconds(summary.wall_time_s)} of wall time`
    ],
    [
      "",
      `${perSecond(summary.busy_output_throughput_token_per_s)} over ${seconds(summary.busy_time_s)} with requests in flight`
    ],
    ["total throughput", totalThroughput(summary)]
  ]
}

/** Tokens per second of wall time, those of the prompts too, all by the same count: two tokenizers' tokens have no sum. */
const totalThroughput = (summary: Summary): string => {
  const { num_completed_requests, token_source, total_input_tokens, total_output_tokens, wall_time_s } = summary
  if (total_output_tokens === null || wall_time_s === null || wall_time_s <= 0) return perSecond(null)
  const isAll = (usage: Summary["usage_output_tokens"]): boolean =>
    usage.num_requests_compared === num_completed_requests
  const rate = (input: number, output: number): string =>
    `${perSecond((input + output) / wall_time_s)}, input and output`
  if (token_source !== "server") return rate(total_input_tokens, total_output_tokens)
  const { usage_input_tokens: input, usage_output_tokens: output } = summary
  if (isAll(input)) return `${rate(input.server_tokens, total_output_tokens)} by the server`
  return isAll(output)
    ? `${rate(total_input_tokens, output.tokenizer_tokens)} by the tokenizer`
    : "unknown: the server did not count the prompts, nor the tokenizer the answers"
}

/** The tokenizer's count of the prompts, and the server's where it counted all of them otherwise. */
const inputTokens = ({ num_completed_requests, total_input_tokens, usage_input_tokens }: Summary): string => {
  const { num_requests_compared, server_tokens } = usage_input_tokens
  const byServer = num_requests_compared > 0 && num_requests_compared === num_completed_requests
  return byServer && server_tokens !== total_input_tokens
    ? `${total_input_tokens} in (${server_tokens} by the server)`
    : `${total_input_tokens} in`
}

const outputTokens = (summary: Summary): string =>
  summary.total_output_tokens === null ? "output unknown" : `${summary.total_output_tokens} out${countedBy(summary)}`

/** What the server had in its cache, if it says so. */
const cachedInput = ({
  usage_cached_input_tokens: cached
}: Summary): ReadonlyArray<readonly [label: string, value: string]> => {
  const { share, total_cached_tokens, total_tokens } = cached
  return share === null
    ? []
    : [["cached input", `${Text.percent(share)} (${total_cached_tokens} of the server's ${total_tokens} input tokens)`]]
}

const countedBy = ({ token_source }: Summary): string =>
  token_source === null ? "" : `, output counted by the ${token_source}`

const agentColumns: ReadonlyArray<TableColumn> = [
  { title: "requests", priority: 0 },
  { title: "lag p99 (ms)", priority: 1 },
  { title: "started (ms)", priority: 2 },
  { title: "round trip (ms)", priority: 3 },
  { title: "verdict", priority: 0 }
]

const millis = (value: number | null): string => (value === null ? "–" : (value * 1_000).toFixed(2))

const agents = (all: ReadonlyArray<AgentLine>, columns: number, marks: Style): Array<string> => {
  const rows = all.map(({ isLost, lagP99, name, requests, roundTrip, startedAfter, verdict }): TableRow => ({
    label: name,
    cells: [`${requests}`, millis(lagP99), millis(startedAfter), millis(roundTrip), isLost ? "LOST" : (verdict ?? "–")]
  }))
  const [header, ...lines] = table(agentColumns, rows, { columns })
  return [marks.bold(header ?? ""), ...lines]
}

/** Of an open loop: how it kept to its times. */
const dispatch = (summary: Summary): ReadonlyArray<readonly [label: string, value: string]> => {
  const { num_dropped_requests, num_late_requests, num_queued_requests, num_unsampled_requests } = summary
  if (num_late_requests === null) return []
  const unsent = summary.num_unsent_requests - (num_dropped_requests ?? 0)
  const kept =
    `${num_late_requests} late (over ${LATE_SECONDS * 1000} ms), ${num_queued_requests ?? 0} queued, ` +
    `${num_dropped_requests ?? 0} dropped, ${unsent} unsent`
  const measured = summary.num_requests_started - num_unsampled_requests
  return [
    ["dispatch", kept],
    ...(num_unsampled_requests === 0
      ? []
      : [["measured", `${measured} of ${summary.num_requests_started} requests`] as const])
  ]
}

const perSecond = (value: number | null): string => (value === null ? "–" : `${Text.number(value)} tok/s`)

const seconds = (value: number | null): string => (value === null ? "–" : Text.duration(value))

const millisOrNever = (value: number | null): string => (value === null ? "∞" : `${Text.number(value * 1000)} ms`)

const failedAsInfinite = (summary: Summary): string => {
  const { ttft_s, end_to_end_latency_s } = summary.failed_as_infinite
  return `TTFT ${millisOrNever(ttft_s.quantiles.p99)}, end-to-end ${millisOrNever(end_to_end_latency_s.quantiles.p99)}`
}

const warnings = (summary: Summary): Array<string> => {
  const found: Array<string> = []
  const law = summary.littles_law
  if (law.relative_difference !== null && Math.abs(law.relative_difference) > LITTLES_LAW_TOLERANCE) {
    found.push(
      `Little's law: ${Text.number(summary.mean_requests_in_flight)} requests were in flight on average, but the rate of ` +
        `completed requests × their mean latency is ${Text.number(law.rate_times_mean_latency)} ` +
        `(${signedPercent(law.relative_difference)}). ` +
        (summary.number_errors > 0
          ? "Requests that did not complete held places: the latencies above describe only a part of the load."
          : "The latencies and the time in flight do not belong to the same requests.")
    )
  }
  const uncounted = unknownTokens(summary)
  if (uncounted !== null) found.push(uncounted)
  const empty = EmptyAnswers.remark(summary.num_requests_without_content, summary.num_completed_requests)
  if (empty !== null) found.push(empty)
  const cut = cutShort(summary.finish_reason_frequency)
  if (cut.length > 0) {
    const answers = cut.reduce((sum, [, count]) => sum + count, 0)
    found.push(
      `${answers} of ${summary.num_completed_requests} answers ended in a refusal or a filter ` +
        `(${cut.map(([reason, count]) => `${count} × ${Text.oneLine(reason)}`).join(", ")}): they are shorter than what was asked for.`
    )
  }
  const output = disagreement("Output tokens", summary.usage_output_tokens)
  if (output !== null && isFarOff(summary)) found.push(output)
  const low = lowTimePerToken(summary)
  if (low !== null) found.push(low)
  return found
}

const lowTimePerToken = (summary: Summary): string | null => {
  const { num_unknown_first_chunks: answers, unknown_first_chunk_share: share } = summary
  return share === null || share < NOTABLE_FIRST_SHARE
    ? null
    : `Inter-token latency may be up to ${Text.percent(share)} too low: the first chunk of ${answers} ${answers === 1 ? "answer" : "answers"} may hold several ` +
        "tokens, and usage does not say how many. --usage-per-chunk asks the server for it."
}

/** From this share of chunks on that came together with the one before, something holds them back. */
const BURSTS_NOTE = 0.5
/** Fewer chunks say nothing. */
const BURSTS_LEAST_CHUNKS = 100

/** A client that looks late sees chunks together that did not come so. */
const isLateClient = (verdict: Verdict | undefined): boolean =>
  (verdict?.reasons ?? []).some(({ check }) => check === "loop_delay_of_ttft" || check === "loop_delay_of_gap")

const burstsOf = (summary: Summary): string | null => {
  const { inter_chunk_burst_share: share, total_chunks } = summary
  return share === null || share < BURSTS_NOTE || total_chunks < BURSTS_LEAST_CHUNKS
    ? null
    : `Chunks arrive in bursts: ${Text.percent(share)} came together with the one before. Something between (a proxy, a ` +
        "load balancer) buffers the answers, or the server sends several chunks at once. TTFT and inter-chunk latency are " +
        "those of the bursts."
}

const notes = (summary: Summary, verdict: Verdict | undefined): Array<string> => {
  const found: Array<string> = []
  const bursts = isLateClient(verdict) ? null : burstsOf(summary)
  if (bursts !== null) found.push(bursts)
  if (summary.num_completed_requests > 0 && summary.total_chunks === 0 && summary.total_output_tokens !== 0) {
    found.push("This API gives its answers in one piece: they have no time to first token and no inter-token latency.")
  }
  const tokens = summary.mean_tokens_per_chunk
  if (
    summary.token_source === "server" &&
    tokens !== null &&
    (tokens > TOKENS_PER_CHUNK_NOTE || tokens < 1 / TOKENS_PER_CHUNK_NOTE)
  ) {
    found.push(
      `A chunk is not a token: chunks carry ${Text.number(tokens)} tokens on average, so inter-chunk and inter-token ` +
        "latency differ."
    )
  }
  const retried = summary.num_retried_requests
  if (retried > 0) {
    found.push(
      `${retried} ${retried === 1 ? "request was" : "requests were"} written again on a new connection: the server had ` +
        "closed the kept one before the response began."
    )
  }
  if (summary.total_hidden_reasoning_tokens > 0) {
    found.push(
      `${summary.total_hidden_reasoning_tokens} tokens of reasoning were generated and never streamed: they are in no count and no rate above.`
    )
  }
  const output = disagreement("Output tokens", summary.usage_output_tokens)
  if (output !== null && !isFarOff(summary)) found.push(output)
  const template = templateTokensOf(summary.usage_input_tokens)
  const input = disagreement("Input tokens", summary.usage_input_tokens)
  if (template !== null) found.push(templateText(template))
  else if (input !== null) found.push(input)
  return found
}

const unknownTokens = (summary: Summary): string | null => {
  const uncounted = uncountedAnswers(summary)
  if (uncounted === null) return null
  const counted = summary.num_completed_requests - summary.num_uncounted_requests
  return (
    `${uncounted}: their tokens are unknown, and so are throughputs and totals of tokens. ` +
    (counted === 0
      ? ""
      : `Output tokens, request throughput and inter-token latency above are those of the other ${counted}. `) +
    (summary.token_source === "server" ? "--count-tokens tokenizer counts every answer." : "")
  ).trim()
}

const templateText = (tokens: number): string =>
  `The server counts ${Text.number(tokens)} more input tokens per prompt than the tokenizer, about what a chat template adds.`

/** Where the tokenizer and the server's usage part. */
const disagreement = (what: string, usage: Summary["usage_output_tokens"]): string | null => {
  const difference = usage.mean_relative_difference
  if (usage.num_requests_different === 0) return null
  const size = difference === null ? "" : `, by ${Text.percent(difference)} on average over all`
  return (
    `${what}: the tokenizer and the server's usage disagree on ${usage.num_requests_different} of ` +
    `${usage.num_requests_compared} requests${size} (${usage.tokenizer_tokens} against ${usage.server_tokens} in all).`
  )
}

/** Whether the output tokens above are of another tokenizer than the model's. */
const isFarOff = ({ token_source, usage_output_tokens: usage }: Summary): boolean =>
  token_source === "tokenizer" && (usage.mean_relative_difference ?? 1) > USAGE_TOLERANCE

const signedPercent = (share: number): string => `${share > 0 ? "+" : ""}${Text.percent(share)}`
