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
import { Worker } from "node:worker_threads"
import * as Alarm from "./internal/alarm.ts"

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

// The script lies beside this module, as .ts in development and as .js once bundled.
const script = (): URL => {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."))
  return new URL(`./PacerWorker${extension}`, import.meta.url)
}

/** What it takes to wake a thread and then the event loop; when they are quicker, the loop turns for the rest. */
const AHEAD_NANOS = 150_000

interface Waiter {
  readonly nanos: number
  readonly wake: () => void
}

/**
 * For the real clock, to about a tenth of a millisecond. Node's own timers are whole milliseconds, early or late by one; and to
 * wait busily takes a processor and makes garbage. So a thread of its own sleeps until the moment and then wakes the event
 * loop, which serves its sockets meanwhile.
 *
 * The monotonic time of the `Clock` service must be that of `process.hrtime`, as it is by default. When the thread ends
 * before its time, waits go by the clock.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerThread: Layer.Layer<never> = Layer.effect(
  Pacer,
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe())
    const alarm = Alarm.make()
    const waiters: Array<Waiter> = []
    let isRunning = true

    const isDue = ({ nanos }: Waiter): boolean => !isRunning || nanos <= now()
    const wakeDue = (): void => {
      for (let next = waiters[0]; next !== undefined && isDue(next); next = waiters[0]) {
        waiters.shift()
        next.wake()
      }
      alarm.set(waiters[0]?.nanos ?? Infinity)
    }
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(script(), { name: "llmperf-pacer", workerData: alarm.memory })),
      (worker) => {
        isRunning = false
        alarm.close()
        return Effect.promise(() => worker.terminate())
      }
    )
    const ended = (): void => {
      isRunning = false
      wakeDue()
    }
    worker.on("message", wakeDue).on("error", ended).on("exit", ended)

    const byThread = (nanos: number) =>
      Effect.callback<void>((resume) => {
        const waiter: Waiter = { nanos, wake: () => resume(Effect.void) }
        const after = waiters.findIndex((other) => other.nanos > nanos)
        waiters.splice(after < 0 ? waiters.length : after, 0, waiter)
        if (waiters[0] === waiter) alarm.set(nanos)
        return Effect.sync(() => {
          const index = waiters.indexOf(waiter)
          if (index >= 0) waiters.splice(index, 1)
        })
      })
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
    const sleepUntil = (nanos: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const left = nanos - now()
        if (left <= 0) return Effect.void
        if (left <= AHEAD_NANOS) return turnUntil(nanos)
        // Again, because it may have been woken by the end of the thread
        return isRunning ? Effect.andThen(byThread(nanos - AHEAD_NANOS), sleepUntil(nanos)) : byClock.sleepUntil(nanos)
      })
    return { sleepUntil }
  })
)
