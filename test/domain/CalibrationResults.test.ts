import { assert, describe, it } from "@effect/vitest"
import * as CalibrationResults from "../../src/domain/CalibrationResults.ts"
import { loadOf, machine, weightOf } from "../output/calibrations.ts"

const nameOf = (loads: ReadonlyArray<CalibrationResults.LoadCalibration>, asked: Partial<CalibrationResults.Asked>) =>
  CalibrationResults.nearest(loads, {
    kind: "closed",
    in_flight: null,
    requests_per_s: null,
    tokens_per_s: null,
    ...asked
  })?.measured_at ?? null

describe("nearest", () => {
  const loads = [
    loadOf("heavy", { in_flight: 800, requests_per_s: 300, tokens_per_s: 40_000 }),
    loadOf("light", { in_flight: 10, requests_per_s: 5, tokens_per_s: 500 }),
    loadOf("middle", { in_flight: 200, requests_per_s: 80, tokens_per_s: 9_500 }),
    loadOf("open", { kind: "open", in_flight: 200, requests_per_s: 80, tokens_per_s: 9_500 })
  ]

  it("takes the lightest that is heavy enough in everything", () => {
    assert.strictEqual(nameOf(loads, { in_flight: 10 }), "light")
    assert.strictEqual(nameOf(loads, { in_flight: 11 }), "light")
    assert.strictEqual(nameOf(loads, { in_flight: 12 }), "middle")
    assert.strictEqual(nameOf(loads, { in_flight: 10, tokens_per_s: 600 }), "middle")
    assert.strictEqual(nameOf(loads, { in_flight: 200, requests_per_s: 100, tokens_per_s: 9_500 }), "heavy")
    assert.isNull(nameOf(loads, { in_flight: 1_000 }))
    assert.isNull(nameOf([], { in_flight: 1 }))
  })

  it("forgives a tenth, and no more", () => {
    assert.strictEqual(nameOf(loads, { tokens_per_s: 9_500 / 0.9 - 1 }), "middle")
    assert.strictEqual(nameOf(loads, { tokens_per_s: 9_500 / 0.9 + 1 }), "heavy")
  })

  it("keeps closed and open loops apart", () => {
    assert.strictEqual(nameOf(loads, { kind: "open", requests_per_s: 60 }), "open")
    assert.isNull(nameOf(loads, { kind: "open", requests_per_s: 100 }))
  })

  it("takes the last of equals", () => {
    assert.strictEqual(nameOf([loadOf("old", {}), loadOf("new", {})], { in_flight: 10 }), "new")
  })
})

describe("withLoad", () => {
  const nothing = { machine, limits: null, loads: [] }

  it("takes the place of the same shape", () => {
    const first = CalibrationResults.withLoad(nothing, loadOf("first", { in_flight: 5 }))
    const second = CalibrationResults.withLoad(first, loadOf("second", { in_flight: 6 }))
    const again = CalibrationResults.withLoad(second, loadOf("again", { in_flight: 5 }))
    assert.deepStrictEqual(
      again.loads.map(({ measured_at }) => measured_at),
      ["second", "again"]
    )
  })

  it("forgets the oldest of very many", () => {
    let known: CalibrationResults.Calibrations = nothing
    for (let i = 1; i <= 120; i++)
      known = CalibrationResults.withLoad(known, loadOf(String(i), weightOf({ in_flight: i })))
    assert.lengthOf(known.loads, 100)
    assert.strictEqual(known.loads[0]?.measured_at, "21")
  })
})
