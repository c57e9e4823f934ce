import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { endBy, thresholdsOf } from "../../src/cli/internal/thresholdFlags.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Threshold from "../../src/metrics/Threshold.ts"

const summary = new SummarySink().summary({ wallSeconds: 1 })

describe("thresholdFlags", () => {
  it.effect("reads every threshold", () =>
    Effect.gen(function* () {
      const read = yield* thresholdsOf({ threshold: ["ttft_s.p99 < 500ms", "error_rate < 1%"] })
      assert.deepStrictEqual(
        read.map(({ limit, path }) => [path.join("."), limit]),
        [
          ["ttft_s.p99", 0.5],
          ["error_rate", 0.01]
        ]
      )
      assert.deepStrictEqual(yield* thresholdsOf({ threshold: [] }), [])
    })
  )

  it.effect("ends with 2 when one cannot be read, and says where", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(thresholdsOf({ threshold: ["error_rate < 1%", "error_rate < 1ms"] }))
      assert.deepStrictEqual(
        [error.exitCode, error.message],
        [
          2,
          "Invalid value for --threshold: at character 15, expected %, or no unit for a share of one\n  error_rate < 1ms\n                ^"
        ]
      )
    })
  )

  it.effect("ends with 1 when one is missed", () =>
    Effect.gen(function* () {
      const check = (...texts: ReadonlyArray<string>) =>
        Effect.map(thresholdsOf({ threshold: texts }), (thresholds) => Threshold.check(thresholds, { summary }))
      const strict = { allowUnknown: false }
      yield* endBy(yield* check("error_rate < 1%"), strict)
      yield* endBy([], strict)
      const ended = yield* Effect.flip(endBy(yield* check("error_rate < 1%", "ttft_s.p99 < 1s"), strict))
      assert.strictEqual(ended.exitCode, 1)
      yield* endBy(yield* check("error_rate < 1%", "ttft_s.p99 < 1s"), { allowUnknown: true })
    })
  )
})
