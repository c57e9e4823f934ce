import type { ReportData, ReportRun } from "../ReportData.ts"
import type { Chart } from "./reportChartParts.ts"
import { type Section, sectionsOf } from "./reportCharts.ts"
import { type Fact, factsOf } from "./reportFacts.ts"
import { configuration, errorTable, rawTables } from "./reportTables.ts"
import { count, counted, escape, number, percent, scriptJson, seconds } from "./reportText.ts"
import { style } from "./reportStyle.ts"
import { verdicts } from "./reportVerdict.ts"
import { startedAt } from "./reportWhen.ts"

/** The whole page, with everything it needs in it. `scriptHash` is the SHA-256 of the script, in base64. */
export const page = (
  { runs }: ReportData,
  { script, scriptHash, version }: { readonly script: string; readonly scriptHash: string; readonly version: string }
): string => {
  const charts = runs.map(({ charts }) => charts)
  const sections = sectionsOf(charts)
  const title = titleOf(runs)
  const headings = [
    { id: "overview", title: "Overview" },
    ...sections.flatMap(({ id, title }) =>
      id === "distributions"
        ? [
            { id, title },
            { id: "percentiles", title: "Percentiles" }
          ]
        : [{ id, title }]
    ),
    { id: "configuration", title: "Configuration" }
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-${scriptHash}'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'">
<meta name="generator" content="llmperf ${escape(version)}">
<title>${escape(`${title} – llmperf`)}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#overview">Skip to the results</a>
<header class="top"><div class="wrap">
<div><p class="kicker">Load test report</p><h1>${escape(title)}</h1>${aboutOf(runs)}</div>
<div class="actions"><button type="button" id="theme" hidden>Dark theme</button><button type="button" id="print" hidden>Print</button></div>
</div></header>
<nav aria-label="Sections"><div class="wrap"><ul>${headings.map(({ id, title }) => `<li><a href="#${id}">${escape(title)}</a></li>`).join("")}</ul></div></nav>
<main class="wrap">
<section id="overview" aria-labelledby="h-overview"><h2 id="h-overview">Overview</h2>
${verdicts(runs)}
${runs.length === 1 ? runs.map(tiles).join("") : sideBySide(runs)}
</section>
<noscript><p class="card">The charts need JavaScript. All tables are here without it.</p></noscript>
${sections.map((section) => sectionHtml(section, runs)).join("\n")}
<section id="configuration" aria-labelledby="h-configuration"><h2 id="h-configuration">Configuration</h2>
${configuration(runs)}
<div class="card" style="margin-top:16px">${rawTables(runs)}</div>
</section>
</main>
<footer><div class="wrap">Made by llmperf ${escape(version)}. What each number means is in docs/metrics.md of llmperf. Drag across a chart to zoom in, double-click to go back; with the keyboard: arrow keys, + and −, 0.</div></footer>
<div id="live" class="hidden" aria-live="polite"></div>
<script type="application/json" id="data">${scriptJson({ runs: charts })}</script>
<script>${script}</script>
</body>
</html>
`
}

const modelOf = ({ path, summary }: ReportRun): string => {
  const model = summary["model"]
  return typeof model === "string" && model !== "" ? model : path
}

const titleOf = (runs: ReadonlyArray<ReportRun>): string => {
  const models = [...new Set(runs.map(modelOf))]
  const [only] = models
  if (runs.length === 1 || only === undefined) return only ?? "No runs"
  return models.length === 1 ? `${only}: ${runs.length} runs` : `${runs.length} runs`
}

const textIn = (summary: ReportRun["summary"], key: string): string => {
  const value = summary[key]
  return typeof value === "string" ? value : ""
}

const loadOf = ({ summary, totals }: ReportRun): string => {
  const asked = summary["num_concurrent_requests"]
  if (asked === "scheduled") return "a schedule, replayed"
  if (totals.isOpen) {
    const arrival = textIn(summary, "arrival")
    const parts = ["open loop", textIn(summary, "request_rate"), arrival === "" ? "" : `${arrival} arrivals`]
    return parts.filter((part) => part !== "").join(", ")
  }
  return typeof asked === "number" ? `closed loop, ${number(asked)} in flight` : ""
}

const serverOf = ({ summary }: ReportRun): string =>
  summary["llm_api"] === "simulated" ? "a simulated server" : textIn(summary, "network_server")

/** The lengths that were asked for: `550 ± 150 tokens in, 150 ± 80 out`. */
const lengthsOf = ({ summary }: ReportRun): string => {
  const length = (what: "input" | "output"): string | null => {
    const [mean, deviation] = [summary[`mean_${what}_tokens`], summary[`stddev_${what}_tokens`]]
    if (typeof mean !== "number") return null
    return typeof deviation === "number" && deviation > 0 ? `${count(mean)} ± ${count(deviation)}` : count(mean)
  }
  const [input, output] = [length("input"), length("output")]
  return input === null || output === null ? "" : `${input} tokens in, ${output} out`
}

/** What of a run was taken by `llmperf analyze`. */
const partOf = ({ summary }: ReportRun): string => {
  const [from, to, skipped] = ["from_s", "to_s", "skip_first"].map((key) => summary[`analysis_${key}`])
  if (typeof from !== "number") return ""
  const parts = [
    ...(from > 0 ? [`from ${seconds(from)}`] : []),
    ...(typeof to === "number" ? [`to ${seconds(to)}`] : []),
    ...(typeof skipped === "number" && skipped > 0 ? [`without the first ${counted(skipped, "request")}`] : [])
  ]
  return parts.length === 0 ? "" : `a part of the run: ${parts.join(" ")}`
}

const aboutOf = (runs: ReadonlyArray<ReportRun>): string => {
  if (runs.length > 1) return ""
  const about = runs.flatMap((run) => [
    startedAt(run.summary),
    serverOf(run),
    loadOf(run),
    lengthsOf(run),
    partOf(run),
    counted(run.totals.requests, "request"),
    seconds(run.totals.wall),
    run.path
  ])
  return `<ul class="facts">${about
    .filter((text) => text !== "" && text !== "–")
    .map((text) => `<li>${escape(text)}</li>`)
    .join("")}</ul>`
}

/** A number with its unit set smaller. */
const big = (text: string): string => {
  const [, digits = text, unit = ""] = /^([\d.,–<\s]*\d|–)\s*(\D*)$/.exec(text) ?? []
  return `${escape(digits)}${unit === "" ? "" : `<small>${escape(unit)}</small>`}`
}

const tiles = (run: ReportRun): string =>
  `<dl class="tiles">${factsOf(run)
    .map(
      ({ label, more, text }) =>
        `<div class="tile"><dt>${escape(label)}</dt><dd class="value">${big(text)}</dd><dd class="more">${escape(more)}</dd></div>`
    )
    .join("")}</dl>`

const deltaOf = (value: number | null, first: number | null): string => {
  if (value === null || first === null || first === 0) return ""
  const change = value / first - 1
  return `<span class="delta">${change >= 0 ? "+" : "−"}${escape(percent(Math.abs(change)))}</span>`
}

const swatch = (index: number): string =>
  `<span class="swatch" style="background:var(--series-${(index % 7) + 1})"></span>`

const sideBySide = (runs: ReadonlyArray<ReportRun>): string => {
  const facts = runs.map(factsOf)
  const rowOf = ({ label }: Fact, row: number): string => {
    const first = facts[0]?.[row]
    const cells = facts.map((all, i) => {
      const fact = all[row]
      return `<td>${escape(fact?.label === label ? fact.text : "–")}${i === 0 ? "" : deltaOf(fact?.value ?? null, first?.value ?? null)}<div class="note">${escape(fact?.more ?? "")}</div></td>`
    })
    return `<tr><th scope="row">${escape(label)}</th>${cells.join("")}</tr>`
  }
  const head = runs.map(({ charts }, i) => `<th scope="col">${swatch(i)}${escape(charts.label)}</th>`).join("")
  return `<div class="card" style="margin-top:16px"><div class="scroll" tabindex="0" role="region" aria-label="Runs side by side"><table><thead><tr><th scope="col">Result</th>${head}</tr></thead><tbody>${(facts[0] ?? []).map(rowOf).join("")}</tbody></table></div><p class="note" style="margin-top:10px">Differences are to the first run, and say nothing of chance: llmperf compare gives their intervals.</p></div>`
}

const percentilesOf = (runs: ReadonlyArray<ReportRun>): string => {
  const shares = ["p25", "p50", "p75", "p90", "p95", "p99", "p99.9"]
  const head = ["", "Values", ...shares, "Mean", "Smallest", "Largest"]
    .map((text) => `<th scope="col">${text === "" ? '<span class="hidden">Metric</span>' : text}</th>`)
    .join("")
  const names = [...new Set(runs.flatMap(({ percentiles }) => percentiles.map(({ name }) => name)))]
  const rows = names.flatMap((name) =>
    runs.flatMap(({ charts, percentiles }, i) =>
      percentiles
        .filter((row) => row.name === name)
        .map(({ at, count: values, max, mean, min, unit }) => {
          const read = (value: number | null): string => (unit === "s" ? seconds(value) : number(value))
          const named = escape(unit === "tokens/s" ? `${name} (${unit})` : name)
          const title =
            runs.length === 1 ? named : `${swatch(i)}${named}<div class="note">${escape(charts.label)}</div>`
          const quantiles = at.map(
            ({ few, value }) => `<td${few ? ' class="few"' : ""}>${read(value)}${few ? "*" : ""}</td>`
          )
          return `<tr><th scope="row">${title}</th><td>${count(values)}</td>${quantiles.join("")}<td>${read(mean)}</td><td>${read(min)}</td><td>${read(max)}</td></tr>`
        })
    )
  )
  const few = runs.some(({ percentiles }) => percentiles.some(({ at }) => at.some(({ few }) => few)))
  return `<section id="percentiles" aria-labelledby="h-percentiles"><h2 id="h-percentiles">Percentiles</h2><div class="card"><div class="scroll" tabindex="0" role="region" aria-label="Percentiles"><table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div><p class="note" style="margin-top:10px">Over the requests that succeeded and are measured.${few ? " * Fewer than ten values lie beyond: unreliable." : ""}</p></div></section>`
}

const wide = (section: Section, { id }: Chart): boolean =>
  section.charts.length === 1 || id.startsWith("ttft-by-input") || id.startsWith("slowest")

const figure = (section: Section, chart: Chart): string =>
  `<figure class="${wide(section, chart) ? "wide" : ""}" aria-labelledby="t-${escape(chart.id)}"><header><div><h3 id="t-${escape(chart.id)}">${escape(chart.title)}</h3><p class="note">${escape(chart.note)}</p></div><button type="button" data-save="${escape(chart.id)}" aria-label="Save “${escape(chart.title)}” as an image" hidden>Save</button></header><div class="plot" data-chart="${escape(chart.id)}" style="height:${chart.height}px" role="application" aria-roledescription="chart" tabindex="0" aria-label="${escape(`${chart.title}: ${chart.gist}`)}"></div><details data-table="${escape(chart.id)}"><summary>Data<span class="hidden"> of “${escape(chart.title)}”</span> as a table</summary></details></figure>`

const sectionHtml = (section: Section, runs: ReadonlyArray<ReportRun>): string => {
  const figures = section.charts.map((chart) => figure(section, chart)).join("\n")
  const errors = section.id === "failures" ? errorTable(runs) : ""
  const html = `<section id="${section.id}" aria-labelledby="h-${section.id}"><h2 id="h-${section.id}">${escape(section.title)}</h2><div class="grid">${figures}</div>${errors}</section>`
  return section.id === "distributions" ? `${html}\n${percentilesOf(runs)}` : html
}
