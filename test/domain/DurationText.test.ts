import { assert, describe, it } from "@effect/vitest"
import { parseSeconds } from "../../src/domain/DurationText.ts"

describe("DurationText", () => {
  it.each([
    ["30", 30],
    ["0", 0],
    ["1.5", 1.5],
    ["30s", 30],
    ["1m30s", 90],
    ["1h 2m 3s", 3723],
    ["250ms", 0.25],
    ["2 seconds", 2],
    ["1 Day", 86_400],
    [" 0.1ms ", 0.0001]
  ])("reads %j", (text, seconds) => {
    assert.strictEqual(parseSeconds(text), seconds)
  })

  it.each([
    "",
    " ",
    "s",
    "-1s",
    "1 fortnight",
    "1s!",
    "1e3",
    "1000000001",
    "9".repeat(400),
    "12000 days",
    "inf",
    "1constructor"
  ])("refuses %j", (text) => {
    assert.isUndefined(parseSeconds(text))
  })
})
