import { assert, describe, it } from "@effect/vitest"
import { delaysOf } from "../../../src/engine/internal/healthProbe.ts"

const millis = (delays: ReadonlyArray<number>) => delays.map((delay) => Math.round(delay * 1_000))

describe("delaysOf", () => {
  it("is the delay of a timer that was hardly late", () => {
    assert.deepStrictEqual(delaysOf(0), [0])
    assert.deepStrictEqual(millis(delaysOf(0.004)), [4])
  })

  it("puts a delay for each interval that a longer one swallowed", () => {
    assert.deepStrictEqual(millis(delaysOf(0.035)), [35, 25, 15, 5])
  })

  it("gives a moment of a second the weight of its time", () => {
    // 70 intervals of 10 ms and one of 310: what came in those 300 ms waited, three in ten of all.
    const delays = [...Array.from({ length: 70 }, () => 0), 0.3].flatMap(delaysOf)
    assert.lengthOf(
      delays.filter((delay) => delay > 0),
      30
    )
    assert.lengthOf(delays, 100)
  })
})
