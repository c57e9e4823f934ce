/**
 * How a run is brought to its end before all is done: first no new request starts, then, after a grace, those in flight
 * are cancelled.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

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
 *
 * @category models
 * @since 0.1.0
 */
export interface StopSignal {
  readonly isClosed: () => boolean
  readonly reason: () => StopReason | null
  readonly close: (reason: StopReason) => Effect.Effect<void>
  readonly closed: Effect.Effect<StopReason>
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<StopSignal> = Effect.sync(() => {
  const deferred = Deferred.makeUnsafe<StopReason>()
  let current: StopReason | null = null
  return {
    isClosed: () => current !== null,
    reason: () => current,
    close: (reason) =>
      Effect.suspend(() => {
        current ??= reason
        return Effect.asVoid(Deferred.succeed(deferred, current))
      }),
    closed: Deferred.await(deferred)
  }
})
