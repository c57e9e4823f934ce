import * as Net from "node:net"
import { buildConnector } from "undici"
import { type ConnectionTiming } from "../../domain/TokenEvent.ts"

/**
 * Opens sockets for undici, measures how long each step took, and can hold sockets opened ahead of time, so that a run
 * starts on warm connections without sending a single request.
 */
export class Connections {
  readonly #timings = new WeakMap<Net.Socket, ConnectionTiming>()
  readonly #spare = new Map<string, Array<Net.Socket>>()
  readonly #open: buildConnector.connector
  readonly #now: () => number
  #closed = false

  constructor(options: { readonly connectTimeoutMs: number; readonly now: () => number }) {
    this.#now = options.now
    this.#open = buildConnector({ allowH2: false, timeout: options.connectTimeoutMs })
  }

  /** What undici calls when it needs a socket. */
  readonly connector: buildConnector.connector = (options, callback) => {
    const spare = this.#takeSpare(key(options))
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
      if (this.#closed) {
        socket.destroy()
        return callback(null)
      }
      const sockets = this.#spare.get(key(options)) ?? []
      this.#spare.set(key(options), sockets)
      sockets.push(socket)
      // Told here and not on the request that will use the socket: it did not wait for it.
      this.#timings.delete(socket)
      socket.once("close", () => remove(sockets, socket))
      callback(null)
    })
  }

  /** Closes what was opened ahead and never used, and what is being opened. */
  close(): void {
    this.#closed = true
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
}

const key = (options: buildConnector.Options): string => {
  const port = options.port || (options.protocol === "https:" ? "443" : "80")
  return `${options.protocol}//${options.hostname}:${port}`
}

const remove = (sockets: Array<Net.Socket>, socket: Net.Socket): void => {
  const index = sockets.indexOf(socket)
  if (index >= 0) sockets.splice(index, 1)
}
