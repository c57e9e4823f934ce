import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"
import * as Fleet from "../../src/engine/Fleet.ts"
import * as FleetSender from "../../src/engine/FleetSender.ts"
import * as LoadTest from "../../src/engine/LoadTest.ts"
import * as Fleets from "./fleets.ts"
import * as Runs from "./runs.ts"

describe("agents in threads", () => {
  it.live("tell of a script that cannot be run", () =>
    Effect.gen(function* () {
      const agents = yield* Fleet.workers({
        count: 1,
        spawn: () => new Worker("throw new Error('broken')", { eval: true, stderr: true })
      })
      const error = yield* Effect.flip(
        LoadTest.run({ config: Runs.config, sender: FleetSender.make({ agents, job: Fleets.job, warmUp: null }) }).pipe(
          Effect.provide(Fleets.counting(undefined)),
          Fleets.withoutProvider
        )
      )
      assert.strictEqual(error._tag, "AgentFailed")
      assert.include(error.message, "worker 1 of 1")
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})
