import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LlmError from "../../domain/LlmError.ts"
import { type ConnectionTiming, type Sent, type TokenEvent } from "../../domain/TokenEvent.ts"
import { EventBuffer } from "../wire/EventBuffer.ts"
import { type MakeDecoder, type StreamDecoder } from "../wire/StreamDecoder.ts"
import * as Failure from "./failure.ts"
import { Inflate } from "./Inflate.ts"
import * as Limits from "./limits.ts"
import { type Headers } from "./netResponse.ts"

/** How long a server may keep the connection open after its end marker before we close it, in milliseconds. */
const lingerMs = 1_000

type Batch = Effect.Effect<Arr.NonEmptyReadonlyArray<TokenEvent>, LlmError.LlmError | Cause.Done>

export interface ExchangeOptions {
  /** Nanoseconds on the monotonic clock. */
  readonly now: () => number
  readonly flushMs: number
  readonly connectSeconds: number
  readonly idleSeconds: number
  readonly makeDecoder: MakeDecoder
  /** Reads the API's error object from a body; `undefined` when it is none. */
  readonly errorOf: (body: string, headers: Headers) => LlmError.InStream | undefined
  /** Whether a body of status 200 is for the decoder; by default event streams are. */
  readonly accepts?: ((bytes: Buffer, contentType: string) => boolean) | undefined
  /** Called with the final answer's status and headers. */
  readonly onAnswer?: ((status: number, headers: Headers, at: number) => void) | undefined
  /** Called when the answer is complete, or has failed. */
  readonly onOver?: ((isComplete: boolean) => void) | undefined
  /** The reason of a failure as it is told: without the secrets that a server repeats. */
  readonly told?: ((reason: LlmError.Reason) => LlmError.Reason) | undefined
}

/** The way back to the connection of a request: closes what the request has to itself. */
export interface Closing {
  readonly close: (exchange: Exchange) => void
}

/**
 * One request on the wire: what a connection calls from its socket, and the pull that a stream takes batches from.
 *
 * The callbacks stamp and decode; they never wait. The reader is woken at most every `flushMs` and when the answer is
 * over, because waking a fiber costs more than decoding a token.
 *
 * They never throw either: sockets, zlib, HTTP/2 and timers call them, where an exception would end the process. Whatever a
 * step of a request throws is the failure of that request (`contain`).
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #events = new EventBuffer()
  #ended = false
  #cancelled = false
  #failure: LlmError.LlmError | undefined
  #waiter: ((batch: Batch) => void) | undefined
  #flush: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  #doneAt: number | undefined
  #connection: Closing | undefined
  #sentAt = 0
  #lostAfter: number | undefined
  /** Bytes of the body so far, without and with compression. */
  #length = 0
  #compressed = 0
  #status = 0
  #headers: Headers = {}
  #decoder: StreamDecoder | undefined
  #inflate: Inflate | undefined
  #body: { text: string; readonly utf8: InstanceType<typeof TextDecoder> } | undefined

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  /** Waits for the next events; never empty. */
  readonly pull: Batch = Effect.suspend(() =>
    this.#ended
      ? this.#take()
      : Effect.callback((resume) => {
          this.#waiter = resume
          this.#scheduleFlush()
          return Effect.sync(() => {
            this.#waiter = undefined
          })
        })
  )

  /** Whether anybody still waits for the answer. */
  get isWanted(): boolean {
    return !this.#cancelled
  }

  /** Whether it was written on a connection that was then lost, to be written on another one. */
  get isRepeated(): boolean {
    return this.#lostAfter !== undefined
  }

  /** Does a step of this request. What it throws is how the request failed. */
  contain(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#give(Failure.fromException(error, this.#options))
    }
  }

  /** Closes the connection unless the answer is complete. Returns what had arrived and was not read. */
  cancel(): ReadonlyArray<TokenEvent> {
    this.#cancelled = true
    this.#waiter = undefined
    clearTimeout(this.#flush)
    clearTimeout(this.#linger)
    if (!this.#ended) this.#connection?.close(this)
    this.#inflate?.destroy()
    return this.#events.take() ?? []
  }

  /** The request is about to be written. `timing`: of the connection, when it was opened for this request. */
  onSend(connection: Closing, timing: ConnectionTiming | null): void {
    this.#connection = connection
    this.#sentAt = this.#options.now()
    const sent: Sent = { _tag: "Sent", at: this.#sentAt, connection: timing }
    this.#events.push(this.#lostAfter === undefined ? sent : { ...sent, lostAfter: this.#lostAfter })
    this.#scheduleFlush()
  }

  /** The connection was lost before anything of an answer came. The request is to be written once more, on another one. */
  onLost(): void {
    this.#connection = undefined
    this.#lostAfter = this.#options.now() - this.#sentAt
  }

  onHead(status: number, headers: Headers, at: number): void {
    // An informational answer (1xx) comes before the real one.
    if (status >= 200) this.contain(() => this.#begin(status, headers, at))
  }

  /** Bytes of the body. They are used at once, or copied: the memory is the socket's. */
  onBody(bytes: Buffer, start: number, end: number, at: number): void {
    // What `contain` does, without a function for every read
    try {
      if (this.#inflate === undefined) this.#receive(bytes, start, end, at)
      else this.#decompress(this.#inflate, Buffer.from(bytes.subarray(start, end)), at)
    } catch (error) {
      this.#give(Failure.fromException(error, this.#options))
    }
  }

  onEnd(at: number): void {
    this.contain(() => {
      if (this.#inflate === undefined) this.#close(at)
      else this.#inflate.end()
    })
  }

  /** The connection failed, or there was none. */
  onError(error: unknown): void {
    this.contain(() => this.#break(error))
  }

  #break(error: unknown): void {
    // The answer was complete; how the connection ends is no matter any more.
    if (this.#doneAt !== undefined) return this.#close(this.#doneAt)
    // A refusal stays a refusal when the connection breaks while its text comes in.
    if (this.#status !== 0 && this.#status !== 200) return this.#fail(this.#refusal())
    const stage = this.#connection === undefined ? "opening" : this.#status === 0 ? "before-answer" : "in-answer"
    this.#fail(Failure.fromSocket(error, stage, this.#options))
  }

  #begin(status: number, headers: Headers, at: number): void {
    this.#status = status
    this.#headers = headers
    this.#events.push({ _tag: "ResponseStarted", at, status, rateLimit: rateLimitOf(headers) })
    this.#scheduleFlush()
    this.#options.onAnswer?.(status, headers, at)
    const encoding = single(headers["content-encoding"])?.trim().toLowerCase() ?? ""
    if (encoding === "" || encoding === "identity") return
    this.#inflate = Inflate.make(encoding, {
      onBytes: (bytes, arrived) => this.contain(() => this.#receive(bytes, 0, bytes.length, arrived)),
      onError: (error) =>
        this.contain(() => {
          if (this.#doneAt !== undefined) return this.#hangUp(this.#doneAt)
          this.#give(new LlmError.Protocol({ description: `Broken ${encoding}: ${error.message}` }))
        }),
      onEnd: () => this.contain(() => this.#close(this.#options.now()))
    })
    if (this.#inflate === undefined) {
      this.#give(new LlmError.Protocol({ description: `Unknown content-encoding: ${encoding}` }))
    }
  }

  #decompress(inflate: Inflate, bytes: Buffer, at: number): void {
    this.#compressed += bytes.length
    if (this.#compressed > Limits.maxAnswerBytes) return this.#give(Limits.tooLarge("a body", Limits.maxAnswerBytes))
    inflate.write(bytes, at)
  }

  #receive(bytes: Buffer, start: number, end: number, at: number): void {
    if (this.#ended) return
    this.#length += end - start
    if (this.#decoder === undefined && this.#body === undefined) {
      const accepts = this.#options.accepts ?? looksLikeEvents
      if (this.#status === 200 && accepts(bytes.subarray(start, end), single(this.#headers["content-type"]) ?? "")) {
        this.#decoder = this.#options.makeDecoder(this.#events)
      } else this.#body = { text: "", utf8: new TextDecoder() }
    }
    if (this.#decoder === undefined) {
      if (this.#body !== undefined && this.#body.text.length < Limits.maxErrorText) {
        this.#body.text += this.#body.utf8.decode(bytes.subarray(start, end), { stream: true })
      }
      if (this.#length > Limits.maxRefusalBytes) this.#give(this.#refusal())
      return
    }
    if (this.#length > Limits.maxAnswerBytes) return this.#give(Limits.tooLarge("a body", Limits.maxAnswerBytes))
    const reason =
      this.#decoder.pushPart === undefined
        ? this.#decoder.push(Buffer.from(bytes.subarray(start, end)), at)
        : this.#decoder.pushPart(bytes, start, end, at)
    if (reason !== undefined) return this.#give(reason)
    if (this.#decoder.done && this.#doneAt === undefined) {
      this.#doneAt = at
      this.#linger = setTimeout(() => this.contain(() => this.#hangUp(at)), lingerMs)
    }
    this.#scheduleFlush()
  }

  /** The end marker came, but nothing else of use will: the answer ended when the marker arrived. */
  #hangUp(at: number): void {
    this.#close(at)
    this.#connection?.close(this)
  }

  #close(at: number): void {
    if (this.#ended) return
    const reason = this.#decoder === undefined ? this.#refusal() : this.#decoder.end(at)
    if (reason !== undefined) return this.#fail(reason)
    this.#events.push({ _tag: "Ended", at })
    this.#end()
  }

  /** Why an answer is not a stream: an error status, an error object, a web page, or an answer in one piece. */
  #refusal(): LlmError.Reason {
    const body = (this.#body?.text ?? "").slice(0, Limits.maxErrorText).trim()
    const error = this.#options.errorOf(body, this.#headers)
    if (this.#status !== 200) {
      return Failure.fromStatus(this.#status, error?.description ?? body, this.#headers, error?.type)
    }
    if (error !== undefined) return error
    const type = single(this.#headers["content-type"]) ?? "no content type"
    return new LlmError.Protocol({
      description: body === "" ? "The server sent an empty answer" : `The server did not stream (${type}): ${body}`
    })
  }

  /** Fails the request and closes its connection, of which nothing more is wanted. */
  #give(reason: LlmError.Reason): void {
    this.#fail(reason)
    this.#inflate?.destroy()
    this.#connection?.close(this)
  }

  #fail(reason: LlmError.Reason): void {
    if (this.#ended) return
    const short = Failure.shortened(reason)
    this.#failure = LlmError.fromReason(this.#options.told?.(short) ?? short)
    this.#end()
  }

  #end(): void {
    this.#ended = true
    clearTimeout(this.#linger)
    this.#options.onOver?.(this.#failure === undefined)
    // What comes next, and it may be the next request, waits until all that is to be read now has its stamp.
    setImmediate(() => this.#wake())
  }

  /** A read may bring no event: half of one, or a comment. A reader woken for nothing would take that for the end. */
  #scheduleFlush(): void {
    if (this.#waiter === undefined || this.#events.isEmpty) return
    this.#flush ??= setTimeout(() => this.#wake(), this.#options.flushMs)
  }

  #wake(): void {
    clearTimeout(this.#flush)
    this.#flush = undefined
    const resume = this.#waiter
    this.#waiter = undefined
    resume?.(this.#take())
  }

  #take(): Batch {
    const events = this.#events.take()
    if (events !== undefined) return Effect.succeed(events)
    return this.#failure === undefined ? Cause.done() : Effect.fail(this.#failure)
  }
}

const single = (value: string | Array<string> | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value

/** What an event stream may begin with. */
const fields = ["data", "event", "id", "retry", ":"]

/**
 * Whether a body of status 200 is an event stream. JSON and web pages are none, whatever their type; text is one that has
 * the type or begins like one, as far as it goes.
 */
const looksLikeEvents = (bytes: Buffer, type: string): boolean => {
  const start = bytes.toString("utf8", 0, 64).trimStart()
  if (/^[{[<]/.test(start)) return false
  if (type.toLowerCase().startsWith("text/event-stream")) return true
  return fields.some((field) => start.startsWith(field) || field.startsWith(start))
}

/** Headers in which servers tell their limits; Anthropic's have a name of their own, and LiteLLM puts one before all. */
const rateLimitName = /^(llm_provider-)?(retry-after$|(x|anthropic)-ratelimit-)/

const rateLimitOf = (headers: Headers): { readonly [name: string]: string } | null => {
  let found: { [name: string]: string } | null = null
  for (const name in headers) {
    if (!rateLimitName.test(name)) continue
    const value = single(headers[name])
    if (value !== undefined) (found ??= {})[name] = value
  }
  return found
}
