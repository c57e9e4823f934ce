/**
 * A summary in the text formats of Prometheus (0.0.4) and of OpenMetrics (1.0.0). `docs/export.md` names the metrics.
 *
 * @since 0.2.0
 */
import { Grade } from "../metrics/Verdict.ts"
import * as Exposition from "./internal/exposition.ts"
import { type Family, families, type Sample } from "./internal/openMetricsFamilies.ts"
import { numbersOf, resultsOf } from "./internal/openMetricsNumbers.ts"
import type { Fields } from "../domain/Fields.ts"

/**
 * @category models
 * @since 0.2.0
 */
export type Format = Exposition.Format

/**
 * Of which media type the text is.
 *
 * @category constants
 * @since 0.2.0
 */
export const contentType: { readonly [format in Format]: string } = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
}

/**
 * The flat object of a summary, ours or LLMPerf's, as text. What is not known is left out. Every sample has the labels `model`
 * and `run_id`, where the summary says them. There are no timestamps: when it is scraped or pushed is not when the run was.
 *
 * @category encoding
 * @since 0.2.0
 */
export const render = (summary: Fields, format: Format): string => {
  const result = resultsOf(summary)
  const shared = labelsOf(summary, ["model", "run_id"])
  const all = [
    about(summary),
    verdict(summary),
    moment(summary, "start_time", "start_timestamp_seconds", "When the run started, in seconds since 1970"),
    ...families(numbersOf(result)),
    errors(result)
  ]
  return Exposition.text(all, shared, format)
}

type Labels = Sample["labels"]

const labelsOf = (fields: Fields, names: ReadonlyArray<string>): Labels =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = fields[name]
      const isScalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      return isScalar ? [[name, String(value)]] : []
    })
  )

const about = (summary: Fields): Family => ({
  name: "run",
  type: "info",
  unit: "",
  help: "What the run is",
  samples: [
    {
      suffix: "_info",
      labels: labelsOf(summary, [
        "name",
        "llm_api",
        "tokenizer",
        "count_tokens",
        "prompt_mode",
        "seed",
        "num_concurrent_requests",
        "mean_input_tokens",
        "stddev_input_tokens",
        "mean_output_tokens",
        "stddev_output_tokens",
        "schedule_file",
        "stopped"
      ]),
      value: 1
    }
  ]
})

const verdict = (summary: Fields): Family => {
  const written = summary["verdict"]
  const states: ReadonlyArray<string> = Grade.literals
  return {
    name: "verdict",
    type: "stateset",
    unit: "",
    help: "Whether the numbers are the server's or the client's",
    samples:
      typeof written === "string" && states.includes(written)
        ? states.map((state) => ({ suffix: "", labels: { llmperf_verdict: state }, value: state === written ? 1 : 0 }))
        : []
  }
}

const moment = (summary: Fields, key: string, name: string, help: string): Family => {
  const value = summary[key]
  const samples = typeof value === "number" ? [{ suffix: "", labels: {}, value }] : []
  return { name, type: "gauge", unit: "seconds", help, samples }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const errors = (result: (key: string) => unknown): Family => {
  const groups = result("errors")
  const samples = (Array.isArray(groups) ? groups : []).flatMap((group: unknown): ReadonlyArray<Sample> => {
    if (!isFields(group) || typeof group["count"] !== "number") return []
    return [{ suffix: "", labels: labelsOf(group, ["reason", "code"]), value: group["count"] }]
  })
  return { name: "errors", type: "gauge", unit: "", help: "Requests that did not succeed, by kind", samples }
}
