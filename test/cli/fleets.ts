/** Agents in processes of their own, ways to them that can be held up, and processes that send a load with them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pool from "effect/Pool"
import type * as Scope from "effect/Scope"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as OpenAiServer from "./openAiServer.ts"
import { type Fields, json, type Running, start, until } from "./processes.ts"

/** What tests send: short prompts and answers, without the warm-up. */
export const small = [
  "load-test",
  "--model=org/demo",
  "--mean-input-tokens=60",
  "--stddev-input-tokens=5",
  "--mean-output-tokens=5",
  "--stddev-output-tokens=1",
  "--no-warmup",
  "--run-id=night",
  "--seed=11111"
]

export const credentials = { OPENAI_API_KEY: "key" }

/** A temporary folder that is removed with the scope. */
const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-fleet-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** The file of a token, for this user only unless another mode is given. */
export const tokenFile = (token: string, mode = 0o600) =>
  Effect.map(temporary, (folder) => {
    const path = join(folder, "token")
    writeFileSync(path, token, { mode })
    return path
  })

export const TOKEN = "0123456789abcdef".repeat(4)

/**
 * - `address`: as in `--agents`; `rows`: its `--data-dir`
 * - `sessions()`: how many runs it has begun and ended
 */
export interface Agent {
  readonly address: string
  readonly port: number
  readonly rows: string
  readonly running: Running
  readonly sessions: () => { readonly begun: number; readonly ended: number }
}

const occurrences = (text: string, what: string): number => text.split(what).length - 1

/** An agent that listens, with credentials for the API unless `env` says something else. */
export const agent = Effect.fnUntraced(function* (
  token: string,
  args: ReadonlyArray<string> = [],
  env: { readonly [name: string]: string } = credentials
) {
  const rows = join(yield* temporary, "rows")
  const running = yield* start(
    ["agent", `--token-file=${token}`, "--listen=127.0.0.1:0", `--data-dir=${rows}`, ...args],
    env
  )
  yield* running.until(() => running.stdout().endsWith("\n"), "the agent listens")
  const [, port = ""] = / listens at 127\.0\.0\.1:(\d+) /.exec(running.stdout()) ?? []
  return {
    address: `127.0.0.1:${port}`,
    port: Number(port),
    rows,
    running,
    sessions: () => ({
      begun: occurrences(running.stderr(), " has begun\n"),
      ended: occurrences(running.stderr(), " has ended\n")
    })
  } satisfies Agent as Agent
})

export interface Fleet {
  readonly agents: readonly [Agent, Agent, Agent]
  readonly token: string
}

/** Three agents, until the scope closes. `flags`: those of each, besides where it listens and its token. */
export const three = Effect.fnUntraced(function* (
  flags: Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> = Effect.succeed([])
) {
  const token = yield* tokenFile(TOKEN)
  const one = Effect.flatMap(flags, (own) => agent(token, own))
  const agents = yield* Effect.all([one, one, one], { concurrency: "unbounded" })
  return { agents, token } satisfies Fleet as Fleet
})

/** Fleets for tests that leave them as they were: free and with all their agents. */
export class Fleets extends Context.Service<Fleets, { readonly pool: Pool.Pool<Fleet> }>()("llmperf/test/cli/fleets") {
  static readonly layer = (size: number) =>
    Layer.effect(
      Fleets,
      Effect.map(Pool.make({ acquire: three(), size }), (pool) => ({ pool }))
    )
}

/** A fleet for the scope of a test. It is given back once it is free again. */
export const borrowed = Effect.gen(function* () {
  const { pool } = yield* Fleets
  const fleet = yield* Pool.get(pool)
  yield* Effect.addFinalizer(() => isFree(fleet))
  return fleet
})

/** Waits until every run that the agents have begun has ended. */
export const isFree = ({ agents }: Fleet) =>
  until(
    () =>
      agents.every(({ sessions }) => {
        const { begun, ended } = sessions()
        return begun === ended
      }),
    "the agents are free"
  )

export const addressesOf = ({ agents }: Fleet): ReadonlyArray<string> => agents.map(({ address }) => address)

/** The flags that name agents; with other addresses for them when there is something in between. */
export const flagsOf = (fleet: Fleet, addresses: ReadonlyArray<string> = addressesOf(fleet)): ReadonlyArray<string> => [
  `--agents=${addresses.join(",")}`,
  `--token-file=${fleet.token}`
]

/** A server that notes when each request came, in milliseconds of `performance.now()`. */
export const serverOf = Effect.fnUntraced(function* (answer: (ordinal: number) => OpenAiServer.Answer = () => ({})) {
  const arrivals: Array<number> = []
  const server = yield* OpenAiServer.make((ordinal) => {
    arrivals.push(performance.now())
    return answer(ordinal)
  })
  return { ...server, arrivals }
})

/**
 * A way to an agent. `hold`: from then on nothing passes, and nothing is closed; `release`: what was held up arrives after all,
 * as it does when a network comes back.
 */
export interface Way {
  readonly address: string
  readonly hold: () => void
  readonly release: () => void
}

const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () => Effect.sync(() => server.close())
  )

export const way = Effect.fnUntraced(function* (to: Agent) {
  const sockets = new Set<Socket>()
  const delayed: Array<() => void> = []
  let isHeld = false
  const join = (from: Socket, into: Socket): void => {
    sockets.add(from)
    if (isHeld) from.pause()
    from.on("data", (data) => into.write(data))
    from.on("error", () => {})
    from.on("close", () => {
      sockets.delete(from)
      const close = () => into.destroy()
      if (isHeld) delayed.push(close)
      else close()
    })
  }
  const port = yield* listening(
    createServer({ noDelay: true }, (near) => {
      const far = connect({ host: "127.0.0.1", port: to.port, noDelay: true })
      join(near, far)
      join(far, near)
    })
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))
  return {
    address: `127.0.0.1:${port}`,
    hold: () => {
      isHeld = true
      for (const socket of sockets) socket.pause()
    },
    release: () => {
      isHeld = false
      for (const socket of sockets) socket.resume()
      for (const close of delayed.splice(0)) close()
    }
  } satisfies Way as Way
})

/** The files that a run has left in its folder. */
export interface Results {
  readonly names: ReadonlyArray<string>
  readonly summary: Fields
  readonly responses: ReadonlyArray<Fields>
}

const listOf = (value: unknown): ReadonlyArray<Fields> => {
  if (!Array.isArray(value)) throw new Error("no list")
  return value
}

export const resultsIn = (folder: string): Results => {
  const names = readdirSync(folder).toSorted()
  const text = (end: string): string =>
    readFileSync(join(folder, names.find((name) => name.endsWith(end)) ?? end), "utf8")
  const responses: unknown = JSON.parse(text("individual_responses.json"))
  return { names, summary: json(text("summary.json")), responses: listOf(responses) }
}

/** What the summary says of the agents. */
export const agentsIn = (summary: Fields): ReadonlyArray<Fields> => listOf(summary["agents"])

/** Numbers of a summary that are lists of ids. */
export const idsIn = (value: unknown): ReadonlyArray<number> => {
  if (!Array.isArray(value)) throw new Error("no list of ids")
  return value.map(Number)
}
