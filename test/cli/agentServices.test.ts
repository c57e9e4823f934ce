import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcTest from "effect/rpc/RpcTest"
import * as AgentServices from "../../src/cli/internal/agentServices.ts"
import { LoadAgentRpcs } from "../../src/engine/LoadAgent.ts"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import * as Fleets from "../engine/fleets.ts"
import * as OpenAiServer from "./openAiServer.ts"

const spec = (args: ReadonlyArray<string>, origin: string) =>
  Fleets.spec("s-1", {
    job: { ...Fleets.job, args: ["load-test", "--model=m", "--no-warmup", ...args], origin },
    agent: "a",
    runId: "run",
    timeoutSeconds: null,
    graceSeconds: 1,
    loop: { _tag: "Closed", concurrency: 1 },
    saves: false
  })

/** Prepares an agent whose environment has these variables and no others. */
const prepare = (
  variables: { readonly [name: string]: string },
  args: ReadonlyArray<string>,
  origin: string
): Effect.Effect<unknown, { readonly message: string }> =>
  Effect.gen(function* () {
    const handlers = yield* Layer.build(LoadAgentHandlers.layer({ services: AgentServices.services }))
    const client = yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers)
    return yield* client.Prepare(spec(args, origin))
  }).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(variables)),
    Effect.provide(NodeServices.layer),
    Effect.scoped
  )

describe("an agent, of the environment that it is in,", { timeout: 60_000 }, () => {
  it.live("refuses to ask another server than the coordinator, and asks nobody", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      const { message } = yield* Effect.flip(
        prepare({ OPENAI_API_BASE: server.url, OPENAI_API_KEY: "key" }, [], "http://127.0.0.1:1")
      )
      assert.include(
        message,
        `it would ask ${new URL(server.url).origin}, and the coordinator asks http://127.0.0.1:1.`
      )
      assert.include(message, "Name the server with --api-base, or set the same variables on both")
      assert.strictEqual(server.connections(), 0)
    }).pipe(Effect.scoped)
  )

  it.live("refuses a server that needs a key when it has none", () =>
    Effect.gen(function* () {
      const elsewhere = ["--api-base=https://api.invalid/v1"]
      const { message } = yield* Effect.flip(prepare({}, elsewhere, "https://api.invalid"))
      assert.match(message, /OPENAI_API_KEY must be set/)
    })
  )

  it.live("asks a server on this computer without a key", () =>
    Effect.gen(function* () {
      const server = yield* OpenAiServer.make()
      yield* prepare({ OPENAI_API_BASE: server.url }, [], new URL(server.url).origin)
      assert.strictEqual(server.connections(), 0)
    }).pipe(Effect.scoped)
  )
})
