/**
 * What a calibration says in the results of a run.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { type Asked, type LoadCalibration, nearest, type Spread } from "../domain/CalibrationResults.ts"
import { type Summary } from "../domain/Summary.ts"
import * as Text from "./internal/text.ts"

/**
 * From which share of the machine on it is said that other programs took it while a calibration was measured.
 *
 * @category constants
 * @since 0.2.0
 */
export const DISTURBED = 0.1

const Num = Schema.NullOr(Schema.Finite)

const SpreadFields = Schema.Struct({ p50_s: Num, p99_s: Num, p999_s: Num, max_s: Num })

/**
 * What a summary says of a calibration, before it is made flat: `calibration_added_ttft_p50_s` and so on. All is `null` when no
 * calibration fits the run.
 *
 * - `measured_at`: when, ISO 8601
 * - `other_programs_share`: the share of all processors that other programs took meanwhile
 * - `in_flight`, `requests_per_s`, `tokens_per_s`: the load at which it was measured
 * - `added_ttft`, `added_inter_token_latency`: what the client adds to the server's
 * - `token_delay`: from the moment a token was sent to the client's stamp; `lag`: from the moment a request was due to it
 *
 * @category models
 * @since 0.2.0
 */
export const CalibrationFields = Schema.Struct({
  calibration: Schema.Struct({
    measured_at: Schema.NullOr(Schema.String),
    other_programs_share: Num,
    in_flight: Num,
    requests_per_s: Num,
    tokens_per_s: Num,
    added_ttft: SpreadFields,
    added_inter_token_latency: SpreadFields,
    token_delay: SpreadFields,
    lag: SpreadFields
  })
})

/**
 * @category models
 * @since 0.2.0
 */
export type CalibrationFields = typeof CalibrationFields.Type

const spread = (found: Spread | undefined): typeof SpreadFields.Type => ({
  p50_s: found?.p50 ?? null,
  p99_s: found?.p99 ?? null,
  p999_s: found?.p999 ?? null,
  max_s: found?.max ?? null
})

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
 * For a summary: what the client adds, and at which load that was measured.
 *
 * @category conversions
 * @since 0.2.0
 */
export const fields = (found: LoadCalibration | null): CalibrationFields => ({
  calibration: {
    measured_at: found?.measured_at ?? null,
    other_programs_share: found?.busy.others ?? null,
    in_flight: found?.weight.in_flight ?? null,
    requests_per_s: found?.weight.requests_per_s ?? null,
    tokens_per_s: found?.weight.tokens_per_s ?? null,
    added_ttft: spread(found?.added.ttft_s),
    added_inter_token_latency: spread(found?.added.inter_token_latency_s),
    token_delay: spread(found?.added.token_delay_s),
    lag: spread(found?.lag_s)
  }
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

/**
 * What is said of the client: a text, and the command line that measures what is not known, to be copied.
 *
 * @category models
 * @since 0.2.0
 */
export interface Said {
  readonly text: string
  readonly command: string | null
}

/** A duration as a flag takes it. */
const flagText = (seconds: number): string => `${Number((seconds * 1_000).toPrecision(2))}ms`

/**
 * How to find out, when no calibration fits: a command with the flags of the load, written as a shell takes them, and the pace that
 * the server had in this run.
 *
 * @category rendering
 * @since 0.2.0
 */
export const hint = ({ inter_token_latency_s, ttft_s }: Summary, loadFlags: string): Said => {
  const ttft = ttft_s.quantiles.p50
  const itl = inter_token_latency_s.quantiles.p50
  const flags = [
    ...(loadFlags === "" ? [] : [loadFlags]),
    ...(ttft === null ? [] : [`--ttft ${flagText(ttft)}`]),
    ...(itl === null ? [] : [`--itl ${flagText(itl)}`])
  ]
  return {
    text: "What the client itself adds at this load is not known on this machine. To measure it:",
    command: ["llmperf calibrate", ...flags].join(" ")
  }
}

/**
 * What the results of a run say of the client itself, by the calibration that tells most about it: the keys of the summary, and
 * what is said to people, which is `hint` when no calibration fits.
 *
 * @category conversions
 * @since 0.2.0
 */
export const describe = (
  loads: ReadonlyArray<LoadCalibration>,
  kind: Asked["kind"],
  summary: Summary,
  loadFlags: string
): { readonly fields: CalibrationFields; readonly said: Said } => {
  const found = nearest(loads, askedOf(kind, summary))
  return {
    fields: fields(found),
    said: found === null ? hint(summary, loadFlags) : { text: sentence(found), command: null }
  }
}
