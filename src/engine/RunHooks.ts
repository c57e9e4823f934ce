/**
 * What a run is given by those who watch over it.
 *
 * @since 0.2.0
 */
import type * as Effect from "effect/Effect"
import type * as LiveStats from "../metrics/LiveStats.ts"
import type * as ResultFiles from "../output/ResultFiles.ts"
import { type WarmUpReport } from "./WarmUp.ts"

/**
 * - `warmUp`: run before the clock starts; see `WarmUp`
 * - `userStop`: ends when the user wants the run to stop: no new request starts, those in flight have the grace to end
 * - `live`: counters for a display
 * - `details`: more for the summary, such as how the server was reached
 *
 * @category models
 * @since 0.2.0
 */
export interface RunHooks {
  readonly warmUp?: Effect.Effect<WarmUpReport> | undefined
  readonly userStop?: Effect.Effect<void> | undefined
  readonly live?: LiveStats.LiveStats | undefined
  readonly details?: ResultFiles.Fields | undefined
}
