/**
 * How a run is brought to its end before all is done: first no new request starts, then, after a grace, those in flight
 * are cancelled.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Why a run was stopped: its time was over, the user asked for it, a request was due while as many were in flight as
 * may be and the run was to end then, or requests failed (see `AbortOnErrors`).
 *
 * @category models
 * @since 0.1.0
 */
export type StopReason = "timeout" | "interrupted" | "full" | "errors"

/**
 * - `isClosed()`: whether no new request may start; read before every start
 * - `close(reason)`: from now on no new request starts; the first reason stays
 * - `closed`: waits for that
 * - `cancel`: the grace is over: what is in flight is cancelled, and its rows are made; `abandon`: the same at once, without waiting
 *   until generated text is counted
 * - `cancelled`: waits for either, `abandoned` for the second
 * - `isGraceOver()`: whether requests that are cancelled have had their grace
 *
 * @category models
 * @since 0.1.0
 */
export interface StopSignal {
  readonly isClosed: () => boolean
  readonly reason: () => StopReason | null
  readonly close: (reason: StopReason) => Effect.Effect<void>
  readonly closed: Effect.Effect<StopReason>
  readonly cancel: Effect.Effect<void>
  readonly cancelled: Effect.Effect<void>
  readonly abandon: Effect.Effect<void>
  readonly abandoned: Effect.Effect<void>
  readonly isGraceOver: () => boolean
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<StopSignal> = Effect.sync(() => {
  const closed = Deferred.makeUnsafe<StopReason>()
  const cancelled = Deferred.makeUnsafe<void>()
  const abandoned = Deferred.makeUnsafe<void>()
  let current: StopReason | null = null
  let isGraceOver = false
  return {
    isClosed: () => current !== null,
    reason: () => current,
    close: (reason) =>
      Effect.suspend(() => {
        current ??= reason
        return Effect.asVoid(Deferred.succeed(closed, current))
      }),
    closed: Deferred.await(closed),
    cancel: Effect.sync(() => {
      isGraceOver ||= !Deferred.isDoneUnsafe(cancelled)
      Deferred.doneUnsafe(cancelled, Exit.void)
    }),
    cancelled: Deferred.await(cancelled),
    abandon: Effect.sync(() => {
      Deferred.doneUnsafe(abandoned, Exit.void)
      Deferred.doneUnsafe(cancelled, Exit.void)
    }),
    abandoned: Deferred.await(abandoned),
    isGraceOver: () => isGraceOver
  }
})
