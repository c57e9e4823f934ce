import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { newRunId } from "../../src/cli/internal/newRunId.ts"

describe("newRunId", () => {
  it.effect("is the time and six letters, others each time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 10, 24, 9, 30, 0, 125))
      const ids = yield* Effect.forEach(Array.from({ length: 500 }), () => newRunId)
      for (const id of ids) assert.match(id, /^20261124T093000Z-[0-9a-z]{6}$/)
      assert.strictEqual(new Set(ids).size, 500)
      const letters = new Set(ids.flatMap((id) => Array.from(id.slice(-6))))
      assert.strictEqual(letters.size, 36)
    }).pipe(Random.withSeed("ids"))
  )
})
