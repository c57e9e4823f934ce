/**
 * What to send: one planned request. A workload is a stream of these.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * One planned request.
 *
 * - `id`: 1, 2, 3 … in the order of the plan; it is `request_id` in the results and the end of the `x-request-id` header
 * - `dueSeconds`: the intended moment, in seconds after the start of the run; `null` in a closed loop, where a request
 *   is due when a slot becomes free
 * - `prompt`: the final text
 * - `inputTokens`: tokens of that text as counted; `targetInputTokens`: what was aimed at
 * - `outputTokens`: how many tokens the server is asked for at most; `null` to set no limit of our own
 * - `sampled`: whether it is measured. The others are load like any: counted, but in no distribution
 *
 * @category models
 * @since 0.1.0
 */
export const RequestPlan = Schema.Struct({
  id: Schema.Int,
  dueSeconds: Schema.NullOr(Schema.Finite),
  prompt: Schema.String,
  inputTokens: Schema.Int,
  targetInputTokens: Schema.Int,
  outputTokens: Schema.NullOr(Schema.Int),
  sampled: Schema.Boolean
})

/**
 * @category models
 * @since 0.1.0
 */
export interface RequestPlan extends Schema.Schema.Type<typeof RequestPlan> {}
