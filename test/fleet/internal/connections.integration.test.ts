import { assert, describe, it } from "@effect/vitest"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { connect, type Socket } from "node:net"
import * as Connections from "../../../src/fleet/internal/connections.ts"
import { stranger, until } from "../sockets.ts"

/** A connection, and the socket that the server has of it. */
const connected = Effect.gen(function* () {
  const accepted: Array<Socket> = []
  const address = yield* stranger((socket) => accepted.push(socket))
  const near = connect(address)
  near.on("error", () => {})
  yield* Effect.addFinalizer(() => Effect.sync(() => near.destroy()))
  yield* until(() => accepted.length > 0 && !near.connecting, "it is connected")
  return { near, far: accepted[0] }
})

describe("a connection", () => {
  it.live("takes what is written to it, but holds up nobody once it is no more", () =>
    Effect.gen(function* () {
      const { far, near } = yield* connected
      let received = ""
      far?.on("data", (data) => (received += String(data)))
      const socket = Connections.guarded(yield* NodeSocket.fromDuplex(Effect.succeed(near)), () => near)
      yield* socket.reader
      const { write, writeAll } = yield* socket.writer
      yield* write("one ")
      yield* writeAll(["two ", "three"])
      yield* until(() => received === "one two three", "all of it is there")
      let isClosed = false
      near.on("close", () => (isClosed = true)).destroy()
      yield* until(() => isClosed, "it is closed")
      for (const late of [write("four"), writeAll(["five", "six"])]) yield* Effect.timeout(late, 5_000)
      assert.strictEqual(received, "one two three")
    })
  )

  /** Closes a connection just after much was written to it; `patience`: how long the other side waits before it reads. */
  const receivedOf = Effect.fnUntraced(function* (bytes: number, patience: number) {
    let received = 0
    const accepted: Array<Socket> = []
    const address = yield* stranger((socket) => {
      accepted.push(socket.pause())
      socket.on("data", (data) => (received += data.length))
      socket.pause()
    })
    const socket = yield* Connections.dial({ ...address, openMillis: 1_000, secure: null })
    const scope = yield* Scope.make()
    yield* Scope.provide(socket.reader, scope)
    const { write } = yield* Scope.provide(socket.writer, scope)
    yield* Effect.forkChild(Effect.ignore(write(new Uint8Array(bytes))), { startImmediately: true })
    yield* until(() => accepted.length > 0, "it is connected")
    yield* Scope.close(scope, Exit.void)
    yield* Effect.sleep(patience)
    let isClosed = false
    accepted[0]?.on("close", () => (isClosed = true)).resume()
    yield* until(() => isClosed, "the other side knows of the end")
    return received
  })

  it.live("that is closed still brings what was written, but not to one that hangs", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* receivedOf(20_000_000, 0), 20_000_000)
      assert.isBelow(yield* receivedOf(20_000_000, 2_000), 20_000_000)
    })
  )

  it.live("is opened in the time that there is for it", () =>
    Effect.gen(function* () {
      const address = yield* stranger(() => {})
      const socket = yield* Connections.dial({ ...address, openMillis: 200, secure: { ca: "" } })
      const error = yield* Effect.flip(Effect.scoped(socket.reader))
      assert.deepInclude({ ...error.reason }, { _tag: "SocketOpenError", kind: "Timeout" })
    })
  )
})
