import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as RunDirectory from "../../src/output/RunDirectory.ts"
import { record } from "../metrics/records.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"

const inTemporary = <A, E, R>(
  use: (paths: {
    readonly root: string
    readonly join: (...parts: ReadonlyArray<string>) => string
  }) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const root = yield* fs.makeTempDirectoryScoped()
    return yield* use({ root, join: (...parts) => path.join(root, ...parts) })
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const line = (xRequestId: string | null) => `${JSON.stringify(record({ x_request_id: xRequestId, request_id: 7 }))}\n`

describe("RunDirectory", () => {
  it.effect("makes the folder with its parents and leaves nothing in it", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const opened = yield* RunDirectory.open(join("a", "b", "c"))
        assert.deepStrictEqual(opened, {
          path: join("a", "b", "c"),
          records: join("a", "b", "c", "records.ndjson"),
          kept: null
        })
        assert.deepStrictEqual(yield* fs.readDirectory(join("a", "b", "c")), [])
      })
    )
  )

  it.effect("takes a folder that is there with all that is in it", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("mine.txt"), "mine")
        yield* RunDirectory.open(root)
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["mine.txt"])
      })
    )
  )

  it.effect("refuses a file in the place of the folder, with exit code 3", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("results"), "")
        const error = yield* Effect.flip(RunDirectory.open(join("results")))
        assert.strictEqual(error._tag, "OutputError")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
        assert.strictEqual(
          error.message,
          `Cannot write results to ${join("results")}: it is not a folder. ` +
            "Move that file away, or choose another folder with --results-dir."
        )
      })
    )
  )

  it.effect("refuses a file in the place of a parent", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("file"), "")
        const error = yield* Effect.flip(RunDirectory.open(join("file", "results")))
        assert.include(error.message, "a file is in the way of a folder")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
      })
    )
  )

  for (const [what, failure, says] of [
    [
      "may not be made",
      { makeDirectory: () => Effect.fail(systemFailure("EACCES", "PermissionDenied")) },
      "permission denied"
    ],
    [
      "may not be written to",
      { makeTempFileScoped: () => Effect.fail(systemFailure("EACCES", "PermissionDenied")) },
      "permission denied"
    ],
    [
      "is on a read-only disk",
      { makeTempFileScoped: () => Effect.fail(systemFailure("EROFS")) },
      "the file system is read-only"
    ],
    [
      "is on a full disk",
      { writeFileString: () => Effect.fail(systemFailure("ENOSPC")) },
      "no space is left on the disk"
    ]
  ] as const) {
    it.effect(`refuses a folder that ${what}`, () =>
      inTemporary(({ join }) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(RunDirectory.open(join("results")))
          assert.include(error.message, says)
          assert.include(error.message, "--results-dir")
        }).pipe(Effect.provide(layerChanged(() => failure)))
      )
    )
  }

  it.effect("keeps the records of an earlier run under the id of that run", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const earlier = line("4f2a-11-7") + line("4f2a-11-8")
        yield* fs.writeFileString(join("records.ndjson"), earlier)
        const opened = yield* RunDirectory.open(root)
        assert.strictEqual(opened.kept, join("records.4f2a-11.ndjson"))
        assert.strictEqual(yield* fs.readFileString(join("records.4f2a-11.ndjson")), earlier)
        assert.isFalse(yield* fs.exists(join("records.ndjson")))
      })
    )
  )

  it.effect("keeps records without a usable run id under the time of their last change", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        for (const text of ["", "torn {", line(null), line("no end"), line("../../escape-7"), line("-7")]) {
          yield* fs.writeFileString(join("records.ndjson"), text)
          yield* fs.utimes(join("records.ndjson"), 1_700_000_000, 1_700_000_000)
          const opened = yield* RunDirectory.open(root)
          assert.strictEqual(opened.kept?.startsWith(join("records.2023-11-14T22-13-20-000Z")), true, text)
          assert.strictEqual(yield* fs.readFileString(opened.kept ?? ""), text)
        }
        assert.lengthOf(yield* fs.readDirectory(root), 6)
      })
    )
  )

  it.effect("never writes over records that were kept before", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        for (let i = 0; i < 3; i++) {
          yield* fs.writeFileString(join("records.ndjson"), line("same-7") + `"${i}"\n`)
          yield* RunDirectory.open(root)
        }
        assert.deepStrictEqual((yield* fs.readDirectory(root)).toSorted(), [
          "records.same.2.ndjson",
          "records.same.3.ndjson",
          "records.same.ndjson"
        ])
        assert.include(yield* fs.readFileString(join("records.same.3.ndjson")), '"2"')
      })
    )
  )
})
