import * as LlmError from "../../domain/LlmError.ts"
import * as Fault from "../../simulator/Fault.ts"

/** An answer in place of the model's, as the client sees it. */
export interface Refusal {
  readonly status: number
  readonly rateLimit: { readonly [name: string]: string } | null
  readonly reason: LlmError.Reason
}

const refused = (status: number, body: string, retryAfterSeconds: number | null = null): Refusal => ({
  status,
  rateLimit: retryAfterSeconds === null ? null : { "retry-after": `${retryAfterSeconds}` },
  reason: new LlmError.HttpStatus({ status, body, retryAfterSeconds })
})

const page = (title: string): string =>
  `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`

const rateLimited: Refusal = {
  status: 429,
  rateLimit: {
    "retry-after": "1",
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "1s"
  },
  reason: new LlmError.RateLimited({ status: 429, body: "Rate limit reached for requests.", retryAfterSeconds: 1 })
}

const signIn: Refusal = {
  status: 200,
  rateLimit: null,
  reason: new LlmError.Protocol({
    description: `The server did not stream (text/html; charset=utf-8): ${page("Sign in")}`
  })
}

const redirection =
  "redirected to /redirected/v1/chat/completions, which is not followed; set the API base to the final address"

/** A request that needs more than the server has. */
export const tooLarge = (message: string): Refusal => refused(400, message)

/** The first fault that refuses, as the HTTP front has it; a refusal of `stream_options` is none, because none are sent. */
export const refusalOf = (faults: ReadonlyArray<Fault.Fault>): Refusal | undefined => {
  for (const { kind } of faults) {
    switch (kind) {
      case "401":
        return refused(401, "Incorrect API key provided.")
      case "404":
        return refused(404, "The model `simulated` does not exist.")
      case "429":
        return rateLimited
      case "500":
        return refused(500, "The server had an error.")
      case "503":
        return refused(503, "The server is overloaded.", 1)
      case "html":
        return refused(502, page("502 Bad Gateway"))
      case "html-200":
        return signIn
      case "redirect":
        return refused(307, redirection)
    }
  }
  return undefined
}

const inStream = (code: number | null, type: string | null): LlmError.Reason =>
  new LlmError.InStream({ description: "The model is overloaded", code, type })

/** How a stream goes wrong for good; `null` when nothing more comes. `undefined` when this fault does not end a stream. */
export const endingOf = (kind: Fault.Kind): LlmError.Reason | null | undefined => {
  switch (kind) {
    case "reset":
      return new LlmError.Truncated({
        description: "the connection was lost in the middle of the answer: read ECONNRESET"
      })
    case "close":
      return new LlmError.Truncated({ description: "the connection was closed in the middle of the answer" })
    case "cut":
      return new LlmError.Truncated({ description: "the stream ended without a finish reason or an end marker" })
    case "stall":
      return null
    case "error":
      return inStream(529, "server_error")
    case "error-string":
      return inStream(null, null)
    case "error-vllm":
      return inStream(500, "InternalServerError")
    case "error-null-code":
      return inStream(null, "server_error")
    default:
      return undefined
  }
}

/** Where and how the stream of a request ends early. */
export interface Ending {
  readonly afterTokens: number
  readonly reason: LlmError.Reason | null
}

const garbage = new LlmError.Protocol({ description: "The stream holds something that is not JSON: {not json" })

/** Of an ending and of garbage, after which the client hangs up, the one that comes first. */
export const earlyEnd = (faults: ReadonlyArray<Fault.Fault>): Ending | undefined => {
  let ending: Ending | undefined
  for (const { kind, number } of faults) {
    const reason = endingOf(kind)
    if (reason === undefined) continue
    ending = { afterTokens: number, reason }
    break
  }
  const broken = Fault.find(faults, "garbage")
  return broken !== undefined && (ending === undefined || broken.number < ending.afterTokens)
    ? { afterTokens: broken.number, reason: garbage }
    : ending
}
