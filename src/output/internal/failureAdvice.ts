import { type LlmError } from "../../domain/LlmError.ts"
import { type ErrorGroup } from "../../domain/Summary.ts"
import { exhaustedIn } from "../../metrics/Verdict.ts"
import { errorKindInside } from "./errorKind.ts"
import { withoutJson } from "./plainWords.ts"
import * as Text from "./text.ts"

/**
 * What was asked, for advice that names it: the address, and the environment variable that would hold the key, where none is sent because
 * that is not set. `null` where it is not known.
 */
export interface Asked {
  readonly url: string | null
  readonly unsetKey: string | null
}

export const nothingKnown: Asked = { url: null, unsetKey: null }

/**
 * What is known of a failure.
 *
 * - `reason`: the tag of an `LlmError`'s reason; `code`: its error code
 * - `system`: what the operating system or the proxy said, such as `ECONNREFUSED`
 * - `said`: the server's own words, `""` where there are none or they stand above
 * - `remedy`: what helps against limits
 */
interface Failure {
  readonly reason: string
  readonly code: number | string | null
  readonly system: string | null
  readonly retryAfterSeconds: number | null
  readonly said: string
  readonly remedy: string
}

const LOWER = "Lower --request-rate or --num-concurrent-requests."

const RAISE =
  "this machine has run out of files, ports or memory. Raise its limits (ulimit -n), or have fewer requests in flight."

const systemOf = (example: string): string | null => /\b(?:PROXY_[A-Z_]+|E[A-Z_]{4,})\b/.exec(example)?.[0] ?? null

const limited = (retryAfterSeconds: number | null): string =>
  retryAfterSeconds === null
    ? "the server limits how often it may be asked"
    : `the server asks to wait ${Number(retryAfterSeconds.toPrecision(3))} s`

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** What to try after such a failure; `null` where its message says all there is to say. */
const advice = (
  { code, reason, remedy, retryAfterSeconds, said, system }: Failure,
  { unsetKey, url }: Asked
): string | null => {
  switch (reason) {
    case "Connect":
      if (system?.startsWith("PROXY_") === true) return null
      if (exhaustedIn(system ?? "") !== null) return capital(RAISE)
      if (system === "ECONNREFUSED") {
        return `Nothing listens at ${url ?? "this address"}: is the server running, and are host and port right?`
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
      if ((code === 401 || code === 403) && unsetKey !== null) {
        return `No key was sent: ${unsetKey} is not set, which is allowed for servers on this computer and in private networks. Set it, or give the header that carries the key with -H.`
      }
      if (code === 401 || code === 403) {
        return "The server does not accept the credentials: check that the variable of this API holds the right key (llmperf probe shows how long what it sent was), and that the key may use this model."
      }
      if (code === 404 || code === 405) {
        return `There is no such path or model${url === null ? "" : ` at ${url}`}: compare the path with what the server offers (--api-base sets it), and --model with its list of models.`
      }
      if (code === 400 || code === 422) {
        return `The server rejected the request${said === "" ? "" : ` (${said})`}: compare its message with the request that llmperf probe shows. --additional-sampling-params changes fields; a null there removes one.`
      }
      return typeof code === "number" && code >= 500
        ? "The server, or something in front of it, has failed: see its logs."
        : null
    case "RateLimited":
      return `${capital(limited(retryAfterSeconds))}${said === "" ? "" : ` (${said})`}. ${remedy}`
    case "Truncated":
      return "The answer broke off: something in between may cut long answers, such as a proxy with a time limit, or the server has failed."
    case "Protocol":
      return "The answer is not what this API promises: check --llm-api, --endpoint and --api-base."
    default:
      return null
  }
}

/** Of the one request that `probe` sends, whose message is shown. */
export const ofError = ({ errorCode, reason }: LlmError, asked: Asked = nothingKnown): string | null =>
  advice(
    {
      reason: reason._tag,
      code: errorCode,
      system: reason._tag === "Connect" ? reason.code : null,
      retryAfterSeconds: reason._tag === "RateLimited" ? reason.retryAfterSeconds : null,
      said: "",
      remedy: "Try again later."
    },
    asked
  )

/** Longer messages are cut here; the files have all of them. */
const MOST_SAID = 200

/** The server's own words, without the status before them. */
const saidIn = (example: string): string =>
  Text.truncate(Text.oneLine(withoutJson(example.replace(/^HTTP \d+(: )?/, ""))), MOST_SAID)

/** Of failures of one kind, by the message of the first. */
export const ofGroup = ({ code, example, reason, retry_after_s }: ErrorGroup, asked: Asked): string | null =>
  advice(
    {
      reason,
      code,
      system: systemOf(example),
      retryAfterSeconds: retry_after_s ?? null,
      said: saidIn(example),
      remedy: LOWER
    },
    asked
  )

/** What failures say of a server that has answered others well. */
const someFailed = ({ code, example, reason, retry_after_s }: ErrorGroup): string | null => {
  switch (reason) {
    case "RateLimited":
      return `${limited(retry_after_s ?? null)}. ${LOWER}`
    case "Connect":
    case "ConnectionLost":
      if (exhaustedIn(example) !== null) return RAISE
      return "the server, or something in front of it, was down for a time or takes no more connections. See its logs."
    case "Truncated":
      return "something in between may cut long answers, such as a proxy with a time limit, or the server has failed. See its logs."
    case "Timeout":
      return code === "timeout_total"
        ? "--request-timeout sets how long to wait for the whole answer."
        : "the server was too slow, or overloaded. --idle-timeout sets how long to wait for the next bytes."
    case "HttpStatus": {
      if (code === 401 || code === 403) return "the key has expired, or may not be used so often."
      if (typeof code === "number" && code >= 500)
        return "the server, or something in front of it, has failed. See its logs."
      const said = saidIn(example)
      return said === "" ? null : `the server says: ${said}`
    }
    default:
      return null
  }
}

/** In a line, of failures of one kind among `started` requests of which others succeeded. */
export const ofSome = (group: ErrorGroup, started: number): string | null => {
  const text = someFailed(group)
  const { code, count, reason } = group
  const kind = typeof code === "number" ? `HTTP ${code}` : errorKindInside(reason, code)
  return text === null ? null : `${count} of ${started} failed (${Text.oneLine(kind)}): ${text}`
}
