import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { closeSync, constants, openSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import * as InputFile from "../../src/output/InputFile.ts"
import { folder } from "../cli/invocation.ts"

const read = (path: string, options: Partial<InputFile.Options> = {}) =>
  Effect.provide(InputFile.read(path, { mostBytes: 1_000_000, ...options }), NodeServices.layer)

const problem = (path: string, options?: Partial<InputFile.Options>) =>
  Effect.map(Effect.flip(read(path, options)), ({ problem }) => problem)

describe("InputFile.read", () => {
  it.live("gives the text of a file that is not too large", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "text")
      writeFileSync(path, `é${"x".repeat(999_998)}`)
      assert.lengthOf((yield* read(path)).text, 999_999)
      writeFileSync(path, "x".repeat(1_000_001))
      assert.strictEqual(yield* problem(path), "it is too large: more than 1 MB")
    })
  )

  it.live("refuses what is no file, and could be read for ever", () =>
    Effect.gen(function* () {
      const path = yield* folder
      assert.strictEqual(spawnSync("mkfifo", [join(path, "pipe")]).status, 0)
      for (const pipes of [false, true]) {
        assert.strictEqual(yield* problem(path, { pipes }), "it is a folder")
        assert.strictEqual(yield* problem("/dev/zero", { pipes }), "it is no regular file (a device)")
        assert.strictEqual(yield* problem(join(path, "pipe"), { pipes }), "it is no regular file (a pipe)")
      }
      const missing = yield* Effect.flip(read(join(path, "none")))
      assert.isTrue(missing.missing)
    })
  )

  it.live("takes a pipe that is open already, where that is wanted, and no more of it than of a file", () =>
    Effect.gen(function* () {
      const pipe = join(yield* folder, "pipe")
      assert.strictEqual(spawnSync("mkfifo", [pipe]).status, 0)
      const open = yield* Effect.acquireRelease(
        Effect.sync(() => openSync(pipe, constants.O_RDWR)),
        (file) => Effect.sync(() => closeSync(file))
      )
      const inherited = `/proc/self/fd/${open}`
      writeSync(open, "x".repeat(2_000))
      assert.strictEqual(yield* problem(inherited), "it is no regular file (a pipe)")
      assert.match(yield* problem(inherited, { pipes: true, mostBytes: 1_000 }), /too large/)
    })
  )
})
