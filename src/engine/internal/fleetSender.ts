/** The requests of a run, sent by agents: plans are handed out to them, and what has ended is gathered from them. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type TokenSource } from "../../domain/TokenSource.ts"
import * as HealthReport from "../../metrics/HealthReport.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type Ended, type EndedElsewhere, type Packed } from "../../metrics/Ended.ts"
import { type RunStart } from "../../metrics/RequestSink.ts"
import * as SummarySink from "../../metrics/SummarySink.ts"
import * as Verdict from "../../metrics/Verdict.ts"
import * as ChunkTimes from "../../output/ChunkTimes.ts"
import * as OtlpSpans from "../../output/OtlpSpans.ts"
import { type Agent, AgentLost, type Sharing } from "../Fleet.ts"
import type { AgentReady, AgentSpec, Counters as CountersOfAgent, Log, Report, Stop } from "../LoadAgent.ts"
import { type LostAgent } from "../RunResult.ts"
import type * as AbortOnErrors from "../AbortOnErrors.ts"
import { requestIdOf } from "../RequestId.ts"
import { type AgentAccount, type Load, type Sender } from "../Sender.ts"
import { type StopSignal } from "../StopSignal.ts"
import { type WarmUpReport } from "../WarmUp.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import * as AgentChecks from "./agentChecks.ts"
import { AgentClock } from "./agentClock.ts"
import * as Collection from "./collection.ts"
import * as Counters from "./counters.ts"
import * as Leases from "./leases.ts"
import { type Settings } from "./measuring.ts"
import * as PlanSource from "./planSource.ts"

/** From choosing the start of the run to that moment: enough for all agents of this process to be told of it. */
const LEAD_MILLIS = 50
/** The same for agents on other machines, whose calls may have to be sent twice by the network. */
const FAR_LEAD_MILLIS = 500
/** How long agents have to hand in what has ended when the run is given up. */
const ABANDON_MILLIS = 3_000
/** How often an agent on another machine is asked for its clock, which tells it that we are there. */
const BEAT_MILLIS = 1_000
/** How often it is asked before the run. */
const CLOCK_QUESTIONS = 8
/** After so long without a call an agent stops by itself. */
const SILENCE_SECONDS = 5
/** How long an agent that has nothing more to send may take to end its run, after the last request that it reported. */
const END_MILLIS = 30_000
/** So many reports in a second that say nothing new are none of llmperf. */
const MOST_EMPTY_REPORTS = 200
/** How long an agent is waited for that is told that it is free. */
const RELEASE_MILLIS = 3_000

/**
 * An agent and what is known of it.
 *
 * - `open`: the requests it was given and has not reported as ended; `ended`: those that it has
 * - `told`: how many plans it was told of, the last ones included when `isLastTold`
 * - `ahead`: the lengths in tokens of the plans it has not begun, as far as it has said, in their order
 * - `untold`: the plans among these that it has not been told of; `isLast`: whether it is to be told that there are no more;
 *   `isBeingTold`: whether a call to it is under way
 * - `sink`: the fold of what it has reported
 * - `startedAt`: when it began to send, on its own clock
 * - `loopEnded`: whether it is done sending; `gone`: ends when nothing more comes from it
 * - `unreached`: fails when it cannot be handed what it is to send
 * - `lostAt`: when it was lost, on our clock; `isDead`: nothing can be had of it any more, or nothing of it is believed
 * - `empty`: how many reports have said nothing new since `emptySince`
 * - `collected`: how much of its files is here; `rows`: the requests whose rows are; `keepsRows`: whether it may have some still
 */
interface Post<E> {
  readonly agent: Agent<E>
  readonly slots: number
  readonly open: Set<number>
  readonly rows: Set<number>
  readonly ahead: Array<number>
  readonly untold: Array<RequestPlan>
  readonly gone: Deferred.Deferred<void>
  readonly unreached: Deferred.Deferred<never, AgentLost>
  readonly clock: AgentClock
  readonly collected: Collection.Collected
  ended: Set<number>
  sink: SummarySink.SummarySink
  told: number
  isLastTold: boolean
  empty: number
  emptySince: number
  aheadTokens: number
  leases: number
  isLast: boolean
  isBeingTold: boolean
  taken: number
  free: number
  startedAt: number | null
  counters: CountersOfAgent
  dispatch: Verdict.DispatchReport | null
  health: HealthReport.HealthReport | null
  spans: OtlpSpans.Report | null
  loopEnded: boolean
  lostAt: number
  isDead: boolean
  keepsRows: boolean
  lost: LostAgent | null
}

/**
 * - `plan`: one that is left, `null` when there are no more, `undefined` when the next must be waited for
 * - `isFull`: no more are wanted
 * - `telling`: ends when the agents know of what they were given
 */
interface HandedOut {
  readonly plan: RequestPlan | null | undefined
  readonly isFull: boolean
  readonly telling: ReadonlyArray<Fiber.Fiber<void>>
}

const together = (reports: ReadonlyArray<AgentReady>): WarmUpReport | null => {
  const done = reports.flatMap(({ warmUp }) => warmUp ?? [])
  if (done.length === 0) return null
  const sum = (number: (report: WarmUpReport) => number): number =>
    done.reduce((total, report) => total + number(report), 0)
  return {
    rehearsed_requests: sum((report) => report.rehearsed_requests),
    opened_connections: sum((report) => report.opened_connections),
    requests: sum((report) => report.requests),
    failed_requests: sum((report) => report.failed_requests),
    duration_s: Math.max(...done.map((report) => report.duration_s))
  }
}

/**
 * - `onEnded`: is told of what has ended as soon as it is reported
 * - `saves`, `logsSent`, `chunkTimes`: whether rows of records and of `requests_sent.log` are wanted, and chunk times
 */
export const make = Effect.fnUntraced(function* <E, R>(options: {
  readonly load: Load<E, R>
  readonly settings: Settings
  readonly stop: StopSignal
  readonly live: LiveStats.LiveStats
  readonly fleet: Sharing<E>
  readonly onEnded?: ((ended: AbortOnErrors.Ended) => void) | undefined
  readonly saves: boolean
  readonly logsSent: boolean
  readonly chunkTimes: boolean
}): Effect.fn.Return<Sender<E, R>, never, R | Scope.Scope> {
  const { fleet, live, load: work, settings, stop } = options
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const count = fleet.agents.length
  const allSlots = work.loop._tag === "Closed" ? work.loop.concurrency : 0
  const source = yield* PlanSource.make(work.plans, stop.closed)
  const demand = Latch.makeUnsafe(true)
  const loopsEnded = Deferred.makeUnsafe<void>()
  // No two runs have the same: an agent that hears of another one leaves it aside
  const session = `${settings.runId}-${clock.currentTimeNanosUnsafe().toString(36)}`
  /** Whose count of tokens leads, once an agent has had an answer. */
  let tokenSource: TokenSource | null = null
  const batches = yield* Queue.unbounded<Ended, Cause.Done>()
  let uncounted: TokenizerError | null = null
  let startNanos = 0
  let endedNanos = 0
  let isBegun = false
  /** Agents are told to cancel what they have, or are about to be. */
  let isCancelling = false
  let granted = 0
  let turn = 0

  const idOf = requestIdOf(settings.runId)
  const xRequestId = (id: number) => (settings.requestIdHeader === null ? null : idOf({ id }))

  const posts = fleet.agents.map((agent, index): Post<E> => ({
    agent,
    slots: Leases.split(allSlots, count, index),
    open: new Set(),
    rows: new Set(),
    ended: new Set(),
    told: 0,
    isLastTold: false,
    empty: 0,
    emptySince: 0,
    ahead: [],
    untold: [],
    gone: Deferred.makeUnsafe(),
    unreached: Deferred.makeUnsafe(),
    clock: new AgentClock(),
    collected: { records: 0, sent: 0, chunks: 0 },
    sink: new SummarySink.SummarySink(),
    aheadTokens: 0,
    leases: 0,
    isLast: false,
    isBeingTold: false,
    taken: 0,
    free: Leases.split(allSlots, count, index),
    startedAt: null,
    counters: Counters.zero,
    dispatch: null,
    health: null,
    spans: null,
    loopEnded: false,
    lostAt: 0,
    isDead: false,
    keepsRows: false,
    lost: null
  }))
  const give = ({ agent }: Post<E>, some: Partial<Omit<EndedElsewhere, "_tag" | "sender">>): void => {
    const nothing = { fold: null, supersedesFold: false, records: null, sent: null, chunks: null }
    Queue.offerUnsafe(batches, { _tag: "Elsewhere", sender: agent.name, ...nothing, ...some })
  }
  const far = posts.filter(({ agent }) => agent.profile !== null)
  const living = () => posts.filter(({ lost }) => lost === null)
  const toAll = (order: (post: Post<E>) => Effect.Effect<void>) =>
    Effect.forEach(living(), order, { concurrency: "unbounded", discard: true })
  const stopOne = ({ agent, gone }: Post<E>, order: Omit<Stop, "session">) =>
    Effect.raceFirst(agent.stop({ session, ...order }), Deferred.await(gone))
  const stopAll = (order: Omit<Stop, "session">) => toAll((post) => stopOne(post, order))

  const beat = ({ agent, clock }: Post<E>) =>
    Effect.suspend(() => {
      const sentAt = now()
      return Effect.map(agent.clock(session), (theirs) => clock.add(sentAt, theirs, now()))
    })

  const specOf = (post: Post<E>, index: number): AgentSpec => ({
    session,
    job: fleet.job,
    agent: post.agent.profile === null ? null : post.agent.name,
    keepsRows: post.agent.profile !== null,
    silenceSeconds: post.agent.profile === null ? null : SILENCE_SECONDS,
    runId: settings.runId,
    requestIdHeader: settings.requestIdHeader,
    requestTimeoutSeconds: settings.requestTimeoutSeconds,
    timeoutSeconds: settings.timeoutSeconds,
    graceSeconds: settings.graceSeconds,
    countTokens: settings.countTokens,
    slots: work.loop._tag === "Closed" ? post.slots : null,
    saves: options.saves,
    logsSent: options.logsSent,
    chunkTimes: options.chunkTimes,
    warmUp:
      fleet.warmUp === null
        ? null
        : {
            client: fleet.warmUp.client,
            connections: Leases.split(fleet.warmUp.connections, count, index),
            requests: fleet.warmUp.requests.filter((_, number) => number % count === index)
          }
  })

  const afterReport = (): void => {
    Counters.show(
      live,
      posts.map(({ counters }) => counters)
    )
    demand.openUnsafe()
    if (posts.every(({ loopEnded, lost }) => loopEnded || lost !== null)) Deferred.doneUnsafe(loopsEnded, Exit.void)
  }

  const isStopping = () => isCancelling || stop.isClosed()
  const known = (post: Post<E>): AgentChecks.Known => ({
    slots: post.slots,
    told: post.told,
    isLastTold: post.isLastTold,
    open: post.open,
    ended: post.ended,
    taken: post.taken,
    isStopping: isStopping(),
    seconds: Math.max(0, (now() - startNanos) / 1e9) + AgentChecks.SLACK_SECONDS
  })
  const missingRows = ({ agent, ended, rows }: Post<E>): ReadonlyArray<number> =>
    agent.profile === null || !options.saves ? [] : [...ended].filter((id) => !rows.has(id)).toSorted((a, b) => a - b)

  /** Nothing more is asked of an agent that says what cannot be, and nothing that it says is taken over. */
  const disbelieved = (post: Post<E>, problem: string): AgentLost => {
    post.isDead = true
    post.keepsRows = true
    return new AgentLost({ agent: post.agent.name, problem: `what it reports cannot be true: ${problem}` })
  }

  /** Whether it reports more often than there can be something to report. */
  const isFlooding = (post: Post<E>, report: Report): boolean => {
    const at = now()
    const isNew = report.ended !== null || report.taken > post.taken || report.loopEnded !== post.loopEnded
    if (isNew || at - post.emptySince > 1e9) {
      post.empty = 0
      post.emptySince = at
    }
    return ++post.empty > MOST_EMPTY_REPORTS
  }

  const onReport = (post: Post<E>, report: Report): Effect.Effect<void, AgentLost> => {
    if (isFlooding(post, report))
      return Effect.fail(disbelieved(post, "hundreds of reports in a second say nothing new"))
    const checked = AgentChecks.checkReport(report, known(post))
    if (Result.isFailure(checked)) return Effect.fail(disbelieved(post, checked.failure))
    takeReport(post, report, checked.success)
    return Effect.void
  }

  const takeReport = (post: Post<E>, report: Report, sink: SummarySink.SummarySink | null): void => {
    for (const tokens of post.ahead.splice(0, report.taken - post.taken)) post.aheadTokens -= tokens
    post.taken = report.taken
    post.free = report.free
    post.startedAt = report.startedAt
    post.counters = report.counters
    post.loopEnded = report.loopEnded
    LiveStats.addRecent(live, report.recent)
    uncounted ??= report.uncounted
    if (report.dispatch !== null) post.dispatch = report.dispatch
    if (report.health !== null) post.health = report.health
    if (report.spans !== null) post.spans = report.spans
    if (report.ended !== null && sink !== null) {
      const { chunks, ids, records, sent } = report.ended
      for (const id of ids) {
        post.open.delete(id)
        post.ended.add(id)
      }
      post.sink.merge(sink)
      options.onEnded?.({ completed: sink.counts().completed, errors: sink.errors() })
      if (post.agent.profile === null) {
        const lines = (bytes: Uint8Array): Packed => ({ bytes, count: ids.length })
        give(post, {
          fold: sink,
          records: lines(records),
          sent: options.logsSent ? lines(sent) : null,
          chunks: options.chunkTimes ? lines(chunks) : null
        })
      } else {
        give(post, { fold: sink })
      }
    }
    afterReport()
  }

  /** The first agent that proposes whose count is to lead decides for all. Each is told again until it knows. */
  const answer = (post: Post<E>, { proposed }: Report) => {
    if (proposed === null) return Effect.void
    tokenSource ??= proposed
    return post.agent
      .decide({ session, source: tokenSource })
      .pipe(Effect.raceFirst(Deferred.await(post.gone)), Effect.forkIn(scope))
  }

  const onLost = (post: Post<E>, { problem }: AgentLost) =>
    Effect.suspend(() => {
      post.lost = {
        name: post.agent.name,
        problem,
        requestIds: [...post.open].toSorted((a, b) => a - b)
      }
      post.lostAt = now()
      post.free = 0
      post.untold.length = 0
      post.counters = Counters.ofLost(post.counters, post.ended.size)
      afterReport()
      // What one on another machine knows of the run may yet be had
      return post.agent.profile === null || post.isDead
        ? Effect.asVoid(Effect.forkDetach(post.agent.close))
        : Effect.void
    })

  const listen = (post: Post<E>, start: RunStart) => {
    const { offsetNanos } = post.clock.mark()
    return post.agent.run({ session, ...start, monotonicNanos: start.monotonicNanos + offsetNanos }).pipe(
      Stream.interruptWhen(Deferred.await(post.unreached)),
      Stream.runForEach((report) =>
        Effect.andThen(
          onReport(post, report),
          Effect.suspend(() => answer(post, report))
        )
      ),
      // The report that tells of the end of its run may be lost while the stream ends in order
      Effect.filterOrFail(
        () => post.dispatch !== null,
        () => new AgentLost({ agent: post.agent.name, problem: "its last report is missing" })
      ),
      Effect.flatMap(() => {
        const problem = AgentChecks.checkEnd(known(post))
        return problem === null ? Effect.void : Effect.fail(new AgentLost({ agent: post.agent.name, problem }))
      }),
      Effect.catch((lost) => onLost(post, lost)),
      Effect.ensuring(Deferred.succeed(post.gone, undefined))
    )
  }

  /** Asks an agent that was lost for all that it knows: it may have been cut off only. */
  const recover = Effect.fnUntraced(function* (post: Post<E>) {
    if (post.isDead) return
    const account = yield* Collection.account(post.agent, session, (now() - post.lostAt) / 1e6)
    if (account === null || post.lost === null) {
      post.isDead = true
      post.keepsRows = true
      return
    }
    const checked = AgentChecks.checkAccount(account, known(post))
    if (Result.isFailure(checked)) {
      const { problem } = disbelieved(post, checked.failure)
      post.lost = { ...post.lost, problem: `${post.lost.problem}; then ${problem}` }
      return
    }
    for (const id of account.ids) post.open.delete(id)
    post.ended = new Set(account.ids)
    post.sink = checked.success
    give(post, { fold: post.sink, supersedesFold: true })
    post.counters = account.counters
    post.dispatch = account.dispatch
    post.health = account.health
    post.lost = { ...post.lost, requestIds: [...post.open].toSorted((a, b) => a - b) }
    afterReport()
  })

  /** Brings the rows here that an agent has kept. */
  const collectRows = Effect.fnUntraced(function* (post: Post<E>) {
    if (!options.saves || post.isDead || missingRows(post).length === 0) return
    const { agent, collected, ended } = post
    const seen = { records: post.rows, sent: new Set<number>(), chunks: new Set<number>() }
    const rows: AgentChecks.Rows = { ended, agent: agent.name, xRequestId }
    const readIds = options.chunkTimes ? yield* ChunkTimes.makeIdReader : null
    const accept: { readonly [log in Log]: (bytes: Uint8Array) => AgentChecks.Accepted } = {
      records: (bytes) => AgentChecks.acceptRecords(bytes, seen.records, rows),
      sent: (bytes) => AgentChecks.acceptSent(bytes, seen.sent, rows),
      chunks: (bytes) => AgentChecks.acceptChunks(bytes, seen.chunks, rows, readIds ?? (() => null))
    }
    const keep: { readonly [log in Log]: (lines: AgentChecks.Accepted) => void } = {
      records: (records) => give(post, { records }),
      sent: (sent) => give(post, { sent }),
      chunks: (chunks) => give(post, { chunks })
    }
    const logs: ReadonlyArray<Log> = ["records", "sent", "chunks"]
    const wanted = { records: true, sent: options.logsSent, chunks: options.chunkTimes }
    for (const log of logs.filter((name) => wanted[name])) {
      const outcome = yield* Collection.rows(agent, { session, log }, collected, (bytes) => {
        const accepted = accept[log](bytes)
        if (accepted.count > 0) keep[log](accepted)
        return accepted
      })
      if (outcome._tag !== "Complete") post.keepsRows = true
      if (outcome._tag !== "Refused") continue
      post.lost ??= {
        name: agent.name,
        problem: `what it hands over cannot be its rows: ${outcome.problem}`,
        requestIds: [...post.open].toSorted((a, b) => a - b)
      }
      post.isDead = true
      yield* Effect.forkDetach(agent.close)
      return
    }
  })

  /** Ends when nothing more comes from it. One that neither ends its run nor reports that a request has ended is lost. */
  const awaitEnd = (post: Post<E>) => {
    const stuck = Effect.gen(function* () {
      let before = -1
      while (post.ended.size > before) {
        before = post.ended.size
        yield* Effect.sleep(END_MILLIS)
      }
      const problem = `it did not end its run within ${END_MILLIS / 1_000} s after it had nothing more to send`
      yield* Deferred.fail(post.unreached, new AgentLost({ agent: post.agent.name, problem }))
      yield* Deferred.await(post.gone)
    })
    return Effect.raceFirst(Deferred.await(post.gone), stuck)
  }

  /** Has an agent cancel what it has in flight, and brings here what it has kept. */
  const handIn = Effect.fnUntraced(function* (post: Post<E>) {
    yield* stopOne(post, { how: "abandon", reason: stop.reason() })
    yield* Deferred.await(post.gone)
    yield* collectRows(post)
  })

  const hasRoom = (post: Post<E>, parts: number): boolean => Leases.hasRoom(post.ahead.length, post.aheadTokens, parts)

  /**
   * In an open loop plans go round. One that says nothing more takes its own beyond its part, so that the others have theirs until
   * it is known whether it is lost.
   */
  const wants = (post: Post<E>): boolean =>
    work.loop._tag === "Closed"
      ? Leases.wanted(
          { slots: post.slots, free: post.free, held: post.ahead.length },
          work.planned - granted,
          allSlots
        ) > 0
      : hasRoom(post, count) ||
        (hasRoom(post, 1) && posts.some((other) => other.lost === null && hasRoom(other, count)))

  /** Whose turn it is among those that live: in a closed loop of those that want a plan, in an open one whether it does or not. */
  const nextPost = (): Post<E> | null => {
    for (let step = 0; step < count; step++) {
      const post = posts[(turn + step) % count]
      if (post === undefined || post.lost !== null) continue
      if (wants(post)) {
        turn += step
        return post
      }
      if (work.loop._tag === "Open") return null
    }
    return null
  }

  /** An agent that a lease does not reach would send on without it: it is lost. */
  const lease = (post: Post<E>) =>
    Effect.suspend(() => {
      const parts = Leases.parts(post.untold.splice(0))
      const { isLast } = post
      post.isLast = false
      const reportAt =
        work.loop._tag === "Closed"
          ? Leases.spare(work.planned - granted, post.slots, allSlots) >> 1
          : post.ahead.length >> 1
      const hand = (plans: ReadonlyArray<RequestPlan>, index: number) =>
        Effect.suspend(() => {
          const last = isLast && index === parts.length - 1
          post.told += plans.length
          post.isLastTold ||= last
          return post.agent.lease({ session, number: ++post.leases, plans, last, reportAt })
        })
      return Effect.forEach(parts, hand, { discard: true }).pipe(
        Effect.catch((error) => Deferred.fail(post.unreached, error))
      )
    })

  /**
   * Tells an agent what is new for it, in one call after the other, which keeps the order. Nobody waits for that: one that is slow
   * to answer, or frozen, does not hold up the others.
   */
  const tell = (post: Post<E>) =>
    Effect.suspend(() => {
      if (post.isBeingTold) return Effect.void
      post.isBeingTold = true
      return Effect.whileLoop({
        while: () => post.untold.length > 0 || post.isLast,
        body: () => lease(post),
        step: () => {}
      }).pipe(
        Effect.raceFirst(Deferred.await(post.gone)),
        Effect.ensuring(
          Effect.sync(() => {
            post.isBeingTold = false
          })
        )
      )
    })
  const tellAll = (some: Iterable<Post<E>>) =>
    Effect.forEach(some, (post) => Effect.forkIn(tell(post), scope, { startImmediately: true }))

  /** Hands out the plans that are at hand, `first` before the others, as far as they are wanted. */
  const handOut = Effect.fnUntraced(function* (first: RequestPlan | null) {
    const given = new Set<Post<E>>()
    let plan: RequestPlan | null | undefined = first
    let post = nextPost()
    while (post !== null) {
      plan ??= yield* source.poll
      if (plan === null || plan === undefined) break
      given.add(post)
      post.untold.push(plan)
      post.open.add(plan.id)
      post.ahead.push(plan.inputTokens)
      post.aheadTokens += plan.inputTokens
      granted++
      turn++
      plan = undefined
      post = nextPost()
    }
    return { plan, isFull: post === null, telling: yield* tellAll(given) } satisfies HandedOut
  })

  /** Hands out plans as they are wanted and at hand, until there are no more. */
  const handOutAll = Effect.gen(function* () {
    let first: RequestPlan | null = null
    while (true) {
      demand.closeUnsafe()
      const { isFull, plan }: HandedOut = yield* handOut(first)
      first = plan ?? null
      if (isFull) yield* demand.await
      else if (plan === null) return
      else {
        first = yield* source.next
        if (first === null) return
      }
    }
  })

  /**
   * Agents that have nothing more for us are free for others, and forget the run. What rows an agent has that are not here it keeps,
   * and is free when it has seen that we are gone.
   */
  const release = Effect.suspend(() =>
    Effect.forEach(
      far.filter(
        (post) => !isBegun || (Deferred.isDoneUnsafe(post.gone) && !post.keepsRows && missingRows(post).length === 0)
      ),
      ({ agent }) => Effect.timeoutOption(agent.release(session), RELEASE_MILLIS),
      { concurrency: "unbounded", discard: true }
    )
  )
  // When results could not be written, those rows are the only ones
  yield* Effect.addFinalizer((exit) =>
    isBegun && Exit.isFailure(exit) && Cause.hasFails(exit.cause) ? Effect.void : release
  )

  const prepare = Effect.fnUntraced(function* (post: Post<E>, index: number): Effect.fn.Return<AgentReady, E> {
    const ready = yield* post.agent.prepare(specOf(post, index))
    if (post.agent.profile !== null) {
      yield* Effect.ignore(Effect.repeat(beat(post), { times: CLOCK_QUESTIONS - 1 }))
      yield* Effect.delay(Effect.ignore(beat(post)), BEAT_MILLIS).pipe(
        Effect.forever,
        Effect.raceFirst(Deferred.await(post.gone)),
        Effect.forkIn(scope)
      )
    }
    return ready
  })

  /** Hands out all there is; ends when all that was sent has ended. */
  const sendAll = Effect.gen(function* () {
    yield* Effect.raceAllFirst([handOutAll, stop.closed, Deferred.await(loopsEnded)])
    for (const post of living()) {
      if (stop.isClosed()) post.untold.length = 0
      post.isLast = true
    }
    yield* tellAll(living())
    yield* Deferred.await(loopsEnded)
    yield* source.failure
  })

  /** Ends when everything is here that can be had of the agents. */
  const finish = Effect.gen(function* () {
    if (!Deferred.isDoneUnsafe(loopsEnded)) {
      isCancelling = true
      yield* stopAll({ how: "cancel", reason: stop.reason() })
    }
    yield* Effect.forEach(posts, awaitEnd, { concurrency: "unbounded", discard: true })
    yield* Effect.forEach(
      far.filter(({ lost }) => lost !== null),
      recover,
      { concurrency: "unbounded", discard: true }
    )
    yield* Effect.forEach(far, collectRows, { discard: true })
  })

  /** Brings here what can be had at once. */
  const abandon = Effect.suspend(() => {
    isCancelling = true
    return Effect.forEach(living(), handIn, { concurrency: "unbounded", discard: true })
  }).pipe(Effect.timeoutOption(ABANDON_MILLIS))

  const sending = Effect.gen(function* () {
    const exit = yield* Effect.exit(Effect.raceFirst(sendAll, stop.cancelled))
    endedNanos = now()
    const given = Exit.isFailure(exit) ? Effect.succeed(false) : Effect.as(finish, true)
    const isAllHere = yield* Effect.raceFirst(given, Effect.as(stop.abandoned, false))
    if (!isAllHere) yield* abandon
    return yield* exit
  }).pipe(Effect.ensuring(Queue.end(batches)))

  const accountOf = (post: Post<E>): ReadonlyArray<AgentAccount> => {
    const { profile } = post.agent
    if (profile === null) return []
    const { driftNanos, offsetNanos, roundTripNanos } = post.clock.sinceMark()
    return [
      {
        name: post.agent.name,
        profile,
        requests: post.ended.size,
        sink: post.sink,
        health: post.health,
        dispatch: post.dispatch,
        missingRows: missingRows(post),
        offsetSeconds: offsetNanos / 1e9,
        roundTripSeconds: roundTripNanos / 1e9,
        driftSeconds: driftNanos / 1e9,
        startedSeconds: post.startedAt === null ? null : (post.startedAt - offsetNanos - startNanos) / 1e9,
        lost: post.lost
      }
    ]
  }

  return {
    count,
    prepare: Effect.gen(function* () {
      const [ready] = yield* Effect.all([Effect.forEach(posts, prepare, { concurrency: "unbounded" }), work.ready], {
        concurrency: "unbounded"
      })
      return { tokenizer: ready[0]?.tokenizer ?? "", warmUp: together(ready) }
    }),
    start: Effect.gen(function* () {
      const { telling } = yield* handOut(null)
      yield* Fiber.joinAll(telling)
      const lead = far.length === 0 ? LEAD_MILLIS : FAR_LEAD_MILLIS
      const start = {
        monotonicNanos: now() + lead * 1e6,
        epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6 + lead / 1_000
      }
      startNanos = start.monotonicNanos
      isBegun = true
      for (const post of posts) yield* Effect.forkScoped(listen(post, start))
      yield* Effect.forkScoped(Effect.flatMap(stop.closed, (reason) => stopAll({ how: "drain", reason })))
      yield* Effect.sleep(lead)
      return start
    }),
    ended: Stream.unwrap(
      Effect.map(Effect.forkScoped(sending, { startImmediately: true }), (fiber) =>
        Stream.concat(Stream.fromQueue(batches), Stream.drain(Stream.fromEffect(Fiber.join(fiber))))
      )
    ),
    account: Effect.sync(() => ({
      endedNanos,
      requests: posts.map((post) => post.ended.size),
      dispatch: posts
        .flatMap(({ dispatch }) => dispatch ?? [])
        .reduce(Verdict.mergeDispatch, new Verdict.DispatchTally().report()),
      health: merged(posts.flatMap(({ health }) => health ?? [])),
      uncounted,
      lost: posts.flatMap(({ lost }) => lost ?? []),
      agents: posts.flatMap(accountOf),
      spans: mergedSpans(posts.flatMap(({ spans }) => spans ?? []))
    }))
  }
})

const mergedSpans = (reports: ReadonlyArray<OtlpSpans.Report>): OtlpSpans.Report | null =>
  reports.length === 0 ? null : OtlpSpans.merge(reports)

const merged = (reports: ReadonlyArray<HealthReport.HealthReport>): HealthReport.HealthReport | null => {
  const [first, ...others] = reports
  return first === undefined ? null : others.reduce(HealthReport.merge, first)
}
