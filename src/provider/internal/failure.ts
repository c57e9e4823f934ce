import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as LlmError from "../../domain/LlmError.ts"
import * as Sizes from "./limits.ts"
import { NetError } from "./netError.ts"

/** How far a request had come when its connection failed: `opening`, there was none yet. */
export type Stage = "opening" | "before-answer" | "in-answer"

const text = (error: unknown): string => {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(text).join("; ")
  return error instanceof Error && error.message.trim() !== "" ? withoutLocal(error.message.trim()) : String(error)
}

/** Node.js names the address on this side too, where there is none yet. */
const withoutLocal = (message: string): string => message.replace(/ - Local \(undefined:undefined\)$/, "")

const codeOf = (error: unknown): string | null => {
  if (error instanceof AggregateError) {
    const own = ownCode(error)
    return own ?? codeOf(error.errors[0])
  }
  return ownCode(error)
}

const ownCode = (error: unknown): string | null =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" ? error.code : null

const tlsCode =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|(INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|EPROTO)$)/

/** What helps against a TLS failure, by its code. */
const advice = (code: string): string | undefined => {
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_UNTRUSTED":
      return "nobody whom this computer trusts has signed the certificate; trust its CA with --ca FILE, or verify nothing with --insecure"
    case "ERR_TLS_CERT_ALTNAME_INVALID":
    case "HOSTNAME_MISMATCH":
      return "the certificate is for another host; use a name that is in it, or verify nothing with --insecure"
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return "the server needs a new certificate, unless the clock of this computer is wrong; --insecure verifies nothing"
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "ERR_SSL_HTTP_REQUEST":
      return "the server does not seem to speak TLS on this port; is its address http:// instead of https://?"
    case "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED":
    case "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE":
    case "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE":
    case "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA":
      return "the server may want a certificate of its client: --client-cert FILE and --client-key FILE"
    default:
      return undefined
  }
}

const tls = (description: string, code: string): LlmError.Tls => {
  const help = advice(code)
  return new LlmError.Tls({ description: help === undefined ? description : `${description} (${help})`, code })
}

interface Limits {
  readonly connectSeconds: number
  readonly idleSeconds: number
}

const fromNet = ({ kind, message }: NetError, stage: Stage, limits: Limits): LlmError.Reason => {
  switch (kind) {
    case "connect-timeout":
      return new LlmError.Timeout({ phase: "connect", limitSeconds: limits.connectSeconds })
    case "headers-timeout":
      return new LlmError.Timeout({ phase: "headers", limitSeconds: limits.idleSeconds })
    case "idle-timeout":
      return new LlmError.Timeout({ phase: "idle", limitSeconds: limits.idleSeconds })
    case "not-http":
      return new LlmError.Protocol({ description: `Not HTTP: ${message}` })
    case "too-large":
      return Sizes.tooLarge(message, Sizes.maxHeadBytes)
    case "no-http2":
      return new LlmError.Protocol({ description: message })
    case "unsendable":
      return new LlmError.Protocol({ description: `The request cannot be sent: ${message}` })
    case "cut-off":
      return new LlmError.Truncated({ description: message })
    case "closed":
    case "shut-down":
      return lost(message, null, stage)
  }
}

const lost = (description: string, code: string | null, stage: Stage): LlmError.Reason => {
  switch (stage) {
    case "opening":
      return new LlmError.Connect({ description, code })
    case "before-answer":
      return new LlmError.ConnectionLost({ description, code })
    case "in-answer":
      return new LlmError.Truncated({
        description: `the connection was lost in the middle of the answer: ${description}`
      })
  }
}

/** Translates what a connection reports. Codes: Node.js `errors`, OpenSSL verify. */
export const fromSocket = (error: unknown, stage: Stage, limits: Limits): LlmError.Reason => {
  if (error instanceof NetError) return fromNet(error, stage, limits)
  const code = codeOf(error)
  const description = text(error)
  if (code !== null && tlsCode.test(code)) return tls(description, code)
  return lost(code === null || description.includes(code) ? description : `${description} (${code})`, code, stage)
}

/** Lines of a stack that are kept. */
const stackLines = 6

/** What was thrown: that a request cannot be written, or else a defect of this program or of somebody's own provider. */
export const fromException = (error: unknown, limits: Limits): LlmError.Reason => {
  if (error instanceof NetError) return fromNet(error, "opening", limits)
  const stack = error instanceof Error ? error.stack?.split("\n").slice(0, stackLines).join("\n") : undefined
  return new LlmError.Internal({ description: stack ?? String(error) })
}

/** The same reason with texts that are short enough for a row of the results: some hold what a server has sent. */
export const shortened = (reason: LlmError.Reason): LlmError.Reason => {
  switch (reason._tag) {
    case "InStream": {
      const { code, description, type } = reason
      return new LlmError.InStream({
        description: description.slice(0, Sizes.maxErrorText),
        code: typeof code === "string" ? code.slice(0, Sizes.maxErrorCode) : code,
        type: type === null ? null : type.slice(0, Sizes.maxErrorCode)
      })
    }
    case "Protocol":
      return new LlmError.Protocol({ description: reason.description.slice(0, Sizes.maxErrorText) })
    default:
      return reason
  }
}

const epochMillis = (date: string | undefined): number | undefined =>
  date === undefined || !date.endsWith("GMT")
    ? undefined
    : Option.getOrUndefined(Option.map(DateTime.make(date), DateTime.toEpochMillis))

/**
 * `Retry-After` in seconds, or as a date (RFC 9110 §10.2.3), which counts from the `Date` of the same answer: the clocks of
 * the two sides may differ.
 */
const retryAfterSeconds = (value: string | undefined, date: string | undefined): number | null => {
  if (value === undefined) return null
  if (/^\s*\d{1,15}(\.\d{1,15})?\s*$/.test(value)) return Number(value)
  const from = epochMillis(date)
  const to = epochMillis(value)
  return from === undefined || to === undefined ? null : Math.max(0, (to - from) / 1_000)
}

/** The failure of an answer that is not 200. `message` is the server's own words, taken out of its JSON where it is one. */
export const fromStatus = (
  status: number,
  message: string,
  headers: { readonly [name: string]: string | Array<string> | undefined },
  errorType: string | null = null
): LlmError.Reason => {
  const header = (name: string) => {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  // A proxy of LiteLLM hands on what the API behind it said, under names of its own.
  const asked = header("retry-after") ?? header("llm_provider-retry-after")
  const retryAfter = retryAfterSeconds(asked, header("llm_provider-date") ?? header("date"))
  const location = header("location")
  const body =
    status >= 300 && status < 400 && location !== undefined
      ? `redirected to ${location}, which is not followed; set the API base to the final address`
      : message
  // Older services of AWS answer 400 and tell only by the name of the error that there were too many requests.
  return status === 429 || errorType === "ThrottlingException"
    ? new LlmError.RateLimited({ status, body, retryAfterSeconds: retryAfter })
    : new LlmError.HttpStatus({ status, body, retryAfterSeconds: retryAfter })
}
