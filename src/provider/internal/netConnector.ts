import * as Net from "node:net"
import * as Tls from "node:tls"
import { type ConnectionTiming } from "../../domain/TokenEvent.ts"
import { NetError } from "./netError.ts"
import { type Proxies, type Proxy } from "./networkProxy.ts"
import { type Security } from "./networkTls.ts"
import { openTunnel, ProxyError } from "./networkTunnel.ts"

/** Where a socket goes to. `hostname` is without the brackets of an IPv6 address. */
export interface Address {
  readonly protocol: string
  readonly hostname: string
  readonly port: number
}

/** How the requests to an origin travel. `host` is what their header of that name says. */
export interface Route {
  readonly address: Address
  readonly host: string
  readonly proxy: Proxy | null
}

/** What reads a socket. `bytes` up to `length` are to be used at once: the next read may be into the same memory. */
export type Reader = (bytes: Buffer, length: number) => void

/** An open connection. */
export interface Opened {
  readonly socket: Net.Socket
  readonly timing: ConnectionTiming
}

type Then = (...result: [Error, null] | [null, Opened]) => void

export interface ConnectorOptions {
  readonly connectTimeoutMs: number
  /** Nanoseconds on the monotonic clock. */
  readonly now: () => number
  readonly security?: Security | undefined
  readonly proxies?: Proxies | undefined
  /** Whether servers are to speak HTTP/2. */
  readonly http2: boolean
}

/** How long nothing may come before the system asks the other side whether it is still there. */
const keepAliveProbeMs = 60_000

/**
 * All sockets read into this memory, one after the other: whatever is read is used up before the next read. Where a read may be
 * begun long before its bytes come, every socket has its own.
 */
const shared = Buffer.allocUnsafeSlow(65_536)
const memory = (): Buffer => (process.platform === "win32" ? Buffer.allocUnsafeSlow(16_384) : shared)

/**
 * Opens sockets and measures how long each step took.
 *
 * Where there is a proxy, no socket is opened but to it. `dns` is then the lookup of the proxy and `tcp` the time until
 * there is a way through: the connection to the proxy, and for https the tunnel it was asked for. `tls` is what comes on top.
 */
export class Connector {
  readonly #options: ConnectorOptions
  readonly #closing = new AbortController()
  readonly #opening = new Set<Net.Socket>()
  /** The latest of each host: the next handshake with it is shorter. */
  readonly #sessions = new Map<string, Buffer>()

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  routeTo(origin: string): Route {
    const url = new URL(origin)
    const address = {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)
    }
    return { address, host: url.host, proxy: this.#options.proxies?.of(origin) ?? null }
  }

  /** Without a reader, what takes the socket reads it. */
  connect({ address, proxy }: Route, reader: Reader | null, then: Then): void {
    if (proxy === null) return this.#open(address, reader, this.#options.http2, then)
    if (address.protocol === "https:") return this.#openThrough(proxy, address, reader, then)
    this.#open(addressOf(proxy), reader, false, (error, opened) => {
      if (error === null) then(null, opened)
      else then(ProxyError.unreachable(proxy, error), null)
    })
  }

  /** Closes what is being opened. */
  close(): void {
    this.#closing.abort()
    for (const socket of this.#opening) socket.destroy(new NetError("shut-down", "the connections are being closed"))
  }

  #open(address: Address, reader: Reader | null, http2: boolean, then: Then): void {
    const { connectTimeoutMs, now } = this.#options
    const isSecure = address.protocol === "https:"
    const start = now()
    let lookedUp = start
    let connected = start
    const onread =
      reader === null
        ? {}
        : {
            onread: {
              buffer: memory(),
              callback: (length: number, bytes: Uint8Array) => {
                reader(asBuffer(bytes), length)
                return true
              }
            }
          }
    const socket = isSecure
      ? Tls.connect({
          host: address.hostname,
          port: address.port,
          ...this.#tlsOptions(address.hostname, http2),
          ...onread
        })
      : Net.connect({ host: address.hostname, port: address.port, ...onread })
    socket.setKeepAlive(true, keepAliveProbeMs).setNoDelay(true)
    socket.once("lookup", () => (lookedUp = now()))
    socket.once("connect", () => (connected = now()))
    this.#finish(socket, isSecure ? "secureConnect" : "connect", address.hostname, connectTimeoutMs, (error) => {
      if (error !== null) return then(error, null)
      const secured = now()
      if (connected === start) connected = secured
      if (http2 && !speaksHttp2(socket)) return refuse(socket, then)
      const timing = { dns: lookedUp - start, tcp: connected - lookedUp, tls: isSecure ? secured - connected : 0 }
      then(null, { socket, timing })
    })
  }

  #openThrough(proxy: Proxy, address: Address, reader: Reader | null, then: Then): void {
    const { connectTimeoutMs, http2, now } = this.#options
    const start = now()
    let lookedUp = start
    const authority = `${address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname}:${address.port}`
    openTunnel(
      {
        proxy,
        authority,
        open: (then) =>
          this.#open(addressOf(proxy), null, false, (error, opened) => {
            if (error !== null) return then(error, null)
            lookedUp = start + opened.timing.dns
            then(null, opened.socket)
          }),
        limitMs: connectTimeoutMs,
        signal: this.#closing.signal
      },
      (error, tunnel) => {
        if (error !== null) return then(error, null)
        const connected = now()
        const leftMs = Math.max(1, connectTimeoutMs - (connected - start) / 1e6)
        const socket = Tls.connect({
          host: address.hostname,
          socket: tunnel,
          ...this.#tlsOptions(address.hostname, http2)
        })
        this.#finish(socket, "secureConnect", address.hostname, leftMs, (error) => {
          if (error !== null) {
            tunnel.destroy()
            return then(error, null)
          }
          if (http2 && !speaksHttp2(socket)) return refuse(socket, then)
          if (reader !== null) socket.on("data", (bytes: Buffer) => reader(bytes, bytes.length))
          const timing = { dns: lookedUp - start, tcp: connected - lookedUp, tls: now() - connected }
          then(null, { socket, timing })
        })
      }
    )
  }

  /** Waits for the socket to be ready, for so long. */
  #finish(
    socket: Net.Socket,
    ready: "connect" | "secureConnect",
    hostname: string,
    limitMs: number,
    then: (error: Error | null) => void
  ): void {
    if (this.#closing.signal.aborted) {
      socket.destroy()
      return then(new NetError("shut-down", "the connections are being closed"))
    }
    this.#opening.add(socket)
    const end = (error: Error | null): void => {
      clearTimeout(deadline)
      this.#opening.delete(socket)
      socket.off("error", onError).off("close", onClose).off(ready, onReady)
      if (error !== null) {
        socket.on("error", () => {})
        socket.destroy()
      }
      then(error)
    }
    const onReady = (): void => end(null)
    const onError = (error: Error): void =>
      end(isTimeout(error) ? timedOut(error.message) : isNoHttp2(error) ? new NetError("no-http2", noHttp2) : error)
    const onClose = (): void => end(new NetError("closed", "the connection was closed while it was being opened"))
    const deadline = setTimeout(() => end(timedOut(`no connection within ${limitMs} ms`)), limitMs)
    socket.once("error", onError).once("close", onClose).once(ready, onReady)
    if (ready === "secureConnect") {
      socket.on("session", (session: Buffer) => this.#sessions.set(hostname, session))
    }
  }

  #tlsOptions(hostname: string, http2: boolean): Tls.ConnectionOptions {
    const { context, verify = true } = this.#options.security ?? {}
    const session = this.#sessions.get(hostname)
    return {
      servername: Net.isIP(hostname) === 0 ? hostname : "",
      ALPNProtocols: [http2 ? "h2" : "http/1.1"],
      ...(session === undefined ? {} : { session }),
      ...(context === undefined ? {} : { secureContext: context }),
      ...(verify ? {} : { rejectUnauthorized: false })
    }
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const speaksHttp2 = (socket: Net.Socket): boolean => "alpnProtocol" in socket && socket.alpnProtocol === "h2"

const refuse = (socket: Net.Socket, then: Then): void => {
  socket.on("error", () => {})
  socket.destroy()
  then(new NetError("no-http2", noHttp2), null)
}

const noHttp2 = "The server does not speak HTTP/2; leave out --http2"

const timedOut = (message: string): NetError => new NetError("connect-timeout", message)

/** What a server says that knows no protocol that it is offered. */
const isNoHttp2 = (error: Error): boolean =>
  "code" in error && error.code === "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL"

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

/** Node.js tries the addresses of a host one by one, each for a while: the system's own limit may be the first to be reached. */
const isTimeout = (error: Error): boolean => {
  return (
    error instanceof AggregateError &&
    (codeOf(error) === "ETIMEDOUT" || error.errors.some((e) => codeOf(e) === "ETIMEDOUT"))
  )
}

const addressOf = ({ hostname, port, protocol }: Proxy): Address => ({ protocol, hostname, port: Number(port) })
