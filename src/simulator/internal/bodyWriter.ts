import * as Effect from "effect/Effect"
import { type ServerResponse } from "node:http"
import { constants, createGzip } from "node:zlib"
import * as Fault from "../Fault.ts"
import { type Data } from "./dialect.ts"

/** Writes the body of a stream. What is written leaves at once. */
export interface BodyWriter {
  /** Sends the headers, and what comes first of the body if anything. */
  readonly begin: (data: Data) => Effect.Effect<void>
  readonly write: (data: Data) => Effect.Effect<void>
  /** Ends the body properly; whatever has been written before leaves with it. */
  readonly end: (data: Data) => Effect.Effect<void>
}

const drained = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = response.req.socket
    const onDrain = (): void => resume(Effect.void)
    socket.once("drain", onDrain)
    return Effect.sync(() => socket.off("drain", onDrain))
  })

/**
 * One chunk of the chunked encoding. It goes straight to the socket: `ServerResponse.write` takes three writes and a tick
 * of the loop for it. Before the response has its socket (pipelined requests) and without chunks (HTTP/1.0) it goes the
 * ordinary way.
 */
const push = (response: ServerResponse, data: Data): void => {
  const { socket } = response
  if (socket === null || !response.chunkedEncoding) {
    response.write(data)
  } else if (typeof data === "string") {
    socket.write(`${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`)
  } else {
    socket.cork()
    socket.write(`${data.length.toString(16)}\r\n`)
    socket.write(data)
    socket.write("\r\n")
    socket.uncork()
  }
}

/** Writes, and waits while the client is not reading. */
const writeNow = (response: ServerResponse, data: Data): Effect.Effect<void> => {
  push(response, data)
  return response.socket?.writableNeedDrain === true ? drained(response) : Effect.void
}

const plain = (response: ServerResponse): BodyWriter => ({
  begin: (data) =>
    Effect.sync(() => {
      response.flushHeaders()
      if (data.length > 0) push(response, data)
    }),
  write: (data) => Effect.suspend(() => (data.length > 0 ? writeNow(response, data) : Effect.void)),
  end: (data) =>
    Effect.sync(() => {
      response.socket?.cork()
      if (data.length > 0) push(response, data)
      response.end()
    })
})

const flushHeaders = (response: ServerResponse): Effect.Effect<void> => Effect.sync(() => response.flushHeaders())

/** Cuts what comes every few bytes and gives the loop a turn between the pieces. */
const split = (response: ServerResponse, pieceBytes: number): BodyWriter => {
  const write = Effect.fnUntraced(function* (data: Data) {
    const bytes = typeof data === "string" ? Buffer.from(data) : data
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      yield* Effect.suspend(() => writeNow(response, bytes.subarray(at, at + pieceBytes)))
      yield* Effect.yieldNow
    }
  })
  return {
    begin: (data) => Effect.andThen(flushHeaders(response), write(data)),
    write,
    end: (data) =>
      Effect.andThen(
        write(data),
        Effect.sync(() => response.end())
      )
  }
}

/** Compresses, and flushes each time, so that what was written can be read. */
const gzip = (response: ServerResponse): BodyWriter => {
  const compressor = createGzip()
  let compressed: Array<Buffer> = []
  compressor.on("data", (data: Buffer) => compressed.push(data))
  const taken = Effect.suspend(() => {
    const data = Buffer.concat(compressed)
    compressed = []
    return data.length === 0 ? Effect.void : writeNow(response, data)
  })
  const write = (data: Data): Effect.Effect<void> =>
    Effect.callback((resume) => {
      compressor.write(data)
      compressor.flush(constants.Z_SYNC_FLUSH, () => resume(taken))
    })
  return {
    begin: (data) => Effect.andThen(flushHeaders(response), data.length === 0 ? Effect.void : write(data)),
    write,
    end: (data) =>
      Effect.callback((resume) => {
        compressor.once("end", () =>
          resume(
            Effect.andThen(
              taken,
              Effect.sync(() => response.end())
            )
          )
        )
        compressor.end(data)
      })
  }
}

/** Bytes between the cuts of the `split` fault. */
const pieceBytes = 7

export const make = (response: ServerResponse, faults: ReadonlyArray<Fault.Fault>): BodyWriter => {
  if (Fault.find(faults, "gzip") !== undefined) return gzip(response)
  if (Fault.find(faults, "split") !== undefined) return split(response, pieceBytes)
  return plain(response)
}
