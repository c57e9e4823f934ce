import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import { Job } from "kubernetes-models/batch/v1/Job"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { basename, join } from "node:path"
import { parseEnv } from "node:util"
import { folder } from "../cli/invocation.ts"
import { json, rowsIn, start } from "../cli/processes.ts"
import * as Kubernetes from "../support/kubernetes.ts"
import { build } from "./kubernetesFiles.ts"
import { only, podOf, toldTo, typed } from "./kubernetesPods.ts"
import { hasOpenssl, makeSecrets } from "./secrets.ts"

const EXAMPLE = "deploy/kubernetes/overlays/example"
const BASE = "deploy/kubernetes/base"

/** On Linux the addresses of the loopback interface are many, so that every pod has one of its own. */
const addresses = ["127.0.0.2", "127.0.0.3"]

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "0.0.0.0", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** The smaller load of this test. */
const changed = (args: ReadonlyArray<string>, values: { readonly [flag: string]: string }): ReadonlyArray<string> =>
  args.map((arg) => {
    const [flag = ""] = arg.split("=")
    return values[flag] === undefined ? arg : `${flag}=${values[flag]}`
  })

describe.skipIf(!hasOpenssl || process.platform !== "linux")(EXAMPLE, { timeout: 120_000 }, () => {
  it.live("is a fleet that a coordinator finds and has send, as its pods are told", () =>
    Effect.gen(function* () {
      const { objects, secrets } = build(EXAMPLE)
      const agents = only(typed(objects, StatefulSet.is), "sets of agents")
      const agent = podOf(agents.spec?.template)
      const coordinator = podOf(only(typed(objects, Job.is), "jobs").spec?.template)
      const home = yield* folder
      makeSecrets("deploy/README.md", home)
      const port = yield* freePort
      const kubernetes = yield* Kubernetes.make({ namespace: "llmperf", token: "of the account" })
      writeFileSync(join(home, "account"), "of the account")

      /** What a pod is told, with its files and its port as they are here. */
      const told = (pod: typeof agent, name: string, ip: string) => {
        const own = join(home, name)
        mkdirSync(own)
        const { args, variables } = toldTo(pod.container, { "metadata.namespace": "llmperf", "status.podIP": ip })
        const files = (pod.container.volumeMounts ?? []).flatMap(({ mountPath, name }) => {
          const volume = pod.spec.volumes?.find((one) => one.name === name)
          const keys = secrets.find((secret) => secret.name === volume?.secret?.secretName)?.keys ?? []
          return [...keys].map(([key, file]) => [`${mountPath}/${key}`, join(home, "secrets", basename(file))] as const)
        })
        const here = (text: string): string =>
          files
            .reduce((local, [path, file]) => local.replaceAll(path, file), text)
            .replaceAll("/data/", `${own}/`)
            .replaceAll("0.0.0.0", ip)
            .replaceAll(/\b7070\b/g, String(port))
        const ofEndpoint = secrets
          .filter(({ name }) => pod.container.envFrom?.some(({ secretRef }) => secretRef?.name === name))
          .flatMap(({ envs }) => envs)
          .flatMap((file) => Object.entries(parseEnv(readFileSync(join(home, "secrets", basename(file)), "utf8"))))
        const env = [...Object.entries(variables), ...ofEndpoint].map(
          ([key, value = ""]) => [key, here(value)] as const
        )
        return { args: args.map(here), env: Object.fromEntries(env), own }
      }

      for (const [index, ip] of addresses.entries()) {
        const { args, env } = told(agent, `agent-${index}`, ip)
        const running = yield* start(args, env)
        yield* running.until(() => running.stdout().includes("listens"), `the agent of ${ip} listens`)
      }
      kubernetes.set(
        addresses.map((ip, index) =>
          Kubernetes.pod({ name: `${agents.metadata?.name}-${index}`, ip, labels: agent.labels })
        )
      )
      const serving = yield* start(["serve", "--port=0", "--ttft=20ms", "--itl=2ms"])
      yield* serving.until(() => serving.stderr().includes("\n"), "the server is ready")
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(serving.stderr())?.[0] ?? ""

      // Outside a pod the API and the token of the account have to be named
      const job = told(coordinator, "coordinator", "127.0.0.1")
      const env = {
        ...job.env,
        LLMPERF_CLUSTER: `${job.env["LLMPERF_CLUSTER"]}&api=${kubernetes.url}&token-file=${join(home, "account")}`,
        LLMPERF_EXPECT_AGENTS: String(addresses.length)
      }
      const testing = yield* start(
        changed(job.args, {
          "--api-base": `${url}/v1`,
          "--num-concurrent-requests": "8",
          "--max-num-completed-requests": "40"
        }),
        env
      )
      assert.strictEqual(yield* testing.ended, 0, testing.stderr())
      assert.strictEqual(json(testing.stdout())["results_num_completed_requests"], 40)
      const rows = rowsIn(join(job.own, "results", "records.ndjson"))
      assert.sameMembers(
        [...new Set(rows.map((row) => row["agent"]))],
        addresses.map((ip) => `${ip}:${port}`)
      )

      // What the base does without an overlay
      const base = podOf(only(typed(build(BASE).objects, Job.is), "jobs").spec?.template)
      const status = yield* start(base.container.args ?? [], env)
      assert.strictEqual(yield* status.ended, 0, status.stderr())
      for (const ip of addresses) assert.include(status.stdout(), `${ip}:${port}`)
      assert.deepStrictEqual(kubernetes.violations, [])
    })
  )
})
