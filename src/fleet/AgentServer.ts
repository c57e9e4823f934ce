/**
 * Serves the protocol of agents on a TCP port, with TLS or without, for one coordinator after the other.
 *
 * @since 0.2.0
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { type Socket as NetSocket } from "node:net"
import { type Handlers } from "../engine/LoadAgent.ts"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentToken from "./AgentToken.ts"
import * as Connections from "./internal/connections.ts"
import * as Wire from "./internal/wire.ts"
import * as Tls from "./Tls.ts"

/**
 * - `address`: where to listen; port 0 takes any that is free
 * - `token`: what callers must know
 * - `credentials`: for TLS; `null` for none
 * - `insecure`: without TLS it listens only where nobody outside this machine reaches it, unless this is set
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly address: AgentAddress.AgentAddress
  readonly token: Redacted.Redacted
  readonly credentials: Tls.Credentials | null
  readonly insecure?: boolean | undefined
}

/**
 * It cannot listen at `address`. `advice` says what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class ListenError extends Schema.TaggedError<ListenError>("llmperf/fleet/ListenError")("ListenError", {
  address: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `--listen ${this.address}: ${this.problem}. ${this.advice}`
  }
}

/** How long a coordinator has to take what it is still told when the agent ends. */
const GOODBYE_MILLIS = 2_000

const explain = (error: unknown): readonly [problem: string, advice: string] => {
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

/** Where it listens: the port may have been chosen, the host is as it was given. */
const boundTo = ({ host, port }: AgentAddress.AgentAddress, server: SocketServer.SocketServer["Service"]) => ({
  host,
  port: server.address._tag === "UnixPathAddress" ? port : server.address.port
})

const listen = Effect.fnUntraced(function* ({ address, credentials }: Options) {
  const where = { host: address.host, port: address.port, ...Wire.tcp }
  const server = yield* credentials === null
    ? NodeSocketServer.make(where)
    : NodeSocketServer.makeTls({ ...where, ...Tls.serverOptions(credentials) })
  const open = new Set<NetSocket>()
  const watched = SocketServer.SocketServer.of({
    address: server.address,
    run: (handler) =>
      server.run((socket) =>
        Effect.flatMap(Effect.serviceOption(NodeSocket.NetSocket), (connection) => {
          if (connection._tag === "None") return handler(socket)
          const { value } = connection
          open.add(value)
          return handler(Connections.guarded(socket, () => value)).pipe(
            // That a connection breaks is nothing to tell the user of an agent
            Effect.catchCauseIf(
              (cause) => Socket.isSocketError(Cause.squash(cause)),
              () => Effect.void
            ),
            Effect.ensuring(Effect.sync(() => open.delete(value)))
          )
        })
      )
  })
  return { server: watched, breakOff: Effect.sync(() => open.forEach((connection) => connection.destroy())) }
})

/**
 * Serves until the scope closes; then calls that are being worked on are interrupted, of which their callers are told. Gives
 * where it listens.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("AgentServer.make")(function* (
  options: Options
): Effect.fn.Return<AgentAddress.AgentAddress, ListenError, Handlers | Scope.Scope> {
  const { address, credentials, insecure = false, token } = options
  const failed = (problem: string, advice: string) =>
    new ListenError({ address: AgentAddress.format(address), problem, advice })
  if (credentials === null && !insecure && !AgentAddress.isLoopback(address)) {
    return yield* failed(
      "without TLS, everybody on the way can read the token and all prompts",
      "Give --tls-cert, --tls-key and --tls-ca, or listen on 127.0.0.1; --insecure-listen does it all the same"
    )
  }
  // The end of serving waits until callers have taken what they are told; one that hangs never does.
  let goodbye: Fiber.Fiber<void> | null = null
  yield* Effect.addFinalizer(() => (goodbye === null ? Effect.void : Fiber.interrupt(goodbye)))
  const { breakOff, server } = yield* Effect.mapError(listen(options), ({ reason }) => failed(...explain(reason.cause)))
  const serving = RpcServer.layer(AgentToken.SecuredRpcs, { disableTracing: true, disableFatalDefects: true }).pipe(
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provide([
      AgentToken.layerServer(token),
      Wire.layerSerialization,
      Layer.succeed(SocketServer.SocketServer, server)
    ])
  )
  yield* Layer.build(serving)
  yield* Effect.addFinalizer(() =>
    Effect.map(Effect.forkDetach(Effect.delay(breakOff, GOODBYE_MILLIS)), (fiber) => {
      goodbye = fiber
    })
  )
  return boundTo(address, server)
})
