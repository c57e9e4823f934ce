import { NetError } from "./netError.ts"

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// eslint-disable-next-line no-control-regex
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const notInPath = /[^\x21-\xff]/
/** What says how the body is sent, or for how long the connection is kept, is said here and nowhere else. */
const ours = /^(transfer-encoding|keep-alive|upgrade|expect)$/

/** A request to be written; `host` is for one that has no header of that name. */
export interface Outgoing {
  readonly path: string
  readonly host: string
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

/** The headers of a request in HTTP/2, with those that begin with a colon. */
export interface Fields {
  readonly [name: string]: string | Array<string>
}

/** `bytes`: a request as one piece of memory, so that it goes out at once. `isClosing`: its connection is not to be kept. */
export interface Written {
  readonly bytes: Buffer
  readonly isClosing: boolean
}

interface Checked {
  readonly host: string
  readonly length: number
  readonly isClosing: boolean
  /** Names and values of all others, by turns. */
  readonly others: ReadonlyArray<string>
}

/** Throws a `NetError` when a request cannot be written: nothing in it may end a line or be taken for another header. */
const check = ({ body, headers, path, ...request }: Outgoing): Checked => {
  const length = Buffer.byteLength(body)
  if (path === "" || notInPath.test(path)) throw unsendable("invalid request path")
  let host: string | undefined
  let isClosing = false
  const others: Array<string> = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? ""
    const value = headers[i + 1] ?? ""
    if (!token.test(name)) throw unsendable("invalid header name")
    const lower = name.toLowerCase()
    if (notInValue.test(value) || ours.test(lower)) throw unsendable(`invalid ${name} header`)
    if (lower === "host") {
      if (host !== undefined) throw unsendable("duplicate host header")
      host = value
    } else if (lower === "connection") {
      const options = value.split(",").map((option) => option.trim().toLowerCase())
      if (options.includes("close")) isClosing = true
      else if (!options.every((option) => token.test(option))) throw unsendable("invalid connection header")
    } else if (lower === "content-length") {
      if (value !== String(length)) throw unsendable("invalid content-length header")
    } else others.push(name, value)
  }
  return { host: host ?? request.host, length, isClosing, others }
}

/** A request as HTTP/1.1 writes it. Throws a `NetError` when it cannot be written. */
export const write = (request: Outgoing): Written => {
  const { host, isClosing, length, others } = check(request)
  let head = `POST ${request.path} HTTP/1.1\r\nhost: ${host}\r\nconnection: ${isClosing ? "close" : "keep-alive"}\r\n`
  for (let i = 0; i < others.length; i += 2) head += `${others[i]}: ${others[i + 1]}\r\n`
  head += `content-length: ${length}\r\n\r\n`
  const bytes = Buffer.allocUnsafe(head.length + length)
  bytes.write(head, 0, "latin1")
  bytes.write(request.body, head.length, "utf8")
  return { bytes, isClosing }
}

/** The headers of a request as HTTP/2 takes them. Throws a `NetError` when they cannot be written. */
export const fields = (request: Outgoing): Fields => {
  const { host, length, others } = check(request)
  const all: { [name: string]: string | Array<string> } = {
    ":method": "POST",
    ":scheme": "https",
    ":authority": host,
    ":path": request.path,
    "content-length": String(length)
  }
  for (let i = 0; i < others.length; i += 2) {
    const name = (others[i] ?? "").toLowerCase()
    const before = all[name]
    const value = others[i + 1] ?? ""
    all[name] = before === undefined ? value : [before, value].flat()
  }
  return all
}

const unsendable = (what: string): NetError => new NetError("unsendable", what)
