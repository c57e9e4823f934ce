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
  [credentials({ secret: "not-it" }), /^HTTP 403: The request signature we calculated does not match/],
  [credentials({ id: "other" }), /^HTTP 403: The security token included in the request is invalid/],
  [
    credentials({ token: "expired" }),
    // The token is not shown, and it is a word of the message.
    /^HTTP 403: The AWS credentials have \*\*\* and must be renewed \(The security token .* is \*\*\*\)$/
  ]
]

/** What is not understood in frames is a wrong checksum. */
export const faults = {
  "cut:3": { reason: "Truncated", code: "truncated", message: /the stream ended/, chunks: 3 },
  "garbage:3": { reason: "Protocol", code: "protocol_error", message: /checksum/, chunks: 3 }
} as const satisfies { readonly [fault: string]: Expected }
