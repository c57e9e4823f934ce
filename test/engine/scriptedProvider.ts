import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import { Provider, type Service } from "../../src/provider/Provider.ts"

/** What happens next to a request: milliseconds pass, an event comes, the request fails, or the adapter breaks. */
export type Step =
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Emit"; readonly event: (at: number) => TokenEvent }
  | { readonly _tag: "Fail"; readonly reason: LlmError.Reason }
  | { readonly _tag: "Break"; readonly defect: unknown }
  | { readonly _tag: "Hang" }

export const wait = (millis: number): Step => ({ _tag: "Wait", millis })
export const emit = (event: (at: number) => TokenEvent): Step => ({ _tag: "Emit", event })
export const fail = (reason: LlmError.Reason): Step => ({ _tag: "Fail", reason })
export const breakDown = (defect: unknown): Step => ({ _tag: "Break", defect })
export const hang: Step = { _tag: "Hang" }
export const sent = emit((at) => ({ _tag: "Sent", at, connection: null }))
export const responded = emit((at) => ({ _tag: "ResponseStarted", at, status: 200, rateLimit: null }))
export const text = (...pieces: ReadonlyArray<string>): Step =>
  emit((at) => ({ _tag: "Content", kind: "text", at: pieces.map(() => at), text: pieces }))
export const ended = emit((at) => ({ _tag: "Ended", at }))

/** A request that is sent at once, answers after `ttft` and then sends a word every `gap` milliseconds; one word by default. */
export const answer = (options: { readonly ttft: number; readonly gap: number; readonly words: number | null }) => [
  sent,
  wait(options.ttft),
  responded,
  text("word"),
  ...Array.from({ length: (options.words ?? 1) - 1 }, () => [wait(options.gap), text(" word")]).flat(),
  ended
]

/**
 * - `opened`, `closed`: the requests in the order of these moments, which are milliseconds of the clock
 * - `inFlight`: how many requests were in flight each time something came, and how many had been opened by then
 */
export interface Log {
  readonly opened: Array<{ readonly id: number; readonly at: number }>
  readonly closed: Array<{ readonly id: number; readonly at: number }>
  readonly inFlight: Array<{ readonly now: number; readonly opened: number }>
}

/** A provider that does with each request what its script says. */
export const make = Effect.fnUntraced(function* (script: (plan: RequestPlan) => ReadonlyArray<Step>) {
  const clock = yield* Clock.Clock
  const nanos = () => Number(clock.monotonicTimeNanosUnsafe())
  const log: Log = { opened: [], closed: [], inFlight: [] }

  const happen = (step: Step): Effect.Effect<ReadonlyArray<TokenEvent>, LlmError.LlmError> => {
    switch (step._tag) {
      case "Wait":
        return Effect.as(Effect.sleep(step.millis), [])
      case "Emit":
        return Effect.sync(() => [step.event(nanos())])
      case "Fail":
        return Effect.fail(LlmError.fromReason(step.reason))
      case "Break":
        return Effect.die(step.defect)
      case "Hang":
        return Effect.never
    }
  }
  const observe = Effect.sync(() => {
    log.inFlight.push({ now: log.opened.length - log.closed.length, opened: log.opened.length })
  })

  const stream: Service["stream"] = (plan) =>
    Stream.suspend(() => {
      log.opened.push({ id: plan.id, at: nanos() / 1e6 })
      return Stream.fromIterable(script(plan)).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((step) =>
          Effect.tap(happen(step), () => (step._tag === "Wait" && step.millis > 0 ? observe : Effect.void))
        ),
        Stream.flatMap((events) => Stream.fromIterable(events)),
        Stream.ensuring(
          Effect.sync(() => {
            log.closed.push({ id: plan.id, at: nanos() / 1e6 })
          })
        )
      )
    })

  return { provider: Provider.of({ name: "scripted", origin: null, stream }), log }
})

/** Plans numbered from 1. */
export const plans = (count: number): ReadonlyArray<RequestPlan> =>
  Array.from({ length: count }, (_, index) => plan(index + 1))

export const plan = (id: number): RequestPlan => ({
  id,
  dueSeconds: null,
  sampled: true,
  prompt: `prompt ${id}`,
  inputTokens: 10 + id,
  targetInputTokens: 10 + id,
  outputTokens: 4
})
