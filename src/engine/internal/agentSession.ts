/** One agent of a run, from being made ready to its last row: what it is sent, what it says, and what becomes of it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type TokenSource } from "../../domain/TokenSource.ts"
import { type EndedElsewhere, type Packed } from "../../metrics/Ended.ts"
import { type RunStart } from "../../metrics/RequestSink.ts"
import * as SummarySink from "../../metrics/SummarySink.ts"
import * as ChunkTimes from "../../output/ChunkTimes.ts"
import { type Agent, AgentLost } from "../Fleet.ts"
import type { AgentReady, AgentSpec, Lease, Log, Report, Stop } from "../LoadAgent.ts"
import { type LostAgent } from "../RunResult.ts"
import { type AgentAccount } from "../Sender.ts"
import * as AgentChecks from "./agentChecks.ts"
import { AgentClock } from "./agentClock.ts"
import { AgentLedger } from "./agentLedger.ts"
import * as Collection from "./collection.ts"
import * as Counters from "./counters.ts"
import * as Leases from "./leases.ts"

/** How often an agent on another machine is asked for its clock, which tells it that we are there. */
const BEAT_MILLIS = 1_000
/** How often it is asked before the run. */
const CLOCK_QUESTIONS = 8
/** How long an agent that has nothing more to send may take to end its run, after the last request that it reported. */
const END_MILLIS = 30_000
/** So many reports in a second that say nothing new are none of llmperf. */
const MOST_EMPTY_REPORTS = 200
/** How long an agent is waited for that is told that it is free. */
const RELEASE_MILLIS = 3_000

/**
 * Where an agent is in the run:
 *
 * - `Ready`: it has reported nothing yet
 * - `Sending`, then `Sent`: all that it sent has ended, and text may still be counted
 * - `Lost`: it ended before its time, at that moment of our clock. If it `mayReturn`, what it knows of the run may yet be had
 */
export type State =
  | { readonly _tag: "Ready" | "Sending" | "Sent" }
  | { readonly _tag: "Lost"; readonly problem: string; readonly at: number; readonly mayReturn: boolean }

/**
 * The run as the session of an agent sees it.
 *
 * - `id`: names the session in every call
 * - `saves`, `logsSent`, `chunkTimes`: whether rows of records and of `requests_sent.log` are wanted, and chunk times
 * - `now()`: on the monotonic clock of this process; `start()`: the moment from which the run counts
 * - `isStopping()`: whether agents were told to stop, or are about to be
 * - `reportAt(session)`: see `Lease`
 * - `full`: a request found no place, which is to end the run
 * - `decide(source)`: an agent proposes whose count of tokens leads; gives whose does
 * - `emit`: takes what has ended
 * - `onReport`: an agent has said something that can be true; `fold` is of what ended
 * - `onLost`: it is lost, and what it held with it
 * - `onChange`: what is known of an agent has changed otherwise
 */
export interface Run {
  readonly id: string
  readonly saves: boolean
  readonly logsSent: boolean
  readonly chunkTimes: boolean
  readonly xRequestId: (id: number) => string | null
  readonly now: () => number
  readonly start: () => RunStart
  readonly isStopping: () => boolean
  readonly reportAt: (session: { readonly places: number | null; readonly ledger: AgentLedger }) => number
  readonly full: Effect.Effect<void>
  readonly decide: (source: TokenSource) => TokenSource
  readonly emit: (ended: EndedElsewhere) => void
  readonly onReport: (report: Report, fold: SummarySink.SummarySink | null) => void
  readonly onLost: (name: string, problem: string) => void
  readonly onChange: () => void
}

/** What an agent said last, of what it does not say in every report the last that it did. */
type Said = Pick<Report, "inFlight" | "startedAt" | "counters" | "dispatch" | "health" | "spans">

export class AgentSession<E> {
  /** What it was given and has said. */
  readonly ledger = new AgentLedger()
  /** On another machine: with a clock of its own, and with rows that are collected when the run is over. */
  readonly isFar: boolean
  readonly agent: Agent<E>
  /** How many requests it may have in flight, `null` for no limit. */
  places: number | null
  state: State = { _tag: "Ready" }
  said: Said = {
    inFlight: 0,
    startedAt: null,
    counters: Counters.zero,
    dispatch: null,
    health: null,
    spans: null
  }
  private readonly run: Run
  private readonly clock = new AgentClock()
  private readonly ended = Deferred.makeUnsafe<void>()
  private readonly unreachable = Deferred.makeUnsafe<never, AgentLost>()
  private readonly untold: Array<RequestPlan> = []
  private readonly rows = new Set<number>()
  private readonly collected: Collection.Collected = { records: 0, sent: 0, chunks: 0 }
  private sums = new SummarySink.SummarySink()
  private isLastDue = false
  private isTelling = false
  private isBelieved = true
  private mayHaveRows = false
  private leases = 0
  private arePlacesDue = false
  /** It has been told to have fewer places than `most`, by that lease, and may not know yet. */
  private shrinking: { readonly most: number; readonly lease: number } | null = null
  private emptyReports = 0
  private emptySince = 0

  constructor(agent: Agent<E>, places: number | null, run: Run) {
    this.agent = agent
    this.isFar = agent.profile !== null
    this.places = places
    this.run = run
  }

  get isLost(): boolean {
    return this.state._tag === "Lost"
  }

  /** Nothing more that it sends is to be waited for. */
  get isDoneSending(): boolean {
    return this.state._tag === "Sent" || this.state._tag === "Lost"
  }

  /** Why it was lost and which requests it held; `null` when it was not. */
  get lost(): LostAgent | null {
    return this.state._tag === "Lost"
      ? { name: this.agent.name, problem: this.state.problem, requestIds: this.ledger.openIds() }
      : null
  }

  /** How many of its places wait for a request, as far as it has said; none of one that is lost. */
  get free(): number {
    return this.places === null || this.isLost ? 0 : Math.max(0, this.places - this.said.inFlight)
  }

  /** How many places it may hold. One that was told to have fewer may still hold the others. */
  get held(): number {
    if (this.isLost) return 0
    return Math.max(this.shrinking?.most ?? 0, this.places ?? 0)
  }

  /** Whether it is known to have no more places than it was told. */
  get hasSettled(): boolean {
    return this.shrinking === null
  }

  /** From now on it has so many places; it knows of that after `tell`. */
  setPlaces(places: number): void {
    if (this.places !== null && places < this.places)
      this.shrinking = { most: this.places, lease: Number.POSITIVE_INFINITY }
    this.places = places
    this.arePlacesDue = true
  }

  /** Has it made ready, and from then on tells one on another machine that we are there. */
  prepare(spec: AgentSpec): Effect.Effect<AgentReady, E, Scope.Scope> {
    const beat = Effect.ignore(
      Effect.suspend(() => {
        const sentAt = this.run.now()
        return Effect.map(this.agent.clock(this.run.id), (theirs) => this.clock.add(sentAt, theirs, this.run.now()))
      })
    )
    const attend = Effect.delay(beat, BEAT_MILLIS).pipe(Effect.forever, this.untilEnded, Effect.forkScoped)
    return Effect.tap(this.agent.prepare(spec), () =>
      this.isFar ? Effect.andThen(Effect.repeat(beat, { times: CLOCK_QUESTIONS - 1 }), attend) : Effect.void
    )
  }

  /** A plan that it is to send; it knows of it after `tell`. */
  give(plan: RequestPlan): void {
    this.untold.push(plan)
    this.ledger.give(plan)
  }

  /** There are no more plans; it knows of that after `tell`. Without `untoldToo` those that it has not been told of are not sent. */
  giveLast(untoldToo: boolean): void {
    if (!untoldToo) this.untold.length = 0
    this.isLastDue = true
  }

  /**
   * Tells it what is new for it, in one call after the other, which keeps the order. Nobody waits for that: one that is slow to
   * answer, or frozen, does not hold up the others.
   */
  readonly tell: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isTelling) return Effect.void
    this.isTelling = true
    return Effect.whileLoop({
      while: () => this.untold.length > 0 || this.isLastDue || this.arePlacesDue,
      body: () => this.lease(),
      step: () => {}
    }).pipe(
      this.untilEnded,
      Effect.ensuring(
        Effect.sync(() => {
          this.isTelling = false
        })
      )
    )
  })

  /** Begins its run, and ends when nothing more comes from it. */
  listen(start: RunStart): Effect.Effect<void, never, Scope.Scope> {
    const { offsetNanos } = this.clock.mark()
    const monotonicNanos = start.monotonicNanos + offsetNanos
    return this.agent.run({ session: this.run.id, epochSeconds: start.epochSeconds, monotonicNanos }).pipe(
      Stream.interruptWhen(Deferred.await(this.unreachable)),
      Stream.runForEach((report) => this.onReport(report)),
      Effect.andThen(Effect.suspend(() => this.onEnd())),
      Effect.catch(({ problem }) => this.onLost(problem)),
      Effect.ensuring(Deferred.succeed(this.ended, undefined))
    )
  }

  stop(order: Omit<Stop, "session">): Effect.Effect<void> {
    return this.untilEnded(this.agent.stop({ session: this.run.id, ...order }))
  }

  /** Ends when nothing more comes from it. One that neither ends its run nor reports that a request has ended is lost. */
  readonly awaitEnd: Effect.Effect<void> = Effect.suspend(() => {
    const stuck = Effect.gen({ self: this }, function* () {
      let before = -1
      while (this.ledger.ended.size > before) {
        before = this.ledger.ended.size
        yield* Effect.sleep(END_MILLIS)
      }
      const problem = `it did not end its run within ${END_MILLIS / 1_000} s after it had nothing more to send`
      yield* Deferred.fail(this.unreachable, this.lostBy(problem))
      yield* Deferred.await(this.ended)
    })
    return this.untilEnded(stuck)
  })

  /** Has it cancel what it has in flight, and brings here what it has kept. */
  handIn(reason: Stop["reason"]): Effect.Effect<void> {
    return this.stop({ how: "abandon", reason }).pipe(
      Effect.andThen(Deferred.await(this.ended)),
      Effect.andThen(this.collectRows)
    )
  }

  /** Asks one that was lost for all that it knows: it may have been cut off only. */
  readonly recover: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const { state } = this
    if (state._tag !== "Lost" || !state.mayReturn) return
    const lostMillis = (this.run.now() - state.at) / 1e6
    const account = yield* Collection.account(this.agent, this.run.id, lostMillis)
    if (account === null) return this.doesNotReturn(state)
    const checked = AgentChecks.checkAccount(account, this.known())
    if (Result.isFailure(checked)) return this.doesNotReturn(state, this.disbelieve(checked.failure).problem)
    this.ledger.end(account.ids)
    this.ledger.leaveOut(account.leftOut)
    this.sums = checked.success
    this.said = { ...this.said, counters: account.counters, dispatch: account.dispatch, health: account.health }
    this.emit({ fold: this.sums, supersedesFold: true })
    this.run.onChange()
  })

  private doesNotReturn(state: Extract<State, { _tag: "Lost" }>, problem?: string): void {
    this.state = {
      ...state,
      problem: problem === undefined ? state.problem : `${state.problem}; then ${problem}`,
      mayReturn: false
    }
    this.mayHaveRows = true
  }

  /** Brings the rows here that it has kept. */
  readonly collectRows: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const { chunkTimes, logsSent, xRequestId } = this.run
    if (!this.canCollect || this.missingRows().length === 0) return
    const seen = { records: this.rows, sent: new Set<number>(), chunks: new Set<number>() }
    const rows: AgentChecks.Rows = { ended: this.ledger.ended, agent: this.agent.name, xRequestId }
    const readIds = chunkTimes ? yield* ChunkTimes.makeIdReader : null
    const accept: { readonly [log in Log]: (bytes: Uint8Array) => AgentChecks.Accepted } = {
      records: (bytes) => AgentChecks.acceptRecords(bytes, seen.records, rows),
      sent: (bytes) => AgentChecks.acceptSent(bytes, seen.sent, rows),
      chunks: (bytes) => AgentChecks.acceptChunks(bytes, seen.chunks, rows, readIds ?? (() => null))
    }
    const logs: ReadonlyArray<Log> = [
      "records",
      ...(logsSent ? (["sent"] as const) : []),
      ...(chunkTimes ? (["chunks"] as const) : [])
    ]
    for (const log of logs) {
      const wanted = { session: this.run.id, log }
      const outcome = yield* Collection.rows(this.agent, wanted, this.collected, (bytes) => {
        const accepted = accept[log](bytes)
        if (accepted.count > 0) this.emit({ [log]: accepted })
        return accepted
      })
      if (outcome._tag !== "Complete") this.mayHaveRows = true
      if (outcome._tag !== "Refused") continue
      const problem = `what it hands over cannot be its rows: ${outcome.problem}`
      this.state =
        this.state._tag === "Lost"
          ? { ...this.state, mayReturn: false }
          : { _tag: "Lost", problem, at: this.run.now(), mayReturn: false }
      yield* Effect.forkDetach(this.agent.close)
      return
    }
  })

  /** What rows it has that are not here it keeps; otherwise it is free for others, and forgets the run. */
  release(isBegun: boolean): Effect.Effect<void> {
    const isFree =
      this.isFar &&
      (!isBegun || (Deferred.isDoneUnsafe(this.ended) && !this.mayHaveRows && this.missingRows().length === 0))
    return isFree ? Effect.asVoid(Effect.timeoutOption(this.agent.release(this.run.id), RELEASE_MILLIS)) : Effect.void
  }

  /** `null` for one of this process. */
  account(): AgentAccount | null {
    const { agent, ledger, lost, run, said, sums } = this
    if (agent.profile === null) return null
    const { driftNanos, offsetNanos, roundTripNanos } = this.clock.sinceMark()
    const { startedAt } = said
    return {
      name: agent.name,
      profile: agent.profile,
      requests: ledger.ended.size,
      sink: sums,
      health: said.health,
      dispatch: said.dispatch,
      missingRows: this.missingRows(),
      offsetSeconds: offsetNanos / 1e9,
      roundTripSeconds: roundTripNanos / 1e9,
      driftSeconds: driftNanos / 1e9,
      startedSeconds: startedAt === null ? null : (startedAt - offsetNanos - run.start().monotonicNanos) / 1e9,
      lost
    }
  }

  private get canCollect(): boolean {
    return this.run.saves && (this.state._tag !== "Lost" || this.state.mayReturn)
  }

  private missingRows(): ReadonlyArray<number> {
    return this.isFar && this.run.saves ? this.ledger.endedWithout(this.rows) : []
  }

  private readonly untilEnded = <A, X, R>(effect: Effect.Effect<A, X, R>): Effect.Effect<void, X, R> =>
    Effect.asVoid(Effect.raceFirst(effect, Deferred.await(this.ended)))

  private lostBy(problem: string): AgentLost {
    return new AgentLost({ agent: this.agent.name, problem })
  }

  /** Nothing more is asked of an agent that says what cannot be, and nothing that it says is taken over. */
  private disbelieve(problem: string): AgentLost {
    this.isBelieved = false
    this.mayHaveRows = true
    return this.lostBy(`what it reports cannot be true: ${problem}`)
  }

  private known(): AgentChecks.Known {
    const { ended, isLastTold, leftOut, open, taken, told } = this.ledger
    return {
      places: this.places === null ? null : this.held,
      leases: this.leases,
      leftOut,
      told,
      isLastTold,
      open,
      ended,
      taken,
      isStopping: this.run.isStopping(),
      seconds: Math.max(0, (this.run.now() - this.run.start().monotonicNanos) / 1e9) + AgentChecks.SLACK_SECONDS
    }
  }

  private emit(some: Partial<Omit<EndedElsewhere, "_tag" | "sender">>): void {
    const nothing = { fold: null, supersedesFold: false, records: null, sent: null, chunks: null }
    this.run.emit({ _tag: "Elsewhere", sender: this.agent.name, ...nothing, ...some })
  }

  /** An agent that a lease does not reach would send on without it: it is lost. */
  private lease(): Effect.Effect<void> {
    const parts = Leases.parts(this.untold.splice(0))
    const isLast = this.isLastDue
    const { places } = this
    this.isLastDue = false
    this.arePlacesDue = false
    const reportAt = this.run.reportAt(this)
    const hand = (plans: Lease["plans"], index: number) =>
      Effect.suspend(() => {
        const last = isLast && index === parts.length - 1
        this.ledger.told += plans.length
        this.ledger.isLastTold ||= last
        const number = ++this.leases
        if (this.shrinking?.lease === Number.POSITIVE_INFINITY) this.shrinking = { ...this.shrinking, lease: number }
        return this.agent.lease({ session: this.run.id, number, plans, last, places, reportAt })
      })
    return Effect.forEach(parts, hand, { discard: true }).pipe(
      Effect.catch((error) => Effect.asVoid(Deferred.fail(this.unreachable, error)))
    )
  }

  private onReport(report: Report): Effect.Effect<void, AgentLost, Scope.Scope> {
    // It stops by itself then
    return report.isFull ? Effect.andThen(this.run.full, this.judge(report)) : this.judge(report)
  }

  private judge(report: Report): Effect.Effect<void, AgentLost, Scope.Scope> {
    if (this.isFlooding(report)) return Effect.fail(this.disbelieve("hundreds of reports in a second say nothing new"))
    const checked = AgentChecks.checkReport(report, this.known())
    if (Result.isFailure(checked)) return Effect.fail(this.disbelieve(checked.failure))
    this.take(report, checked.success)
    if (report.proposed === null) return Effect.void
    // It is told again until it knows
    const source = this.run.decide(report.proposed)
    return Effect.asVoid(Effect.forkScoped(this.untilEnded(this.agent.decide({ session: this.run.id, source }))))
  }

  /** Whether it reports more often than there can be something to report. */
  private isFlooding({ ended, loopEnded, taken }: Report): boolean {
    const at = this.run.now()
    const isNew = ended !== null || taken > this.ledger.taken || loopEnded !== this.isDoneSending
    if (isNew || at - this.emptySince > 1e9) {
      this.emptyReports = 0
      this.emptySince = at
    }
    return ++this.emptyReports > MOST_EMPTY_REPORTS
  }

  private take(report: Report, fold: SummarySink.SummarySink | null): void {
    this.ledger.began(report.taken)
    this.state = { _tag: report.loopEnded ? "Sent" : "Sending" }
    this.ledger.leaveOut(report.leftOut)
    const { shrinking } = this
    if (shrinking !== null && report.leases >= shrinking.lease && report.inFlight <= (this.places ?? 0)) {
      this.shrinking = null
    }
    this.said = {
      inFlight: report.inFlight,
      startedAt: report.startedAt,
      counters: report.counters,
      dispatch: report.dispatch ?? this.said.dispatch,
      health: report.health ?? this.said.health,
      spans: report.spans ?? this.said.spans
    }
    if (report.ended !== null && fold !== null) {
      const { chunks, ids, records, sent } = report.ended
      this.ledger.end(ids)
      this.sums.merge(fold)
      const packed = (bytes: Uint8Array): Packed => ({ bytes, count: ids.length })
      const rows = {
        records: packed(records),
        sent: this.run.logsSent ? packed(sent) : null,
        chunks: this.run.chunkTimes ? packed(chunks) : null
      }
      this.emit(this.isFar ? { fold } : { fold, ...rows })
    }
    this.run.onReport(report, fold)
  }

  /** The report that tells of the end of its run may be lost while the stream ends in order. */
  private onEnd(): Effect.Effect<void, AgentLost> {
    const problem = this.said.dispatch === null ? "its last report is missing" : AgentChecks.checkEnd(this.known())
    return problem === null ? Effect.void : Effect.fail(this.lostBy(problem))
  }

  /** What one on another machine knows of the run may yet be had, when it is believed. */
  private onLost(problem: string): Effect.Effect<void> {
    const mayReturn = this.isFar && this.isBelieved
    this.state = { _tag: "Lost", problem, at: this.run.now(), mayReturn }
    this.untold.length = 0
    const counters = Counters.ofLost(this.said.counters, this.ledger.ended.size)
    this.said = { ...this.said, counters }
    this.run.onLost(this.agent.name, problem)
    return mayReturn ? Effect.void : Effect.asVoid(Effect.forkDetach(this.agent.close))
  }
}
