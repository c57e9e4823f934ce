/**
 * The metrics of a run cannot be told while it goes.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"

/**
 * Something is in the way of live metrics, and it is known before the run begins. `problem` says what is wrong, `advice` what to do
 * about it. To the program it is wrong use.
 *
 * @category errors
 * @since 0.2.0
 */
export class LiveMetricsError extends Schema.TaggedError<LiveMetricsError>("llmperf/output/LiveMetricsError")(
  "LiveMetricsError",
  { problem: Schema.String, advice: Schema.String }
) {
  override get message(): string {
    return `${this.problem}. ${this.advice}`
  }
}
