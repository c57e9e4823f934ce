/**
 * The closed loop: a fixed number of slots, each sending its next request as soon as the one before has ended.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type RequestRunner } from "./RequestRunner.ts"
import { type StopSignal } from "./StopSignal.ts"

/**
 * Sends every plan once. While plans are left, exactly `concurrency` requests are in flight; they are handed out from one
 * counter in the order of the plan. A request is due at the moment its slot became free.
 *
 * Ends when all have ended, or, once `stop` is closed, when those in flight have.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("ClosedLoop.run")(function* (options: {
  readonly plans: ReadonlyArray<RequestPlan>
  readonly concurrency: number
  readonly stop: StopSignal
  readonly runner: RequestRunner
}) {
  const { plans, concurrency, stop, runner } = options
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  // All slots are free from the start, however long it takes to start their first requests one after the other.
  const start = now()
  let next = 0

  const slot = Effect.suspend(() => {
    let freeAt = start
    return Effect.whileLoop({
      while: () => next < plans.length && !stop.isClosed(),
      body: () => {
        const plan = plans[next++]
        return plan === undefined ? Effect.void : runner(plan, freeAt)
      },
      step: () => {
        freeAt = now()
      }
    })
  })

  yield* Effect.forEach(Array.from({ length: Math.min(concurrency, plans.length) }), () => slot, {
    concurrency: "unbounded",
    discard: true
  })
})
