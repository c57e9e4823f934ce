import { assert, describe, it } from "@effect/vitest"
import * as Watch from "../../bench/internal/Watch.ts"

const watchOf = (samples: ReadonlyArray<Watch.Sample>): Watch.Watch => ({ add: () => {}, samples })

const sample = (at: number, busy: number, used: number): Watch.Sample => ({
  at,
  busy,
  waiting: 0,
  processes: new Map([
    [7, { main: used / 2, all: used }],
    [8, { main: 0, all: 1 }]
  ])
})

/** One processor busy, then two; process 7 takes half of one all the time. */
const watch = watchOf([sample(10, 100, 3), sample(12, 102, 4), sample(14, 106, 5)])

describe("Watch", () => {
  it("counts in a span, in straight lines between the looks", () => {
    assert.strictEqual(
      Watch.growth(watch, { from: 11, to: 13 }, ({ busy }) => busy),
      3
    )
    assert.strictEqual(Watch.used(watch, { from: 11, to: 13 }, 7, "all"), 1)
    assert.strictEqual(Watch.used(watch, { from: 11, to: 13 }, 7, "main"), 0.5)
  })

  it("knows nothing of before the first look and after the last one", () => {
    assert.strictEqual(
      Watch.growth(watch, { from: 0, to: 20 }, ({ busy }) => busy),
      6
    )
  })

  it("tells what others than its processes take", () => {
    assert.deepStrictEqual(Watch.room(watch, { from: 10, to: 14 }), {
      busyCores: 1.5,
      foreignCores: 1,
      waitingShare: 0
    })
  })
})
