import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { roundUp } from "../../../src/output/internal/reportDistribution.ts"
import * as Text from "../../../src/output/internal/reportText.ts"

describe("the texts of a report", () => {
  it("writes numbers as people read them", () => {
    assert.deepStrictEqual([0, 0.01234, 3.456, 99.96, 1234.5, 2_345_678, null].map(Text.number), [
      "0",
      "0.0123",
      "3.46",
      "100",
      "1,235",
      "2.35 M",
      "–"
    ])
    assert.deepStrictEqual([0, 0.000_000_5, 0.0123, 0.9996, 3.4, 119.6, 312, 7500, NaN].map(Text.seconds), [
      "0 s",
      "0.5 µs",
      "12.3 ms",
      "1 s",
      "3.4 s",
      "2 min 00 s",
      "5 min 12 s",
      "2 h 05 min",
      "–"
    ])
    assert.deepStrictEqual([0, 0.0001, 0.0123, 1].map(Text.percent), ["0 %", "< 0.1 %", "1.23 %", "100 %"])
    assert.strictEqual(Text.counted(1, "request"), "1 request")
    assert.strictEqual(Text.counted(2000, "request"), "2,000 requests")
    assert.deepStrictEqual(
      [Text.clock(12.34, 100), Text.clock(150, 600), Text.clock(3900, 7200)],
      ["12.3 s", "2:30", "1:05:00"]
    )
  })

  it("escapes for HTML, and for a script, without loss", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(..."<>&\"'/!-\u2028\u2029\\a\n\0😀")), (characters) => {
        const text = characters.join("")
        assert.notMatch(Text.escape(text), /[<>"']|&(?!(amp|lt|gt|quot|#39);)/)
        assert.notMatch(Text.scriptJson([text]), /[<>&\u2028\u2029]/)
        assert.strictEqual(JSON.stringify(JSON.parse(Text.scriptJson([text]))), JSON.stringify([text]))
      })
    )
  })

  it("rounds widths up to 1, 2 or 5 times a power of ten", () => {
    assert.deepStrictEqual([0.0011, 0.02, 0.3, 1, 7, 0, NaN].map(roundUp), [0.002, 0.02, 0.5, 1, 10, 1, 1])
    fc.assert(
      fc.property(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), (value) => {
        const rounded = roundUp(value)
        assert.isTrue(rounded >= value * (1 - 1e-12) && rounded <= value * 2.5 * (1 + 1e-9), `${value}: ${rounded}`)
      })
    )
  })
})
