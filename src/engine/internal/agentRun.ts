/** The share of a run that an agent sends, its reports, and the account it can give of them. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import type * as Path from "effect/Path"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Loop from "../../domain/Loop.ts"
import { type RequestOutcome, type RequestRecord } from "../../domain/RequestRecord.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type TokenSource } from "../../domain/TokenSource.ts"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type LoopDelays } from "../../metrics/LoopDelays.ts"
import { type Measurement, type RunStart } from "../../metrics/RequestSink.ts"
import * as SummarySink from "../../metrics/SummarySink.ts"
import * as ChunkTimes from "../../output/ChunkTimes.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import { type OutputError } from "../../output/OutputError.ts"
import type * as OtlpSpans from "../../output/OtlpSpans.ts"
import * as SentLog from "../../output/SentLog.ts"
import { type Provider } from "../../provider/Provider.ts"
import { type Transport } from "../../provider/Transport.ts"
import { TokenCounter } from "../../workload/TokenCounter.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import type * as Health from "../Health.ts"
import {
  type Account,
  AgentFailed,
  type AgentReady,
  type AgentSpec,
  type Ended,
  type Lease,
  type Piece,
  type Report,
  type Start,
  type Stop,
  type Wanted
} from "../LoadAgent.ts"
import { Pacer } from "../Pacer.ts"
import { Places } from "../Places.ts"
import { RequestTap } from "../RequestTap.ts"
import * as StopSignal from "../StopSignal.ts"
import * as TokenDecision from "../TokenDecision.ts"
import * as WarmUp from "../WarmUp.ts"
import * as AgentRows from "./agentRows.ts"
import * as Counters from "./counters.ts"
import * as Measuring from "./measuring.ts"
import { type SessionFolders } from "./sessionFolders.ts"

/**
 * - `heard`: the coordinator has called
 * - `abandon`: cancels what is in flight and brings the run to its end
 * - `over`: ends when nothing more is sent and all that was sent is accounted for
 * - `forget`: deletes the rows it has kept
 */
export interface AgentRun {
  readonly ready: AgentReady
  readonly lease: (lease: Lease) => Effect.Effect<void>
  readonly decide: (source: TokenSource) => Effect.Effect<void>
  readonly stop: (stop: Stop) => Effect.Effect<void>
  readonly run: (start: Start) => Stream.Stream<Report, AgentFailed>
  readonly heard: () => void
  readonly abandon: Effect.Effect<void>
  readonly over: Effect.Effect<void>
  readonly account: Effect.Effect<Account, AgentFailed>
  readonly collect: (wanted: Wanted) => Stream.Stream<Piece, AgentFailed>
  readonly forget: Effect.Effect<void>
}

/** How long it takes to the next report at most, and how long requests that have ended gather before they are reported. */
const REPORT_MILLIS = 250
/** The same of requests whose rows are reported with them: until then a process that is killed takes them along. */
const ROWS_MILLIS = 50
/** So many are reported sooner. */
const MOST_ENDED = 1_024
/** While nothing has succeeded so many failures are reported at once: the coordinator may want to end the run. */
const MOST_FAILED = 16
/** A run that is to begin later than this after its moment is not begun: the call was carried too late, or twice. */
const MOST_LATE_MILLIS = 2_000

/** How often an agent looks whether the coordinator is still there. */
const WATCH_MILLIS = 500

const NO_BYTES = new Uint8Array(0)

const textEncoder = new TextEncoder()

/** Requests that have ended and are not reported yet; with `rows`, whose rows are kept there instead of reported. */
const makeEnded = (spec: AgentSpec, rows: AgentRows.AgentRows | null, encoder: ChunkTimes.Encoder | null) => {
  const recordLine = Ndjson.line()
  let sink = new SummarySink.SummarySink()
  let ids: Array<number> = []
  let records = ""
  let sent = ""
  return {
    count: () => ids.length,
    add: (
      { interChunkSeconds, record: measured }: RequestOutcome,
      measurement: Measurement,
      start: RunStart
    ): RequestRecord => {
      const record = spec.agent === null ? measured : { ...measured, agent: spec.agent }
      sink.add({ record, interChunkSeconds })
      ids.push(record.request_id)
      if (!spec.saves) return record
      records += `${recordLine(record)}\n`
      encoder?.append(measurement, start)
      if (spec.logsSent) sent += `${SentLog.line(record)}\n`
      return record
    },
    take: (total: SummarySink.SummarySink | null): Ended => {
      const lines = {
        records: textEncoder.encode(records),
        sent: textEncoder.encode(sent),
        chunks: encoder?.take().bytes ?? new Uint8Array(0),
        count: ids.length
      }
      rows?.keep(lines)
      total?.merge(sink)
      const taken = {
        ids,
        records: rows === null ? lines.records : NO_BYTES,
        sent: rows === null ? lines.sent : NO_BYTES,
        chunks: rows === null ? lines.chunks : NO_BYTES,
        summary: SummarySink.pack(sink)
      }
      sink = new SummarySink.SummarySink()
      ids = []
      records = ""
      sent = ""
      return taken
    }
  }
}

/**
 * Makes the agent ready and warms up. It ends with the scope. `folders`: where rows are kept, if they are.
 */
export const make = Effect.fnUntraced(function* (
  spec: AgentSpec,
  watch: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined,
  folders: SessionFolders | null
): Effect.fn.Return<
  AgentRun,
  OutputError,
  Provider | Transport | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const scope = yield* Effect.scope
  const context = yield* Effect.context<Provider | TokenCounter | FileSystem.FileSystem>()
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const counter = yield* TokenCounter
  const pacer = yield* Pacer
  const live = LiveStats.make()
  const stop = yield* StopSignal.make
  const plans = yield* Queue.unbounded<RequestPlan, Cause.Done>()
  const tap = yield* RequestTap
  let isReady = false
  const folder = folders === null || !spec.saves ? null : yield* folders.open(spec.session)
  // One that cannot be made ready has no rows
  if (folder !== null) yield* Effect.addFinalizer(() => (isReady ? Effect.void : folder.remove))
  const rows =
    folder === null
      ? null
      : yield* AgentRows.make({
          folder: folder.path,
          logsSent: spec.logsSent,
          chunkTimes: spec.chunkTimes
        })
  const ended = makeEnded(spec, rows, spec.saves && spec.chunkTimes ? yield* ChunkTimes.makeEncoder : null)
  // Reports can be lost on their way: whoever keeps the rows can tell of all of them
  const total = rows === null ? null : new SummarySink.SummarySink()
  const allIds: Array<number> = []
  const over = Deferred.makeUnsafe<void>()
  const cancelled = Deferred.makeUnsafe<void>()
  const abandoned = Deferred.makeUnsafe<void>()
  const wake = Latch.makeUnsafe(false)
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  const mostPlaces = Loop.placesOf(spec.loop)
  const places = mostPlaces === null ? null : new Places(mostPlaces)
  const allLeftOut: Array<number> = []
  let leftOut: Array<number> = []
  let leases = 0
  let received = 0
  let finished = 0
  let reportAt = 0
  let isLast = false
  let graceOver = false
  let proposed: TokenSource | null = null
  let uncounted: TokenizerError | null = null
  let health: HealthReport.HealthReport | null = null
  let loopEnded = false
  let startedAt: number | null = null
  let failed: AgentFailed | null = null
  let held: Ended | null = null
  let spans: OtlpSpans.Report | null = null
  let isBegun = false
  let isDone = false
  let isReported = false
  let heardAt = now()
  let delays: LoopDelays | null = null

  const isMuch = (): boolean =>
    ended.count() >= MOST_ENDED || (live.completed === 0 && live.failed > 0 && ended.count() >= MOST_FAILED)
  const wakeWhenLow = (low: number): void => {
    if (!isLast && received - live.started - live.dropped <= low) wake.openUnsafe()
  }
  const decision = TokenDecision.make(spec.countTokens, (source) => {
    proposed = source
    wake.openUnsafe()
  })
  const { dispatch, recorder, send } = yield* Measuring.make({
    settings: spec,
    decision,
    stop,
    graceOver: () => graceOver,
    live,
    start: () => start,
    delays: () => delays,
    onStart: () => wakeWhenLow(reportAt),
    onFinish: () => {
      finished++
      wakeWhenLow(0)
    },
    onDropped: ({ id }) => {
      leftOut.push(id)
      allLeftOut.push(id)
    },
    onOutcome: (outcome, measurement) => {
      LiveStats.requestEnded(live, outcome.record)
      const record = ended.add(outcome, measurement, start)
      tap?.add(record)
      if (isMuch()) wake.openUnsafe()
    },
    onUncounted: (error) => {
      uncounted ??= error
    }
  })

  const warmUp =
    spec.warmUp === null
      ? Effect.succeed(null)
      : WarmUp.run({
          client: spec.warmUp.client,
          concurrency: spec.warmUp.connections,
          requests: spec.warmUp.requests,
          requestTimeoutSeconds: spec.requestTimeoutSeconds
        })
  const [warmUpReport] = yield* Effect.all([warmUp, Effect.ignore(counter.count(""))], { concurrency: "unbounded" })

  // A timer may be early by a millisecond
  const untilStart = Effect.whileLoop({
    while: () => now() < start.monotonicNanos,
    body: () => pacer.sleepUntil(start.monotonicNanos),
    step: () => {}
  })
  const sending = Effect.gen(function* () {
    const recording = yield* Effect.forkScoped(recorder.run)
    yield* untilStart
    startedAt = now()
    const sampling = watch === undefined ? null : yield* watch
    delays = sampling?.delays ?? null
    const sends = yield* Effect.forkScoped(send(spec.loop, Stream.fromQueue(plans), places))
    yield* Effect.raceAllFirst([Fiber.join(sends), Deferred.await(cancelled), rows?.failure ?? Effect.never])
    yield* Fiber.interrupt(sends)
    loopEnded = true
    wake.openUnsafe()
    if (sampling !== null) health = yield* sampling.stop
    yield* recorder.end
    yield* Effect.raceFirst(Fiber.join(recording), Deferred.await(abandoned))
    recorder.flush()
    if (tap !== null) spans = yield* tap.finish
    if (rows !== null) {
      if (ended.count() > 0) held = take()
      yield* rows.close
    }
  }).pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        failed = new AgentFailed({ description: error.message })
      })
    ),
    Effect.ensuring(
      Effect.suspend(() => {
        isDone = true
        wake.openUnsafe()
        return Deferred.succeed(over, undefined)
      })
    ),
    Effect.scoped,
    // What it sends with is its own, and not that of whoever carries the call
    Effect.provideContext(context)
  )

  const abandon = Effect.suspend(() => {
    Deferred.doneUnsafe(abandoned, Exit.void)
    Deferred.doneUnsafe(cancelled, Exit.void)
    return isBegun ? Deferred.await(over) : Effect.asVoid(Deferred.succeed(over, undefined))
  })
  if (spec.silenceSeconds !== null) {
    const most = spec.silenceSeconds * 1e9
    const stopped = `it heard nothing from here for ${spec.silenceSeconds} s and stopped`
    const giveUp = Effect.suspend(() => {
      failed ??= new AgentFailed({ description: stopped })
      wake.openUnsafe()
      return abandon
    })
    heardAt = now()
    yield* Effect.suspend(() => (now() - heardAt > most ? giveUp : Effect.void)).pipe(
      Effect.delay(WATCH_MILLIS),
      Effect.forever,
      Effect.raceFirst(Deferred.await(over)),
      Effect.forkScoped
    )
  }

  const take = (): Ended => {
    const taken = ended.take(total)
    if (total !== null) for (const id of taken.ids) allIds.push(id)
    return taken
  }
  const report = (withEnded: boolean): Report => {
    const taken = leftOut
    leftOut = []
    return {
      leases,
      taken: live.started + live.dropped,
      leftOut: taken,
      inFlight: live.started - finished,
      isFull: stop.reason() === "full",
      startedAt,
      counters: Counters.of(live),
      recent: LiveStats.takeRecent(live),
      ended: isDone && held !== null ? held : withEnded && ended.count() > 0 ? take() : null,
      proposed: decision.current() === null ? proposed : null,
      uncounted,
      loopEnded,
      dispatch: isDone ? dispatch() : null,
      health: isDone ? health : null,
      spans: isDone ? spans : null
    }
  }

  // A report is made when the one before has been taken: whoever is slow to take them gets fewer, and the load does not wait.
  const endedMillis = rows === null && spec.saves ? ROWS_MILLIS : REPORT_MILLIS
  const reports = Effect.sync((): Pull.Pull<readonly [Report], AgentFailed> => {
    let nextReport = start.monotonicNanos
    let nextEnded = start.monotonicNanos
    const next = Effect.suspend((): Pull.Pull<readonly [Report], AgentFailed> => {
      if (failed !== null) return Effect.fail(failed)
      if (isReported) return Cause.done()
      const left = Math.max(1, (Math.min(nextReport, nextEnded) - now()) / 1e6)
      const woken = Effect.timeoutOrElse(Effect.as(wake.await, true), {
        duration: left,
        orElse: () => Effect.succeed(false)
      })
      return Effect.flatMap(woken, (isWoken) => {
        wake.closeUnsafe()
        const at = now()
        const withEnded = isDone || at >= nextEnded || isMuch()
        if (withEnded) nextEnded = at + endedMillis * 1e6
        if (!isWoken && at < nextReport && ended.count() === 0) return next
        isReported = isDone
        nextReport = at + REPORT_MILLIS * 1e6
        return Effect.succeed([report(withEnded)] as const)
      })
    })
    return next
  })

  isReady = true
  return {
    ready: { tokenizer: counter.name, warmUp: warmUpReport },
    lease: (lease) =>
      Effect.suspend(() => {
        // Carried twice
        if (lease.number !== leases + 1) return Effect.void
        leases++
        received += lease.plans.length
        reportAt = lease.reportAt
        isLast = lease.last
        if (lease.places !== null) places?.set(lease.places)
        Queue.offerAllUnsafe(plans, lease.plans)
        return lease.last ? Effect.asVoid(Queue.end(plans)) : Effect.void
      }),
    decide: (source) => Effect.sync(() => decision.decide(source)),
    stop: ({ how, reason }) =>
      Effect.gen(function* () {
        if (reason !== null) yield* stop.close(reason)
        if (how === "drain") return
        graceOver = how === "cancel"
        if (how === "abandon") yield* Deferred.succeed(abandoned, undefined)
        yield* Deferred.succeed(cancelled, undefined)
      }),
    run: (from) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const late = (now() - from.monotonicNanos) / 1e6
          if (failed !== null) return yield* failed
          if (isBegun || Deferred.isDoneUnsafe(over)) return yield* refused("its run has begun before")
          if (late > MOST_LATE_MILLIS) return yield* refused(`it was told to start ${late.toFixed(0)} ms too late`)
          isBegun = true
          start = from
          // It goes on when nobody listens any more, until what was sent is accounted for
          yield* Effect.forkIn(sending, scope)
          yield* Effect.addFinalizer(() => (isDone ? Effect.void : Effect.forkIn(abandon, scope)))
          return Stream.fromPull(reports)
        })
      ),
    heard: () => {
      heardAt = now()
    },
    abandon,
    over: Deferred.await(over),
    account: Effect.suspend(() =>
      !isDone || total === null
        ? refused("its run is not over")
        : Effect.succeed({
            ids: allIds,
            leftOut: allLeftOut,
            summary: SummarySink.pack(total),
            counters: Counters.of(live),
            dispatch: dispatch(),
            health
          })
    ),
    collect: ({ from, log }) =>
      !isDone || rows === null ? Stream.fromEffect(refused("its rows cannot be had yet")) : rows.collect(log, from),
    forget: folder?.remove ?? Effect.void
  }
})

const refused = (description: string) => Effect.fail(new AgentFailed({ description }))
