import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { requestIdOf } from "../../src/engine/RequestId.ts"
import * as WarmUp from "../../src/engine/WarmUp.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as OpenAiServer from "../cli/openAiServer.ts"
import { until } from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

/** A server that answers every second request with 500 and the others with a short stream. */
const server = OpenAiServer.make((ordinal) => (ordinal % 2 === 0 ? { status: 500 } : {}))

const against = (apiBase: string) =>
  OpenAi.layer({
    apiBase,
    apiKey: null,
    model: "m",
    requestId: { header: "x-request-id", of: requestIdOf("run") }
  }).pipe(Layer.provideMerge(Transport.layer({ connectSeconds: 5, idleSeconds: 5 })))

/** Counts what goes through the transport of the client itself, and not through that of the provider. */
const countingOwn = Effect.map(Transport.Transport, (transport) => {
  let own = 0
  const counting = Transport.Transport.of({
    ...transport,
    stream: (request, format) => {
      own++
      return transport.stream(request, format)
    }
  })
  return { counting, own: () => own }
})

const warmUpPlans = [1, 2, 3].map((id) => Object.assign({}, Scripted.plan(id), { id: -id }))

describe("WarmUp", () => {
  it.live("exercises the client and opens connections without asking the server for anything", () =>
    Effect.gen(function* () {
      const { url, seen, connections } = yield* server
      yield* Effect.gen(function* () {
        const { counting, own } = yield* countingOwn
        const report = yield* WarmUp.run({
          client: true,
          concurrency: 6,
          requests: [],
          requestTimeoutSeconds: null
        }).pipe(Effect.provideService(Transport.Transport, counting))
        // The server may notice a connection after the client does.
        yield* until(() => connections() >= 6)
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(connections(), 6)
        const { duration_s, ...counts } = report
        assert.deepStrictEqual(counts, {
          rehearsed_requests: own(),
          opened_connections: 6,
          requests: 0,
          failed_requests: 0
        })
        assert.strictEqual(own(), 32)
        assert.isAbove(duration_s, 0)
      }).pipe(Effect.provide(against(url)))
    })
  )

  it.live("sends the real requests that it is given, with ids of their own, and counts the failures", () =>
    Effect.gen(function* () {
      const { url, ids, seen } = yield* server
      const report = yield* WarmUp.run({
        client: true,
        concurrency: 1,
        requests: warmUpPlans,
        requestTimeoutSeconds: 5
      }).pipe(Effect.provide(against(url)))
      assert.deepStrictEqual(ids(), ["run-warmup-1", "run-warmup-2", "run-warmup-3"])
      assert.deepStrictEqual(
        seen.map(({ body }) => body["messages"]),
        ["prompt 1", "prompt 2", "prompt 3"].map((content) => [{ role: "user", content }])
      )
      assert.strictEqual(report.requests, 3)
      assert.strictEqual(report.failed_requests, 1)
    })
  )

  it.live("sends real requests also when nothing else is asked for, and says so", () =>
    Effect.gen(function* () {
      const { url, seen } = yield* server
      yield* Effect.gen(function* () {
        const { counting, own } = yield* countingOwn
        const report = yield* WarmUp.run({
          client: false,
          concurrency: 2,
          requests: warmUpPlans,
          requestTimeoutSeconds: 5
        }).pipe(Effect.provideService(Transport.Transport, counting))
        assert.lengthOf(seen, 3)
        assert.strictEqual(own(), 0)
        const { duration_s, ...counts } = report
        assert.isAbove(duration_s, 0)
        assert.deepStrictEqual(counts, {
          rehearsed_requests: 0,
          opened_connections: 0,
          requests: 3,
          failed_requests: 1
        })
      }).pipe(Effect.provide(against(url)))
    })
  )

  it.live("does not mind a server that cannot be reached", () =>
    Effect.gen(function* () {
      const { url, close } = yield* server
      close()
      const report = yield* WarmUp.run({
        client: true,
        concurrency: 4,
        requests: warmUpPlans,
        requestTimeoutSeconds: 5
      }).pipe(Effect.provide(against(url)))
      assert.strictEqual(report.opened_connections, 0)
      assert.strictEqual(report.failed_requests, 3)
    })
  )

  it.live("has no sockets to open for a provider that has none", () =>
    Effect.gen(function* () {
      const { provider, log } = yield* Scripted.make(() => [Scripted.sent, Scripted.text("x"), Scripted.ended])
      const report = yield* WarmUp.run({
        client: true,
        concurrency: 2,
        requests: warmUpPlans,
        requestTimeoutSeconds: null
      }).pipe(Effect.provideService(Provider, provider), Effect.provide(Transport.layer()))
      assert.strictEqual(report.opened_connections, 0)
      assert.lengthOf(log.opened, 3)
    })
  )
})
