/** The share of a run that an agent sends, and its reports. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestOutcome } from "../../domain/RequestRecord.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type RunStart } from "../../metrics/RequestSink.ts"
import * as SummarySink from "../../metrics/SummarySink.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import * as SentLog from "../../output/SentLog.ts"
import { type Provider } from "../../provider/Provider.ts"
import { type Transport } from "../../provider/Transport.ts"
import { TokenCounter } from "../../workload/TokenCounter.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import type * as Health from "../Health.ts"
import type { AgentReady, AgentSpec, Lease, Report, Stop } from "../LoadAgent.ts"
import { Pacer } from "../Pacer.ts"
import * as StopSignal from "../StopSignal.ts"
import * as WarmUp from "../WarmUp.ts"
import * as Counters from "./counters.ts"
import * as Measuring from "./measuring.ts"

export interface AgentRun {
  readonly ready: AgentReady
  readonly lease: (lease: Lease) => Effect.Effect<void>
  readonly stop: (stop: Stop) => Effect.Effect<void>
  readonly run: (start: RunStart) => Stream.Stream<Report>
}

const REPORT_MILLIS = 250
/** How long ended requests gather before they are reported: folding and packing them takes up to a millisecond. */
const ENDED_MILLIS = 500
/** So many are reported sooner. */
const MOST_ENDED = 1_024

const textEncoder = new TextEncoder()

/** Requests that have ended and are not reported yet. */
const makeEnded = (spec: AgentSpec) => {
  const recordLine = Ndjson.line()
  let sink = new SummarySink.SummarySink()
  let ids: Array<number> = []
  let records = ""
  let sent = ""
  return {
    count: () => ids.length,
    add: (outcome: RequestOutcome): void => {
      sink.add(outcome)
      ids.push(outcome.record.request_id)
      if (!spec.saves) return
      records += `${recordLine(outcome.record)}\n`
      if (spec.logsSent) sent += `${SentLog.line(outcome.record)}\n`
    },
    take: () => {
      const taken = {
        ids,
        records: textEncoder.encode(records),
        sent: textEncoder.encode(sent),
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

/** Makes the agent ready and warms up. */
export const make = Effect.fnUntraced(function* (
  spec: AgentSpec,
  watch: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
): Effect.fn.Return<AgentRun, never, Provider | Transport | TokenCounter | Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const counter = yield* TokenCounter
  const pacer = yield* Pacer
  const live = LiveStats.make()
  const stop = yield* StopSignal.make
  const plans = yield* Queue.unbounded<RequestPlan, Cause.Done>()
  const ended = makeEnded(spec)
  const cancelled = Deferred.makeUnsafe<void>()
  const abandoned = Deferred.makeUnsafe<void>()
  const wake = Latch.makeUnsafe(false)
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let received = 0
  let finished = 0
  let reportAt = 0
  let isLast = false
  let graceOver = false
  let uncounted: TokenizerError | null = null
  let health: HealthReport.HealthReport | null = null
  let loopEnded = false
  let isDone = false
  let isOver = false

  const wakeWhenLow = (low: number): void => {
    if (!isLast && received - live.started <= low) wake.openUnsafe()
  }
  const { dispatch, recorder, send } = yield* Measuring.make({
    settings: spec,
    stop,
    graceOver: () => graceOver,
    live,
    start: () => start,
    onStart: () => wakeWhenLow(reportAt),
    onFinish: () => {
      finished++
      wakeWhenLow(0)
    },
    onOutcome: (outcome) => {
      LiveStats.requestEnded(live, outcome.record)
      ended.add(outcome)
      if (ended.count() >= MOST_ENDED) wake.openUnsafe()
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
  const loop: Measuring.Loop =
    spec.slots === null
      ? { _tag: "Open", maxInFlight: null, whenFull: "queue" }
      : { _tag: "Closed", concurrency: spec.slots }

  const sending = Effect.gen(function* () {
    const recording = yield* Effect.forkScoped(recorder.run)
    yield* untilStart
    const sampling = watch === undefined ? null : yield* watch
    const sends = yield* Effect.forkScoped(send(loop, Stream.fromQueue(plans)))
    yield* Effect.raceFirst(Fiber.join(sends), Deferred.await(cancelled))
    yield* Fiber.interrupt(sends)
    loopEnded = true
    wake.openUnsafe()
    if (sampling !== null) health = yield* sampling.stop
    yield* recorder.end
    yield* Effect.raceFirst(Fiber.join(recording), Deferred.await(abandoned))
    recorder.flush()
    isDone = true
    wake.openUnsafe()
  })

  const report = (withEnded: boolean): Report => {
    return {
      taken: live.started,
      free: spec.slots === null ? 0 : Math.max(0, spec.slots - (live.started - finished)),
      counters: Counters.of(live),
      recent: LiveStats.takeRecent(live),
      ended: withEnded && ended.count() > 0 ? ended.take() : null,
      uncounted,
      loopEnded,
      dispatch: isDone ? dispatch() : null,
      health: isDone ? health : null
    }
  }

  // A report is made when the one before has been taken: whoever is slow to take them gets fewer, and the load does not wait.
  const reports = Effect.sync((): Pull.Pull<readonly [Report]> => {
    let nextReport = start.monotonicNanos
    let nextEnded = start.monotonicNanos
    return Effect.suspend(() => {
      if (isOver) return Cause.done()
      const left = Math.max(1, (nextReport - now()) / 1e6)
      return Effect.map(Effect.timeoutOrElse(wake.await, { duration: left, orElse: () => Effect.void }), () => {
        wake.closeUnsafe()
        const at = now()
        isOver = isDone
        const withEnded = isDone || at >= nextEnded || ended.count() >= MOST_ENDED
        if (withEnded) nextEnded = at + ENDED_MILLIS * 1e6
        nextReport = at + REPORT_MILLIS * 1e6
        return [report(withEnded)] as const
      })
    })
  })

  return {
    ready: { tokenizer: counter.name, warmUp: warmUpReport },
    lease: (lease) =>
      Effect.suspend(() => {
        received += lease.plans.length
        reportAt = lease.reportAt
        isLast = lease.last
        Queue.offerAllUnsafe(plans, lease.plans)
        return lease.last ? Effect.asVoid(Queue.end(plans)) : Effect.void
      }),
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
          start = from
          yield* Effect.forkScoped(sending)
          return Stream.fromPull(reports)
        })
      )
  }
})
