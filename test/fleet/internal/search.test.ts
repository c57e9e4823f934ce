import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { type AgentAddress } from "../../../src/fleet/AgentAddress.ts"
import { DirectoryError } from "../../../src/fleet/internal/directory.ts"
import { search } from "../../../src/fleet/internal/search.ts"

const agent = (number: number): AgentAddress => ({ host: `10.0.0.${number}`, port: 7_070 })

interface World {
  readonly listed: ReadonlyArray<AgentAddress>
  readonly dead?: ReadonlyArray<AgentAddress>
  readonly error?: DirectoryError
}

/** Looks into a world that changes every second. */
const looking = (worlds: ReadonlyArray<World>, expect: number | null, withinSeconds = 10) =>
  Effect.gen(function* () {
    const pinged: Array<AgentAddress> = []
    const world = Effect.map(Clock.currentTimeMillis, (millis) => {
      const now = worlds[Math.min(Math.floor(millis / 1_000), worlds.length - 1)]
      assert.isDefined(now)
      return now
    })
    const fiber = yield* Effect.forkChild(
      Effect.result(
        search({
          list: Effect.flatMap(world, ({ error, listed }) =>
            error === undefined ? Effect.succeed(listed) : Effect.fail(error)
          ),
          ping: (address) =>
            Effect.flatMap(world, ({ dead = [] }) => {
              pinged.push(address)
              return dead.some(({ host }) => host === address.host)
                ? Effect.fail({ message: "nobody listens there" })
                : Effect.void
            }),
          expect,
          withinSeconds,
          where: "postgres://me@db/load"
        })
      )
    )
    let millis = 0
    for (; millis < 20_000 && fiber.pollUnsafe() === undefined; millis += 100) yield* TestClock.adjust(100)
    return { result: yield* Fiber.join(fiber), pinged, millis }
  })

describe("looking for agents", () => {
  it.effect("waits until as many answer as are wanted, and gives all that do in the order of the list", () =>
    Effect.gen(function* () {
      const { millis, result } = yield* looking(
        [{ listed: [] }, { listed: [agent(2)] }, { listed: [agent(2), agent(1), agent(3)] }],
        2
      )
      assert.deepStrictEqual(result._tag === "Success" && result.success, [agent(2), agent(1), agent(3)])
      assert.isAtMost(millis, 2_600)
    })
  )

  it.effect("rule 7: does not take for there what is only listed", () =>
    Effect.gen(function* () {
      const listed = [agent(1), agent(2), agent(3)]
      const { pinged, result } = yield* looking(
        [
          { listed, dead: [agent(2), agent(3)] },
          { listed, dead: [agent(2)] }
        ],
        2
      )
      assert.deepStrictEqual(result._tag === "Success" && result.success, [agent(1), agent(3)])
      assert.isTrue(listed.every(({ host }) => pinged.some((address) => address.host === host)))
    })
  )

  it.effect("takes those that are there when it does not matter how many", () =>
    Effect.gen(function* () {
      const { result } = yield* looking(
        [{ listed: [agent(1)], dead: [agent(1)] }, { listed: [agent(1), agent(2)] }],
        null
      )
      assert.deepStrictEqual(result._tag === "Success" && result.success, [agent(1), agent(2)])
    })
  )

  it.effect("tells what it has seen when it has waited in vain", () =>
    Effect.gen(function* () {
      const some = yield* looking([{ listed: [agent(1), agent(2)], dead: [agent(2)] }], 3)
      assert.strictEqual(
        some.result._tag === "Failure" && some.result.failure.message,
        [
          "1 of 3 agents found within 10 s: postgres://me@db/load",
          "  10.0.0.1:7070: it answers",
          "  10.0.0.2:7070: nobody listens there"
        ].join("\n")
      )
      const none = yield* looking([{ listed: [] }], null, 3)
      assert.include(
        none.result._tag === "Failure" && none.result.failure.message,
        "0 of one or more agents found within 3 s"
      )
      assert.include(none.result._tag === "Failure" && none.result.failure.message, "llmperf agent --cluster")
      assert.isAtMost(none.millis, 3_200)
    })
  )

  it.effect("waits for a database that may come back, and not for one that refuses us", () =>
    Effect.gen(function* () {
      const away = new DirectoryError({ problem: "the database is away", passes: true })
      const back = yield* looking([{ listed: [], error: away }, { listed: [agent(1)] }], 1)
      assert.strictEqual(back.result._tag, "Success")
      const gone = yield* looking([{ listed: [], error: away }], 1)
      assert.include(gone.result._tag === "Failure" && gone.result.failure.message, "the database is away")
      const refused = yield* looking(
        [{ listed: [], error: new DirectoryError({ problem: "wrong password", passes: false }) }],
        1
      )
      assert.strictEqual(refused.result._tag === "Failure" && refused.result.failure.message, "wrong password")
      assert.isAtMost(refused.millis, 200)
    })
  )

  it.effect("does not take agents that were seen before the database went away", () =>
    Effect.gen(function* () {
      const away = new DirectoryError({ problem: "the database is away", passes: true })
      const { result } = yield* looking([{ listed: [agent(1)] }, { listed: [], error: away }], 2)
      assert.include(result._tag === "Failure" && result.failure.message, "the database is away")
    })
  )
})
