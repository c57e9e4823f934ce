/**
 * The agents of a run, wherever they are: in this thread, for tests, or in threads of their own.
 *
 * @since 0.2.0
 */
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as RpcClient from "effect/rpc/RpcClient"
import { type RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcTest from "effect/rpc/RpcTest"
import { type Worker } from "node:worker_threads"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type RunStart } from "../metrics/RequestSink.ts"
import {
  AgentFailed,
  type AgentReady,
  type AgentSpec,
  type Handlers,
  type Lease,
  LoadAgentRpcs,
  type Report,
  type Stop
} from "./LoadAgent.ts"

/**
 * An agent ended before its time: its thread has ended, or nothing can be had of it any more.
 *
 * @category errors
 * @since 0.2.0
 */
export class AgentLost extends Schema.TaggedError<AgentLost>("llmperf/engine/AgentLost")("AgentLost", {
  agent: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.agent} died: ${this.problem}`
  }
}

/**
 * An agent as the coordinator sees it; see `LoadAgent`. Leases and stops for one that is gone come to nothing: its `run` tells.
 *
 * - `name`: as it is called in messages, such as `worker 2 of 4`
 * - `close`: lets go of it
 *
 * @category models
 * @since 0.2.0
 */
export interface Agent<E> {
  readonly name: string
  readonly prepare: (spec: AgentSpec) => Effect.Effect<AgentReady, E>
  readonly lease: (lease: Lease) => Effect.Effect<void>
  readonly run: (start: RunStart) => Stream.Stream<Report, AgentLost>
  readonly stop: (stop: Stop) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

/**
 * Agents that share a run.
 *
 * - `warmUp`: what all of them do before the clock starts, together: `connections` to open, real `requests` to send; see
 *   `WarmUp.run`
 *
 * @category models
 * @since 0.2.0
 */
export interface Fleet<E = AgentFailed> {
  readonly agents: ReadonlyArray<Agent<E>>
  readonly warmUp: {
    readonly client: boolean
    readonly connections: number
    readonly requests: ReadonlyArray<RequestPlan>
  } | null
}

type Client = RpcClient.RpcClient<RpcGroup.Rpcs<typeof LoadAgentRpcs>, RpcClientError>

/** Calls of an agent at a time: its run, a lease, and what may come between. */
const MOST_CALLS = 16

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Whatever ends an agent that we did not end ourselves, its own interruption included. */
const whyLost = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it was stopped from outside"
  const error = Cause.squash(cause)
  return firstLine(error instanceof Error ? error.message : String(error))
}

const agentOf = (name: string, client: Client, scope: Scope.Closeable): Agent<AgentFailed> => ({
  name,
  prepare: (spec) =>
    Effect.catchCause(client.Prepare(spec), (cause) => {
      const error = Cause.squash(cause)
      const description = error instanceof AgentFailed ? error.description : `${name}: ${whyLost(cause)}`
      return Effect.fail(new AgentFailed({ description }))
    }),
  lease: (lease) => Effect.ignoreCause(client.Lease(lease)),
  run: (start) =>
    Stream.catchCause(client.Run(start), (cause) =>
      Stream.fail(new AgentLost({ agent: name, problem: whyLost(cause) }))
    ),
  stop: (stop) => Effect.ignoreCause(client.Stop(stop)),
  close: Scope.close(scope, Exit.void)
})

const nameOf = (index: number, count: number): string => `worker ${index + 1} of ${count}`

/**
 * Agents in this thread, each built of its own by `layer` (see `LoadAgentHandlers.layer`). They speak the whole protocol, without bytes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const inProcess = Effect.fn("Fleet.inProcess")(function* <R>(options: {
  readonly count: number
  readonly layer: (index: number) => Layer.Layer<Handlers, never, R>
}): Effect.fn.Return<ReadonlyArray<Agent<AgentFailed>>, never, R | Scope.Scope> {
  return yield* Effect.forEach(Array.from({ length: options.count }), (_, index) =>
    Effect.gen(function* () {
      const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent))
      const handlers = yield* Layer.buildWithScope(Layer.fresh(options.layer(index)), scope)
      const client = yield* RpcTest.makeClient(LoadAgentRpcs, { disableFatalDefects: true }).pipe(
        Effect.provideContext(handlers),
        Scope.provide(scope)
      )
      return agentOf(nameOf(index, options.count), client, scope)
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
}): Effect.fn.Return<ReadonlyArray<Agent<AgentFailed>>, AgentFailed, Scope.Scope> {
  const parent = yield* Effect.scope
  const scopes = yield* Effect.forEach(Array.from({ length: options.count }), () => Scope.fork(parent))
  // All at once: each waits for its thread to end
  yield* Effect.addFinalizer((exit) =>
    Effect.forEach(scopes, (scope) => Scope.close(scope, exit), { concurrency: "unbounded", discard: true })
  )
  return yield* Effect.forEach(
    scopes,
    (scope, index) => {
      const name = nameOf(index, options.count)
      // One protocol for each: the end of a thread fails all calls of its protocol
      return RpcClient.makeProtocolWorker({ size: 1, concurrency: MOST_CALLS }).pipe(
        Effect.flatMap((protocol) =>
          Effect.provideService(RpcClient.make(LoadAgentRpcs, { disableTracing: true }), RpcClient.Protocol, protocol)
        ),
        Effect.provide(NodeWorker.layer(() => options.spawn(index))),
        Effect.mapBoth({
          onSuccess: (client) => agentOf(name, client, scope),
          onFailure: ({ message }) => new AgentFailed({ description: `${name}: ${message}` })
        }),
        Scope.provide(scope)
      )
    },
    { concurrency: "unbounded" }
  )
})
