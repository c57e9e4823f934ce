import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as Ended from "../../src/metrics/Ended.ts"
import { makeMeasurement } from "../../src/metrics/RequestSink.ts"
import * as SummarySink from "../../src/metrics/SummarySink.ts"
import { mixed, sinkOf } from "./outcomes.ts"
import { outcome, record } from "./records.ts"

const plan = {
  id: 1,
  dueSeconds: null,
  sampled: true,
  prompt: "",
  inputTokens: 1,
  targetInputTokens: 1,
  outputTokens: 1
}
const measurement = makeMeasurement(plan, 0)
const start = { monotonicNanos: 0, epochSeconds: 0 }

const here = (all: ReadonlyArray<ReturnType<typeof outcome>>): Ended.Ended => ({
  _tag: "Here",
  requests: all.map((each) => ({ ...each, measurement })),
  start
})

const elsewhere = (
  sender: string,
  all: ReadonlyArray<ReturnType<typeof outcome>> | null,
  supersedesFold = false
): Ended.Ended => ({
  _tag: "Elsewhere",
  sender,
  fold: all === null ? null : sinkOf(all),
  supersedesFold,
  records: null,
  sent: null,
  chunks: null
})

const foldOf = (batches: ReadonlyArray<Ended.Ended>) => Stream.run(Stream.fromIterable(batches), Ended.fold)

const some = (count: number, seconds: number) =>
  Array.from({ length: count }, (_, index) =>
    outcome(record({ request_id: index + 1, ttft_s: seconds }), [seconds / 10])
  )

describe("Ended.fold", () => {
  it("gives the same bytes however what ended here was cut into batches", () =>
    fc.assert(
      fc.property(fc.array(mixed, { maxLength: 40 }), fc.array(fc.nat(7), { maxLength: 20 }), (all, sizes) => {
        const batches: Array<Ended.Ended> = []
        let at = 0
        for (const size of sizes) {
          batches.push(here(all.slice(at, at + size)))
          at += size
        }
        batches.push(here(all.slice(at)))
        assert.deepStrictEqual(SummarySink.pack(Effect.runSync(foldOf(batches))), SummarySink.pack(sinkOf(all)))
      })
    ))

  it.effect("adds up what several senders have folded, in as many batches as there are", () =>
    Effect.gen(function* () {
      const fold = yield* foldOf([
        elsewhere("a", some(3, 0.1)),
        elsewhere("b", some(2, 0.2)),
        elsewhere("a", null),
        elsewhere("a", some(5, 0.3))
      ])
      assert.strictEqual(fold.counts().completed, 10)
      const { ttft_s } = fold.summary({ wallSeconds: 1 })
      assert.closeTo(ttft_s.mean ?? 0, (3 * 0.1 + 2 * 0.2 + 5 * 0.3) / 10, 1e-12)
    })
  )

  it.effect("forgets what a sender has reported when it tells of all its requests anew", () =>
    Effect.gen(function* () {
      const fold = yield* foldOf([
        elsewhere("a", some(3, 0.1)),
        elsewhere("b", some(2, 0.2)),
        elsewhere("a", some(4, 0.4), true)
      ])
      assert.strictEqual(fold.counts().completed, 6)
      assert.closeTo(fold.summary({ wallSeconds: 1 }).ttft_s.mean ?? 0, (2 * 0.2 + 4 * 0.4) / 6, 1e-12)
    })
  )

  it.effect("begins anew each time it is run", () =>
    Effect.gen(function* () {
      yield* foldOf([here(some(3, 0.1))])
      assert.strictEqual((yield* foldOf([here(some(2, 0.1))])).counts().completed, 2)
    })
  )
})
