/**
 * The simulated model server asked in process, without sockets: the `Provider` of a run in virtual time.
 *
 * A request comes to what it would over HTTP with the server and the client on one machine that takes no time: the same
 * draws for the same seed and request number, the same texts at the moments at which the model has them, the same failures.
 * The server reads the prompt as the counted tokens of its plan, where its HTTP front estimates them.
 *
 * @since 0.2.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as LlmError from "../domain/LlmError.ts"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type ContentKind, type TokenEvent } from "../domain/TokenEvent.ts"
import { Provider, type Service, Unread } from "../provider/Provider.ts"
import { EventBuffer } from "../provider/wire/EventBuffer.ts"
import * as Fault from "../simulator/Fault.ts"
import { type Chunk, type GenerateRequest, ModelServer, type WholeAnswer } from "../simulator/ModelServer.ts"
import { earlyEnd, type Ending, type Refusal, refusalOf, tooLarge } from "./internal/simulatedFaults.ts"

/**
 * - `idleSeconds`: how long a client waits while a fault keeps the server silent, before it fails with `Timeout`; `null`
 *   (the default) for ever: then only a limit on the whole request ends it
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly idleSeconds?: number | null | undefined
}

const idOf = (plan: RequestPlan): string => String(Math.abs(plan.id))

/** Where the text of an answer belongs. */
const kindOf = (faults: ReadonlyArray<Fault.Fault>): ((chunk: Chunk) => ContentKind) => {
  const reasoning = Fault.find(faults, "reasoning")?.number ?? 0
  const rest = Fault.find(faults, "tool") === undefined ? "text" : "tool"
  return (chunk) => (chunk.firstToken < reasoning ? "reasoning" : rest)
}

/** One request: what has come of its answer, and what its reader has not seen. */
interface Exchange {
  readonly plan: RequestPlan
  readonly events: EventBuffer
  faults: ReadonlyArray<Fault.Fault>
  /** An answer that is read when it is complete. */
  pending: WholeAnswer | undefined
  /** Tokens that have come, and when the last of them did. */
  tokens: number
  lastAt: number
}

const nameTool = ({ events, faults }: Exchange, at: number): void => {
  if (Fault.find(faults, "tool") !== undefined) events.content("tool", "write", at)
}

/** The chunks in the order in which they come. The name of a tool comes with the first, unless it came with the headers. */
const receive = (exchange: Exchange, chunks: ReadonlyArray<Chunk>): void => {
  const kind = kindOf(exchange.faults)
  const isNamed = Fault.find(exchange.faults, "early-role") !== undefined
  for (const chunk of chunks) {
    const at = Math.round(chunk.dueNanos)
    if (exchange.tokens === 0 && !isNamed) nameTool(exchange, at)
    exchange.events.content(kind(chunk), chunk.text, at)
    exchange.tokens += chunk.tokens
    exchange.lastAt = at
  }
}

const receiveEnd = ({ events, faults, lastAt: at, plan, tokens }: Exchange): void => {
  const atLimit = plan.outputTokens !== null && tokens >= plan.outputTokens
  const reason = Fault.find(faults, "tool") !== undefined ? "tool_calls" : atLimit ? "length" : "stop"
  events.push({ _tag: "Finished", at, reason })
  if (Fault.find(faults, "no-usage") === undefined) {
    const reasoningTokens = Math.min(Fault.find(faults, "reasoning")?.number ?? 0, tokens)
    events.push({
      _tag: "Usage",
      at,
      inputTokens: plan.inputTokens,
      outputTokens: tokens,
      cachedInputTokens: 0,
      reasoningTokens
    })
  }
  events.push({ _tag: "Ended", at })
}

/** What there is for the reader of a request that was interrupted. */
const unreadOf = (exchange: Exchange): ReadonlyArray<TokenEvent> => {
  receive(exchange, exchange.pending?.take() ?? [])
  return exchange.events.take() ?? []
}

/**
 * Asks the `ModelServer`. Events are handed over when an answer is complete or has failed, not one by one as over a socket;
 * their stamps say when they came. A request that is interrupted before frees its place in the server and leaves what had
 * come until then to `Unread`.
 *
 * Of the faults, those that only change the form of an answer on the wire change nothing here. Where a server refuses to be
 * asked for usage (`no-usage`), there is none in the answer.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("SimulatedProvider.make")(function* (
  options: Options = {}
): Effect.fn.Return<Service, never, ModelServer> {
  const model = yield* ModelServer
  const clock = yield* Clock.Clock
  const now = (): number => Number(clock.monotonicTimeNanosUnsafe())
  const idleSeconds = options.idleSeconds ?? Infinity

  const timedOut = (phase: "headers" | "idle"): Effect.Effect<never, LlmError.Reason> =>
    Effect.flatMap(Effect.sleep(idleSeconds * 1_000), () =>
      Effect.fail(new LlmError.Timeout({ phase, limitSeconds: idleSeconds }))
    )

  const refuse = (
    { events }: Exchange,
    { rateLimit, reason, status }: Refusal
  ): Effect.Effect<never, LlmError.Reason> =>
    Effect.suspend(() => {
      events.push({ _tag: "ResponseStarted", at: now(), status, rateLimit })
      return Effect.fail(reason)
    })

  const begin = (exchange: Exchange, status: number): void => {
    const at = now()
    exchange.events.push({ _tag: "ResponseStarted", at, status, rateLimit: null })
    if (status === 200 && Fault.find(exchange.faults, "early-role") !== undefined) nameTool(exchange, at)
  }

  const readWhole = Effect.fnUntraced(function* (exchange: Exchange, request: GenerateRequest) {
    const answer = yield* model.generateWhole(request)
    begin(exchange, 200)
    exchange.pending = answer
    yield* answer.completed
    receive(exchange, answer.take())
    receiveEnd(exchange)
  })

  /** The client looks at nothing of an answer that is neither 200 nor small before it has all of it. */
  const readStrange = Effect.fnUntraced(function* (exchange: Exchange, request: GenerateRequest) {
    const answer = yield* model.generateWhole(request)
    begin(exchange, 201)
    yield* answer.completed
    const body = `data: ${answer.take().reduce((text, chunk) => text + chunk.text, "")}`
    return yield* new LlmError.HttpStatus({ status: 201, body, retryAfterSeconds: null })
  })

  const readUntil = Effect.fnUntraced(function* (exchange: Exchange, request: GenerateRequest, ending: Ending) {
    const chunks = yield* model.generate(request)
    begin(exchange, 200)
    yield* chunks.pipe(
      Stream.takeWhile((chunk) => chunk.firstToken < ending.afterTokens),
      Stream.runForEachArray((ready) => Effect.sync(() => receive(exchange, ready)))
    )
    if (exchange.tokens >= request.outputTokens) return receiveEnd(exchange)
    if (exchange.tokens === 0 && Fault.find(exchange.faults, "early-role") === undefined) nameTool(exchange, now())
    return yield* ending.reason === null ? timedOut("idle") : Effect.fail(ending.reason)
  })

  const ask = Effect.fnUntraced(function* (exchange: Exchange): Effect.fn.Return<void, LlmError.Reason, Scope.Scope> {
    const { plan } = exchange
    exchange.events.push({ _tag: "Sent", at: now(), connection: null })
    const id = idOf(plan)
    const faults = yield* model.faults(id)
    exchange.faults = faults
    const slow = Fault.find(faults, "slow-headers")
    if (slow !== undefined) yield* slow.number > idleSeconds * 1_000 ? timedOut("headers") : Effect.sleep(slow.number)
    const refusal = refusalOf(faults)
    if (refusal !== undefined) return yield* refuse(exchange, refusal)

    const pieces = model.answer({
      id,
      prompt: plan.prompt,
      reasoningTokens: Fault.find(faults, "reasoning")?.number
    })
    const outputTokens =
      pieces === undefined
        ? Math.max(1, plan.outputTokens ?? model.options.defaultOutputTokens)
        : Math.min(plan.outputTokens ?? Infinity, pieces.length)
    const request = { id, inputTokens: plan.inputTokens, outputTokens, pieces }
    const ending = earlyEnd(faults)
    const read =
      Fault.find(faults, "status-201") !== undefined
        ? readStrange(exchange, request)
        : ending === undefined
          ? readWhole(exchange, request)
          : readUntil(exchange, request, ending)
    return yield* Effect.catchTag(read, "RequestTooLarge", ({ message }) => refuse(exchange, tooLarge(message)))
  })

  const stream: Service["stream"] = (plan) =>
    Stream.fromChannel(
      Channel.fromTransform((_upstream, scope) =>
        Effect.flatMap(Unread, (unread) => {
          const exchange: Exchange = {
            plan,
            events: new EventBuffer(),
            faults: [],
            pending: undefined,
            tokens: 0,
            lastAt: 0
          }
          const asked = Scope.provide(ask(exchange), scope)
          return Effect.as(
            // Runs after the request was cancelled, whose finalizer is added later.
            Scope.addFinalizer(
              scope,
              Effect.sync(() => {
                const events = unreadOf(exchange)
                if (events.length > 0) unread(events)
              })
            ),
            pullOf(asked, exchange.events)
          )
        })
      )
    )

  return Provider.of({ name: "simulated", origin: null, stream })
})

type Batch = Effect.Effect<Arr.NonEmptyReadonlyArray<TokenEvent>, LlmError.LlmError | Cause.Done>

/** First all events of the request, then its end. */
const pullOf = (asked: Effect.Effect<void, LlmError.Reason>, events: EventBuffer): Batch => {
  let end: Effect.Effect<never, LlmError.LlmError | Cause.Done> | undefined
  const give = (after: Effect.Effect<never, LlmError.LlmError | Cause.Done>): Batch => {
    end = after
    const batch = events.take()
    return batch === undefined ? after : Effect.succeed(batch)
  }
  const first = Effect.matchEffect(asked, {
    onSuccess: () => give(Cause.done()),
    onFailure: (reason) => give(Effect.fail(LlmError.fromReason(reason)))
  })
  return Effect.suspend(() => end ?? first)
}

/**
 * `make` with other options than the defaults.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerWith = (options: Options): Layer.Layer<Provider, never, ModelServer> =>
  Layer.effect(Provider, make(options))

/**
 * @category layers
 * @since 0.2.0
 */
export const layer: Layer.Layer<Provider, never, ModelServer> = layerWith({})
