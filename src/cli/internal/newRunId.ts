import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** `20261124T093000Z-k3f9qd`: sorts by time, and differs between runs of one second. */
export const newRunId = Effect.gen(function* () {
  const now = yield* DateTime.now
  const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
  const letters = yield* Effect.forEach(Array.from({ length: 6 }), () =>
    Random.nextIntBetween(0, digits.length, { halfOpen: true })
  )
  const time = DateTime.formatIso(now).replaceAll(/[-:]|\.\d+/g, "")
  return `${time}-${letters.map((index) => digits[index]).join("")}`
})
