import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { request as overHttp } from "node:http"
import { request as overHttps } from "node:https"

/** Longest answer that is read, in bytes: some thousands of pods. */
const MOST_BYTES = 64 * 1024 * 1024

/** Asks by the modules of Node, which take certificates as they are. `ca`: those that are trusted, `null` for the usual ones. */
export const nodeHttp = (ca: string | null): HttpClient.HttpClient =>
  HttpClient.make((request, url, signal) =>
    Effect.callback((resume) => {
      const failed = (cause: unknown) =>
        resume(Effect.fail(new HttpClientError({ reason: new TransportError({ request, cause }) })))
      const options = { method: request.method, headers: request.headers, signal, ...(ca === null ? {} : { ca }) }
      const asked = url.protocol === "https:" ? overHttps(url, options) : overHttp(url, options)
      asked.on("error", failed)
      asked.on("response", (answer) => {
        const parts: Array<Uint8Array> = []
        let size = 0
        answer.on("data", (part: Uint8Array) => {
          size += part.length
          if (size > MOST_BYTES) asked.destroy(new Error("the answer is too long"))
          parts.push(part)
        })
        answer.on("error", failed)
        answer.on("end", () => {
          const headers = new Headers({ "content-type": answer.headers["content-type"] ?? "" })
          const body = new Response(Buffer.concat(parts), { status: answer.statusCode ?? 502, headers })
          resume(Effect.succeed(HttpClientResponse.fromWeb(request, body)))
        })
      })
      asked.end()
    })
  )
