import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as RunMetrics from "../../src/metrics/RunMetrics.ts"
import { assertClose, openLoopOutcomes, sinkOf } from "./outcomes.ts"
import { failure, outcome, record } from "./records.ts"

const noCounters = LiveStats.snapshot(LiveStats.make(), 0)

const read = (self: RunMetrics.RunMetrics) => self.read({ snapshot: noCounters, grade: null })

const ofRecords = (outcomes: ReadonlyArray<RequestOutcome>) => {
  const self = new RunMetrics.RunMetrics()
  for (const { record } of outcomes) self.addRecord(record)
  return self
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((all, value) => all + value, 0)

/** How many are in the bucket that ends at `bound`. */
const upTo = ({ bounds, counts }: RunMetrics.Buckets, bound: number): number => counts[bounds.indexOf(bound)] ?? NaN

describe("RunMetrics", () => {
  it("is the same whoever sent the requests, and in whatever parts they come", () => {
    fc.assert(
      fc.property(openLoopOutcomes, fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 4 }), (outcomes, cuts) => {
        const parts = new RunMetrics.RunMetrics()
        const edges = [0, ...cuts.toSorted((a, b) => a - b), outcomes.length]
        for (const [index, from] of edges.slice(0, -1).entries()) {
          parts.addSink(sinkOf(outcomes.slice(from, edges[index + 1])))
        }
        assertClose(read(parts), read(ofRecords(outcomes)))
      })
    )
  })

  it("takes folds that keep histograms only", () => {
    fc.assert(
      fc.property(openLoopOutcomes, (outcomes) => {
        const folded = new RunMetrics.RunMetrics()
        folded.addSink(sinkOf(outcomes, { exactValues: 0 }))
        const { requests, ...totals } = read(folded)
        const { requests: expected, ...expectedTotals } = read(ofRecords(outcomes))
        assertClose(totals, expectedTotals)
        assert.strictEqual(sum(requests.ttft.counts), sum(expected.ttft.counts))
        assertClose(requests.ttft.sum, expected.ttft.sum)
        assertClose(requests.endToEndLatency.max, expected.endToEndLatency.max)
        // Numbers of tokens stay exact
        assert.deepStrictEqual(requests.outputTokens.counts, expected.outputTokens.counts)
      })
    )
  })

  it("puts a value into the first bucket that does not end below it", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e4, noNaN: true }), (value) => {
        const { bounds, counts } = read(ofRecords([outcome(record({ ttft_s: value }))])).requests.ttft
        const bucket = counts.indexOf(1)
        assert.strictEqual(sum(counts), 1)
        assert.isAtMost(value, bounds[bucket] ?? Infinity)
        assert.isAbove(value, bucket === 0 ? -Infinity : (bounds[bucket - 1] ?? NaN))
      })
    )
    const { dispatchLag } = read(ofRecords([outcome(record({ dispatch_lag_s: 0.01 }))])).requests
    assert.strictEqual(upTo(dispatchLag, 0.01), 1)
  })

  it("counts cached input tokens of the requests of which the server says it, alone and in folds", () => {
    const outcomes = [
      outcome(record({ usage_input_tokens: 600, usage_cached_input_tokens: 576 })),
      outcome(record({ usage_input_tokens: 500 })),
      outcome(record({ usage_input_tokens: 400, usage_cached_input_tokens: 0 }))
    ]
    const alone = read(ofRecords(outcomes))
    assert.deepStrictEqual([alone.cacheableTokens, alone.cachedTokens], [1_000, 576])
    const sink = new SummarySink()
    for (const each of outcomes) sink.add(each)
    const folded = new RunMetrics.RunMetrics()
    folded.addSink(sink)
    assert.deepStrictEqual([read(folded).cacheableTokens, read(folded).cachedTokens], [1_000, 576])
  })

  it("has bounds that ascend, the suggested ones among them", () => {
    const { genAi, ...ours } = RunMetrics.bounds
    for (const bounds of [...Object.values(ours), ...Object.values(genAi)]) {
      assert.deepStrictEqual(
        [...bounds],
        [...new Set(bounds)].toSorted((a, b) => a - b)
      )
    }
    assert.includeMembers([...ours.ttft], [...genAi.timeToFirstToken])
    assert.includeMembers([...ours.interTokenLatency], [...genAi.timePerOutputToken])
    assert.includeMembers([...ours.endToEndLatency], [...genAi.operationDuration])
    // docs/gen-ai/gen-ai-metrics.md of open-telemetry/semantic-conventions-genai
    assert.deepStrictEqual(
      [...genAi.tokenUsage],
      [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
    )
    // What is made of the same values is kept in the bounds of all
    const { ttft } = read(new RunMetrics.RunMetrics()).requests
    assert.includeMembers([...ttft.bounds], [...ours.ttft, ...genAi.operationDuration, ...genAi.timeToFirstToken])
  })

  it("keeps in coarser buckets what there is in finer ones", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { maxLength: 50 }),
        fc.subarray([...RunMetrics.bounds.ttft]),
        (values, bounds) => {
          const fine = read(ofRecords(values.map((value) => outcome(record({ ttft_s: value }))))).requests.ttft
          const coarse = RunMetrics.collapse(fine, bounds)
          assert.deepStrictEqual(
            coarse.counts,
            [...bounds, Infinity].map(
              (bound, index) =>
                values.filter((value) => value <= bound && value > (bounds[index - 1] ?? -Infinity)).length
            )
          )
          assert.strictEqual(coarse.sum, fine.sum)
        }
      )
    )
  })

  it("counts failures by kind, and nothing else of them", () => {
    const self = ofRecords([
      outcome(record({ number_input_tokens: 50, number_output_tokens: 10, number_chunks: 4 })),
      outcome(record({ number_input_tokens: 7, number_output_tokens: null, number_chunks: 3, sampled: false })),
      outcome(failure(503, "HttpStatus", "a")),
      outcome(failure("503", "HttpStatus", "b")),
      outcome(failure("cancelled", "Cancelled", "c", { number_input_tokens: 1e6, number_chunks: 1e6 }))
    ])
    const { chunks, errors, inputTokens, outputTokens, requests, uncounted } = read(self)
    assert.deepStrictEqual(
      { chunks, errors, inputTokens, outputTokens, uncounted },
      {
        chunks: 7,
        uncounted: 1,
        inputTokens: 57,
        outputTokens: 10,
        errors: [
          { reason: "Cancelled", code: "cancelled", count: 1 },
          { reason: "HttpStatus", code: "503", count: 2 }
        ]
      }
    )
    assert.strictEqual(sum(requests.ttft.counts), 1)
    assert.strictEqual(sum(requests.inputTokens.counts), 1)
  })

  it("tells how far the run is, with totals that never fall", () => {
    const self = new RunMetrics.RunMetrics()
    const live = LiveStats.make()
    const at = (now: number, isOver?: boolean) =>
      self.read({ snapshot: LiveStats.snapshot(live, now), grade: "DEGRADED", isOver })
    assert.strictEqual(at(0).phase, "preparing")
    LiveStats.start(live, 1e9)
    for (let i = 0; i < 3; i++) LiveStats.requestStarted(live)
    LiveStats.chunksArrived(live, 20)
    live.completed = 2
    const running = at(3e9)
    assert.deepStrictEqual(
      [running.phase, running.elapsedSeconds, running.started, running.inFlight, running.chunksReceived],
      ["running", 2, 3, 1, 20]
    )
    // An agent is lost, and what it did with it
    live.started = 1
    live.completed = 1
    const later = at(4e9, true)
    assert.deepStrictEqual([later.phase, later.started, later.completed, later.inFlight], ["over", 3, 2, 0])
    assert.strictEqual(later.grade, "DEGRADED")
  })

  it("is plain data", () => {
    fc.assert(
      fc.property(openLoopOutcomes, (outcomes) => {
        const reading = read(ofRecords(outcomes))
        assert.deepStrictEqual(Schema.decodeUnknownSync(RunMetrics.Reading)(structuredClone(reading)), reading)
      })
    )
  })
})
