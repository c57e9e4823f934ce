/**
 * Turns finished requests into rows: has their text counted, and hands the rows on.
 *
 * The text is counted by the `TokenCounter`, away from the thread that reads sockets, and then dropped.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type RequestOutcome } from "../domain/RequestRecord.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as RequestSink from "../metrics/RequestSink.ts"
import { TokenCounter } from "../workload/TokenCounter.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"

/** How many texts may be with the counter at a time. */
const countsInFlight = 256

/**
 * - `finished(measurement)`: takes over a finished request; never waits
 * - `run`: makes the rows, in the order in which their counts come back; ends after `end`, when all are made
 * - `end`: no more will be finished
 * - `flush()`: makes the rows of all requests whose text is not counted yet, without token numbers; for a run that is
 *   stopped at once
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder {
  readonly finished: (measurement: RequestSink.Measurement) => void
  readonly run: Effect.Effect<void>
  readonly end: Effect.Effect<void>
  readonly flush: () => void
}

/**
 * `onOutcome` is given each row with its measurement, once, in the same turn in which its count is there: no row is ever on its way when a run
 * is stopped. When a text cannot be counted, its row has no token numbers and `onUncounted` is told.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly start: () => RequestSink.RunStart
  readonly xRequestId: (plan: RequestPlan) => string | null
  readonly onOutcome: (outcome: RequestOutcome, measurement: RequestSink.Measurement) => void
  readonly onUncounted: (error: TokenizerError) => void
}): Effect.fn.Return<Recorder, never, TokenCounter> {
  const counter = yield* TokenCounter
  const queue = yield* Queue.unbounded<RequestSink.Measurement, Cause.Done>()
  const pending = new Set<RequestSink.Measurement>()

  const record = (measurement: RequestSink.Measurement, outputTokens: number | null): void => {
    if (!pending.delete(measurement)) return
    options.onOutcome(
      RequestSink.toOutcome(measurement, {
        outputTokens,
        start: options.start(),
        xRequestId: options.xRequestId(measurement.plan)
      }),
      measurement
    )
  }

  const count = (measurement: RequestSink.Measurement): Effect.Effect<number | null> => {
    const text = measurement.text.join("")
    if (text === "") return Effect.succeed(0)
    return Effect.catchTag(counter.count(text), "TokenizerError", (error) =>
      Effect.sync(() => {
        options.onUncounted(error)
        return null
      })
    )
  }

  return {
    finished: (measurement) => {
      pending.add(measurement)
      Queue.offerUnsafe(queue, measurement)
    },
    run: Stream.fromQueue(queue).pipe(
      Stream.mapEffect((measurement) => Effect.map(count(measurement), (tokens) => record(measurement, tokens)), {
        concurrency: countsInFlight,
        unordered: true
      }),
      Stream.runDrain
    ),
    end: Effect.asVoid(Queue.end(queue)),
    flush: () => {
      for (const measurement of pending) record(measurement, null)
    }
  }
})
