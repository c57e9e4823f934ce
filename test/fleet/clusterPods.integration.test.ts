/** Agents in processes of their own that are pods of a stand-in for Kubernetes. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { until } from "../cli/processes.ts"
import * as Kubernetes from "../support/kubernetes.ts"
import { freePort } from "../support/postgres.ts"
import * as Agents from "./agents.ts"
import * as Certificates from "./certificates.ts"
import * as ClusterAgents from "./clusterAgents.ts"

const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]

describe("agents that are pods", () => {
  it.live(
    "are found when they are ready, with TLS, and send their shares; one that is killed is lost, the others go on",
    () =>
      Effect.gen(function* () {
        const kubernetes = yield* Kubernetes.make({ namespace: "load", token: "token-of-the-account" })
        const folder = yield* ClusterAgents.folder
        writeFileSync(join(folder, "token"), "token-of-the-account\n")
        const port = yield* freePort
        const pods = `k8s://load/app%3Dllmperf-agent?port=${port}&tls-name=llmperf-agent`
        const cluster = `${pods}&api=${kubernetes.url}&token-file=${folder}/token`
        const authority = Certificates.authority("fleet")
        const shared = authority.issue({ hosts: ["llmperf-agent"] })
        kubernetes.set(hosts.map((ip, index) => Kubernetes.pod({ name: `agent-${index}`, ip, ready: false })))

        const finding = yield* Effect.forkChild(
          ClusterAgents.find(
            ClusterAgents.finding(cluster, {
              expect: 3,
              credentials: Agents.credentials(authority.issue(), authority.cert)
            })
          )
        )
        const processes = yield* Effect.forEach(
          hosts,
          (host) =>
            ClusterAgents.start({
              // An agent may not ask the API, and has no account with it
              cluster: pods,
              folder,
              settings: {
                listen: `${host}:${port}`,
                credentials: { certificate: shared.cert, key: shared.key, ca: authority.cert }
              }
            }),
          { concurrency: "unbounded" }
        )
        assert.isUndefined(finding.pollUnsafe())
        const before = yield* Clock.currentTimeMillis
        kubernetes.set(hosts.map((ip, index) => Kubernetes.pod({ name: `agent-${index}`, ip })).toReversed())
        const agents = yield* Fiber.join(finding)
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 5_000)
        assert.deepStrictEqual(
          agents.map(({ name }) => name),
          hosts.map((host) => `${host}:${port}`)
        )
        assert.deepStrictEqual(
          agents.map(({ profile }) => profile.pid),
          processes.map(({ pid }) => pid)
        )
        assert.deepStrictEqual(kubernetes.violations, [])

        const running = yield* Effect.forkChild(
          Effect.forEach(
            agents,
            (agent, index) =>
              Effect.result(ClusterAgents.run(agent, ClusterAgents.plans(index * 1_000 + 1, index * 1_000 + 100))),
            { concurrency: "unbounded" }
          )
        )
        yield* until(
          () => processes.every(({ pid }) => ClusterAgents.sentIn(folder).some((one) => one.pid === pid)),
          "all send"
        )
        processes[1]?.signal("SIGKILL")
        const [first, second, third] = yield* Fiber.join(running)
        assert.strictEqual(first?._tag, "Success")
        assert.strictEqual(third?._tag, "Success")
        assert.strictEqual(second?._tag === "Failure" && second.failure._tag, "AgentLost")
        const sent = ClusterAgents.sentIn(folder)
        assert.strictEqual(sent.filter(({ id }) => id <= 1_000 || id > 2_000).length, 200)
        assert.strictEqual(new Set(sent.map(({ id }) => id)).size, sent.length)
      }).pipe(Effect.scoped),
    60_000
  )
})
