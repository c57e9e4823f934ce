/**
 * Who may talk to an agent. Whoever has not shown the token yet gets little of it: a few small messages, a few seconds, and one of
 * a limited number of places.
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Predicate from "effect/Predicate"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import { type Socket as NetSocket } from "node:net"
import * as Bearer from "./bearer.ts"

/** Connections that have not shown the token, and all of them. */
export const MOST_STRANGERS = 64
export const MOST_CONNECTIONS = 256
/** How long a connection may take to show the token. */
export const STRANGER_MILLIS = 5_000
/** Bytes of a message, and of all messages, of one that has not: a call with the longest token takes some 9 kB. */
const MOST_STRANGER_FRAME = 16 * 1024
export const MOST_STRANGER_BYTES = 64 * 1024

type Chunk = Uint8Array | string
type Chunks = readonly [Chunk, ...ReadonlyArray<Chunk>]

const closed = Effect.fail(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1008 }) }))

const bytesOf = (chunk: Chunk): Uint8Array => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)

/** The length of a frame with what goes before it: seven bits in each byte, the lowest first. `null` when it is not known yet. */
const frameLength = (bytes: Uint8Array): number | null => {
  let length = 0
  for (let at = 0; at < Math.min(bytes.length, 4); at++) {
    const byte = bytes[at] ?? 0
    length += (byte & 0x7f) * 128 ** at
    if (byte < 128) return length + at + 1
  }
  return bytes.length < 4 ? null : Infinity
}

/**
 * What somebody says who has not shown the token yet. `take` gives what may be passed on by now, nothing when the rest of a message
 * is still to come, and `null` for more than is allowed.
 */
const makeStranger = (parser: RpcSerialization.Parser, isToken: (message: unknown) => boolean) => {
  let held: Uint8Array = new Uint8Array(0)
  let total = 0
  let state: "stranger" | "known" | "garbled" = "stranger"

  /** Whether it shows the token. What is no message shows nothing, and neither does what follows. */
  const read = (frame: Uint8Array): typeof state => {
    try {
      return parser.decode(frame).some(isToken) ? "known" : "stranger"
    } catch {
      return "garbled"
    }
  }

  return {
    isKnown: () => state === "known",
    take: (chunk: Uint8Array): Uint8Array | null => {
      if (state === "known") return chunk
      total += chunk.length
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      let at = 0
      while (state === "stranger") {
        const length = frameLength(bytes.subarray(at))
        if (length !== null && length > MOST_STRANGER_FRAME) return null
        if (length === null || at + length > bytes.length) break
        state = read(bytes.subarray(at, at + length))
        at += length
      }
      if (state !== "known" && total > MOST_STRANGER_BYTES) return null
      // Whoever is known, or says what nobody understands, is answered elsewhere
      const passed = state === "stranger" ? at : bytes.length
      held = bytes.slice(passed)
      return bytes.subarray(0, passed)
    }
  }
}

interface Stranger {
  readonly connection: NetSocket
  readonly address: string
}

/** Gives what lets connections in: it serves one with `serve` as long as it keeps to the limits, and ends it otherwise. */
export const make = (token: Redacted.Redacted, serialization: RpcSerialization.RpcSerialization["Service"]) => {
  const isToken = Bearer.check(token)
  const shows = (message: unknown): boolean =>
    Predicate.isTagged(message, "Request") &&
    Predicate.hasProperty(message, "headers") &&
    isToken(Bearer.of(message.headers))
  /** In the order in which they came. */
  const strangers = new Set<Stranger>()
  let known = 0

  /** Of those of whom there are most from one address, the one that came first: a crowd pushes out its own. */
  const makeRoom = (): void => {
    if (strangers.size < MOST_STRANGERS) return
    const crowds = new Map<string, number>()
    for (const { address } of strangers) crowds.set(address, (crowds.get(address) ?? 0) + 1)
    const largest = Math.max(...crowds.values())
    for (const stranger of strangers) {
      if (crowds.get(stranger.address) !== largest) continue
      strangers.delete(stranger)
      stranger.connection.destroy()
      return
    }
  }

  return <A, E, R>(
    connection: NetSocket,
    socket: Socket.Socket,
    serve: (socket: Socket.Socket) => Effect.Effect<A, E, R>
  ): Effect.Effect<A | void, E, R> =>
    Effect.suspend(() => {
      const stranger: Stranger = { connection, address: connection.remoteAddress ?? "" }
      const said = makeStranger(serialization.makeUnsafe(), shows)
      let isCounted = false
      makeRoom()
      strangers.add(stranger)

      const pass = (chunks: Chunks): Effect.Effect<ReadonlyArray<Uint8Array>, Socket.SocketError> => {
        const passed: Array<Uint8Array> = []
        for (const chunk of chunks) {
          const bytes = said.take(bytesOf(chunk))
          if (bytes === null) return refuse
          if (bytes.length > 0) passed.push(bytes)
        }
        if (!said.isKnown() || isCounted) return Effect.succeed(passed)
        if (known >= MOST_CONNECTIONS - MOST_STRANGERS) return refuse
        isCounted = true
        known++
        strangers.delete(stranger)
        return Effect.succeed(passed)
      }
      const refuse = Effect.suspend(() => {
        connection.destroy()
        return closed
      })
      const guarded = Socket.make({
        writer: socket.writer,
        reader: Effect.map(socket.reader, ({ pull, upgrade }) => {
          const next: typeof pull = Effect.gen(function* () {
            while (true) {
              const chunks = yield* pull
              if (isCounted) return chunks
              const [first, ...others] = yield* pass(chunks)
              if (first !== undefined) return [first, ...others] as const
            }
          })
          return { pull: next, upgrade }
        })
      })
      const deadline = Effect.sleep(STRANGER_MILLIS).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            if (isCounted) return Effect.never
            connection.destroy()
            return Effect.void
          })
        )
      )
      return Effect.raceFirst(serve(guarded), deadline).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            strangers.delete(stranger)
            if (isCounted) known--
          })
        )
      )
    })
}
