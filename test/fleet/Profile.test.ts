import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hostname } from "node:os"
import { PROTOCOL } from "../../src/engine/LoadAgent.ts"
import { type Limits } from "../../src/domain/CalibrationResults.ts"
import * as Calibration from "../../src/engine/Calibration.ts"
import * as Profile from "../../src/fleet/Profile.ts"
import * as CalibrationCache from "../../src/output/CalibrationCache.ts"
import { files } from "./certificates.ts"
import { dirname } from "node:path"

const within = (cache: string) =>
  Layer.merge(NodeServices.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: { LLMPERF_CACHE_DIR: cache } })))

const limits: Limits = {
  measured_at: "2026-01-01T00:00:00Z",
  requests: { per_s: 4_000, in_flight: 64, limit: "client" },
  tokens: { per_s: 200_000, in_flight: 64, limit: "server" },
  paced_tokens: null,
  paced_itl_s: 0.02
}

describe("what an agent says of itself", () => {
  it.effect("is of this machine, and has no calibration that was not made", () =>
    Effect.gen(function* () {
      const path = yield* files({ any: "" })
      const profile = yield* Effect.provide(Profile.make("1.2.3"), within(dirname(path("any"))))
      const { cpu_count } = yield* Calibration.machine("1.2.3")
      assert.deepInclude(profile, {
        protocol: PROTOCOL,
        version: "1.2.3",
        host: hostname(),
        pid: process.pid,
        cores: cpu_count,
        limits: null
      })
      assert.isAbove(profile.memoryBytes, 1e7)
      assert.isAtLeast(profile.load, 0)
      if (process.platform === "linux") assert.isAbove(profile.openFiles ?? 0, 16)
    })
  )

  it.effect("has what was found by a calibration of the same version", () =>
    Effect.gen(function* () {
      const path = yield* files({ any: "" })
      const cache = dirname(path("any"))
      const machine = yield* Calibration.machine("1.2.3")
      yield* Effect.provide(CalibrationCache.write(cache, { machine, limits, loads: [] }), NodeServices.layer)
      assert.deepStrictEqual((yield* Effect.provide(Profile.make("1.2.3"), within(cache))).limits, limits)
      assert.isNull((yield* Effect.provide(Profile.make("1.2.4"), within(cache))).limits)
    })
  )

  it.each([
    [
      "Max processes             63304                63304                processes \nMax open files            1024                 524288               files     \n",
      1_024
    ],
    ["Max open files            unlimited            unlimited            files     \n", null],
    ["", null]
  ])("has the soft limit of open files", (text, openFiles) => {
    assert.strictEqual(Profile.openFilesIn(text), openFiles)
  })
})
