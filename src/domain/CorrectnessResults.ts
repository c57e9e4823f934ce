/**
 * What a correctness test comes to. A request asks for the number that some English words spell; its answer is right when it
 * contains that number in digits. `docs/correctness.md` describes the files.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import { RequestRecord } from "./RequestRecord.ts"

/**
 * What an answer is: `correct`; `mismatch`, numbers but not the right one; `no_number`, which counts as a mismatch too;
 * `error`, no answer to judge, because the request failed.
 *
 * @category models
 * @since 0.2.0
 */
export const Verdict = Schema.Literals(["correct", "mismatch", "no_number", "error"])

/**
 * @category models
 * @since 0.2.0
 */
export type Verdict = typeof Verdict.Type

/**
 * A row of `records.ndjson` of a correctness test: that of any run, then
 *
 * - `expected`: the number that was asked for
 * - `verdict`: what the answer is
 * - `generated_text`: the answer, without reasoning and without the arguments of tools; what had arrived, when the request
 *   failed
 *
 * @category models
 * @since 0.2.0
 */
export const CorrectnessRecord = Schema.Struct({
  ...RequestRecord.fields,
  expected: Schema.Int,
  verdict: Verdict,
  generated_text: Schema.String
})

/**
 * @category models
 * @since 0.2.0
 */
export interface CorrectnessRecord extends Schema.Schema.Type<typeof CorrectnessRecord> {}

const Share = Schema.NullOr(Schema.Finite)

/**
 * What a correctness test comes to. The first six are LLMPerf's, in its order; its two rates are shares of all completed
 * requests, those that failed among them. A share of nothing is `null`.
 *
 * - `num_completed_requests`: requests that ended, failed and cancelled ones included (in a load test they are not)
 * - `num_correct_requests`: answers with the right number
 * - `num_no_number_requests`: those of the mismatches whose answer has no number at all
 * - `answer_mismatch_rate`: mismatches as a share of the requests that were answered
 *
 * @category models
 * @since 0.2.0
 */
export const CorrectnessSummary = Schema.Struct({
  number_errors: Schema.Int,
  num_mismatched_requests: Schema.Int,
  error_rate: Share,
  mismatch_rate: Share,
  num_completed_requests: Schema.Int,
  num_non_errored_requests: Schema.Int,
  num_correct_requests: Schema.Int,
  num_no_number_requests: Schema.Int,
  answer_mismatch_rate: Share
})

/**
 * @category models
 * @since 0.2.0
 */
export interface CorrectnessSummary extends Schema.Schema.Type<typeof CorrectnessSummary> {}

/**
 * An answer that is not right.
 *
 * @category models
 * @since 0.2.0
 */
export interface Mismatch {
  readonly requestId: number
  readonly expected: number
  readonly text: string
}
