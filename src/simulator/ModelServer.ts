/**
 * A model of a server that runs a language model with continuous batching, on the time of the `Clock` service alone: the
 * same code answers real sockets and runs an hour of virtual time in seconds.
 *
 * A request waits in one first-come-first-served queue until the batch has a free place and the KV cache has room for its
 * input and all of its output. Then the server works in steps. A step takes
 *
 *     prompt tokens of the requests that are new / prefill rate
 *       + (a + b * requests that were already decoding, if there were any)
 *
 * and ends with one token for each of them, all at once. So a long prompt holds up the others, as it does on a real server
 * without chunked prefill. A client that goes away frees its place and its room at once; the step under way is not shortened.
 *
 * Where `ttft` or `itl` is given, a request follows its own schedule instead from the moment it has its place.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fault from "./Fault.ts"
import * as batch from "./internal/batch.ts"
import * as draws from "./internal/draws.ts"
import * as numberQuestion from "./internal/numberQuestion.ts"
import * as Latency from "./Latency.ts"
import * as Words from "./Words.ts"

const withDefault = <S extends Schema.Top & Schema.WithoutConstructorDefault>(
  schema: S,
  value: S["Encoded"] & S["~type.make.in"]
) =>
  schema.pipe(
    Schema.withConstructorDefault(Effect.succeed(value)),
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
const NotNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Count = Schema.Int.check(Schema.isGreaterThan(0))
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/**
 * How the server behaves. The defaults are about those of an 8 billion parameter model on one large GPU.
 *
 * - `prefillTokensPerSecond`: prompt tokens read per second (10000)
 * - `decodeStepSeconds`, `decodeStepSecondsPerSequence`: a and b of a decode step, in seconds (0.012 and 0.0001)
 * - `maxBatch`: most requests at work at once (256)
 * - `kvTokens`: most tokens, input and asked-for output, of the requests at work (500000)
 * - `ttft`: seconds from getting a place to the first chunk; `itl`: seconds from one token to the next. With either, requests
 *   do not slow each other down; the one left out is what an otherwise empty server would take
 * - `tokensPerChunk`: tokens sent at once (1); a chunk leaves when its last token is ready
 * - `defaultOutputTokens`: tokens written when the request does not say (128)
 * - `seed`: decides text, latencies and faults of a request together with its id (11111)
 * - `faults`: what goes wrong, and for which requests (nothing)
 * - `wrongRate`, `silentRate`: shares, from 0 to 1, of the questions of LLMPerf's correctness test that are answered with a
 *   wrong number, and with none (0 and 0)
 *
 * @category models
 * @since 0.1.0
 */
export const ModelServerOptions = Schema.Struct({
  prefillTokensPerSecond: withDefault(Positive, 10_000),
  decodeStepSeconds: withDefault(NotNegative, 0.012),
  decodeStepSecondsPerSequence: withDefault(NotNegative, 0.0001),
  maxBatch: withDefault(Count, 256),
  kvTokens: withDefault(Count, 500_000),
  ttft: withDefault(Schema.NullOr(Latency.Latency), null),
  itl: withDefault(Schema.NullOr(Latency.Latency), null),
  tokensPerChunk: withDefault(Count, 1),
  defaultOutputTokens: withDefault(Count, 128),
  seed: withDefault(Schema.Int, 11111),
  faults: withDefault(Schema.Array(Fault.Fault), []),
  wrongRate: withDefault(Share, 0),
  silentRate: withDefault(Share, 0)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface ModelServerOptions extends Schema.Schema.Type<typeof ModelServerOptions> {}

/**
 * One request. `id` decides its draws: the same seed and id give the same text and latencies. `ttft`, `itl` and
 * `tokensPerChunk` take the place of the server's options for this request. `arrivedNanos` is when it came, on the monotonic
 * clock, where that was before `generate` runs (a server has to read it first); `ttft` and the reading of the prompt count from there. `pieces` is a text
 * to write, token by token, in place of words drawn by chance; it has at least `outputTokens` of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenerateRequest {
  readonly id: string | number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly ttft?: Latency.Latency | undefined
  readonly itl?: Latency.Latency | undefined
  readonly tokensPerChunk?: number | undefined
  readonly arrivedNanos?: number | undefined
  readonly pieces?: ReadonlyArray<string> | undefined
}

/**
 * A piece of the answer. Words are joined by single spaces, the space belonging to the later word, so the texts of all
 * chunks together are the answer, and it counts exactly as many Llama tokens as `tokens` add up to.
 *
 * - `firstToken`: how many tokens came before
 * - `dueNanos`: the moment it was ready, on the monotonic clock
 *
 * @category models
 * @since 0.1.0
 */
export interface Chunk extends batch.Chunk {}

/**
 * An answer whose chunks are asked for when it is complete, which takes far less work than to be told of each.
 *
 * - `completed`: ends when the last chunk is ready
 * - `take()`: its chunks, once: all when it is complete, those that were ready when it was cancelled
 *
 * @category models
 * @since 0.2.0
 */
export interface WholeAnswer {
  readonly completed: Effect.Effect<void>
  readonly take: () => ReadonlyArray<Chunk>
}

/**
 * What the server is doing and has done. The tokens of a whole answer may be counted only when it is complete.
 *
 * - `inFlight`: requests not answered yet, `queued` of them waiting; `batch`: those at work
 * - `kvTokens`: tokens reserved by those at work; `tokens`: output tokens written since the start
 * - `completed`, `cancelled`: requests answered in full, and those whose client went away before
 * - `maxLateSeconds`: the most by which the computer was late for a moment at which something was due
 *
 * @category models
 * @since 0.1.0
 */
export interface Stats {
  readonly inFlight: number
  readonly peakInFlight: number
  readonly queued: number
  readonly batch: number
  readonly peakBatch: number
  readonly kvTokens: number
  readonly tokens: number
  readonly completed: number
  readonly cancelled: number
  readonly maxLateSeconds: number
}

/**
 * The request needs more of the KV cache than the server has, so it would wait forever.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestTooLarge extends Schema.TaggedError<RequestTooLarge>("llmperf/simulator/RequestTooLarge")(
  "RequestTooLarge",
  { neededTokens: Schema.Int, kvTokens: Schema.Int }
) {
  override get message(): string {
    return `The request needs ${this.neededTokens} tokens of KV cache (input and output); the server has ${this.kvTokens}`
  }
}

/**
 * A prompt that may ask for something. `id` decides the draws, as that of a `GenerateRequest`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Question {
  readonly id: string | number
  readonly prompt: string
  readonly reasoningTokens?: number | undefined
}

/**
 * A simulated model server.
 *
 * - `generate(request)`: joins the queue at once and gives the chunks as they become ready; when the scope closes before
 *   the last one, the request is cancelled and frees its place
 * - `generateWhole(request)`: the same answer at the same moments, for a reader who does not look before it is complete
 * - `faults(id, more)`: counts one request as arrived and says which faults hit it, those of the options and of `more`.
 *   Whoever serves the answer acts them out
 * - `answer(question)`: what the model says to a prompt that asks for something, token by token: to a question of LLMPerf's
 *   correctness test its number, among other words. `undefined` for every other prompt: the model then writes words by chance.
 *   So many `reasoningTokens` come before it
 * - `stats`: the counters now
 *
 * @category services
 * @since 0.1.0
 */
export class ModelServer extends Context.Service<
  ModelServer,
  {
    readonly options: ModelServerOptions
    readonly generate: (request: GenerateRequest) => Effect.Effect<Stream.Stream<Chunk>, RequestTooLarge, Scope.Scope>
    readonly generateWhole: (request: GenerateRequest) => Effect.Effect<WholeAnswer, RequestTooLarge, Scope.Scope>
    readonly faults: (
      id: string | number,
      more?: ReadonlyArray<Fault.Fault>
    ) => Effect.Effect<ReadonlyArray<Fault.Fault>>
    readonly answer: (question: Question) => ReadonlyArray<string> | undefined
    readonly stats: Effect.Effect<Stats>
  }
>()("llmperf/simulator/ModelServer") {}

/** Most things let happen before other fibers get a turn. */
const advanceLimit = 4096

/**
 * Timers of real clocks know whole milliseconds and may be early. What is then left is not slept, which would take one more, but waited
 * for turn by turn: so long at most, and only after a sleep that was long enough for that to cost little.
 */
const MOST_TURNING_NANOS = 1e6
const LEAST_SLEEP_NANOS = 4e6

const makeJob = (options: ModelServerOptions, request: GenerateRequest, quiet: boolean): batch.Job => {
  const text = draws.make(options.seed, request.id, "text")
  const ttft = request.ttft ?? options.ttft
  const itl = request.itl ?? options.itl
  let schedule: batch.OwnSchedule | undefined
  if (ttft !== null || itl !== null) {
    const timing = draws.make(options.seed, request.id, "timing")
    const emptyTtft = request.inputTokens / options.prefillTokensPerSecond
    const emptyItl = options.decodeStepSeconds + options.decodeStepSecondsPerSequence
    schedule = {
      first: () => (ttft === null ? emptyTtft : Latency.sample(ttft, timing)),
      gap: () => (itl === null ? emptyItl : Latency.sample(itl, timing))
    }
  }
  const outputTokens = Math.max(1, request.outputTokens)
  return {
    inputTokens: request.inputTokens,
    outputTokens,
    tokensPerChunk: request.tokensPerChunk ?? options.tokensPerChunk,
    kvTokens: request.inputTokens + outputTokens,
    schedule,
    word: () => Words.pick(text()),
    pieces: request.pieces,
    quiet,
    state: "new",
    arrivedNanos: 0,
    admittedNanos: 0,
    generated: 0,
    sent: 0,
    outbox: [],
    wake: undefined,
    dueNanos: 0,
    order: 0
  }
}

/** What a stream pulls from: whatever is ready, or a wait for it. */
const pull = (job: batch.Job) => {
  const take = (): Effect.Effect<readonly [Chunk, ...Array<Chunk>], Cause.Done> => {
    const [first, ...rest] = job.outbox
    if (first === undefined) return job.state === "ended" ? Cause.done() : wait
    job.outbox = []
    return Effect.succeed([first, ...rest])
  }
  const wait: Effect.Effect<readonly [Chunk, ...Array<Chunk>], Cause.Done> = Effect.callback((resume) => {
    job.wake = () => {
      job.wake = undefined
      resume(Effect.suspend(take))
    }
    return Effect.sync(() => {
      job.wake = undefined
    })
  })
  return Effect.succeed(Effect.suspend(take))
}

const whole = (job: batch.Job): WholeAnswer => ({
  completed: Effect.callback((resume) => {
    if (job.state === "ended") return resume(Effect.void)
    job.wake = () => {
      job.wake = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      job.wake = undefined
    })
  }),
  take: () => {
    const chunks = job.outbox
    job.outbox = []
    return chunks
  }
})

/**
 * Starts a server, which works until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: ModelServerOptions
): Effect.fn.Return<ModelServer["Service"], never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = (): number => Number(clock.monotonicTimeNanosUnsafe())
  const server = batch.make(options)
  let arrived = 0

  /** Ends the wait of the scheduler, which lasts until `waitsUntil`. */
  let ring: (() => void) | undefined
  let waitsUntil = Infinity
  const mustReschedule = (): boolean => (server.nextDue() ?? Infinity) < waitsUntil
  const rung = Effect.callback<void>((resume) => {
    if (mustReschedule()) return resume(Effect.void)
    ring = () => {
      ring = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      ring = undefined
    })
  })
  const reschedule = (): void => {
    if (mustReschedule()) ring?.()
  }

  /** Lets happen what is due, and returns the nanoseconds to wait for the next; wakes nobody up while at it. */
  const advance = Effect.sync(() => {
    waitsUntil = -Infinity
    for (const job of server.advance(now(), advanceLimit)) job.wake?.()
    waitsUntil = server.nextDue() ?? Infinity
    return waitsUntil - now()
  })
  const scheduler = Effect.gen(function* () {
    let early = NaN
    while (true) {
      const wait = yield* advance
      const until = waitsUntil
      if (wait === Infinity) yield* rung
      else if (wait <= 0 || (until === early && wait <= MOST_TURNING_NANOS)) yield* Effect.yieldNow
      else {
        const slept = Effect.as(clock.sleep(Duration.nanos(BigInt(Math.ceil(wait)))), true)
        const isTimer = yield* Effect.raceFirst(slept, Effect.as(rung, false))
        early = isTimer && wait >= LEAST_SLEEP_NANOS ? until : NaN
      }
    }
  })
  yield* Effect.forkScoped(scheduler)

  const catchUp = (): void => {
    for (const job of server.catchUp(now())) job.wake?.()
  }
  const submit = (request: GenerateRequest, quiet: boolean): Effect.Effect<batch.Job, RequestTooLarge> =>
    Effect.suspend(() => {
      const job = makeJob(options, request, quiet)
      if (job.kvTokens > options.kvTokens) {
        return Effect.fail(new RequestTooLarge({ neededTokens: job.kvTokens, kvTokens: options.kvTokens }))
      }
      const at = now()
      catchUp()
      server.submit(job, Math.min(request.arrivedNanos ?? at, at))
      reschedule()
      return Effect.succeed(job)
    })
  const cancel = (job: batch.Job): Effect.Effect<void> =>
    Effect.sync(() => {
      catchUp()
      server.cancel(job, now())
      reschedule()
    })

  return ModelServer.of({
    options,
    generate: (request) =>
      Effect.map(Effect.acquireRelease(submit(request, false), cancel), (job) => Stream.fromPull(pull(job))),
    generateWhole: (request) => Effect.map(Effect.acquireRelease(submit(request, true), cancel), whole),
    faults: (id, more = []) =>
      Effect.sync(() => {
        arrived += 1
        const faults = [...options.faults, ...more]
        if (faults.length === 0) return faults
        return Fault.select(faults, arrived, draws.make(options.seed, id, "faults"))
      }),
    answer: ({ id, prompt, reasoningTokens = 0 }) => {
      const number = numberQuestion.askedNumber(prompt)
      if (number === undefined) return undefined
      const answer = numberQuestion.answer(number, options, draws.make(options.seed, id, "answer"))
      const text = draws.make(options.seed, id, "text")
      const thoughts = Array.from({ length: reasoningTokens }, (_, i) => (i === 0 ? "" : " ") + Words.pick(text()))
      return [...thoughts, ...answer]
    },
    stats: Effect.sync(() => {
      catchUp()
      const { maxLateNanos, ...counts } = server.counts
      return { ...counts, maxLateSeconds: maxLateNanos * 1e-9 }
    })
  })
})

/**
 * A server as a service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: ModelServerOptions): Layer.Layer<ModelServer> => Layer.effect(ModelServer, make(options))
