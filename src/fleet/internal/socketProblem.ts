/** What went wrong with the connection to an agent, in words, and what helps. */
import type { RpcClientError } from "effect/rpc/RpcClientError"

const own = (error: unknown): string | null =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : null

/** Several addresses of a name may have been tried. */
const codeOf = (error: unknown): string | null =>
  own(error) ?? (error instanceof AggregateError && error.errors.length > 0 ? codeOf(error.errors[0]) : null)

const textOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(textOf).join("; ")
  const text = error instanceof Error ? error.message : String(error)
  return text.trim().split("\n", 1)[0] ?? ""
}

const REFUSED_OURS =
  /ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|CERTIFICATE_REVOKED|UNSUPPORTED_CERTIFICATE|HANDSHAKE_FAILURE|ACCESS_DENIED|DECRYPT_ERROR|NO_CERTIFICATE)$/

/** What Node.js says of a host that is not in a certificate, without what is said already. */
const hostsOf = (error: unknown): string =>
  textOf(error)
    .replace(/^.*does not match certificate's altnames:\s*/, "")
    .replace(/:\s*$/, "")

const ofTls = (code: string, error: unknown): string | null => {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_SIGNATURE_FAILURE":
    case "CERT_UNTRUSTED":
      return "its certificate is not signed by the CA in --tls-ca. Give the CA that signed it"
    case "INVALID_CA":
    case "INVALID_PURPOSE":
      return `its certificate is not made for this (${textOf(error)}). Make one for servers, signed by a CA`
    case "ERR_TLS_CERT_ALTNAME_INVALID":
    case "HOSTNAME_MISMATCH":
      return `its certificate is for another host (${hostsOf(error)}). Call it by a name in the certificate, or make one for this name`
    case "CERT_HAS_EXPIRED":
      return "its certificate has expired. Make a new one and start the agent again, unless the clock of this machine is wrong"
    case "CERT_NOT_YET_VALID":
      return "its certificate is not valid yet. Is the clock of this machine wrong?"
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "ERR_SSL_UNEXPECTED_MESSAGE":
    case "ERR_SSL_BAD_RECORD_TYPE":
      return "it does not speak TLS. Start it with --tls-cert, --tls-key and --tls-ca, or leave these out here too"
    default:
      break
  }
  if (/ALERT_PROTOCOL_VERSION$|ERR_SSL_UNSUPPORTED_PROTOCOL$/.test(code))
    return "it speaks another version of TLS than 1.3"
  if (REFUSED_OURS.test(code)) {
    return `it does not accept our certificate (${textOf(error)}). Give one in --tls-cert that the CA of the agent has signed and that has not expired`
  }
  return /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|EPROTO$)/.test(code) ? `TLS failed: ${textOf(error)}` : null
}

const ofNet = (code: string, port: number): string | null => {
  switch (code) {
    case "ECONNREFUSED":
      return `nobody listens there. Start an agent on that machine: llmperf agent --listen …:${port} --token-file …`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "there is no such host, or it cannot be looked up now. Check the name"
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
      return "no way leads to that machine. Check the address and the network"
    case "ETIMEDOUT":
      return "nothing comes back from that machine. Check the address, and whether a firewall lets this port pass"
    default:
      return null
  }
}

/**
 * - `port`: where the agent should be
 * - `isSecure`: whether TLS was asked for
 * - `isFirst`: whether nothing has been heard of it yet
 */
export interface Situation {
  readonly port: number
  readonly isSecure: boolean
  readonly isFirst: boolean
}

/** The other side has closed or broken off the connection. */
const closed = ({ isFirst, isSecure }: Situation): string => {
  if (!isFirst) return "the connection was closed at its side"
  // A certificate that is not accepted is told of in no other way: Node.js says nothing when it finds that out
  return isSecure
    ? "it closes connections without a word. Either it does not accept our certificate: give one in --tls-cert that the CA of the agent has signed. Or it is no agent of llmperf"
    : "it closes connections without a word. Either it wants TLS: give --tls-cert, --tls-key and --tls-ca. Or it is no agent of llmperf"
}

export const socketProblem = (reason: RpcClientError["reason"], situation: Situation): string => {
  const cause = "cause" in reason ? reason.cause : undefined
  const code = codeOf(cause)
  const known = code === null ? null : (ofNet(code, situation.port) ?? ofTls(code, cause))
  if (known !== null) return known
  const isBroken = code === "ECONNRESET" || code === "EPIPE"
  switch (reason._tag) {
    case "SocketOpenError":
      if (reason.kind === "Timeout") {
        return "it does not answer. Check the address, whether a firewall lets this port pass, and whether the agent hangs"
      }
      return isBroken ? closed(situation) : `no connection: ${textOf(cause)}`
    case "SocketReadError":
    case "SocketWriteError":
      if (isBroken) return closed(situation)
      return textOf(cause) === "ping timeout"
        ? "nothing is heard of it any more"
        : `the connection failed: ${textOf(cause)}`
    case "SocketCloseError":
      return closed(situation)
    case "RpcClientDefect":
      return "what it says is not understood. It may be another program, or an agent of a very different version"
    default:
      return reason.message
  }
}
