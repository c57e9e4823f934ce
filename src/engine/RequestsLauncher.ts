/**
 * Requests launched one by one by a program, their results taken as they finish: for what is not a load test.
 *
 * LLMPerf has a class of this name. It drops a request without a word when no client is free; here every launch either has
 * exactly one result or is refused with an error.
 *
 * @since 0.2.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type CountTokens } from "../domain/TokenSource.ts"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import { type Provider } from "../provider/Provider.ts"
import { TokenCounter } from "../workload/TokenCounter.ts"
import { type TokenizerError } from "../workload/Tokenizer.ts"
import * as Recorder from "./Recorder.ts"
import * as TokenDecision from "./TokenDecision.ts"
import * as RequestRunner from "./RequestRunner.ts"

/**
 * What to send. A `RequestPlan` will do; its number and due time are left aside.
 *
 * - `outputTokens`: how many tokens the server is asked for at most; without it, or with `null`, no limit is set
 * - `inputTokens`: tokens of the prompt; counted before the request is launched when they are not given
 * - `targetInputTokens`: what was aimed at; `inputTokens` by default
 *
 * @category models
 * @since 0.2.0
 */
export interface Request {
  readonly prompt: string
  readonly outputTokens?: number | null | undefined
  readonly inputTokens?: number | undefined
  readonly targetInputTokens?: number | undefined
}

/**
 * What became of a request: its row, as in the result files, and all the text that came, reasoning and tool arguments
 * included. A request that failed has a row too.
 *
 * @category models
 * @since 0.2.0
 */
export interface Result {
  readonly record: RequestRecord
  readonly text: string
}

/**
 * A request was not launched: all places were taken, nothing was to be launched any more, or it was cancelled while it
 * waited for a place.
 *
 * @category errors
 * @since 0.2.0
 */
export class LaunchRefused extends Schema.TaggedError<LaunchRefused>("llmperf/engine/RequestsLauncher/LaunchRefused")(
  "LaunchRefused",
  { reason: Schema.Literals(["full", "ended", "cancelled"]) }
) {
  override get message(): string {
    return `The request was not launched: ${why[this.reason]}`
  }
}

const why = {
  full: "all places are taken",
  ended: "the launcher takes no more requests",
  cancelled: "it was cancelled while it waited for a place"
} as const

/**
 * - `concurrency`: most requests in flight, 1 or more
 * - `requestTimeoutSeconds`: limit for one request; none by default
 * - `xRequestId`: the `x_request_id` of a row: what the provider's `requestId` option sends. `null` by default
 * - `countTokens`: whose count of output tokens leads, `auto` by default: the first answer that succeeds decides
 * - `onUncounted`: told when the tokens of a text cannot be counted; its row has no token numbers then
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly concurrency: number
  readonly requestTimeoutSeconds?: number | null | undefined
  readonly xRequestId?: ((plan: RequestPlan) => string) | undefined
  readonly countTokens?: CountTokens | undefined
  readonly onUncounted?: ((error: TokenizerError) => void) | undefined
}

/**
 * - `launch(request)`: waits for a place, starts the request and returns its number: 1, 2, 3 … in the order in which they
 *   start, `request_id` in its row. A request is due when it gets its place. Interrupting it before gives the place up
 * - `launchNow(request)`: the same without waiting: refused when all places are taken
 * - `results`: results as requests finish. Ends after `end`, when all have come
 * - `next`: waits for one result; fails with `Cause.Done` where `results` would end
 * - `end`: no more will be launched; what was asked for before is still done
 * - `cancel`: cancels what is in flight, whose results say so (`Cancelled`), and refuses what waits for a place. More may be
 *   launched afterwards
 *
 * A result is given once, to whoever of `results` and `next` comes first. Results that nobody takes are kept: they cost the
 * memory of their text.
 *
 * @category models
 * @since 0.2.0
 */
export interface Service {
  readonly launch: (request: Request) => Effect.Effect<number, LaunchRefused | TokenizerError>
  readonly launchNow: (request: Request) => Effect.Effect<number, LaunchRefused | TokenizerError>
  readonly results: Stream.Stream<Result>
  readonly next: Effect.Effect<Result, Cause.Done>
  readonly end: Effect.Effect<void>
  readonly cancel: Effect.Effect<void>
}

/**
 * @category services
 * @since 0.2.0
 */
export class RequestsLauncher extends Context.Service<RequestsLauncher, Service>()("llmperf/engine/RequestsLauncher") {}

/**
 * A launcher for the time of a scope. Closing the scope cancels what is in flight and refuses what waits for a place. All
 * results can still be taken then, without token numbers where these were not counted yet, and `results` ends.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("RequestsLauncher.make")(function* (
  options: Options
): Effect.fn.Return<Service, never, Provider | TokenCounter | Scope.Scope> {
  if (!(options.concurrency >= 1)) {
    return yield* Effect.die(new RangeError(`concurrency must be 1 or more, and is ${options.concurrency}`))
  }
  const clock = yield* Clock.Clock
  const counter = yield* TokenCounter
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  const start: RunStart = {
    monotonicNanos: now(),
    epochSeconds: Number(clock.currentTimeNanosUnsafe() / 1_000n) / 1e6
  }

  const concurrency = Math.floor(options.concurrency)
  const places = yield* Semaphore.make(concurrency)
  const finished = yield* Queue.unbounded<Result, Cause.Done>()
  const starting = new Map<number, Deferred.Deferred<number, LaunchRefused>>()
  let launched = 0
  /** Requests that wait for a place or are in flight. */
  let unfinished = 0
  /** The same, and those whose result has not been given. */
  let awaited = 0
  let hasEnded = false
  let isClosed = false

  const settled = (): void => {
    awaited--
    if (hasEnded && awaited === 0) Queue.endUnsafe(finished)
  }

  const recorder = yield* Recorder.make({
    decision: TokenDecision.make(options.countTokens ?? "auto"),
    start: () => start,
    xRequestId: (plan) => options.xRequestId?.(plan) ?? null,
    onUncounted: (error) => options.onUncounted?.(error),
    onOutcome: ({ record }, { text }) => {
      Queue.offerUnsafe(finished, { record, text: text.join("") })
      settled()
    }
  })
  const runner = yield* RequestRunner.make({
    requestTimeoutSeconds: options.requestTimeoutSeconds ?? null,
    cancelled: () => (isClosed ? "Cancelled: the launcher was closed" : "Cancelled: the launcher was told to cancel"),
    // From here on the runner sees to it that the request has an end.
    onStart: ({ id }) => {
      const waiting = starting.get(id)
      starting.delete(id)
      if (waiting !== undefined) Deferred.doneUnsafe(waiting, Exit.succeed(id))
    },
    onFinish: recorder.finished
  })

  // Finalizers run from the last to the first: no more launches, requests cancelled, no more counting, the rest of the rows.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      recorder.flush()
      Queue.endUnsafe(finished)
    })
  )
  yield* Effect.forkScoped(recorder.run)
  const fibers = yield* FiberSet.make<void>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      hasEnded = true
      isClosed = true
    })
  )

  const planOf = (request: Request): Effect.Effect<Omit<RequestPlan, "id">, TokenizerError> => {
    const { prompt, inputTokens, targetInputTokens, outputTokens = null } = request
    return Effect.map(inputTokens === undefined ? counter.count(prompt) : Effect.succeed(inputTokens), (counted) => ({
      dueSeconds: null,
      sampled: true,
      prompt,
      inputTokens: counted,
      targetInputTokens: targetInputTokens ?? counted,
      outputTokens
    }))
  }

  /** Puts a request in line. `started` is answered in any case: with its number, or with why it was not started. */
  const enqueue = (plan: Omit<RequestPlan, "id">, started: Deferred.Deferred<number, LaunchRefused>) => {
    unfinished++
    awaited++
    let id = 0
    const inPlace = Effect.suspend(() => {
      id = ++launched
      starting.set(id, started)
      return runner({ ...plan, id }, now())
    })
    return FiberSet.run(
      fibers,
      Effect.ensuring(
        places.withPermit(inPlace),
        Effect.sync(() => {
          unfinished--
          starting.delete(id)
          const reason = isClosed ? "ended" : "cancelled"
          if (Deferred.doneUnsafe(started, Effect.fail(new LaunchRefused({ reason })))) settled()
        })
      )
    )
  }

  const launchPlan = (plan: Omit<RequestPlan, "id">, waits: boolean): Effect.Effect<number, LaunchRefused> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        if (hasEnded) return new LaunchRefused({ reason: "ended" })
        if (!waits && unfinished >= concurrency) return new LaunchRefused({ reason: "full" })
        const started = Deferred.makeUnsafe<number, LaunchRefused>()
        return Effect.flatMap(enqueue(plan, started), (fiber) => {
          if (Deferred.isDoneUnsafe(started)) return Deferred.await(started)
          // The yield lets the request go out before whoever launched it goes on.
          const answer = Effect.tap(Deferred.await(started), () => Effect.yieldNow)
          return Effect.onInterrupt(restore(answer), () =>
            Effect.suspend(() => (Deferred.isDoneUnsafe(started) ? Effect.void : Fiber.interrupt(fiber)))
          )
        })
      })
    )

  return {
    launch: (request) => Effect.flatMap(planOf(request), (plan) => launchPlan(plan, true)),
    launchNow: (request) => Effect.flatMap(planOf(request), (plan) => launchPlan(plan, false)),
    results: Stream.fromQueue(finished),
    next: Queue.take(finished),
    end: Effect.sync(() => {
      hasEnded = true
      if (awaited === 0) Queue.endUnsafe(finished)
    }),
    cancel: FiberSet.clear(fibers)
  }
})

/**
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<RequestsLauncher, never, Provider | TokenCounter> =>
  Layer.effect(RequestsLauncher, make(options))
