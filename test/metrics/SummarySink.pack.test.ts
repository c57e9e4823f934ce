import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { openLoopOutcomes, sinkOf } from "./outcomes.ts"
import { failure, outcome, record } from "./records.ts"

const context = { wallSeconds: 7, unsent: 3, openLoop: { queued: 1, dropped: 2 } }

const exactValues = fc.constantFrom(0, 3, 20, 100_000, Number.POSITIVE_INFINITY)

const repacked = (sink: SummarySink.SummarySink): SummarySink.SummarySink =>
  Result.getOrThrow(SummarySink.unpack(SummarySink.pack(sink)))

const copy = (outcomes: ReadonlyArray<RequestOutcome>, exactValues: number) =>
  repacked(sinkOf(outcomes, { exactValues }))

describe("a packed summary", () => {
  it("is the same once unpacked, to be read, merged into, added to and packed again", () => {
    fc.assert(
      fc.property(
        openLoopOutcomes,
        openLoopOutcomes,
        exactValues,
        exactValues,
        (left, right, leftLimit, rightLimit) => {
          const original = sinkOf(left, { exactValues: leftLimit })
          const unpacked = copy(left, leftLimit)
          assert.deepStrictEqual(unpacked.counts(), original.counts())
          assert.deepStrictEqual(unpacked.summary(context), original.summary(context))
          assert.deepStrictEqual(SummarySink.pack(unpacked), SummarySink.pack(original))

          const other = sinkOf(right, { exactValues: rightLimit })
          const merged = sinkOf(left, { exactValues: leftLimit })
          merged.merge(other)
          unpacked.merge(repacked(other))
          assert.deepStrictEqual(unpacked.summary(context), merged.summary(context))

          const added = copy(left, leftLimit)
          for (const each of right) {
            added.add(each)
            original.add(each)
          }
          assert.deepStrictEqual(added.summary(context), original.summary(context))
        }
      ),
      { numRuns: 20 }
    )
  })

  it("keeps the examples and the order of errors, whatever their text", () => {
    const texts = ["", "__proto__", "\ud800 half a letter", 'a "quote"', "…\n", "x".repeat(3_000)]
    const sink = sinkOf(
      texts.flatMap((text) => [failure(text, "InStream", text), failure(404, text, text)].map((each) => outcome(each)))
    )
    assert.deepStrictEqual(repacked(sink).summary(context), sink.summary(context))
  })

  it("takes 144 bytes for each request, and no more from where histograms begin", () => {
    const sizes = [0, 1_000, 5_000, 10_000].map((length) => {
      const outcomes = Array.from({ length }, (_, i) =>
        outcome(
          record({
            sent_offset_s: i / 50,
            end_offset_s: i / 50 + 1,
            dns_s: 0.1,
            connect_s: 0.1,
            tls_s: 0.1,
            finish_reason: null
          })
        )
      )
      return SummarySink.pack(sinkOf(outcomes, { exactValues: 5_000 })).length
    })
    const [none = 0, few = 0, most = 0, more = 0] = sizes
    assert.isBelow(none, 500)
    assert.strictEqual(few - none, 144_000)
    assert.strictEqual(most - none, 720_000)
    // 200 seconds of the grid, and nearly nothing for values that are all the same
    assert.isBelow(more, 20 * 131_072)
  })

  it("can be read from the middle of a larger buffer", () => {
    const sink = sinkOf([outcome(record(), [0.1, 0.2]), outcome(failure(500, "HttpStatus", "no"))])
    const bytes = SummarySink.pack(sink)
    const larger = new Uint8Array(bytes.length + 20)
    larger.set(bytes, 7)
    const unpacked = Result.getOrThrow(SummarySink.unpack(larger.subarray(7, 7 + bytes.length)))
    assert.deepStrictEqual(unpacked.summary(context), sink.summary(context))
  })

  it("is refused when it is not whole, too long, or of another version", () => {
    for (const limit of [0, 100]) {
      const bytes = SummarySink.pack(
        sinkOf([outcome(record(), [0.1]), outcome(failure(500, "HttpStatus", "no"))], { exactValues: limit })
      )
      const problem = (wrong: Uint8Array): string => {
        const unpacked = SummarySink.unpack(wrong)
        return Result.isFailure(unpacked) ? unpacked.failure.message : ""
      }
      for (let length = 0; length < bytes.length; length += 29)
        assert.isAbove(problem(bytes.subarray(0, length)).length, 0)
      assert.include(problem(Uint8Array.of(...bytes, 0)), "1 bytes too many")
      assert.include(problem(Uint8Array.of(9, ...bytes.subarray(1))), "version 9, expected 2")
    }
  })

  it("is refused or read, but never anything else, when bytes of it are wrong", () => {
    const outcomes = [outcome(record(), [0.1]), outcome(failure(500, "HttpStatus", "no"))]
    fc.assert(
      fc.property(fc.constantFrom(0, 100), fc.nat(), fc.integer({ min: 0, max: 255 }), (limit, place, value) => {
        const bytes = SummarySink.pack(sinkOf(outcomes, { exactValues: limit }))
        bytes[place % bytes.length] = value
        const unpacked = SummarySink.unpack(bytes)
        if (Result.isSuccess(unpacked)) unpacked.success.summary(context)
      }),
      { numRuns: 100 }
    )
  })
})
