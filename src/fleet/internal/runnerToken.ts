import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import type { FromClientEncoded } from "effect/rpc/RpcMessage"
import * as RpcServer from "effect/rpc/RpcServer"
import { createHash, timingSafeEqual } from "node:crypto"

const bearer = (token: Redacted.Redacted): string => `Bearer ${Redacted.value(token)}`

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Whoever knows the number of a call could end it with such a message. */
const OF_A_CALL = "Envelope"

/** Adds the token to what Effect Cluster says about calls, which has none by itself: that an answer is not wanted any more, or was taken. */
export const carrying = (
  protocol: RpcClient.Protocol["Service"],
  token: Redacted.Redacted
): RpcClient.Protocol["Service"] =>
  RpcClient.Protocol.of({
    ...protocol,
    send: (clientId, message, transferables) =>
      protocol.send(
        clientId,
        message._tag === "Request" && message.tag === OF_A_CALL
          ? { ...message, headers: [...message.headers, ["authorization", bearer(token)]] }
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
    const expected = digest(bearer(token))
    const passes = (message: FromClientEncoded): boolean => {
      if (message._tag !== "Request") return true
      switch (message.tag) {
        case "Ping":
        case "Effect":
        case "Stream":
          return true
        case OF_A_CALL: {
          const given = message.headers.find(([name]) => name === "authorization")
          return timingSafeEqual(digest(given?.[1] ?? ""), expected)
        }
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
