/** Agents that can be found, in processes of their own or in this one, and what they are called with. */
import { NodeServices } from "@effect/platform-node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as Fleet from "../../src/engine/Fleet.ts"
import { type Report } from "../../src/engine/LoadAgent.ts"
import type * as AgentAddress from "../../src/fleet/AgentAddress.ts"
import * as Cluster from "../../src/fleet/Cluster.ts"
import * as ClusterAddress from "../../src/fleet/ClusterAddress.ts"
import * as ClusterAgent from "../../src/fleet/ClusterAgent.ts"
import type * as Tls from "../../src/fleet/Tls.ts"
import * as Fleets from "../engine/fleets.ts"
import { until } from "../cli/processes.ts"
import * as Scripted from "../engine/scriptedProvider.ts"
import * as Kubernetes from "../support/kubernetes.ts"
import { freePort } from "../support/postgres.ts"
import * as Agents from "./agents.ts"
import type { Settings } from "./clusterAgentProcess.ts"

const script = join(import.meta.dirname, "clusterAgentProcess.ts")

export const addressOf = (text: string): ClusterAddress.ClusterAddress => Result.getOrThrow(ClusterAddress.parse(text))

/** What a coordinator finds agents of a cluster with. */
export const finding = (cluster: string, options: Partial<Omit<Cluster.Options, "cluster">> = {}): Cluster.Options => ({
  ...Agents.calling,
  cluster: addressOf(cluster),
  expect: null,
  withinSeconds: 30,
  ...options
})

/** Finds them, with a password for the database when there is one. */
export const find = (options: Cluster.Options, password?: string) =>
  Cluster.make(options).pipe(
    Effect.provideService(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromUnknown(password === undefined ? {} : { PGPASSWORD: password })
    ),
    Effect.provide(NodeServices.layer)
  )

/** Looks at them once. */
export const look = (options: Cluster.Looking) => Effect.provide(Cluster.look(options), NodeServices.layer)

export interface AgentProcess {
  readonly name: string
  readonly pid: number
  readonly signal: (name: NodeJS.Signals) => void
  readonly ended: Effect.Effect<void>
  readonly stderr: () => string
}

type Changes = Partial<Schema.Schema.Type<typeof Settings>>

/** A folder for the files of agents, which goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-agents-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** What agents have sent: of each request, which process did it. */
export const sentIn = (path: string): ReadonlyArray<{ readonly pid: number; readonly id: number }> =>
  (existsSync(join(path, "sent")) ? readFileSync(join(path, "sent"), "utf8") : "")
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [pid = 0, id = 0] = line.split(" ").map(Number)
      return { pid, id }
    })

/** Starts an agent that ends with the scope, and waits until it can be found. */
export const start = Effect.fnUntraced(function* (options: {
  readonly cluster: string
  readonly folder: string
  readonly env?: { readonly [name: string]: string }
  readonly settings?: Changes
}) {
  const settings: Schema.Schema.Type<typeof Settings> = {
    cluster: options.cluster,
    listen: "127.0.0.1:0",
    advertise: null,
    token: Redacted.value(Agents.token),
    version: Agents.version,
    credentials: null,
    log: join(options.folder, "sent"),
    folder: mkdtempSync(join(options.folder, "agent-")),
    answerMillis: 50,
    ...options.settings
  }
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [script, JSON.stringify(settings)], {
        env: { ...options.env },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) =>
      Effect.sync(() => {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
      })
  )
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (data) => (stdout += String(data)))
  child.stderr.on("data", (data) => (stderr += String(data)))
  const isOver = () => child.exitCode !== null || child.signalCode !== null
  yield* until(() => stdout.includes("\n") || isOver(), "an agent starts")
  if (!stdout.includes("\n")) return yield* Effect.die(new Error(`an agent does not start:\n${stderr}`))
  return {
    name: stdout.trim(),
    pid: child.pid ?? 0,
    signal: (name) => child.kill(name),
    ended: until(isOver, "an agent ends"),
    stderr: () => stderr
  } satisfies AgentProcess
})

/** What an agent is asked to get ready for: a closed loop with two requests in flight. */
export const spec = Fleets.spec("run1-1", {
  agent: "agent",
  keepsRows: true,
  silenceSeconds: 5,
  requestIdHeader: null,
  timeoutSeconds: null,
  graceSeconds: 5
})

/** The plans with numbers `from` to `to`. */
export const plans = (from: number, to: number) => Scripted.plans(to).slice(from - 1)

/** Gives an agent its share of a run, and has it send all of it. Its reports are told to `onReport`. */
export const run = Effect.fnUntraced(function* (
  agent: Fleet.Agent,
  share: ReturnType<typeof plans>,
  onReport: (report: Report) => void = () => {}
) {
  const { session } = spec
  yield* agent.prepare(spec)
  yield* agent.lease({ session, number: 1, plans: share, last: true, places: null, reportAt: 0 })
  const theirs = yield* agent.clock(session)
  const beat = Effect.forever(Effect.delay(agent.clock(session), 1_000))
  return yield* agent.run({ session, monotonicNanos: theirs, epochSeconds: 1_800_000_000 }).pipe(
    Stream.runForEach((report) => Effect.sync(() => onReport(report))),
    // An agent that is not called any more stops
    Effect.raceFirst(Effect.andThen(Effect.ignore(beat), Effect.never))
  )
})

export const namespace = "load"
const apiToken = "token-of-the-service-account"

/**
 * Agents in this process, which are pods of a stand-in for Kubernetes: those of addresses 127.0.0.1, 127.0.0.2, …, all at the same
 * port.
 *
 * - `cluster`: where a coordinator finds them
 * - `start`: starts one that does as the script says until the scope closes. `from`: where it listens, when that is not where it is
 *   reached
 */
export const pods = Effect.gen(function* () {
  const kubernetes = yield* Kubernetes.make({ namespace, token: apiToken })
  const path = yield* folder
  writeFileSync(join(path, "token"), apiToken)
  const port = yield* freePort
  const cluster = `k8s://${namespace}/app=llmperf-agent?port=${port}&api=${kubernetes.url}&token-file=${path}/token`
  const hostOf = (number: number) => `127.0.0.${number}`
  const list = (numbers: ReadonlyArray<number>) =>
    kubernetes.set(numbers.map((number) => Kubernetes.pod({ name: `agent-${number}`, ip: hostOf(number) })))
  const start = Effect.fnUntraced(function* (
    number: number,
    script: Agents.Script = {},
    options: { readonly credentials?: Tls.Credentials; readonly from?: AgentAddress.AgentAddress } = {}
  ) {
    const own = { host: hostOf(number), port }
    const handlers = yield* Layer.build(Agents.handlers({ ...script, profile: { pid: number, ...script.profile } }))
    return yield* ClusterAgent.make({
      cluster: addressOf(cluster),
      address: options.from ?? own,
      advertise: options.from === undefined ? null : own,
      token: Agents.token,
      credentials: options.credentials ?? null
    }).pipe(Effect.provideContext(handlers))
  }, Effect.provide(NodeServices.layer))
  return { cluster, kubernetes, list, nameOf: (number: number) => `${hostOf(number)}:${port}`, port, start }
})

/** A way to an agent that can be cut: what goes over it then ends, and new connections find the agent again. */
export const cutter = (at: AgentAddress.AgentAddress, to: AgentAddress.AgentAddress) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly cut: () => void; readonly made: () => number; readonly close: () => void }>((resume) => {
      const open = new Set<Socket>()
      let made = 0
      const server = createServer((near) => {
        made++
        const far = connect({ ...to, noDelay: true })
        for (const [one, other] of [
          [near, far],
          [far, near]
        ] as const) {
          open.add(one)
          one.pipe(other)
          one.on("error", () => other.destroy())
          one.on("close", () => {
            open.delete(one)
            other.destroy()
          })
        }
      })
      const cut = () => open.forEach((socket) => socket.destroy())
      server.listen({ ...at, noDelay: true }, () =>
        resume(
          Effect.succeed({
            cut,
            made: () => made,
            close: () => {
              cut()
              server.close()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  )

/** An agent that listens everywhere. */
export const everywhere = Effect.fnUntraced(function* (
  cluster: string,
  credentials: Tls.Credentials,
  advertise: AgentAddress.AgentAddress | null
) {
  const handlers = yield* Layer.build(Agents.handlers())
  return yield* ClusterAgent.make({
    cluster: addressOf(cluster),
    address: { host: "0.0.0.0", port: 0 },
    advertise,
    token: Agents.token,
    credentials
  }).pipe(Effect.provideContext(handlers))
}, Effect.provide(NodeServices.layer))
