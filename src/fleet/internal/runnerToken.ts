import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Bearer from "./bearer.ts"

/** Whoever knows the number of a call could end it with such a message. */
const OF_A_CALL = "Envelope"

/**
 * Adds the token to all that Effect Cluster asks. Calls have their own, but what is said about calls has none by itself: that an
 * answer is not wanted any more, or was taken. And a connection must show it soon; see `admission.ts`.
 */
export const carrying = (
  protocol: RpcClient.Protocol["Service"],
  token: Redacted.Redacted
): RpcClient.Protocol["Service"] =>
  RpcClient.Protocol.of({
    ...protocol,
    send: (clientId, message, transferables) =>
      protocol.send(
        clientId,
        message._tag === "Request"
          ? { ...message, headers: [...message.headers, [Bearer.NAME, Bearer.value(token)]] }
          : message,
        transferables
      )
  })

/**
 * Leaves aside what comes without the token.
 *
 * Calls pass: they carry their own, for which the agent asks. So do pings, which tell nothing but that somebody listens. Notices of
 * messages in a mailbox do not: there is none.
 */
export const guarded =
  (token: Redacted.Redacted) =>
  (protocol: RpcServer.Protocol["Service"]): RpcServer.Protocol["Service"] => {
    const isToken = Bearer.check(token)
    const passes = (message: FromClientEncoded): boolean => {
      if (message._tag !== "Request") return true
      switch (message.tag) {
        case "Ping":
        case "Effect":
        case "Stream":
          return true
        case OF_A_CALL:
          return isToken(Bearer.of(message.headers))
        default:
          return false
      }
    }
    return RpcServer.Protocol.of({
      ...protocol,
      run: (onMessage) =>
        protocol.run((clientId, message) => (passes(message) ? onMessage(clientId, message) : Effect.void))
    })
  }
