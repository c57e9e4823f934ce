import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as RpcTest from "effect/rpc/RpcTest"
import { spawnSync } from "node:child_process"
import { chmodSync } from "node:fs"
import { dirname } from "node:path"
import * as AgentToken from "../../src/fleet/AgentToken.ts"
import * as Agents from "./agents.ts"
import { files } from "./certificates.ts"

const secret = "correct-horse-battery"

const refusal = Effect.fnUntraced(function* (text: string, mode = 0o600) {
  const path = yield* files({ token: text }, mode)
  chmodSync(path("token"), mode)
  return { path: path("token"), error: yield* Effect.flip(AgentToken.read(path("token"))) }
})

describe("the file of a token", () => {
  it.effect("holds one word, whatever is around it", () =>
    Effect.gen(function* () {
      for (const text of [secret, `${secret}\n`, `  ${secret}\r\n\n`]) {
        const path = yield* files({ token: text })
        assert.strictEqual(Redacted.value(yield* AgentToken.read(path("token"))), secret)
      }
      const group = yield* files({ token: secret }, 0o640)
      assert.strictEqual(Redacted.value(yield* AgentToken.read(group("token"))), secret)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is never shown", () =>
    Effect.gen(function* () {
      const path = yield* files({ token: secret })
      const token = yield* AgentToken.read(path("token"))
      assert.notInclude(`${String(token)} ${JSON.stringify({ token })}`, secret)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect.each([
    ["short", "fifteen-letters", /at least 16 characters, this has 15\. Make one with: openssl rand -hex 32/],
    ["empty", "\n", /this has 0/],
    ["of several words", "correct horse battery staple", /one word of plain letters/],
    ["of several lines", `${secret}\n${secret}`, /one word/],
    ["not plain", "pässword-pässword", /one word/],
    ["a book", "x".repeat(5_000), /one word/],
    ["enormous", "x".repeat(1_000_001), /too large/]
  ] as const)("is refused when it is %s", ([, text, told]) =>
    Effect.gen(function* () {
      const { error, path } = yield* refusal(text)
      assert.isTrue(error.message.startsWith(`--token-file ${path}: `))
      assert.match(error.message, told)
      if (text.length > 5) assert.notInclude(error.message, text)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is refused when everybody can read it", () =>
    Effect.gen(function* () {
      const { error, path } = yield* refusal(secret, 0o644)
      assert.strictEqual(
        error.message,
        `--token-file ${path}: every user of this machine can read it. It is a secret: chmod 600 ${path}`
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is refused when it is not there, or is a folder", () =>
    Effect.gen(function* () {
      assert.match((yield* Effect.flip(AgentToken.read("/does/not/exist"))).message, /there is no such file/)
      const path = yield* files({ token: secret })
      assert.match((yield* Effect.flip(AgentToken.read(dirname(path("token"))))).message, /it is a folder/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is refused when it is a pipe or a device, which may never end", () =>
    Effect.gen(function* () {
      const path = yield* files({ token: secret })
      const pipe = `${path("token")}.pipe`
      assert.strictEqual(spawnSync("mkfifo", [pipe]).status, 0)
      assert.match((yield* Effect.flip(AgentToken.read(pipe))).message, /no regular file \(a pipe\)/)
      assert.match((yield* Effect.flip(AgentToken.read("/dev/zero"))).message, /no regular file \(a device\)/)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("an agent with a token", () => {
  const make = Effect.fnUntraced(function* (known: string, carried: string) {
    const calls: Array<string> = []
    const client = yield* RpcTest.makeClient(AgentToken.SecuredRpcs, { disableFatalDefects: true }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Agents.handlers({ onCall: (call) => calls.push(call), reports: Stream.make(Agents.report(1)) }),
          AgentToken.layerServer(Redacted.make(known)),
          AgentToken.layerClient(Redacted.make(carried))
        )
      )
    )
    return { calls, client }
  })
  const start = { session: "s", monotonicNanos: 0, epochSeconds: 0 }

  it.effect("does what those ask for who know it", () =>
    Effect.gen(function* () {
      const { calls, client } = yield* make(secret, secret)
      yield* client.Clock({ session: null })
      assert.deepStrictEqual(yield* Stream.runCollect(client.Run(start)), [Agents.report(1)])
      assert.deepStrictEqual(calls, ["Clock", "Run", "Run has ended"])
    })
  )

  it.effect.each([
    ["another", "another-horse-battery"],
    ["a beginning", secret.slice(0, -1)],
    ["a longer one", `${secret}x`],
    ["none", ""]
  ] as const)("does nothing for those who know %s", ([, carried]) =>
    Effect.gen(function* () {
      const { calls, client } = yield* make(secret, carried)
      const errors = [
        yield* Effect.flip(client.Hello({ protocol: 1, version: Agents.version })),
        yield* Effect.flip(client.Clock({ session: null })),
        yield* Effect.flip(Stream.runDrain(client.Run(start))),
        yield* Effect.flip(client.Release({ session: "s" }))
      ]
      for (const error of errors) {
        assert.instanceOf(error, AgentToken.Unauthorized)
        assert.notInclude(error.message, secret)
      }
      assert.deepStrictEqual(calls, [])
    })
  )
})
