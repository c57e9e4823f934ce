/**
 * The closed loop: a fixed number of slots, each sending its next request as soon as the one before has ended.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Stream from "effect/Stream"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as PlanSource from "./internal/planSource.ts"
import { Places } from "./Places.ts"
import { type RequestRunner } from "./RequestRunner.ts"
import { type StopSignal } from "./StopSignal.ts"

/**
 * Sends every plan once. While plans are left, exactly `concurrency` requests are in flight; with `Places` there may come to be more, but not
 * fewer. Plans are handed out in their order. A request is due at the moment its slot became free, even when its plan had to be waited for.
 *
 * Ends when all have ended, or, once `stop` is closed, when those in flight have. A failure of `plans` is that of the loop,
 * once the requests in flight have ended.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("ClosedLoop.run")(function* <E = never, R = never>(options: {
  readonly plans: Iterable<RequestPlan> | Stream.Stream<RequestPlan, E, R>
  readonly concurrency: number | Places
  readonly stop: StopSignal
  readonly runner: RequestRunner
}): Effect.fn.Return<void, E, R> {
  const { stop, runner } = options
  const places = Places.of(options.concurrency)
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  // All slots are free from the start, however long it takes to start their first requests one after the other.
  const start = now()

  yield* Effect.gen(function* () {
    const { failure, next } = yield* PlanSource.make(options.plans, stop.closed)
    let isEmpty = false

    const slot = (from: number) => {
      let freeAt = from
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
    }

    const added = yield* FiberSet.make<void>()
    const begin = yield* FiberSet.runtime(added)()
    places.whenMore((more) => {
      for (let i = 0; i < more; i++) begin(slot(now()))
    })
    yield* Effect.forEach(Array.from({ length: places.count }), () => slot(start), {
      concurrency: "unbounded",
      discard: true
    })
    yield* FiberSet.awaitEmpty(added)
    yield* failure
  }).pipe(Effect.scoped)
})
