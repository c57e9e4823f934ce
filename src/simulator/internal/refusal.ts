import type * as Fault from "../Fault.ts"
import { type Answer, type Dialect } from "./dialect.ts"
import * as openAi from "./openAi.ts"

export type { Answer } from "./dialect.ts"

const jsonType = { "content-type": "application/json" }

export const json = (status: number, body: string, headers: { readonly [name: string]: string } = {}): Answer => ({
  status,
  headers: { ...jsonType, ...headers },
  body
})

export const invalid = (
  status: number,
  message: string,
  code: string | null = null,
  param: string | null = null
): Answer => json(status, openAi.error(message, "invalid_request_error", code, param))

export const incorrectKey = invalid(401, "Incorrect API key provided.", "invalid_api_key")

const page = (status: number, title: string): Answer => ({
  status,
  headers: { "content-type": "text/html; charset=utf-8" },
  body: `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>\n`
})

const retryAfter = { "retry-after": "1" }

const rateLimited = {
  ...retryAfter,
  "x-ratelimit-limit-requests": "60",
  "x-ratelimit-remaining-requests": "0",
  "x-ratelimit-reset-requests": "1s"
}

const redirect = (location: string): Answer => ({ status: 307, headers: { location }, body: "" })

/** The answer that takes the place of the model's, if one of the faults asks for it. */
export const refusal = (
  faults: ReadonlyArray<Fault.Fault>,
  request: { readonly model: string; readonly path: string; readonly redirected: boolean; readonly asksUsage: boolean }
): Answer | undefined => {
  for (const { kind } of faults) {
    switch (kind) {
      case "401":
        return incorrectKey
      case "404":
        return invalid(404, `The model \`${request.model}\` does not exist.`, "model_not_found", "model")
      case "429":
        return json(
          429,
          openAi.error("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
          rateLimited
        )
      case "500":
        return json(500, openAi.error("The server had an error.", "server_error", null))
      case "503":
        return json(503, openAi.error("The server is overloaded.", "server_error", "overloaded"), retryAfter)
      case "html":
        return page(502, "502 Bad Gateway")
      case "html-200":
        return page(200, "Sign in")
      case "redirect":
        if (request.redirected) break
        return redirect(`/redirected${request.path}`)
      case "no-usage":
        if (!request.asksUsage) break
        return invalid(400, "Unrecognized request argument supplied: stream_options", null, "stream_options")
    }
  }
  return undefined
}

const withHeaders = (answer: Answer, headers: { readonly [name: string]: string }): Answer => ({
  ...answer,
  headers: { ...headers, ...answer.headers }
})

/** The same in another format. `address` is the path with its query. */
export const refusalOf = (
  dialect: Dialect,
  faults: ReadonlyArray<Fault.Fault>,
  request: { readonly model: string; readonly address: string; readonly redirected: boolean }
): Answer | undefined => {
  for (const { kind } of faults) {
    switch (kind) {
      case "401":
        return dialect.error(401, "authentication_error", "The key is not valid.")
      case "404":
        return dialect.error(404, "not_found_error", `The model ${request.model} does not exist.`)
      case "429":
        return withHeaders(dialect.error(429, "rate_limit_error", "Rate limit reached for requests."), rateLimited)
      case "500":
        return dialect.error(500, "api_error", "The server had an error.")
      case "503":
        return withHeaders(dialect.error(503, "overloaded_error", "The server is overloaded."), retryAfter)
      case "html":
        return page(502, "502 Bad Gateway")
      case "html-200":
        return page(200, "Sign in")
      case "redirect":
        if (request.redirected) break
        return redirect(`/redirected${request.address}`)
    }
  }
  return undefined
}

/** What a fault in the stream sends as its error, as JSON text. */
export const streamError = (kind: Fault.Kind): string | undefined => {
  const message = "The model is overloaded"
  switch (kind) {
    case "error":
      return openAi.error(message, "server_error", 529)
    case "error-string":
      return JSON.stringify({ error: message })
    case "error-vllm":
      return JSON.stringify({ object: "error", message, type: "InternalServerError", param: null, code: 500 })
    case "error-null-code":
      return openAi.error(message, "server_error", null)
    default:
      return undefined
  }
}
