/**
 * What a run is given by those who watch over it.
 *
 * @since 0.2.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Summary } from "../domain/Summary.ts"
import type * as LiveStats from "../metrics/LiveStats.ts"
import { type SummarySink } from "../metrics/SummarySink.ts"
import type * as Verdict from "../metrics/Verdict.ts"
import type * as OtlpSpans from "../output/OtlpSpans.ts"
import type * as ResultFiles from "../output/ResultFiles.ts"
import type * as AbortOnErrors from "./AbortOnErrors.ts"
import type * as Health from "./Health.ts"
import { type WarmUpReport } from "./WarmUp.ts"

/**
 * A run whose requests have all ended.
 *
 * @category models
 * @since 0.2.0
 */
export interface EndedRun extends OtlpSpans.Run {
  readonly agents: OtlpSpans.Report | null
}

/**
 * - `warmUp`: run before the clock starts; see `WarmUp`. The agents of a fleet warm up themselves
 * - `userStop`: ends when the user wants the run to stop: no new request starts, those in flight have the grace to end
 * - `live`: counters for a display
 * - `details`: more for the summary, such as how the server was reached; `ofSummary`: what follows from its numbers
 * - `replaced`: the text that sampling parameters put in the place of every prompt; `null`, or left out, when they do not
 * - `watch`: begins to watch over this thread as the clock starts; see `Health`. The agents of a fleet watch over themselves
 * - `limits`: those of the verdict
 * - `abortOnErrors`: when the run ends early because requests fail; by default when 50 in a row are refused and none has succeeded
 * - `chunkTimes`: whether the arrival of every chunk is saved with the results; see `ChunkTimes`
 * - `beforeSummary`: the last that is done before the results are written; gives what the summary says of it. `agents`: what became of
 *   the spans that agents have sent
 * - `onEnded`: is given the fold of requests that agents have reported as ended; for those of this thread see `RequestTap`
 *
 * @category models
 * @since 0.2.0
 */
export interface RunHooks {
  readonly warmUp?: Effect.Effect<WarmUpReport> | undefined
  readonly userStop?: Effect.Effect<void> | undefined
  readonly live?: LiveStats.LiveStats | undefined
  readonly details?: ResultFiles.Fields | undefined
  readonly ofSummary?: ((summary: Summary, openLoop: boolean) => ResultFiles.Fields) | undefined
  readonly replaced?: string | null | undefined
  readonly watch?: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
  readonly limits?: Verdict.Limits | undefined
  readonly abortOnErrors?: AbortOnErrors.Policy | undefined
  readonly chunkTimes?: boolean | undefined
  readonly beforeSummary?: ((run: EndedRun) => Effect.Effect<ResultFiles.Fields>) | undefined
  readonly onEnded?: ((sink: SummarySink) => void) | undefined
}
