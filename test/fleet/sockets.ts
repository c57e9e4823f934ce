/** Servers and ways to them that a test can break. */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

const listening = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly host: string; readonly port: number }>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(
          Effect.succeed({
            host: "127.0.0.1",
            port: typeof address === "object" && address !== null ? address.port : 0
          })
        )
      })
    }),
    () => Effect.sync(() => server.close())
  )

/** A server that is no agent. */
export const stranger = (onConnection: (socket: Net.Socket) => void) =>
  Effect.gen(function* () {
    const open = new Set<Net.Socket>()
    const address = yield* listening(
      Net.createServer((socket) => {
        open.add(socket)
        socket.on("error", () => {})
        onConnection(socket)
      })
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => open.forEach((socket) => socket.destroy())))
    return address
  })

/** A way to an agent: `cut` breaks the connections that are open; while `isFrozen`, nothing passes and nothing is closed. */
export const way = Effect.fnUntraced(function* (to: { readonly host: string; readonly port: number }) {
  const pairs = new Set<readonly [Net.Socket, Net.Socket]>()
  const state = {
    isFrozen: false,
    connections: 0,
    stopReading: (): void => {
      for (const [, far] of pairs) far.pause()
    }
  }
  const address = yield* listening(
    Net.createServer((near) => {
      state.connections++
      const far = Net.connect(to)
      pairs.add([near, far])
      for (const [from, into] of [
        [near, far],
        [far, near]
      ] as const) {
        from.on("data", (data) => {
          if (!state.isFrozen) into.write(data)
        })
        from.on("error", () => {})
        from.on("close", () => {
          if (!state.isFrozen) into.destroy()
        })
      }
    })
  )
  const cut = Effect.sync(() => {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
    pairs.clear()
  })
  yield* Effect.addFinalizer(() => cut)
  return { address, cut, state }
})

/** Waits for what is to happen, for ten seconds at most: the computer may be busy. */
export const until = Effect.fnUntraced(function* (condition: () => boolean, what: string) {
  for (let tries = 0; tries < 1_000; tries++) {
    if (condition()) return
    yield* Effect.sleep(10)
  }
  return yield* Effect.die(new Error(`waited in vain: ${what}`))
})
