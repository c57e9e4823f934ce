import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { ChildProcess } from "effect/process"
import * as Stream from "effect/Stream"
import { BenchError, during } from "./BenchError.ts"
import { Setup } from "./Setup.ts"
import { type Watch } from "./Watch.ts"

/** Where agents enter themselves, and the environment that whoever goes there needs. */
export interface Cluster {
  readonly url: string
  readonly env: { readonly [name: string]: string }
}

/** An agent that waits for a coordinator. */
export interface Agent {
  readonly address: string
  readonly pid: number
}

/** The agents of a run, and the file of their token. */
export interface Agents {
  readonly agents: ReadonlyArray<Agent>
  readonly tokenFile: string
}

/** A credential that the mock servers do not look at. */
export const env = { OPENAI_API_KEY: "none" }

const makeToken = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" }), "token")
  // Of a machine that only loopback reaches, for the time of a run
  yield* fs.writeFileString(file, "a-token-of-the-bench", { mode: 0o600 })
  return file
})

const startOne = Effect.fnUntraced(function* (tokenFile: string, cluster: Cluster | null) {
  const { root, llmperf } = yield* Setup
  const place = cluster === null ? [] : ["--cluster", cluster.url]
  const child = yield* ChildProcess.make(
    process.execPath,
    [llmperf.script, "agent", "--listen", "127.0.0.1:0", "--token-file", tokenFile, ...place],
    { cwd: root, stdin: "ignore", env: { ...env, ...cluster?.env } }
  )
  let said = ""
  yield* child.stderr.pipe(
    Stream.decodeText,
    Stream.runForEach((text) => Effect.sync(() => void (said += text))),
    Effect.ignore,
    Effect.forkScoped
  )
  const line = yield* child.stdout.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.runHead,
    Effect.timeoutOrElse({
      duration: "2 minutes",
      orElse: () =>
        Effect.fail(new BenchError({ description: "An agent did not say where it listens within two minutes" }))
    })
  )
  const address = line._tag === "Some" ? / listens at (\S+) /.exec(line.value)?.[1] : undefined
  if (address === undefined) return yield* new BenchError({ description: `An agent did not start: ${said.trim()}` })
  const agent: Agent = { address, pid: child.pid }
  return agent
})

/** Starts agents, each in a process of its own; they end with the scope. */
export const start = Effect.fn("Agents.start")(
  function* (count: number, watch: Watch, cluster: Cluster | null = null) {
    const tokenFile = yield* makeToken
    const agents = yield* Effect.all(
      Array.from({ length: count }, () => startOne(tokenFile, cluster)),
      { concurrency: "unbounded" }
    )
    for (const { pid } of agents) watch.add(pid)
    const started: Agents = { agents, tokenFile }
    return started
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Starting agents")(error)))
)
