/**
 * Whether two runs may be compared: what differs between them besides the results.
 *
 * @since 0.2.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Fields } from "../domain/Fields.ts"
import { valueInWords } from "./internal/plainWords.ts"
import type { LoadedRun } from "./RunReader.ts"
import * as VerdictText from "./VerdictText.ts"

/**
 * - `refusals`: differences of the load, which change the numbers by themselves
 * - `warnings`: what a reader must know to judge the numbers
 * - `leftOut`: metrics that mean something else in each of the runs
 *
 * @category models
 * @since 0.2.0
 */
export interface Settings {
  readonly refusals: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  readonly leftOut: ReadonlySet<string>
}

/** What decides the load. */
const load: ReadonlyArray<readonly [key: string, words: string]> = [
  ["mean_input_tokens", "mean input tokens"],
  ["stddev_input_tokens", "deviation of input tokens"],
  ["mean_output_tokens", "mean output tokens"],
  ["stddev_output_tokens", "deviation of output tokens"],
  ["num_concurrent_requests", "requests in flight"],
  ["request_rate", "request rate"],
  ["arrival", "arrival process"],
  ["burstiness", "burstiness"],
  ["burst_size", "size of bursts"],
  ["num_launched", "measured requests of the schedule"],
  ["num_unsampled", "other requests of the schedule"],
  ["max_in_flight", "limit of requests in flight"],
  ["when_full", "what is done when full"],
  ["max_sampled_requests_per_second", "limit of measured requests"],
  ["prompt_mode", "prompt mode"],
  ["test", "kind of test"]
]

/** What is measured, and how. */
const surroundings: ReadonlyArray<readonly [key: string, words: string]> = [
  ["model", "model"],
  ["llm_api", "API"],
  ["seed", "seed"],
  ["schedule_file", "schedule file"],
  ["request_timeout_s", "limit for a request"],
  ["network_tls_verified", "checking of certificates"],
  ["network_proxy", "proxy"],
  ["network_client_certificate", "client certificate"]
]

const SAMPLING = "additional_sampling_params_"
const CHANGES = "schedule_changes"

/**
 * Compares what the two runs were asked for. A key that one of them does not have says nothing.
 *
 * @category comparing
 * @since 0.2.0
 */
export const compare = (baseline: LoadedRun, candidate: LoadedRun): Settings => {
  const of = (keys: ReadonlyArray<readonly [key: string, words: string]>): ReadonlyArray<string> =>
    keys.flatMap(([key, words]) => differing(key, words, baseline.summary, candidate.summary))
  const warnings = [...of(surroundings), ...ownWarnings(baseline), ...ownWarnings(candidate)]
  const leftOut = new Set<string>()
  if (isDifferent("tokenizer", baseline.summary, candidate.summary)) {
    warnings.push(
      `${said("tokenizer", "tokenizer", baseline.summary, candidate.summary)}: tokens of one are not tokens of the other, so neither are lengths, throughputs and inter-token latencies.`
    )
  }
  if (baseline.writer !== candidate.writer) {
    warnings.push(
      "One run is of LLMPerf: its TTFT and end-to-end latency begin before the connection is opened, as scheduled TTFT and scheduled end-to-end latency do here, and its token counts are one higher."
    )
  }
  if (baseline.itl !== candidate.itl) {
    leftOut.add("inter_token_latency_s")
    warnings.push(
      "Inter-token latency is not compared: in one of the runs it is that of an LLMPerf that counts the TTFT into it."
    )
  }
  return { refusals: [...of(load), ...prefixed(baseline.summary, candidate.summary)], warnings, leftOut }
}

/** What is to be said of one run. */
const ownWarnings = ({ path, series, summarized, summary }: LoadedRun): ReadonlyArray<string> => {
  const found: Array<string> = []
  const verdict = result(summary, "verdict")
  if (verdict === "INVALID" || verdict === "DEGRADED") {
    const reasons = reasonsOf(result(summary, "verdict_reasons"))
    found.push(
      `${path} is ${verdict}${reasons === "" ? "" : ` (${reasons})`}: ${
        verdict === "INVALID"
          ? "its numbers are not those of the server."
          : "its numbers are partly those of the client."
      }`
    )
  }
  const stopped = summary["stopped"]
  if (!summarized) {
    found.push(`${path} has no summary, as of a run that was killed: what was in flight at its end is missing.`)
  } else if (typeof stopped === "string") {
    found.push(`${path} did not come to its end by itself (${stopped}).`)
  }
  if (!series.ordered) {
    found.push(
      `${path} does not say when requests were sent: they are taken in the order of the file, so intervals may be too short.`
    )
  }
  return found
}

const decodeReasons = Schema.decodeUnknownOption(VerdictText.VerdictFields.fields.verdict_reasons)

const reasonsOf = (reasons: unknown): string =>
  Option.match(decodeReasons(reasons), {
    onNone: () => (reasons === undefined ? "" : valueInWords(reasons)),
    onSome: (all) =>
      all
        .map((reason) => VerdictText.sentence({ ...reason, grade: reason.verdict }, Number.POSITIVE_INFINITY))
        .join("; ")
  })

const result = (summary: Fields, key: string): unknown => summary[key] ?? summary[`results_${key}`]

/** Sampling parameters and changes to the schedule, whatever they are. */
const prefixed = (baseline: Fields, candidate: Fields): ReadonlyArray<string> => {
  const keys = new Set([...Object.keys(baseline), ...Object.keys(candidate)])
  return [...keys]
    .filter((key) => key.startsWith(SAMPLING) || key.startsWith(CHANGES))
    .filter((key) => valueInWords(baseline[key]) !== valueInWords(candidate[key]))
    .map((key) =>
      said(
        key,
        key.startsWith(SAMPLING) ? `sampling parameter ${key.slice(SAMPLING.length)}` : key,
        baseline,
        candidate
      )
    )
}

const isDifferent = (key: string, baseline: Fields, candidate: Fields): boolean =>
  key in baseline && key in candidate && valueInWords(baseline[key]) !== valueInWords(candidate[key])

const differing = (key: string, words: string, baseline: Fields, candidate: Fields): ReadonlyArray<string> =>
  isDifferent(key, baseline, candidate) ? [said(key, words, baseline, candidate)] : []

const said = (key: string, words: string, baseline: Fields, candidate: Fields): string =>
  `${words} ${valueInWords(baseline[key])} against ${valueInWords(candidate[key])}`
