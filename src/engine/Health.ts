/**
 * Watches the thread that drives the load while it does: delays of the event loop, collections of garbage, processors,
 * memory, connections.
 *
 * A timer that should fire every 10 ms sees the delays of the event loop. The rest Node.js counts; once a second what it says is
 * read, which takes the thread about half a millisecond.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as HealthReport from "../metrics/HealthReport.ts"
import { type LoopDelays } from "../metrics/LoopDelays.ts"
import { openFileLimit, openMachine } from "./internal/healthMachine.ts"
import { cpuCount, makeProbe } from "./internal/healthProbe.ts"

/**
 * - `delays`: how long what arrived had waited for the event loop, by the moment when it was looked at
 * - `latest()`: the last slice, `null` before there is one; for a display
 * - `report()`: what was seen until the last full slice
 * - `stop`: ends the watching and gives the report of all of it; the same report when it is asked for again
 *
 * @category models
 * @since 0.2.0
 */
export interface Sampling {
  readonly delays: LoopDelays
  readonly latest: () => HealthReport.HealthSlice | null
  readonly report: () => HealthReport.HealthReport
  readonly stop: Effect.Effect<HealthReport.HealthReport>
}

/**
 * Watches the thread on which it runs, from now until `stop`, or until the scope closes. `sliceSeconds`: how long a slice of
 * the report is, 1 s by default.
 *
 * It needs the real clock: the delays of the event loop are those of real time. A run in virtual time is not watched.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Health.make")(function* (
  options: { readonly sliceSeconds?: number | undefined } = {}
): Effect.fn.Return<Sampling, never, Scope.Scope> {
  const sliceSeconds = options.sliceSeconds ?? 1
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const machine = yield* openMachine
  const sink = new HealthReport.HealthSink(sliceSeconds, {
    cpuCount: cpuCount(),
    openFileLimit: yield* openFileLimit
  })
  const atStart = yield* machine
  const start = now()
  const probe = yield* Effect.acquireRelease(
    Effect.sync(() => makeProbe(now, atStart)),
    (probe) => Effect.sync(probe.close)
  )

  // What Node.js fails to say must not end what is watched: the next sample is of that time, too
  const observe = Effect.flatMap(machine, (times) => Effect.ignore(Effect.try(() => sink.add(probe.sample(times)))))
  const untilNextSlice = Effect.suspend(() => {
    const slices = (now() - start) / 1e9 / sliceSeconds
    // A timer may be early by a millisecond: that is the end of the slice, too
    const next = Math.floor(slices + 0.05) + 1
    return Effect.sleep((next - slices) * sliceSeconds * 1_000)
  })
  const watching = yield* Effect.forkScoped(Effect.forever(Effect.andThen(untilNextSlice, observe)))

  const stop = yield* Effect.cached(
    Fiber.interrupt(watching).pipe(
      Effect.andThen(observe),
      Effect.andThen(Effect.sync(probe.close)),
      Effect.andThen(Effect.sync(() => sink.report()))
    )
  )
  return {
    delays: probe.delays,
    latest: () => sink.latest(),
    report: () => sink.report(),
    stop: Effect.uninterruptible(stop)
  }
})
