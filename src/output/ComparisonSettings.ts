/**
 * Whether two runs may be compared: what differs between them besides the results.
 *
 * @since 0.2.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Fields } from "../domain/Fields.ts"
import * as CacheText from "./CacheText.ts"
import { valueInWords } from "./internal/plainWords.ts"
import * as Text from "./internal/text.ts"
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
  const refusals = [...of(load), ...prefixed(baseline.summary, candidate.summary)]
  const warnings = [
    ...of(surroundings),
    ...ownWarnings(baseline),
    ...ownWarnings(candidate),
    ...(sameRun(baseline, candidate)
      ? [`${candidate.path} is the same run as ${baseline.path}: it is compared with itself.`]
      : cacheWarnings(baseline, candidate, refusals))
  ]
  const leftOut = new Set<string>()
  if (isDifferent("tokenizer", baseline.summary, candidate.summary)) {
    warnings.push(
      `${said("tokenizer", "tokenizer", baseline.summary, candidate.summary)}: tokens of one are not tokens of the other, so neither are lengths, throughputs and inter-token latencies.`
    )
  }
  const [counts, others] = [baseline, candidate].map(({ summary }) => ({ source: result(summary, "token_source") }))
  if (
    counts !== undefined &&
    others !== undefined &&
    typeof counts.source === "string" &&
    typeof others.source === "string" &&
    isDifferent("source", counts, others)
  ) {
    warnings.push(
      `${said("source", "output tokens counted by", counts, others)}: these are not the same tokens; give both runs the same --count-tokens.`
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
  return { refusals, warnings, leftOut }
}

/**
 * Whether both are one run, be it a copy of its files: by its id and start, where that is known, else by its requests. Different parts
 * of a run, as `llmperf analyze` takes them, are not the same.
 */
const sameRun = (baseline: LoadedRun, candidate: LoadedRun): boolean => {
  const [a, b] = [baseline.summary, candidate.summary]
  const keys = ["run_id", "start_time", ...Object.keys({ ...a, ...b }).filter((key) => key.startsWith("analysis_"))]
  return typeof a["run_id"] === "string" || typeof b["run_id"] === "string"
    ? keys.every((key) => valueInWords(a[key]) === valueInWords(b[key]))
    : sameLatencies(baseline, candidate)
}

/** No two measurements are alike to the last digit in every request. */
const sameLatencies = ({ series }: LoadedRun, other: LoadedRun): boolean => {
  const keys = ["ttft_s", "end_to_end_latency_s"] as const
  const measured = keys.filter((key) => series.distributions[key].some(Number.isFinite))
  return (
    measured.length > 0 &&
    series.length === other.series.length &&
    keys.every((key) =>
      series.distributions[key].every((value, index) => Object.is(value, other.series.distributions[key][index]))
    )
  )
}

/** What else decides the prompts, besides the load. */
const decidePrompts = ["seed", "tokenizer", "schedule_file", "shared_prompts"] as const

/** Whether both runs sent the same prompts: all that decides them is known and the same. */
const samePrompts = (baseline: Fields, candidate: Fields): boolean =>
  baseline["shared_prompts"] === "sampling-params"
    ? candidate["shared_prompts"] === "sampling-params"
    : typeof baseline["seed"] === "number" &&
      decidePrompts.every((key) => valueInWords(baseline[key]) === valueInWords(candidate[key]))

/** Shares that differ by less may come of what a chat template puts before every prompt, and change a TTFT by no more. */
const UNEQUAL_SHARES = 0.05

const shareOf = ({ path }: LoadedRun, share: number | null | undefined): string =>
  typeof share === "number"
    ? `${Text.percent(share)} of the input tokens of ${path} came from the server's cache`
    : `${path} does not say`

/** What a cache may have done to one of the runs and not to the other. */
const cacheWarnings = (
  baseline: LoadedRun,
  candidate: LoadedRun,
  refusals: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const [before, after] = [baseline, candidate].map(({ summary }) => {
    const share = result(summary, "usage_cached_input_tokens_share")
    return typeof share === "number" ? share : null
  })
  const known = typeof before === "number" && typeof after === "number"
  if (known && Math.max(before, after) <= CacheText.NOTABLE_SHARE) return []
  const shares = known ? `${Text.percent(before)} and ${Text.percent(after)} of the input tokens` : ""
  const unequal = known && Math.abs(after - before) > UNEQUAL_SHARES
  const unequalText = `The server had ${shares} in its cache: TTFT and throughput differ by the cache, whatever else differs.`
  if (refusals.length === 0 && samePrompts(baseline.summary, candidate.summary)) {
    const seed = baseline.summary["seed"]
    const sent = `Both runs sent the same prompts${typeof seed === "number" ? ` (seed ${seed})` : ""}`
    if (unequal) return [`${sent}. ${unequalText}`]
    return known
      ? [`${sent}; the server had ${shares} in its cache.`]
      : [
          `${sent}: what one left in a cache of the server, the other may have found there. ${
            typeof before === "number" || typeof after === "number"
              ? `${shareOf(baseline, before)}, ${shareOf(candidate, after)}.`
              : "Neither run says how much of its input was cached."
          }`
        ]
  }
  return unequal ? [unequalText] : []
}

/** What is to be said of one run. */
const ownWarnings = ({ path, series, summarized, summary }: LoadedRun): ReadonlyArray<string> => {
  const found: Array<string> = []
  const verdict = result(summary, "verdict")
  if (verdict === "INVALID" || verdict === "DEGRADED") {
    const reasons = Option.getOrElse(decodeReasons(result(summary, "verdict_reasons")), () => [])
    const known = reasons.map(({ check, verdict: grade }) => ({ check, grade }))
    const said =
      reasons.map((reason) => VerdictText.sentence(reason, Number.POSITIVE_INFINITY)).join("; ") || given(summary)
    const meaning = VerdictText.headline(verdict, known, VerdictText.factsOf(summary), "its")
    found.push(`${path} is ${verdict}${said === "" ? "" : ` (${said})`}: ${meaning}.`)
  }
  const stopped = summary["stopped"]
  if (!summarized) {
    found.push(`${path} has no summary, as of a run that was killed: what was in flight at its end is missing.`)
  } else if (typeof stopped === "string") {
    found.push(`${path} did not come to its end by itself (${stopped}).`)
  }
  if (series.uncounted > 0) {
    const succeeded = series.succeeded.reduce((sum, one) => sum + one, 0)
    found.push(
      `${path}: the tokens of ${series.uncounted} of ${succeeded} answers are not known. Its output throughput is unknown; output tokens, ` +
        "request throughput and inter-token latency are those of the other answers. --count-tokens tokenizer counts every answer."
    )
  }
  if (!series.ordered) {
    found.push(
      `${path} does not say when requests were sent: they are taken in the order of the file, so intervals may be too short.`
    )
  }
  return found
}

const decodeReasons = Schema.decodeUnknownOption(VerdictText.VerdictFields.fields.verdict_reasons)

/** The reasons as they are, where they are none of ours. */
const given = (summary: Fields): string => {
  const reasons = result(summary, "verdict_reasons")
  return reasons === undefined || (Array.isArray(reasons) && reasons.length === 0) ? "" : valueInWords(reasons)
}

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
