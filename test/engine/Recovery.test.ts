import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as TestClock from "effect/testing/TestClock"
import { RateLimited } from "../../src/domain/LlmError.ts"
import { type RequestOutcome } from "../../src/domain/RequestRecord.ts"
import * as Recovery from "../../src/engine/Recovery.ts"
import * as HealthSummary from "../../src/metrics/HealthSummary.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import * as VerdictText from "../../src/output/VerdictText.ts"
import * as Ndjson from "../../src/output/Ndjson.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunDirectory from "../../src/output/RunDirectory.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { failure, outcome, record } from "../metrics/records.ts"
import { layerChanged, systemFailure } from "../output/failingFiles.ts"
import { complete, files, inFolder, type Row, readSummary, readText } from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const START = 1_764_000_000.125

const manifest: RunManifest.RunManifest = {
  runId: "night-1",
  files: ResultFiles.scheduleNames,
  resultsPrefix: "",
  startTime: START - 3,
  planned: 60,
  openLoop: true,
  parameters: ResultFiles.scheduleParameters({
    model: "m",
    launched: 40,
    unsampled: 20,
    scheduleFile: "s.csv",
    resultsSubdir: "out",
    additionalSamplingParams: { temperature: 0 }
  }),
  details: { run_id: "night-1", seed: 7, warmup: { connections: 3 } },
  metadata: { region: "eu" }
}

/** The replay of a schedule: measured requests and others, late ones, failures, one that never reached the socket. */
const outcomes: ReadonlyArray<RequestOutcome> = Array.from({ length: 50 }, (_, i) => {
  const due = i / 8
  const lag = i % 7 === 0 ? 0.02 : 0.001
  const end = due + lag + 1 + i / 100
  const common = {
    request_id: i + 1,
    x_request_id: `night-1-${i + 1}`,
    intended_offset_s: due,
    sent_offset_s: due + lag,
    end_offset_s: end,
    start_time: START + due + lag,
    end_time: START + end,
    dispatch_lag_s: lag,
    end_to_end_latency_s: end - due - lag,
    sampled: i % 3 !== 0
  }
  if (i % 11 === 5) return outcome(failure(503, "HttpStatus", "no capacity", common))
  if (i === 20) {
    return outcome(
      failure("connect_error", "Connect", "refused", {
        ...common,
        sent_offset_s: null,
        start_time: null,
        dispatch_lag_s: null,
        end_to_end_latency_s: null
      })
    )
  }
  return outcome(record({ ...common, ttft_s: 0.1 + i / 1000, number_output_tokens: 10 + i }), [0.01, 0.02])
})

const writeRecords = (folder: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = yield* Path.Path
      const writer = yield* Ndjson.makeWriter(RunDirectory.files(path, folder).records)
      for (const each of outcomes) writer.append(each.record)
      yield* writer.close
    })
  )

/** What a killed run leaves. */
const killed = Effect.fnUntraced(function* (folder: string, changes: Partial<RunManifest.RunManifest> = {}) {
  const path = yield* Path.Path
  yield* RunManifest.write(RunDirectory.files(path, folder).manifest, { ...manifest, ...changes })
  yield* writeRecords(folder)
})

/** The run as it would have published its results. */
const finished = Effect.fnUntraced(function* (folder: string) {
  const path = yield* Path.Path
  yield* killed(folder)
  const sink = new SummarySink()
  const tally = new Verdict.DispatchTally()
  for (const each of outcomes) {
    sink.add(each)
    tally.add(each.record)
  }
  const summary = sink.summary({ wallSeconds: 9, unsent: 10, openLoop: { queued: 2, dropped: 1 } })
  const evidence = { health: null, dispatch: tally.report() }
  const verdict = Verdict.judge({ ...evidence, summary, openLoop: true })
  const { warmup, ...details } = manifest.details
  yield* ResultFiles.publish({
    directory: folder,
    names: manifest.files,
    summary: (parts) =>
      ResultFiles.document({
        ...parts,
        parameters: manifest.parameters,
        results: summary,
        resultsPrefix: "",
        details: {
          ...details,
          start_time: START,
          stopped: "timeout",
          warmup,
          ...VerdictText.fields({ verdict, health: HealthSummary.make(null, evidence.dispatch) })
        },
        metadata: manifest.metadata
      }),
    records: Ndjson.readJson(RunDirectory.files(path, folder).records)
  })
})

/** Not in the records: the gaps between chunks and what came together, the end of the run, who found no place, and what is judged of these. */
const notRecovered = (key: string): boolean =>
  /inter_chunk_latency_s|inter_chunk_burst_share|wall_time_s|mean_output_throughput|completed_requests_per_min|request_rate|mean_requests_in_flight|littles_law|^verdict/.test(
    key
  ) || ["stopped", "num_queued_requests", "num_dropped_requests", "timestamp"].includes(key)

/** What a run counts besides its records, which is left out. */
const counted = new Set(["inexact_prompts", "redrawn_input_tokens", "redrawn_output_tokens"])

const assertAgrees = (recovered: Row, published: Row): void => {
  const inRecords = Object.keys(published).filter((key) => !counted.has(key))
  assert.deepStrictEqual(Object.keys(recovered), inRecords)
  for (const key of inRecords) {
    const value = published[key]
    if (!notRecovered(key)) assert.deepStrictEqual(recovered[key], value, key)
  }
}

const refusal = (folder: string, options: Partial<Recovery.Options> = {}) =>
  Effect.gen(function* () {
    const before = yield* files(folder)
    const error = yield* Effect.flip(Recovery.recover({ directory: folder, ...options }))
    assert.deepStrictEqual(yield* files(folder), before)
    return error
  })

describe("Recovery", () => {
  it.effect("gives what the replay of a schedule would have published", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* finished(folder)
        const published = yield* readSummary(folder, "summary.json")
        const responses = yield* readText(folder, "individual_responses.json")
        yield* fs.remove(path.join(folder, "summary.json"))
        yield* fs.remove(path.join(folder, "individual_responses.json"))

        yield* TestClock.setTime(1_764_000_500_900)
        const recovered = yield* Recovery.recover({ directory: folder })
        const summary = yield* readSummary(folder, "summary.json")
        assertAgrees(summary, published)
        assert.strictEqual(yield* readText(folder, "individual_responses.json"), responses)
        assert.strictEqual(summary["name"], "summary")
        assert.strictEqual(summary["stopped"], "recovered")
        assert.strictEqual(summary["start_time"], START)
        assert.strictEqual(summary["timestamp"], 1_764_000_500)
        assert.strictEqual(summary["wall_time_s"], Math.max(...outcomes.map(({ record }) => record.end_offset_s)))
        assert.strictEqual(summary["num_unsent_requests"], 10)
        assert.strictEqual(summary["num_unsampled_requests"], 17)
        assert.strictEqual(summary["num_late_requests"], 8)
        assert.isNull(summary["num_queued_requests"])
        assert.isNull(summary["num_dropped_requests"])
        assert.isNull(summary["inter_chunk_latency_s_mean"])
        assert.strictEqual(recovered.notSent, 10)
        assert.deepStrictEqual(recovered.files, [
          path.join(folder, "summary.json"),
          path.join(folder, "individual_responses.json")
        ])
        assert.strictEqual(ResultFiles.stringify(recovered.document), yield* readText(folder, "summary.json"))
      })
    )
  )

  it.effect("gives what a load test would have published", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* TestClock.setTime(1_764_000_000_125)
        const { result } = yield* complete({
          config: { resultsDir: folder, metadata: { region: "eu" }, additionalSamplingParams: { top_p: 0.5 } },
          script: (plan) =>
            plan.id === 4
              ? [
                  Scripted.sent,
                  Scripted.fail(new RateLimited({ status: 429, body: "slow down", retryAfterSeconds: 1 }))
                ]
              : Scripted.answer({ ttft: 100, gap: 20, words: plan.outputTokens })
        })
        const [summaryFile = "", responsesFile = ""] = result.files
        const published = yield* readSummary(summaryFile)
        const responses = yield* readText(responsesFile)
        for (const file of [summaryFile, responsesFile]) yield* fs.remove(file)

        const recovered = yield* Recovery.recover({ directory: folder })
        assert.deepStrictEqual(recovered.files, [summaryFile, responsesFile])
        const summary = yield* readSummary(summaryFile)
        const prefixed = (row: Row): Row =>
          Object.fromEntries(Object.entries(row).map(([key, value]) => [key.replace(/^results_/, ""), value]))
        assertAgrees(prefixed(summary), prefixed(published))
        assert.strictEqual(yield* readText(responsesFile), responses)
        assert.deepStrictEqual(summary["results_error_code_frequency"], { "429": 1 })
        assert.isNull(summary["results_num_late_requests"])
        assert.strictEqual(path.dirname(summaryFile), folder)
      })
    )
  )

  it.effect("leaves out a last line that was cut off", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* killed(folder)
        const text = yield* readText(folder, "records.ndjson")
        yield* fs.writeFileString(path.join(folder, "records.ndjson"), text.slice(0, -40))
        const { notSent, summary } = yield* Recovery.recover({ directory: folder })
        assert.strictEqual(summary.num_requests_started, 49)
        assert.strictEqual(notSent, 11)
      })
    )
  )

  it.effect("recovers a run that was killed before any request ended", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* killed(folder, { planned: null })
        yield* fs.writeFileString(path.join(folder, "records.ndjson"), "")
        const { notSent, summary } = yield* Recovery.recover({ directory: folder })
        assert.strictEqual(summary.num_requests_started, 0)
        assert.isNull(summary.wall_time_s)
        assert.strictEqual(notSent, 0)
        assert.strictEqual((yield* readSummary(folder, "summary.json"))["start_time"], manifest.startTime)
        assert.strictEqual(yield* readText(folder, "individual_responses.json"), "[]\n")
      })
    )
  )

  it.effect("refuses a folder without a run, and names the runs below it", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const nothing = yield* refusal(folder)
        assert.strictEqual(nothing._tag, "RecoveryError")
        assert.include(nothing.message, `${folder}: it holds no run.json. Give the folder that a run wrote`)
        const run = path.join(folder, "2026-11-24T09-30-00_schedule_run")
        yield* fs.makeDirectory(run)
        assert.notInclude((yield* refusal(folder)).message, run)
        yield* killed(run)
        assert.include((yield* refusal(folder)).message, `There are runs in it: ${run}.`)
        const missing = yield* Effect.flip(Recovery.recover({ directory: path.join(folder, "none") }))
        assert.strictEqual(missing._tag, "RecoveryError")
      })
    )
  )

  it.effect("refuses a run without records, or with those of another run", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* RunManifest.write(path.join(folder, "run.json"), manifest)
        assert.include((yield* refusal(folder)).message, "it holds no records.ndjson")
        yield* fs.remove(path.join(folder, "run.json"))
        yield* killed(folder, { runId: "night-2" })
        const error = yield* refusal(folder, { force: true })
        assert.include(error.message, "run.json is of the run night-2 and records.ndjson of the run night-1")
      })
    )
  )

  it.effect("refuses when the summary of the run is there, unless it is forced", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* finished(folder)
        const summary = yield* readText(folder, "summary.json")
        const error = yield* refusal(folder)
        assert.strictEqual(
          error.message,
          `Cannot recover a run from ${folder}: the summary of the run is there already (summary.json). To replace it, use --force.`
        )
        assert.strictEqual(yield* readText(folder, "summary.json"), summary)
        yield* Recovery.recover({ directory: folder, force: true })
        assert.strictEqual((yield* readSummary(folder, "summary.json"))["stopped"], "recovered")
      })
    )
  )

  it.effect("replaces the summary of another run, as the run would have, but nothing it cannot read", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* killed(folder)
        for (const text of ["", "{", "[]", '"mine"']) {
          yield* fs.writeFileString(path.join(folder, "summary.json"), text)
          assert.include((yield* refusal(folder)).message, "summary.json is there and cannot be read", text)
          assert.strictEqual(yield* readText(folder, "summary.json"), text)
        }
        yield* fs.writeFileString(path.join(folder, "summary.json"), '{"run_id": "night-0"}')
        yield* Recovery.recover({ directory: folder })
        assert.strictEqual((yield* readSummary(folder, "summary.json"))["run_id"], "night-1")
      })
    )
  )

  it.effect("writes nothing when a line in the middle is broken", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* killed(folder)
        const lines = (yield* readText(folder, "records.ndjson")).split("\n")
        lines[6] = '{"request_id": 7}'
        yield* fs.writeFileString(path.join(folder, "records.ndjson"), lines.join("\n"))
        const error = yield* refusal(folder)
        assert.strictEqual(error._tag, "RecordsError")
        assert.include(error.message, "line 7")
      })
    )
  )

  it.effect("says when the disk is full, and leaves the records as they are", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        yield* killed(folder)
        const records = yield* readText(folder, "records.ndjson")
        const error = yield* refusal(folder).pipe(
          Effect.provide(layerChanged(() => ({ rename: () => Effect.fail(systemFailure("ENOSPC")) })))
        )
        assert.strictEqual(error._tag, "OutputError")
        assert.strictEqual(Runtime.getErrorExitCode(error), 3)
        assert.include(error.message, "no space is left on the disk")
        assert.strictEqual(yield* readText(folder, "records.ndjson"), records)
      })
    )
  )
})
