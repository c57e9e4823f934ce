/**
 * The services of the compose file as processes of this machine: commands, variables, secrets and health checks are the file's, on
 * ports of loopback. What else there is in a container (its image, its limits, its networks) is left aside.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { delimiter, join } from "node:path"
import { until } from "../cli/processes.ts"
import * as Postgres from "../support/postgres.ts"
import type * as Compose from "./composeFile.ts"
import { last, stages } from "./dockerfile.ts"
import { root } from "./repository.ts"

/** A process of a service. `ended`: its exit status, or the signal that ended it, when it has ended. */
export interface Running {
  readonly name: string
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: () => number | string | undefined
  readonly signal: (name: NodeJS.Signals) => void
}

export interface Project {
  /** Where a service listens that has this port in its container. */
  readonly portOf: (service: string, port: number) => number
  /** What lies at `path` in the containers of a service. */
  readonly fileOf: (service: string, path: string) => string
  /** Starts a service when those it waits for are healthy, and runs until the scope closes. Another command may be given. */
  readonly start: (service: string, command?: ReadonlyArray<string>) => Effect.Effect<Running, never, Scope.Scope>
  /** Waits until the health check of a service passes. */
  readonly healthy: (service: string) => Effect.Effect<void>
  /** Starts all services that Compose starts by itself, and waits until they are healthy. */
  readonly up: Effect.Effect<{ readonly [service: string]: Running }, never, Scope.Scope>
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const texts = ({ command, entrypoint, environment, healthcheck }: Compose.Service): ReadonlyArray<string> => [
  ...(entrypoint ?? []),
  ...(command ?? []),
  ...Object.values(environment ?? {}).map(String),
  ...(healthcheck?.test ?? [])
]

const replaceAll = (text: string, pairs: ReadonlyArray<readonly [RegExp, string]>): string =>
  pairs.reduce((changed, [from, to]) => changed.replaceAll(from, () => to), text)

/** The database of the file's Postgres in a real one: its user with its password, and its database. */
const createDatabase = (server: Postgres.Postgres, environment: Compose.Service["environment"], password: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const user = sql(String(environment?.["POSTGRES_USER"]))
    yield* sql`CREATE ROLE ${user} LOGIN PASSWORD ${sql.literal(`'${password}'`)}`
    yield* sql`CREATE DATABASE ${sql(String(environment?.["POSTGRES_DB"]))} OWNER ${user}`
  }).pipe(
    Effect.provide(
      PgClient.layer({
        host: "127.0.0.1",
        port: server.port,
        username: server.user,
        password: Redacted.make(server.password),
        database: "postgres"
      })
    ),
    Effect.orDie
  )

/**
 * Makes ready for a file: secrets of this project in `home`, where the folders of the services are too, a port for every port that
 * a service of it is called at, and a Postgres.
 */
export const make = Effect.fnUntraced(function* (
  file: Compose.ComposeFile,
  home: string
): Effect.fn.Return<Project, never, Scope.Scope> {
  const services = new Map(Object.entries(file.services))
  const serviceOf = (name: string): Compose.Service => {
    const found = services.get(name)
    if (found === undefined) throw new Error(`no service ${name}`)
    return found
  }

  const secrets = join(home, "secrets")
  mkdirSync(secrets)
  for (const name of Object.keys(file.secrets)) {
    writeFileSync(join(secrets, name), `${randomBytes(32).toString("hex")}\n`, { mode: 0o640 })
  }

  // Where the programs of the image are: llmperf as it is started there, from the sources
  const programs = join(home, "bin")
  mkdirSync(programs)
  writeFileSync(
    join(programs, "llmperf"),
    `#!/bin/sh\nexec "${process.execPath}" "${join(root, "src", "bin.ts")}" "$@"\n`
  )
  chmodSync(join(programs, "llmperf"), 0o755)
  const path = [programs, "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter)
  const ownEntrypoint = last(stages().at(-1) ?? [], "ENTRYPOINT")

  const server = yield* Postgres.make
  const ports = new Map<string, number>([["postgres:5432", server.port]])
  const called = new RegExp(`\\b(${[...services.keys()].join("|")}):(\\d+)\\b`, "g")
  for (const service of services.values()) {
    for (const [address] of texts(service).flatMap((text) => [...text.matchAll(called)])) {
      if (!ports.has(address)) ports.set(address, yield* freePort)
    }
  }
  const database = serviceOf("postgres")
  yield* createDatabase(server, database.environment, readFileSync(join(secrets, "postgres-password"), "utf8").trim())

  const folderOf = (name: string): string => join(home, name)

  /** What stands in the container of a service, as it is here. */
  const here = (name: string, text: string): string => {
    const own = [...ports].flatMap(([address, port]) => {
      const [service, inside] = address.split(":")
      return service === name ? [{ inside, port }] : []
    })
    return replaceAll(text, [
      [/\/run\/secrets(?=\/)/g, secrets],
      [/(?<![\w.])\/data\b/g, folderOf(name)],
      ...[...ports].map(([address, port]) => [new RegExp(`\\b${address}\\b`, "g"), `127.0.0.1:${port}`] as const),
      ...own.flatMap(({ inside, port }) => [
        [new RegExp(`\\b(?:0\\.0\\.0\\.0|127\\.0\\.0\\.1):${inside}\\b`, "g"), `127.0.0.1:${port}`] as const,
        [new RegExp(`/127\\.0\\.0\\.1/${inside}\\b`, "g"), `/127.0.0.1/${port}`] as const,
        [new RegExp(`^--port=${inside}$`, "g"), `--port=${port}`] as const
      ]),
      [/^--host=0\.0\.0\.0$/g, "--host=127.0.0.1"]
    ])
  }

  /** Postgres is healthy when it is started: its program for that is not among those that tests have. */
  const isHealthy = (name: string): boolean => {
    if (name === "postgres") return true
    const [kind, program = "", ...args] = (serviceOf(name).healthcheck?.test ?? []).map((word) => here(name, word))
    if (kind !== "CMD") throw new Error(`${name} has no health check that is a command`)
    return spawnSync(program, args, { env: { PATH: path }, timeout: 2_000 }).status === 0
  }
  const healthy = (name: string) => until(() => isHealthy(name), `${name} is healthy`)

  const start = Effect.fnUntraced(function* (name: string, command?: ReadonlyArray<string>) {
    const service = serviceOf(name)
    yield* Effect.forEach(Object.keys(service.depends_on ?? {}), healthy, { discard: true })
    const [program = "", ...args] = [...(service.entrypoint ?? ownEntrypoint), ...(command ?? service.command ?? [])]
    const environment = Object.entries(service.environment ?? {}).map(([key, value]) => [
      key,
      here(name, String(value))
    ])
    if (!existsSync(folderOf(name))) mkdirSync(folderOf(name))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(
          program,
          args.map((word) => here(name, word)),
          {
            cwd: folderOf(name),
            env: { PATH: path, LLMPERF_CACHE_DIR: join(folderOf(name), "cache"), ...Object.fromEntries(environment) },
            stdio: ["ignore", "pipe", "pipe"]
          }
        )
      ),
      (child) =>
        Effect.sync(() => {
          if (child.exitCode === null) child.kill("SIGKILL")
        })
    )
    let stdout = ""
    let stderr = ""
    let ended: number | string | undefined
    child.stdout.on("data", (data) => (stdout += String(data)))
    child.stderr.on("data", (data) => (stderr += String(data)))
    child.on("close", (code, signal) => {
      ended = code ?? signal ?? "?"
    })
    return {
      name,
      stdout: () => stdout,
      stderr: () => stderr,
      ended: () => ended,
      signal: (signal) => child.kill(signal)
    } satisfies Running
  })

  const up = Effect.gen(function* () {
    const running: { [service: string]: Running } = {}
    const own = [...services].filter(([name, { profiles }]) => profiles === undefined && name !== "postgres")
    for (const [name] of own) running[name] = yield* start(name)
    for (const each of Object.values(running)) {
      yield* until(() => each.ended() !== undefined || isHealthy(each.name), `${each.name} is healthy`)
      if (each.ended() !== undefined) {
        yield* Effect.die(new Error(`${each.name} ended with ${each.ended()}:\n${each.stdout()}${each.stderr()}`))
      }
    }
    return running
  })

  const portOf = (service: string, port: number): number => ports.get(`${service}:${port}`) ?? 0
  return { portOf, fileOf: here, start, healthy, up }
})
