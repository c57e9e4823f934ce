/**
 * What a calibration says in the results of a run.
 *
 * @since 0.2.0
 */
import { type Asked, type LoadCalibration, nearest, type Spread } from "../domain/CalibrationResults.ts"
import { type Summary } from "../domain/Summary.ts"
import * as Text from "./internal/text.ts"
import { type Fields } from "./ResultFiles.ts"

/**
 * From which share of the machine on it is said that other programs took it while a calibration was measured.
 *
 * @category constants
 * @since 0.2.0
 */
export const DISTURBED = 0.1

const spread = (name: string, { max, p50, p99, p999 }: Spread): Fields => ({
  [`calibration_${name}_p50_s`]: p50,
  [`calibration_${name}_p99_s`]: p99,
  [`calibration_${name}_p999_s`]: p999,
  [`calibration_${name}_max_s`]: max
})

const unknown: Spread = { count: 0, p50: null, p99: null, p999: null, max: null }

/**
 * How heavy a run was, to look up what the client added: what was in flight at most, and requests and tokens per second of
 * wall time.
 *
 * @category conversions
 * @since 0.2.0
 */
export const askedOf = (kind: Asked["kind"], summary: Summary): Asked => ({
  kind,
  in_flight: summary.max_requests_in_flight,
  requests_per_s:
    summary.wall_time_s === null || summary.wall_time_s <= 0
      ? null
      : summary.num_requests_started / summary.wall_time_s,
  tokens_per_s: summary.mean_output_throughput_token_per_s
})

/**
 * The keys of a summary: what the client adds, and at which load that was measured. All are `null` when no calibration fits.
 *
 * @category conversions
 * @since 0.2.0
 */
export const fields = (found: LoadCalibration | null): Fields => ({
  calibration_measured_at: found?.measured_at ?? null,
  calibration_other_programs_share: found?.busy.others ?? null,
  calibration_in_flight: found?.weight.in_flight ?? null,
  calibration_requests_per_s: found?.weight.requests_per_s ?? null,
  calibration_tokens_per_s: found?.weight.tokens_per_s ?? null,
  ...spread("added_ttft", found?.added.ttft_s ?? unknown),
  ...spread("added_inter_token_latency", found?.added.inter_token_latency_s ?? unknown),
  ...spread("token_delay", found?.added.token_delay_s ?? unknown),
  ...spread("lag", found?.lag_s ?? unknown)
})

const milliseconds = (seconds: number | null): string => (seconds === null ? "–" : `${Text.number(seconds * 1_000)} ms`)

const twice = ({ p50, p99 }: Spread): string => `${milliseconds(p50)} (p50), ${milliseconds(p99)} (p99)`

/**
 * What the client adds, in a sentence.
 *
 * @category rendering
 * @since 0.2.0
 */
export const sentence = ({ added, busy }: LoadCalibration): string =>
  `At this load the client adds ${twice(added.ttft_s)} to TTFT, and sees a token ${twice(added.token_delay_s)} after it was sent` +
  (busy.others > DISTURBED ? ` (measured while other programs took ${Text.percent(busy.others)} of the machine).` : ".")

/** A duration as a flag takes it. */
const flagText = (seconds: number): string => `${Number((seconds * 1_000).toPrecision(2))}ms`

const paceFlags = ({ inter_token_latency_s, ttft_s }: Summary): string => {
  const ttft = ttft_s.quantiles.p50
  const itl = inter_token_latency_s.quantiles.p50
  return `${ttft === null ? "" : ` --ttft ${flagText(ttft)}`}${itl === null ? "" : ` --itl ${flagText(itl)}`}`
}

/**
 * How to find out, when no calibration fits: with the pace that the server had in this run.
 *
 * @category rendering
 * @since 0.2.0
 */
export const hint = (summary: Summary): string => {
  const pace = paceFlags(summary)
  return (
    "What the client itself adds at this load is not known on this machine. To measure it: " +
    `llmperf calibrate with the flags of this test${pace === "" ? "" : ` and${pace}`}.`
  )
}

/**
 * What the results of a run say of the client itself, by the calibration that tells most about it: the keys of the summary, and
 * a sentence for people, which is `hint` when no calibration fits.
 *
 * @category conversions
 * @since 0.2.0
 */
export const describe = (
  loads: ReadonlyArray<LoadCalibration>,
  kind: Asked["kind"],
  summary: Summary
): { readonly fields: Fields; readonly text: string } => {
  const found = nearest(loads, askedOf(kind, summary))
  return { fields: fields(found), text: found === null ? hint(summary) : sentence(found) }
}
