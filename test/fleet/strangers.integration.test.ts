import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { connect, type Socket } from "node:net"
import * as Sockets from "../../src/fleet/Sockets.ts"
import * as Agents from "./agents.ts"
import { stranger, until } from "./sockets.ts"

/** The beginning of a message of 256 MiB less one byte. */
const HUGE = Buffer.from([0xff, 0xff, 0xff, 0x7f])

interface Seen {
  readonly socket: Socket
  isClosed: boolean
}

/** Connections that do not show the token; they end with the scope. `send` is called when one is open. */
const crowd = Effect.fnUntraced(function* (
  address: { readonly host: string; readonly port: number },
  count: number,
  send: (socket: Socket) => void = () => {}
) {
  const all = Array.from({ length: count }, (): Seen => {
    const seen: Seen = { socket: connect(address, () => send(seen.socket)), isClosed: false }
    seen.socket.on("error", () => {})
    seen.socket.on("close", () => {
      seen.isClosed = true
    })
    seen.socket.resume()
    return seen
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => all.forEach(({ socket }) => socket.destroy())))
  return { open: () => all.filter(({ isClosed, socket }) => !isClosed && !socket.connecting).length, all }
})

const flood = (chunk: Buffer) => (socket: Socket) => {
  socket.write(HUGE)
  const more = (): void => {
    if (socket.destroyed) return
    if (socket.write(chunk)) setImmediate(more)
    else socket.once("drain", more)
  }
  more()
}

describe("whoever does not show the token", () => {
  it.live("cannot make an agent hold a large message", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      const before = process.memoryUsage.rss()
      let sent = 0
      const { open } = yield* crowd(address, 40, (socket) => {
        flood(Buffer.alloc(1024 * 1024))(socket)
        socket.on("close", () => {
          sent += socket.bytesWritten
        })
      })
      yield* until(() => open() === 0, "all are closed")
      assert.isBelow(process.memoryUsage.rss() - before, 400e6)
      assert.strictEqual((yield* Sockets.connect(address, Agents.calling)).profile.pid, 101)
    })
  )

  it.live("may say little, in however small pieces", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      // Messages of which each is short enough: 100 bytes that mean nothing
      const small = Buffer.alloc(101, 1)
      small[0] = 100
      const { all } = yield* crowd(address, 1, (socket) => {
        const timer = setInterval(() => socket.write(Buffer.concat(Array.from({ length: 50 }, () => small))), 1)
        socket.on("close", () => clearInterval(timer))
      })
      yield* until(() => all[0]?.isClosed === true, "it is closed")
      assert.isBelow(all[0]?.socket.bytesRead ?? 0, 1_000_000)
    })
  )

  it.live("has one of 64 places, and keeps no coordinator out", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      const first = yield* Sockets.connect(address, Agents.calling)
      const idle = yield* crowd(address, 300)
      yield* until(() => idle.all.every(({ socket }) => !socket.connecting), "all have connected")
      yield* until(() => idle.open() <= 64, "there are 64 of them")
      // The one that was there stays, and more are let in
      yield* first.clock(null)
      for (let times = 0; times < 5; times++) {
        const more = yield* crowd(address, 100)
        const agent = yield* Sockets.connect(address, Agents.calling)
        yield* agent.clock(null)
        assert.isAtMost(more.all.filter(({ socket }) => socket.connecting).length, 100)
      }
      yield* first.clock(null)
    })
  )

  it.live("has five seconds", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      const agent = yield* Sockets.connect(address, Agents.calling)
      const from = performance.now()
      const { all, open } = yield* crowd(address, 2, (socket) => socket.write(Buffer.from([0x40])))
      yield* until(() => open() === 2, "both are open")
      yield* until(() => open() === 0, "both are closed")
      assert.isAtLeast(performance.now() - from, 4_500)
      assert.isTrue(all.every(({ isClosed }) => isClosed))
      yield* Effect.sleep(500)
      yield* agent.clock(null)
    })
  )

  it.live("is told that it has another token", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      const token = Redacted.make("another-token-of-sixteen")
      const error = yield* Effect.flip(Sockets.connect(address, { ...Agents.calling, token }))
      assert.include(error.message, "it has another token")
    })
  )
})

describe("whoever shows the token", () => {
  it.live("may send it in pieces of a byte, and messages of any size after it", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const to = yield* Agents.serve({ onCall: (call) => calls.push(call) })
      const address = yield* stranger((near) => {
        const far = connect({ ...to, noDelay: true })
        far.on("error", () => {})
        far.on("data", (data) => near.write(data))
        near.on("close", () => far.destroy())
        near.on("data", (data) => {
          const pieces = data.length > 5_000 ? [data] : [...data].map((byte) => Buffer.from([byte]))
          for (const piece of pieces) far.write(piece)
        })
      })
      const agent = yield* Sockets.connect(address, Agents.calling)
      const prompt = "x".repeat(3_000_000)
      const plan = {
        id: 1,
        prompt,
        inputTokens: 1,
        targetInputTokens: 1,
        outputTokens: 1,
        dueSeconds: null,
        sampled: true
      }
      yield* agent.lease({ session: "s", number: 1, plans: [plan], last: true, places: null, reportAt: 0 })
      assert.include(calls, "Lease 1")
    })
  )
})
