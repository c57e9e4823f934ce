/**
 * Serves the protocol of agents on a TCP port, with TLS or without, for one coordinator after the other.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Handlers } from "../engine/LoadAgent.ts"
import * as AgentAddress from "./AgentAddress.ts"
import * as AgentToken from "./AgentToken.ts"
import * as AgentPort from "./internal/agentPort.ts"
import type * as Tls from "./Tls.ts"

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
  const port = yield* Effect.mapError(AgentPort.open({ address, credentials, token }), ({ reason }) =>
    failed(...AgentPort.explain(reason.cause))
  )
  yield* port.serve(
    RpcServer.layer(AgentToken.SecuredRpcs, { disableTracing: true, disableFatalDefects: true }).pipe(
      Layer.provide(AgentToken.layerServer(token))
    )
  )
  return port.bound
})
