import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { tls } from "./certificates.ts"

/**
 * - `login`: `user:password` to ask for; without it nobody is asked
 * - `refuse`: a status to refuse everything with
 * - `silent`: takes connections and never answers
 * - `secure`: speaks TLS itself
 */
export interface ProxyServerOptions {
  readonly login?: string
  readonly refuse?: number
  readonly silent?: boolean
  readonly secure?: boolean
}

/** What a proxy was asked: `CONNECT host:port` or `POST http://…`, and its headers. */
export interface Passed {
  readonly line: string
  readonly headers: Http.IncomingHttpHeaders
}

/** - `ports`: the ports from which it has reached servers */
export interface ProxyServer {
  readonly url: string
  readonly passed: ReadonlyArray<Passed>
  readonly ports: ReadonlySet<number>
  readonly connections: () => number
}

/** A proxy on loopback until the scope closes. Whatever the name of a host, it is taken to be on 127.0.0.1. */
export const proxyServer = (options: ProxyServerOptions = {}): Effect.Effect<ProxyServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly close: () => void; readonly proxy: ProxyServer }>((resume) => {
        const passed: Array<Passed> = []
        const ports = new Set<number>()
        const sockets = new Set<Net.Socket>()
        let connections = 0
        const keep = (socket: Net.Socket): void => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.once("close", () => sockets.delete(socket))
        }

        const refusal = (request: Http.IncomingMessage): number | undefined => {
          passed.push({ line: `${request.method} ${request.url}`, headers: request.headers })
          if (options.refuse !== undefined) return options.refuse
          if (options.login === undefined) return undefined
          const wanted = `Basic ${Buffer.from(options.login).toString("base64")}`
          return request.headers["proxy-authorization"] === wanted ? undefined : 407
        }

        const onRequest: Http.RequestListener = (request, response) => {
          if (options.silent === true) return
          const status = refusal(request)
          if (status !== undefined) {
            response.writeHead(status, { "content-type": "text/html" }).end("<h1>The proxy refuses</h1>")
            return
          }
          const url = new URL(request.url ?? "")
          const { "proxy-authorization": _, ...headers } = request.headers
          const onward = Http.request(
            {
              host: "127.0.0.1",
              port: url.port,
              path: `${url.pathname}${url.search}`,
              method: request.method,
              headers
            },
            (answer) => {
              response.writeHead(answer.statusCode ?? 502, answer.headers)
              answer.pipe(response)
            }
          )
          onward.on("socket", (socket) => {
            socket.once("connect", () => ports.add(socket.localPort ?? 0))
          })
          onward.on("error", () => response.destroy())
          request.pipe(onward)
        }

        const server =
          options.secure === true ? Https.createServer(tls("server"), onRequest) : Http.createServer(onRequest)
        server.on("connection", (socket: Net.Socket) => {
          connections++
          keep(socket)
        })
        server.on("connect", (request, client: Net.Socket, first: Buffer) => {
          client.on("error", () => {})
          if (options.silent === true) return
          const status = refusal(request)
          if (status !== undefined) {
            client.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 3\r\n\r\nno\n`)
            return
          }
          const onward = Net.connect(Number(/:(\d+)$/.exec(request.url ?? "")?.[1]), "127.0.0.1", () => {
            ports.add(onward.localPort ?? 0)
            client.write("HTTP/1.1 200 Connection established\r\n\r\n")
            onward.write(first)
            onward.pipe(client)
            client.pipe(onward)
          })
          keep(onward)
          onward.on("error", () => client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"))
          client.once("close", () => onward.destroy())
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const url = `${options.secure === true ? "https" : "http"}://127.0.0.1:${port}`
          const close = (): void => {
            server.close()
            server.closeAllConnections()
            for (const socket of sockets) socket.destroy()
          }
          resume(Effect.succeed({ close, proxy: { url, passed, ports, connections: () => connections } }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ proxy }) => proxy
  )
