import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Analysis from "../../src/engine/Analysis.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { outcome, record } from "../metrics/records.ts"
import { complete, inFolder, mixed, readSummary } from "./runs.ts"

/** Ten requests, one every second from 0, of which the one with a number of three is not measured. */
const requests: ReadonlyArray<RequestRecord> = Array.from({ length: 10 }, (_, index) =>
  record({
    request_id: index + 1,
    x_request_id: `open-${index + 1}`,
    intended_offset_s: index,
    sent_offset_s: index,
    end_offset_s: index + 1.5,
    ttft_s: (index + 1) / 10,
    end_to_end_latency_s: 1.5,
    sampled: index !== 2
  })
)

const summaryOf = (records: ReadonlyArray<RequestRecord>) => {
  const sink = new SummarySink()
  for (const each of records) sink.add(outcome(each, [0.25]))
  return sink.summary({ wallSeconds: 12, unsent: 3, openLoop: { queued: 4, dropped: 2 } })
}

/** What an open loop of these requests leaves in a folder. */
const finished = Effect.fnUntraced(function* (folder: string) {
  const parameters = { model: "org/m", num_concurrent_requests: null }
  const details = { run_id: "open", verdict: "VALID", verdict_reasons: [], health: { watched: true } }
  yield* RunManifest.write(join(folder, "run.json"), {
    runId: "open",
    files: { summary: "m_1_1_summary", individualResponses: "m_1_1_individual_responses" },
    resultsPrefix: "results_",
    startTime: 0,
    planned: 13,
    openLoop: true,
    parameters,
    details,
    metadata: { team: "x" }
  })
  const document = ResultFiles.document({
    name: "m_1_1_summary",
    parameters,
    results: summaryOf(requests),
    resultsPrefix: "results_",
    details,
    metadata: { team: "x" },
    timestamp: 1
  })
  writeFileSync(join(folder, "records.ndjson"), requests.map((each) => `${JSON.stringify(each)}\n`).join(""))
  writeFileSync(join(folder, "m_1_1_summary.json"), ResultFiles.stringify(document))
  return folder
})

const problem = (options: Analysis.Options) =>
  Effect.map(Effect.flip(Analysis.analyze(options)), ({ message }) => message)

describe("Analysis", () => {
  it.effect("of a whole run comes to the summary of the run, but for the gaps", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { result } = yield* complete({ config: { resultsDir: folder, metadata: { team: "x" } }, script: mixed })
        const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]))
        const analysis = yield* Analysis.analyze({ path: folder })
        const { kept, leftOut, remarks, summary } = analysis
        assert.deepStrictEqual({ kept, leftOut }, { kept: 10, leftOut: 0 })
        const { inter_chunk_latency_s: gaps, inter_chunk_burst_share: bursts, ...expected } = result.summary
        const { inter_chunk_latency_s: made, inter_chunk_burst_share: none, ...actual } = summary
        assert.deepStrictEqual(actual, expected)
        assert.isAbove(gaps.count, 0)
        assert.deepStrictEqual([bursts, none], [0, null])
        assert.deepStrictEqual([made.count, made.mean, made.quantiles.p50], [0, null, null])
        assert.match(remarks.join("\n"), /Inter-chunk latency is unavailable/)

        // The files of the run are as they were
        for (const [each, before] of files) assert.strictEqual(readFileSync(join(folder, each), "utf8"), before)
        const published = yield* Analysis.publish(join(folder, "deep", "er"), analysis)
        const target = published.summary
        assert.strictEqual(target, join(folder, "deep", "er", "org-demo-7b_60_8_analyzed_summary.json"))
        const written = yield* readSummary(target)
        const own = yield* readSummary(folder, "org-demo-7b_60_8_summary.json")
        const changed = Object.keys(written).filter(
          (key) => JSON.stringify(written[key]) !== JSON.stringify(own[key]) && !key.includes("inter_chunk")
        )
        assert.deepStrictEqual(
          changed.filter((key) => key !== "timestamp"),
          [
            "name",
            "analysis_from_s",
            "analysis_to_s",
            "analysis_skip_first",
            "analysis_only",
            "analysis_num_requests_left_out"
          ]
        )
        assert.strictEqual(written["team"], "x")
        const order = Object.keys(own).filter((key) => key in written)
        assert.deepStrictEqual(
          Object.keys(written).filter((key) => key in own),
          order
        )
      })
    )
  )

  it.effect("takes what was sent in a window", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* finished(folder)
        const whole = (yield* Analysis.analyze({ path: folder })).summary
        assert.deepStrictEqual(
          [whole.num_unsent_requests, whole.num_queued_requests, whole.num_dropped_requests, whole.wall_time_s],
          [3, 4, 2, 12]
        )
        const { document, kept, leftOut, summary } = yield* Analysis.analyze({
          path: folder,
          fromSeconds: 4,
          toSeconds: 7
        })
        assert.deepStrictEqual({ kept, leftOut }, { kept: 3, leftOut: 7 })
        assert.closeTo(summary.ttft_s.mean ?? NaN, 0.6, 1e-12)
        // From 4 s to the end of the request sent at 6 s
        assert.strictEqual(summary.wall_time_s, 3.5)
        // At 4, 5 and 6 s
        assert.strictEqual(summary.request_rate_per_s, 1)
        assert.deepStrictEqual(
          [
            summary.num_unsent_requests,
            summary.num_late_requests,
            summary.num_queued_requests,
            summary.num_dropped_requests
          ],
          [0, 0, null, null]
        )
        assert.strictEqual(document.get("analysis_from_s"), 4)
        assert.strictEqual(document.get("analysis_to_s"), 7)
        assert.strictEqual(document.get("analysis_num_requests_left_out"), 7)
        // Judgements of the whole run are not said of a part
        assert.deepStrictEqual(
          [...document.keys()].filter((key) => /verdict|health/.test(key)),
          []
        )
        assert.strictEqual(document.get("team"), "x")

        const late = (yield* Analysis.analyze({ path: folder, fromSeconds: 2, warmUpSeconds: 8 })).summary
        assert.deepStrictEqual([late.num_requests_started, late.wall_time_s], [2, 4])
        const skipped = (yield* Analysis.analyze({ path: folder, skipFirst: 6 })).summary
        assert.deepStrictEqual([skipped.num_requests_started, skipped.wall_time_s, skipped.ttft_s.min], [4, 6, 0.7])
      })
    )
  )

  it.effect("measures other requests", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* finished(folder)
        const counts = (only?: "sampled" | "all") =>
          Effect.map(Analysis.analyze({ path: folder, only }), ({ summary }) => [
            summary.num_requests_started,
            summary.num_unsampled_requests,
            summary.dispatch_lag_s.count
          ])
        assert.deepStrictEqual(yield* counts(), [10, 1, 9])
        assert.deepStrictEqual(yield* counts("sampled"), [9, 0, 9])
        assert.deepStrictEqual(yield* counts("all"), [10, 0, 10])

        // The list of responses lacks what was not measured
        const measured = requests.filter(({ sampled }) => sampled)
        writeFileSync(join(folder, "m_1_1_individual_responses.json"), JSON.stringify(measured))
        rmSync(join(folder, "records.ndjson"))
        const { remarks } = yield* Analysis.analyze({ path: folder, only: "all" })
        assert.include(remarks.join("\n"), "1 requests that were not measured have no record here")
      })
    )
  )

  it.effect("of a run without a summary is of what had ended", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* finished(folder)
        rmSync(join(folder, "m_1_1_summary.json"))
        const { document, name, remarks, summary } = yield* Analysis.analyze({ path: folder })
        assert.strictEqual(name, "analyzed_summary")
        assert.strictEqual(summary.wall_time_s, 10.5)
        assert.strictEqual(document.get("results_num_requests_started"), 10)
        assert.strictEqual(document.get("model"), "org/m")
        assert.match(remarks.join("\n"), /The run has no summary/)
      })
    )
  )

  it.effect("says what it cannot analyze", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* finished(folder)
        assert.match(
          yield* problem({ path: folder, fromSeconds: 100 }),
          /none of its 10 requests is left\. Leave less out\.$/
        )
        assert.match(yield* problem({ path: join(folder, "none") }), /there is no such file or folder/)
        writeFileSync(join(folder, "records.ndjson"), '{"error_code":null,"ttft_s":1,"end_to_end_latency_s":2}\n')
        assert.match(yield* problem({ path: folder }), /LLMPerf wrote it/)
        const [first] = requests
        writeFileSync(
          join(folder, "records.ndjson"),
          `${JSON.stringify(first)}\n${JSON.stringify({ ...first, ttft_s: "x" })}\n`
        )
        assert.match(yield* problem({ path: folder }), /request record 2 is damaged: .*ttft_s/s)
        writeFileSync(join(folder, "records.ndjson"), "")
        assert.match(yield* problem({ path: folder }), /it holds no requests\.$/)
        writeFileSync(join(folder, "in the way"), "")
        const good = yield* Effect.andThen(finished(folder), Analysis.analyze({ path: folder }))
        const error = yield* Effect.flip(Analysis.publish(join(folder, "in the way"), good))
        assert.strictEqual(error._tag, "OutputError")
      })
    )
  )
})
