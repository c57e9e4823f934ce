/**
 * Is told of every request that has ended, by the thread or machine that sent it.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import { type RequestRecord } from "../domain/RequestRecord.ts"

/**
 * Called once for each row, on the thread that reads sockets: it must be quick. Nothing is told by default.
 *
 * @category references
 * @since 0.2.0
 */
export const RequestTap = Context.Reference<((record: RequestRecord) => void) | null>("llmperf/engine/RequestTap", {
  defaultValue: () => null
})
