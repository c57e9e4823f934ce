import * as Http2 from "node:http2"
import type * as Net from "node:net"
import { type ConnectionTiming } from "../../domain/TokenEvent.ts"
import { type Closing, type Exchange } from "./Exchange.ts"
import { maxInformational } from "./limits.ts"
import { NetError } from "./netError.ts"
import { type Fields } from "./netRequest.ts"

/** Most requests at a time on one connection, whatever the server would take. */
export const streamsPerConnection = 100

export interface Http2Options {
  /** Nanoseconds on the monotonic clock. */
  readonly now: () => number
  /** How long the server may take until it says how much it takes. */
  readonly limitMs: number
  readonly onGone: (connection: Http2Connection) => void
}

/** What is on its way on a connection. */
interface Running {
  readonly stream: Http2.ClientHttp2Stream
  /** How many sweeps there were since something came. */
  quiet: number
  isAnswered: boolean
  informational: number
}

/**
 * What becomes of a request that the server has not begun to answer. `isKept`: the connection was not opened for it; `again`
 * sends it on another one, `null` when that was done before.
 */
export interface Repeating {
  readonly isKept: boolean
  readonly again: (() => void) | null
}

/**
 * A connection that speaks HTTP/2 (RFC 9113), for many requests at a time. Its frames come in one after the other; content is
 * stamped as it is taken out of its frame.
 */
export class Http2Connection implements Closing {
  readonly #options: Http2Options
  readonly #session: Http2.ClientHttp2Session
  readonly #running = new Map<Exchange, Running>()
  #isReady = false
  #isDraining = false

  /** `then` is called when the server has said how much it takes, or was gone before. */
  constructor(origin: string, socket: Net.Socket, options: Http2Options, then: (error: Error | null) => void) {
    this.#options = options
    let isOver = false
    const end = (error: Error | null): void => {
      if (isOver) return
      isOver = true
      clearTimeout(deadline)
      this.#isReady = error === null
      then(error)
    }
    const deadline = setTimeout(() => {
      end(new NetError("connect-timeout", "the server has not begun to speak HTTP/2"))
      this.#session.destroy()
    }, options.limitMs)
    this.#session = Http2.connect(origin, { createConnection: () => socket, settings: { enablePush: false } })
    this.#session.once("remoteSettings", () => end(null))
    this.#session.on("goaway", () => (this.#isDraining = true))
    // Every stream is told as well.
    this.#session.on("error", end)
    this.#session.on("close", () => {
      end(new NetError("closed", "the other side closed the connection"))
      options.onGone(this)
    })
  }

  /** How many more requests it takes now. */
  get room(): number {
    const session = this.#session
    if (!this.#isReady || this.#isDraining || session.closed || session.destroyed) return 0
    const most = Math.min(streamsPerConnection, session.remoteSettings.maxConcurrentStreams ?? streamsPerConnection)
    return most - this.#running.size
  }

  /** Sends a request. `timing`: when the connection was opened for it. Throws when it cannot be written. */
  send(
    exchange: Exchange,
    fields: Fields,
    body: string,
    timing: ConnectionTiming | null,
    { again, isKept }: Repeating
  ): void {
    const { now } = this.#options
    this.#session.ref()
    exchange.onSend(this, timing)
    const stream = this.#request(fields)
    const running: Running = { stream, quiet: 0, isAnswered: false, informational: 0 }
    this.#running.set(exchange, running)
    const fail = (error: Error): void => {
      const isUntouched = stream.rstCode === Http2.constants.NGHTTP2_REFUSED_STREAM
      const isLost = isKept && this.#session.destroyed
      const isBegun = running.isAnswered || running.informational > 0
      if (again === null || isBegun || !(isUntouched || isLost)) this.#fail(exchange, error)
      else if (this.#done(exchange)) again()
    }
    stream.on("response", (headers) => {
      running.quiet = 0
      running.isAnswered = true
      const { ":status": status, ...others } = headers
      exchange.onHead(Number(status), others, now())
    })
    stream.on("headers", () => {
      running.quiet = 0
      if (++running.informational <= maxInformational) return
      this.#fail(exchange, new NetError("not-http", "informational answers without end"))
      stream.close(Http2.constants.NGHTTP2_CANCEL)
    })
    stream.on("data", (bytes: Buffer) => {
      running.quiet = 0
      exchange.onBody(bytes, 0, bytes.length, now())
    })
    stream.on("end", () => {
      if (!stream.aborted && running.isAnswered && this.#done(exchange)) exchange.onEnd(now())
    })
    stream.on("error", fail)
    stream.on("close", () =>
      fail(
        running.isAnswered
          ? new NetError("cut-off", "the server broke off in the middle of the answer")
          : new NetError("closed", "the server took back the request without an answer")
      )
    )
    stream.end(body)
  }

  #request(fields: Fields): Http2.ClientHttp2Stream {
    try {
      return this.#session.request(fields, { endStream: false })
    } catch (error) {
      throw new NetError("unsendable", error instanceof Error ? error.message : String(error))
    }
  }

  close(exchange: Exchange): void {
    const running = this.#running.get(exchange)
    if (this.#done(exchange)) running?.stream.close(Http2.constants.NGHTTP2_CANCEL)
  }

  /** Closes it whatever it does. */
  shutDown(): void {
    const error = new NetError("shut-down", "the connections are being closed")
    for (const exchange of this.#running.keys()) this.#fail(exchange, error)
    this.#session.destroy()
  }

  /** Some time has passed. `limit`: after how many such times without anything a request has failed. */
  sweep(limit: number): void {
    for (const [exchange, running] of this.#running) {
      if (++running.quiet <= limit) continue
      const error = running.isAnswered
        ? new NetError("idle-timeout", "nothing more came of the answer")
        : new NetError("headers-timeout", "no answer came")
      this.#fail(exchange, error)
      running.stream.close(Http2.constants.NGHTTP2_CANCEL)
    }
  }

  /** Whether it was running. */
  #done(exchange: Exchange): boolean {
    const was = this.#running.delete(exchange)
    if (this.#running.size === 0 && !this.#session.destroyed) this.#session.unref()
    return was
  }

  #fail(exchange: Exchange, error: Error): void {
    if (this.#done(exchange)) exchange.onError(error)
  }
}
