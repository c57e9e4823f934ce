/**
 * Who sends the requests of a run: this thread, worker threads, or agents on other machines. To the run they are all the same: a
 * stream of requests that have ended.
 *
 * @since 0.2.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type Loop } from "../domain/Loop.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type Ended } from "../metrics/Ended.ts"
import type * as HealthReport from "../metrics/HealthReport.ts"
import { type Measurement, type RunStart } from "../metrics/RequestSink.ts"
import { type LiveStats } from "../metrics/LiveStats.ts"
import { type SummarySink } from "../metrics/SummarySink.ts"
import { type DispatchReport } from "../metrics/Verdict.ts"
import type * as OtlpSpans from "../output/OtlpSpans.ts"
import { type Provider } from "../provider/Provider.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import type * as AbortOnErrors from "./AbortOnErrors.ts"
import type * as Health from "./Health.ts"
import { type Settings } from "./internal/measuring.ts"
import { type AgentProfile } from "./LoadAgent.ts"
import { type LostAgent } from "./RunResult.ts"
import { type StopSignal } from "./StopSignal.ts"
import { type WarmUpReport } from "./WarmUp.ts"

/**
 * What is to be sent.
 *
 * - `planned`: how many requests there are
 * - `plans`: each once, in their order
 * - `ready`: must have ended before the clock starts
 *
 * @category models
 * @since 0.2.0
 */
export interface Load<E = never, R = never> {
  readonly loop: Loop
  readonly planned: number
  readonly plans: Stream.Stream<RequestPlan, E, R>
  readonly ready: Effect.Effect<void, E, R>
}

/**
 * Everything is ready: what text is counted with, and what was done to warm up.
 *
 * @category models
 * @since 0.2.0
 */
export interface Prepared {
  readonly tokenizer: string
  readonly warmUp: WarmUpReport | null
}

/**
 * What is known of an agent on another machine.
 *
 * - `missingRows`: the requests that have ended and of which there is no row
 * - `offsetSeconds`: how far its monotonic clock was ahead of ours at the start, to within half of `roundTripSeconds`;
 *   `driftSeconds`: by how much the two have parted since
 * - `startedSeconds`: when it began to send, after the start of the run, by our clock; `null` when that is not known
 *
 * @category models
 * @since 0.2.0
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

/**
 * How a sender fared.
 *
 * - `endedNanos`: when the last request had ended, on the monotonic clock of this thread
 * - `requests`: how many of the requests that ended each thread or agent has sent
 * - `dispatch`: how requests left, see `Verdict.DispatchTally`; `health`: how those who sent were, `null` when nobody watched
 * - `uncounted`: why generated text could not be counted, `null` when it was
 * - `lost`: threads and agents that ended before their time; `agents`: each agent on another machine
 * - `spans`: what became of the spans that were sent elsewhere
 *
 * @category models
 * @since 0.2.0
 */
export interface SenderAccount {
  readonly endedNanos: number
  readonly requests: ReadonlyArray<number>
  readonly dispatch: DispatchReport
  readonly health: HealthReport.HealthReport | null
  readonly uncounted: TokenizerError | null
  readonly lost: ReadonlyArray<LostAgent>
  readonly agents: ReadonlyArray<AgentAccount>
  readonly spans: OtlpSpans.Report | null
}

/**
 * In the order of use, each once:
 *
 * - `prepare`: makes everything ready and warms up
 * - `start`: ends at the moment from which the run counts
 * - `ended`: sends all there is, and gives every request when it has ended. It ends when all that was sent has been given, and then
 *   fails when the plans did. What it is told by the `StopSignal` of the run it does soon: it sends nothing more, cancels what is in
 *   flight, or gives at once what it has
 * - `account`: how it fared; known when `ended` has ended
 *
 * `count`: how many threads or agents there are.
 *
 * @category models
 * @since 0.2.0
 */
export interface Sender<E = never, R = never> {
  readonly count: number
  readonly prepare: Effect.Effect<Prepared, E, R>
  readonly start: Effect.Effect<RunStart, never, Scope.Scope>
  readonly ended: Stream.Stream<Ended, E, R>
  readonly account: Effect.Effect<SenderAccount>
}

/**
 * What a sender is made for.
 *
 * - `load`: what it sends; `settings`: what is said about every request, and about the end of the run
 * - `stop`: tells it to end before all is done; `live`: counters that it keeps up to date for a display
 * - `onEnded`: is told of what ended before the batch that it is in is given
 * - `saves`, `logsSent`, `chunkTimes`: what outputs want of requests that are sent elsewhere: rows of records, rows of
 *   `requests_sent.log`, chunk times
 * - `row`: what the test makes of the record of a request; when left out, the record is the row. Only of requests sent here
 * - `warmUp`: what this thread does in `prepare`; `watch`: begins to watch over this thread as the clock starts
 *
 * @category models
 * @since 0.2.0
 */
export interface SenderRun<E, R> {
  readonly load: Load<E, R>
  readonly settings: Settings
  readonly stop: StopSignal
  readonly live: LiveStats
  readonly onEnded: (ended: AbortOnErrors.Ended) => void
  readonly saves: boolean
  readonly logsSent: boolean
  readonly chunkTimes: boolean
  readonly row?: ((record: RequestRecord, measurement: Measurement) => RequestRecord) | undefined
  readonly warmUp?: Effect.Effect<WarmUpReport> | undefined
  readonly watch?: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
}

/**
 * Makes the sender of a run: `LocalSender.make`, `FleetSender.make` of some agents, or one of your own
 * (`examples/11_new-sender.ts`). `SE`: what it fails with besides the plans.
 *
 * @category models
 * @since 0.2.0
 */
export type MakeSender<SE = never> = <E, R>(
  run: SenderRun<E, R>
) => Effect.Effect<Sender<E | SE, R>, never, R | Provider | TokenCounter | Scope.Scope>
