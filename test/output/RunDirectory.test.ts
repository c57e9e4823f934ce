import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as TestClock from "effect/testing/TestClock"
import * as RunDirectory from "../../src/output/RunDirectory.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
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

/** As a run that is over at once. */
const openRun = (directory: string) => Effect.scoped(RunDirectory.open(directory))
const openScheduleRun = (options: Parameters<typeof RunDirectory.openScheduleRun>[0]) =>
  Effect.scoped(RunDirectory.openScheduleRun(options))

describe("RunDirectory", () => {
  it.effect("makes the folder with its parents and leaves nothing in it", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const opened = yield* openRun(join("a", "b", "c"))
        assert.deepStrictEqual(opened, {
          path: join("a", "b", "c"),
          shown: join("a", "b", "c"),
          records: join("a", "b", "c", "records.ndjson"),
          manifest: join("a", "b", "c", "run.json"),
          chunks: join("a", "b", "c", "chunks.arrow"),
          requestsSent: join("a", "b", "c", "requests_sent.log"),
          schedule: join("a", "b", "c", "schedule.csv"),
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
        yield* openRun(root)
        assert.deepStrictEqual(yield* fs.readDirectory(root), ["mine.txt"])
      })
    )
  )

  it.effect("refuses a file in the place of the folder, with exit code 3", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("results"), "")
        const error = yield* Effect.flip(openRun(join("results")))
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
        const error = yield* Effect.flip(openRun(join("file", "results")))
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
          const error = yield* Effect.flip(openRun(join("results")))
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
        const opened = yield* openRun(root)
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
          const opened = yield* openRun(root)
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
          yield* openRun(root)
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

  it.effect("keeps all that a run appended to under one label", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        // The label is taken for one of the four: it is taken for all
        yield* fs.writeFileString(join("requests_sent.run-1.log"), "before")
        yield* fs.writeFileString(join("records.ndjson"), line("run-1-7"))
        yield* fs.writeFileString(join("requests_sent.log"), "sent")
        yield* fs.writeFileString(join("chunks.arrow"), "chunks")
        yield* fs.writeFileString(join("run.json"), "manifest")
        yield* fs.writeFileString(join("schedule.csv"), "schedule")
        const opened = yield* openRun(root)
        assert.strictEqual(opened.kept, join("records.run-1.2.ndjson"))
        assert.deepStrictEqual((yield* fs.readDirectory(root)).toSorted(), [
          "chunks.run-1.2.arrow",
          "records.run-1.2.ndjson",
          "requests_sent.run-1.2.log",
          "requests_sent.run-1.log",
          "run.run-1.2.json",
          "schedule.csv"
        ])
        assert.strictEqual(yield* fs.readFileString(join("requests_sent.run-1.log")), "before")
        assert.strictEqual(yield* fs.readFileString(join("requests_sent.run-1.2.log")), "sent")
        assert.strictEqual(yield* fs.readFileString(join("chunks.run-1.2.arrow")), "chunks")
        assert.strictEqual(yield* fs.readFileString(join("run.run-1.2.json")), "manifest")
      })
    )
  )

  it.effect("takes the label from run.json where the records hold none", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const manifest = {
          files: { summary: "summary", individualResponses: "individual_responses" },
          resultsPrefix: "",
          startTime: 0,
          planned: 1,
          openLoop: true,
          parameters: {},
          details: {},
          metadata: {}
        }
        yield* fs.writeFileString(join("records.ndjson"), "")
        yield* RunManifest.write(join("run.json"), { ...manifest, runId: "night" })
        assert.strictEqual((yield* openRun(root)).kept, join("records.night.ndjson"))
        yield* RunManifest.write(join("run.json"), { ...manifest, runId: "../night" })
        yield* fs.utimes(join("run.json"), 1_700_000_000, 1_700_000_000)
        assert.isNull((yield* openRun(root)).kept)
        assert.deepStrictEqual((yield* fs.readDirectory(root)).toSorted(), [
          "records.night.ndjson",
          "run.2023-11-14T22-13-20-000Z.json",
          "run.night.json"
        ])
      })
    )
  )
})

const morning = Date.UTC(2026, 10, 24, 9, 30, 7, 999)

describe("RunDirectory.openScheduleRun", () => {
  it.effect("makes a folder named after the time in UTC", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* TestClock.setTime(morning)
        const opened = yield* openScheduleRun({ resultsDir: join("a", "b"), subdir: true })
        const folder = join("a", "b", "2026-11-24T09-30-07_schedule_run")
        assert.strictEqual(opened.path, folder)
        assert.strictEqual(opened.records, `${folder}/records.ndjson`)
        assert.strictEqual(opened.requestsSent, `${folder}/requests_sent.log`)
        assert.strictEqual(opened.schedule, `${folder}/schedule.csv`)
        assert.strictEqual(opened.manifest, `${folder}/run.json`)
        assert.isNull(opened.kept)
        assert.deepStrictEqual(yield* fs.readDirectory(folder), [])
      })
    )
  )

  it.effect("shows the folder as it was given, and works with absolute paths", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const made = path.relative(".", yield* fs.makeTempDirectoryScoped())
      yield* TestClock.setTime(morning)
      const opened = yield* openScheduleRun({ resultsDir: made, subdir: true })
      assert.strictEqual(opened.shown, `${made}/2026-11-24T09-30-07_schedule_run`)
      assert.strictEqual(opened.path, path.resolve(opened.shown))
      assert.strictEqual((yield* openScheduleRun({ resultsDir: made, subdir: false })).shown, made)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("gives each of many runs of one second a folder of its own", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* TestClock.setTime(morning)
        // Something else of that name is in the way as well
        yield* fs.writeFileString(join("2026-11-24T09-30-07_schedule_run-2"), "mine")
        const opened = yield* Effect.all(
          Array.from({ length: 5 }, () => openScheduleRun({ resultsDir: root, subdir: true })),
          { concurrency: "unbounded" }
        )
        const name = join("2026-11-24T09-30-07_schedule_run")
        assert.deepStrictEqual(opened.map(({ path }) => path).toSorted(), [
          name,
          `${name}-3`,
          `${name}-4`,
          `${name}-5`,
          `${name}-6`
        ])
        assert.strictEqual(yield* fs.readFileString(`${name}-2`), "mine")
      })
    )
  )

  it.effect("without a folder of its own, keeps what an earlier run appended to", () =>
    inTemporary(({ root, join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("records.ndjson"), line("one-7"))
        yield* fs.writeFileString(join("requests_sent.log"), "sent")
        yield* fs.writeFileString(join("chunks.arrow"), "chunks")
        const opened = yield* openScheduleRun({ resultsDir: root, subdir: false })
        assert.strictEqual(opened.path, root)
        assert.strictEqual(opened.kept, join("records.one.ndjson"))
        assert.deepStrictEqual((yield* fs.readDirectory(root)).toSorted(), [
          "chunks.one.arrow",
          "records.one.ndjson",
          "requests_sent.one.log"
        ])
      })
    )
  )

  it.effect("refuses a file in the place of the results folder", () =>
    inTemporary(({ join }) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(join("results"), "")
        const error = yield* Effect.flip(openScheduleRun({ resultsDir: join("results"), subdir: true }))
        assert.include(error.message, "it is not a folder")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
      })
    )
  )

  for (const [what, failure, says] of [
    [
      "may not be made",
      (fs: FileSystem.FileSystem) => ({
        makeDirectory: (path: string, options?: { readonly recursive?: boolean | undefined }) =>
          options?.recursive === true
            ? fs.makeDirectory(path, options)
            : Effect.fail(systemFailure("EACCES", "PermissionDenied"))
      }),
      "permission denied"
    ],
    [
      "is on a full disk",
      () => ({ writeFileString: () => Effect.fail(systemFailure("ENOSPC")) }),
      "no space is left on the disk"
    ]
  ] as const) {
    it.effect(`refuses a folder that ${what}`, () =>
      inTemporary(({ join }) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(morning)
          const opening = openScheduleRun({ resultsDir: join("results"), subdir: true })
          const error = yield* Effect.flip(opening)
          assert.include(error.message, says)
          assert.include(error.message, "2026-11-24T09-30-07_schedule_run")
          assert.strictEqual(Runtime.getErrorExitCode(error), 3)
        }).pipe(Effect.provide(layerChanged(failure)))
      )
    )
  }
})
