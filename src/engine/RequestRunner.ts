/**
 * Runs one planned request from its intended moment to its measurement. It never fails: what went wrong is in the
 * measurement.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as LlmError from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as RequestSink from "../metrics/RequestSink.ts"
import { Provider, Unread } from "../provider/Provider.ts"

/**
 * - `requestTimeoutSeconds`: limit for one request, from its start to its end; `null` for none
 * - `cancelled()`: what the record of a request says that was interrupted
 * - `onStart`, `onBatch`, `onFinish`: called when a request begins, has received something, has ended; they must be quick
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly requestTimeoutSeconds: number | null
  readonly cancelled: () => string
  readonly onStart: (plan: RequestPlan) => void
  readonly onBatch?: ((measurement: RequestSink.Measurement, chunksBefore: number) => void) | undefined
  readonly onFinish: (measurement: RequestSink.Measurement) => void
}

/**
 * Sends a request and measures it. Interrupting it closes its connection and still hands its measurement to `onFinish`,
 * as `Cancelled`.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestRunner = (plan: RequestPlan, intendedAt: number) => Effect.Effect<void>

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<RequestRunner, never, Provider> {
  const provider = yield* Provider
  const clock = yield* Clock.Clock
  const limit = options.requestTimeoutSeconds

  const withLimit = (request: Effect.Effect<void, LlmError.LlmError>): Effect.Effect<void, LlmError.LlmError> =>
    limit === null
      ? request
      : Effect.timeoutOrElse(request, {
          duration: limit * 1_000,
          orElse: () => LlmError.fromReason(new LlmError.Timeout({ phase: "total", limitSeconds: limit }))
        })

  const finish = (measurement: RequestSink.Measurement, exit: Exit.Exit<void, LlmError.LlmError>): void => {
    // An answer that was complete when the request was cancelled is one, read or not.
    if (Exit.isFailure(exit) && measurement.endedAt === null) {
      measurement.error = errorOf(exit.cause, options.cancelled)
      measurement.endedAt = Number(clock.monotonicTimeNanosUnsafe())
    }
    options.onFinish(measurement)
  }

  return (plan, intendedAt) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const measurement = RequestSink.makeMeasurement(plan, intendedAt)
        options.onStart(plan)
        return restore(
          withLimit(
            Effect.suspend(() => Stream.run(provider.stream(plan), RequestSink.into(measurement, options.onBatch)))
          )
        ).pipe(
          Effect.exit,
          Effect.provideService(Unread, (events) => {
            for (const event of events) RequestSink.add(measurement, event)
          }),
          Effect.map((exit) => finish(measurement, exit))
        )
      })
    )
})

const errorOf = (cause: Cause.Cause<LlmError.LlmError>, cancelled: () => string): LlmError.LlmError => {
  const failure = Cause.findErrorOption(cause)
  if (Option.isSome(failure)) return failure.value
  if (Cause.hasInterruptsOnly(cause)) {
    return LlmError.fromReason(new LlmError.Cancelled({ description: cancelled() }))
  }
  // A defect of an adapter must not cost the other requests of the run.
  return LlmError.fromReason(new LlmError.Internal({ description: Cause.pretty(cause) }))
}
