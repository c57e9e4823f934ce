import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as TestClock from "effect/testing/TestClock"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import * as LoadTest from "../../src/engine/LoadTest.ts"
import { requestIdOf } from "../../src/engine/RequestId.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { layerInline } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import { layerChanged, systemFailure } from "../output/failingFiles.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const low = sorted[below]!
  return low + (position - below) * ((sorted[below + 1] ?? low) - low)
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)

/** The ten numbers of a distribution in the order of the file, from the definitions. */
const distribution = (values: ReadonlyArray<number>): { readonly [key: string]: number } => {
  const sorted = values.toSorted((a, b) => a - b)
  const mean = sum(values) / values.length
  return {
    ...Object.fromEntries([25, 50, 75, 90, 95, 99].map((q) => [`quantiles_p${q}`, quantile(sorted, q / 100)])),
    mean,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    stddev: Math.sqrt(sum(values.map((value) => (value - mean) ** 2)) / (values.length - 1))
  }
}

const assertClose = (actual: unknown, expected: number, what: string): void => {
  if (typeof actual !== "number") throw new Error(`${what} is ${JSON.stringify(actual)}`)
  assert.closeTo(actual, expected, Math.max(1e-9, Math.abs(expected) * 1e-9), what)
}

const never: Effect.Effect<never> = Effect.never

describe("a run to its end", () => {
  it.effect("sends exactly the planned requests, in order, and counts what came back", () =>
    Effect.gen(function* () {
      const { result, live, log } = yield* Runs.complete({ config: { maxNumCompletedRequests: 23 } })
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        Runs.ids(23)
      )
      assert.strictEqual(result.summary.num_completed_requests, 23)
      assert.strictEqual(result.summary.num_requests_started, 23)
      assert.strictEqual(result.summary.number_errors, 0)
      assert.strictEqual(result.summary.max_requests_in_flight, 4)
      assert.strictEqual(result.stopped, null)
      assert.strictEqual(result.notSent, 0)
      assert.strictEqual(result.uncounted, null)
      assert.deepStrictEqual(result.files, [])
      assert.strictEqual(result.summary.ttft_s.mean, 0.1)
      assert.closeTo(result.summary.inter_token_latency_s.mean ?? 0, 0.02, 1e-12)
      assert.deepStrictEqual(
        [live.started, live.completed, live.failed, live.cancelled, live.completedTokens],
        [23, 23, 0, 0, result.summary.total_output_tokens]
      )
      assert.strictEqual(live.chunks, result.summary.total_chunks)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("sends the text that sampling parameters put in the place of prompts, and counts it", () =>
    Effect.gen(function* () {
      const sent: Array<RequestPlan> = []
      const script = (plan: RequestPlan) => {
        sent.push(plan)
        return Runs.usual(plan)
      }
      const { result } = yield* Runs.complete({ script, run: { replaced: "Hello world" } })
      assert.lengthOf(sent, 10)
      for (const plan of sent) {
        assert.deepInclude(plan, { prompt: "Hello world", inputTokens: 2, targetInputTokens: 2 })
      }
      assert.strictEqual(result.summary.total_input_tokens, 20)
      assert.strictEqual(result.sharedPrompts, "sampling-params")
      assert.strictEqual(result.document.get("shared_prompts"), "sampling-params")
    }).pipe(Runs.withoutFiles)
  )

  it.effect("says whether prompts begin alike, and what lengths come to", () =>
    Effect.gen(function* () {
      const runs = [
        [{}, null],
        [{ samePrompts: true }, "same-prompts"],
        [{ promptMode: "llmperf" }, "llmperf"]
      ] as const
      for (const [config, shared] of runs) {
        const { result } = yield* Runs.complete({ config: { ...config, stddevInputTokens: 40 } })
        assert.strictEqual(result.document.get("shared_prompts"), shared)
        assert.isAbove(Number(result.document.get("expected_mean_input_tokens")), 70)
        assert.isBelow(Number(result.document.get("expected_stddev_input_tokens")), 32)
        assert.closeTo(Number(result.document.get("expected_mean_output_tokens")), 7.5, 0.01)
      }
    }).pipe(Runs.withoutFiles)
  )

  it.effect("writes the same rows to both files, and a summary that follows from them", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result } = yield* Runs.complete({
          script: Runs.mixed,
          config: { maxNumCompletedRequests: 40, resultsDir: folder, metadata: { gpu: "H100", team: "a=b" } }
        })
        assert.deepStrictEqual(yield* Runs.files(folder), [
          "org-demo-7b_60_8_individual_responses.json",
          "org-demo-7b_60_8_summary.json",
          "records.ndjson",
          "run.json"
        ])
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.deepStrictEqual(yield* Runs.readRows(folder, "org-demo-7b_60_8_individual_responses.json"), rows)
        assert.deepStrictEqual(Runs.column(Runs.byId(rows), "request_id"), Runs.ids(40))
        assert.deepStrictEqual(
          Runs.column(Runs.byId(rows), "x_request_id"),
          Runs.ids(40).map((id) => `run1-${id}`)
        )

        const summary = yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json")
        const good = rows.filter((row) => row["error_code"] === null)
        assert.strictEqual(good.length, 32)
        for (const key of [
          "inter_token_latency_s",
          "ttft_s",
          "end_to_end_latency_s",
          "request_output_throughput_token_per_s",
          "number_input_tokens",
          "number_output_tokens",
          "dispatch_lag_s",
          "scheduled_ttft_s",
          "scheduled_end_to_end_latency_s",
          "time_to_first_answer_s"
        ]) {
          for (const [name, value] of Object.entries(distribution(Runs.numbers(good, key)))) {
            assertClose(summary[`results_${key}_${name}`], value, `${key}_${name}`)
          }
        }
        const wall = Math.max(...Runs.numbers(rows, "end_offset_s"))
        const tokens = sum(Runs.numbers(good, "number_output_tokens"))
        assertClose(summary["results_wall_time_s"], wall, "wall time")
        assertClose(summary["results_mean_output_throughput_token_per_s"], tokens / wall, "throughput")
        assertClose(summary["results_num_completed_requests_per_min"], (32 / wall) * 60, "requests per minute")
        assertClose(summary["results_error_rate"], 8 / 40, "error rate")
        assert.strictEqual(summary["results_num_requests_started"], 40)
        assert.strictEqual(summary["results_num_completed_requests"], 32)
        assert.strictEqual(summary["results_number_errors"], 8)
        assert.deepStrictEqual(summary["results_error_code_frequency"], { "429": 4, truncated: 4 })
        assert.deepStrictEqual(summary["results_error_reason_frequency"], { RateLimited: 4, Truncated: 4 })
        assert.strictEqual(summary["results_total_output_tokens"], tokens)
        // Every failed row says why and how far it got.
        const truncated = rows.find((row) => row["error_reason"] === "Truncated")
        assert.strictEqual(truncated?.["number_chunks"], 1)
        assert.strictEqual(truncated?.["ttft_s"], 0.07)
        assert.strictEqual(rows.find((row) => row["error_reason"] === "RateLimited")?.["retry_after_s"], 1)

        assert.strictEqual(summary["gpu"], "H100")
        assert.strictEqual(summary["team"], "a=b")
        assert.strictEqual(summary["run_id"], "run1")
        assert.strictEqual(summary["tokenizer"], "llama")
        assert.strictEqual(summary["stopped"], null)
        assert.strictEqual(
          ResultFiles.stringify(result.document),
          yield* Runs.readText(folder, "org-demo-7b_60_8_summary.json")
        )
      })
    )
  )

  it.effect("counts the lag of every request from the moment its slot was free", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* Runs.complete({
          script: (plan) => [Scripted.wait(plan.id), ...Scripted.answer({ ttft: 50, gap: 10, words: 3 })],
          config: { maxNumCompletedRequests: 6, numConcurrentRequests: 2, resultsDir: folder }
        })
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        // A request takes 70 ms and as many milliseconds as its number before it gets to the socket.
        const ends = [71, 72, 144, 146, 219, 222]
        rows.forEach((row, i) => {
          const due = i < 2 ? 0 : ends[i - 2]! / 1_000
          assertClose(row["intended_offset_s"], due, "due")
          assertClose(row["dispatch_lag_s"], (i + 1) / 1_000, "lag")
          assertClose(row["scheduled_ttft_s"], 0.05 + (i + 1) / 1_000, "scheduled TTFT")
          assertClose(row["end_offset_s"], ends[i]! / 1_000, "end")
        })
      })
    )
  )

  it.effect("is a finished run when every request fails", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result } = yield* Runs.complete({
          script: () => [Scripted.sent, Scripted.breakDown(new Error("adapter")), Scripted.ended],
          config: { resultsDir: folder }
        })
        assert.strictEqual(result.summary.num_completed_requests, 0)
        assert.strictEqual(result.summary.num_failed_requests, 10)
        assert.strictEqual(result.summary.error_rate, 1)
        assert.strictEqual(result.summary.ttft_s.mean, null)
        assert.strictEqual(result.stopped, null)
        assert.lengthOf(yield* Runs.readRecords(folder, "records.ndjson"), 10)
        const summary = yield* Runs.readText(folder, "org-demo-7b_60_8_summary.json")
        assert.notMatch(summary, /NaN|Infinity/)
        assert.strictEqual(JSON.parse(summary)["results_ttft_s_quantiles_p50"], null)
      })
    )
  )

  it.effect("is no finished run when it was a fault of ours that ended it", () =>
    Effect.gen(function* () {
      const { provider } = yield* Scripted.make(Runs.usual)
      const live = Object.defineProperty(LiveStats.make(), "started", {
        get: () => 0,
        set: () => {
          throw new Error("no counting today")
        }
      })
      const exit = yield* LoadTest.run({ config: Runs.config, live }).pipe(
        Effect.scoped,
        Effect.exit,
        Effect.provideService(Provider, provider),
        Effect.provide(Layer.provideMerge(layerInline, Tokenizer.layerLlama))
      )
      assert.isTrue(Exit.hasDies(exit))
    }).pipe(Runs.withoutFiles)
  )

  it.effect("limits each request to --request-timeout", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({
        script: (plan) => (plan.id === 3 ? [Scripted.sent, Scripted.hang] : Runs.usual(plan)),
        config: { requestTimeoutSeconds: 5 }
      })
      assert.strictEqual(result.summary.num_completed_requests, 9)
      assert.deepStrictEqual(result.summary.error_code_frequency, { timeout_total: 1 })
      assert.strictEqual(result.summary.wall_time_s, 5)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("sends no ids when the header is switched off", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* Runs.complete({ config: { requestIdHeader: null, resultsDir: folder } })
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.deepStrictEqual(
          Runs.column(rows, "x_request_id"),
          rows.map(() => null)
        )
      })
    )
  )

  it.effect("writes nothing without a results folder", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({ config: { resultsDir: null } })
      assert.deepStrictEqual(result.files, [])
      assert.strictEqual(result.document.get("name"), "org-demo-7b_60_8_summary")
      assert.strictEqual(result.document.get("results_num_completed_requests"), 10)
    }).pipe(Runs.withoutFiles)
  )
})

describe("the same run twice", () => {
  it.effect("sends the same requests and writes the same bytes", () =>
    Runs.inFolder((root) =>
      Effect.gen(function* () {
        const once = Effect.fnUntraced(function* (name: string, seed: number) {
          const prompts: Array<string> = []
          const path = yield* Path.Path
          const folder = path.join(root, name)
          yield* Runs.complete({
            script: (plan) => {
              prompts.push(`${plan.outputTokens} ${plan.prompt}`)
              return Runs.mixed(plan)
            },
            config: { maxNumCompletedRequests: 30, seed, resultsDir: folder }
          }).pipe(Effect.provide(TestClock.layer()))
          const summary = yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json")
          return {
            prompts,
            summary: { ...summary, timestamp: 0 },
            responses: yield* Runs.readText(folder, "org-demo-7b_60_8_individual_responses.json"),
            records: yield* Runs.readText(folder, "records.ndjson")
          }
        })
        const first = yield* once("first", 7)
        assert.deepStrictEqual(yield* once("second", 7), first)
        const other = yield* once("other", 8)
        assert.isFalse(other.prompts.some((prompt) => first.prompts.includes(prompt)))
      })
    )
  )
})

describe("before anything is sent", () => {
  it.effect("refuses a mean input length below the smallest prompt and names the smallest", () =>
    Effect.gen(function* () {
      const { fiber, log } = yield* Runs.start({ config: { meanInputTokens: 10 } })
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error._tag, "PromptError")
      assert.match(error.message, /smallest possible value is \d+/)
      assert.deepStrictEqual(log.opened, [])
    }).pipe(Runs.withoutFiles)
  )

  it.effect("refuses a file in the place of the results folder", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        yield* fs.writeFileString(path.join(folder, "results"), "mine")
        let warmedUp = false
        const { fiber, log } = yield* Runs.start({
          config: { resultsDir: path.join(folder, "results") },
          run: {
            warmUp: Effect.sync(() => {
              warmedUp = true
              return { rehearsed_requests: 0, opened_connections: 0, requests: 0, failed_requests: 0, duration_s: 0 }
            })
          }
        })
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "OutputError")
        assert.include(error.message, "not a folder")
        assert.deepStrictEqual(log.opened, [])
        assert.isFalse(warmedUp)
        assert.strictEqual(yield* fs.readFileString(path.join(folder, "results")), "mine")
      })
    )
  )

  it.effect("refuses a folder that cannot be written to", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber, log } = yield* Runs.start({ config: { resultsDir: folder } })
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "OutputError")
        assert.include(error.message, "permission denied")
        assert.deepStrictEqual(log.opened, [])
      }).pipe(
        Effect.provide(
          layerChanged(() => ({ makeTempFileScoped: () => Effect.fail(systemFailure("EACCES", "PermissionDenied")) }))
        )
      )
    )
  )
})

describe("the results folder", () => {
  it.effect("keeps the records of an earlier run", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* Runs.complete({ config: { resultsDir: folder, runId: "first", maxNumCompletedRequests: 5 } })
        const earlier = yield* Runs.readText(folder, "records.ndjson")
        yield* Runs.complete({ config: { resultsDir: folder, runId: "second", maxNumCompletedRequests: 7 } })
        assert.strictEqual(yield* Runs.readText(folder, "records.first.ndjson"), earlier)
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.lengthOf(rows, 7)
        assert.isTrue(rows.every((row) => String(row["x_request_id"]).startsWith("second-")))
        assert.deepStrictEqual(yield* Runs.readRows(folder, "org-demo-7b_60_8_individual_responses.json"), rows)
      })
    )
  )

  it.effect("ends the run when the disk is full", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber, log } = yield* Runs.start({ config: { resultsDir: folder, maxNumCompletedRequests: 50 } })
        yield* TestClock.adjust(1_000)
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error._tag, "OutputError")
        assert.include(error.message, "no space")
        assert.isBelow(log.opened.length, 50)
        assert.strictEqual(log.closed.length, log.opened.length)
      }).pipe(
        Effect.provide(
          layerChanged((fs) => ({
            open: (path, options) =>
              Effect.map(fs.open(path, options), (file) => ({
                ...file,
                sync: file.sync,
                writeAll: () => Effect.fail(systemFailure("ENOSPC"))
              }))
          }))
        )
      )
    )
  )
})

describe("a run that is stopped", () => {
  it.effect("starts nothing after --timeout and lets those in flight end within the grace", () =>
    Effect.gen(function* () {
      const { result, log } = yield* Runs.complete({
        script: Runs.tenSeconds,
        config: { maxNumCompletedRequests: 100, timeoutSeconds: 15, graceSeconds: 5 }
      })
      assert.strictEqual(log.opened.length, 8)
      assert.strictEqual(result.summary.num_completed_requests, 8)
      assert.strictEqual(result.summary.num_cancelled_requests, 0)
      assert.strictEqual(result.stopped, "timeout")
      assert.strictEqual(result.notSent, 92)
      assert.strictEqual(result.document.get("stopped"), "timeout")
      assert.strictEqual(result.document.get("results_num_unsent_requests"), 92)
      assert.strictEqual(result.summary.wall_time_s, 20)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("cancels what is still in flight after the grace, and says so in its rows", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result, log } = yield* Runs.complete({
          script: Runs.tenSeconds,
          config: { maxNumCompletedRequests: 100, timeoutSeconds: 11, graceSeconds: 4.5, resultsDir: folder }
        })
        assert.strictEqual(log.opened.length, 8)
        assert.strictEqual(log.closed.length, 8)
        assert.strictEqual(result.summary.num_completed_requests, 4)
        assert.strictEqual(result.summary.num_cancelled_requests, 4)
        assert.strictEqual(result.stopped, "timeout")
        assert.strictEqual(result.notSent, 92)
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(8))
        for (const row of rows.slice(4)) {
          assert.strictEqual(row["error_code"], "cancelled")
          assert.strictEqual(row["error_reason"], "Cancelled")
          assert.strictEqual(row["error_msg"], "Cancelled: the test was over (11 s) and the grace of 4.5 s too")
          assert.strictEqual(row["ttft_s"], 2)
          assert.strictEqual(row["number_output_tokens"], 1)
          assert.strictEqual(row["end_offset_s"], 15.5)
        }
      })
    )
  )

  it.effect("cancels at once without a grace", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({
        script: Runs.tenSeconds,
        config: { timeoutSeconds: 3, graceSeconds: 0 }
      })
      assert.strictEqual(result.summary.num_cancelled_requests, 4)
      assert.strictEqual(result.summary.wall_time_s, 3)
      assert.strictEqual(result.notSent, 6)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("does the same when the user asks for it", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result, log } = yield* Runs.complete({
          script: (plan) => (plan.id === 6 ? [Scripted.sent, Scripted.hang] : Runs.tenSeconds()),
          config: { maxNumCompletedRequests: 100, graceSeconds: 12, resultsDir: folder },
          run: { userStop: Effect.sleep(13_000) }
        })
        assert.strictEqual(log.opened.length, 8)
        assert.strictEqual(result.summary.num_completed_requests, 7)
        assert.strictEqual(result.summary.num_cancelled_requests, 1)
        assert.strictEqual(result.stopped, "interrupted")
        assert.strictEqual(result.notSent, 92)
        assert.strictEqual(result.summary.wall_time_s, 25)
        const row = (yield* Runs.readRecords(folder, "records.ndjson")).find((each) => each["request_id"] === 6)
        assert.strictEqual(row?.["error_msg"], "Cancelled: the test was stopped, and the grace of 12 s was over")
        assert.strictEqual((yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json"))["stopped"], "interrupted")
      })
    )
  )

  it.effect("keeps the first reason when the time is over during the grace", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({
        script: Runs.tenSeconds,
        config: { maxNumCompletedRequests: 100, timeoutSeconds: 15 },
        run: { userStop: Effect.sleep(13_000) }
      })
      assert.strictEqual(result.stopped, "interrupted")
    }).pipe(Runs.withoutFiles)
  )

  it.effect("is not stopped when all had been sent and could end", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({
        script: Runs.tenSeconds,
        config: { maxNumCompletedRequests: 4, timeoutSeconds: 5 }
      })
      assert.strictEqual(result.stopped, null)
      assert.strictEqual(result.notSent, 0)
      assert.strictEqual(result.summary.num_completed_requests, 4)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("goes on when neither the time nor the user ends it", () =>
    Effect.gen(function* () {
      const { result } = yield* Runs.complete({ run: { userStop: never } })
      assert.strictEqual(result.stopped, null)
    }).pipe(Runs.withoutFiles)
  )
})

describe("a run that is interrupted", () => {
  it.effect("writes every row: those that ended, those not counted yet, those it cancels", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        // The first two texts and what came first of them are counted at once, the others never.
        let counted = 0
        const { fiber, log } = yield* Runs.start({
          config: { maxNumCompletedRequests: 50, resultsDir: folder },
          script: () => Scripted.answer({ ttft: 100, gap: 100, words: 10 }),
          counter: {
            name: "slow",
            count: (text) => (text === "" || ++counted <= 4 ? Effect.succeed(10) : Effect.never)
          }
        })
        yield* TestClock.adjust(2_500)
        yield* Fiber.interrupt(fiber)
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        assert.strictEqual(log.opened.length, 12)
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(12))
        const known = rows.filter((row) => row["number_output_tokens"] !== null)
        assert.lengthOf(known, 2)
        for (const row of rows.slice(0, 8)) {
          assert.strictEqual(row["error_code"], null)
          assert.strictEqual(row["end_to_end_latency_s"], 1)
          assert.strictEqual(row["number_chunks"], 10)
        }
        for (const row of rows.slice(8)) {
          assert.strictEqual(row["error_code"], "cancelled")
          assert.strictEqual(row["error_msg"], "Cancelled: the test was stopped at once")
          assert.strictEqual(row["number_chunks"], 5)
          assert.strictEqual(row["end_offset_s"], 2.5)
        }
        assert.deepStrictEqual(yield* Runs.files(folder), ["records.ndjson", "run.json"])
      })
    )
  )

  it.effect.each(Runs.ids(3))(
    "loses no row whose count has just come back: after %i turns of the event loop",
    (turns) =>
      Runs.inFolder((folder) =>
        Effect.gen(function* () {
          const answers: Array<Deferred.Deferred<number>> = []
          const { fiber } = yield* Runs.start({
            config: { maxNumCompletedRequests: 8, numConcurrentRequests: 8, timeoutSeconds: 1, resultsDir: folder },
            counter: {
              name: "in one go",
              count: (text) => {
                if (text === "") return Effect.succeed(0)
                const answer = Deferred.makeUnsafe<number>()
                answers.push(answer)
                return Deferred.await(answer)
              }
            }
          })
          yield* TestClock.adjust(5_000)
          assert.lengthOf(answers, 8)
          for (const answer of answers) Deferred.doneUnsafe(answer, Effect.succeed(3))
          for (let turn = 1; turn < turns; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
          assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(8))
        })
      )
  )

  it.effect("writes the rows also while it is in its grace", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber } = yield* Runs.start({
          config: { maxNumCompletedRequests: 20, resultsDir: folder, timeoutSeconds: 1, graceSeconds: 600 },
          script: (plan) => (plan.id > 4 ? [Scripted.sent, Scripted.hang] : Runs.usual(plan))
        })
        yield* TestClock.adjust(60_000)
        yield* Fiber.interrupt(fiber)
        const rows = Runs.byId(yield* Runs.readRecords(folder, "records.ndjson"))
        assert.deepStrictEqual(Runs.column(rows, "request_id"), Runs.ids(8))
        assert.deepStrictEqual(Runs.column(rows, "error_code"), [
          null,
          null,
          null,
          null,
          "cancelled",
          "cancelled",
          "cancelled",
          "cancelled"
        ])
        assert.strictEqual(
          rows[7]?.["error_msg"],
          "Cancelled: the test was over (1 s) and was stopped before the grace of 600 s was over"
        )
      })
    )
  )

  it.effect("says so when the user stopped it twice", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { fiber } = yield* Runs.start({
          script: Runs.tenSeconds,
          config: { resultsDir: folder },
          run: { userStop: Effect.sleep(1_000) }
        })
        yield* TestClock.adjust(3_000)
        yield* Fiber.interrupt(fiber)
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.lengthOf(rows, 4)
        for (const row of rows) {
          assert.strictEqual(
            row["error_msg"],
            "Cancelled: the test was stopped twice, before the grace of 30 s was over"
          )
        }
      })
    )
  )
})

describe("counting", () => {
  it.effect("writes rows in the order in which the counts come back", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result } = yield* Runs.complete({
          config: { maxNumCompletedRequests: 4, resultsDir: folder },
          script: (plan) => [Scripted.sent, Scripted.text(`${plan.id}`), Scripted.wait(plan.id), Scripted.ended],
          counter: {
            name: "slow",
            count: (text) =>
              Effect.as(Effect.sleep(text === "" ? 0 : Number(text) === 2 ? 500 : 100), 10 + Number(text))
          }
        })
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.deepStrictEqual(
          rows.map((row) => [row["request_id"], row["number_output_tokens"]]),
          [
            [1, 11],
            [3, 13],
            [4, 14],
            [2, 12]
          ]
        )
        // Counting is no part of the test's time.
        assert.strictEqual(result.summary.wall_time_s, 0.004)
      })
    )
  )

  it.effect("has rows without token numbers when a text cannot be counted, and tells the first reason", () =>
    Effect.gen(function* () {
      let asked = 0
      const { result } = yield* Runs.complete({
        counter: {
          name: "broken",
          count: (text) =>
            text === ""
              ? Effect.succeed(0)
              : Effect.fail(new Tokenizer.TokenizerError({ tokenizer: "broken", description: `failure ${++asked}` }))
        }
      })
      assert.strictEqual(asked, 10)
      assert.strictEqual(result.uncounted?.description, "failure 1")
      assert.strictEqual(result.summary.num_completed_requests, 10)
      assert.strictEqual(result.summary.number_output_tokens.mean, null)
      assert.strictEqual(result.summary.ttft_s.mean, 0.1)
    }).pipe(Runs.withoutFiles)
  )
})

describe("warm-up", () => {
  it.effect("comes before the clock starts and leaves no rows", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const report = {
          rehearsed_requests: 96,
          opened_connections: 4,
          requests: 2,
          failed_requests: 1,
          duration_s: 0.5
        }
        const warmedUp = yield* Deferred.make<typeof report>()
        const { fiber, live, log } = yield* Runs.start({
          config: { resultsDir: folder },
          run: { warmUp: Deferred.await(warmedUp) },
          ready: () => true
        })
        yield* TestClock.adjust(500)
        assert.strictEqual(live.startNanos, null)
        assert.deepStrictEqual(log.opened, [])
        yield* Deferred.succeed(warmedUp, report)
        yield* Runs.until(() => live.startNanos !== null)
        assert.strictEqual(live.startNanos, 500e6)
        yield* TestClock.adjust(10_000)
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(log.opened[0]?.at, 500)
        const rows = yield* Runs.readRecords(folder, "records.ndjson")
        assert.lengthOf(rows, 10)
        assert.strictEqual(Math.min(...Runs.numbers(rows, "intended_offset_s")), 0)
        for (const [key, value] of Object.entries(report)) {
          assert.strictEqual(result.document.get(`warmup_${key}`), value)
        }
      })
    )
  )

  it("has ids of its own", () => {
    const of = requestIdOf("run1")
    assert.strictEqual(of(Scripted.plan(12)), "run1-12")
    assert.strictEqual(of(Scripted.plan(-3)), "run1-warmup-3")
  })
})
