import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Grid, MAX_SLICES } from "../../../src/metrics/internal/verdictGrid.ts"

const sum = (a: number, b: number) => a + b

describe("Grid", () => {
  it("puts values where they belong", () => {
    const grid = new Grid<number>(0.5, sum)
    for (const second of [0, 0.49, 0.5, 3]) grid.add(second, 1)
    assert.deepStrictEqual(grid.entries(), [
      [0, 2],
      [1, 1],
      [6, 1]
    ])
  })

  it("takes a moment before the start for the start", () => {
    const grid = new Grid<number>(1, sum)
    grid.add(-0.001, 1)
    assert.deepStrictEqual(grid.entries(), [[0, 1]])
  })

  it("doubles its width just when it must", () => {
    const grid = new Grid<number>(1, sum)
    grid.add(0, 1)
    grid.add(MAX_SLICES - 0.001, 1)
    assert.strictEqual(grid.width, 1)
    grid.add(MAX_SLICES, 1)
    assert.strictEqual(grid.width, 2)
    assert.deepStrictEqual(grid.entries(), [
      [0, 1],
      [59, 1],
      [60, 1]
    ])
  })

  it("is what it would be had it been as wide from the start", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000)), (seconds) => {
        const grid = new Grid<number>(1, sum)
        for (const second of seconds) grid.add(second, 1)
        const wide = new Grid<number>(grid.width, sum)
        for (const second of seconds) wide.add(second, 1)
        assert.deepStrictEqual(grid.entries(), wide.entries())
        assert.isAtMost(grid.entries().length, MAX_SLICES)
        assert.isTrue(grid.entries().every(([index]) => index < MAX_SLICES))
      }),
      { numRuns: 100 }
    )
  })
})
