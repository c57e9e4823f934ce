import { type LlmError } from "../../domain/LlmError.ts"
import { type ErrorGroup } from "../../domain/Summary.ts"

/**
 * What is known of a failure.
 *
 * - `reason`: the tag of an `LlmError`'s reason; `code`: its error code
 * - `system`: what the operating system or the proxy said, such as `ECONNREFUSED`
 */
interface Failure {
  readonly reason: string
  readonly code: number | string | null
  readonly system: string | null
  readonly retryAfterSeconds: number | null
}

/** What to try after such a failure; `null` where its message says all there is to say. */
const advice = ({ code, reason, retryAfterSeconds, system }: Failure): string | null => {
  switch (reason) {
    case "Connect":
      if (system?.startsWith("PROXY_") === true) return null
      if (system === "ECONNREFUSED") {
        return "Nothing listens at this address: is the server running, and are host and port right?"
      }
      if (system === "ENOTFOUND" || system === "EAI_AGAIN") {
        return "The host name is not known here: check --api-base, or reach it through --proxy."
      }
      return "No connection could be opened: check host and port, and whether a firewall or a proxy is in between."
    case "ConnectionLost":
      return "The connection was closed before an answer came: is this the right port, and does the server speak HTTP/1.1 there?"
    case "TooLarge":
      return "No LLM server sends that much: is this the right address?"
    case "Timeout":
      switch (code) {
        case "timeout_connect":
          return "The server does not react: a firewall may be in between; check host and port, or try --proxy."
        case "timeout_headers":
          return "The server took the request and said nothing: it may still be loading the model, or be busy. --idle-timeout sets how long to wait."
        case "timeout_idle":
          return "The server fell silent within the answer. --idle-timeout sets how long to wait."
        default:
          return "--request-timeout sets how long to wait for the whole answer."
      }
    case "HttpStatus":
      if (code === 401 || code === 403) {
        return "The server does not accept the credentials: check that the variable of this API holds the right key (llmperf probe shows how long what it sent was), and that the key may use this model."
      }
      if (code === 404 || code === 405) {
        return "There is no such path or model: compare the address above with what the server offers, and --model with its list of models."
      }
      if (code === 400 || code === 422) {
        return "The server rejected the request: see its message, and what llmperf probe shows of the request. --additional-sampling-params changes fields; a null there removes one."
      }
      return typeof code === "number" && code >= 500
        ? "The server, or something in front of it, has failed: see its logs."
        : null
    case "RateLimited":
      return retryAfterSeconds === null
        ? "The server limits how much it may be asked: wait, or ask less."
        : `The server limits how much it may be asked: try again in ${retryAfterSeconds} s.`
    case "Truncated":
      return "The answer broke off: something in between may cut long answers, such as a proxy with a time limit, or the server has failed."
    case "Protocol":
      return "The answer is not what this API promises: check --llm-api, --endpoint and --api-base."
    default:
      return null
  }
}

export const ofError = ({ errorCode, reason }: LlmError): string | null =>
  advice({
    reason: reason._tag,
    code: errorCode,
    system: reason._tag === "Connect" ? reason.code : null,
    retryAfterSeconds: reason._tag === "RateLimited" ? reason.retryAfterSeconds : null
  })

/** Of failures of one kind, by the message of the first. */
export const ofGroup = ({ code, example, reason }: ErrorGroup): string | null =>
  advice({
    reason,
    code,
    system: /\b(?:PROXY_[A-Z_]+|E[A-Z_]{4,})\b/.exec(example)?.[0] ?? null,
    retryAfterSeconds: null
  })
