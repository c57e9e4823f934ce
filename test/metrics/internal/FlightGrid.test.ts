import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Flight, flight } from "../../../src/metrics/internal/flight.ts"
import { FlightGrid } from "../../../src/metrics/internal/FlightGrid.ts"

type Interval = readonly [sent: number, end: number]

const gridOf = (intervals: ReadonlyArray<Interval>): FlightGrid => {
  const grid = new FlightGrid()
  for (const [sent, end] of intervals) grid.add(sent, end)
  return grid
}

const exactOf = (intervals: ReadonlyArray<Interval>): Flight =>
  flight(
    Float64Array.from(intervals, ([sent]) => sent).toSorted(),
    Float64Array.from(intervals, ([, end]) => end).toSorted()
  )

const interval = fc
  .record({
    sent: fc.oneof(fc.double({ min: 0, max: 2_000, noNaN: true }), fc.double({ min: 10, max: 10.1, noNaN: true })),
    length: fc.oneof(
      fc.double({ min: 0, max: 50, noNaN: true }),
      fc.double({ min: -12, max: 0, noNaN: true }).map(Math.exp)
    )
  })
  .map(({ length, sent }): Interval => [sent, sent + length])

const intervals = (minLength: number) => fc.array(interval, { minLength, maxLength: 60 })

/** The longest that a cell may be. */
const cellOf = (all: ReadonlyArray<Interval>): number => Math.max(2 ** -17, ...all.map(([, end]) => end / 65_536))

/** How often nothing was in flight, the time before the first included. */
const pausesOf = (all: ReadonlyArray<Interval>): number => {
  let pauses = 1
  let until = 0
  for (const [sent, end] of all.toSorted((a, b) => a[0] - b[0])) {
    if (sent > until) pauses++
    until = Math.max(until, end)
  }
  return pauses
}

const assertClose = (actual: Flight, expected: Flight): void => {
  assert.closeTo(actual.busySeconds, expected.busySeconds, 1e-9)
  assert.closeTo(actual.requestSeconds, expected.requestSeconds, 1e-9)
  assert.strictEqual(actual.most, expected.most)
}

describe("FlightGrid", () => {
  it("is off by no more than it says", () => {
    fc.assert(
      fc.property(intervals(1), (all) => {
        const exact = exactOf(all)
        const { busySeconds, most, requestSeconds } = gridOf(all).flight()
        const cell = cellOf(all)
        assert.closeTo(requestSeconds, exact.requestSeconds, 1e-9)
        assert.isAtLeast(busySeconds, exact.busySeconds - 1e-9)
        assert.isAtMost(busySeconds, exact.busySeconds + 2 * cell * pausesOf(all) + 1e-9)
        assert.isAtMost(most, exact.most)
        const within = (from: number) => all.filter(([sent]) => sent >= from && sent <= from + cell).length
        assert.isAtLeast(most, exact.most - Math.max(...all.map(([sent]) => within(sent))))
      })
    )
  })

  it("merged is the grid of the union, whichever way round", () => {
    fc.assert(
      fc.property(intervals(0), intervals(0), (left, right) => {
        const there = gridOf(left)
        there.merge(gridOf(right))
        const back = gridOf(right)
        back.merge(gridOf(left))
        const union = gridOf([...left, ...right]).flight()
        assertClose(there.flight(), union)
        assertClose(back.flight(), union)
      }),
      { numRuns: 30 }
    )
  })

  it("merged with itself is twice the same", () => {
    const all: ReadonlyArray<Interval> = [
      [0, 10],
      [4, 6],
      [20, 21]
    ]
    const grid = gridOf(all)
    grid.merge(grid)
    assertClose(grid.flight(), gridOf([...all, ...all]).flight())
  })

  it("is exact for one request at a time, with pauses of any length", () => {
    const all = Array.from({ length: 20_000 }, (_, i): Interval => [i / 100, i / 100 + 0.0007])
    const { busySeconds, most } = gridOf(all).flight()
    assert.closeTo(busySeconds, 14, 1e-6)
    assert.strictEqual(most, 1)
  })

  it("takes a moment before the start for the start, and holds the longest of runs", () => {
    const { busySeconds, most } = gridOf([
      [-1, 1],
      [0, 1e7],
      [9e6, 9e6 + 1]
    ]).flight()
    assert.strictEqual(busySeconds, 1e7)
    assert.strictEqual(most, 2)
  })
})
