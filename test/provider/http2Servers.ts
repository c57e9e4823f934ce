import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http2 from "node:http2"
import { tls } from "./certificates.ts"

export type Respond = (stream: Http2.ServerHttp2Stream, headers: Http2.IncomingHttpHeaders, ordinal: number) => void

export interface Http2Server {
  readonly url: string
  readonly sessions: ReadonlySet<Http2.ServerHttp2Session>
  readonly opened: () => number
  readonly received: ReadonlyArray<{ readonly headers: Http2.IncomingHttpHeaders; readonly body: string }>
}

/** Speaks HTTP/2 on loopback until the scope closes. `respond` gets each request when it is complete; `ordinal` counts from 1. */
export const http2Server = (
  respond: Respond,
  options: Http2.SecureServerOptions = {}
): Effect.Effect<Http2Server, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Http2.Http2SecureServer; readonly made: Http2Server }>((resume) => {
        const sessions = new Set<Http2.ServerHttp2Session>()
        const received: Array<{ readonly headers: Http2.IncomingHttpHeaders; readonly body: string }> = []
        let opened = 0
        const server = Http2.createSecureServer({ ...tls("server"), ...options })
        server.on("session", (session) => {
          opened++
          sessions.add(session)
          session.on("error", () => {})
          session.once("close", () => sessions.delete(session))
        })
        server.on("stream", (stream, headers) => {
          let body = ""
          stream.on("error", () => {})
          stream.setEncoding("utf8")
          stream.on("data", (text: string) => (body += text))
          stream.once("end", () => {
            received.push({ headers, body })
            respond(stream, headers, received.length)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const made = { url: `https://127.0.0.1:${port}`, sessions, opened: () => opened, received }
          resume(Effect.succeed({ server, made }))
        })
      }),
      ({ made, server }) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const session of made.sessions) session.destroy()
        })
    ),
    ({ made }) => made
  )
