import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"

const inTemporary = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* use(path.join(yield* fs.makeTempDirectoryScoped(), "run.json"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const manifest: RunManifest.RunManifest = {
  runId: "20261124T093000Z-k3f9qd",
  files: { summary: "m_550_150_summary", individualResponses: "m_550_150_individual_responses" },
  resultsPrefix: "results_",
  startTime: 1_764_000_000.25,
  planned: 100,
  openLoop: false,
  parameters: { model: "m", additional_sampling_params: { stop: ["a"], nested: { deep: null } } },
  details: { seed: 11111, warmup: null },
  metadata: { region: "eu" }
}

/** The file as it is written, as a value. */
const written = {
  format: 1,
  run_id: "20261124T093000Z-k3f9qd",
  files: { summary: "m_550_150_summary", individual_responses: "m_550_150_individual_responses" },
  results_prefix: "results_",
  start_time: 1_764_000_000.25,
  planned: 100,
  open_loop: false,
  parameters: manifest.parameters,
  details: manifest.details,
  metadata: manifest.metadata
}

describe("RunManifest", () => {
  it.effect("is read as it was written", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        yield* RunManifest.write(file, manifest)
        assert.deepStrictEqual(yield* RunManifest.read(file), manifest)
        yield* RunManifest.write(file, { ...manifest, planned: null, openLoop: true })
        assert.deepStrictEqual(yield* RunManifest.read(file), { ...manifest, planned: null, openLoop: true })
      })
    )
  )

  it.effect("has these keys in the file, the format first", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* RunManifest.write(file, manifest)
        const json = JSON.parse(yield* fs.readFileString(file))
        assert.deepStrictEqual(json, written)
        assert.sameMembers(Object.keys(json), Object.keys(written))
        assert.strictEqual(Object.keys(json)[0], "format")
        assert.deepStrictEqual(yield* fs.readDirectory(path.dirname(file)), ["run.json"])
      })
    )
  )

  it.effect("says when the disk is full, and leaves nothing", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const error = yield* Effect.flip(RunManifest.write(file, manifest))
        assert.include(error.message, "no space is left on the disk")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
        assert.isFalse(yield* fs.exists(file))
      }).pipe(Effect.provide(layerChanged(() => ({ rename: () => Effect.fail(systemFailure("ENOSPC")) }))))
    )
  )

  it.effect("does not take what it could not read again", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        for (const startTime of [Number.NaN, Number.POSITIVE_INFINITY]) {
          assert.isTrue(Exit.isFailure(yield* Effect.exit(RunManifest.write(file, { ...manifest, startTime }))))
        }
      })
    )
  )

  it.effect("says what is wrong with a file", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const missing = yield* Effect.flip(RunManifest.read(file))
        assert.isTrue(missing.missing)
        assert.strictEqual(missing.message, `Cannot read ${file}: there is no such file`)
        for (const [json, says] of [
          ['{"format": 1, "run_id"', "it is not JSON"],
          ["", "it is not JSON"],
          ["[]", "it is not the manifest of a run"],
          ['{"name": "mine"}', "it is not the manifest of a run"],
          [{ ...written, format: 2, files: [] }, "it has format 2, and this version of llmperf reads format 1"],
          [{ ...written, planned: -1 }, "planned"],
          [{ ...written, run_id: "" }, "run_id"],
          [{ ...written, open_loop: "no" }, "open_loop"],
          [{ ...written, files: { summary: "../../summary", individual_responses: "x" } }, "summary"],
          [{ ...written, files: { summary: "summary", individual_responses: "" } }, "individual_responses"],
          [{ ...written, files: { summary: "summary" } }, "individual_responses"]
        ] as const) {
          yield* fs.writeFileString(file, typeof json === "string" ? json : JSON.stringify(json))
          const error = yield* Effect.flip(RunManifest.read(file))
          assert.isFalse(error.missing)
          assert.include(error.message, `Cannot read ${file}: `)
          assert.include(error.problem, says)
        }
      })
    )
  )

  it.effect("tells a folder in its place from a missing file", () =>
    inTemporary((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory(file)
        const error = yield* Effect.flip(RunManifest.read(file))
        assert.isFalse(error.missing)
        assert.include(error.message, "it is a folder")
      })
    )
  )
})
