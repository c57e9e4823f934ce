import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as RpcTest from "effect/rpc/RpcTest"
import * as TestClock from "effect/testing/TestClock"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type LoadTestConfig } from "../../src/domain/RunConfig.ts"
import * as Fleet from "../../src/engine/Fleet.ts"
import * as FleetSender from "../../src/engine/FleetSender.ts"
import { type AgentProfile, type AgentSpec, LoadAgentRpcs, PROTOCOL } from "../../src/engine/LoadAgent.ts"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import * as LoadTest from "../../src/engine/LoadTest.ts"
import * as Replay from "../../src/engine/Replay.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as PromptMaker from "../../src/workload/PromptMaker.ts"
import { layerInline, TokenCounter } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Replays from "./replays.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

export interface Options {
  readonly count?: number
  readonly script?: (plan: RequestPlan) => ReadonlyArray<Scripted.Step>
  readonly counter?: TokenCounter["Service"]
  readonly change?: (agent: Fleet.Agent, index: number) => Fleet.Agent
}

/** Agents of tests are given what they send with. */
export const job = { args: [], variables: {}, origin: null, simulator: null, isOpen: false }

/** What an agent of this process is told of a closed loop with two requests in flight, whose rows are wanted; `more` for another. */
export const spec = (session: string, more: Partial<AgentSpec> = {}): AgentSpec => ({
  session,
  job,
  agent: null,
  keepsRows: false,
  silenceSeconds: null,
  runId: "run1",
  requestIdHeader: "x-request-id",
  requestTimeoutSeconds: null,
  timeoutSeconds: 90,
  graceSeconds: 30,
  countTokens: "tokenizer",
  loop: { _tag: "Closed", concurrency: 2 },
  saves: true,
  logsSent: false,
  chunkTimes: false,
  warmUp: null,
  ...more
})

export const counting = (counter: TokenCounter["Service"] | undefined) =>
  Layer.provideMerge(counter === undefined ? layerInline : Layer.succeed(TokenCounter, counter), Tokenizer.layerLlama)

/** Agents in this thread, each with a scripted provider of its own. */
export const make = Effect.fnUntraced(function* (options: Options = {}) {
  const count = options.count ?? 2
  const scripted = yield* Effect.forEach(Array.from({ length: count }), () =>
    Scripted.make(options.script ?? Runs.usual)
  )
  const agents = yield* Fleet.inProcess({
    count,
    layer: (index) =>
      LoadAgentHandlers.layer({
        services: () =>
          Layer.mergeAll(
            Layer.succeed(Provider, scripted[index]!.provider),
            counting(options.counter),
            Transport.layer({})
          )
      })
  })
  return {
    fleet: { agents: agents.map(options.change ?? ((agent) => agent)), job, warmUp: null } satisfies Fleet.Sharing,
    logs: scripted.map(({ log }) => log)
  }
})

/** The clock that time passes on, ahead by so many milliseconds. */
const aheadBy = (clock: Clock.Clock, millis: number): Clock.Clock => {
  const nanos = BigInt(millis) * 1_000_000n
  return {
    ...clock,
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + millis,
    currentTimeMillis: Effect.map(clock.currentTimeMillis, (time) => time + millis),
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + nanos,
    currentTimeNanos: Effect.map(clock.currentTimeNanos, (time) => time + nanos),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + nanos,
    monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (time) => time + nanos),
    sleep: (duration) => clock.sleep(duration)
  }
}

export const profile: AgentProfile = {
  protocol: PROTOCOL,
  version: "0.0.0",
  host: "far",
  pid: 1,
  cores: 2,
  memoryBytes: 1e9,
  load: 0,
  openFiles: 1_024,
  limits: null,
  session: null
}

/** How far the clock of each agent of `makeFar` is ahead, in milliseconds. */
export const AHEAD_MILLIS = [3_600_000, 0, 12_345] as const

/** `silent`: an agent whose reports do not come through. */
export interface FarOptions extends Options {
  readonly folder: string
  readonly silent?: number
}

/**
 * Agents as on other machines, but for the network: their clocks are not ours, and they keep their rows, each in a folder of its
 * own below `folder`.
 */
export const makeFar = Effect.fnUntraced(function* (options: FarOptions) {
  const count = options.count ?? 2
  const clock = yield* Clock.Clock
  const made = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
    Effect.gen(function* () {
      const { log, provider } = yield* Scripted.make(options.script ?? Runs.usual)
      const services = Layer.mergeAll(Layer.succeed(Provider, provider), counting(options.counter), Transport.layer({}))
      const handlers = yield* Layer.build(
        LoadAgentHandlers.layer({
          services: () => services,
          about: Effect.succeed(profile),
          folder: `${options.folder}/agent${index}`
        })
      )
      const client = yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers)
      const agent = Fleet.fromClient({
        name: `agent${index}:7070`,
        client:
          index === options.silent
            ? Object.assign({}, client, { Run: () => Stream.never, Account: () => Effect.never })
            : client,
        profile,
        silenceSeconds: 5,
        close: Effect.void
      })
      return { agent: options.change?.(agent, index) ?? agent, client, log }
    }).pipe(Effect.provideService(Clock.Clock, aheadBy(clock, AHEAD_MILLIS[index % 3] ?? 0)))
  )
  const fleet: Fleet.Sharing = { agents: made.map(({ agent }) => agent), job, warmUp: null }
  return { fleet, clients: made.map(({ client }) => client), logs: made.map(({ log }) => log) }
})

/** A provider that nobody may ask: agents do. */
const nobody = Context.make(
  Provider,
  Provider.of({ name: "nobody", origin: null, stream: () => Stream.die(new Error("nobody asks here")) })
)

export const withoutProvider = Effect.provideContext(nobody)

/** Passes time bit by bit, and lets real time pass in between, until the fiber has ended. */
export const untilEnded = Effect.fnUntraced(function* <A, E>(fiber: Fiber.Fiber<A, E>, stepMillis = 25) {
  for (let step = 0; fiber.pollUnsafe() === undefined && step < 20_000; step++) {
    yield* TestClock.adjust(stepMillis)
    if (step % 8 === 0) yield* Effect.yieldNow
    if (step % 200 === 199) yield* Runs.pause
  }
  return yield* Fiber.join(fiber)
})

/** Ends once the clock of the run has started. */
export const untilStarted = Effect.fnUntraced(function* (live: LiveStats.LiveStats) {
  for (let step = 0; step < 5_000 && live.startNanos === null; step++) {
    yield* TestClock.adjust(10)
    yield* Runs.pause
  }
})

export const startClosed = Effect.fnUntraced(function* (
  options: Options & {
    readonly config?: Partial<LoadTestConfig>
    readonly run?: Pick<LoadTest.Options, "userStop" | "network">
  } = {}
) {
  const { fleet, logs } = yield* make(options)
  return { ...(yield* runClosed(fleet, options)), logs }
})

/** A closed loop over agents that there are. */
export const runClosed = Effect.fnUntraced(function* (
  fleet: Fleet.Sharing,
  options: {
    readonly config?: Partial<LoadTestConfig>
    readonly run?: Pick<LoadTest.Options, "userStop" | "network" | "chunkTimes">
  }
) {
  const live = LiveStats.make()
  const fiber = yield* LoadTest.run({
    ...options.run,
    config: { ...Runs.config, ...options.config },
    live,
    sender: FleetSender.make(fleet)
  }).pipe(Effect.scoped, Effect.provide(counting(undefined)), withoutProvider, Effect.forkChild)
  return { fiber, live }
})

export const startOpen = Effect.fnUntraced(function* (options: Options & Pick<Replays.Options, "schedule" | "config">) {
  const { fleet, logs } = yield* make(options)
  const live = LiveStats.make()
  const fiber = yield* Replay.run({
    config: { ...Replays.config, ...options.config },
    schedule: options.schedule,
    origin: Replays.fromFile,
    live,
    sender: FleetSender.make(fleet)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(
        PromptMaker.layerInline({ seed: Replays.config.seed, promptMode: "exact", blockTokens: null }),
        counting(undefined)
      )
    ),
    withoutProvider,
    Effect.forkChild
  )
  return { fiber, live, logs }
})
