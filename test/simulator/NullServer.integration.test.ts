import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { connect } from "node:net"
import { join } from "node:path"
import { type ServerExchange } from "../../src/domain/CalibrationResults.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as NullServer from "../../src/simulator/NullServer.ts"

const layer = Layer.merge(NodeServices.layer, Transport.layer())

const planOf = (id: number, outputTokens: number) => ({
  id,
  dueSeconds: null,
  prompt: `number ${id}: "max_tokens":3`,
  inputTokens: 5,
  targetInputTokens: 5,
  outputTokens,
  sampled: true
})

/** Asks for so many tokens each at once, and gives what both sides saw. */
const ask = Effect.fnUntraced(function* (
  server: NullServer.NullServer,
  pace: NullServer.Pace,
  tokens: ReadonlyArray<number>
) {
  const provider = yield* OpenAi.make({
    apiBase: server.apiBase(pace),
    apiKey: null,
    model: "m",
    requestId: { header: "x-request-id", of: ({ id }) => `r-${id}` }
  })
  const seen = yield* Effect.forEach(tokens, (count, i) => Stream.runCollect(provider.stream(planOf(i + 1, count))), {
    concurrency: "unbounded"
  })
  const stamps = yield* server.takeStamps
  return { stamps, clients: seen.map((events) => summaryOf(events)) }
})

const summaryOf = (events: ReadonlyArray<TokenEvent>) => ({
  sentAt: events.flatMap((event) => (event._tag === "Sent" ? event.at : []))[0] ?? Infinity,
  chunkAt: events.flatMap((event) => (event._tag === "Content" ? event.at : [])),
  text: events.flatMap((event) => (event._tag === "Content" ? event.text : [])).join(""),
  usage: events.flatMap((event) => (event._tag === "Usage" ? (event.outputTokens ?? 0) : []))[0],
  ended: events.at(-1)?._tag
})

const get = (exchanges: ReadonlyMap<string, ServerExchange>, id: string): ServerExchange => {
  const found = exchanges.get(id)
  if (found === undefined) throw new Error(`the server has not seen ${id}`)
  return found
}

const isRefused = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.once("error", () => resume(Effect.succeed(true)))
  })

const refused = Effect.fnUntraced(function* (port: number) {
  for (let tries = 0; tries < 1_000; tries++) {
    if (yield* isRefused(port)) return
    yield* Effect.sleep(10)
  }
  return yield* Effect.die(new Error("the server is still there"))
})

const portOf = (apiBase: string): number => Number(new URL(apiBase).port)

describe.concurrent("NullServer", () => {
  it.live("stamps every token of every answer, in an order that can be", () =>
    Effect.gen(function* () {
      const server = yield* NullServer.start()
      const tokens = [1, 2, 3, 17, 40]
      const pace = { ttftSeconds: 0.005, itlSeconds: 0.002 }
      const { clients, stamps } = yield* ask(server, pace, tokens)
      assert.strictEqual(stamps.exchanges.size, tokens.length)
      assert.isAbove(stamps.cpuSeconds, 0)
      tokens.forEach((count, i) => {
        const client = clients[i]
        const { arrivedAt, takenAt, waitedNanos, writtenAt } = get(stamps.exchanges, `r-${i + 1}`)
        assert.strictEqual(client?.ended, "Ended")
        assert.strictEqual(client?.text, " word".repeat(count))
        assert.strictEqual(client?.usage, count)
        assert.lengthOf(client?.chunkAt ?? [], count)
        assert.lengthOf(writtenAt, count)
        assert.isAtMost(client?.sentAt ?? NaN, arrivedAt)
        assert.isAtLeast(waitedNanos, 0)
        assert.isAtLeast((writtenAt[0] ?? 0) - arrivedAt, pace.ttftSeconds * 1e9)
        writtenAt.forEach((at, token) => {
          assert.isAtMost(at, client?.chunkAt[token] ?? NaN)
          assert.isAtMost(at, takenAt[token] ?? NaN)
          if (token > 0) assert.isAtLeast(at, takenAt[token - 1] ?? NaN)
        })
      })
    }).pipe(Effect.provide(layer))
  )

  it.live("sends without a pause, loses nothing, and forgets what it has told", () =>
    Effect.gen(function* () {
      const server = yield* NullServer.start()
      const tokens = [1, 15, 16, 17, 33, 20_000]
      const { clients, stamps } = yield* ask(server, { ttftSeconds: 0, itlSeconds: 0 }, tokens)
      tokens.forEach((count, i) => {
        assert.lengthOf(clients[i]?.chunkAt ?? [], count)
        assert.strictEqual(clients[i]?.usage, count)
        assert.lengthOf(get(stamps.exchanges, `r-${i + 1}`).writtenAt, count)
      })
      assert.strictEqual((yield* server.takeStamps).exchanges.size, 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("ends with its scope", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(
        Effect.map(NullServer.start(), (server) => portOf(server.apiBase({ ttftSeconds: 0, itlSeconds: 0 })))
      )
      yield* refused(port)
    }).pipe(Effect.provide(layer))
  )

  it.live("does not outlive the process that started it", () =>
    Effect.gen(function* () {
      const parent = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [join(import.meta.dirname, "nullServerParent.ts")], {
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const line = yield* Effect.callback<string>((resume) => {
        parent.stdout.once("data", (data) => resume(Effect.succeed(String(data).trim())))
        parent.once("exit", (code) => resume(Effect.die(new Error(`ended with ${code}`))))
      })
      assert.isFalse(yield* isRefused(portOf(line)))
      parent.kill("SIGKILL")
      yield* refused(portOf(line))
    }).pipe(Effect.scoped)
  )
})
