/**
 * Turns finished requests into rows: has their text counted, and hands the rows on.
 *
 * The text is counted by the `TokenCounter`, away from the thread that reads sockets, and then dropped. The row of an answer waits
 * until it is decided whose count of tokens leads.
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
import { type TokenDecision } from "./TokenDecision.ts"

/** How many texts may be with the counter at a time. */
const countsInFlight = 256

/**
 * - `finished(measurement)`: takes over a finished request; never waits
 * - `run`: makes the rows, in the order in which their counts come back; ends after `end`, when all are made
 * - `end`: no more will be finished
 * - `flush()`: makes the rows of all requests whose text is not counted yet, without what the tokenizer would count; for a run
 *   that is stopped at once
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
 * is stopped. When a text cannot be counted, its row has no numbers of the tokenizer and `onUncounted` is told.
 *
 * `decision`: whose count leads. A request that failed does not wait for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly decision: TokenDecision
  readonly start: () => RequestSink.RunStart
  readonly xRequestId: (plan: RequestPlan) => string | null
  readonly onOutcome: (outcome: RequestOutcome, measurement: RequestSink.Measurement) => void
  readonly onUncounted: (error: TokenizerError) => void
}): Effect.fn.Return<Recorder, never, TokenCounter> {
  const { decision } = options
  const counter = yield* TokenCounter
  const queue = yield* Queue.unbounded<RequestSink.Measurement, Cause.Done>()
  const pending = new Set<RequestSink.Measurement>()

  const record = (measurement: RequestSink.Measurement, tokens: RequestSink.TokenizerCounts): void => {
    if (!pending.delete(measurement)) return
    options.onOutcome(
      RequestSink.toOutcome(measurement, {
        source: decision.current(),
        tokens,
        start: options.start(),
        xRequestId: options.xRequestId(measurement.plan)
      }),
      measurement
    )
  }

  const count = (text: string): Effect.Effect<number | null> =>
    text === ""
      ? Effect.succeed(0)
      : Effect.catchTag(counter.count(text), "TokenizerError", (error) =>
          Effect.sync(() => {
            options.onUncounted(error)
            return null
          })
        )

  const counts = (measurement: RequestSink.Measurement): Effect.Effect<RequestSink.TokenizerCounts> => {
    const text = measurement.text.join("")
    const first = RequestSink.firstOf(measurement)
    return Effect.flatMap(count(text), (output) => {
      if (output === null || first === text) return Effect.succeed({ output, first: output })
      if (decision.current() === "server" && !RequestSink.isFirstUnknown(measurement)) {
        return Effect.succeed({ output, first: null })
      }
      return Effect.map(count(first), (first) => ({ output, first }))
    })
  }

  const row = (measurement: RequestSink.Measurement): Effect.Effect<void> =>
    Effect.flatMap(counts(measurement), (tokens) =>
      measurement.error === null && decision.current() === null
        ? Effect.map(decision.decided, () => record(measurement, tokens))
        : Effect.sync(() => record(measurement, tokens))
    )

  return {
    finished: (measurement) => {
      pending.add(measurement)
      if (measurement.error === null) decision.answered(measurement.usage)
      Queue.offerUnsafe(queue, measurement)
    },
    run: Stream.fromQueue(queue).pipe(
      Stream.mapEffect(row, { concurrency: countsInFlight, unordered: true }),
      Stream.runDrain
    ),
    end: Effect.asVoid(Queue.end(queue)),
    flush: () => {
      for (const measurement of pending) record(measurement, { output: null, first: null })
    }
  }
})
