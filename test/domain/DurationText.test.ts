import { assert, describe, it } from "@effect/vitest"
import { fromSeconds, parseSeconds } from "../../src/domain/DurationText.ts"

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

  it.each([
    [600, "10m"],
    [90, "1m30s"],
    [0.3, "300ms"],
    [1.5, "1.5s"],
    [3_600, "1h"],
    [90_061, "1d1h1m1s"],
    [60.25, "1m0.25s"],
    [0, "0ms"]
  ])("writes %d as %s, and reads it again", (seconds, text) => {
    assert.strictEqual(fromSeconds(seconds), text)
    assert.strictEqual(parseSeconds(text), seconds)
  })
})
