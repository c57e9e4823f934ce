import { assert, describe, it } from "@effect/vitest"
import { delaysOf } from "../../../src/engine/internal/healthProbe.ts"

const ms = 1e6

describe("delaysOf", () => {
  it("takes the interval of the timer off", () => {
    const delays = delaysOf(
      new Map([
        [0, 9 * ms],
        [50, 10 * ms],
        [100, 14 * ms]
      ]),
      4
    )
    assert.deepStrictEqual(
      delays.map((delay) => Math.round(delay * 1_000)),
      [0, 0, 4, 4]
    )
  })

  it("puts a delay for each interval that a longer one swallowed", () => {
    const delays = delaysOf(new Map([[100, 45 * ms]]), 1)
    assert.deepStrictEqual(
      delays.map((delay) => Math.round(delay * 1_000)),
      [35, 25, 15, 5]
    )
  })

  it("gives a moment of a second the weight of its time", () => {
    // 70 intervals of 10 ms and one of 310: what came in those 300 ms waited, three in ten of all.
    const delays = delaysOf(
      new Map([
        [98.5, 10 * ms],
        [100, 310 * ms]
      ]),
      71
    )
    assert.lengthOf(delays, 100)
    assert.lengthOf(
      delays.filter((delay) => delay > 0),
      30
    )
  })

  it("is nothing of nothing", () => {
    assert.deepStrictEqual(delaysOf(new Map(), 0), [])
  })
})
