import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import * as AtomicFile from "../../src/output/AtomicFile.ts"
import { fromPlatformError } from "../../src/output/OutputError.ts"
import { layerChanged } from "./failingFiles.ts"

const inTemporary = <A, E>(
  use: (join: (name: string) => string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.makeTempDirectoryScoped()
    return yield* use((name) => path.join(root, name))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const write = (target: string, content: Stream.Stream<string>) =>
  AtomicFile.write(target, content, fromPlatformError(target))

/** A list of one number, many times over, which yields to others in between. */
const listOf = (number: number) =>
  Stream.range(1, 200).pipe(
    Stream.rechunk(1),
    Stream.mapEffect((n) => Effect.as(Effect.yieldNow, `${n === 1 ? "[" : ","}${number}`)),
    Stream.concat(Stream.succeed("]"))
  )

describe("AtomicFile.write", () => {
  it.effect("gives the whole content of one of several that write at the same time", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const target = join("summary.json")
        yield* Effect.forEach([1, 22, 333, 4444], (number) => write(target, listOf(number)), { concurrency: 4 })
        const values: ReadonlyArray<number> = JSON.parse(yield* fs.readFileString(target))
        assert.lengthOf(values, 200)
        assert.strictEqual(new Set(values).size, 1)
        assert.deepStrictEqual(yield* fs.readDirectory(join("")), ["summary.json"])
      })
    )
  )

  it.effect("follows no link that stands in the place of the file beside the target", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("victim"), "untouched")
        const planting = layerChanged((fs) => ({
          open: (path, options) => Effect.andThen(fs.symlink(join("victim"), path), fs.open(path, options))
        }))
        const error = yield* Effect.flip(Effect.provide(write(join("summary.json"), Stream.succeed("new")), planting))
        assert.include(error.message, "it exists already")
        assert.strictEqual(yield* fs.readFileString(join("victim")), "untouched")
        assert.isFalse(yield* fs.exists(join("summary.json")))
      })
    )
  )

  it.effect("takes the place of a link, and leaves alone what it leads to", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("victim"), "untouched")
        yield* fs.symlink(join("victim"), join("summary.json"))
        yield* write(join("summary.json"), Stream.succeed("new"))
        assert.strictEqual(yield* fs.readFileString(join("victim")), "untouched")
        assert.strictEqual(yield* fs.readFileString(join("summary.json")), "new")
      })
    )
  )

  it.effect("leaves nothing behind when it is interrupted", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const content = Stream.concat(Stream.succeed("a part"), Stream.fromEffect(Effect.never))
        const writing = yield* Effect.forkChild(write(join("summary.json"), content))
        while ((yield* fs.readDirectory(join(""))).length === 0) yield* Effect.yieldNow
        yield* Fiber.interrupt(writing)
        assert.deepStrictEqual(yield* fs.readDirectory(join("")), [])
      })
    )
  )

  it.effect("finds room beside a target with the longest name there may be", () =>
    inTemporary((join) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const target = join("n".repeat(255))
        yield* write(target, Stream.succeed("new"))
        assert.strictEqual(yield* fs.readFileString(target), "new")
      })
    )
  )
})
