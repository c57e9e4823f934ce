/**
 * What can go wrong with a connection beside what the system and TLS report.
 *
 * - `connect-timeout`, `headers-timeout`, `idle-timeout`: a time limit
 * - `closed`: the other side closed the connection before the response began, or while it was being opened
 * - `cut-off`: it did so within the answer
 * - `not-http`: what came is no HTTP, or no good HTTP
 * - `too-large`: the headers, or what stands in their place, are larger than is taken; the message says what
 * - `no-http2`: the server does not speak it
 * - `unsendable`: the request cannot be written as HTTP
 * - `shut-down`: we are closing everything
 */
export type Kind =
  | "connect-timeout"
  | "headers-timeout"
  | "idle-timeout"
  | "closed"
  | "cut-off"
  | "not-http"
  | "too-large"
  | "no-http2"
  | "unsendable"
  | "shut-down"

/** A connection failed for a reason of HTTP's or ours. */
export class NetError extends Error {
  override readonly name = "NetError"
  readonly kind: Kind

  constructor(kind: Kind, message: string) {
    super(message)
    this.kind = kind
  }
}
