import * as Net from "node:net"
import { buildConnector, errors } from "undici"
import { type ConnectionTiming } from "../../domain/TokenEvent.ts"
import { type Proxies, type Proxy } from "./networkProxy.ts"
import { type Security } from "./networkTls.ts"
import { openTunnel, ProxyError } from "./networkTunnel.ts"

/**
 * Opens sockets for undici, measures how long each step took, and can hold sockets opened ahead of time, so that a run
 * starts on warm connections without sending a single request.
 *
 * Where there is a proxy, no socket is opened but to it. `dns` is then the lookup of the proxy and `tcp` the time until
 * there is a way through: the connection to the proxy, and for https the tunnel it was asked for. `tls` is what comes on top.
 */
export class Connections {
  readonly #timings = new WeakMap<Net.Socket, ConnectionTiming>()
  readonly #spare = new Map<string, Array<Net.Socket>>()
  readonly #open: buildConnector.connector
  readonly #now: () => number
  readonly #connectTimeoutMs: number
  readonly #proxies: Proxies | undefined
  readonly #closing = new AbortController()

  constructor(options: {
    readonly connectTimeoutMs: number
    readonly now: () => number
    readonly security?: Security | undefined
    readonly proxies?: Proxies | undefined
  }) {
    this.#now = options.now
    this.#connectTimeoutMs = options.connectTimeoutMs
    this.#proxies = options.proxies
    const { context, verify = true } = options.security ?? {}
    this.#open = buildConnector({
      allowH2: false,
      timeout: options.connectTimeoutMs,
      ...(context === undefined ? {} : { secureContext: context }),
      ...(verify ? {} : { rejectUnauthorized: false })
    })
  }

  /** What undici calls when it needs a socket. */
  readonly connector: buildConnector.connector = (options, callback) => {
    const spare = this.#takeSpare(originOf(options))
    if (spare === undefined) this.#connect(options, callback)
    else queueMicrotask(() => callback(null, spare))
  }

  /** How long opening this socket took; told once, to the first request on it. */
  takeTiming(socket: unknown): ConnectionTiming | null {
    if (!(socket instanceof Net.Socket)) return null
    const timing = this.#timings.get(socket)
    this.#timings.delete(socket)
    return timing ?? null
  }

  /** Opens one socket to `origin` and keeps it for a request to come. */
  openAhead(origin: string, callback: (error: Error | null) => void): void {
    const url = new URL(origin)
    // An IPv6 address without its brackets, as undici has it.
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1")
    const options = { hostname, host: url.host, protocol: url.protocol, port: url.port }
    this.#connect(options, (error, socket) => {
      if (error !== null) return callback(error)
      if (this.#closing.signal.aborted) {
        socket.destroy()
        return callback(null)
      }
      const sockets = this.#spare.get(originOf(options)) ?? []
      this.#spare.set(originOf(options), sockets)
      sockets.push(socket)
      // Told here and not on the request that will use the socket: it did not wait for it.
      this.#timings.delete(socket)
      socket.once("close", () => remove(sockets, socket))
      callback(null)
    })
  }

  /** Closes what was opened ahead and never used, and what is being opened. */
  close(): void {
    this.#closing.abort()
    for (const sockets of this.#spare.values()) for (const socket of sockets) socket.destroy()
  }

  #takeSpare(of: string): Net.Socket | undefined {
    const sockets = this.#spare.get(of)
    for (let socket = sockets?.shift(); socket !== undefined; socket = sockets?.shift()) {
      if (!socket.destroyed && socket.readable && socket.writable) return socket
    }
    return undefined
  }

  #connect(options: buildConnector.Options, callback: buildConnector.Callback): void {
    const proxy = this.#proxies?.of(originOf(options)) ?? null
    if (proxy === null) return this.#connectTo(options, callback)
    if (options.protocol === "https:") return this.#connectThrough(proxy, options, callback)
    this.#connectTo(addressOf(proxy), (error, socket) => {
      if (error === null) callback(null, socket)
      else callback(ProxyError.unreachable(proxy, error), null)
    })
  }

  #connectTo(options: buildConnector.Options, callback: buildConnector.Callback): void {
    const start = this.#now()
    let lookedUp = start
    let connected = start
    const socket: unknown = this.#open(options, (error, opened) => {
      // undici leaves out the socket then, whatever its types say.
      if (error !== null) return callback(error, null)
      const secured = this.#now()
      if (connected === start) connected = secured
      this.#timings.set(opened, {
        dns: lookedUp - start,
        tcp: connected - lookedUp,
        tls: options.protocol === "https:" ? secured - connected : 0
      })
      callback(null, opened)
    })
    if (socket instanceof Net.Socket) {
      socket.once("lookup", () => (lookedUp = this.#now()))
      socket.once("connect", () => (connected = this.#now()))
    }
  }

  #connectThrough(proxy: Proxy, options: buildConnector.Options, callback: buildConnector.Callback): void {
    const start = this.#now()
    let lookedUp = start
    const authority = `${bracketed(options.hostname)}:${portOf(options)}`
    const open = (then: buildConnector.Callback): void => {
      const socket: unknown = this.#open(addressOf(proxy), then)
      if (socket instanceof Net.Socket) socket.once("lookup", () => (lookedUp = this.#now()))
    }
    openTunnel(
      { proxy, authority, open, limitMs: this.#connectTimeoutMs, signal: this.#closing.signal },
      (error, tunnel) => {
        if (error !== null) return callback(error, null)
        const connected = this.#now()
        const leftMs = Math.max(1, this.#connectTimeoutMs - (connected - start) / 1e6)
        const deadline = setTimeout(() => tunnel.destroy(new errors.ConnectTimeoutError()), leftMs)
        this.#open({ ...options, httpSocket: tunnel }, (failure, secured) => {
          clearTimeout(deadline)
          if (failure !== null) {
            tunnel.destroy()
            return callback(failure, null)
          }
          this.#timings.set(secured, { dns: lookedUp - start, tcp: connected - lookedUp, tls: this.#now() - connected })
          callback(null, secured)
        })
      }
    )
  }
}

const bracketed = (hostname: string): string => (hostname.includes(":") ? `[${hostname}]` : hostname)

const portOf = (options: buildConnector.Options): string =>
  options.port || (options.protocol === "https:" ? "443" : "80")

const originOf = (options: buildConnector.Options): string =>
  `${options.protocol}//${bracketed(options.hostname)}:${portOf(options)}`

const addressOf = ({ hostname, port, protocol }: Proxy): buildConnector.Options => ({
  protocol,
  hostname,
  host: `${bracketed(hostname)}:${port}`,
  port
})

const remove = (sockets: Array<Net.Socket>, socket: Net.Socket): void => {
  const index = sockets.indexOf(socket)
  if (index >= 0) sockets.splice(index, 1)
}
