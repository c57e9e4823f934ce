import * as LlmError from "../../domain/LlmError.ts"
import * as Json from "./json.ts"
import * as GeminiChunk from "../wire/GeminiChunk.ts"

/** Where the access token of a request came from. */
export type TokenOrigin = "given" | "application-default"

const advice = {
  given:
    "get a new one with `gcloud auth print-access-token` and put it into GCLOUD_ACCESS_TOKEN; without that variable, " +
    "application-default credentials are used and renewed",
  "application-default":
    "it came from application-default credentials; `gcloud auth application-default login` sets them up anew, and a token of " +
    "`gcloud auth print-access-token` in GCLOUD_ACCESS_TOKEN takes their place"
} as const satisfies { readonly [origin in TokenOrigin]: string }

/** `google.rpc.ErrorInfo` reasons: https://cloud.google.com/php/docs/reference/common-protos (`ErrorReason`). */
const expired = /ACCESS_TOKEN_EXPIRED/
const invalid = /ACCESS_TOKEN_TYPE_UNSUPPORTED|invalid authentication credentials/i

/** Reads Google's error object from a body. */
export const errorOf = (body: string): LlmError.InStream | undefined => GeminiChunk.errorOf(Json.parse(body))

/** The same for an API that takes access tokens: what is wrong with one, and what to do about it, is said clearly. */
export const errorWithToken =
  (origin: TokenOrigin) =>
  (body: string): LlmError.InStream | undefined => {
    const error = errorOf(body)
    if (error === undefined || (error.code !== 401 && error.type !== "UNAUTHENTICATED")) return error
    const problem = expired.test(body) ? "has expired" : invalid.test(body) ? "is not valid or has expired" : undefined
    if (problem === undefined) return error
    return new LlmError.InStream({
      description: `The access token ${problem}: ${advice[origin]}. The server said: ${error.description}`,
      code: error.code,
      type: error.type
    })
  }
