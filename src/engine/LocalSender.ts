/**
 * Sends the requests of a run from this thread.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type EndedHere, type EndedRequest } from "../metrics/Ended.ts"
import type * as HealthReport from "../metrics/HealthReport.ts"
import * as LiveStats from "../metrics/LiveStats.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import { type Provider } from "../provider/Provider.ts"
import { TokenCounter } from "../workload/TokenCounter.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import type * as Health from "./Health.ts"
import * as Measuring from "./internal/measuring.ts"
import type * as AbortOnErrors from "./AbortOnErrors.ts"
import { type Sender, type SenderRun } from "./Sender.ts"
import * as TokenDecision from "./TokenDecision.ts"

/** Requests that end gather for so long: outputs take many at once at little more than the cost of one. */
const GATHER_MILLIS = 20

/**
 * A sender that runs the load in this thread, with its provider and its counter of tokens.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fnUntraced(function* <E, R>(
  options: SenderRun<E, R>
): Effect.fn.Return<Sender<E, R>, never, Provider | TokenCounter> {
  const { live, load, onEnded, row, settings, stop, warmUp, watch } = options
  const clock = yield* Clock.Clock
  const counter = yield* TokenCounter
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let sampling: Health.Sampling | null = null
  let health: HealthReport.HealthReport | null = null
  let uncounted: TokenizerError | null = null
  let endedNanos = 0
  let requests = 0
  const ended = makeBatches()
  const { dispatch, recorder, send } = yield* Measuring.make({
    settings,
    decision: TokenDecision.make(settings.countTokens),
    stop,
    graceOver: stop.isGraceOver,
    live,
    start: () => start,
    delays: () => sampling?.delays ?? null,
    onOutcome: ({ interChunkSeconds, record }, measurement) => {
      requests++
      LiveStats.requestEnded(live, record)
      onEnded(endedOf(record))
      ended.add({
        record: row === undefined ? record : row(record, measurement),
        interChunkSeconds,
        measurement
      })
    },
    onUncounted: (error) => {
      uncounted ??= error
    }
  })

  const sending = Effect.gen(function* () {
    const recording = yield* Effect.forkScoped(recorder.run, { startImmediately: true })
    const loop = yield* Effect.forkScoped(send(load.loop, load.plans), { startImmediately: true })
    yield* Effect.raceFirst(Fiber.await(loop), stop.cancelled)
    // One that has ended before is not affected
    yield* Fiber.interrupt(loop)
    endedNanos = now()
    if (sampling !== null) health = yield* sampling.stop
    yield* recorder.end
    yield* Effect.raceFirst(Fiber.join(recording), stop.abandoned)
    // Rows whose text is not counted yet, without token numbers
    recorder.flush()
    const exit = yield* Fiber.await(loop)
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) return yield* exit
  }).pipe(Effect.scoped, Effect.ensuring(Effect.sync(ended.end)))

  return {
    count: 1,
    // The counter answers once its tokenizer is loaded, which would otherwise take processor time from the run. A failure
    // shows later.
    prepare: Effect.map(
      Effect.all([warmUp ?? Effect.succeed(null), Effect.ignore(counter.count("")), load.ready], {
        concurrency: "unbounded"
      }),
      ([report]) => ({ tokenizer: counter.name, warmUp: report })
    ),
    start: Effect.gen(function* () {
      sampling = watch === undefined ? null : yield* watch
      start = {
        monotonicNanos: now(),
        epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6
      }
      return start
    }),
    ended: Stream.unwrap(
      Effect.map(Effect.forkScoped(sending, { startImmediately: true }), (fiber) =>
        Stream.fromPull(
          Effect.succeed(
            Effect.map(
              ended.next(Effect.andThen(Fiber.join(fiber), Cause.done())),
              (requests): readonly [EndedHere] => [{ _tag: "Here", requests, start }]
            )
          )
        )
      )
    ),
    account: Effect.sync(() => ({
      endedNanos,
      requests: [requests],
      dispatch: dispatch(),
      health,
      uncounted,
      lost: [],
      agents: [],
      spans: null
    }))
  }
})

const endedOf = ({ error_code, error_msg, error_reason }: RequestRecord): AbortOnErrors.Ended =>
  error_code === null
    ? { completed: 1, errors: [] }
    : {
        completed: 0,
        errors: [{ reason: error_reason ?? "Unknown", code: error_code, count: 1, example: error_msg }]
      }

/** What has ended and was not taken yet. `next(done)`: the next batch, `done` after the last one. */
const makeBatches = () => {
  const arrived = Latch.makeUnsafe(false)
  let waiting: Array<EndedRequest> = []
  let isOver = false
  let isFirst = true
  let goOn: (() => void) | undefined

  // In real time whatever the clock of the run: it is about this machine's work
  const gather = Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), GATHER_MILLIS)
    goOn = () => resume(Effect.void)
    return Effect.sync(() => clearTimeout(timer))
  })
  const take = Effect.sync(() => {
    const taken = waiting
    waiting = []
    if (!isOver) arrived.closeUnsafe()
    return taken
  })

  return {
    add: (request: EndedRequest): void => {
      waiting.push(request)
      arrived.openUnsafe()
    },
    end: (): void => {
      isOver = true
      arrived.openUnsafe()
      goOn?.()
    },
    next: <E, R>(done: Pull.Pull<never, E, void, R>): Pull.Pull<ReadonlyArray<EndedRequest>, E, void, R> =>
      Effect.suspend(() => {
        const pause = isFirst || isOver ? Effect.void : gather
        isFirst = false
        return Effect.andThen(
          pause,
          Effect.andThen(
            arrived.await,
            Effect.suspend(() => (waiting.length === 0 ? done : take))
          )
        )
      })
  }
}
