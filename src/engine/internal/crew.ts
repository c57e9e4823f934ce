/** Those who send the requests of a run, and the desk that they report to. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type RequestOutcome } from "../../domain/RequestRecord.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import type * as LiveStats from "../../metrics/LiveStats.ts"
import { type Measurement, type RunStart } from "../../metrics/RequestSink.ts"
import { type SummarySink } from "../../metrics/SummarySink.ts"
import { type DispatchReport } from "../../metrics/Verdict.ts"
import type * as Ndjson from "../../output/Ndjson.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import { type LostAgent } from "../RunResult.ts"
import type * as StopSignal from "../StopSignal.ts"
import { type WarmUpReport } from "../WarmUp.ts"
import { type Loop, type Settings } from "./measuring.ts"

/**
 * What is to be sent. `planned`: how many requests there are; `ready` must have ended before the clock starts.
 */
export interface Work<E, R> {
  readonly loop: Loop
  readonly planned: number
  readonly plans: Stream.Stream<RequestPlan, E, R>
  readonly ready: Effect.Effect<void, E, R>
}

/** Requests that have ended, as another thread has put them together: their rows and the fold of them. */
export interface EndedRequests {
  readonly records: Ndjson.Lines
  readonly sent: Ndjson.Lines | null
  readonly sink: SummarySink
}

/**
 * - `stop`: is closed when nothing more may be sent
 * - `graceOver()`: whether those in flight have had their grace since
 * - `keep`, `keepAll`: take over what has ended
 */
export interface Desk {
  readonly settings: Settings
  readonly live: LiveStats.LiveStats
  readonly stop: StopSignal.StopSignal
  readonly graceOver: () => boolean
  readonly keep: (outcome: RequestOutcome, measurement: Measurement) => void
  readonly keepAll: (ended: EndedRequests) => void
  readonly onUncounted: (error: TokenizerError) => void
}

/** One who sends, and how many requests that were kept are from there. */
export interface Share {
  readonly requests: () => number
}

/**
 * In the order of use:
 *
 * - `prepare`: makes everything ready and warms up
 * - `start`: ends at the moment from which the run counts
 * - `loop`: sends all there is; ends when all that was sent has ended. Once `stop` is closed it sends no more. Interrupting it
 *   cancels what is in flight, now or in `finish`
 * - `finish`: ends when all that was sent has been kept
 * - `dispatch()`, `health()`: how requests left those who sent them, and how these were; of all that is known after `finish`
 * - `abandon`: for the finalizer of a run that did not come so far: keeps what can be kept at once
 */
export interface Crew<E, R> {
  readonly shares: ReadonlyArray<Share>
  readonly prepare: Effect.Effect<Prepared, E, R>
  readonly start: Effect.Effect<RunStart, never, Scope.Scope>
  readonly loop: Effect.Effect<void, E, R>
  readonly finish: Effect.Effect<void>
  readonly abandon: Effect.Effect<void>
  readonly lost: () => ReadonlyArray<LostAgent>
  readonly dispatch: () => DispatchReport
  readonly health: () => HealthReport.HealthReport | null
}

export interface Prepared {
  readonly tokenizer: string
  readonly warmUp: WarmUpReport | null
}
