import type * as Net from "node:net"
import { type ConnectionTiming } from "../../domain/TokenEvent.ts"
import { type Closing, type Exchange } from "./Exchange.ts"
import { NetError } from "./netError.ts"
import { type Written } from "./netRequest.ts"
import { type Headers, ResponseReader, type ResponseTarget } from "./netResponse.ts"

/** So soon after an answer a server closes the connection because it does so after every answer, not because it was idle. */
const behindNanos = 1e9

/**
 * - `onFree`: the answer is over, and the connection is good for another request; tells whether it is kept for one
 * - `onClosedBehind`: the server closed it right behind an answer that did not say so
 * - `onGone`: it is closed, or about to be
 */
export interface ConnectionOptions {
  /** Nanoseconds on the monotonic clock. */
  readonly now: () => number
  readonly onFree: (connection: Connection) => boolean
  readonly onClosedBehind: (connection: Connection) => void
  readonly onGone: (connection: Connection) => void
}

/**
 * A connection that speaks HTTP/1.1, for one request at a time.
 *
 * Everything that is read gets one stamp, as it is handed over, before any of it is looked at.
 */
export class Connection implements ResponseTarget, Closing {
  readonly #options: ConnectionOptions
  readonly #reader = new ResponseReader(this)
  #socket: Net.Socket | undefined
  #exchange: Exchange | undefined
  #onLost: ((error: unknown) => void) | null = null
  #isClosing = false
  #isDestroyed = false
  /** How many sweeps there were since something came. */
  #quiet = 0
  #requests = 0
  /** When the last answer ended, and how many requests the server takes on a connection. */
  #answeredAt: number | undefined
  #mostRequests: number | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Whether it was used for a request, and the server may have closed it since. */
  get isUsed(): boolean {
    return this.#requests > 0
  }

  /** Whether it was used for several. */
  get isReused(): boolean {
    return this.#requests > 1
  }

  get isAlive(): boolean {
    const socket = this.#socket
    return socket !== undefined && !socket.destroyed && socket.readable && socket.writable
  }

  /** How long the server says that it keeps an idle connection, in milliseconds. */
  get keepAliveMs(): number | null {
    return this.isUsed ? this.#reader.keepAliveMs : null
  }

  /** Takes a socket that is open. */
  attach(socket: Net.Socket): void {
    this.#socket = socket
    socket.on("error", (error) => this.#onClosed(error))
    socket.on("end", () => this.#onFin())
    socket.on("close", () => this.#onClosed(this.#lost()))
  }

  /**
   * Sends a request. `timing`: when the connection was opened for it. `onLost` is called, instead of the exchange, when the
   * server closes the connection before any byte of an answer came.
   */
  send(
    exchange: Exchange,
    { bytes, isClosing }: Written,
    timing: ConnectionTiming | null,
    onLost: ((error: unknown) => void) | null
  ): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#exchange = exchange
    this.#onLost = onLost
    this.#isClosing = isClosing
    this.#requests++
    this.#quiet = 0
    this.#reader.reset()
    socket.ref()
    exchange.onSend(this, timing)
    socket.write(bytes)
  }

  /** What the socket calls with everything that it has read. */
  readonly receive = (bytes: Buffer, length: number): void => {
    const at = this.#options.now()
    // Nothing was asked.
    if (this.#exchange === undefined) return this.#destroy()
    if (this.#reader.isHeadDone) this.#quiet = 0
    try {
      // What comes after the end of an answer is the answer to nothing.
      if (this.#reader.read(bytes, 0, length, at) < length) this.#destroy()
    } catch (error) {
      this.#fail(error)
    }
  }

  onHead(status: number, headers: Headers, at: number): void {
    this.#quiet = 0
    this.#exchange?.onHead(status, headers, at)
  }

  onBody(bytes: Buffer, start: number, end: number, at: number): void {
    this.#exchange?.onBody(bytes, start, end, at)
  }

  onEnd(at: number): void {
    const exchange = this.#exchange
    const socket = this.#socket
    if (exchange === undefined || socket === undefined) return
    this.#exchange = undefined
    this.#quiet = 0
    this.#answeredAt = at
    this.#mostRequests ??= this.#reader.keepAliveMax ?? Infinity
    // An answer before the end of its request is one, but what is left of the request would be in the way of the next.
    const isGood =
      this.#reader.keepsOpen && !this.#isClosing && this.#requests < this.#mostRequests && socket.writableLength === 0
    if (isGood && this.#options.onFree(this)) socket.unref()
    else this.#destroy()
    exchange.onEnd(at)
  }

  /** Nothing more is wanted for this request. */
  close(exchange: Exchange): void {
    if (this.#exchange !== exchange) return
    this.#exchange = undefined
    this.#destroy()
  }

  /** Closes it whatever it does. */
  shutDown(): void {
    this.#fail(new NetError("shut-down", "the connections are being closed"))
  }

  /**
   * Some time has passed. `limit`: after how many such times without anything a request has failed; `idleLimit`: the same for
   * a connection without a request, `null` for no limit.
   */
  sweep(limit: number, idleLimit: number | null): void {
    this.#quiet++
    if (this.#exchange === undefined) {
      if (idleLimit !== null && this.#quiet >= idleLimit) this.#destroy()
    } else if (this.#quiet > limit) {
      this.#fail(
        this.#reader.isHeadDone
          ? new NetError("idle-timeout", "nothing more came of the answer")
          : new NetError("headers-timeout", "no answer came")
      )
    }
  }

  #onFin(): void {
    if (this.#exchange === undefined) return this.#onClosed(this.#lost())
    const error = this.#reader.close(this.#options.now())
    if (error !== undefined) this.#onClosed(error)
  }

  /** The other side has closed the connection. */
  #onClosed(error: unknown): void {
    if (this.#isDestroyed) return
    const onLost = this.#exchange === undefined || this.#reader.isBegun ? null : this.#onLost
    const isBetween = this.#exchange === undefined || !this.#reader.isBegun
    if (isBetween && this.#answeredAt !== undefined && this.#options.now() - this.#answeredAt < behindNanos) {
      this.#options.onClosedBehind(this)
    }
    if (onLost === null) return this.#fail(error)
    this.#exchange = undefined
    this.#destroy()
    onLost(error)
  }

  #lost(): NetError {
    return this.#reader.isHeadDone
      ? new NetError("cut-off", "the connection was closed in the middle of the answer")
      : new NetError("closed", "the other side closed the connection")
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#destroy()
    exchange?.onError(error)
  }

  #destroy(): void {
    this.#isDestroyed = true
    this.#reader.stop()
    this.#socket?.destroy()
    this.#options.onGone(this)
  }
}
