/**
 * An agent: one that sends a share of a load and reports what became of it. It may be a thread of this process or, some day, a
 * process on another machine; this is what is said between it and the coordinator of the run.
 *
 * The coordinator plans all requests and hands them out in leases, a few at a time, so that what is sent does not depend on how
 * many agents there are. Everything goes over as values of schemas; nothing is shared.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Transferable from "effect/workers/Transferable"
import { RequestPlan } from "../domain/RequestPlan.ts"
import * as HealthReport from "../metrics/HealthReport.ts"
import { DispatchReport } from "../metrics/Verdict.ts"
import { TokenizerError } from "../workload/Tokenizer.ts"

const Count = Schema.Int
const Seconds = Schema.NullOr(Schema.Finite)

/** Bytes that go over as they are; whoever sends them has them no more. */
const Bytes = Transferable.Uint8Array

/**
 * What an agent is told of the run.
 *
 * - `slots`: how many requests it has in flight in a closed loop; `null` in an open one, where each is sent when it is due
 * - `saves`, `logsSent`: whether rows of records and of `requests_sent.log` are wanted
 * - `warmUp`: see `WarmUp.run`; `null` for none
 * - the rest: as in `RunConfig`
 *
 * @category models
 * @since 0.2.0
 */
export const AgentSpec = Schema.Struct({
  runId: Schema.String,
  requestIdHeader: Schema.NullOr(Schema.String),
  requestTimeoutSeconds: Seconds,
  timeoutSeconds: Seconds,
  graceSeconds: Schema.Finite,
  slots: Schema.NullOr(Count),
  saves: Schema.Boolean,
  logsSent: Schema.Boolean,
  warmUp: Schema.NullOr(
    Schema.Struct({ client: Schema.Boolean, connections: Count, requests: Schema.Array(RequestPlan) })
  )
})

/**
 * @category models
 * @since 0.2.0
 */
export interface AgentSpec extends Schema.Schema.Type<typeof AgentSpec> {}

/**
 * An agent is ready: what it counts tokens with, and what it did to warm up.
 *
 * @category models
 * @since 0.2.0
 */
export const AgentReady = Schema.Struct({
  tokenizer: Schema.String,
  warmUp: Schema.NullOr(
    Schema.Struct({
      rehearsed_requests: Count,
      opened_connections: Count,
      requests: Count,
      failed_requests: Count,
      duration_s: Schema.Finite
    })
  )
})

/**
 * @category models
 * @since 0.2.0
 */
export interface AgentReady extends Schema.Schema.Type<typeof AgentReady> {}

/**
 * Requests for an agent to send, after those it has. `last`: there will be no more. `reportAt`: when no more than so many are left to
 * begin, it reports at once.
 *
 * @category models
 * @since 0.2.0
 */
export const Lease = Schema.Struct({ plans: Schema.Array(RequestPlan), last: Schema.Boolean, reportAt: Count })

/**
 * @category models
 * @since 0.2.0
 */
export interface Lease extends Schema.Schema.Type<typeof Lease> {}

/**
 * The moment from which a run counts: nanoseconds on the monotonic clock of the agent, and epoch seconds.
 *
 * @category models
 * @since 0.2.0
 */
export const Start = Schema.Struct({ monotonicNanos: Schema.Finite, epochSeconds: Schema.Finite })

/**
 * - `drain`: begin nothing more; what is in flight goes on
 * - `cancel`: what is in flight has had its grace; it is cancelled, and its rows are made
 * - `abandon`: it is cancelled at once, and rows are made without counting text
 *
 * `reason`: see `StopSignal`; `null` when there is none.
 *
 * @category models
 * @since 0.2.0
 */
export const Stop = Schema.Struct({
  how: Schema.Literals(["drain", "cancel", "abandon"]),
  reason: Schema.NullOr(Schema.Literals(["timeout", "interrupted", "full"]))
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Stop extends Schema.Schema.Type<typeof Stop> {}

/**
 * Requests that have ended, each in one report only: their ids, their lines as they stand in `records.ndjson` and in
 * `requests_sent.log` (empty when not wanted), and the fold of them (`SummarySink.pack`).
 *
 * @category models
 * @since 0.2.0
 */
export const Ended = Schema.Struct({ ids: Schema.Array(Count), records: Bytes, sent: Bytes, summary: Bytes })

/**
 * Counters since the start, as in `LiveStats`.
 *
 * @category models
 * @since 0.2.0
 */
export const Counters = Schema.Struct({
  started: Count,
  completed: Count,
  failed: Count,
  cancelled: Count,
  late: Count,
  queued: Count,
  dropped: Count,
  chunks: Count,
  completedTokens: Count,
  completedChunks: Count
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Counters extends Schema.Schema.Type<typeof Counters> {}

/**
 * What an agent says four times a second, and at once when it needs plans or its loop has ended.
 *
 * - `taken`: how many of the plans it was given it has begun; `free`: slots that wait for a plan
 * - `recent`: durations since the report before, for a display (`LiveStats.takeRecent`)
 * - `ended`: `null` when there is nothing new
 * - `uncounted`: why text could not be counted
 * - `loopEnded`: everything it sent has ended; text may still be with the counter
 * - `dispatch`: in the last report
 * - `health`: in the last report, when the agent is watched
 *
 * @category models
 * @since 0.2.0
 */
export const Report = Schema.Struct({
  taken: Count,
  free: Count,
  counters: Counters,
  recent: Bytes,
  ended: Schema.NullOr(Ended),
  uncounted: Schema.NullOr(TokenizerError),
  loopEnded: Schema.Boolean,
  dispatch: Schema.NullOr(DispatchReport),
  health: Schema.NullOr(HealthReport.HealthReport)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * An agent cannot be made ready.
 *
 * @category errors
 * @since 0.2.0
 */
export class AgentFailed extends Schema.TaggedError<AgentFailed>("llmperf/engine/AgentFailed")("AgentFailed", {
  description: Schema.String
}) {
  override get message(): string {
    return this.description
  }
}

/**
 * The protocol. `Prepare` comes first and once; it answers when connections are open and all is warm. Then come leases, also
 * before `Run`, whose stream ends when everything that was leased has ended and been reported. Interrupting it cancels what is in
 * flight. `Clock` gives the monotonic clock of the agent, in nanoseconds.
 *
 * @category protocol
 * @since 0.2.0
 */
export class LoadAgentRpcs extends RpcGroup.make(
  Rpc.make("Prepare", { payload: AgentSpec, success: AgentReady, error: AgentFailed }),
  Rpc.make("Lease", { payload: Lease, error: AgentFailed }),
  Rpc.make("Run", { payload: Start, success: Report, error: AgentFailed, stream: true }),
  Rpc.make("Stop", { payload: Stop, error: AgentFailed }),
  Rpc.make("Clock", { success: Schema.Finite })
) {}

/**
 * What serves the protocol.
 *
 * @category protocol
 * @since 0.2.0
 */
export type Handlers = Rpc.ToHandler<RpcGroup.Rpcs<typeof LoadAgentRpcs>>
