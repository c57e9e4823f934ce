import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fleet from "../../src/engine/Fleet.ts"
import * as Fleets from "./fleets.ts"
import * as Replays from "./replays.ts"
import * as Runs from "./runs.ts"
import type * as Scripted from "./scriptedProvider.ts"

/** After its first reports the agent says nothing more and answers no lease; it is known to be lost five seconds later. */
const frozen = (agent: Fleet.Agent, reports: number): Fleet.Agent => {
  const lost = new Fleet.AgentLost({ agent: agent.name, problem: "nothing was heard of it for 5 s" })
  return {
    ...agent,
    lease: (lease) => (lease.number === 1 ? agent.lease(lease) : Effect.never),
    run: (start) =>
      Stream.concat(Stream.take(agent.run(start), reports), Stream.fromEffect(Effect.delay(Effect.fail(lost), 5_000)))
  }
}

/** The longest time in which an agent began nothing while it had more to send, in milliseconds. */
const longestPause = ({ opened }: Scripted.Log): number =>
  Math.max(...opened.slice(1).map(({ at }, index) => at - (opened[index]?.at ?? 0)))

describe("an agent that is frozen", { timeout: 60_000 }, () => {
  it.effect("does not hold up the slots of the others", () =>
    Effect.gen(function* () {
      const { fleet, logs } = yield* Fleets.makeFar({
        folder: "none",
        count: 3,
        change: (agent, index) => (index === 1 ? frozen(agent, 2) : agent)
      })
      const { fiber } = yield* Fleets.runClosed(fleet, {
        config: { maxNumCompletedRequests: 400, numConcurrentRequests: 6 }
      })
      const result = yield* Fleets.untilEnded(fiber)
      assert.deepStrictEqual(
        result.lost.map(({ name }) => name),
        ["agent1:7070"]
      )
      for (const index of [0, 2]) {
        const log = logs[index]
        if (log === undefined) return assert.fail("no log")
        assert.isAbove(log.opened.length, 150)
        assert.isBelow(longestPause(log), 500)
      }
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )

  it.effect("does not make the requests of the others late in an open loop", () =>
    Effect.gen(function* () {
      // More than an agent holds ahead fall due before it is known to be lost
      const rows = Array.from({ length: 8_000 }, (_, index) => ({ offset: index / 1_000, input: 40, output: 1 }))
      const { fiber, logs } = yield* Fleets.startOpen({
        count: 3,
        schedule: Replays.scheduleOf(rows),
        change: (agent, index) => (index === 1 ? frozen(agent, 2) : agent)
      })
      const result = yield* Fleets.untilEnded(fiber)
      assert.lengthOf(result.lost, 1)
      const start = Math.min(...logs.flatMap(({ opened }) => opened.map(({ at }) => at)))
      for (const index of [0, 2]) {
        const late = (logs[index]?.opened ?? []).filter(({ at, id }) => at - start > id + 50)
        assert.deepStrictEqual(late, [])
      }
    }).pipe(Effect.scoped, Runs.withoutFiles)
  )
})
