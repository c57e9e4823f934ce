/** The half of a run that sends: runs requests, has their text counted, and hands on what became of them. */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { type RequestOutcome } from "../../domain/RequestRecord.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type Loop } from "../../domain/Loop.ts"
import { type CountTokens } from "../../domain/TokenSource.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import { type LoopDelays } from "../../metrics/LoopDelays.ts"
import { type Measurement, type RunStart } from "../../metrics/RequestSink.ts"
import * as Verdict from "../../metrics/Verdict.ts"
import { type Provider } from "../../provider/Provider.ts"
import { type TokenCounter } from "../../workload/TokenCounter.ts"
import { type TokenizerError } from "../../workload/Tokenizer.ts"
import * as ClosedLoop from "../ClosedLoop.ts"
import * as OpenLoop from "../OpenLoop.ts"
import * as Recorder from "../Recorder.ts"
import { requestIdOf } from "../RequestId.ts"
import * as RequestRunner from "../RequestRunner.ts"
import { type Places } from "../Places.ts"
import { type TokenDecision } from "../TokenDecision.ts"
import type * as StopSignal from "../StopSignal.ts"

/** What is said about every request, and about the end of the run. */
export interface Settings {
  readonly countTokens: CountTokens
  readonly runId: string
  readonly requestIdHeader: string | null
  readonly requestTimeoutSeconds: number | null
  readonly timeoutSeconds: number | null
  readonly graceSeconds: number
}

/**
 * - `decision`: whose count of tokens leads
 * - `graceOver()`: whether requests that are cancelled have had their grace
 * - `delays()`: those of this thread's event loop, `null` when nobody watches
 */
export interface Options {
  readonly settings: Settings
  readonly decision: TokenDecision
  readonly stop: StopSignal.StopSignal
  readonly graceOver: () => boolean
  readonly live: LiveStats.LiveStats
  readonly start: () => RunStart
  readonly delays: () => LoopDelays | null
  readonly onStart?: (() => void) | undefined
  readonly onFinish?: (() => void) | undefined
  readonly onDropped?: ((plan: RequestPlan) => void) | undefined
  readonly onOutcome: (outcome: RequestOutcome, measurement: Measurement) => void
  readonly onUncounted: (error: TokenizerError) => void
}

/** `dispatch()`: how the requests that have ended left this thread. */
export interface Measuring {
  readonly recorder: Recorder.Recorder
  readonly dispatch: () => Verdict.DispatchReport
  /** Sends the plans; ends as the loop does. `places`: as many as `loop` says, unless they are given. */
  readonly send: <E, R>(
    loop: Loop,
    plans: Stream.Stream<RequestPlan, E, R>,
    places?: Places | null
  ) => Effect.Effect<void, E, R>
}

export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Measuring, never, Provider | TokenCounter> {
  const { decision, delays, graceOver, live, settings, start, stop } = options
  const tally = new Verdict.DispatchTally()
  /** Those that wait for a place in flight, or have. */
  const queued = new Set<number>()
  const recorder = yield* Recorder.make({
    decision,
    start,
    xRequestId: settings.requestIdHeader === null ? () => null : requestIdOf(settings.runId),
    onOutcome: (outcome, measurement) => {
      tally.add(
        outcome.record,
        queued.delete(outcome.record.request_id),
        arrivalsOf(measurement, delays(), start().monotonicNanos)
      )
      options.onOutcome(outcome, measurement)
    },
    onUncounted: options.onUncounted
  })
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: settings.requestTimeoutSeconds,
    cancelled: () => cancellation(stop.reason(), graceOver(), settings),
    onStart: () => {
      LiveStats.requestStarted(live)
      options.onStart?.()
    },
    onBatch: (measurement, chunksBefore) => {
      const { chunkAt, intendedAt, sent } = measurement
      LiveStats.chunksArrived(live, chunkAt.length - chunksBefore)
      LiveStats.gaps(live, chunkAt, chunksBefore)
      const first = chunkAt[0]
      if (chunksBefore === 0 && first !== undefined && sent !== null) {
        LiveStats.firstToken(live, (first - sent.at) / 1e9, (sent.at - intendedAt) / 1e9, delays()?.at([first])[0])
      }
    },
    onFinish: (measurement) => {
      recorder.finished(measurement)
      options.onFinish?.()
    }
  })
  return {
    recorder,
    dispatch: () => tally.report(),
    send: (loop, plans, places) =>
      loop._tag === "Closed"
        ? ClosedLoop.run({ plans, concurrency: places ?? loop.concurrency, stop, runner })
        : OpenLoop.run({
            plans,
            startNanos: start().monotonicNanos,
            maxInFlight: places ?? loop.maxInFlight,
            whenFull: loop.whenFull,
            stop,
            runner,
            onQueued: ({ id }) => {
              queued.add(id)
              LiveStats.requestQueued(live)
            },
            onDropped: (plan) => {
              LiveStats.requestDropped(live)
              options.onDropped?.(plan)
            }
          })
  }
})

/** How long what arrived had waited; of an answer that does not stream, its end. */
const arrivalsOf = (
  { chunkAt, endedAt, sent }: Measurement,
  delays: LoopDelays | null,
  startNanos: number
): Verdict.Arrivals | null => {
  if (delays === null) return null
  const stamps = chunkAt.length > 0 || endedAt === null ? chunkAt : [endedAt]
  return { stamps, delays: delays.at(stamps), sendDelay: sent === null ? 0 : delays.after(sent.at), startNanos }
}

/** What the record of a request says that was cancelled. */
const cancellation = (reason: StopSignal.StopReason | null, graceOver: boolean, settings: Settings): string => {
  const grace = `the grace of ${settings.graceSeconds} s`
  const over = (why: string): string =>
    graceOver
      ? `Cancelled: the test was over (${why}) and ${grace} too`
      : `Cancelled: the test was over (${why}) and was stopped before ${grace} was over`
  switch (reason) {
    case "timeout":
      return over(`${settings.timeoutSeconds} s`)
    case "full":
      return over("too many requests in flight")
    case "errors":
      return over("request after request failed")
    case "interrupted":
      return graceOver
        ? `Cancelled: the test was stopped, and ${grace} was over`
        : `Cancelled: the test was stopped twice, before ${grace} was over`
    case null:
      return "Cancelled: the test was stopped at once"
  }
}
