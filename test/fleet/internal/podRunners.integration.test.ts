import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import type { Pod } from "effect/cluster/K8sTypes"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { openDirectory } from "../../../src/fleet/internal/openDirectory.ts"
import * as Kubernetes from "../../support/kubernetes.ts"
import * as Certificates from "../certificates.ts"
import * as ClusterAgents from "../clusterAgents.ts"

const namespace = "load"
const token = "token-of-the-service-account"

interface Wanted {
  readonly address?: string
  readonly query?: string
  readonly token?: string
}

/** Lists what a stand-in for Kubernetes has. */
const listing = Effect.fnUntraced(function* (options: Wanted = {}) {
  const kubernetes = yield* Kubernetes.make({ namespace, token })
  const folder = yield* ClusterAgents.folder
  const tokenFile = join(folder, "token")
  writeFileSync(tokenFile, `${options.token ?? token}\n`)
  const cluster = `k8s://${options.address ?? "load/app%3Dllmperf-agent"}?api=${kubernetes.url}&token-file=${tokenFile}&${options.query ?? ""}`
  const directory = yield* Effect.provide(openDirectory(ClusterAgents.addressOf(cluster)), NodeServices.layer)
  return { kubernetes, list: directory.list, tokenFile }
})

const { pod } = Kubernetes

describe("the list of pods", () => {
  it.live("has those that are ready, in the order of their numbers", () =>
    Effect.gen(function* () {
      const { kubernetes, list } = yield* listing({ query: "port=7071" })
      kubernetes.set([
        pod({ name: "agent-10", ip: "10.0.0.10" }),
        pod({ name: "agent-2", ip: "10.0.0.2" }),
        pod({ name: "agent-0", ip: "10.0.0.1" }),
        pod({ name: "agent-3", ip: "10.0.0.3", ready: false }),
        pod({ name: "agent-4", ip: "10.0.0.4", isBeingDeleted: true }),
        pod({ name: "agent-5", ip: "10.0.0.5", phase: "Succeeded" }),
        pod({ name: "agent-6", ip: null }),
        pod({ name: "other-1", ip: "10.0.0.7", labels: { app: "other" } }),
        { metadata: { name: "agent-7", labels: { app: "llmperf-agent" } }, status: { phase: "Running" } } satisfies Pod
      ])
      assert.deepStrictEqual(
        (yield* list).map(({ host, port }) => `${host}:${port}`),
        ["10.0.0.1:7071", "10.0.0.2:7071", "10.0.0.10:7071"]
      )
      kubernetes.set([])
      assert.deepStrictEqual(yield* list, [])
      assert.deepStrictEqual(kubernetes.violations, [])
      assert.strictEqual(kubernetes.calls(), 2)
    }).pipe(Effect.scoped)
  )

  it.live("chooses pods by all of their labels", () =>
    Effect.gen(function* () {
      const { kubernetes, list } = yield* listing({ address: "load/app%3Da%2Ctier%3Dblue" })
      kubernetes.set([
        pod({ name: "one", ip: "10.0.0.1", labels: { app: "a", tier: "blue" } }),
        pod({ name: "two", ip: "10.0.0.2", labels: { app: "a", tier: "green" } })
      ])
      assert.deepStrictEqual(yield* list, [{ host: "10.0.0.1", port: 7_070 }])
      assert.deepStrictEqual(kubernetes.violations, [])
    }).pipe(Effect.scoped)
  )

  it.live("is asked for with the token that is in the file at that moment", () =>
    Effect.gen(function* () {
      const { list, tokenFile } = yield* listing({ token: "old" })
      const error = yield* Effect.flip(list)
      assert.include(error.message, "401")
      assert.include(error.message, "Unauthorized")
      assert.isFalse(error.passes)
      writeFileSync(tokenFile, token)
      assert.deepStrictEqual(yield* list, [])
    }).pipe(Effect.scoped)
  )

  it.live("tells of a right that is missing, in the words of Kubernetes and with what to do", () =>
    Effect.gen(function* () {
      const { list } = yield* listing({ address: "elsewhere/app%3Da" })
      const error = yield* Effect.flip(list)
      assert.include(error.message, 'cannot list resource "pods"')
      assert.include(error.message, "deploy/kubernetes")
      assert.isFalse(error.passes)
    }).pipe(Effect.scoped)
  )

  it.live("tells of labels that Kubernetes does not understand", () =>
    Effect.gen(function* () {
      const { list } = yield* listing({ address: "load/what%20is%20this" })
      const error = yield* Effect.flip(list)
      assert.include(error.message, "unable to parse requirement")
      assert.isFalse(error.passes)
    }).pipe(Effect.scoped)
  )

  it.live("is waited for while the API has a problem of its own", () =>
    Effect.gen(function* () {
      const { kubernetes, list } = yield* listing()
      kubernetes.breakDown(503)
      const error = yield* Effect.flip(list)
      assert.include(error.message, "503")
      assert.isTrue(error.passes)
      kubernetes.breakDown(null)
      assert.deepStrictEqual(yield* list, [])
    }).pipe(Effect.scoped)
  )

  it.live("comes from an API whose certificate is signed by the authority in the file, and from no other", () =>
    Effect.gen(function* () {
      const authority = Certificates.authority("cluster")
      const kubernetes = yield* Kubernetes.make({ namespace, token, identity: authority.issue() })
      kubernetes.set([pod({ name: "agent-0", ip: "10.0.0.1" })])
      const folder = yield* ClusterAgents.folder
      const files = { token, ca: authority.cert, other: Certificates.authority("other").cert }
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
      const cluster = `k8s://load/app=llmperf-agent?api=${kubernetes.url}&token-file=${folder}/token&ca-file=${folder}`
      const good = yield* openDirectory(ClusterAgents.addressOf(`${cluster}/ca`))
      assert.deepStrictEqual(yield* good.list, [{ host: "10.0.0.1", port: 7_070 }])
      const bad = yield* openDirectory(ClusterAgents.addressOf(`${cluster}/other`))
      assert.match((yield* Effect.flip(bad.list)).message, /self-signed|unable to (verify|get)/)
      assert.strictEqual(kubernetes.calls(), 1)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("is not there without a Kubernetes API, of which it tells", () =>
    Effect.gen(function* () {
      const closed = yield* openDirectory(ClusterAgents.addressOf("k8s://load/app=a?api=http://127.0.0.1:1"))
      const refused = yield* Effect.flip(closed.list)
      assert.include(refused.message, "ECONNREFUSED")
      assert.isTrue(refused.passes)
      const outside = yield* openDirectory(ClusterAgents.addressOf("k8s://load/app=a"))
      const noPod = yield* Effect.flip(outside.list)
      assert.include(noPod.message, "/var/run/secrets/kubernetes.io/serviceaccount/token")
      assert.include(noPod.message, "kubectl proxy")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
