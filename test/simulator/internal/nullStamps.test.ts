import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NullLog } from "../../../src/simulator/internal/nullLog.ts"
import { decode } from "../../../src/simulator/internal/nullStamps.ts"

const bufferOf = (bytes: Uint8Array): ArrayBuffer => {
  const copy = new ArrayBuffer(bytes.length)
  new Uint8Array(copy).set(bytes)
  return copy
}

const load = { cpuSeconds: 1.5, busyShare: 0.25 }

describe("decode", () => {
  it.effect("reads what the log says, whatever the length of the ids", () =>
    Effect.gen(function* () {
      for (const id of ["a", "ab", "abc", "abcd", "é", "abcdefgh"]) {
        const log = new NullLog()
        log.request(id, 100.5, 3)
        log.request("other", 200, 0)
        log.write(0, 1, 110, 111)
        log.write(1, 16, 210, 212)
        log.write(0, 2, 120, 121)
        const { exchanges, ...rest } = yield* decode(bufferOf(log.encode(load)))
        assert.deepStrictEqual(rest, load)
        assert.deepStrictEqual(exchanges.get(id), {
          arrivedAt: 100.5,
          waitedNanos: 3,
          writtenAt: [110, 120, 120],
          takenAt: [111, 121, 121]
        })
        assert.deepStrictEqual(
          exchanges.get("other")?.writtenAt,
          Array.from({ length: 16 }, () => 210)
        )
      }
    })
  )

  it.effect("reads a log without anything, and a long one", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* decode(bufferOf(new NullLog().encode(load)))).exchanges.size, 0)
      const log = new NullLog()
      log.request("r", 0, 0)
      for (let i = 0; i < 5_000; i++) log.write(0, 1, i, i + 1)
      const seen = (yield* decode(bufferOf(log.encode(load)))).exchanges.get("r")
      assert.deepStrictEqual(
        seen?.writtenAt,
        Array.from({ length: 5_000 }, (_, i) => i)
      )
    })
  )

  it.effect("fails on something else", () =>
    Effect.gen(function* () {
      for (const text of ["", "no", "this is not a log of a server"]) {
        const error = yield* Effect.flip(decode(bufferOf(Buffer.from(text))))
        assert.strictEqual(error._tag, "SchemaError")
      }
    })
  )
})
