import { maxHeadBytes, maxInformational } from "./limits.ts"
import { NetError } from "./netError.ts"

/** Headers by their names in lower case; those that came several times are lists. */
export interface Headers {
  readonly [name: string]: string | Array<string> | undefined
}

/** What is made of an answer, as its bytes come in. `bytes` are to be used at once: the memory is used again. */
export interface ResponseTarget {
  readonly onHead: (status: number, headers: Headers, at: number) => void
  readonly onBody: (bytes: Buffer, start: number, end: number, at: number) => void
  readonly onEnd: (at: number) => void
}

/** No piece is longer than this: 2^44 bytes. */
const maxSizeDigits = 11

const CR = 13
const LF = 10
const TAB = 9
const SPACE = 32
const SEMICOLON = 59

/** Where the reader is. Numbers, because this is looked at for every piece. */
const inHead = 0
const inSize = 1
const inExtension = 2
const afterSize = 3
const inPiece = 4
const afterPiece = 5
const inTrailer = 6
const inLength = 7
const untilClose = 8
const over = 9

const versionStart = Buffer.from("HTTP/1.")
const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/
const headerLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/

/**
 * Reads the answers of an HTTP/1.1 server (RFC 9112), one request after the other, from bytes that come in any pieces.
 *
 * Strict where leniency would let one answer pass for another: line ends are CR LF, a length is told once and not beside
 * pieces, names of headers end with their colon, lines are not folded. Answers are never longer than they say.
 */
export class ResponseReader {
  readonly #target: ResponseTarget
  #state = inHead
  /** The bytes of the head so far, when it did not come at once. */
  #held: Array<Buffer> = []
  #headBytes = 0
  #lineBytes = 0
  #wasReturn = false
  #informational = 0
  /** What is left of a piece or of the body, and the digits of a size so far. */
  #left = 0
  #digits = 0
  #isBegun = false
  #isHeadDone = false
  #keepsOpen = false
  /** In milliseconds, and in requests; `null` when the server does not tell. */
  #keepAliveMs: number | null = null
  #keepAliveMax: number | null = null

  constructor(target: ResponseTarget) {
    this.#target = target
  }

  /** Whether anything of an answer has come, and whether its headers have. */
  get isBegun(): boolean {
    return this.#isBegun
  }
  get isHeadDone(): boolean {
    return this.#isHeadDone
  }
  /** Whether another request may be sent on this connection after the answer that is over. */
  get keepsOpen(): boolean {
    return this.#keepsOpen
  }
  /** How long the server says that it keeps an idle connection. */
  get keepAliveMs(): number | null {
    return this.#keepAliveMs
  }
  /** How many requests the server says that it takes on a connection, or how many more. */
  get keepAliveMax(): number | null {
    return this.#keepAliveMax
  }

  /** The next answer begins. */
  reset(): void {
    this.#state = inHead
    this.#headBytes = 0
    this.#lineBytes = 0
    this.#wasReturn = false
    this.#informational = 0
    this.#isBegun = false
    this.#isHeadDone = false
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.#state = over
  }

  /**
   * Takes the bytes from `start` to `end`, which arrived at `at`. Returns how far it came, which is short of `end` only after
   * the end of the answer. Throws a `NetError` when this is no HTTP.
   */
  read(bytes: Buffer, start: number, end: number, at: number): number {
    let from = start
    while (from < end) {
      switch (this.#state) {
        case inSize: {
          const byte = bytes[from++] ?? 0
          const digit = hexDigit(byte)
          if (digit >= 0) {
            if (++this.#digits > maxSizeDigits) throw notHttp("a piece with a size that is too large")
            this.#left = this.#left * 16 + digit
          } else if (this.#digits === 0) throw notHttp("a piece without its size")
          else if (byte === CR) this.#state = afterSize
          else if (byte === SEMICOLON || byte === SPACE || byte === TAB) this.#state = inExtension
          else throw notHttp("a piece with a size that is no number")
          break
        }
        case inExtension: {
          const byte = bytes[from++] ?? 0
          this.#count()
          if (byte === CR) this.#state = afterSize
          else if (byte < SPACE && byte !== TAB) throw notHttp("a control character beside the size of a piece")
          break
        }
        case afterSize:
          if (bytes[from++] !== LF) throw notHttp("the size of a piece is not followed by a line end")
          this.#lineBytes = 0
          this.#wasReturn = false
          this.#state = this.#left === 0 ? inTrailer : inPiece
          break
        case inPiece: {
          const to = Math.min(end, from + this.#left)
          const piece = from
          this.#left -= to - from
          from = to
          if (this.#left === 0) {
            this.#state = afterPiece
            this.#digits = 0
          }
          this.#target.onBody(bytes, piece, to, at)
          break
        }
        case afterPiece: {
          // CR, then LF. `digits` tells which of them is to come.
          const byte = bytes[from++]
          if (byte !== (this.#digits === 0 ? CR : LF)) throw notHttp("a piece that is longer than its size")
          if (this.#digits === 0) this.#digits = 1
          else {
            this.#digits = 0
            this.#state = inSize
          }
          break
        }
        case inLength: {
          const to = Math.min(end, from + this.#left)
          const piece = from
          this.#left -= to - from
          from = to
          this.#target.onBody(bytes, piece, to, at)
          if (this.#left === 0) this.#end(at)
          break
        }
        case untilClose: {
          const piece = from
          from = end
          this.#target.onBody(bytes, piece, end, at)
          break
        }
        case inTrailer:
          from = this.#readLines(bytes, from, end)
          if (this.#lineBytes < 0) this.#end(at)
          break
        case inHead: {
          const begin = from
          from = this.#readLines(bytes, from, end)
          const isWhole = this.#lineBytes < 0
          if (!isWhole || this.#held.length > 0) {
            this.#held.push(Buffer.from(bytes.subarray(begin, from)))
            const head = Buffer.concat(this.#held)
            checkStart(head)
            this.#held = isWhole ? [] : [head]
            if (isWhole) this.#onHead(head.toString("latin1"), at)
          } else this.#onHead(bytes.toString("latin1", begin, from), at)
          break
        }
        default:
          return from
      }
    }
    return from
  }

  /** The other side has closed the connection. `undefined` when that was the end of the answer. */
  close(at: number): NetError | undefined {
    if (this.#state === over) return undefined
    if (this.#state === untilClose) {
      this.#end(at)
      return undefined
    }
    return this.#isHeadDone
      ? new NetError("cut-off", "the connection was closed in the middle of the answer")
      : new NetError("closed", "the other side closed the connection")
  }

  #count(): void {
    if (++this.#headBytes > maxHeadBytes) {
      throw new NetError("too-large", "the headers or what else is around the content")
    }
  }

  /** Goes on to the empty line that ends a head, or to `end`. `#lineBytes` is negative after that line. */
  #readLines(bytes: Buffer, start: number, end: number): number {
    let from = start
    while (from < end) {
      const byte = bytes[from++] ?? 0
      this.#isBegun = true
      this.#count()
      if (byte === LF) {
        if (!this.#wasReturn) throw notHttp("a line end without CR")
        this.#wasReturn = false
        if (this.#lineBytes === 0) {
          this.#lineBytes = -1
          return from
        }
        this.#lineBytes = 0
      } else if (this.#wasReturn) throw notHttp("CR within a line")
      else if (byte === CR) this.#wasReturn = true
      else this.#lineBytes++
    }
    return from
  }

  #onHead(head: string, at: number): void {
    const lines = head.slice(0, -4).split("\r\n")
    const [, minor, code] = statusLine.exec(lines[0] ?? "") ?? []
    if (code === undefined) throw notHttp("a broken status line")
    const status = Number(code)
    const headers = headersOf(lines)

    if (status < 200) {
      if (status === 101) throw notHttp("a change of the protocol that nobody asked for")
      if (++this.#informational > maxInformational) throw notHttp("informational answers without end")
      this.#headBytes = 0
      this.#lineBytes = 0
      this.#target.onHead(status, headers, at)
      return
    }

    const connection = listOf(headers["connection"])
    const isKept = minor === "1" ? !connection.includes("close") : connection.includes("keep-alive")
    const keepAlive = headers["keep-alive"]
    const timeout = keepAlive === undefined ? null : keepAliveOf(keepAlive, timeoutParameter)
    this.#keepAliveMs = timeout === null ? null : timeout * 1_000
    this.#keepAliveMax = keepAlive === undefined ? null : keepAliveOf(keepAlive, maxParameter)
    this.#isHeadDone = true
    this.#headBytes = 0
    const coding = listOf(headers["transfer-encoding"])
    const length = lengthOf(headers["content-length"])
    if (coding.length > 0 && length !== null) throw notHttp("a body with a length and in pieces")
    if (coding.length > 0 && coding.join() !== "chunked") {
      throw notHttp(`a transfer-encoding that is not understood: ${coding.join(", ")}`)
    }

    const isEmpty = status === 204 || status === 304
    this.#keepsOpen = isKept && (isEmpty ? coding.length === 0 && (length ?? 0) === 0 : true)
    if (isEmpty || length === 0) {
      this.#state = over
      this.#target.onHead(status, headers, at)
      this.#target.onEnd(at)
      return
    }
    if (coding.length > 0) {
      this.#state = inSize
      this.#left = 0
      this.#digits = 0
    } else if (length !== null) {
      this.#state = inLength
      this.#left = length
    } else {
      this.#state = untilClose
      this.#keepsOpen = false
    }
    this.#target.onHead(status, headers, at)
  }

  #end(at: number): void {
    // The target may have stopped the reader in the middle.
    if (this.#state === over) return
    this.#state = over
    this.#target.onEnd(at)
  }
}

const notHttp = (what: string): NetError => new NetError("not-http", what)

const hexDigit = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 0x20
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** Another protocol is seen for what it is before its line ends. */
const checkStart = (head: Buffer): void => {
  const length = Math.min(head.length, versionStart.length)
  if (head.compare(versionStart, 0, length, 0, length) !== 0) throw notHttp("the answer does not begin with HTTP/1")
}

const headersOf = (lines: ReadonlyArray<string>): Headers => {
  const headers: { [name: string]: string | Array<string> | undefined } = Object.create(null)
  for (let i = 1; i < lines.length; i++) {
    const [, given, padded] = headerLine.exec(lines[i] ?? "") ?? []
    if (given === undefined || padded === undefined) throw notHttp("a broken header")
    const name = given.toLowerCase()
    const value = padded.trimEnd()
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (typeof before === "string") headers[name] = [before, value]
    else before.push(value)
  }
  return headers
}

const listOf = (value: string | Array<string> | undefined): ReadonlyArray<string> => {
  if (value === undefined) return []
  const text = typeof value === "string" ? value : value.join(",")
  return text.split(",").flatMap((item) => {
    const word = item.trim().toLowerCase()
    return word === "" ? [] : [word]
  })
}

const lengthOf = (value: string | Array<string> | undefined): number | null => {
  if (value === undefined) return null
  if (typeof value !== "string" || !/^\d{1,15}$/.test(value)) throw notHttp("a broken content-length")
  return Number(value)
}

const timeoutParameter = /(?:^|[,\s])timeout=\s*(\d{1,9})/i
const maxParameter = /(?:^|[,\s])max=\s*(\d{1,9})/i

const keepAliveOf = (value: string | Array<string>, parameter: RegExp): number | null => {
  const found = parameter.exec(typeof value === "string" ? value : value.join(","))?.[1]
  return found === undefined ? null : Number(found)
}
