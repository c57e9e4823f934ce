import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { inTurn } from "../../../src/engine/internal/inTurn.ts"

const batches = Stream.fromArrays([1, 2], [3], [4, 5])

/** Says which batch it takes, and when it is done with it. */
const logging = (log: Array<string>, name: string): Sink.Sink<void, number> =>
  Sink.forEachArray((batch) =>
    Effect.sync(() => log.push(`${name} takes ${batch.join()}`)).pipe(
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.sync(() => log.push(`${name} done`)))
    )
  )

describe("inTurn", () => {
  it.effect("gives a batch to one sink after the other, and then the next; its result is that of the last", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const sum = yield* Stream.run(batches, inTurn([logging(log, "a"), logging(log, "b")], Sink.sum))
      assert.strictEqual(sum, 15)
      assert.deepStrictEqual(
        log,
        ["1,2", "3", "4,5"].flatMap((batch) => [`a takes ${batch}`, "a done", `b takes ${batch}`, "b done"])
      )
    })
  )

  it.effect("leaves out a sink that has enough", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const enough = Sink.mapEnd(Sink.take<number>(2), () => [undefined] as const)
      const sum = yield* Stream.run(batches, inTurn([enough, logging(log, "b")], Sink.sum))
      assert.strictEqual(sum, 15)
      assert.lengthOf(log, 6)
    })
  )

  it.effect("ends the sinks when the stream fails, and fails then", () =>
    Effect.gen(function* () {
      let collected: ReadonlyArray<number> = []
      const collecting = Sink.map(Sink.collect<number>(), (all) => {
        collected = all
      })
      const failing = Stream.concat(batches, Stream.fail("broken"))
      const error = yield* Effect.flip(Stream.run(failing, inTurn([collecting], Sink.sum)))
      assert.strictEqual(error, "broken")
      assert.deepStrictEqual(collected, [1, 2, 3, 4, 5])
    })
  )

  it.effect("has the result of no batch at all", () =>
    Effect.map(Stream.run(Stream.empty, inTurn([Sink.drain], Sink.count)), (count) => assert.strictEqual(count, 0))
  )
})
