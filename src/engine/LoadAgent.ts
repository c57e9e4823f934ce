/**
 * An agent: one that sends a share of a load and reports what became of it. It may be a thread of this process or a process on
 * another machine; this is what is said between it and the coordinator of the run.
 *
 * The coordinator plans all requests and hands them out in leases, a few at a time, so that what is sent does not depend on how
 * many agents there are. Everything goes over as values of schemas; nothing is shared.
 *
 * A run of an agent is a session. Every call names it, so that a call that is carried twice, or that reaches an agent which was
 * started anew, comes to nothing: no run is ever begun twice.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Transferable from "effect/workers/Transferable"
import { Limits } from "../domain/CalibrationResults.ts"
import { Loop } from "../domain/Loop.ts"
import { RequestPlan } from "../domain/RequestPlan.ts"
import { CountTokens, TokenSource } from "../domain/TokenSource.ts"
import * as HealthReport from "../metrics/HealthReport.ts"
import { DispatchReport } from "../metrics/Verdict.ts"
import * as OtlpSpans from "../output/OtlpSpans.ts"
import { TokenizerError } from "../workload/Tokenizer.ts"

const Count = Schema.Int
const Seconds = Schema.NullOr(Schema.Finite)

/** Bytes that go over as they are; whoever sends them has them no more. */
const Bytes = Transferable.Uint8Array

/**
 * Raised when what is said here changes; agents and coordinators of different numbers do not work together.
 *
 * @category protocol
 * @since 0.2.0
 */
export const PROTOCOL = 2

/**
 * Who calls: the protocol and the version of llmperf.
 *
 * @category models
 * @since 0.2.0
 */
export const Caller = Schema.Struct({ protocol: Count, version: Schema.String })

/**
 * An agent and the machine it is on.
 *
 * - `load`: of the last minute, per core (0 on systems that do not tell); `openFiles`: how many it may have open, `null` when it
 *   is not known or without limit
 * - `limits`: what `llmperf calibrate` found there; `null` when it was not run
 * - `session`: the one it works on, `null` when it is free
 *
 * @category models
 * @since 0.2.0
 */
export const AgentProfile = Schema.Struct({
  ...Caller.fields,
  host: Schema.String,
  pid: Count,
  cores: Count,
  memoryBytes: Count,
  load: Schema.Finite,
  openFiles: Schema.NullOr(Count),
  limits: Schema.NullOr(Limits),
  session: Schema.NullOr(Schema.String)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface AgentProfile extends Schema.Schema.Type<typeof AgentProfile> {}

/**
 * What an agent makes its provider of: the arguments of the command, and the variables that stand for flags, which it reads as the
 * coordinator did. Credentials are from its own environment.
 *
 * - `origin`: the server that is to be asked, so that the agent does not ask another one; `null` when there is no socket
 * - `simulator`: where the simulated server is, if the test is of one
 * - `isOpen`: whether requests are sent when they are due
 *
 * @category models
 * @since 0.2.0
 */
export const Job = Schema.Struct({
  args: Schema.Array(Schema.String),
  variables: Schema.Record(Schema.String, Schema.String),
  origin: Schema.NullOr(Schema.String),
  simulator: Schema.NullOr(Schema.String),
  isOpen: Schema.Boolean
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Job extends Schema.Schema.Type<typeof Job> {}

/**
 * What an agent is told of the run.
 *
 * - `session`: of letters, digits, `.`, `_` and `-`
 * - `agent`: the name that stands in its rows, `null` for none
 * - `keepsRows`: whether it keeps the rows, to be collected after the run, instead of reporting them
 * - `silenceSeconds`: after so long without a call it takes the coordinator to be gone and stops; `null` for never
 * - `loop`: with its own part of the places
 * - `saves`, `logsSent`, `chunkTimes`: whether rows of records and of `requests_sent.log` are wanted, and chunk times
 * - `warmUp`: see `WarmUp.run`; `null` for none
 * - the rest: as in `RunConfig`
 *
 * @category models
 * @since 0.2.0
 */
export const AgentSpec = Schema.Struct({
  session: Schema.String,
  job: Job,
  agent: Schema.NullOr(Schema.String),
  keepsRows: Schema.Boolean,
  silenceSeconds: Seconds,
  runId: Schema.String,
  requestIdHeader: Schema.NullOr(Schema.String),
  requestTimeoutSeconds: Seconds,
  timeoutSeconds: Seconds,
  graceSeconds: Schema.Finite,
  countTokens: CountTokens,
  loop: Loop,
  saves: Schema.Boolean,
  logsSent: Schema.Boolean,
  chunkTimes: Schema.Boolean,
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
 * Requests for an agent to send, after those it has. `number` counts the leases of a session from 1; one that is not the next is
 * left aside. `last`: there will be no more. `places`: from now on it has so many for requests in flight; `null` where there is no
 * limit. `reportAt`: when no more than so many are left to begin, it reports at once.
 *
 * @category models
 * @since 0.2.0
 */
export const Lease = Schema.Struct({
  session: Schema.String,
  number: Count,
  plans: Schema.Array(RequestPlan),
  last: Schema.Boolean,
  places: Schema.NullOr(Count),
  reportAt: Count
})

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
export const Start = Schema.Struct({
  session: Schema.String,
  monotonicNanos: Schema.Finite,
  epochSeconds: Schema.Finite
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Start extends Schema.Schema.Type<typeof Start> {}

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
  session: Schema.String,
  how: Schema.Literals(["drain", "cancel", "abandon"]),
  reason: Schema.NullOr(Schema.Literals(["timeout", "interrupted", "full", "errors"]))
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Stop extends Schema.Schema.Type<typeof Stop> {}

/**
 * Whose count of tokens leads in the run. The coordinator decides by the first answer that it hears of; no agent makes the row of an
 * answer before it knows.
 *
 * @category models
 * @since 0.2.0
 */
export const Decision = Schema.Struct({ session: Schema.String, source: TokenSource })

/**
 * @category models
 * @since 0.2.0
 */
export interface Decision extends Schema.Schema.Type<typeof Decision> {}

/**
 * Requests that have ended, each in one report only: their ids, their lines as they stand in `records.ndjson` and in
 * `requests_sent.log` (empty when not wanted or kept by the agent), their chunk times as blocks of `chunks.arrow` (the same), and the fold of them
 * (`SummarySink.pack`).
 *
 * @category models
 * @since 0.2.0
 */
export const Ended = Schema.Struct({
  ids: Schema.Array(Count),
  records: Bytes,
  sent: Bytes,
  chunks: Bytes,
  summary: Bytes
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Ended extends Schema.Schema.Type<typeof Ended> {}

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
  completedChunks: Count,
  cacheableTokens: Count,
  cachedTokens: Count
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Counters extends Schema.Schema.Type<typeof Counters> {}

/**
 * What an agent says four times a second, and at once when it needs plans or its loop has ended.
 *
 * - `leases`: the number of the last lease that it has
 * - `taken`: how many of the plans it was given it has begun or left out; `leftOut`: the ids of those that it left out since the
 *   report before, because there was no place when they were due
 * - `inFlight`: how many have a place
 * - `isFull`: one that found no place ends the run
 * - `startedAt`: when it began to send, in nanoseconds on its monotonic clock; `null` before
 * - `recent`: durations since the report before, for a display (`LiveStats.takeRecent`)
 * - `ended`: `null` when there is nothing new
 * - `proposed`: whose count the first answer speaks for that has succeeded here, from then until the agent is told what holds
 * - `uncounted`: why text could not be counted
 * - `loopEnded`: everything it sent has ended; text may still be with the counter
 * - `dispatch`: in the last report
 * - `health`: in the last report, when the agent is watched
 * - `spans`: in the last report, when it sends spans
 *
 * @category models
 * @since 0.2.0
 */
export const Report = Schema.Struct({
  leases: Count,
  taken: Count,
  leftOut: Schema.Array(Count),
  inFlight: Count,
  isFull: Schema.Boolean,
  startedAt: Schema.NullOr(Schema.Finite),
  counters: Counters,
  recent: Bytes,
  ended: Schema.NullOr(Ended),
  proposed: Schema.NullOr(TokenSource),
  uncounted: Schema.NullOr(TokenizerError),
  loopEnded: Schema.Boolean,
  dispatch: Schema.NullOr(DispatchReport),
  health: Schema.NullOr(HealthReport.HealthReport),
  spans: Schema.NullOr(OtlpSpans.Report)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Report extends Schema.Schema.Type<typeof Report> {}

/**
 * All that an agent knows of a session: of all requests that have ended, without their rows, and which it left out. For a coordinator
 * that has lost reports.
 *
 * @category models
 * @since 0.2.0
 */
export const Account = Schema.Struct({
  ids: Schema.Array(Count),
  leftOut: Schema.Array(Count),
  summary: Bytes,
  counters: Counters,
  dispatch: DispatchReport,
  health: Schema.NullOr(HealthReport.HealthReport)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface Account extends Schema.Schema.Type<typeof Account> {}

/**
 * The files in which an agent keeps what is not reported.
 *
 * @category models
 * @since 0.2.0
 */
export const Log = Schema.Literals(["records", "sent", "chunks"])

/**
 * @category models
 * @since 0.2.0
 */
export type Log = typeof Log.Type

/**
 * What of a file is wanted: from so many bytes on.
 *
 * @category models
 * @since 0.2.0
 */
export const Wanted = Schema.Struct({ session: Schema.String, log: Log, from: Count })

/**
 * @category models
 * @since 0.2.0
 */
export interface Wanted extends Schema.Schema.Type<typeof Wanted> {}

/**
 * Whole lines or blocks of a file, compressed with gzip: `size` bytes and `count` lines, or requests, once unpacked.
 *
 * @category models
 * @since 0.2.0
 */
export const Piece = Schema.Struct({ bytes: Bytes, size: Count, count: Count })

/**
 * @category models
 * @since 0.2.0
 */
export interface Piece extends Schema.Schema.Type<typeof Piece> {}

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
 * An agent and its caller are of different versions.
 *
 * @category errors
 * @since 0.2.0
 */
export class WrongVersion extends Schema.TaggedError<WrongVersion>("llmperf/engine/WrongVersion")("WrongVersion", {
  agent: Caller,
  caller: Caller
}) {
  override get message(): string {
    return (
      `it is llmperf ${this.agent.version} (protocol ${this.agent.protocol}), this is ${this.caller.version} ` +
      `(protocol ${this.caller.protocol}). Install the same version on both.`
    )
  }
}

/**
 * The protocol.
 *
 * - `Hello` is for agents on other machines, and says whether both understand each other. Its shape never changes
 * - `Clock` gives the monotonic clock of the agent, in nanoseconds. It also says that the caller is there: see `silenceSeconds`
 * - `Prepare` comes first in a session; it answers when connections are open and all is warm
 * - `Decide` answers what an agent proposes; see `Decision`
 * - Then come leases, also before `Run`, whose stream ends when everything that was leased has ended and been reported.
 *   Interrupting it cancels what is in flight
 * - `Account` and `Collect` give what is known of a session that has ended, until `Release` forgets it or another one begins
 *
 * @category protocol
 * @since 0.2.0
 */
export class LoadAgentRpcs extends RpcGroup.make(
  Rpc.make("Hello", { payload: Caller, success: AgentProfile, error: WrongVersion }),
  Rpc.make("Clock", { payload: { session: Schema.NullOr(Schema.String) }, success: Schema.Finite }),
  Rpc.make("Prepare", { payload: AgentSpec, success: AgentReady, error: AgentFailed }),
  Rpc.make("Lease", { payload: Lease, error: AgentFailed }),
  Rpc.make("Run", { payload: Start, success: Report, error: AgentFailed, stream: true }),
  Rpc.make("Decide", { payload: Decision, error: AgentFailed }),
  Rpc.make("Stop", { payload: Stop, error: AgentFailed }),
  Rpc.make("Account", { payload: { session: Schema.String }, success: Account, error: AgentFailed }),
  Rpc.make("Collect", { payload: Wanted, success: Piece, error: AgentFailed, stream: true }),
  Rpc.make("Release", { payload: { session: Schema.String } })
) {}

/**
 * What serves the protocol.
 *
 * @category protocol
 * @since 0.2.0
 */
export type Handlers = Rpc.ToHandler<RpcGroup.Rpcs<typeof LoadAgentRpcs>>
