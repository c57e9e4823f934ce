/**
 * Waits for a moment.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * `sleepUntil(nanos)` ends at a moment of the monotonic clock, or at once when it has passed.
 *
 * @category models
 * @since 0.2.0
 */
export interface Service {
  readonly sleepUntil: (nanos: number) => Effect.Effect<void>
}

const byClock: Service = {
  sleepUntil: (nanos) =>
    Effect.flatMap(Clock.Clock, (clock) => {
      const left = nanos - Number(clock.monotonicTimeNanosUnsafe())
      return left > 0 ? clock.sleep(Duration.nanos(BigInt(Math.ceil(left)))) : Effect.void
    })
}

/**
 * By default it sleeps on the `Clock` service, which is exact under a virtual clock.
 *
 * @category references
 * @since 0.2.0
 */
export const Pacer = Context.Reference<Service>("llmperf/engine/Pacer", { defaultValue: () => byClock })

/** Node's timers are whole milliseconds and late by up to two; the last stretch is passed turn by turn. */
const LAST_STRETCH_NANOS = 2_000_000

/**
 * For the real clock, to some hundredths of a millisecond: it sleeps until shortly before and then lets the event loop turn
 * until the moment has come. Sockets are served meanwhile; the price is a busy processor in the last 2 ms of each wait.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerPrecise: Layer.Layer<never> = Layer.effect(
  Pacer,
  Effect.map(Clock.Clock, (clock) => {
    const now = () => Number(clock.monotonicTimeNanosUnsafe())
    const turnUntil = (nanos: number) =>
      Effect.callback<void>((resume) => {
        let immediate: NodeJS.Immediate
        const turn = (): void => {
          if (now() >= nanos) resume(Effect.void)
          else immediate = setImmediate(turn)
        }
        turn()
        return Effect.sync(() => clearImmediate(immediate))
      })
    return {
      sleepUntil: (nanos) =>
        Effect.suspend(() => {
          const left = nanos - now()
          if (left <= 0) return Effect.void
          return left <= LAST_STRETCH_NANOS
            ? turnUntil(nanos)
            : Effect.andThen(byClock.sleepUntil(nanos - LAST_STRETCH_NANOS), turnUntil(nanos))
        })
    }
  })
)
