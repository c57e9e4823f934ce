/**
 * The agents of a run, wherever they are: in this thread, for tests; in threads of their own; or on other machines (`fleet/`).
 *
 * @since 0.2.0
 */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import { type Worker } from "node:worker_threads"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import {
  type Account,
  AgentFailed,
  type AgentProfile,
  type AgentReady,
  type AgentSpec,
  type Decision,
  type Handlers,
  type Job,
  type Lease,
  LoadAgentRpcs,
  type Piece,
  type Report,
  type Start,
  type Stop,
  type Wanted
} from "./LoadAgent.ts"

/**
 * An agent ended before its time: its thread or process has ended, or nothing can be had of it any more.
 *
 * @category errors
 * @since 0.2.0
 */
export class AgentLost extends Schema.TaggedError<AgentLost>("llmperf/engine/AgentLost")("AgentLost", {
  agent: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.agent} was lost: ${this.problem}`
  }
}

/**
 * An agent as the coordinator sees it; see `LoadAgent`. Decisions, stops and releases for one that is gone come to nothing: its `run`
 * tells.
 *
 * - `name`: as it is called in messages and in rows, such as `worker 2 of 4` or `10.0.0.7:7070`
 * - `profile`: of an agent on another machine, which has a clock of its own and keeps its rows; `null` for one of this process
 * - `close`: lets go of it
 *
 * @category models
 * @since 0.2.0
 */
export interface Agent<E = AgentFailed> {
  readonly name: string
  readonly profile: AgentProfile | null
  readonly prepare: (spec: AgentSpec) => Effect.Effect<AgentReady, E>
  readonly lease: (lease: Lease) => Effect.Effect<void, AgentLost>
  readonly run: (start: Start) => Stream.Stream<Report, AgentLost>
  readonly decide: (decision: Decision) => Effect.Effect<void>
  readonly stop: (stop: Stop) => Effect.Effect<void>
  readonly clock: (session: string | null) => Effect.Effect<number, AgentLost>
  readonly account: (session: string) => Effect.Effect<Account, AgentLost>
  readonly collect: (wanted: Wanted) => Stream.Stream<Piece, AgentLost>
  readonly release: (session: string) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

/**
 * The agents there are. All that a coordinator knows of where they are.
 *
 * @category services
 * @since 0.2.0
 */
export class Fleet extends Context.Service<Fleet, { readonly agents: ReadonlyArray<Agent> }>()(
  "llmperf/engine/Fleet"
) {}

/**
 * Agents that share a run.
 *
 * - `job`: what they make their provider of
 * - `warmUp`: what all of them do before the clock starts, together: `connections` to open, real `requests` to send; see
 *   `WarmUp.run`
 *
 * @category models
 * @since 0.2.0
 */
export interface Sharing<E = AgentFailed> {
  readonly agents: ReadonlyArray<Agent<E>>
  readonly job: Job
  readonly warmUp: {
    readonly client: boolean
    readonly connections: number
    readonly requests: ReadonlyArray<RequestPlan>
  } | null
}

/**
 * A client of the protocol, over whatever carries it. `E` is what that fails with.
 *
 * @category models
 * @since 0.2.0
 */
export type Client<E> = RpcClient.RpcClient<RpcGroup.Rpcs<typeof LoadAgentRpcs>, E>

/** How often an agent that is being made ready is asked whether it is still there. */
const ATTEND_MILLIS = 1_000

/** Calls of an agent at a time: its run, a lease, and what may come between. */
const MOST_CALLS = 16

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Whatever ends an agent that we did not end ourselves, its own interruption included. */
const whyLost = <X>(cause: Cause.Cause<X>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it was stopped from outside"
  const error = Cause.squash(cause)
  if (error instanceof AgentLost) return error.problem
  return firstLine(error instanceof Error ? error.message : String(error))
}

/**
 * An agent that is reached by a client.
 *
 * - `silenceSeconds`: it is lost when it reports nothing for so long, or does not answer a question; `null` to wait for ever
 * - `gone`: fails when the agent is known to be gone, for what carries calls to an agent that is not there without end
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromClient = <E, G = never>(options: {
  readonly name: string
  readonly client: Client<E>
  readonly profile: AgentProfile | null
  readonly silenceSeconds: number | null
  readonly gone?: Effect.Effect<never, G> | undefined
  readonly close: Effect.Effect<void>
}): Agent => {
  const { client, close, gone = Effect.never, name, profile, silenceSeconds } = options
  const lost = (problem: string) => new AgentLost({ agent: name, problem })
  const asLost = <X>(cause: Cause.Cause<X>) => Effect.fail(lost(whyLost(cause)))
  const silent = Effect.fail(lost(`nothing was heard of it for ${silenceSeconds} s`))
  const asked = <A, X>(call: Effect.Effect<A, X>): Effect.Effect<A, AgentLost> => {
    const answered = Effect.raceFirst(call, gone)
    return Effect.catchCause(
      silenceSeconds === null
        ? answered
        : Effect.timeoutOrElse(answered, { duration: silenceSeconds * 1_000, orElse: () => silent }),
      asLost
    )
  }
  const streamed = <A, X>(stream: Stream.Stream<A, X>): Stream.Stream<A, AgentLost> =>
    stream.pipe(
      silenceSeconds === null
        ? (reports) => reports
        : Stream.timeoutOrElse({ duration: silenceSeconds * 1_000, orElse: () => Stream.fromEffect(silent) }),
      Stream.interruptWhen(gone),
      Stream.catchCause((cause) => Stream.fromEffect(asLost(cause)))
    )
  return {
    name,
    profile,
    prepare: (spec) => {
      const attended =
        silenceSeconds === null
          ? gone
          : Effect.raceFirst(
              gone,
              Effect.forever(Effect.delay(asked(client.Clock({ session: spec.session })), ATTEND_MILLIS))
            )
      return Effect.catchCause(Effect.raceFirst(client.Prepare(spec), attended), (cause) => {
        const error = Cause.squash(cause)
        const description = error instanceof AgentFailed ? error.description : whyLost(cause)
        return Effect.fail(new AgentFailed({ description: `${name}: ${description}` }))
      })
    },
    lease: (lease) => asked(client.Lease(lease)),
    run: (start) => streamed(client.Run(start)),
    decide: (decision) => Effect.ignoreCause(asked(client.Decide(decision))),
    stop: (stop) => Effect.ignoreCause(asked(client.Stop(stop))),
    clock: (session) => asked(client.Clock({ session })),
    account: (session) => asked(client.Account({ session })),
    collect: (wanted) => streamed(client.Collect(wanted)),
    release: (session) => Effect.ignoreCause(asked(client.Release({ session }))),
    close
  }
}

const nameOf = (index: number, count: number): string => `worker ${index + 1} of ${count}`

/** One of this process: it cannot be cut off, and has all the time it needs. */
const local = <E>(index: number, count: number, client: Client<E>, scope: Scope.Closeable): Agent =>
  fromClient({
    name: nameOf(index, count),
    client,
    profile: null,
    silenceSeconds: null,
    close: Scope.close(scope, Exit.void)
  })

/**
 * Agents in this thread, each built of its own by `layer` (see `LoadAgentHandlers.layer`). They speak the whole protocol, without bytes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const inProcess = Effect.fn("Fleet.inProcess")(function* <R>(options: {
  readonly count: number
  readonly layer: (index: number) => Layer.Layer<Handlers, never, R>
}): Effect.fn.Return<ReadonlyArray<Agent>, never, R | Scope.Scope> {
  return yield* Effect.forEach(Array.from({ length: options.count }), (_, index) =>
    Effect.gen(function* () {
      const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent))
      const handlers = yield* Layer.buildWithScope(Layer.fresh(options.layer(index)), scope)
      const client = yield* RpcTest.makeClient(LoadAgentRpcs, { disableFatalDefects: true }).pipe(
        Effect.provideContext(handlers),
        Scope.provide(scope)
      )
      return local(index, options.count, client, scope)
    })
  )
})

/**
 * Agents in threads that `spawn` starts, whose script serves the protocol. They end with the scope.
 *
 * @category constructors
 * @since 0.2.0
 */
export const workers = Effect.fn("Fleet.workers")(function* (options: {
  readonly count: number
  readonly spawn: (index: number) => Worker
}): Effect.fn.Return<ReadonlyArray<Agent>, AgentFailed, Scope.Scope> {
  const parent = yield* Effect.scope
  const scopes = yield* Effect.forEach(Array.from({ length: options.count }), () => Scope.fork(parent))
  // All at once: each waits for its thread to end
  yield* Effect.addFinalizer((exit) =>
    Effect.forEach(scopes, (scope) => Scope.close(scope, exit), { concurrency: "unbounded", discard: true })
  )
  return yield* Effect.forEach(
    scopes,
    (scope, index) =>
      // One protocol for each: the end of a thread fails all calls of its protocol
      RpcClient.makeProtocolWorker({ size: 1, concurrency: MOST_CALLS }).pipe(
        Effect.flatMap((protocol) =>
          Effect.provideService(RpcClient.make(LoadAgentRpcs, { disableTracing: true }), RpcClient.Protocol, protocol)
        ),
        Effect.provide(NodeWorker.layer(() => options.spawn(index))),
        Effect.mapBoth({
          onSuccess: (client) => local(index, options.count, client, scope),
          onFailure: ({ message }) => new AgentFailed({ description: `${nameOf(index, options.count)}: ${message}` })
        }),
        Scope.provide(scope)
      ),
    { concurrency: "unbounded" }
  )
})

/**
 * See `inProcess`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerInProcess = <R>(options: Parameters<typeof inProcess<R>>[0]) =>
  Layer.effect(
    Fleet,
    Effect.map(inProcess(options), (agents) => ({ agents }))
  )

/**
 * See `workers`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerWorkers = (options: Parameters<typeof workers>[0]) =>
  Layer.effect(
    Fleet,
    Effect.map(workers(options), (agents) => ({ agents }))
  )
