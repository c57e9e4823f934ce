import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { connect, createServer } from "node:tls"
import * as AgentToken from "../../src/fleet/AgentToken.ts"
import * as Tls from "../../src/fleet/Tls.ts"
import { folder } from "../cli/invocation.ts"
import { hasOpenssl, makeSecrets } from "./secrets.ts"

/** Who calls is greeted by its name. */
const handshake = (agent: Tls.Credentials, coordinator: Tls.Credentials, name: string) =>
  Effect.callback<string>((resume) => {
    const server = createServer(Tls.serverOptions(agent), (socket) => {
      socket.end(String(socket.getPeerCertificate().subject.CN))
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      // The host that is called, which here is this one
      const client = connect({ ...Tls.clientOptions(coordinator, name), host: "127.0.0.1", port })
      client.on("data", (text) => resume(Effect.succeed(String(text))))
      client.on("error", (error) => resume(Effect.succeed(error.message)))
    })
    return Effect.sync(() => server.close())
  })

describe.skipIf(!hasOpenssl).each([
  { document: "deploy/README.md", name: "llmperf-agent", place: "secrets" },
  { document: "docs/scaling.md", name: "node-1.example", place: "." }
])("the lines in $document", ({ document, name, place }) => {
  it.live("make a token, and certificates with which agents and coordinator know each other", () =>
    Effect.gen(function* () {
      const home = yield* folder
      makeSecrets(document, home)
      const read = (who: string) =>
        Tls.read({
          certificate: join(home, place, `${who}.crt`),
          key: join(home, place, `${who}.key`),
          ca: join(home, place, "ca.crt")
        })
      const agent = yield* read("agent")
      const coordinator = yield* read("coordinator")
      assert.strictEqual(yield* handshake(agent, coordinator, name), "llmperf-coordinator")
      assert.match(yield* handshake(agent, coordinator, "another.example"), /does not match|altnames/)
      // A coordinator cannot pass for an agent
      assert.match(yield* handshake(coordinator, agent, name), /does not match|altnames|cert/)
    }).pipe(Effect.provide(NodeServices.layer), Effect.scoped)
  )

  it.live("keep the token to those who may know it", () =>
    Effect.gen(function* () {
      const home = yield* folder
      makeSecrets(document, home)
      yield* AgentToken.read(join(home, place, "token"))
    }).pipe(Effect.provide(NodeServices.layer), Effect.scoped)
  )
})
