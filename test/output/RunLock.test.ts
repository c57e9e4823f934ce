import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as RunLock from "../../src/output/RunLock.ts"

const inFolder = <A, E>(
  use: (folder: string) => Effect.Effect<A, E, NodeServices.NodeServices | Scope.Scope>
): Effect.Effect<A, unknown> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

/** Changes who holds the lock of the folder, and when that was last seen. */
const change = (folder: string, owner: { readonly [key: string]: unknown }, secondsAgo = 0) => {
  const file = join(folder, RunLock.NAME)
  const lock = JSON.parse(readFileSync(file, "utf8"))
  writeFileSync(file, JSON.stringify({ ...lock, owner: { ...lock.owner, ...owner } }))
  const now = secondsNow(folder)
  utimesSync(file, now - secondsAgo, now - secondsAgo)
}

/** The time of the file system, in seconds since 1970. */
const secondsNow = (folder: string): number => {
  writeFileSync(join(folder, "clock"), "")
  return statSync(join(folder, "clock")).mtimeMs / 1_000
}

/** Holds the lock in a scope that nobody closes, as a run does that goes on or was killed. */
const abandoned = (folder: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    yield* Scope.provide(RunLock.hold(folder), scope)
  })

describe("RunLock.hold", () => {
  it.live("lets no other run in until it is over, and leaves nothing", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* RunLock.hold(folder)
            assert.deepStrictEqual(readdirSync(folder), [RunLock.NAME])
            const error = yield* Effect.flip(Effect.scoped(RunLock.hold(folder)))
            assert.strictEqual(error._tag, "FolderInUse")
            assert.strictEqual(Runtime.getErrorExitCode(error), 2)
            assert.strictEqual(
              error.message,
              `Another run (pid ${process.pid}) is writing into ${folder}. Choose another folder, or wait until it has ended.`
            )
            assert.deepStrictEqual(readdirSync(folder), [RunLock.NAME])
          })
        )
        assert.deepStrictEqual(readdirSync(folder), [])
        yield* Effect.scoped(RunLock.hold(folder))
      })
    )
  )

  it.live("lets one of many in that come at once", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const exits = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.exit(abandoned(folder)), {
          concurrency: "unbounded"
        })
        assert.lengthOf(exits.filter(Exit.isSuccess), 1)
      })
    )
  )

  it.live("takes the place of a run whose process has ended, and of one number after another process", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* abandoned(folder)
        // Linux counts to 4,194,304
        change(folder, { pid: 4_194_305 })
        yield* abandoned(folder)
        change(folder, { started: "1" })
        yield* Effect.scoped(RunLock.hold(folder))
        assert.notInclude(readdirSync(folder), RunLock.NAME)
      })
    )
  )

  it.live("waits for a run on another machine as long as that shows that it runs", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* abandoned(folder)
        change(folder, { host: "other", pid: 7 })
        const error = yield* Effect.flip(Effect.scoped(RunLock.hold(folder)))
        assert.match(
          error.message,
          /^Another run \(pid 7 on other\) is writing into .*delete .*, or try again in two minutes\.$/
        )
        change(folder, { host: "other" }, 300)
        yield* Effect.scoped(RunLock.hold(folder))
      })
    )
  )

  it.live("takes a file that is no lock for one, but not for long", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const file = join(folder, RunLock.NAME)
        writeFileSync(file, "")
        assert.match((yield* Effect.flip(Effect.scoped(RunLock.hold(folder)))).message, /^Another run is writing/)
        const old = secondsNow(folder) - 300
        utimesSync(file, old, old)
        yield* Effect.scoped(RunLock.hold(folder))
      })
    )
  )

  it.live("leaves a lock alone that is another's by now", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* RunLock.hold(folder)
            change(folder, { pid: 7 })
          })
        )
        assert.include(readdirSync(folder), RunLock.NAME)
      })
    )
  )
})
