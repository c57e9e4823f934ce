import * as Effect from "effect/Effect"
import { connect } from "node:net"

/** One piece of a body as the server wrote it: a chunk of the chunked encoding, or what a read gave without that. */
export interface Raw {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly chunks: ReadonlyArray<Buffer>
  /** The body ended as its encoding says it ends. */
  readonly complete: boolean
  /** Why reading stopped: the body was complete, enough was read, or what the socket said. */
  readonly stopped: "complete" | "enough" | "FIN" | "ECONNRESET"
}

const parseHead = (head: string) => {
  const [first = "", ...lines] = head.split("\r\n")
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
  )
  return { status: Number(first.split(" ")[1]), headers }
}

const parseBody = (headers: { readonly [name: string]: string }, body: Buffer) => {
  if (headers["transfer-encoding"] !== "chunked") {
    return { chunks: body.length === 0 ? [] : [body], complete: Number(headers["content-length"]) === body.length }
  }
  const chunks: Array<Buffer> = []
  let at = 0
  while (true) {
    const lineEnd = body.indexOf("\r\n", at)
    if (lineEnd < 0) return { chunks, complete: false }
    const size = Number.parseInt(body.toString("latin1", at, lineEnd), 16)
    const end = lineEnd + 2 + size
    if (body.length < end + 2) return { chunks, complete: false }
    if (size === 0) return { chunks, complete: true }
    chunks.push(body.subarray(lineEnd + 2, end))
    at = end + 2
  }
}

const parse = (bytes: Buffer): Raw | undefined => {
  const headEnd = bytes.indexOf("\r\n\r\n")
  if (headEnd < 0) return undefined
  const { headers, status } = parseHead(bytes.toString("latin1", 0, headEnd))
  return { status, headers, ...parseBody(headers, bytes.subarray(headEnd + 4)), stopped: "complete" }
}

const none: Raw = { status: 0, headers: {}, chunks: [], complete: false, stopped: "FIN" }

/** Sends bytes and reads one response, until it is complete, the connection ends, or `enough` of it came. */
export const exchange = (
  url: string,
  request: string,
  enough: (raw: Raw) => boolean = () => false
): Effect.Effect<Raw> =>
  Effect.callback((resume) => {
    const { hostname, port } = new URL(url)
    let bytes = Buffer.alloc(0)
    const socket = connect(Number(port), hostname)
    const stop = (stopped: Raw["stopped"]): void => {
      resume(Effect.succeed({ ...(parse(bytes) ?? none), stopped }))
      socket.destroy()
    }
    socket.on("data", (data) => {
      bytes = Buffer.concat([bytes, data])
      const raw = parse(bytes)
      if (raw?.complete === true) stop("complete")
      else if (raw !== undefined && enough(raw)) stop("enough")
    })
    socket.on("end", () => stop("FIN"))
    socket.on("error", () => stop("ECONNRESET"))
    socket.write(request)
    return Effect.sync(() => socket.destroy())
  })

/** A request as bytes. */
export const request = (
  method: string,
  path: string,
  body = "",
  headers: { readonly [name: string]: string } = {},
  version = "1.1"
): string =>
  [
    `${method} ${path} HTTP/${version}`,
    "Host: localhost",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "",
    body
  ].join("\r\n")

export const bodyOf = (raw: Raw): string => Buffer.concat([...raw.chunks]).toString("utf8")

/** The data of the events of a stream, read as the standard says. */
export const dataOf = (text: string): ReadonlyArray<string> =>
  text
    .replace(/^\uFEFF/, "")
    .replaceAll("\r\n", "\n")
    .split("\n\n")
    .map((event) =>
      event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).replace(/^ /, ""))
    )
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
