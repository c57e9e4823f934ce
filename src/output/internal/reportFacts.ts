import type { ReportRun } from "../ReportData.ts"
import { cutShort } from "./finishReasons.ts"
import { counted, number, percent, seconds } from "./reportText.ts"
import { resultOf } from "./resultOf.ts"
import { NOTABLE_FIRST_SHARE, uncountedAnswers } from "./uncounted.ts"

/** A number of the headline. `more` says what belongs to it; `value` is what is compared between runs. */
export interface Fact {
  readonly label: string
  readonly text: string
  readonly more: string
  readonly value: number | null
}

interface Quantiles {
  readonly p50: number | null
  readonly p99: number | null
}

const quantilesOf = ({ percentiles }: ReportRun, name: string): Quantiles => {
  const row = percentiles.find((row) => row.name === name)
  const at = (share: number): number | null => row?.at.find(({ q }) => q === share)?.value ?? null
  return { p50: at(0.5), p99: at(0.99) }
}

const namedOf = ({ summary }: ReportRun, name: string): unknown => summary[`results_${name}`] ?? summary[name]

const countedBy = (run: ReportRun): string => {
  const source = namedOf(run, "token_source")
  return typeof source === "string" ? `, counted by the ${source}` : ""
}

const finishReasonsOf = (run: ReportRun): { readonly [reason: string]: unknown } => {
  const frequency = namedOf(run, "finish_reason_frequency")
  return typeof frequency === "object" && frequency !== null ? { ...frequency } : {}
}

const perToken = (fact: Fact, { summary }: ReportRun): Fact => {
  const low = resultOf(summary, "unknown_first_chunk_share")
  return low === null || low < NOTABLE_FIRST_SHARE
    ? fact
    : { ...fact, more: `${fact.more}; may be up to ${percent(low)} too low (see --usage-per-chunk)` }
}

const outputRate = (run: ReportRun): Fact => {
  const { outputTokens, succeeded, tokensPerSecond, uncounted } = run.totals
  const label = "Output tokens per second"
  const why = uncountedAnswers({
    num_completed_requests: succeeded,
    num_uncounted_requests: uncounted,
    token_source: namedOf(run, "token_source") === "server" ? "server" : null
  })
  return why === null
    ? {
        label,
        text: number(tokensPerSecond),
        more: `${counted(outputTokens, "token")} in all${countedBy(run)}`,
        value: tokensPerSecond
      }
    : { label, text: "unknown", more: why, value: null }
}

/** The headline of a run. */
export const factsOf = (run: ReportRun): ReadonlyArray<Fact> => {
  const { totals } = run
  const latency = (label: string, name: string): Fact => {
    const { p50, p99 } = quantilesOf(run, name)
    return { label: `${label}, p50`, text: seconds(p50), more: `p99 ${seconds(p99)}`, value: p50 }
  }
  const lag = quantilesOf(run, "Dispatch lag")
  const asked = run.summary["num_concurrent_requests"]
  const cached = resultOf(run.summary, "usage_cached_input_tokens_share")
  const errors = totals.failed + totals.cancelled
  return [
    latency("Time to first token", "Time to first token"),
    perToken(latency("Inter-token latency (TPOT)", "Inter-token latency"), run),
    latency("End-to-end latency", "End-to-end latency"),
    outputRate(run),
    {
      label: "Requests that succeeded",
      text: number(totals.succeeded),
      more: [
        errors === 0
          ? "none failed"
          : [
              totals.failed > 0 ? `${number(totals.failed)} failed` : "",
              totals.cancelled > 0 ? `${number(totals.cancelled)} cancelled` : "",
              `(${percent(errors / totals.requests)})`
            ]
              .filter((part) => part !== "")
              .join(" "),
        ...cutShort(finishReasonsOf(run)).map(([reason, count]) => `${number(count)} ended by ${reason}`)
      ].join(", "),
      value: totals.succeeded
    },
    {
      label: "Requests per second",
      text: number(totals.requestsPerSecond),
      more: `succeeded, over ${seconds(totals.wall)}`,
      value: totals.requestsPerSecond
    },
    {
      label: "Requests in flight, mean",
      text: number(totals.meanInFlight),
      more: typeof asked === "number" ? `${number(asked)} asked for` : "as many as were due",
      value: totals.meanInFlight
    },
    ...(cached === null
      ? []
      : [
          {
            label: "Input tokens from the cache",
            text: percent(cached),
            more: "as the server counts them",
            value: cached
          }
        ]),
    totals.late === null
      ? { label: "Dispatch lag, p99", text: seconds(lag.p99), more: `p50 ${seconds(lag.p50)}`, value: lag.p99 }
      : {
          label: "Requests sent late",
          text: number(totals.late),
          more: `dispatch lag p99 ${seconds(lag.p99)}`,
          value: totals.late
        }
  ]
}
