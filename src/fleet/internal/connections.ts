import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { tcp } from "./wire.ts"

/**
 * Leaves aside what is written to a connection that is no more. `NodeSocket` waits until such a connection takes more, which it never
 * does: a reader that has to answer would then not get to know that the connection is lost, and whoever has to tell a last
 * word would never end.
 */
export const guarded = (socket: Socket.Socket, connection: () => Net.Socket | undefined): Socket.Socket => {
  const isOver = (): boolean => {
    const current = connection()
    return current !== undefined && (current.destroyed || current.writableEnded)
  }
  return Socket.make({
    reader: socket.reader,
    writer: Effect.map(socket.writer, ({ write, writeAll }) => ({
      write: (chunk) => Effect.suspend(() => (isOver() ? Effect.void : write(chunk))),
      writeAll: (chunks) => Effect.suspend(() => (isOver() ? Effect.void : writeAll(chunks)))
    }))
  })
}

/** How long the other side has to take what was written before the connection was closed. */
const FAREWELL_MILLIS = 1_000

const close = (connection: Net.Socket, isOpen: boolean): void => {
  if (!isOpen) {
    connection.destroy()
    return
  }
  connection.destroySoon()
  // One that hangs takes nothing, and would hold up the end of this process
  setTimeout(() => connection.destroy(), FAREWELL_MILLIS).unref()
}

/** A socket that is connected when it is read from, and anew each time. `secure`: for TLS; `null` for none. */
export const dial = (options: {
  readonly host: string
  readonly port: number
  readonly openMillis: number
  readonly secure: Tls.ConnectionOptions | null
}): Effect.Effect<Socket.Socket> => {
  const { host, openMillis, port, secure } = options
  let current: Net.Socket | undefined
  const open = Effect.gen(function* () {
    let isOpen = false
    let connection: Net.Socket | undefined
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (connection !== undefined) close(connection, isOpen)
      })
    )
    return yield* Effect.callback<Net.Socket, Socket.SocketError>((resume) => {
      const made = secure === null ? Net.connect({ host, port }) : Tls.connect({ ...secure, host, port })
      connection = made
      current = made
      made.setNoDelay(tcp.noDelay).setKeepAlive(tcp.keepAlive, tcp.keepAliveInitialDelay)
      made.once(secure === null ? "connect" : "secureConnect", () => {
        isOpen = true
        resume(Effect.succeed(made))
      })
      made.on("error", (cause) => {
        const reason = new Socket.SocketOpenError({ kind: "Unknown", cause })
        resume(Effect.fail(new Socket.SocketError({ reason })))
      })
    })
  })
  return Effect.map(NodeSocket.fromDuplex(open, { openTimeout: openMillis }), (socket) =>
    guarded(socket, () => current)
  )
}
