import * as Effect from "effect/Effect"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly [key: string]: unknown }
}

/**
 * - `seen`: the requests in the order in which they came; `ids()`: their `x-request-id`
 * - `finished`: the ids of those answered in full; `live()`: those being answered, `peak()`: the most at a time
 */
export interface OpenAiServer {
  readonly url: string
  readonly seen: ReadonlyArray<Seen>
  readonly ids: () => ReadonlyArray<string>
  readonly finished: ReadonlyArray<string>
  readonly live: () => number
  readonly peak: () => number
  readonly connections: () => number
  readonly close: () => void
}

/**
 * How the n-th request is answered: with a status that is not 200 and such headers, or with so many words (3 unless said
 * otherwise), one every `everyMillis`, the first at once when `eager`.
 */
export interface Answer {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  readonly eager?: boolean
  readonly words?: number
  readonly everyMillis?: number
}

const event = (choice: { readonly [key: string]: unknown }): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, finish_reason: null, ...choice }] })}\n\n`

const isFields = (value: unknown): value is Seen["body"] => typeof value === "object" && value !== null

const fieldsOf = (text: string): Seen["body"] => {
  const json: unknown = JSON.parse(text)
  return isFields(json) ? json : {}
}

const stream = (response: ServerResponse, chat: boolean, { words = 3, everyMillis = 1, eager }: Answer): void => {
  const word = event(chat ? { delta: { content: " word" } } : { text: " word" })
  const last = event({ ...(chat ? { delta: {} } : { text: "" }), finish_reason: "length" })
  response.writeHead(200, { "content-type": "text/event-stream" })
  let left = words
  if (eager === true) {
    left--
    response.write(word)
  }
  const timer = setInterval(() => {
    if (left-- > 0) response.write(word)
    else {
      clearInterval(timer)
      response.end(`${last}data: [DONE]\n\n`)
    }
  }, everyMillis)
  response.on("close", () => clearInterval(timer))
}

/** A server that speaks OpenAI's API on a loopback port, until the scope closes. */
export const make = (answer: (ordinal: number) => Answer = () => ({})) =>
  Effect.acquireRelease(
    Effect.callback<OpenAiServer>((resume) => {
      const seen: Array<Seen> = []
      const finished: Array<string> = []
      let live = 0
      let peak = 0
      let connections = 0
      const http = createServer((request, response) => {
        peak = Math.max(peak, ++live)
        let text = ""
        request.on("data", (data) => (text += String(data)))
        request.on("end", () => {
          seen.push({
            method: request.method ?? "",
            path: request.url ?? "",
            headers: request.headers,
            body: fieldsOf(text)
          })
          const how = answer(seen.length)
          if (how.status === undefined) stream(response, request.url?.includes("/chat/") === true, how)
          else response.writeHead(how.status, how.headers).end('{"error":{"message":"out of order","code":null}}')
        })
        response.on("close", () => {
          live--
          if (response.writableFinished) finished.push(String(request.headers["x-request-id"]))
        })
      })
      http.on("connection", () => connections++)
      http.listen(0, "127.0.0.1", () => {
        const address = http.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            seen,
            ids: () => seen.map(({ headers }) => String(headers["x-request-id"])),
            finished,
            live: () => live,
            peak: () => peak,
            connections: () => connections,
            close: () => {
              http.closeAllConnections()
              http.close()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
