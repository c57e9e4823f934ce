/** The requests of a run, sent by the thread that keeps what becomes of them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import { type RunStart } from "../../metrics/RequestSink.ts"
import { type Provider } from "../../provider/Provider.ts"
import { TokenCounter } from "../../workload/TokenCounter.ts"
import type * as Health from "../Health.ts"
import { RequestTap } from "../RequestTap.ts"
import * as TokenDecision from "../TokenDecision.ts"
import { type WarmUpReport } from "../WarmUp.ts"
import { type Crew, type Desk, type Work } from "./crew.ts"
import * as Measuring from "./measuring.ts"

export const make = Effect.fnUntraced(function* <E, R>(options: {
  readonly work: Work<E, R>
  readonly desk: Desk
  readonly warmUp: Effect.Effect<WarmUpReport> | undefined
  readonly watch: Effect.Effect<Health.Sampling, never, Scope.Scope> | undefined
}): Effect.fn.Return<Crew<E, R>, never, Provider | TokenCounter> {
  const { desk, warmUp, watch, work } = options
  const clock = yield* Clock.Clock
  const counter = yield* TokenCounter
  const tap = yield* RequestTap
  let start: RunStart = { monotonicNanos: 0, epochSeconds: 0 }
  let requests = 0
  let health: HealthReport.HealthReport | null = null
  let sampling: Health.Sampling | null = null
  let recording: Fiber.Fiber<void> | null = null
  const { dispatch, recorder, send } = yield* Measuring.make({
    settings: desk.settings,
    decision: TokenDecision.make(desk.settings.countTokens),
    stop: desk.stop,
    graceOver: desk.graceOver,
    live: desk.live,
    start: () => start,
    delays: () => sampling?.delays ?? null,
    onOutcome: (outcome, measurement) => {
      requests++
      tap?.add(outcome.record)
      desk.keep(outcome, measurement)
    },
    onUncounted: desk.onUncounted
  })

  return {
    shares: [{ requests: () => requests }],
    // The counter answers once its tokenizer is loaded, which would otherwise take processor time from the run. A failure
    // shows later.
    prepare: Effect.map(
      Effect.all([warmUp ?? Effect.succeed(null), Effect.ignore(counter.count("")), work.ready], {
        concurrency: "unbounded"
      }),
      ([report]) => ({ tokenizer: counter.name, warmUp: report })
    ),
    start: Effect.gen(function* () {
      sampling = watch === undefined ? null : yield* watch
      start = {
        monotonicNanos: Number(clock.monotonicTimeNanosUnsafe()),
        epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6
      }
      recording = yield* Effect.forkScoped(recorder.run)
      return start
    }),
    loop: Effect.suspend(() => send(work.loop, work.plans)),
    finish: Effect.gen(function* () {
      if (sampling !== null) health = yield* sampling.stop
      yield* recorder.end
      if (recording !== null) yield* Fiber.join(recording)
    }),
    // What ended but is not counted yet is kept as it is.
    abandon: Effect.sync(recorder.flush),
    lost: () => [],
    dispatch,
    health: () => health,
    spans: () => null,
    accounts: () => []
  }
})
