/**
 * How the clock of an agent stands against ours.
 *
 * A question is sent, the agent answers with the time of its clock, and the answer arrives. The agent's clock was read at some
 * moment in between; taking the middle is wrong by half the round trip at most, however the two ways differ. The quickest of
 * several answers tells most. (F. Cristian: Probabilistic clock synchronization, Distributed Computing 3, 1989.)
 *
 * All times are nanoseconds on monotonic clocks, which count from a moment of their own on every machine: of two machines the
 * difference says nothing by itself.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Agent, type AgentLost } from "../engine/Fleet.ts"

/**
 * A question and its answer: `sentAt` and `receivedAt` on our clock, `theirs` on the agent's.
 *
 * @category models
 * @since 0.2.0
 */
export interface Sample {
  readonly sentAt: number
  readonly theirs: number
  readonly receivedAt: number
}

/**
 * - `offsetNanos`: what the agent's clock shows more than ours
 * - `roundTripNanos`: from the question to its answer
 * - `errorNanos`: how wrong `offsetNanos` can be at most
 *
 * @category models
 * @since 0.2.0
 */
export interface ClockReading {
  readonly offsetNanos: number
  readonly roundTripNanos: number
  readonly errorNanos: number
}

/**
 * What one answer tells.
 *
 * @category reading
 * @since 0.2.0
 */
export const readingOf = ({ receivedAt, sentAt, theirs }: Sample): ClockReading => {
  const roundTripNanos = receivedAt - sentAt
  return { offsetNanos: theirs - sentAt - roundTripNanos / 2, roundTripNanos, errorNanos: roundTripNanos / 2 }
}

/**
 * What the quickest of some answers tells.
 *
 * @category reading
 * @since 0.2.0
 */
export const best = (samples: readonly [Sample, ...ReadonlyArray<Sample>]): ClockReading =>
  samples
    .map(readingOf)
    .reduce((quickest, reading) => (reading.roundTripNanos < quickest.roundTripNanos ? reading : quickest))

/** How often the agent is asked. */
const QUESTIONS = 8

/**
 * Asks the agent eight times, one question after the other. `now` is our clock in nanoseconds, by default the monotonic one.
 *
 * @category measuring
 * @since 0.2.0
 */
export const measure = Effect.fn("Clocks.measure")(function* (
  agent: Pick<Agent, "clock">,
  now: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, Number)
): Effect.fn.Return<ClockReading, AgentLost> {
  const ask = Effect.gen(function* () {
    const sentAt = yield* now
    const theirs = yield* agent.clock(null)
    return { sentAt, theirs, receivedAt: yield* now } satisfies Sample
  })
  const first = yield* ask
  return best([first, ...(yield* Effect.replicateEffect(ask, QUESTIONS - 1))])
})
