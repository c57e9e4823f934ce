/**
 * The id that a request carries to the server.
 *
 * @since 0.2.0
 */
import { type RequestPlan } from "../domain/RequestPlan.ts"

/**
 * The `x-request-id` of a planned request: `<run id>-<request id>`, or `<run id>-warmup-<n>` for those sent to warm up.
 *
 * @category conversions
 * @since 0.2.0
 */
export const requestIdOf =
  (runId: string) =>
  (plan: Pick<RequestPlan, "id">): string =>
    plan.id > 0 ? `${runId}-${plan.id}` : `${runId}-warmup-${-plan.id}`
