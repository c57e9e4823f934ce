/**
 * The open loop: every request is sent when it is due, whatever has become of those before it.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type WhenFull } from "../domain/RunConfig.ts"
import { Pacer } from "./Pacer.ts"
import { Places } from "./Places.ts"
import { type RequestRunner } from "./RequestRunner.ts"
import { type StopSignal } from "./StopSignal.ts"

/**
 * - `plans`: in the order of their due times; pulled one after the other, the next when the one before has gone out
 * - `startNanos`: the moment that due times count from, on the monotonic clock
 * - `maxInFlight`: most requests in flight, `null` for no limit; `whenFull`: what becomes of a request that finds no place:
 *   it waits, is left out, or closes `stop` as `full`
 * - `onQueued`, `onDropped`: called for each of those
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<E, R> {
  readonly plans: Stream.Stream<RequestPlan, E, R>
  readonly startNanos: number
  readonly maxInFlight: number | Places | null
  readonly whenFull: WhenFull
  readonly stop: StopSignal
  readonly runner: RequestRunner
  readonly onQueued: (plan: RequestPlan) => void
  readonly onDropped: (plan: RequestPlan) => void
}

/**
 * Sends every plan at `startNanos` + its `dueSeconds`, each in a fiber of its own that begins when it is due. The moments
 * are absolute: a request that goes out late never shifts those after it.
 *
 * Ends when all have ended, or, once `stop` is closed, when those in flight have. A failure of `plans` is that of the loop,
 * once the requests in flight have ended.
 *
 * @category running
 * @since 0.2.0
 */
export const run = Effect.fn("OpenLoop.run")(function* <E, R>(options: Options<E, R>): Effect.fn.Return<void, E, R> {
  const { startNanos, maxInFlight, whenFull, stop, runner, onQueued, onDropped } = options
  const places = maxInFlight === null ? null : Places.of(maxInFlight)
  const pacer = yield* Pacer

  yield* Effect.gen(function* () {
    const requests = yield* FiberSet.make<void>()
    const start = yield* FiberSet.runtime(requests)()

    const send = (plan: RequestPlan, dueNanos: number): void => {
      places?.take()
      start(Effect.map(runner(plan, dueNanos), () => places?.giveBack()))
    }

    const place = (plan: RequestPlan, dueNanos: number): Effect.Effect<void> => {
      if (places === null || places.hasRoom()) return Effect.sync(() => send(plan, dueNanos))
      switch (whenFull) {
        case "drop":
          return Effect.sync(() => onDropped(plan))
        case "abort":
          return stop.close("full")
        case "queue":
          onQueued(plan)
          return Effect.map(places.awaitRoom, () => send(plan, dueNanos))
      }
    }

    const whenDue = (plan: RequestPlan): Effect.Effect<void> => {
      const dueNanos = startNanos + Math.round((plan.dueSeconds ?? 0) * 1e9)
      return Effect.andThen(
        pacer.sleepUntil(dueNanos),
        Effect.suspend(() => (stop.isClosed() ? Effect.void : place(plan, dueNanos)))
      )
    }

    yield* Effect.raceFirst(Stream.runForEach(options.plans, whenDue), stop.closed).pipe(
      // What has been sent is not given up because the rest of the plan cannot be had.
      Effect.tapError(() => FiberSet.awaitEmpty(requests))
    )
    yield* FiberSet.awaitEmpty(requests)
  }).pipe(Effect.scoped)
})
