/**
 * Is told, in an agent, of every request that has ended there: an agent has no outputs of its own. In a run of this thread see `Output`.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import type * as OtlpSpans from "../output/OtlpSpans.ts"

/**
 * - `add`: called once for each row, on the thread that reads sockets: it must be quick
 * - `finish`: of an agent, when all it sent has ended: what became of spans, `null` when there are none. It must not take more than
 *   some seconds
 *
 * @category models
 * @since 0.2.0
 */
export interface Tap {
  readonly add: (record: RequestRecord) => void
  readonly finish: Effect.Effect<OtlpSpans.Report | null>
}

/**
 * Nothing is told by default.
 *
 * @category references
 * @since 0.2.0
 */
export const RequestTap = Context.Reference<Tap | null>("llmperf/engine/RequestTap", { defaultValue: () => null })
