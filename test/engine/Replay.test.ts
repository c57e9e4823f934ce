import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { RateLimited, Truncated } from "../../src/domain/LlmError.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import type * as Replay from "../../src/engine/Replay.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import * as ScheduleFile from "../../src/workload/ScheduleFile.ts"
import { TokenizerError } from "../../src/workload/Tokenizer.ts"
import { layerChanged, systemFailure } from "../output/failingFiles.ts"
import { fromFile, folderName, nanos, scheduleOf } from "./replays.ts"
import * as Replays from "./replays.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

/** Reaches the socket as many milliseconds after its time as its number says. */
const lagging = (plan: RequestPlan): ReadonlyArray<Scripted.Step> => [Scripted.wait(plan.id), ...Runs.usual(plan)]

/** Rows so many seconds apart. */
const every = (seconds: number, count: number): ReadonlyArray<Replays.Row> =>
  Array.from({ length: count }, (_, index) => ({ offset: index * seconds }))

const inRunFolder = (root: string) => (name: string) =>
  Effect.map(Path.Path, (path) => path.join(root, folderName, name))

/** The files of the run of a schedule, rows in the order of their ids. */
const read = Effect.fnUntraced(function* (root: string) {
  const at = inRunFolder(root)
  return {
    summary: yield* Runs.readSummary(yield* at("summary.json")),
    responses: Runs.byId(yield* Runs.readRows(yield* at("individual_responses.json"))),
    records: Runs.byId(yield* Runs.readRecords(yield* at("records.ndjson"))),
    log: Runs.byId(yield* Runs.readRecords(yield* at("requests_sent.log")))
  }
})

const scheduleText = [
  "\uFEFFnote,output_tokens,input_tokens,scheduled_offset_s",
  '"b, c",4,60,0.75',
  "a,3,61,0.25",
  "",
  "z,5,64,0.75",
  "y, 3 ,60,0",
  ""
].join("\r\n")

/** The file of that text, and its schedule. */
const unsortedFile = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(folder, "mine.csv")
  yield* fs.writeFileString(file, scheduleText)
  return { file, schedule: yield* ScheduleFile.read(file) }
})

describe("the replay of a schedule", () => {
  const rows = [
    { offset: 0, output: 3 },
    { offset: 1e-9, output: 1 },
    { offset: 0.123456789, output: 5 },
    { offset: 0.123456789, output: 2 },
    { offset: 0.15, output: 4 },
    { offset: 2.000000001, output: 7 }
  ]

  it.effect("sends every request at its nanosecond and says when and how long, in all of its files", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { result, live, log } = yield* Replays.complete({
          schedule: scheduleOf(rows),
          script: lagging,
          config: { resultsDir: root, metadata: { gpu: "H100" } }
        })
        assert.deepStrictEqual(
          log.opened.map(({ at, id }) => [id, Math.round(at * 1e6) - (live.startNanos ?? 0)]),
          rows.map(({ offset }, index) => [index + 1, Math.round(offset * 1e9)])
        )
        const { records, responses, summary, log: sent } = yield* read(root)
        assert.deepStrictEqual(responses, records)
        assert.deepStrictEqual(Runs.column(records, "request_id"), Runs.ids(6))
        for (const [index, row] of records.entries()) {
          const { offset, output } = rows[index]!
          const due = Math.round(offset * 1e9)
          const lag = (index + 1) * 1e6
          const latency = 100e6 + (output - 1) * 20e6
          assert.deepStrictEqual(
            {
              intended: nanos(row["intended_offset_s"]),
              sent: nanos(row["sent_offset_s"]),
              end: nanos(row["end_offset_s"]),
              lag: nanos(row["dispatch_lag_s"]),
              ttft: nanos(row["ttft_s"]),
              latency: nanos(row["end_to_end_latency_s"]),
              scheduledTtft: nanos(row["scheduled_ttft_s"]),
              scheduledLatency: nanos(row["scheduled_end_to_end_latency_s"]),
              tokens: [row["number_input_tokens"], row["number_output_tokens"], row["target_output_tokens"]],
              error: row["error_code"],
              id: row["x_request_id"]
            },
            {
              intended: due,
              sent: due + lag,
              end: due + lag + latency,
              lag,
              ttft: 100e6,
              latency,
              scheduledTtft: lag + 100e6,
              scheduledLatency: lag + latency,
              tokens: [60, output, output],
              error: null,
              id: `run1-${index + 1}`
            }
          )
          // The log is rounded to microseconds.
          const micros = (value: number) => Math.round(value / 1e3) / 1e6
          assert.deepStrictEqual(sent[index], {
            request_id: index + 1,
            scheduled_offset_s: micros(due),
            dispatch_offset_s: micros(due + lag),
            dispatch_lag_s: micros(lag),
            dispatch_ts_utc: new Date(Math.round((due + lag) / 1e6)).toISOString(),
            response_offset_s: micros(due + lag + latency),
            response_ts_utc: new Date(Math.round((due + lag + latency) / 1e6)).toISOString(),
            status: 200,
            error_code: null,
            error_reason: null,
            input_tokens: 60,
            output_tokens: output,
            scheduled_ttft_s: micros(lag + 100e6),
            scheduled_end_to_end_latency_s: micros(lag + latency)
          })
        }
        assert.strictEqual(result.stopped, null)
        assert.strictEqual(result.notSent, 0)
        assert.strictEqual(summary["num_completed_requests"], 6)
        assert.strictEqual(summary["total_output_tokens"], 22)
        assert.strictEqual(summary["ttft_s_mean"], 0.1)
        assert.strictEqual(nanos(summary["dispatch_lag_s_max"]), 6e6)
        assert.strictEqual(nanos(summary["dispatch_lag_s_mean"]), 3.5e6)
        assert.strictEqual(nanos(summary["wall_time_s"]), 2_000_000_001 + 6e6 + 220e6)
        assert.strictEqual(
          ResultFiles.stringify(result.document),
          yield* Runs.readText(root, folderName, "summary.json")
        )
      })
    )
  )

  const Offsets = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_000_000_000 }))).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(20)
  )

  it.effect.prop(
    "keeps to the nanosecond whatever the schedule and however long the answers take",
    [Offsets, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))],
    ([offsets, takes]) =>
      Effect.gen(function* () {
        const due = offsets.toSorted((a, b) => a - b)
        const { live, log, result } = yield* Replays.complete({
          schedule: scheduleOf(due.map((offset) => ({ offset: offset / 1e9, input: 40 }))),
          script: () => [Scripted.sent, Scripted.wait(takes), Scripted.text("a"), Scripted.ended]
        })
        assert.deepStrictEqual(
          log.opened.map(({ at, id }) => [id, Math.round(at * 1e6) - (live.startNanos ?? 0)]),
          due.map((offset, index) => [index + 1, offset])
        )
        assert.strictEqual(result.summary.dispatch_lag_s.max, 0)
        assert.strictEqual(result.summary.num_late_requests, 0)
        assert.strictEqual(result.summary.num_completed_requests, due.length)
      }).pipe(Runs.withoutFiles),
    { arbitrary: { runs: 25 } }
  )

  it.effect("keeps the numbers of the rows of an unsorted file, and copies it byte for byte", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { file, schedule } = yield* unsortedFile(root)
        const { log } = yield* Replays.complete({
          schedule,
          origin: { ...fromFile, path: file, verbatim: true },
          config: { resultsDir: root }
        })
        assert.deepStrictEqual(
          log.opened.map(({ at, id }) => [id, at]),
          [
            [4, 0],
            [2, 250],
            [1, 750],
            [3, 750]
          ]
        )
        const { records, log: sent } = yield* read(root)
        assert.deepStrictEqual(
          records.map((row) => [row["request_id"], row["intended_offset_s"], row["number_input_tokens"]]),
          [
            [1, 0.75, 60],
            [2, 0.25, 61],
            [3, 0.75, 64],
            [4, 0, 60]
          ]
        )
        assert.deepStrictEqual(Runs.column(sent, "request_id"), Runs.ids(4))
        const fs = yield* FileSystem.FileSystem
        assert.deepStrictEqual(yield* fs.readFile(yield* inRunFolder(root)("schedule.csv")), yield* fs.readFile(file))
      })
    )
  )

  it.effect("writes the schedule as it is replayed when that is not the file", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const schedule = scheduleOf([{ offset: 0.1, output: 9 }, { offset: 1.5 }])
        yield* Replays.complete({
          schedule: {
            ...schedule,
            session: Uint32Array.of(1, 0),
            prefix: { blockTokens: 16, start: Uint32Array.of(0, 2, 3), ids: Float64Array.of(7, 8, 7) }
          },
          config: { resultsDir: root }
        })
        assert.strictEqual(
          yield* Runs.readText(root, folderName, "schedule.csv"),
          "scheduled_offset_s,input_tokens,output_tokens,session,prefix_blocks_16\n0.1,60,9,1,7 8\n1.5,60,4,,7\n"
        )
      })
    )
  )

  it.effect("sends prompts of their own, which begin with the same blocks where rows share them", () =>
    Effect.gen(function* () {
      const prompts = new Map<number, string>()
      yield* Replays.complete({
        schedule: {
          ...scheduleOf(every(1, 4)),
          prefix: { blockTokens: 16, start: Uint32Array.of(0, 2, 4, 6, 6), ids: Float64Array.of(7, 8, 7, 8, 9, 8) }
        },
        script: (plan) => {
          prompts.set(plan.id, plan.prompt)
          return Runs.usual(plan)
        }
      })
      const [first = "", second = "", third = "", fourth = ""] = Runs.ids(4).map((id) => prompts.get(id))
      assert.strictEqual(new Set([first, second, third, fourth]).size, 4)
      const shared = (a: string, b: string) => {
        let length = 0
        while (length < a.length && a[length] === b[length]) length++
        return length
      }
      // Two blocks of 16 tokens are most of 60: longer than a chance beginning could be.
      assert.isAbove(shared(first, second), 50)
      assert.isBelow(shared(first, third), 16)
      assert.match(fourth, /^[a-z ]+\nRandomly stream lines/)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("has a summary with the names of LLMPerf's schedule mode", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const path = yield* Path.Path
        const { result } = yield* Replays.complete({
          schedule: scheduleOf(every(0.25, 6)),
          config: {
            resultsDir: root,
            maxSampledRequestsPerSecond: 2,
            timeoutSeconds: 60,
            maxInFlight: 9,
            additionalSamplingParams: { temperature: 0.5 },
            metadata: { gpu: "H100" }
          },
          origin: { ...fromFile, details: { schedule_format: "mooncake", schedule_changes: { speed: 2 } } }
        })
        const folder = path.join(root, folderName)
        assert.deepStrictEqual(
          result.files,
          ["summary.json", "individual_responses.json", "requests_sent.log", "records.ndjson"].map((name) =>
            path.join(folder, name)
          )
        )
        assert.deepStrictEqual(yield* Runs.files(root), [folderName])
        assert.deepStrictEqual(yield* Runs.files(folder), [
          "individual_responses.json",
          "records.ndjson",
          "requests_sent.log",
          "run.json",
          "schedule.csv",
          "summary.json"
        ])
        const { summary } = yield* read(root)
        assert.deepStrictEqual(Object.keys(summary).slice(0, 8), [
          "version",
          "name",
          "model",
          "num_concurrent_requests",
          "num_launched",
          "num_unsampled",
          "schedule_file",
          "results_subdir"
        ])
        assert.deepInclude(summary, {
          name: "summary",
          model: "org/demo-7b",
          num_concurrent_requests: "scheduled",
          num_launched: 4,
          num_unsampled: 2,
          schedule_file: "some/schedule.csv",
          results_subdir: folder,
          additional_sampling_params_temperature: 0.5,
          num_requests_started: 6,
          num_unsampled_requests: 2,
          num_unsent_requests: 0,
          num_late_requests: 0,
          num_queued_requests: 0,
          num_dropped_requests: 0,
          run_id: "run1",
          tokenizer: "llama",
          prompt_mode: "exact",
          seed: 11111,
          schedule_format: "mooncake",
          schedule_changes_speed: 2,
          timeout_s: 60,
          max_in_flight: 9,
          when_full: "queue",
          max_sampled_requests_per_second: 2,
          start_time: 0,
          stopped: null,
          inexact_prompts: 0,
          repeated_prompts: 0,
          gpu: "H100"
        })
        assert.deepStrictEqual(
          Object.keys(summary).filter((key) => key.startsWith("results_")),
          ["results_subdir"]
        )
      })
    )
  )

  it.effect("says nothing of where it lies when it is to be the same anywhere", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        yield* Replays.complete({
          schedule: scheduleOf(every(0.25, 3)),
          origin: { ...fromFile, portable: true },
          config: { resultsDir: root }
        })
        const path = yield* Path.Path
        for (const name of yield* Runs.files(path.join(root, folderName))) {
          assert.notInclude(yield* Runs.readText(root, folderName, name), root)
        }
        assert.strictEqual((yield* read(root)).summary["results_subdir"], null)
      })
    )
  )

  it.effect("keeps what the run is beside its records", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        yield* Replays.complete({ schedule: scheduleOf(every(0.25, 6)), config: { resultsDir: root } })
        const manifest = yield* RunManifest.read(yield* inRunFolder(root)("run.json"))
        assert.deepInclude(manifest, {
          runId: "run1",
          files: { summary: "summary", individualResponses: "individual_responses" },
          resultsPrefix: "",
          planned: 6,
          openLoop: true
        })
        assert.strictEqual(manifest.parameters["num_concurrent_requests"], "scheduled")
      })
    )
  )

  it.effect("has no folder of its own when that is not wanted, and keeps an earlier run's rows", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const once = (runId: string) =>
          Replays.complete({
            schedule: scheduleOf(every(0.25, 3)),
            origin: { ...fromFile, subdir: false },
            config: { resultsDir: root, runId }
          })
        yield* once("first")
        const earlier = yield* Runs.readText(root, "records.ndjson")
        const { result } = yield* once("second")
        assert.deepStrictEqual(yield* Runs.files(root), [
          "individual_responses.json",
          "records.first.ndjson",
          "records.ndjson",
          "requests_sent.first.log",
          "requests_sent.log",
          "run.first.json",
          "run.json",
          "schedule.csv",
          "schedule.first.csv",
          "summary.json"
        ])
        assert.strictEqual(yield* Runs.readText(root, "records.first.ndjson"), earlier)
        assert.strictEqual(result.document.get("results_subdir"), root)
      })
    )
  )

  it.effect("does not destroy a schedule that lies in the results folder under that name", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const file = path.join(root, "schedule.csv")
        yield* fs.writeFileString(file, scheduleText)
        for (const verbatim of [true, false]) {
          yield* Replays.complete({
            schedule: scheduleOf(every(0.25, 3)),
            origin: { ...fromFile, path: file, verbatim, subdir: false },
            config: { resultsDir: root, runId: `run-${verbatim}` }
          }).pipe(Effect.exit)
          const texts = yield* Effect.forEach(yield* Runs.files(root), (name) => Runs.readText(root, name))
          // Reading it as text takes away the mark at its beginning.
          assert.include(texts, scheduleText.slice(1), `verbatim: ${verbatim}`)
        }
      })
    )
  )

  it.effect("has a folder of its own also when another began in the same second", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const once = Replays.complete({
          schedule: scheduleOf(every(0.25, 3)),
          config: { resultsDir: root }
        }).pipe(Effect.provide(TestClock.layer()))
        yield* Effect.all([once, once, once], { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* Runs.files(root), [folderName, `${folderName}-2`, `${folderName}-3`].toSorted())
        for (const name of yield* Runs.files(root)) {
          assert.lengthOf(yield* Runs.readRecords(root, name, "records.ndjson"), 3)
        }
      })
    )
  )

  it.effect("writes nothing without a results folder", () =>
    Effect.gen(function* () {
      const { result } = yield* Replays.complete({ schedule: scheduleOf(every(1, 3)) })
      assert.deepStrictEqual(result.files, [])
      assert.strictEqual(result.document.get("name"), "summary")
      assert.strictEqual(result.document.get("results_subdir"), null)
      assert.strictEqual(result.document.get("num_completed_requests"), 3)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("is a finished run when every request fails", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { result } = yield* Replays.complete({
          schedule: scheduleOf(every(1, 5)),
          script: () => [
            Scripted.wait(3),
            Scripted.fail(new RateLimited({ status: 429, body: "", retryAfterSeconds: 7 }))
          ],
          config: { resultsDir: root }
        })
        assert.strictEqual(result.stopped, null)
        assert.strictEqual(result.summary.num_failed_requests, 5)
        const { log, records, summary } = yield* read(root)
        assert.deepStrictEqual(Runs.column(records, "retry_after_s"), [7, 7, 7, 7, 7])
        assert.deepStrictEqual(Runs.column(log, "error_code"), [429, 429, 429, 429, 429])
        // None of them was written to a socket.
        assert.deepStrictEqual(Runs.column(log, "dispatch_offset_s"), [null, null, null, null, null])
        assert.deepStrictEqual(Runs.column(log, "scheduled_offset_s"), [0, 1, 2, 3, 4])
        assert.deepStrictEqual(summary["error_reason_frequency"], { RateLimited: 5 })
      })
    )
  )

  it.effect("is over at once when there is nothing to send", () =>
    Effect.gen(function* () {
      const { result } = yield* Replays.complete({ schedule: scheduleOf([]) })
      assert.strictEqual(result.stopped, null)
      assert.deepInclude(result.summary, { num_requests_started: 0, num_unsent_requests: 0, error_rate: 0 })
    }).pipe(Runs.withoutFiles)
  )

  it.effect("fails when prompts give out on the way, after all before them, whose rows it keeps", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        // More than wait ahead, so that it has begun when it happens.
        const { fiber, log: provider } = yield* Replays.start({
          schedule: scheduleOf(every(0.001, 5_000)),
          script: () => [Scripted.sent, Scripted.wait(3_000), Scripted.text("a"), Scripted.ended],
          maker: {
            blockTokens: null,
            minimumInputTokens: (lengths) => Effect.succeed(lengths.map(() => 1)),
            build: (asked) =>
              asked.some(({ id }) => id === 4_500)
                ? Effect.fail(new TokenizerError({ tokenizer: "gone", description: "the thread is dead" }))
                : Effect.succeed(asked.map(({ id }) => ({ text: `prompt ${id}`, inputTokens: 60, repeated: false })))
          },
          config: { resultsDir: root }
        })
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "TokenizerError")
        const { length } = provider.opened
        assert.isAbove(length, 4_096)
        assert.isBelow(length, 4_500)
        for (const name of ["records.ndjson", "requests_sent.log"]) {
          const rows = Runs.byId(yield* Runs.readRecords(root, folderName, name))
          assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(length))
          assert.isTrue(rows.every((row) => row["error_code"] === null))
        }
      })
    )
  )

  it.effect("limits each request to --request-timeout, and counts what is late", () =>
    Effect.gen(function* () {
      const { result } = yield* Replays.complete({
        schedule: scheduleOf(every(1, 4)),
        // 10 ms are not late yet.
        script: (plan) =>
          plan.id === 1
            ? [Scripted.sent, Scripted.hang]
            : [Scripted.wait(plan.id === 2 ? 10 : 11), ...Runs.usual(plan)],
        config: { requestTimeoutSeconds: 5 }
      })
      assert.deepStrictEqual(result.summary.error_code_frequency, { timeout_total: 1 })
      assert.strictEqual(result.summary.num_completed_requests, 3)
      assert.strictEqual(result.summary.num_late_requests, 2)
      assert.strictEqual(result.summary.wall_time_s, 5)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("counts due times from the moment when all is warm and ready", () =>
    Effect.gen(function* () {
      const warmedUp = yield* Deferred.make<{
        rehearsed_requests: number
        opened_connections: number
        requests: number
        failed_requests: number
        duration_s: number
      }>()
      const { fiber, live, log } = yield* Replays.start({
        schedule: scheduleOf(every(0.5, 3)),
        run: { warmUp: Deferred.await(warmedUp) },
        ready: () => true
      })
      yield* TestClock.adjust(700)
      assert.deepStrictEqual(log.opened, [])
      yield* Deferred.succeed(warmedUp, {
        rehearsed_requests: 3,
        opened_connections: 2,
        requests: 0,
        failed_requests: 0,
        duration_s: 0.7
      })
      yield* Runs.until(() => live.startNanos !== null)
      yield* TestClock.adjust("1 minute")
      const result = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        log.opened.map(({ at }) => at),
        [700, 1_200, 1_700]
      )
      assert.strictEqual(result.summary.dispatch_lag_s.max, 0)
      assert.strictEqual(result.document.get("warmup_opened_connections"), 2)
    }).pipe(Runs.withoutFiles)
  )
})

describe("a schedule drawn from arrivals", () => {
  const origin: Replay.FromArrivals = {
    _tag: "Arrivals",
    meanInputTokens: 60,
    stddevInputTokens: 5,
    meanOutputTokens: 8,
    stddevOutputTokens: 2,
    details: { request_rate: "4 requests/s", arrival: "constant" }
  }

  it.effect("has files and keys as those of a load test", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { result } = yield* Replays.complete({
          schedule: scheduleOf(every(0.25, 8)),
          origin,
          config: { resultsDir: root }
        })
        assert.deepStrictEqual(yield* Runs.files(root), [
          "org-demo-7b_60_8_individual_responses.json",
          "org-demo-7b_60_8_summary.json",
          "records.ndjson",
          "run.json"
        ])
        const path = yield* Path.Path
        assert.deepStrictEqual(
          result.files,
          ["org-demo-7b_60_8_summary.json", "org-demo-7b_60_8_individual_responses.json", "records.ndjson"].map(
            (name) => path.join(root, name)
          )
        )
        const summary = yield* Runs.readSummary(root, "org-demo-7b_60_8_summary.json")
        assert.deepInclude(summary, {
          name: "org-demo-7b_60_8_summary",
          mean_input_tokens: 60,
          stddev_input_tokens: 5,
          mean_output_tokens: 8,
          stddev_output_tokens: 2,
          num_concurrent_requests: null,
          results_num_completed_requests: 8,
          results_num_unsent_requests: 0,
          results_num_late_requests: 0,
          results_num_queued_requests: 0,
          results_num_dropped_requests: 0,
          request_rate: "4 requests/s",
          arrival: "constant",
          when_full: null,
          max_in_flight: null
        })
        for (const key of ["num_launched", "schedule_file", "results_subdir"]) assert.notProperty(summary, key)
        const records = Runs.byId(yield* Runs.readRecords(root, "records.ndjson"))
        assert.deepStrictEqual(
          Runs.column(records, "intended_offset_s"),
          every(0.25, 8).map(({ offset }) => offset)
        )
      })
    )
  )
})

describe("the same replay twice", () => {
  it.effect("writes the same bytes", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const path = yield* Path.Path
        const once = Effect.fnUntraced(function* (name: string, seed: number) {
          const prompts: Array<string> = []
          const results = path.join(root, name)
          yield* Replays.complete({
            schedule: scheduleOf(
              Array.from({ length: 40 }, (_, index) => ({
                offset: Math.floor(index / 3) * 0.0371,
                input: 50 + index,
                output: 1 + (index % 6)
              }))
            ),
            script: (plan) => {
              prompts.push(plan.prompt)
              return Runs.mixed(plan)
            },
            config: { seed, resultsDir: results, maxSampledRequestsPerSecond: 20 }
          }).pipe(Effect.provide(TestClock.layer()))
          const names = yield* Runs.files(path.join(results, folderName))
          const texts = yield* Effect.forEach(names, (file) => Runs.readText(results, folderName, file))
          // The path of the folder is a result too.
          return { prompts, names, texts: texts.map((text) => text.replaceAll(results, "")) }
        })
        const first = yield* once("first", 7)
        assert.lengthOf(first.names, 6)
        assert.lengthOf(first.prompts, 40)
        assert.deepStrictEqual(yield* once("second", 7), first)
        const other = yield* once("other", 8)
        assert.isFalse(other.prompts.some((prompt) => first.prompts.includes(prompt)))
      })
    )
  )
})

describe("requests that are not measured", () => {
  // Six in the first second, four in the next, one in the third.
  const offsets = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1, 1.2, 1.4, 1.6, 2.5]
  const schedule = scheduleOf(offsets.map((offset) => ({ offset })))
  // Of six, three: 0, 2.5 and 5 are 0, 2 and 5, as halves go to the even one. Of four: 0, 1.5 and 3 are 0, 2 and 3.
  const measured = new Set([1, 3, 6, 7, 9, 10, 11])
  const isMeasured = (id: number) => measured.has(id)

  const script = (plan: RequestPlan) =>
    plan.id === 2 || plan.id === 3
      ? [Scripted.sent, Scripted.fail(new Truncated({ description: "reset" }))]
      : Scripted.answer({ ttft: isMeasured(plan.id) ? 100 : 3_000, gap: 20, words: plan.outputTokens })

  it.effect("are evenly picked, sent at their time and counted, and in no distribution", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { log: provider } = yield* Replays.complete({
          schedule,
          script,
          config: { resultsDir: root, maxSampledRequestsPerSecond: 3 }
        })
        assert.deepStrictEqual(
          provider.opened.map(({ at }) => at),
          offsets.map((offset) => offset * 1_000)
        )
        const { log, records, responses, summary } = yield* read(root)
        assert.deepStrictEqual(Runs.column(records, "request_id"), Runs.ids(11))
        assert.deepStrictEqual(Runs.column(records, "sampled"), Runs.ids(11).map(isMeasured))
        assert.deepStrictEqual(Runs.column(log, "request_id"), Runs.ids(11))
        assert.deepStrictEqual(
          Runs.column(log, "unsampled"),
          Runs.ids(11).map((id) => (isMeasured(id) ? undefined : true))
        )
        assert.deepStrictEqual(
          responses,
          records.filter(({ sampled }) => sampled === true)
        )
        assert.deepInclude(summary, {
          num_launched: 7,
          num_unsampled: 4,
          num_unsampled_requests: 4,
          num_requests_started: 11,
          num_completed_requests: 9,
          num_failed_requests: 2,
          number_errors: 2,
          total_output_tokens: 36,
          ttft_s_max: 0.1,
          end_to_end_latency_s_max: 0.16
        })
        assert.deepStrictEqual(summary["error_code_frequency"], { truncated: 2 })
        assert.strictEqual(summary["dispatch_lag_s_count"], 6)
      })
    )
  )

  it.effect("may be all of them", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        yield* Replays.complete({
          schedule,
          script,
          config: { resultsDir: root, maxSampledRequestsPerSecond: 0 }
        })
        const { log, records, responses, summary } = yield* read(root)
        assert.lengthOf(records, 11)
        assert.lengthOf(log, 11)
        assert.deepStrictEqual(responses, [])
        assert.deepInclude(summary, {
          num_launched: 0,
          num_unsampled: 11,
          num_completed_requests: 9,
          ttft_s_mean: null,
          total_output_tokens: 36
        })
      })
    )
  )
})

describe("a limit of requests in flight", () => {
  // Each takes ten seconds.
  const schedule = scheduleOf([0, 1, 2, 3, 11.5].map((offset) => ({ offset })))

  it.effect("queue: they wait, are late, and all are sent", () =>
    Effect.gen(function* () {
      const { live, log, result } = yield* Replays.complete({
        schedule,
        script: Runs.tenSeconds,
        config: { maxInFlight: 2, whenFull: "queue" }
      })
      assert.deepStrictEqual(
        log.opened.map(({ at }) => at),
        [0, 1_000, 10_000, 11_000, 20_000]
      )
      assert.deepInclude(result.summary, {
        num_completed_requests: 5,
        num_queued_requests: 3,
        num_late_requests: 3,
        num_dropped_requests: 0,
        num_unsent_requests: 0,
        max_requests_in_flight: 2
      })
      assert.strictEqual(result.summary.dispatch_lag_s.max, 8.5)
      assert.strictEqual(live.queued, 3)
      assert.strictEqual(result.stopped, null)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("drop: they are left out, which is no end before the time", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { result } = yield* Replays.complete({
          schedule,
          script: Runs.tenSeconds,
          config: { maxInFlight: 2, whenFull: "drop", resultsDir: root }
        })
        assert.deepInclude(result.summary, {
          num_requests_started: 3,
          num_completed_requests: 3,
          num_queued_requests: 0,
          num_late_requests: 0,
          num_dropped_requests: 2,
          num_unsent_requests: 2
        })
        assert.strictEqual(result.notSent, 2)
        assert.strictEqual(result.stopped, null)
        const { log, records } = yield* read(root)
        assert.deepStrictEqual(Runs.column(records, "request_id"), [1, 2, 5])
        assert.deepStrictEqual(Runs.column(log, "request_id"), [1, 2, 5])
      })
    )
  )

  it.effect("drop: what is left out does not make an end out of a time that was over later", () =>
    Effect.gen(function* () {
      const { result } = yield* Replays.complete({
        schedule,
        script: Runs.tenSeconds,
        config: { maxInFlight: 2, whenFull: "drop", timeoutSeconds: 12 }
      })
      assert.deepInclude(result.summary, { num_completed_requests: 3, num_dropped_requests: 2, num_unsent_requests: 2 })
      assert.strictEqual(result.stopped, null)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("abort: the run ends, those in flight come to their end", () =>
    Effect.gen(function* () {
      const { log, result } = yield* Replays.complete({
        schedule,
        script: Runs.tenSeconds,
        config: { maxInFlight: 2, whenFull: "abort" }
      })
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        [1, 2]
      )
      assert.deepInclude(result.summary, {
        num_completed_requests: 2,
        num_cancelled_requests: 0,
        num_dropped_requests: 0,
        num_unsent_requests: 3
      })
      assert.strictEqual(result.stopped, "full")
      assert.strictEqual(result.document.get("stopped"), "full")
      assert.strictEqual(result.summary.wall_time_s, 11)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("abort: those that do not end within the grace are cancelled and say why", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        yield* Replays.complete({
          schedule,
          script: Runs.tenSeconds,
          config: { maxInFlight: 2, whenFull: "abort", graceSeconds: 8.5, resultsDir: root }
        })
        const { records } = yield* read(root)
        assert.deepStrictEqual(Runs.column(records, "error_msg"), [
          "",
          "Cancelled: the test was over (too many requests in flight) and the grace of 8.5 s too"
        ])
      })
    )
  )
})

describe("a replay that is stopped", () => {
  it.effect("starts nothing after the timeout; what does not end within the grace is cancelled", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { log: provider, result } = yield* Replays.complete({
          schedule: scheduleOf(every(2, 50)),
          script: Runs.tenSeconds,
          config: { timeoutSeconds: 7, graceSeconds: 5.5, resultsDir: root }
        })
        assert.strictEqual(provider.opened.length, 4)
        assert.strictEqual(provider.closed.length, 4)
        assert.strictEqual(result.stopped, "timeout")
        assert.strictEqual(result.notSent, 46)
        assert.strictEqual(result.summary.wall_time_s, 12.5)
        const { log, records, summary } = yield* read(root)
        assert.deepInclude(summary, {
          stopped: "timeout",
          num_completed_requests: 2,
          num_cancelled_requests: 2,
          num_unsent_requests: 46,
          num_dropped_requests: 0
        })
        assert.deepStrictEqual(Runs.column(records, "error_code"), [null, null, "cancelled", "cancelled"])
        assert.deepStrictEqual(Runs.column(log, "error_code"), [null, null, "cancelled", "cancelled"])
        assert.strictEqual(records[3]?.["error_msg"], "Cancelled: the test was over (7 s) and the grace of 5.5 s too")
      })
    )
  )

  it.effect("has a request that is due at that very moment or later among those not sent", () =>
    Effect.gen(function* () {
      const { log, result } = yield* Replays.complete({
        schedule: scheduleOf([{ offset: 0 }, { offset: 6.999999999 }, { offset: 7.000000001 }, { offset: 8 }]),
        config: { timeoutSeconds: 7 }
      })
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        [1, 2]
      )
      assert.strictEqual(result.summary.num_unsent_requests, 2)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("is not stopped when all had been sent and could end", () =>
    Effect.gen(function* () {
      const { result } = yield* Replays.complete({
        schedule: scheduleOf(every(1, 4)),
        script: Runs.tenSeconds,
        config: { timeoutSeconds: 5 }
      })
      assert.strictEqual(result.stopped, null)
      assert.strictEqual(result.summary.num_completed_requests, 4)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("does the same when the user asks for it", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { result } = yield* Replays.complete({
          schedule: scheduleOf(every(2, 50)),
          script: (plan) => (plan.id === 2 ? [Scripted.sent, Scripted.hang] : Runs.tenSeconds()),
          config: { graceSeconds: 12, resultsDir: root },
          run: { userStop: Effect.sleep(5_000) }
        })
        assert.strictEqual(result.stopped, "interrupted")
        assert.strictEqual(result.notSent, 47)
        const { records, summary } = yield* read(root)
        assert.deepInclude(summary, { stopped: "interrupted", num_completed_requests: 2, num_cancelled_requests: 1 })
        assert.strictEqual(records[1]?.["error_msg"], "Cancelled: the test was stopped, and the grace of 12 s was over")
      })
    )
  )

  it.effect("ends a wait for a place in flight", () =>
    Effect.gen(function* () {
      const { log, result } = yield* Replays.complete({
        schedule: scheduleOf([{ offset: 0 }, { offset: 1 }]),
        script: Runs.tenSeconds,
        config: { maxInFlight: 1 },
        run: { userStop: Effect.sleep(3_000) }
      })
      assert.strictEqual(log.opened.length, 1)
      assert.strictEqual(result.stopped, "interrupted")
      assert.deepInclude(result.summary, { num_unsent_requests: 1, num_queued_requests: 1, num_completed_requests: 1 })
    }).pipe(Runs.withoutFiles)
  )
})

describe("a replay that is interrupted", () => {
  it.effect("has every row on the disk, and what the run was", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { fiber, log: provider } = yield* Replays.start({
          schedule: scheduleOf(every(2, 50)),
          script: Runs.tenSeconds,
          config: { resultsDir: root, graceSeconds: 100 },
          run: { userStop: Effect.sleep(13_000) }
        })
        yield* TestClock.adjust(15_000)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(provider.opened.length, 7)
        assert.strictEqual(provider.closed.length, 7)
        const records = Runs.byId(yield* Runs.readRecords(root, folderName, "records.ndjson"))
        const log = Runs.byId(yield* Runs.readRecords(root, folderName, "requests_sent.log"))
        const codes = [null, null, null, "cancelled", "cancelled", "cancelled", "cancelled"]
        for (const rows of [records, log]) {
          assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(7))
          assert.deepStrictEqual(Runs.column(rows, "error_code"), codes)
        }
        for (const row of records.slice(3)) {
          assert.strictEqual(
            row["error_msg"],
            "Cancelled: the test was stopped twice, before the grace of 100 s was over"
          )
        }
        const path = yield* Path.Path
        assert.deepStrictEqual(yield* Runs.files(path.join(root, folderName)), [
          "records.ndjson",
          "requests_sent.log",
          "run.json",
          "schedule.csv"
        ])
        assert.strictEqual((yield* RunManifest.read(yield* inRunFolder(root)("run.json"))).planned, 50)
      })
    )
  )

  it.effect.each([
    ["for a place in flight", 1, 1],
    ["for the next due time", null, 500]
  ] as const)("is interrupted also while it waits %s", ([, maxInFlight, offset]) =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { fiber } = yield* Replays.start({
          schedule: scheduleOf([{ offset: 0 }, { offset }]),
          script: Runs.tenSeconds,
          config: { resultsDir: root, maxInFlight }
        })
        yield* TestClock.adjust(5_000)
        yield* Fiber.interrupt(fiber)
        const records = yield* Runs.readRecords(root, folderName, "records.ndjson")
        assert.deepStrictEqual(
          records.map((row) => [row["request_id"], row["error_msg"]]),
          [[1, "Cancelled: the test was stopped at once"]]
        )
      })
    )
  )
})

describe("before anything is sent", () => {
  const refused = Effect.fnUntraced(function* (options: Replays.Options) {
    let warmedUp = false
    const { fiber, log } = yield* Replays.start({
      ...options,
      run: {
        warmUp: Effect.sync(() => {
          warmedUp = true
          return { rehearsed_requests: 0, opened_connections: 0, requests: 0, failed_requests: 0, duration_s: 0 }
        })
      }
    })
    const error = yield* Effect.flip(Fiber.join(fiber))
    assert.deepStrictEqual(log.opened, [])
    return { error, warmedUp }
  })

  it.effect("refuses a row whose prompt cannot be built, names it, and makes no folder", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { error, warmedUp } = yield* refused({
          schedule: scheduleOf([{ offset: 0 }, { id: 7, offset: 1, input: 10 }]),
          config: { resultsDir: root }
        })
        assert.strictEqual(error._tag, "PromptError")
        assert.match(error.message, /^Row 7: .* 10 input tokens .*smallest possible value is \d+/)
        assert.isFalse(warmedUp)
        assert.deepStrictEqual(yield* Runs.files(root), [])
      })
    )
  )

  it.effect("refuses a file in the place of the results folder", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const results = path.join(root, "results")
        yield* fs.writeFileString(results, "mine")
        for (const subdir of [true, false]) {
          const { error, warmedUp } = yield* refused({
            schedule: scheduleOf(every(1, 3)),
            origin: { ...fromFile, subdir },
            config: { resultsDir: results }
          })
          assert.strictEqual(error._tag, "OutputError")
          assert.include(error.message, "not a folder")
          assert.isFalse(warmedUp)
        }
        assert.strictEqual(yield* fs.readFileString(results), "mine")
      })
    )
  )

  it.effect("says when the schedule cannot be copied", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { file, schedule } = yield* unsortedFile(root)
        const { error } = yield* refused({
          schedule,
          origin: { ...fromFile, path: file, verbatim: true },
          config: { resultsDir: root }
        })
        assert.strictEqual(error._tag, "OutputError")
        assert.match(error.message, /schedule\.csv.*no space/)
      }).pipe(
        Effect.provide(
          layerChanged((fs) => ({
            rename: (from, to) =>
              to.endsWith("schedule.csv") ? Effect.fail(systemFailure("ENOSPC")) : fs.rename(from, to)
          }))
        )
      )
    )
  )

  it.effect("says when what the run is cannot be written", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { error } = yield* refused({ schedule: scheduleOf(every(1, 3)), config: { resultsDir: root } })
        assert.strictEqual(error._tag, "OutputError")
        assert.match(error.message, /run\.json.*permission denied/)
      }).pipe(
        Effect.provide(
          layerChanged((fs) => ({
            rename: (from, to) =>
              to.endsWith("run.json") ? Effect.fail(systemFailure("EACCES", "PermissionDenied")) : fs.rename(from, to)
          }))
        )
      )
    )
  )
})

describe("a full disk", () => {
  /** Nothing more can be written to the file of that name after so many times. */
  const fullAfter = (name: string, writes: number) =>
    layerChanged((fs) => ({
      open: (path, options) =>
        Effect.map(fs.open(path, options), (file) => {
          let left = writes
          if (!path.endsWith(name)) return file
          return {
            ...file,
            sync: file.sync,
            readAlloc: (size, options) => file.readAlloc(size, options),
            writeAll: (bytes) =>
              Effect.suspend(() => (left-- > 0 ? file.writeAll(bytes) : Effect.fail(systemFailure("ENOSPC"))))
          }
        })
    }))

  it.effect.each(["records.ndjson", "requests_sent.log"])("ends the run when %s cannot be written", (name) =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { fiber, log: provider } = yield* Replays.start({
          schedule: scheduleOf(every(1, 500)),
          config: { resultsDir: root }
        })
        // Files are written in real time, so the clock goes on bit by bit.
        for (let tries = 0; fiber.pollUnsafe() === undefined && tries < 400; tries++) {
          yield* TestClock.adjust(1_000)
          yield* Runs.pause
        }
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "OutputError")
        assert.match(error.message, /no space/)
        assert.include(error.message, name)
        assert.isBelow(provider.opened.length, 500)
        assert.strictEqual(provider.closed.length, provider.opened.length)

        // Every line is whole, and the other file has all that ended.
        const records = Runs.byId(yield* Runs.readRecords(root, folderName, "records.ndjson"))
        const log = Runs.byId(yield* Runs.readRecords(root, folderName, "requests_sent.log"))
        const [broken, whole] = name === "records.ndjson" ? [records, log] : [log, records]
        assert.isAtLeast(broken.length, 3)
        assert.deepStrictEqual(Runs.column(broken, "request_id"), Runs.ids(broken.length))
        assert.deepStrictEqual(Runs.column(whole, "request_id"), Runs.ids(provider.opened.length))
        const path = yield* Path.Path
        assert.notInclude(yield* Runs.files(path.join(root, folderName)), "summary.json")
      }).pipe(Effect.provide(fullAfter(name, 3)))
    )
  )

  it.effect("keeps the rows when the summary cannot be written", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const { fiber } = yield* Replays.start({ schedule: scheduleOf(every(1, 5)), config: { resultsDir: root } })
        yield* TestClock.adjust("1 minute")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "OutputError")
        assert.match(error.message, /summary\.json.*no space/)
        assert.lengthOf(yield* Runs.readRecords(root, folderName, "records.ndjson"), 5)
        assert.lengthOf(yield* Runs.readRecords(root, folderName, "requests_sent.log"), 5)
      }).pipe(
        Effect.provide(
          layerChanged((fs) => ({
            rename: (from, to) =>
              to.endsWith("summary.json") ? Effect.fail(systemFailure("ENOSPC")) : fs.rename(from, to)
          }))
        )
      )
    )
  )
})
