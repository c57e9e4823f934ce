/**
 * Sends the requests of a run by agents: plans are handed out to them, and what has ended is gathered from them.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Loop from "../domain/Loop.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type TokenSource } from "../domain/TokenSource.ts"
import * as HealthReport from "../metrics/HealthReport.ts"
import * as LiveStats from "../metrics/LiveStats.ts"
import { type Ended } from "../metrics/Ended.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import * as Verdict from "../metrics/Verdict.ts"
import * as OtlpSpans from "../output/OtlpSpans.ts"
import { type Sharing } from "./Fleet.ts"
import type { AgentReady, AgentSpec, Stop } from "./LoadAgent.ts"
import { requestIdOf } from "./RequestId.ts"
import { type MakeSender, type Sender, type SenderRun } from "./Sender.ts"
import { type WarmUpReport } from "./WarmUp.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import * as AgentSession from "./internal/agentSession.ts"
import * as Counters from "./internal/counters.ts"
import * as Leases from "./internal/leases.ts"
import * as PlanSource from "./internal/planSource.ts"

/** From choosing the start of the run to that moment: enough for all agents of this process to be told of it. */
const LEAD_MILLIS = 50
/** The same for agents on other machines, whose calls may have to be sent twice by the network. */
const FAR_LEAD_MILLIS = 500
/** How long agents have to hand in what has ended when the run is given up. */
const ABANDON_MILLIS = 3_000
/** After so long without a call an agent stops by itself. */
const SILENCE_SECONDS = 5

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
 * A sender whose requests are sent by these agents. It fails when one of them cannot be made ready; one that is lost later is named in
 * its account.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make =
  <SE>(fleet: Sharing<SE>): MakeSender<SE> =>
  (run) =>
    sender(fleet, run)

const sender = Effect.fnUntraced(function* <SE, E, R>(
  fleet: Sharing<SE>,
  options: SenderRun<E, R>
): Effect.fn.Return<Sender<E | SE, R>, never, R | Scope.Scope> {
  const { live, load: work, settings, stop } = options
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const count = fleet.agents.length
  const { loop } = work
  const allPlaces = Loop.placesOf(loop)
  const source = yield* PlanSource.make(work.plans, stop.closed)
  const demand = Latch.makeUnsafe(true)
  const news = Latch.makeUnsafe(false)
  const allSent = Deferred.makeUnsafe<void>()
  const batches = yield* Queue.unbounded<Ended, Cause.Done>()
  /** Whose count of tokens leads: the first agent that has had an answer decides for all. */
  let tokenSource: TokenSource | null = null
  let uncounted: TokenizerError | null = null
  let start: RunStart | null = null
  let endedNanos = 0
  /** Agents are told to cancel what they have, or are about to be. */
  let isCancelling = false
  let granted = 0
  let turn = 0

  const onChange = (): void => {
    Counters.show(
      live,
      sessions.map(({ said }) => said.counters)
    )
    demand.openUnsafe()
    news.openUnsafe()
    if (sessions.every(({ isDoneSending }) => isDoneSending)) Deferred.doneUnsafe(allSent, Exit.void)
  }
  const idOf = requestIdOf(settings.runId)
  const run: AgentSession.Run = {
    // No two runs have the same: an agent that hears of another one leaves it aside
    id: `${settings.runId}-${clock.currentTimeNanosUnsafe().toString(36)}`,
    saves: options.saves,
    logsSent: options.logsSent,
    chunkTimes: options.chunkTimes,
    xRequestId: (id) => (settings.requestIdHeader === null ? null : idOf({ id })),
    now,
    start: () => start ?? { monotonicNanos: now(), epochSeconds: 0 },
    isStopping: () => isCancelling || stop.isClosed(),
    reportAt: ({ ledger, places }) =>
      loop._tag === "Closed"
        ? Leases.spare(work.planned - granted, places ?? 0, loop.concurrency) >> 1
        : ledger.held >> 1,
    full: stop.close("full"),
    decide: (proposed) => (tokenSource ??= proposed),
    emit: (ended) => Queue.offerUnsafe(batches, ended),
    onReport: (report, fold) => {
      LiveStats.addRecent(live, report.recent)
      uncounted ??= report.uncounted
      if (fold !== null) options.onEnded({ completed: fold.counts().completed, errors: fold.errors() })
      onChange()
    },
    onLost: (name, problem) => {
      LiveStats.senderLost(live, { name, problem })
      onChange()
    },
    onChange
  }
  const sessions = fleet.agents.map(
    (agent, index) =>
      new AgentSession.AgentSession(agent, allPlaces === null ? null : Leases.split(allPlaces, count, index), run)
  )
  type Session = (typeof sessions)[number]
  const far = sessions.filter(({ isFar }) => isFar)
  const living = () => sessions.filter(({ isLost }) => !isLost)
  const stopAll = (order: Omit<Stop, "session">) =>
    Effect.forEach(living(), (session) => session.stop(order), { concurrency: "unbounded", discard: true })

  const specOf = ({ agent, isFar, places }: Session, index: number): AgentSpec => ({
    session: run.id,
    job: fleet.job,
    agent: isFar ? agent.name : null,
    keepsRows: isFar,
    silenceSeconds: isFar ? SILENCE_SECONDS : null,
    runId: settings.runId,
    requestIdHeader: settings.requestIdHeader,
    requestTimeoutSeconds: settings.requestTimeoutSeconds,
    timeoutSeconds: settings.timeoutSeconds,
    graceSeconds: settings.graceSeconds,
    countTokens: settings.countTokens,
    loop: places === null ? loop : Loop.withPlaces(loop, places),
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

  const hasRoom = ({ ledger }: Session, parts: number): boolean => Leases.hasRoom(ledger.held, ledger.heldTokens, parts)

  /**
   * In an open loop plans go round. One that says nothing more takes its own beyond its part, so that the others have theirs until
   * it is known whether it is lost.
   */
  const wants = (session: Session): boolean => {
    const { free, ledger, places } = session
    return loop._tag === "Closed"
      ? Leases.wanted({ slots: places ?? 0, free, held: ledger.held }, work.planned - granted, loop.concurrency) > 0
      : hasRoom(session, count) ||
          (hasRoom(session, 1) && sessions.some((other) => !other.isLost && hasRoom(other, count)))
  }

  /** Whose turn it is among those that live: in a closed loop of those that want a plan, in an open one whether it does or not. */
  const nextSession = (): Session | null => {
    for (let step = 0; step < count; step++) {
      const session = sessions[(turn + step) % count]
      if (session === undefined || session.isLost) continue
      if (wants(session)) {
        turn += step
        return session
      }
      if (loop._tag === "Open") return null
    }
    return null
  }

  const tellAll = (some: Iterable<Session>) =>
    Effect.forEach(some, ({ tell }) => Effect.forkIn(tell, scope, { startImmediately: true }))

  /**
   * Sees to it that all places are with some agent that lives, and in an open loop with those that need them. A place goes from one
   * to another in two steps, so that there are never more in all: an agent says that it has it no more before another one has it.
   */
  const shareOut = (all: number): ReadonlySet<Session> => {
    const able = living().filter(({ isDoneSending }) => !isDoneSending)
    const changed = new Set<Session>()
    const change = (session: Session, places: number) => {
      session.setPlaces(places)
      changed.add(session)
    }
    const gains = new Map<Session, number>()
    const freeOf = (session: Session) => session.free + (gains.get(session) ?? 0)
    let spare = all - sessions.reduce((sum, { held }) => sum + held, 0)
    for (const settled = able.filter(({ hasSettled }) => hasSettled); spare > 0 && settled.length > 0; spare--) {
      const neediest = settled.reduce((least, session) => (freeOf(session) < freeOf(least) ? session : least))
      gains.set(neediest, (gains.get(neediest) ?? 0) + 1)
    }
    for (const [session, more] of gains) change(session, (session.places ?? 0) + more)
    if (loop._tag === "Open" && gains.size === 0 && able.some(({ free }) => free === 0)) {
      const richest = able.reduce((most, session) => (session.free > most.free ? session : most))
      if (richest.free > 1 && richest.hasSettled) change(richest, (richest.places ?? 0) - (richest.free >> 1))
    }
    return changed
  }
  const shareOutAlways = (all: number) =>
    Effect.gen(function* () {
      yield* news.await
      news.closeUnsafe()
      const changed = shareOut(all)
      if (changed.size === 0) return
      demand.openUnsafe()
      yield* tellAll(changed)
    }).pipe(Effect.forever)

  /** Hands out the plans that are at hand, `first` before the others, as far as they are wanted. */
  const handOut = Effect.fnUntraced(function* (first: RequestPlan | null) {
    const given = new Set<Session>()
    let plan: RequestPlan | null | undefined = first
    let session = nextSession()
    while (session !== null) {
      plan ??= yield* source.poll
      if (plan === null || plan === undefined) break
      session.give(plan)
      given.add(session)
      granted++
      turn++
      plan = undefined
      session = nextSession()
    }
    return { plan, isFull: session === null, telling: yield* tellAll(given) } satisfies HandedOut
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

  // When results could not be written, the rows that agents have kept are the only ones
  yield* Effect.addFinalizer((exit) =>
    start !== null && Exit.isFailure(exit) && Cause.hasFails(exit.cause)
      ? Effect.void
      : Effect.forEach(far, (session) => session.release(start !== null), { concurrency: "unbounded", discard: true })
  )

  /** Hands out all there is; ends when all that was sent has ended. */
  const sendAll = Effect.gen(function* () {
    yield* Effect.raceAllFirst([handOutAll, stop.closed, Deferred.await(allSent)])
    for (const session of living()) session.giveLast(!stop.isClosed())
    yield* tellAll(living())
    yield* Deferred.await(allSent)
    yield* source.failure
  })

  /** Ends when everything is here that can be had of the agents. */
  const finish = Effect.gen(function* () {
    if (!Deferred.isDoneUnsafe(allSent)) {
      isCancelling = true
      yield* stopAll({ how: "cancel", reason: stop.reason() })
    }
    yield* Effect.forEach(sessions, ({ awaitEnd }) => awaitEnd, { concurrency: "unbounded", discard: true })
    yield* Effect.forEach(far, ({ recover }) => recover, { concurrency: "unbounded", discard: true })
    yield* Effect.forEach(far, ({ collectRows }) => collectRows, { discard: true })
  })

  /** Brings here what can be had at once. */
  const abandon = Effect.suspend(() => {
    isCancelling = true
    return Effect.forEach(living(), (session) => session.handIn(stop.reason()), {
      concurrency: "unbounded",
      discard: true
    })
  }).pipe(Effect.timeoutOption(ABANDON_MILLIS))

  const sending = Effect.gen(function* () {
    const exit = yield* Effect.exit(Effect.raceFirst(sendAll, stop.cancelled))
    endedNanos = now()
    const given = Exit.isFailure(exit) ? Effect.succeed(false) : Effect.as(finish, true)
    const isAllHere = yield* Effect.raceFirst(given, Effect.as(stop.abandoned, false))
    if (!isAllHere) yield* abandon
    return yield* exit
  }).pipe(Effect.ensuring(Queue.end(batches)))

  return {
    count,
    prepare: Effect.gen(function* () {
      const prepareAll = Effect.forEach(
        sessions,
        (session, index) => Scope.provide(session.prepare(specOf(session, index)), scope),
        { concurrency: "unbounded" }
      )
      const [ready] = yield* Effect.all([prepareAll, work.ready], { concurrency: "unbounded" })
      return { tokenizer: ready[0]?.tokenizer ?? "", warmUp: together(ready) }
    }),
    start: Effect.gen(function* () {
      const { telling } = yield* handOut(null)
      yield* Fiber.joinAll(telling)
      const lead = far.length === 0 ? LEAD_MILLIS : FAR_LEAD_MILLIS
      const chosen = {
        monotonicNanos: now() + lead * 1e6,
        epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6 + lead / 1_000
      }
      start = chosen
      for (const session of sessions) yield* Effect.forkScoped(session.listen(chosen))
      if (allPlaces !== null && count > 1) yield* Effect.forkScoped(shareOutAlways(allPlaces))
      yield* Effect.forkScoped(Effect.flatMap(stop.closed, (reason) => stopAll({ how: "drain", reason })))
      yield* Effect.sleep(lead)
      return chosen
    }),
    ended: Stream.unwrap(
      Effect.map(Effect.forkScoped(sending, { startImmediately: true }), (fiber) =>
        Stream.concat(Stream.fromQueue(batches), Stream.drain(Stream.fromEffect(Fiber.join(fiber))))
      )
    ),
    account: Effect.sync(() => ({
      endedNanos,
      requests: sessions.map(({ ledger }) => ledger.ended.size),
      dispatch: sessions
        .flatMap(({ said }) => said.dispatch ?? [])
        .reduce(Verdict.mergeDispatch, new Verdict.DispatchTally().report()),
      health: merged(sessions.flatMap(({ said }) => said.health ?? [])),
      uncounted,
      lost: sessions.flatMap(({ lost }) => lost ?? []),
      agents: sessions.flatMap((session) => session.account() ?? []),
      spans: mergedSpans(sessions.flatMap(({ said }) => said.spans ?? []))
    }))
  }
})

const mergedSpans = (reports: ReadonlyArray<OtlpSpans.Report>): OtlpSpans.Report | null =>
  reports.length === 0 ? null : OtlpSpans.merge(reports)

const merged = (reports: ReadonlyArray<HealthReport.HealthReport>): HealthReport.HealthReport | null => {
  const [first, ...others] = reports
  return first === undefined ? null : others.reduce(HealthReport.merge, first)
}
