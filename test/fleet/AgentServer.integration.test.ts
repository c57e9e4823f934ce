import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { connect } from "node:net"
import { networkInterfaces } from "node:os"
import * as Sockets from "../../src/fleet/Sockets.ts"
import * as Agents from "./agents.ts"
import * as Certificates from "./certificates.ts"
import { until, way } from "./sockets.ts"

const start = { session: "s-1", monotonicNanos: 0, epochSeconds: 0 }
const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))

describe.concurrent("the server of an agent", () => {
  it.live("takes any free port, and works at an IPv6 address", () =>
    Effect.gen(function* () {
      const host = hasIpv6 ? "::1" : "127.0.0.1"
      const address = yield* Agents.serve({ host })
      assert.strictEqual(address.host, host)
      assert.isAbove(address.port, 0)
      assert.strictEqual((yield* Sockets.connect(address, Agents.calling)).profile.pid, 101)
    })
  )

  it.live("listens for everybody only with TLS", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Agents.serve({ host: "0.0.0.0" }))
      assert.strictEqual(
        error.message,
        "--listen 0.0.0.0:0: without TLS, everybody on the way can read the token and all prompts. " +
          "Give --tls-cert, --tls-key and --tls-ca, or listen on 127.0.0.1; --insecure-listen does it all the same"
      )
      yield* Agents.serve({ host: "0.0.0.0", insecure: true })
      const ca = Certificates.authority("CA")
      yield* Agents.serve({ host: "0.0.0.0", credentials: Agents.credentials(ca.issue(), ca.cert) })
    })
  )

  it.live("says when its port is taken, and when the address is not of this machine", () =>
    Effect.gen(function* () {
      const { port } = yield* Agents.serve()
      const error = yield* Effect.flip(Agents.serve({ port }))
      assert.match(
        error.message,
        new RegExp(`^--listen 127.0.0.1:${port}: that port is in use\\. .*choose another port`)
      )
      const ca = Certificates.authority("CA")
      const secure = yield* Effect.flip(Agents.serve({ port, credentials: Agents.credentials(ca.issue(), ca.cert) }))
      assert.match(secure.message, /that port is in use/)
      const elsewhere = yield* Effect.flip(Agents.serve({ host: "nowhere.invalid", insecure: true }))
      assert.match(elsewhere.message, /no such host/)
    })
  )

  it.live("serves one coordinator after the other", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      for (let times = 0; times < 5; times++) {
        yield* Effect.scoped(Effect.flatMap(Sockets.connect(address, Agents.calling), (agent) => agent.clock(null)))
      }
    })
  )

  it.live("goes on after somebody has sent what nobody understands", () =>
    Effect.gen(function* () {
      const address = yield* Agents.serve()
      for (const junk of ["GET / HTTP/1.1\r\n\r\n".repeat(20), "\0\0\0", "\xff".repeat(32)]) {
        yield* Effect.callback<void>((resume) => {
          const socket = connect(address, () => socket.write(Buffer.from(junk, "latin1")))
          socket.on("error", () => {})
          socket.once("data", () => socket.destroy())
          socket.on("close", () => resume(Effect.void))
          setTimeout(() => socket.destroy(), 500)
        })
      }
      assert.strictEqual((yield* Sockets.connect(address, Agents.calling)).profile.pid, 101)
    })
  )

  it.live("tells the coordinator when it ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const calls: Array<string> = []
      const address = yield* Scope.provide(Agents.serve({ onCall: (call) => calls.push(call) }), scope)
      const agent = yield* Sockets.connect(address, Agents.calling)
      const running = yield* Effect.forkChild(Effect.flip(Stream.runDrain(agent.run(start))))
      yield* until(() => calls.includes("Run"), "the run begins")
      yield* Scope.close(scope, Exit.void)
      assert.include(calls, "Run has ended")
      assert.strictEqual((yield* Fiber.join(running)).problem, "it was stopped from outside")
    })
  )

  it.live("ends although a coordinator does not take what it is told", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let made = 0
      const reports = Stream.fromEffectRepeat(
        Effect.sync(() => {
          made++
          return Agents.report(made, new Uint8Array(8_000_000))
        })
      )
      const to = yield* Scope.provide(Agents.serve({ reports }), scope)
      const { address, state } = yield* way(to)
      const agent = yield* Sockets.connect(address, Agents.calling)
      yield* Effect.forkChild(Effect.ignore(Stream.runDrain(agent.run(start))))
      yield* until(() => made > 0, "the run begins")
      state.stopReading()
      yield* Effect.sleep(300)
      yield* Effect.timeout(Scope.close(scope, Exit.void), 4_000)
    })
  )
})
