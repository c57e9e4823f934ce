/**
 * An agent that coordinators find by themselves: a runner of Effect Cluster that enters itself where they look.
 *
 * It knows of no other agents and calls nobody, but for the database in which it enters itself. When that is away, runs go on.
 *
 * @since 0.2.0
 */
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerServer from "effect/cluster/RunnerServer"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { Headers } from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Scope from "effect/Scope"
import { AgentFailed, type Handlers, LoadAgentRpcs } from "../engine/LoadAgent.ts"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentServer from "./AgentServer.ts"
import * as AgentToken from "./AgentToken.ts"
import { type ClusterAddress } from "./ClusterAddress.ts"
import * as AgentEntity from "./internal/agentEntity.ts"
import * as LocalRunners from "./internal/localRunners.ts"
import { openDirectory } from "./internal/openDirectory.ts"
import * as AgentPort from "./internal/agentPort.ts"
import * as RunnerToken from "./internal/runnerToken.ts"

/**
 * - `cluster`: where coordinators look for agents
 * - `advertise`: where they reach this one, which is also its name; `null` when that is where it listens. Of a pod: its address, and
 *   the port that coordinators are told
 * - `onNotice`: is told when it cannot say any more that it is there, and when it can again
 * - the rest: see `AgentServer`
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends AgentServer.Options {
  readonly cluster: ClusterAddress
  readonly advertise: AgentAddress.AgentAddress | null
  readonly onNotice?: ((notice: string) => Effect.Effect<void>) | undefined
}

/** What the handlers of a call are told beside its payload. */
const call = ({ headers, requestId }: { readonly headers: Headers; readonly requestId: bigint | string }) => ({
  client: new Rpc.ServerClient(0),
  requestId: RequestId(String(requestId)),
  headers
})

/** The handlers of the protocol, as those of an entity, which are given calls in an envelope. */
const handlers = Effect.gen(function* () {
  const hello = yield* LoadAgentRpcs.accessHandler("Hello")
  const clock = yield* LoadAgentRpcs.accessHandler("Clock")
  const prepare = yield* LoadAgentRpcs.accessHandler("Prepare")
  const lease = yield* LoadAgentRpcs.accessHandler("Lease")
  const run = yield* LoadAgentRpcs.accessHandler("Run")
  const decide = yield* LoadAgentRpcs.accessHandler("Decide")
  const stop = yield* LoadAgentRpcs.accessHandler("Stop")
  const account = yield* LoadAgentRpcs.accessHandler("Account")
  const collect = yield* LoadAgentRpcs.accessHandler("Collect")
  const release = yield* LoadAgentRpcs.accessHandler("Release")
  return AgentEntity.LoadAgent.of({
    Hello: (envelope) => hello(envelope.payload, call(envelope)),
    Clock: (envelope) => clock(envelope.payload, call(envelope)),
    Prepare: (envelope) => prepare(envelope.payload, call(envelope)),
    Lease: (envelope) => lease(envelope.payload, call(envelope)),
    Run: (envelope) => run(envelope.payload, call(envelope)),
    Decide: (envelope) => decide(envelope.payload, call(envelope)),
    Stop: (envelope) => stop(envelope.payload, call(envelope)),
    Account: (envelope) => account(envelope.payload, call(envelope)),
    Collect: (envelope) => collect(envelope.payload, call(envelope)),
    Release: (envelope) => release(envelope.payload, call(envelope))
  })
})

/**
 * The agent as an entity: calls are worked on at the same time, a mistake of ours in one of them ends that one only, and the entity
 * stays although nobody calls it.
 */
const entity = AgentEntity.LoadAgent.toLayer(handlers, {
  concurrency: "unbounded",
  disableFatalDefects: true,
  maxIdleTime: Infinity
})

/** All addresses of a machine, which are none at which it could be called. */
const anywhere = new Set(["0.0.0.0", "::"])

const asFailed = ({ message }: { readonly message: string }) => new AgentFailed({ description: message })

/**
 * Serves until the scope closes, and can be found for as long. Gives its name: where coordinators reach it.
 *
 * It fails when it cannot listen, and when what coordinators look into cannot be told of it.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("ClusterAgent.make")(function* (
  options: Options
): Effect.fn.Return<
  AgentAddress.AgentAddress,
  AgentServer.ListenError | AgentFailed,
  Handlers | Scope.Scope | FileSystem.FileSystem
> {
  const { address, advertise, cluster, credentials, insecure = false, token } = options
  const failed = (problem: string, advice: string) =>
    new AgentServer.ListenError({ address: AgentAddress.format(address), problem, advice })
  if (credentials === null && !insecure && !AgentAddress.isLoopback(address)) {
    return yield* failed(
      "without TLS, everybody on the way can read the token and all prompts",
      "Give --tls-cert, --tls-key and --tls-ca, or listen on 127.0.0.1; --insecure-listen does it all the same"
    )
  }
  if (anywhere.has((advertise ?? address).host) || advertise?.port === 0) {
    return yield* failed(
      "nobody can call it there: that is no single address of this machine",
      "Say with --advertise host:port where coordinators reach it"
    )
  }
  const directory = yield* Effect.mapError(openDirectory(cluster, options.onNotice), asFailed)
  const port = yield* Effect.mapError(AgentPort.open({ address, credentials, token }), ({ reason }) =>
    failed(...AgentPort.explain(reason.cause))
  )
  const own = advertise ?? port.bound

  const sharding = Sharding.layer.pipe(
    Layer.provide([
      AgentEntity.layerConfig(own),
      LocalRunners.layer([AgentEntity.toRunner(own)]),
      // It calls no other runner, and looks after none: coordinators find out for themselves who answers
      Runners.layerNoop.pipe(Layer.provide([AgentEntity.layerConfig(own), MessageStorage.layerNoop])),
      RunnerHealth.layerNoop,
      MessageStorage.layerNoop
    ])
  )
  yield* port.serve(
    Layer.merge(RunnerServer.layer, entity).pipe(
      Layer.provide([sharding, MessageStorage.layerNoop, AgentToken.layerServer(token)]),
      Layer.updateService(RpcServer.Protocol, RunnerToken.guarded(token))
    )
  )
  yield* Effect.mapError(directory.announce(own), asFailed)
  return own
})
