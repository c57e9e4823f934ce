import * as Redacted from "effect/Redacted"
import { type AwsCredentials } from "../../src/provider/AwsCredentials.ts"
import { type Expected } from "./simulated.ts"

/** What is particular to AWS when its adapters ask the simulated server, which checks their signatures. */

/** Of the account that the server knows, unless changed. */
export const credentials = (
  changes: { readonly id?: string; readonly secret?: string; readonly token?: string } = {}
): AwsCredentials => ({
  accessKeyId: changes.id ?? "test",
  secretAccessKey: Redacted.make(changes.secret ?? "secret"),
  sessionToken: changes.token === undefined ? null : Redacted.make(changes.token)
})

/** Credentials that the server refuses, and what it says. */
export const refusals: ReadonlyArray<readonly [AwsCredentials, RegExp]> = [
  [
    credentials({ secret: "not-it" }),
    /^HTTP 403: InvalidSignatureException: The request signature we calculated does not match/
  ],
  [
    credentials({ id: "other" }),
    /^HTTP 403: UnrecognizedClientException: The security token included in the request is invalid/
  ],
  [
    credentials({ token: "expired" }),
    // The token is not shown, and it is a word of the message.
    /^HTTP 403: The AWS credentials have \*\*\* and must be renewed \(ExpiredTokenException: The security token .* is \*\*\*\)$/
  ]
]

/** The names that a service has for what it refuses, which stand in a header. */
export interface Names {
  readonly unauthorized: string
  readonly notFound: string
  readonly internal: string
  readonly overloaded: string
}

/** What is not understood in frames is a wrong checksum. */
export const faults = (names: Names) =>
  ({
    "401": { reason: "HttpStatus", code: 401, message: saying(401, names.unauthorized, "The key is not valid.") },
    "404": { reason: "HttpStatus", code: 404, message: saying(404, names.notFound, "The model .* does not exist.") },
    "429": {
      reason: "RateLimited",
      code: 429,
      message: saying(429, "ThrottlingException", "Rate limit reached for requests.")
    },
    "500": { reason: "HttpStatus", code: 500, message: saying(500, names.internal, "The server had an error.") },
    "503": { reason: "HttpStatus", code: 503, message: saying(503, names.overloaded, "The server is overloaded.") },
    "cut:3": { reason: "Truncated", code: "truncated", message: /the stream ended/, chunks: 3 },
    "garbage:3": { reason: "Protocol", code: "protocol_error", message: /checksum/, chunks: 3 }
  }) as const satisfies { readonly [fault: string]: Expected }

const saying = (status: number, name: string, message: string): RegExp =>
  new RegExp(`^HTTP ${status}: ${name}: ${message}$`)
