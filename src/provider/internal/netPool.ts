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
  /** Whether a connection that was used is kept for another request. */
  readonly isReusing: boolean
}

interface Origin {
  readonly name: string
  readonly route: Route
  /** Connections without a request, the one that was used last at the end. */
  readonly idle: Array<Connection>
  /** How many connections are open, how many are being opened for requests, and how many for requests to come. */
  open: number
  awaited: number
  spare: number
  /** How many answers the server closed the connection right behind, and how many were on a connection used before. */
  closedBehind: number
  reused: number
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

/** After so many answers a server is taken for one that closes the connection behind every one. */
const closingsToBelieve = 2

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
    const waiting = { exchange, fields, body: request.body }
    for (const connection of origin.http2) {
      if (connection.room > 0) return this.#sendHttp2(origin, connection, waiting, null, true)
    }
    origin.waiting.push(waiting)
    this.#openFor(origin)
  }

  /** How many connections so many requests at a time want ahead. */
  connectionsFor(requests: number): number {
    if (this.#options.http2) return Math.ceil(requests / streamsPerConnection)
    return this.#options.isReusing ? requests : 0
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
      origin = {
        name,
        route,
        idle: [],
        open: 0,
        awaited: 0,
        spare: 0,
        closedBehind: 0,
        reused: 0,
        http2: new Set(),
        opening: 0,
        waiting: []
      }
      this.#origins.set(name, origin)
    }
    return origin
  }

  #send(origin: Origin, exchange: Exchange, written: NetRequest.Written): void {
    const connection = this.#takeIdle(origin)
    if (connection === undefined) this.#sendOnNew(origin, exchange, written)
    else if (connection.isUsed) {
      // That the server has closed it may be there to be read. It is read before the request is written.
      if (this.#due.length === 0) setImmediate(() => this.#sendDue())
      this.#due.push({ origin, connection, exchange, written })
    } else this.#sendOnKept(origin, connection, exchange, written)
  }

  #sendDue(): void {
    const due = this.#due
    this.#due = []
    for (const { connection, exchange, origin, written } of due) {
      if (!exchange.isWanted) this.#keep(origin, connection)
      else if (connection.isAlive) this.#sendOnKept(origin, connection, exchange, written)
      else exchange.contain(() => this.#send(origin, exchange, written))
    }
  }

  /** The server may be closing it at this moment. It has not answered then, and the request is written once more. */
  #sendOnKept(origin: Origin, connection: Connection, exchange: Exchange, written: NetRequest.Written): void {
    connection.send(exchange, written, null, () => {
      exchange.onLost()
      exchange.contain(() => this.#sendOnNew(origin, exchange, written))
    })
    this.#openSpare(origin)
  }

  #sendOnNew(origin: Origin, exchange: Exchange, written: NetRequest.Written): void {
    origin.awaited++
    this.#open(origin, (error, connection, timing) => {
      origin.awaited--
      if (connection === null) exchange.onError(error)
      else if (exchange.isWanted) exchange.contain(() => connection.send(exchange, written, timing, null))
      else this.#keep(origin, connection)
    })
    this.#openSpare(origin)
  }

  /** The one used last, which is the least likely to be closed. Of those opened ahead the oldest: servers take them in that order. */
  #takeIdle(origin: Origin): Connection | undefined {
    if (!this.#options.isReusing) return undefined
    while (origin.idle.length > 0) {
      const found = closesBehind(origin) ? origin.idle.shift() : origin.idle.pop()
      if (found?.isAlive === true) return found
    }
    return undefined
  }

  #keep(origin: Origin, connection: Connection): void {
    if (connection.isAlive) origin.idle.push(connection)
  }

  /**
   * A server that closes its connections behind its answers gets a new one for every request. Each is opened ahead, while the
   * request before it is on its way, so that no request waits for it; there are never more of these than requests on their way.
   */
  #openSpare(origin: Origin): void {
    const { awaited, idle, open, spare } = origin
    if (!closesBehind(origin) || idle.length + spare >= open - idle.length + awaited) return
    origin.spare++
    this.#open(origin, (_error, connection) => {
      origin.spare--
      if (connection !== null) this.#keep(origin, connection)
    })
  }

  #open(
    origin: Origin,
    then: (error: Error | null, connection: Connection | null, timing: ConnectionTiming | null) => void
  ): void {
    const connection = new Connection({
      now: this.#options.now,
      onFree: (connection) => {
        if (connection.isReused) origin.reused++
        const isKept = this.#options.isReusing && !closesBehind(origin)
        if (isKept) this.#keep(origin, connection)
        return isKept
      },
      onClosedBehind: () => origin.closedBehind++,
      onGone: (connection) => this.#forget(connection)
    })
    this.#connector.connect(origin.route, connection.receive, (error, opened) => {
      if (error !== null) return then(error, null, null)
      connection.attach(opened.socket)
      this.#connections.set(connection, origin)
      origin.open++
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
          this.#sendHttp2(origin, connection, next, told, false)
          told = null
        }
        this.#openFor(origin)
      })
    }
  }

  /** `isKept`: the connection was not opened for this request. */
  #sendHttp2(
    origin: Origin,
    connection: Http2Connection,
    waiting: Waiting,
    timing: ConnectionTiming | null,
    isKept: boolean
  ): void {
    const { body, exchange, fields } = waiting
    const again = (): void => {
      exchange.onLost()
      origin.waiting.push(waiting)
      this.#openFor(origin)
    }
    exchange.contain(() =>
      connection.send(exchange, fields, body, timing, { isKept, again: exchange.isRepeated ? null : again })
    )
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
    const origin = this.#connections.get(connection)
    if (origin === undefined) return
    this.#connections.delete(connection)
    origin.open--
    const index = origin.idle.indexOf(connection)
    if (index >= 0) origin.idle.splice(index, 1)
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

/** Whether the server closes the connection behind most answers, whatever it says of keeping it. */
const closesBehind = ({ closedBehind, reused }: Origin): boolean =>
  closedBehind >= closingsToBelieve && closedBehind > reused
