/**
 * A comparison of runs as text, Markdown, JSON and JUnit XML.
 *
 * @since 0.2.0
 */
import type { MetricComparison, StatisticComparison } from "../metrics/Comparison.ts"
import type { FailWhen, Judgement } from "../metrics/Gate.ts"
import type { RenderOptions } from "./Console.ts"
import * as Words from "./internal/comparisonText.ts"
import * as Json from "./internal/Json.ts"
import { style } from "./internal/style.ts"
import { table, type TableColumn, type TableRow } from "./internal/table.ts"
import * as Text from "./internal/text.ts"
import * as Xml from "./internal/xml.ts"

/**
 * A run: the path it was read from, its model where that is known, and how many requests it has.
 *
 * @category models
 * @since 0.2.0
 */
export interface Run {
  readonly path: string
  readonly model: string | null
  readonly requests: number
}

/**
 * One run against the first.
 *
 * @category models
 * @since 0.2.0
 */
export interface Candidate {
  readonly run: Run
  readonly warnings: ReadonlyArray<string>
  readonly metrics: ReadonlyArray<MetricComparison>
  readonly judgements: ReadonlyArray<Judgement>
}

/**
 * All runs against the first. `allowUnknown`: whether a rule that cannot be judged lets a run pass.
 *
 * @category models
 * @since 0.2.0
 */
export interface Report {
  readonly baseline: Run
  readonly candidates: ReadonlyArray<Candidate>
  readonly resamples: number
  readonly seed: number
  readonly failWhen: FailWhen
  readonly allowUnknown: boolean
}

/**
 * Whether every rule was passed by every run. A rule that cannot be judged is not passed, unless that is allowed.
 *
 * @category judging
 * @since 0.2.0
 */
export const passed = (report: Report): boolean =>
  report.candidates.every(({ judgements }) => judgements.every(({ outcome }) => lets(outcome, report)))

const lets = (outcome: Judgement["outcome"], { allowUnknown }: Report): boolean =>
  outcome === "passed" || (allowUnknown && outcome === "unknown")

/**
 * A number of both runs in a sentence: `TTFT p99 is 12 % higher (95 % CI 4…19 %)`.
 *
 * @category rendering
 * @since 0.2.0
 */
export const sentence = Words.sentence

const MIN_COLUMNS = 40

/**
 * A table for every run, then in words what differs, warnings, and the rules. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const render = (report: Report, options: RenderOptions): string => {
  const columns = Math.max(MIN_COLUMNS, options.columns)
  const marks = style(options.color)
  const wrapped = (text: string, mark = ""): Array<string> =>
    Text.wrap(Text.oneLine(text), columns - mark.length).map(
      (line, index) => (index === 0 ? mark : " ".repeat(mark.length)) + line
    )
  const sections = report.candidates.flatMap((candidate) => {
    const { judgements, metrics, warnings } = candidate
    const view = seen(candidate)
    const rows = rowsOf(view.metrics)
    const [header = "", ...lines] = table(tableColumns, rows, { columns })
    return [
      [
        ...wrapped(`${candidate.run.path} against ${report.baseline.path}`).map(marks.bold),
        ...wrapped(runText(report.baseline), "  baseline   "),
        ...wrapped(runText(candidate.run), "  candidate  ")
      ],
      warnings.flatMap((warning) => wrapped(warning, "! ").map(marks.yellow)),
      rows.length === 0
        ? []
        : [marks.bold(header), ...lines.map((line, index) => marks[rows[index]?.mark ?? "dim"](line))],
      inWords(view).flatMap((words) => wrapped(words, "- ")),
      judgements.flatMap((judgement) => {
        const { outcome, rule } = judgement
        const longest = Math.max(...judgements.map(({ outcome }) => verdicts[outcome].length))
        const mark = outcome === "passed" ? marks.green : lets(outcome, report) ? marks.yellow : marks.red
        const words = `fail if ${rule.text}: ${judgedIn(metrics, judgement)}${fate(judgement, report)}`
        return wrapped(words, `${verdicts[outcome].padEnd(longest)}  `).map(mark)
      })
    ]
  })
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`
}

/** What is seen of the metrics, and which of them are left out because they say the same as others. */
interface Seen {
  readonly metrics: ReadonlyArray<MetricComparison>
  readonly echoes: ReadonlyArray<MetricComparison>
}

/** What says the same as another metric where nothing is due, or where no answer begins with reasoning. */
const echoed: ReadonlyMap<string, string> = new Map([
  ["scheduled_ttft_s", "ttft_s"],
  ["scheduled_end_to_end_latency_s", "end_to_end_latency_s"],
  ["time_to_first_answer_s", "ttft_s"]
])
const ECHO_TOLERANCE = 0.01

const close = (a: number | null, b: number | null): boolean =>
  a === b || (a !== null && b !== null && Math.abs(a - b) <= ECHO_TOLERANCE * Math.max(Math.abs(a), Math.abs(b)))

const isEcho = (metric: MetricComparison, of: MetricComparison | undefined): boolean =>
  of !== undefined &&
  metric.statistics.every(({ baseline, candidate, statistic }) => {
    const other = of.statistics.find((one) => one.statistic === statistic)
    return other !== undefined && close(baseline, other.baseline) && close(candidate, other.candidate)
  })

/** Rules bring what they name into view. Lengths are of interest when they differ. */
const seen = ({ judgements, metrics }: Candidate): Seen => {
  const named = new Set(judgements.map(({ rule }) => rule.metric))
  const echoes = metrics.filter(
    (metric) =>
      !named.has(metric.metric) &&
      isEcho(
        metric,
        metrics.find((other) => other.metric === echoed.get(metric.metric))
      )
  )
  const isPlain = ({ metric, statistics, unit }: MetricComparison): boolean =>
    unit !== "tokens" || named.has(metric) || statistics.some(({ shown }) => shown === "higher" || shown === "lower")
  return { metrics: metrics.filter((metric) => isPlain(metric) && !echoes.includes(metric)), echoes }
}

const verdicts = { passed: "passed", failed: "FAILED", unknown: "UNKNOWN" } as const

const runText = ({ model, path, requests }: Run): string =>
  `${path}: ${requests} requests${model === null ? "" : `, ${model}`}`

const tableColumns: ReadonlyArray<TableColumn> = [
  { title: "baseline", priority: 2 },
  { title: "candidate", priority: 1 },
  { title: "difference", priority: 0 },
  { title: "95 % CI", priority: 0 },
  { title: "", priority: 3 },
  { title: "effect", priority: 4 }
]

type MarkedRow = TableRow & { readonly mark: "red" | "green" | "bold" | "dim" }

const rowsOf = (metrics: ReadonlyArray<MetricComparison>): ReadonlyArray<MarkedRow> =>
  metrics.flatMap((metric) =>
    metric.statistics.map((statistic, index): MarkedRow => {
      const { baseline, candidate, unit } = Words.pair(metric.unit, statistic)
      const { effect } = metric
      return {
        label: `${Words.nameOf(metric, statistic)} (${unit})`,
        cells: [
          baseline,
          candidate,
          Words.change(metric.unit, statistic),
          Words.range(metric.unit, statistic),
          shownText(statistic),
          index > 0 || effect === null ? "" : `${effect.size} (${Words.twoDecimals(effect.delta)})`
        ],
        mark: markOf(metric, statistic)
      }
    })
  )

const shownText = ({ enough, shown }: StatisticComparison): string => {
  const word = { higher: "higher", lower: "lower", none: "≈", unknown: "?" }[shown]
  return enough || shown === "unknown" ? word : `${word} (few)`
}

const markOf = ({ better }: MetricComparison, { shown }: StatisticComparison): MarkedRow["mark"] => {
  if (shown === "none" || shown === "unknown") return "dim"
  return better === null ? "bold" : better === shown ? "green" : "red"
}

/** What differs, what does not as far as can be seen, and which numbers want larger samples. */
const inWords = ({ echoes, metrics }: Seen): ReadonlyArray<string> => {
  const changed = metrics.flatMap((metric) =>
    metric.statistics
      .filter(({ shown }) => shown === "higher" || shown === "lower")
      .map((statistic) => `${Words.sentence(metric, statistic)}.`)
  )
  const alike = metrics.flatMap((metric) => {
    const names = metric.statistics.filter(({ shown }) => shown === "none").map(({ statistic }) => statistic)
    if (names.length === 0) return []
    return [names[0] === "value" ? metric.label : `${metric.label} (${names.join(", ")})`]
  })
  return [
    ...changed,
    ...(alike.length === 0 ? [] : [`No difference that this sample can show: ${alike.join("; ")}.`]),
    ...tooFew(metrics),
    ...(echoes.length === 0
      ? []
      : [
          `Left out, as within 1 % of the same without schedule or reasoning: ${echoes.map(({ label }) => label).join(", ")}.`
        ])
  ]
}

/** What needs larger samples: `Too few values, 40 and 40: p90 needs 100, p99 needs 1000 (TTFT, dispatch lag)`. */
const tooFew = (metrics: ReadonlyArray<MetricComparison>): ReadonlyArray<string> => {
  const few = metrics.flatMap(({ count, label, statistics }) =>
    statistics
      .filter(({ enough }) => !enough)
      .map(({ needed, statistic }) => ({
        counts: `${count.baseline} and ${count.candidate}`,
        label,
        need: `${Words.statisticName(statistic)} needs ${needed}`
      }))
  )
  return [...Map.groupBy(few, ({ counts }) => counts)].map(([counts, all]) => {
    const needs = [...Map.groupBy(all, ({ need }) => need)].map(([need, those]) => ({
      need,
      labels: those.map(({ label }) => label).join(", ")
    }))
    const parts = [...Map.groupBy(needs, ({ labels }) => labels)].map(
      ([labels, those]) => `${those.map(({ need }) => need).join(", ")} (${labels})`
    )
    return `Too few values, ${counts}: ${parts.join("; ")}.`
  })
}

const judgedIn = (metrics: ReadonlyArray<MetricComparison>, judgement: Judgement): string =>
  Words.judged(
    judgement,
    metrics.find(({ metric }) => metric === judgement.rule.metric)
  )

/** What a rule does that cannot be judged. */
const fate = ({ outcome }: Judgement, report: Report): string =>
  outcome === "unknown" ? `; ${Words.ofUnknown("comparison", report)}` : ""

/**
 * The same as Markdown, for a comment on a pull request. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const markdown = (report: Report): string =>
  report.candidates
    .map((candidate) => {
      const { judgements, metrics, run, warnings } = candidate
      const view = seen(candidate)
      const rows = rowsOf(view.metrics).map(({ cells, label, mark }) => {
        const cell = mark === "red" || mark === "green" || mark === "bold" ? (text: string) => `**${text}**` : String
        const [baseline = "", candidate = "", difference = "", ...rest] = cells.map(escapeMarkdown)
        return `| ${[escapeMarkdown(label), baseline, candidate, cell(difference), ...rest].join(" | ")} |`
      })
      const rules = judgements.map(
        (judgement) =>
          `| ${inMarkdown(judgement.outcome, report)} | ${code(judgement.rule.text)} | ${escapeMarkdown(judgedIn(metrics, judgement) + fate(judgement, report))} |`
      )
      return [
        `### ${code(run.path)} against ${code(report.baseline.path)}`,
        ...(rules.length === 0 ? [] : [["| rule | fail if | found |", "| --- | --- | --- |", ...rules].join("\n")]),
        ...(warnings.length === 0
          ? []
          : [warnings.map((warning) => `> **Warning:** ${escapeMarkdown(warning)}`).join("\n>\n")]),
        inWords(view)
          .map((words) => `- ${escapeMarkdown(words)}`)
          .join("\n"),
        [
          `<details><summary>All numbers: ${run.requests} requests against ${report.baseline.requests}</summary>`,
          "",
          "| | baseline | candidate | difference | 95 % CI | | effect |",
          "| --- | ---: | ---: | ---: | ---: | --- | --- |",
          ...rows,
          "",
          "</details>"
        ].join("\n")
      ].join("\n\n")
    })
    .join("\n\n")
    .concat("\n")

const inMarkdown = (outcome: Judgement["outcome"], report: Report): string => {
  const word = verdicts[outcome]
  return lets(outcome, report) ? word : `**${word}**`
}

const code = (text: string): string => `\`${Text.oneLine(text).replaceAll("`", "'").replaceAll("|", "\\|")}\``

const escapeMarkdown = (text: string): string =>
  Text.oneLine(text).replaceAll(/[\\`*_|<>[\]]/g, (character) => `\\${character}`)

/**
 * The same as JUnit XML: a suite for every run, a case for every rule. A rule that cannot be judged is an error, which CI systems
 * count as failed, or skipped where it is allowed. Without rules there is one case, which passes. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const junit = (report: Report): string => {
  const suites = report.candidates.map((candidate) => {
    const { judgements, metrics, run, warnings } = candidate
    const name = `${run.path} against ${report.baseline.path}`
    const cases = judgements.map((judgement) => {
      const { outcome, rule } = judgement
      const attributes = { classname: `llmperf.compare.${run.path}`, name: `fail if ${rule.text}`, time: "0" }
      const words = judgedIn(metrics, judgement) + fate(judgement, report)
      if (outcome === "passed") return Xml.element("testcase", attributes, [])
      const message = `${rule.text}: ${words}`
      if (lets(outcome, report)) {
        return Xml.element("testcase", attributes, [Xml.element("skipped", { message }, [])])
      }
      const inner = { message, type: outcome === "failed" ? "regression" : "unknown" }
      const name = outcome === "failed" ? "failure" : "error"
      // Some CI systems show the attribute, others the text
      return Xml.element("testcase", attributes, [Xml.element(name, inner, [Xml.text(message)])])
    })
    const only = Xml.element("testcase", { classname: `llmperf.compare.${run.path}`, name: "compared", time: "0" }, [])
    const counts = countsOf(judgements, report)
    const words = [...warnings.map((warning) => `Warning: ${warning}`), ...inWords(seen(candidate))].join("\n")
    return Xml.element("testsuite", { name, ...counts, time: "0" }, [
      ...(cases.length === 0 ? [only] : cases),
      Xml.element("system-out", {}, [Xml.text(words)])
    ])
  })
  const all = countsOf(
    report.candidates.flatMap(({ judgements }) => judgements),
    report
  )
  const bare = report.candidates.filter(({ judgements }) => judgements.length === 0).length
  return Xml.document(
    Xml.element(
      "testsuites",
      {
        name: "llmperf compare",
        ...all,
        tests: String(report.candidates.reduce((sum, { judgements }) => sum + judgements.length, bare)),
        time: "0"
      },
      suites
    )
  )
}

const countsOf = (judgements: ReadonlyArray<Judgement>, { allowUnknown }: Report) => {
  const count = (wanted: Judgement["outcome"]): number => judgements.filter(({ outcome }) => outcome === wanted).length
  return {
    tests: String(Math.max(1, judgements.length)),
    failures: String(count("failed")),
    errors: String(allowUnknown ? 0 : count("unknown")),
    skipped: String(allowUnknown ? count("unknown") : 0)
  }
}

/**
 * The version of the JSON document, the value of `format`.
 *
 * @category constants
 * @since 0.2.0
 */
export const FORMAT = 1

/**
 * All of it as JSON; `docs/compare.md` describes the keys. Ends with a newline.
 *
 * @category rendering
 * @since 0.2.0
 */
export const json = (report: Report): string => `${Json.stringify(document(report))}\n`

const document = (report: Report) => ({
  format: FORMAT,
  confidence: 0.95,
  resamples: report.resamples,
  seed: report.seed,
  fail_when: report.failWhen,
  allow_unknown: report.allowUnknown,
  passed: passed(report),
  baseline: report.baseline,
  candidates: report.candidates.map(({ judgements, metrics, run, warnings }) => ({
    ...run,
    warnings,
    rules: judgements.map((judgement) => {
      const { difference, outcome, rule } = judgement
      const metric = metrics.find(({ metric }) => metric === rule.metric)
      return {
        rule: rule.text,
        outcome,
        found: judgedIn(metrics, judgement),
        difference: known(difference?.value),
        low: known(difference?.interval?.low),
        high: known(difference?.interval?.high),
        num_values: metric?.count ?? null,
        needed: metric?.statistics.find(({ statistic }) => statistic === rule.statistic)?.needed ?? null
      }
    }),
    metrics: Object.fromEntries(metrics.map((metric) => [metric.metric, metricDocument(metric)]))
  }))
})

const metricDocument = (metric: MetricComparison) => ({
  unit: metric.unit,
  num_values: metric.count,
  block_length: metric.blockLength,
  cliffs_delta: metric.effect?.delta ?? null,
  effect_size: metric.effect?.size ?? null,
  statistics: Object.fromEntries(
    metric.statistics.map((statistic) => [
      statistic.statistic,
      {
        baseline: known(statistic.baseline),
        candidate: known(statistic.candidate),
        difference: known(statistic.absolute?.value),
        difference_low: known(statistic.absolute?.interval?.low),
        difference_high: known(statistic.absolute?.interval?.high),
        relative_difference: known(statistic.relative?.value),
        relative_difference_low: known(statistic.relative?.interval?.low),
        relative_difference_high: known(statistic.relative?.interval?.high),
        shown: statistic.shown,
        enough: statistic.enough,
        needed: statistic.needed,
        sentence: Words.sentence(metric, statistic)
      }
    ])
  )
})

const known = (value: number | null | undefined): number | null =>
  value === undefined || value === null || !Number.isFinite(value) ? null : value
