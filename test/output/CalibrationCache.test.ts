import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as CalibrationCache from "../../src/output/CalibrationCache.ts"
import { loadOf, machine } from "./calibrations.ts"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const calibrations = {
  machine,
  limits: {
    measured_at: "then",
    requests: { per_s: 6_000, in_flight: 64, limit: "client" as const },
    tokens: { per_s: 400_000, in_flight: 32, limit: "server" as const },
    paced_tokens: null,
    paced_itl_s: 0.02
  },
  loads: [loadOf("now", { in_flight: 200 })]
}

describe("CalibrationCache", () => {
  it.effect("gives back what was kept, of this machine only", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const directory = path.join(yield* folder, "deep", "llmperf")
      const file = yield* CalibrationCache.write(directory, calibrations)
      assert.strictEqual(file, path.join(directory, CalibrationCache.fileName(machine)))
      assert.deepStrictEqual(yield* CalibrationCache.read(directory, machine), { calibrations, remark: null })
      for (const other of [{ cpu_count: 8 }, { llmperf_version: "1.2.4" }, { node_version: "26.0.0" }]) {
        const known = yield* CalibrationCache.read(directory, { ...machine, ...other })
        assert.deepStrictEqual(known, {
          calibrations: { machine: { ...machine, ...other }, limits: null, loads: [] },
          remark: null
        })
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("leaves aside what it cannot use, with a word", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* folder
      const file = yield* CalibrationCache.write(directory, calibrations)
      const good = yield* fs.readFileString(file ?? "")
      const damaged = [good.slice(0, 100), good.replace('"format": 1', '"format": 2'), "{}", ""]
      const other = good.replace('"cpu_count": 4', '"cpu_count": 5')
      for (const text of [...damaged, other]) {
        yield* fs.writeFileString(file ?? "", text)
        const known = yield* CalibrationCache.read(directory, machine)
        assert.deepStrictEqual(known.calibrations, { machine, limits: null, loads: [] })
        assert.include(known.remark ?? "", `${file} is left aside`)
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("says when it cannot write", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const file = path.join(yield* folder, "file")
      yield* fs.writeFileString(file, "")
      const error = yield* Effect.flip(CalibrationCache.write(path.join(file, "llmperf"), calibrations))
      assert.include(error.message, "LLMPERF_CACHE_DIR")
      assert.isNull(yield* CalibrationCache.write(null, calibrations))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("looks for its folder in the usual places", () =>
    Effect.gen(function* () {
      const where = (env: { readonly [name: string]: string }) =>
        Effect.provide(CalibrationCache.folder, ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      const all = { LLMPERF_CACHE_DIR: "mine", XDG_CACHE_HOME: "/caches", HOME: "/home/me" }
      assert.strictEqual(yield* where(all), "mine")
      assert.strictEqual(yield* where({ ...all, LLMPERF_CACHE_DIR: "" }), "/caches/llmperf")
      assert.strictEqual(yield* where({ XDG_CACHE_HOME: "relative", HOME: "/home/me" }), "/home/me/.cache/llmperf")
      assert.isNull(yield* where({}))
    }).pipe(Effect.provide(Path.layer))
  )
})
