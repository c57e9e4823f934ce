/** Plans one after the other, from a list or from a stream that may have to be waited for. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../../domain/RequestPlan.ts"

/**
 * - `poll`: the next plan when one is at hand, `undefined` when it has to be waited for; `null` when there are no more
 * - `next`: the next plan, as soon as there is one; `null` when there are no more
 *
 * A failure of the plans ends them, and is told by `failure` then.
 */
export interface PlanSource<E> {
  readonly poll: Effect.Effect<RequestPlan | null | undefined>
  readonly next: Effect.Effect<RequestPlan | null>
  readonly failure: Effect.Effect<void, E>
}

export type Plans<E, R> = Iterable<RequestPlan> | Stream.Stream<RequestPlan, E, R>

/** Whoever waits for a plan when `ended` comes is told that there are no more. */
export const make = <E = never, R = never>(
  plans: Plans<E, R>,
  ended: Effect.Effect<unknown>
): Effect.Effect<PlanSource<E>, never, R | Scope.Scope> =>
  Stream.isStream(plans) ? fromStream(plans, ended) : Effect.sync(() => fromIterable(plans))

const fromIterable = (plans: Iterable<RequestPlan>): PlanSource<never> => {
  const iterator = plans[Symbol.iterator]()
  const next = Effect.sync(() => {
    const { done, value } = iterator.next()
    return done === true ? null : value
  })
  return { poll: next, next, failure: Effect.void }
}

const fromStream = Effect.fnUntraced(function* <E, R>(
  plans: Stream.Stream<RequestPlan, E, R>,
  ended: Effect.Effect<unknown>
): Effect.fn.Return<PlanSource<E>, never, R | Scope.Scope> {
  const scope = yield* Effect.scope
  const pull = yield* Stream.toPull(plans)
  let chunk: ReadonlyArray<RequestPlan> = []
  let at = 0
  let isOver = false
  let failure: Exit.Exit<void, E> = Exit.void
  let pulling: Fiber.Fiber<void> | null = null

  const pullOnce = Pull.matchEffect(pull, {
    onSuccess: (more) =>
      Effect.sync(() => {
        chunk = more
        at = 0
      }),
    onDone: () =>
      Effect.sync(() => {
        isOver = true
      }),
    onFailure: (cause: Cause.Cause<E>) =>
      Effect.sync(() => {
        isOver = true
        failure = Exit.failCause(cause)
      })
  })

  const poll: Effect.Effect<RequestPlan | null | undefined> = Effect.suspend(() => {
    const plan = chunk[at]
    if (plan !== undefined) {
      at++
      return Effect.succeed(plan)
    }
    if (isOver) return Effect.succeed(null)
    if (pulling !== null) {
      if (pulling.pollUnsafe() === undefined) return Effect.undefined
      pulling = null
      return poll
    }
    return Effect.flatMap(Effect.forkIn(pullOnce, scope, { startImmediately: true }), (fiber) => {
      pulling = fiber
      return fiber.pollUnsafe() === undefined ? Effect.undefined : poll
    })
  })
  const waited = Effect.suspend(() => (pulling === null ? Effect.void : Fiber.await(pulling)))
  const next: Effect.Effect<RequestPlan | null> = Effect.filterOrElse(
    poll,
    (plan): plan is RequestPlan | null => plan !== undefined,
    () =>
      Effect.flatMap(
        Effect.raceFirst(
          Effect.as(waited, false),
          Effect.map(ended, () => true)
        ),
        (isEnded) => (isEnded ? Effect.succeed(null) : next)
      )
  )

  return { poll, next, failure: Effect.suspend(() => failure) }
})
