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
import type * as OtlpSpans from "../../output/OtlpSpans.ts"
import type * as ChunkTimes from "../../output/ChunkTimes.ts"
import type * as Ndjson from "../../output/Ndjson.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import { type AgentProfile } from "../LoadAgent.ts"
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

/**
 * - `stop`: is closed when nothing more may be sent
 * - `graceOver()`: whether those in flight have had their grace since
 * - `keep`: takes over a request that has ended
 * - `keepLines`, `keepChunks`, `keepSink`: take over rows and chunk times that others have put together, and at the end the fold
 *   of them
 * - `onEnded`: is told of what has ended elsewhere as it comes in
 */
export interface Desk {
  readonly settings: Settings
  readonly live: LiveStats.LiveStats
  readonly stop: StopSignal.StopSignal
  readonly graceOver: () => boolean
  readonly keep: (outcome: RequestOutcome, measurement: Measurement) => void
  readonly keepLines: (records: Ndjson.Lines | null, sent: Ndjson.Lines | null) => void
  readonly keepChunks: (chunks: ChunkTimes.Blocks) => void
  readonly keepSink: (sink: SummarySink) => void
  readonly onEnded: (sink: SummarySink) => void
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
 * - `accounts()`: the same of each agent on another machine
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
  readonly spans: () => OtlpSpans.Report | null
  readonly accounts: () => ReadonlyArray<AgentAccount>
}

/**
 * What is known of an agent on another machine.
 *
 * - `missingRows`: the requests that have ended and of which there is no row
 * - `offsetSeconds`: how far its monotonic clock was ahead of ours at the start, to within half of `roundTripSeconds`;
 *   `driftSeconds`: by how much the two have parted since
 * - `startedSeconds`: when it began to send, after the start of the run, by our clock; `null` when that is not known
 */
export interface AgentAccount {
  readonly name: string
  readonly profile: AgentProfile
  readonly requests: number
  readonly sink: SummarySink
  readonly health: HealthReport.HealthReport | null
  readonly dispatch: DispatchReport | null
  readonly missingRows: ReadonlyArray<number>
  readonly offsetSeconds: number
  readonly roundTripSeconds: number
  readonly driftSeconds: number
  readonly startedSeconds: number | null
  readonly lost: LostAgent | null
}

export interface Prepared {
  readonly tokenizer: string
  readonly warmUp: WarmUpReport | null
}
