/** One request to a collector, and what to make of its answer. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import { type HttpBody } from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { type HttpClientError } from "effect/http/HttpClientError"
import * as Result from "effect/Result"
import * as Answer from "./otlpAnswer.ts"

/**
 * - `Taken`: the collector has the message, but for so many `rejected` spans
 * - `Refused`: it will never take it
 * - `TooLarge`, `OtherFormat`: it may take it in parts, or in the other encoding
 * - `Later`: it may take it later; `afterMillis` is what it asked for
 */
export type Outcome =
  | { readonly _tag: "Taken"; readonly rejected: number; readonly problem: string | null }
  | { readonly _tag: "Refused"; readonly problem: string }
  | { readonly _tag: "TooLarge"; readonly problem: string }
  | { readonly _tag: "OtherFormat"; readonly problem: string }
  | { readonly _tag: "Later"; readonly problem: string; readonly afterMillis: number | null }

export interface Options {
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly userAgent: string
  readonly gzip: boolean
  readonly timeoutSeconds: number
}

/** Those that the protocol has clients try again (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response). */
const passing = new Set([429, 502, 503, 504])

/** The innermost of what went wrong says most, such as `connect ECONNREFUSED 127.0.0.1:4318`. */
const innermost = (error: unknown): string => {
  let current = error
  for (let depth = 0; depth < 8 && current instanceof Error && current.cause instanceof Error; depth++) {
    current = current.cause
  }
  if (!(current instanceof Error)) return String(current)
  // Several addresses were tried
  const [first] = current instanceof AggregateError ? current.errors : []
  const shown = first instanceof Error ? first : current
  return shown.message === "" ? shown.name : shown.message
}

const problemOf = ({ reason }: HttpClientError): string =>
  "cause" in reason ? innermost(reason.cause) : reason.message

const askedFor = (header: string | undefined): Effect.Effect<number | null> => {
  const parsed = header === undefined ? undefined : Headers.parseRetryAfter(header)
  return parsed === undefined || Result.isFailure(parsed)
    ? Effect.succeed(null)
    : Effect.map(Clock.currentTimeMillis, (now) =>
        Duration.toMillis(Headers.retryAfterDelay(parsed.success, Number(now)))
      )
}

const outcomeOf = Effect.fnUntraced(function* (
  status: number,
  headers: Headers.Headers,
  bytes: Uint8Array
): Effect.fn.Return<Outcome> {
  const isFailure = status < 200 || status > 299
  const { message, rejected } = Answer.read({ bytes, contentType: headers["content-type"] ?? "", isFailure })
  if (!isFailure) {
    const problem = rejected > 0 ? `${rejected} spans were rejected${message === "" ? "" : `: ${message}`}` : null
    return { _tag: "Taken", rejected, problem }
  }
  const problem = `HTTP ${status}${message === "" ? "" : `: ${message}`}`
  if (passing.has(status)) {
    return { _tag: "Later", problem, afterMillis: yield* askedFor(headers["retry-after"]) }
  }
  return { _tag: status === 413 ? "TooLarge" : status === 415 ? "OtherFormat" : "Refused", problem }
})

/** Posts a message. Never fails; interrupting it closes the connection. */
export const post = Effect.fnUntraced(function* (
  options: Options,
  body: HttpBody
): Effect.fn.Return<Outcome, never, HttpClient.HttpClient> {
  const { gzip, headers, timeoutSeconds, url, userAgent } = options
  const plain = HttpClientRequest.post(url, { headers: { ...headers, "user-agent": userAgent }, body })
  const request = gzip ? yield* HttpClientRequest.compressBody(plain, "gzip") : plain
  return yield* HttpClient.execute(request).pipe(
    Effect.flatMap((response) =>
      Effect.flatMap(response.arrayBuffer, (buffer) =>
        outcomeOf(response.status, response.headers, new Uint8Array(buffer))
      )
    ),
    Effect.catchTag("HttpClientError", (error) =>
      Effect.succeed<Outcome>({ _tag: "Later", problem: problemOf(error), afterMillis: null })
    ),
    Effect.timeoutOrElse({
      duration: timeoutSeconds * 1_000,
      orElse: () =>
        Effect.succeed<Outcome>({ _tag: "Later", problem: `no answer within ${timeoutSeconds} s`, afterMillis: null })
    }),
    // What carries traces is not traced
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.withTracerEnabled(false)
  )
})
