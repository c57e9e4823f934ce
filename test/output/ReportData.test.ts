import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Quantile from "../../src/metrics/Quantile.ts"
import * as Analysis from "../../src/engine/Analysis.ts"
import * as ChunkTimes from "../../src/output/ChunkTimes.ts"
import { factsOf } from "../../src/output/internal/reportFacts.ts"
import { failure, record } from "../metrics/records.ts"
import { measured, start } from "./chunkTimes.ts"
import { folder, read, requests, summary, writeRun } from "./reportRuns.ts"

const near = (actual: number | null | undefined, expected: number, message?: string): void =>
  assert.isTrue(
    typeof actual === "number" && Math.abs(actual - expected) <= 0.002 * Math.abs(expected) + 1e-9,
    `${message ?? ""} ${actual} is not ${expected}`
  )

const sum = (values: ReadonlyArray<number | null>): number =>
  values.reduce<number>((all, value) => all + (value ?? 0), 0)

describe("ReportData", () => {
  it.effect("counts every request once, in each view of a run", () =>
    Effect.gen(function* () {
      const rows = requests(500)
      const { runs } = yield* read(writeRun(yield* folder, "a", rows))
      const [run] = runs
      assert.isDefined(run)
      const { charts, percentiles, totals } = run
      const { timeline } = charts
      assert.isNotNull(timeline)
      const good = rows.filter(({ error_code }) => error_code === null)
      assert.deepStrictEqual([totals.requests, totals.succeeded, totals.failed, totals.cancelled], [500, 480, 20, 0])
      assert.deepStrictEqual(totals.reasons, [
        { reason: "HTTP 503", count: 10 },
        { reason: "Timed out (idle)", count: 10 }
      ])

      const span = Math.max(...rows.map(({ end_offset_s }) => end_offset_s))
      near(charts.span, span)
      // Rates times the widths of their slices, the last of which reaches to the end of the run
      const amount = (values: ReadonlyArray<number | null>): number =>
        sum(values.map((value, i) => (value ?? 0) * (i < values.length - 1 ? timeline.step : span - i * timeline.step)))
      near(amount(timeline.sent), 500, "sent")
      near(amount(timeline.planned ?? []), 500, "planned")
      near(amount(timeline.ended), 480, "ended")
      near(amount(timeline.tokens), sum(good.map(({ number_output_tokens }) => number_output_tokens)), "tokens")
      near(
        amount(timeline.inFlight),
        sum(rows.map(({ end_offset_s, sent_offset_s }) => end_offset_s - (sent_offset_s ?? 0))),
        "in flight"
      )
      assert.deepStrictEqual(
        timeline.errors.map(({ counts, reason }) => [reason, sum(counts)]),
        [
          ["HTTP 503", 10],
          ["Timed out (idle)", 10]
        ]
      )

      const values = good.map(({ ttft_s }) => ttft_s ?? 0).toSorted((a, b) => a - b)
      assert.strictEqual(charts.first.count, 480)
      near(sum(charts.first.shares) + charts.first.beyond / 480, 1, "histogram")
      near(charts.first.cdf.find(([share]) => share === 0.9)?.[1], Quantile.quantile(values, 0.9) ?? 0)
      const row = percentiles.find(({ name }) => name === "Time to first token")
      assert.strictEqual(row?.at.find(({ q }) => q === 0.99)?.value, Quantile.quantile(values, 0.99))
      assert.deepStrictEqual(
        row?.at.filter(({ few }) => few).map(({ q }) => q),
        [0.99, 0.999]
      )
      assert.strictEqual(charts.points.first.length, 480)
      assert.deepStrictEqual(charts.touched, [[2, 4]])
    }).pipe(Effect.scoped)
  )

  it.effect("knows no rate of tokens, over the run or in a slice, with answers whose tokens are not known", () =>
    Effect.gen(function* () {
      const last = requests(500).findLast(({ error_code }) => error_code === null)?.request_id
      const rows = requests(500).map((row) =>
        row.request_id === last ? { ...row, token_source: "server" as const, number_output_tokens: null } : row
      )
      const { runs } = yield* read(writeRun(yield* folder, "a", rows, summary({ token_source: "server" })))
      assert.deepInclude(runs[0]?.totals, { uncounted: 1, tokensPerSecond: null })
      const tokens = runs[0]?.charts.timeline?.tokens ?? []
      assert.isNull(tokens.at(-1))
      assert.isAbove(tokens[0] ?? 0, 0)
      const facts = factsOf(runs[0]!)
      assert.deepInclude(
        facts.find(({ label }) => label === "Output tokens per second"),
        { text: "unknown", more: "1 of 480 answers had no usage", value: null }
      )
    }).pipe(Effect.scoped)
  )

  it.effect("shows the slowest requests from when they were due, the longest first", () =>
    Effect.gen(function* () {
      const rows = [
        record({ request_id: 1, end_offset_s: 1 }),
        failure(503, "HttpStatus", "", {
          request_id: 2,
          intended_offset_s: 1,
          sent_offset_s: 4,
          dispatch_lag_s: 3,
          end_offset_s: 4.5
        }),
        record({
          request_id: 3,
          intended_offset_s: 1,
          sent_offset_s: 1.5,
          dispatch_lag_s: 0.5,
          ttft_s: 0.2,
          end_offset_s: 3
        })
      ]
      const { runs } = yield* read(writeRun(yield* folder, "a", rows))
      const slowest = runs[0]?.charts.slowest
      assert.deepStrictEqual(slowest?.id, [2, 3, 1])
      assert.deepStrictEqual(slowest?.whole, [3.5, 2, 1])
      assert.deepStrictEqual(slowest?.waited, [3, 0.5, 0])
      assert.deepStrictEqual(slowest?.first, [null, 0.2, 0.1])
      assert.deepStrictEqual(slowest?.failure, ["HTTP 503", null, null])
    }).pipe(Effect.scoped)
  )

  it.effect("keeps requests that are not measured out of distributions, and in the totals", () =>
    Effect.gen(function* () {
      const rows = [record({ ttft_s: 0.2 }), record({ ttft_s: 9, sampled: false, end_offset_s: 2 })]
      const { runs } = yield* read(writeRun(yield* folder, "a", rows))
      const [run] = runs
      assert.strictEqual(run?.totals.succeeded, 2)
      assert.strictEqual(run?.totals.outputTokens, 20)
      assert.strictEqual(run?.charts.first.count, 1)
      assert.strictEqual(run?.percentiles[0]?.max, 0.2)
    }).pipe(Effect.scoped)
  )

  it.effect("makes no rate of the few requests in the moment after the last whole slice", () =>
    Effect.gen(function* () {
      // One a second that takes half a second; two more end in the last millisecond
      const rows = Array.from({ length: 39 }, (_, i) =>
        record({ request_id: i + 1, sent_offset_s: i, intended_offset_s: i, end_offset_s: i + 0.5 })
      )
      const more = [41, 42].map((request_id) => record({ request_id, sent_offset_s: 38, end_offset_s: 39.001 }))
      const { runs } = yield* read(writeRun(yield* folder, "a", [...rows, ...more]))
      const timeline = runs[0]?.charts.timeline ?? assert.fail("no timeline")
      assert.strictEqual(timeline.step, 1)
      assert.lengthOf(timeline.ended, 39)
      assert.deepStrictEqual(new Set(timeline.ended.slice(0, -1)), new Set([1]))
      near(timeline.ended.at(-1), 3 / 1.001)
      near(timeline.inFlight.at(-1), (0.5 + 2 * 1.001) / 1.001)
    }).pipe(Effect.scoped)
  )

  it.effect("knows by the times of chunks when tokens came, and says what of them is damaged", () =>
    Effect.gen(function* () {
      const rows = [1, 2, 3].map((request_id) =>
        record({ request_id, sent_offset_s: 0, ttft_s: 1, end_offset_s: 40, number_output_tokens: 80 })
      )
      const path = writeRun(yield* folder, "a", rows)
      const file = join(path, "chunks.arrow")
      const times = (...seconds: ReadonlyArray<number>) => seconds.map((at) => at * 1e9)
      yield* Effect.scoped(
        Effect.map(ChunkTimes.makeWriter(file, { runId: "night" }), (writer) => {
          writer.append(measured(1, 0, times(1, 10.5, 10.7, 39.9)), start)
          writer.append(measured(2, 0, times(10.6)), start)
        })
      ).pipe(Effect.provide(NodeServices.layer))
      const charts = (yield* read(path)).runs[0]?.charts
      const tokens = charts?.timeline?.tokens ?? []
      // A quarter each of the first answer's, all of the second's, and the third's from its first token to its end
      const spread = 80 / 39
      for (const [slice, wanted] of [
        [0, 0],
        [1, 20 + spread],
        [10, 120 + spread],
        [11, spread],
        [39, 20 + spread]
      ] as const) {
        near(tokens[slice], wanted, `slice ${slice}`)
      }
      near(sum(tokens), 240)
      assert.isTrue(charts?.chunked)

      writeFileSync(file, "no Arrow at all")
      const damaged = yield* read(path)
      assert.isFalse(damaged.runs[0]?.charts.chunked)
      near(sum(damaged.runs[0]?.charts.timeline?.tokens ?? []), 240)
      assert.match(
        damaged.remarks.join("\n"),
        /^Cannot read chunk times from .*chunks\.arrow: its beginning is damaged$/
      )
    }).pipe(Effect.scoped)
  )

  it.effect("reads a part of a run that analyze has written, from the beginning of that part", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const path = writeRun(parent, "a", requests(500))
      const steady = join(parent, "steady")
      const analyzed = yield* Effect.flatMap(Analysis.analyze({ path, fromSeconds: 10, toSeconds: 20 }), (analysis) =>
        Effect.map(Analysis.publish(steady, analysis), () => analysis)
      ).pipe(Effect.provide(NodeServices.layer))
      for (const given of [steady, join(steady, "analyzed_summary.json")]) {
        const [run] = (yield* read(given)).runs
        assert.strictEqual(run?.totals.requests, analyzed.kept)
        assert.strictEqual(run?.totals.succeeded, analyzed.summary.num_completed_requests)
        assert.isBelow(run?.charts.span ?? Infinity, 13)
        near(run?.charts.timeline?.sent[0], 20, "sent")
      }
      // Beside a run, the run is meant
      yield* Effect.flatMap(Analysis.analyze({ path, fromSeconds: 10 }), (analysis) =>
        Analysis.publish(path, analysis)
      ).pipe(Effect.provide(NodeServices.layer))
      assert.strictEqual((yield* read(path)).runs[0]?.totals.requests, 500)
      assert.isBelow((yield* read(join(path, "analyzed_summary.json"))).runs[0]?.totals.requests ?? 500, 500)
    }).pipe(Effect.scoped)
  )

  it.effect("lays several runs over each other: the same slices, the same bins, names that tell them apart", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const data = yield* read(writeRun(parent, "a", requests(300)), writeRun(parent, "b", requests(500, 3)))
      const [a, b] = data.runs.map(({ charts }) => charts)
      assert.isDefined(a)
      assert.isDefined(b)
      assert.deepStrictEqual([a.label, b.label], ["a", "b"])
      assert.strictEqual(a.timeline?.step, b.timeline?.step)
      assert.deepStrictEqual([a.total.from, a.total.width], [b.total.from, b.total.width])
      assert.strictEqual(a.total.shares.length, b.total.shares.length)
    }).pipe(Effect.scoped)
  )

  it.effect("reads the files of LLMPerf, with the time of day for an offset and no due times", () =>
    Effect.gen(function* () {
      const old = (start: number, ttft: number) => ({
        error_code: null,
        error_msg: "",
        inter_token_latency_s: 0.05,
        ttft_s: ttft,
        end_to_end_latency_s: 2,
        start_time: start,
        end_time: start + 2,
        request_output_throughput_token_per_s: 20,
        number_total_tokens: 590,
        number_output_tokens: 40,
        number_input_tokens: 550
      })
      const { runs } = yield* read(
        writeRun(yield* folder, "a", [old(1_700_000_010, 0.4), old(1_700_000_000, 0.6)], {
          model: "m",
          num_concurrent_requests: 2
        })
      )
      const [run] = runs
      assert.strictEqual(run?.charts.span, 12)
      assert.strictEqual(run?.totals.wall, 12)
      assert.isNull(run?.charts.timeline?.planned)
      assert.isNull(run?.totals.late)
      near(run?.totals.meanInFlight, 4 / 12)
      assert.isFalse(run?.percentiles.some(({ name }) => name === "Dispatch lag"))
    }).pipe(Effect.scoped)
  )

  it.effect("can show a run in which nothing succeeded, and one of records without times", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const none = writeRun(parent, "none", [failure(429, "RateLimited", "slow down")], summary())
      const timeless = writeRun(parent, "timeless", [{ error_code: null, ttft_s: 0.3, end_to_end_latency_s: 1 }], {})
      const { runs } = yield* read(none, timeless)
      assert.strictEqual(runs[0]?.charts.first.count, 0)
      assert.isNull(runs[1]?.charts.timeline ?? null)
      assert.deepStrictEqual(runs[1]?.charts.slowest.whole, [1])
    }).pipe(Effect.scoped)
  )
})
