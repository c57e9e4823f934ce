import * as MessageStorage from "effect/cluster/MessageStorage"
import { type RunnerAddress } from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as Snowflake from "effect/cluster/Snowflake"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import * as AgentAddress from "../AgentAddress.ts"
import * as Tls from "../Tls.ts"
import * as AgentEntity from "./agentEntity.ts"
import * as Connections from "./connections.ts"
import * as RunnerToken from "./runnerToken.ts"
import { socketProblem } from "./socketProblem.ts"
import * as Wire from "./wire.ts"

/** The connection over which a call was sent is no more. Whether the call has arrived is not known. */
export class LinkLost extends Schema.TaggedError<LinkLost>("llmperf/fleet/LinkLost")("LinkLost", {
  problem: Schema.String
}) {
  override get message(): string {
    return this.problem
  }
}

const OPEN_MILLIS = 3_000

/** How long it is tried to tell an agent that an answer is not wanted. */
const NOTICE_MILLIS = 5_000

/** As in `Sockets`: later than an agent is taken to be lost. */
const pings = { pingInterval: 2_000, pingTimeout: 10_000 } as const

const retryPolicy = Schedule.min([Schedule.exponential(100), Schedule.spaced(1_000)])

/**
 * Connections to runners.
 *
 * - `layer`: what Effect Cluster calls runners with
 * - `lost`: says why the connection to a runner was lost, or could not be made, the last time
 */
export interface RunnerLinks {
  readonly layer: Layer.Layer<Runners.Runners>
  readonly lost: (address: AgentAddress.AgentAddress) => LinkLost
}

/**
 * Connections by hand: those that Effect Cluster makes wait for acknowledgements (Nagle's algorithm, and the delayed
 * acknowledgements of the other side), 88 ms for every report of an agent.
 */
export const make = (options: {
  readonly credentials: Tls.Credentials | null
  readonly token: Redacted.Redacted
  readonly tlsName: string | null
}): RunnerLinks => {
  const { credentials, tlsName, token } = options
  const problems = new Map<string, string>()
  const lost = (address: AgentAddress.AgentAddress) =>
    new LinkLost({ problem: problems.get(AgentAddress.format(address)) ?? "the connection was lost" })

  const watched = (protocol: RpcClient.Protocol["Service"], address: RunnerAddress) => {
    const situation = { port: address.port, isSecure: credentials !== null, isFirst: true }
    return RpcClient.Protocol.of({
      ...protocol,
      run: (clientId, onMessage) =>
        protocol.run(clientId, (message) => {
          if (message._tag !== "ClientProtocolError") situation.isFirst = false
          else problems.set(AgentAddress.format(address), socketProblem(message.error.reason, situation))
          return onMessage(message)
        })
    })
  }

  const protocols = Layer.effect(
    Runners.RpcClientProtocol,
    Effect.map(RpcSerialization.RpcSerialization, (serialization) => ({
      codecFor: serialization.codecFor,
      make: (address: RunnerAddress) => {
        const { host, port } = address
        return Effect.flatMap(
          Connections.dial({
            host,
            port,
            openMillis: OPEN_MILLIS,
            secure: credentials === null ? null : Tls.clientOptions(credentials, tlsName ?? host)
          }),
          (socket) =>
            RpcClient.makeProtocolSocket({ ...pings, retryPolicy }).pipe(
              Effect.map((protocol) => RunnerToken.carrying(watched(protocol, address), token)),
              Effect.provideService(Socket.Socket, socket),
              Effect.provideService(RpcSerialization.RpcSerialization, serialization)
            )
        )
      }
    }))
  ).pipe(Layer.provide(Wire.layerClientSerialization))

  /**
   * Effect Cluster sends a call again when its connection breaks, for as long as it takes: to an agent that was killed and started
   * anew it would carry a run for a second time. So a call that was sent and not answered fails for good here.
   *
   * An agent that says it has not taken its shard yet has not taken the call either: that one is sent again.
   */
  const once = (runners: Runners.Runners["Service"], scope: Scope.Scope): Runners.Runners["Service"] => ({
    ...runners,
    send: (options) => {
      const { message } = options
      const sent = Effect.catchTag(runners.send(options), "RunnerUnavailable", () =>
        message._tag === "OutgoingRequest"
          ? Effect.die(lost(options.address))
          : // That a report was taken, or is not wanted any more: there is nobody left to whom it matters
            Effect.void
      )
      // Nobody waits until an agent has taken note that an answer is not wanted: one that is frozen never does
      return message._tag === "OutgoingEnvelope" && message.envelope._tag === "Interrupt"
        ? Effect.asVoid(
            Effect.forkIn(Effect.timeoutOption(Effect.ignore(sent), NOTICE_MILLIS), scope, { startImmediately: true })
          )
        : sent
    }
  })

  return {
    layer: Layer.effect(Runners.Runners, Effect.zipWith(Runners.makeRpc, Effect.scope, once)).pipe(
      Layer.provide([protocols, MessageStorage.layerNoop, Snowflake.layerGenerator, AgentEntity.layerConfig(null)])
    ),
    lost
  }
}
