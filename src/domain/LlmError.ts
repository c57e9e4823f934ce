/**
 * Why a request failed: one error, `LlmError`, whose tagged `reason` says what happened.
 *
 * Every failed request becomes a row in the results. `error_code` of that row is `LlmError.errorCode`, `error_msg` is
 * `LlmError.message`, `error_reason` is the tag of the reason.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * No connection could be opened (refused, unreachable, DNS, a proxy that refuses).
 *
 * @category reasons
 * @since 0.1.0
 */
export class Connect extends Schema.TaggedError<Connect>("llmperf/domain/LlmError/Connect")("Connect", {
  description: Schema.String,
  code: Schema.NullOr(Schema.String)
}) {
  get errorCode(): number | string {
    return "connect_error"
  }
  override get message(): string {
    return `Could not connect: ${this.description}`
  }
}

/**
 * A connection that stood was closed or reset before the first byte of the answer. What the server did with the request is
 * not known.
 *
 * @category reasons
 * @since 0.2.0
 */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("llmperf/domain/LlmError/ConnectionLost")(
  "ConnectionLost",
  { description: Schema.String, code: Schema.NullOr(Schema.String) }
) {
  get errorCode(): number | string {
    return "connection_lost"
  }
  override get message(): string {
    return `The connection was lost before the response began: ${this.description}`
  }
}

/**
 * The TLS handshake failed (untrusted or expired certificate, wrong host name, protocol mismatch).
 *
 * @category reasons
 * @since 0.1.0
 */
export class Tls extends Schema.TaggedError<Tls>("llmperf/domain/LlmError/Tls")("Tls", {
  description: Schema.String,
  code: Schema.NullOr(Schema.String)
}) {
  get errorCode(): number | string {
    return "tls_error"
  }
  override get message(): string {
    return `TLS failed: ${this.description}`
  }
}

/**
 * The phases of a request that can time out: opening the connection, waiting for the headers of the answer, waiting for
 * its next bytes, or the request as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export const TimeoutPhase = Schema.Literals(["connect", "headers", "idle", "total"])

/**
 * @category models
 * @since 0.1.0
 */
export type TimeoutPhase = typeof TimeoutPhase.Type

/**
 * A time limit set by the user passed. `limitSeconds` is that limit.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Timeout extends Schema.TaggedError<Timeout>("llmperf/domain/LlmError/Timeout")("Timeout", {
  phase: TimeoutPhase,
  limitSeconds: Schema.Finite
}) {
  get errorCode(): number | string {
    return `timeout_${this.phase}`
  }
  override get message(): string {
    return `Timed out (${this.phase}) after ${this.limitSeconds} s`
  }
}

/**
 * The server answered with a status that is not 200. `body` is the text it gave, cut at a few thousand characters.
 *
 * @category reasons
 * @since 0.1.0
 */
export class HttpStatus extends Schema.TaggedError<HttpStatus>("llmperf/domain/LlmError/HttpStatus")("HttpStatus", {
  status: Schema.Int,
  body: Schema.String,
  retryAfterSeconds: Schema.NullOr(Schema.Finite)
}) {
  get errorCode(): number | string {
    return this.status
  }
  override get message(): string {
    return this.body === "" ? `HTTP ${this.status}` : `HTTP ${this.status}: ${this.body}`
  }
}

/**
 * The server refused because of its limits (429). `retryAfterSeconds` is what it asked for, if it said.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("llmperf/domain/LlmError/RateLimited")("RateLimited", {
  status: Schema.Int,
  body: Schema.String,
  retryAfterSeconds: Schema.NullOr(Schema.Finite)
}) {
  get errorCode(): number | string {
    return this.status
  }
  override get message(): string {
    return this.body === "" ? `HTTP ${this.status}` : `HTTP ${this.status}: ${this.body}`
  }
}

/**
 * The server sent an error object inside a stream that had begun with 200. `code` is its code, when it gave one.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InStream extends Schema.TaggedError<InStream>("llmperf/domain/LlmError/InStream")("InStream", {
  description: Schema.String,
  code: Schema.NullOr(Schema.Union([Schema.Finite, Schema.String])),
  type: Schema.NullOr(Schema.String)
}) {
  get errorCode(): number | string {
    return this.code ?? "in_stream_error"
  }
  override get message(): string {
    return this.description === "" ? "The server reported an error in the stream" : this.description
  }
}

/**
 * The answer ended before it was complete: the connection was reset or closed in the middle of the stream, or the
 * stream ended without a terminator and without a finish reason.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Truncated extends Schema.TaggedError<Truncated>("llmperf/domain/LlmError/Truncated")("Truncated", {
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "truncated"
  }
  override get message(): string {
    return `The answer was cut off: ${this.description}`
  }
}

/**
 * The server sent something that is not what its API promises (an HTML page, broken JSON, an unknown encoding).
 *
 * @category reasons
 * @since 0.1.0
 */
export class Protocol extends Schema.TaggedError<Protocol>("llmperf/domain/LlmError/Protocol")("Protocol", {
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "protocol_error"
  }
  override get message(): string {
    return this.description
  }
}

/**
 * A defect in llmperf or in a provider of your own: an exception that nobody caught. `description` has its stack.
 *
 * @category reasons
 * @since 0.2.0
 */
export class Internal extends Schema.TaggedError<Internal>("llmperf/domain/LlmError/Internal")("Internal", {
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "internal_error"
  }
  override get message(): string {
    return `Internal error: ${this.description}`
  }
}

/**
 * The server sent more than is read: an event without end, an endless answer, headers or JSON beyond a limit. `description`
 * names the limit; the limits are in `docs/network.md`.
 *
 * @category reasons
 * @since 0.2.0
 */
export class TooLarge extends Schema.TaggedError<TooLarge>("llmperf/domain/LlmError/TooLarge")("TooLarge", {
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "too_large"
  }
  override get message(): string {
    return `The response is too large: ${this.description}`
  }
}

/**
 * llmperf itself ended the request: the time of the test was over, or the user stopped it.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Cancelled extends Schema.TaggedError<Cancelled>("llmperf/domain/LlmError/Cancelled")("Cancelled", {
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "cancelled"
  }
  override get message(): string {
    return this.description
  }
}

/**
 * A credential or address that the provider needs is not set. `variable` is the environment variable to set.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MissingCredential extends Schema.TaggedError<MissingCredential>(
  "llmperf/domain/LlmError/MissingCredential"
)("MissingCredential", {
  variable: Schema.String,
  description: Schema.String
}) {
  get errorCode(): number | string {
    return "missing_credential"
  }
  override get message(): string {
    return `${this.variable} must be set: ${this.description}`
  }
}

/**
 * All reasons.
 *
 * @category reasons
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  Connect,
  ConnectionLost,
  Tls,
  Timeout,
  HttpStatus,
  RateLimited,
  InStream,
  Truncated,
  Protocol,
  Internal,
  TooLarge,
  Cancelled,
  MissingCredential
])

/**
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * A request failed. Catch it by its reason with `Effect.catchReason("LlmError", "RateLimited", …)`.
 *
 * @category errors
 * @since 0.1.0
 */
export class LlmError extends Schema.TaggedError<LlmError>("llmperf/domain/LlmError")("LlmError", { reason: Reason }) {
  /** The number or name that stands as `error_code` in the results: an HTTP status, a server's code, or our own name. */
  get errorCode(): number | string {
    return this.reason.errorCode
  }
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Wraps a reason: `fromReason(new Truncated({ description: "…" }))`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromReason = (reason: Reason): LlmError => new LlmError({ reason })
