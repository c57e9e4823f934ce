import { type ConnectionTiming } from "../../domain/TokenEvent.ts"
import { type Exchange } from "./Exchange.ts"
import { Connection } from "./netConnection.ts"
import { Connector, type ConnectorOptions, type Route } from "./netConnector.ts"
import { NetError } from "./netError.ts"
import { Http2Connection, streamsPerConnection } from "./netHttp2.ts"
import * as NetRequest from "./netRequest.ts"

export interface PoolOptions extends ConnectorOptions {
  /** Limit for the headers to come, and between two reads of the body. */
  readonly idleMs: number
}

interface Origin {
  readonly name: string
  readonly route: Route
  /** Connections without a request, the one that was used last at the end. */
  readonly idle: Array<Connection>
  /** Those that speak HTTP/2, how many of these are being opened, and what waits for them. */
  readonly http2: Set<Http2Connection>
  opening: number
  waiting: Array<Waiting>
}

/** A request that waits for a connection that speaks HTTP/2. */
interface Waiting {
  readonly exchange: Exchange
  readonly fields: NetRequest.Fields
  readonly body: string
}

/** A request that has a connection, but is not written yet. */
interface Due {
  readonly origin: Origin
  readonly connection: Connection
  readonly exchange: Exchange
  readonly written: NetRequest.Written
}

/** For how long a connection is kept that is not used, unless the server says something else. */
const keepMs = 4_000
/** Servers begin to count when they have written their answer, and close on time: we are earlier. */
const keepMarginMs = 2_000
const longestKeepMs = 600_000
/** How often time limits are looked at. */
const longestSweepMs = 500
const sweepsPerLimit = 8

/**
 * The connections to all servers: as many as there are requests at a time, or with HTTP/2 as many as it takes to have room
 * for them. Nothing waits for a connection that is in use.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #connector: Connector
  readonly #origins = new Map<string, Origin>()
  readonly #connections = new Map<Connection, Origin>()
  readonly #sweepMs: number
  readonly #sweeper: NodeJS.Timeout
  #due: Array<Due> = []

  constructor(options: PoolOptions) {
    this.#options = options
    this.#connector = new Connector(options)
    this.#sweepMs = Math.min(longestSweepMs, Math.max(1, options.idleMs / sweepsPerLimit))
    this.#sweeper = setInterval(() => this.#sweep(), this.#sweepMs).unref()
  }

  routeTo(origin: string): Route {
    return this.#originOf(origin).route
  }

  /** Sends a request on a connection that is open, or on one that is opened for it. Throws when it cannot be written. */
  send(to: string, exchange: Exchange, request: NetRequest.Outgoing): void {
    const origin = this.#originOf(to)
    if (!this.#options.http2) return this.#send(origin, exchange, NetRequest.write(request))
    if (origin.route.address.protocol !== "https:") {
      throw new NetError("unsendable", "HTTP/2 is spoken over TLS only, and the address does not begin with https://")
    }
    const fields = NetRequest.fields(request)
    for (const connection of origin.http2) {
      if (connection.room > 0) return connection.send(exchange, fields, request.body, null)
    }
    origin.waiting.push({ exchange, fields, body: request.body })
    this.#openFor(origin)
  }

  /** How many connections so many requests at a time want. */
  connectionsFor(requests: number): number {
    return this.#options.http2 ? Math.ceil(requests / streamsPerConnection) : requests
  }

  /** Opens a connection and keeps it for requests to come, however long that takes. */
  openAhead(to: string, then: (error: Error | null) => void): void {
    const origin = this.#originOf(to)
    if (this.#options.http2) return this.#openHttp2(origin, (error) => then(error))
    this.#open(origin, (error, connection) => {
      if (connection !== null) this.#keep(origin, connection)
      then(error)
    })
  }

  close(): void {
    clearInterval(this.#sweeper)
    this.#connector.close()
    for (const connection of this.#connections.keys()) connection.shutDown()
    for (const { http2 } of this.#origins.values()) for (const connection of http2) connection.shutDown()
  }

  #originOf(name: string): Origin {
    let origin = this.#origins.get(name)
    if (origin === undefined) {
      const route = this.#connector.routeTo(name)
      this.#origins.set(name, (origin = { name, route, idle: [], http2: new Set(), opening: 0, waiting: [] }))
    }
    return origin
  }

  #send(origin: Origin, exchange: Exchange, written: NetRequest.Written): void {
    const connection = this.#takeIdle(origin)
    if (connection === undefined) {
      this.#open(origin, (error, opened, timing) => {
        if (opened === null) exchange.onError(error)
        else if (exchange.isWanted) opened.send(exchange, written, timing)
        else this.#keep(origin, opened)
      })
    } else if (connection.isUsed) {
      // That the server has closed it may be there to be read. It is read before the request is written.
      if (this.#due.length === 0) setImmediate(() => this.#sendDue())
      this.#due.push({ origin, connection, exchange, written })
    } else connection.send(exchange, written, null)
  }

  #sendDue(): void {
    const due = this.#due
    this.#due = []
    for (const { connection, exchange, origin, written } of due) {
      if (!exchange.isWanted) this.#keep(origin, connection)
      else if (connection.isAlive) connection.send(exchange, written, null)
      else this.#send(origin, exchange, written)
    }
  }

  #takeIdle(origin: Origin): Connection | undefined {
    for (let found = origin.idle.pop(); found !== undefined; found = origin.idle.pop()) {
      if (found.isAlive) return found
    }
    return undefined
  }

  #keep(origin: Origin, connection: Connection): void {
    if (connection.isAlive) origin.idle.push(connection)
  }

  #open(
    origin: Origin,
    then: (error: Error | null, connection: Connection | null, timing: ConnectionTiming | null) => void
  ): void {
    const connection = new Connection({
      now: this.#options.now,
      onFree: (connection) => this.#keep(origin, connection),
      onGone: (connection) => this.#forget(connection)
    })
    this.#connector.connect(origin.route, connection.receive, (error, opened) => {
      if (error !== null) return then(error, null, null)
      connection.attach(opened.socket)
      this.#connections.set(connection, origin)
      then(null, connection, opened.timing)
    })
  }

  /** Opens as many connections as what waits has need of. */
  #openFor(origin: Origin): void {
    while (origin.opening * streamsPerConnection < origin.waiting.length) {
      origin.opening++
      this.#openHttp2(origin, (error, connection, timing) => {
        origin.opening--
        // Those that it was opened for. What comes later tries again.
        if (connection === null) {
          for (const { exchange } of origin.waiting.splice(0, streamsPerConnection)) exchange.onError(error)
          return
        }
        let told = timing
        while (origin.waiting.length > 0 && connection.room > 0) {
          const next = origin.waiting.shift()
          if (next === undefined || !next.exchange.isWanted) continue
          connection.send(next.exchange, next.fields, next.body, told)
          told = null
        }
        this.#openFor(origin)
      })
    }
  }

  #openHttp2(
    origin: Origin,
    then: (error: Error | null, connection: Http2Connection | null, timing: ConnectionTiming | null) => void
  ): void {
    this.#connector.connect(origin.route, null, (error, opened) => {
      if (error !== null) return then(error, null, null)
      const options = {
        now: this.#options.now,
        limitMs: this.#options.connectTimeoutMs,
        onGone: (gone: Http2Connection) => origin.http2.delete(gone)
      }
      const connection = new Http2Connection(origin.name, opened.socket, options, (error) => {
        if (error !== null) return then(error, null, null)
        if (connection.room > 0) return then(null, connection, opened.timing)
        connection.shutDown()
        then(new NetError("closed", "the server takes no requests"), null, null)
      })
      origin.http2.add(connection)
    })
  }

  #forget(connection: Connection): void {
    const idle = this.#connections.get(connection)?.idle
    if (idle === undefined) return
    this.#connections.delete(connection)
    const index = idle.indexOf(connection)
    if (index >= 0) idle.splice(index, 1)
  }

  #sweep(): void {
    const limit = Math.ceil(this.#options.idleMs / this.#sweepMs)
    for (const connection of this.#connections.keys()) connection.sweep(limit, this.#idleSweeps(connection))
    for (const { http2 } of this.#origins.values()) for (const connection of http2) connection.sweep(limit)
  }

  #idleSweeps(connection: Connection): number | null {
    if (!connection.isUsed) return null
    const told = connection.keepAliveMs
    const keep = told === null ? keepMs : Math.min(told - keepMarginMs, longestKeepMs)
    return Math.max(1, Math.floor(keep / this.#sweepMs))
  }
}
