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
  readonly plans: Iterable<RequestPlan>
  readonly concurrency: number
  readonly stop: StopSignal
  readonly runner: RequestRunner
}) {
  const { concurrency, stop, runner } = options
  const plans = options.plans[Symbol.iterator]()
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  // All slots are free from the start, however long it takes to start their first requests one after the other.
  const start = now()
  let isEmpty = false

  const slot = Effect.suspend(() => {
    let freeAt = start
    return Effect.whileLoop({
      while: () => !isEmpty && !stop.isClosed(),
      body: () => {
        const next = plans.next()
        if (next.done !== true) return runner(next.value, freeAt)
        isEmpty = true
        return Effect.void
      },
      step: () => {
        freeAt = now()
      }
    })
  })

  yield* Effect.forEach(Array.from({ length: concurrency }), () => slot, {
    concurrency: "unbounded",
    discard: true
  })
})
