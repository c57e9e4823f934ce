import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"

/** Servers that are told byte for byte what to send, for everything a proper HTTP server refuses to do. */

const fixture = (name: string) => readFileSync(new URL(`../fixtures/provider/${name}`, import.meta.url), "utf8")

/** A certificate for `localhost` and 127.0.0.1 that nobody has signed but itself. */
export const certificate = fixture("certificate.pem")

/** A request as it came. `headers` are names, in lower case, and values, in the order of the wire. `connection` counts from 1. */
export interface Received {
  readonly line: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  readonly connection: number
}

export interface RawServer {
  readonly url: string
  readonly port: number
  readonly received: ReadonlyArray<Received>
  /** How many connections were opened so far, and how many of these are open now. */
  readonly opened: () => number
  readonly open: () => number
  /** Those that are open now. */
  readonly sockets: ReadonlySet<Net.Socket>
  /** Takes no more connections. */
  readonly stopListening: () => void
}

/** The first request in `bytes` and what follows it; `undefined` while it is not complete. */
const parse = (bytes: Buffer, connection: number): readonly [Received, Buffer] | undefined => {
  const headEnd = bytes.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  const [line = "", ...fields] = bytes.toString("latin1", 0, headEnd).split("\r\n")
  const headers = fields.map((field) => {
    const colon = field.indexOf(":")
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
  })
  const length = Number(headers.find(([name]) => name === "content-length")?.[1] ?? 0)
  const bodyStart = headEnd + 4
  if (bytes.length < bodyStart + length) return undefined
  const body = bytes.toString("utf8", bodyStart, bodyStart + length)
  return [{ line, headers, body, connection }, bytes.subarray(bodyStart + length)]
}

export type Respond = (socket: Net.Socket, request: Received, ordinal: number) => void

/** - `tls`: with the certificate that nobody has signed, or with such options; `host`: 127.0.0.1 unless it is said */
export interface RawOptions {
  readonly tls?: boolean | Tls.TlsOptions
  readonly host?: string
  /** Whether a connection stays open for what is written when the other side, or `socket.end()`, has closed its half. */
  readonly allowHalfOpen?: boolean
  /** Called with each new connection. */
  readonly onConnection?: (socket: Net.Socket) => void
}

/** Listens on loopback until the scope closes. `respond` gets each request when it is complete; `ordinal` counts from 1. */
export const raw = (respond: Respond, options: RawOptions = {}): Effect.Effect<RawServer, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Net.Server; readonly raw: RawServer }>((resume) => {
        const received: Array<Received> = []
        const sockets = new Set<Net.Socket>()
        let opened = 0
        const onSocket = (socket: Net.Socket): void => {
          const connection = ++opened
          sockets.add(socket)
          socket.setNoDelay(true)
          socket.on("error", () => {})
          socket.once("close", () => sockets.delete(socket))
          let bytes: Buffer = Buffer.alloc(0)
          socket.on("data", (more: Buffer) => {
            bytes = Buffer.concat([bytes, more])
            for (let next = parse(bytes, connection); next !== undefined; next = parse(bytes, connection)) {
              bytes = next[1]
              received.push(next[0])
              respond(socket, next[0], received.length)
            }
          })
          options.onConnection?.(socket)
        }
        const server = options.tls
          ? Tls.createServer(
              options.tls === true ? { cert: certificate, key: fixture("key.pem") } : options.tls,
              onSocket
            )
          : Net.createServer({ allowHalfOpen: options.allowHalfOpen ?? false }, onSocket)
        server.on("tlsClientError", () => {})
        const host = options.host ?? "127.0.0.1"
        server.listen(0, host, () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const url = `${options.tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`
          const raw = {
            url,
            port,
            received,
            opened: () => opened,
            open: () => sockets.size,
            sockets,
            stopListening: () => void server.close()
          }
          resume(Effect.succeed({ server, raw }))
        })
      }),
      ({ raw, server }) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of raw.sockets) socket.destroy()
        })
    ),
    ({ raw }) => raw
  )

/** A port on which nobody listens. */
export const freePort: Effect.Effect<number> = Effect.scoped(
  Effect.map(
    raw(() => {}),
    ({ port }) => port
  )
)

export const head = (status: string, headers: { readonly [name: string]: string } = {}): string =>
  `HTTP/1.1 ${status}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`

/** A piece of a chunked body. */
export const piece = (data: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(data)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
}

export const lastPiece = "0\r\n\r\n"

/** An answer in one piece. */
export const answer = (
  status: string,
  body: string | Uint8Array,
  headers: { readonly [name: string]: string } = {}
): Buffer => {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.from(head(status, { "content-length": String(bytes.length), ...headers })), bytes])
}

export const streamHead = head("200 OK", { "content-type": "text/event-stream", "transfer-encoding": "chunked" })

export const event = (data: string): string => `data: ${data}\n\n`

export const content = (text: string): string =>
  event(JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] }))

export const finish = event(JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }))

export const done = event("[DONE]")

/** The body of a good answer: "Hello world". */
export const goodBody = content("Hello") + content(" world") + finish + done

/** A good answer. */
export const goodAnswer = Buffer.concat([Buffer.from(streamHead), piece(goodBody), Buffer.from(lastPiece)])
