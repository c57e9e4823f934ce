import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as NullServer from "../../src/simulator/NullServer.ts"

/** Starts a null server, says where it is, and waits to be killed. */
Effect.gen(function* () {
  const server = yield* NullServer.start()
  process.stdout.write(`${server.apiBase({ ttftSeconds: 0, itlSeconds: 0 })}\n`)
  yield* Effect.sleep(60_000)
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.runFork)
