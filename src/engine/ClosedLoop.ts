/**
 * The closed loop: a fixed number of slots, each sending its next request as soon as the one before has ended.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as PlanSource from "./internal/planSource.ts"
import { type RequestRunner } from "./RequestRunner.ts"
import { type StopSignal } from "./StopSignal.ts"

/**
 * Sends every plan once. While plans are left, exactly `concurrency` requests are in flight; they are handed out in the order
 * of the plan. A request is due at the moment its slot became free, even when its plan had to be waited for.
 *
 * Ends when all have ended, or, once `stop` is closed, when those in flight have. A failure of `plans` is that of the loop,
 * once the requests in flight have ended.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("ClosedLoop.run")(function* <E = never, R = never>(options: {
  readonly plans: Iterable<RequestPlan> | Stream.Stream<RequestPlan, E, R>
  readonly concurrency: number
  readonly stop: StopSignal
  readonly runner: RequestRunner
}): Effect.fn.Return<void, E, R> {
  const { concurrency, stop, runner } = options
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  // All slots are free from the start, however long it takes to start their first requests one after the other.
  const start = now()

  yield* Effect.gen(function* () {
    const { failure, next } = yield* PlanSource.make(options.plans, stop.closed)
    let isEmpty = false

    const slot = Effect.suspend(() => {
      let freeAt = start
      const send = Effect.flatMap(next, (plan) => {
        if (plan !== null && !stop.isClosed()) return runner(plan, freeAt)
        isEmpty = true
        return Effect.void
      })
      return Effect.whileLoop({
        while: () => !isEmpty && !stop.isClosed(),
        body: () => send,
        step: () => {
          freeAt = now()
        }
      })
    })

    yield* Effect.forEach(Array.from({ length: concurrency }), () => slot, {
      concurrency: "unbounded",
      discard: true
    })
    yield* failure
  }).pipe(Effect.scoped)
})
