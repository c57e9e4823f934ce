import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { seedOf } from "../../src/cli/internal/seed.ts"

describe("seedOf", () => {
  it.effect("is another in every run", () =>
    Effect.gen(function* () {
      const seeds = yield* Effect.forEach(Array.from({ length: 100 }), () => seedOf({ seed: Option.none() }))
      assert.strictEqual(new Set(seeds).size, 100)
      for (const seed of seeds) assert.isTrue(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31)
    })
  )

  it.effect("is the one that was given, whatever else was", () =>
    Effect.gen(function* () {
      for (const others of [{}, { samePrompts: true }, { promptMode: "llmperf" as const }]) {
        assert.strictEqual(yield* seedOf({ seed: Option.some(0), ...others }), 0)
      }
    })
  )

  it.effect("is LLMPerf's for its prompts and for the same prompts in every run", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* seedOf({ seed: Option.none(), promptMode: "llmperf" }), 11_111)
      assert.strictEqual(yield* seedOf({ seed: Option.none(), samePrompts: true }), 11_111)
    })
  )
})
