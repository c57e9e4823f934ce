import type { Reason } from "../../domain/LlmError.ts"

type Code = number | string | null

const http = (code: Code): string => (code === null ? "HTTP" : `HTTP ${code}`)

/** The kinds of failures in words: those that their messages begin with, where these say of what kind they are. */
const kinds: { readonly [tag in Reason["_tag"]]: string | ((code: Code) => string) } = {
  Connect: "Could not connect",
  ConnectionLost: "The connection was lost before the response began",
  Tls: "TLS failed",
  Timeout: (code) => `Timed out (${String(code).replace(/^timeout_/, "")})`,
  HttpStatus: http,
  RateLimited: http,
  InStream: (code) =>
    code === null || code === "in_stream_error" ? "Error in the stream" : `Error in the stream (${code})`,
  Truncated: "The answer was cut off",
  Protocol: "Unexpected answer",
  Internal: "Internal error",
  TooLarge: "The response is too large",
  Cancelled: "Cancelled",
  MissingCredential: "Missing credential"
}

const isTag = (reason: string): reason is Reason["_tag"] => Object.hasOwn(kinds, reason)

/**
 * A kind of failure in words, such as `HTTP 401` or `Could not connect`, wherever people read it. Those of other programs are left as
 * they are.
 */
export const errorKind = (reason: string, code: Code): string => {
  if (!isTag(reason)) return code === null || code === "" || code === reason ? reason : `${reason} ${code}`
  const kind = kinds[reason]
  return typeof kind === "string" ? kind : kind(code)
}

/** The same in the middle of a sentence: `HTTP 401`, `could not connect`. */
export const errorKindInside = (reason: string, code: Code): string =>
  errorKind(reason, code).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())

/** A failure with its message, its kind said once. */
export const errorText = (reason: string, code: Code, message: string): string => {
  const kind = errorKind(reason, code)
  if (message === "") return kind
  return message.startsWith(kind) ? message : `${kind}: ${message}`
}
