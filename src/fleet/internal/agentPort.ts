import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { type Socket as NetSocket } from "node:net"
import { type AgentAddress } from "../AgentAddress.ts"
import * as Tls from "../Tls.ts"
import * as Admission from "./admission.ts"
import * as Connections from "./connections.ts"
import * as Wire from "./wire.ts"

/** How long a coordinator has to take what it is still told when the agent ends. */
const GOODBYE_MILLIS = 2_000

/**
 * A port that is listened at.
 *
 * - `bound`: where that is; the port may have been chosen
 * - `serve`: serves what is built on connections to it until the scope closes
 */
export interface AgentPort {
  readonly bound: AgentAddress
  readonly serve: <E, R>(
    serving: Layer.Layer<never, E, R>
  ) => Effect.Effect<void, E, Exclude<R, RpcServer.Protocol> | Scope.Scope>
}

/** Why it cannot be listened there, and what to do about it. */
export const explain = (error: unknown): readonly [problem: string, advice: string] => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : null
  switch (code) {
    case "EADDRINUSE":
      return ["that port is in use", "End what listens there, or choose another port; port 0 takes any that is free"]
    case "EACCES":
      return ["this user may not listen there", "Choose a port of 1024 or above"]
    case "EADDRNOTAVAIL":
      return ["this machine does not have that address", "Give one of its own, or 0.0.0.0 for all of them"]
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return ["there is no such host", "Give an address of this machine, or 0.0.0.0 for all of them"]
    default:
      return [`it cannot listen (${error instanceof Error ? error.message : String(error)})`, "Choose another address"]
  }
}

/**
 * Listens by hand, with TLS or without: what Effect Cluster listens with knows no TLS, and leaves on what makes small messages wait
 * (see `runnerLinks.ts`).
 */
export const open = Effect.fnUntraced(function* (options: {
  readonly address: AgentAddress
  readonly credentials: Tls.Credentials | null
  readonly token: Redacted.Redacted
}): Effect.fn.Return<AgentPort, SocketServer.SocketServerError, Scope.Scope> {
  const { address, credentials, token } = options
  const admit = Admission.make(token, yield* Effect.provide(RpcSerialization.RpcSerialization, Wire.layerSerialization))
  const where = { host: address.host, port: address.port, ...Wire.tcp }
  // The end of serving waits until callers have taken what they are told; one that hangs never does
  let goodbye: Fiber.Fiber<void> | null = null
  yield* Effect.addFinalizer(() => (goodbye === null ? Effect.void : Fiber.interrupt(goodbye)))
  const server = yield* credentials === null
    ? NodeSocketServer.make(where)
    : NodeSocketServer.makeTls({ ...where, ...Tls.serverOptions(credentials) })
  const connections = new Set<NetSocket>()
  const watched = SocketServer.SocketServer.of({
    address: server.address,
    run: (handler) =>
      server.run((socket) =>
        Effect.flatMap(Effect.serviceOption(NodeSocket.NetSocket), (connection) => {
          if (connection._tag === "None") return handler(socket)
          const { value } = connection
          connections.add(value)
          return admit(
            value,
            Connections.guarded(socket, () => value),
            handler
          ).pipe(
            // That a connection breaks is nothing to tell the user of an agent
            Effect.catchCauseIf(
              (cause) => Socket.isSocketError(Cause.squash(cause)),
              () => Effect.void
            ),
            Effect.ensuring(Effect.sync(() => connections.delete(value)))
          )
        })
      )
  })
  const breakOff = Effect.sync(() => connections.forEach((connection) => connection.destroy()))
  return {
    bound: {
      host: address.host,
      port: server.address._tag === "UnixPathAddress" ? address.port : server.address.port
    },
    serve: (serving) =>
      Layer.build(
        serving.pipe(
          Layer.provide(RpcServer.layerProtocolSocketServer),
          Layer.provide([Wire.layerSerialization, Layer.succeed(SocketServer.SocketServer, watched)])
        )
      ).pipe(
        Effect.andThen(
          Effect.addFinalizer(() =>
            Effect.map(Effect.forkDetach(Effect.delay(breakOff, GOODBYE_MILLIS)), (fiber) => {
              goodbye = fiber
            })
          )
        )
      )
  }
})
