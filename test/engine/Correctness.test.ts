import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { CorrectnessRecord, CorrectnessSummary } from "../../src/domain/CorrectnessResults.ts"
import { RateLimited, Truncated } from "../../src/domain/LlmError.ts"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import { type RequestPlan } from "../../src/domain/RequestPlan.ts"
import { type CorrectnessConfig } from "../../src/domain/RunConfig.ts"
import * as Correctness from "../../src/engine/Correctness.ts"
import * as SimulatedProvider from "../../src/engine/SimulatedProvider.ts"
import * as Recovery from "../../src/engine/Recovery.ts"
import * as LiveStats from "../../src/metrics/LiveStats.ts"
import { Provider } from "../../src/provider/Provider.ts"
import { askedNumber } from "../../src/simulator/internal/numberQuestion.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import * as VirtualClock from "../../src/simulator/VirtualClock.ts"
import * as CorrectnessWorkload from "../../src/workload/CorrectnessWorkload.ts"
import { layerInline } from "../../src/workload/TokenCounter.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const config: CorrectnessConfig = {
  ...Runs.common,
  numConcurrentRequests: 4,
  maxNumCompletedRequests: 10,
  timeoutSeconds: 90
}

interface Options {
  readonly config?: Partial<CorrectnessConfig>
  readonly script?: (plan: RequestPlan) => ReadonlyArray<Scripted.Step>
  readonly run?: Omit<Correctness.Options, "config" | "live">
}

const numberOf = (plan: RequestPlan): number => askedNumber(plan.prompt) ?? -1

const says = (...pieces: ReadonlyArray<string>): ReadonlyArray<Scripted.Step> => [
  Scripted.sent,
  Scripted.wait(100),
  Scripted.responded,
  ...pieces.flatMap((piece) => [Scripted.wait(20), Scripted.text(piece)]),
  Scripted.ended
]

/** Two pieces of the right number, which only together are right. */
const right = (plan: RequestPlan): ReadonlyArray<Scripted.Step> => {
  const digits = String(numberOf(plan))
  return says("It is ", digits.slice(0, 1), digits.slice(1), ".")
}

const start = Effect.fnUntraced(function* (options: Options = {}) {
  const { provider, log } = yield* Scripted.make(options.script ?? right)
  const live = LiveStats.make()
  const fiber = yield* Correctness.run({ ...options.run, config: { ...config, ...options.config }, live }).pipe(
    Effect.scoped,
    Effect.provideService(Provider, provider),
    Effect.provide(Layer.provideMerge(layerInline, Tokenizer.layerLlama)),
    Effect.forkChild
  )
  yield* Runs.until(() => live.startNanos !== null || fiber.pollUnsafe() !== undefined)
  return { fiber, live, log }
})

const complete = Effect.fnUntraced(function* (options: Options = {}) {
  const { fiber, live, log } = yield* start(options)
  yield* TestClock.adjust("10 minutes")
  return { result: yield* Fiber.join(fiber), live, log }
})

const reasons = (text: string): Scripted.Step =>
  Scripted.emit((at) => ({ _tag: "Content", kind: "reasoning", at: [at], text: [text] }))

const whole = (text: string): Scripted.Step => Scripted.emit((at) => ({ _tag: "Whole", at, text }))

/** Each of these once in ten requests, the rest right. */
const mixed = (plan: RequestPlan): ReadonlyArray<Scripted.Step> => {
  const number = numberOf(plan)
  switch (plan.id % 10) {
    case 1:
      return says(`Not ${number + 1}0`)
    case 2:
      return says("I can not tell.")
    case 3:
      return [
        Scripted.sent,
        Scripted.wait(10),
        Scripted.fail(new RateLimited({ status: 429, body: "slow", retryAfterSeconds: 1 }))
      ]
    case 4:
      // The number had come, but the answer is not complete
      return [Scripted.sent, Scripted.text(String(number)), Scripted.fail(new Truncated({ description: "reset" }))]
    case 5:
      // It knew, and did not say
      return [Scripted.sent, reasons(`It must be ${number}`), Scripted.text("no idea"), Scripted.ended]
    case 6:
      return [
        Scripted.sent,
        Scripted.wait(50),
        Scripted.responded,
        whole(number.toLocaleString("en-US")),
        Scripted.ended
      ]
    case 7:
      return says(`0${number}`)
    default:
      return right(plan)
  }
}

describe("Correctness.run", () => {
  it.effect("asks exactly the planned questions, so many at a time", () =>
    Effect.gen(function* () {
      const { log, result } = yield* complete({ config: { maxNumCompletedRequests: 23 } })
      assert.deepStrictEqual(
        log.opened.map(({ id }) => id),
        Array.from({ length: 23 }, (_, i) => i + 1)
      )
      assert.strictEqual(Math.max(...log.inFlight.map(({ now }) => now)), 4)
      assert.strictEqual(result.correctness.num_correct_requests, 23)
      assert.strictEqual(result.correctness.mismatch_rate, 0)
      assert.deepStrictEqual(result.mismatches, [])
      assert.strictEqual(result.stopped, null)
      assert.strictEqual(result.document.get("name"), "org-demo-7b_correctness_summary")
    }).pipe(Runs.withoutFiles)
  )

  it.effect("asks the same numbers with the same seed", () =>
    Effect.gen(function* () {
      const asked = Effect.fnUntraced(function* (seed: number) {
        const numbers: Array<number> = []
        const plain = yield* complete({
          config: { seed },
          script: (plan) => {
            numbers.push(numberOf(plan))
            return right(plan)
          }
        })
        assert.strictEqual(plain.result.correctness.num_correct_requests, 10)
        return numbers
      })
      const numbers = yield* asked(5)
      assert.deepStrictEqual(yield* asked(5), numbers)
      assert.notDeepEqual(yield* asked(6), numbers)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("judges what was said, not what was thought or cut off", () =>
    Effect.gen(function* () {
      const { result } = yield* complete({ config: { maxNumCompletedRequests: 40 }, script: mixed })
      assert.deepStrictEqual(result.correctness, {
        number_errors: 8,
        num_mismatched_requests: 16,
        error_rate: 0.2,
        mismatch_rate: 0.4,
        num_completed_requests: 40,
        num_non_errored_requests: 32,
        num_correct_requests: 16,
        num_no_number_requests: 8,
        answer_mismatch_rate: 0.5
      })
      assert.lengthOf(result.mismatches, 16)
      assert.strictEqual(result.summary.num_completed_requests, 32)
      assert.deepStrictEqual(result.summary.error_reason_frequency, { RateLimited: 4, Truncated: 4 })
    }).pipe(Runs.withoutFiles)
  )

  it.effect("writes LLMPerf's files, and the rows as they end", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_764_000_000_125)
        const { result } = yield* complete({
          config: {
            maxNumCompletedRequests: 20,
            resultsDir: folder,
            additionalSamplingParams: { top_p: 0.5 },
            metadata: { gpu: "H100" }
          },
          script: mixed
        })
        assert.deepStrictEqual(yield* Runs.files(folder), [
          "org-demo-7b_correctness_individual_responses.json",
          "org-demo-7b_correctness_summary.json",
          "records.ndjson",
          "run.json"
        ])
        const summary = yield* Runs.readSummary(folder, "org-demo-7b_correctness_summary.json")
        const keys = Object.keys(summary)
        assert.deepStrictEqual(keys.slice(0, 12), [
          "version",
          "name",
          "number_errors",
          "num_mismatched_requests",
          "error_rate",
          "mismatch_rate",
          "num_completed_requests",
          "num_non_errored_requests",
          "model",
          "num_concurrent_requests",
          "additional_sampling_params_top_p",
          "llm_api"
        ])
        assert.deepStrictEqual(keys.slice(-2), ["gpu", "timestamp"])
        assert.deepInclude(summary, {
          number_errors: 4,
          num_mismatched_requests: 8,
          error_rate: 0.2,
          mismatch_rate: 0.4,
          num_completed_requests: 20,
          num_non_errored_requests: 16,
          num_correct_requests: 8,
          num_no_number_requests: 4,
          answer_mismatch_rate: 0.5,
          results_num_completed_requests: 16,
          llm_api: "scripted",
          model: "org/demo-7b",
          gpu: "H100",
          seed: 11111
        })
        assert.deepStrictEqual(
          keys.filter((key) => key === "llm_api"),
          ["llm_api"]
        )

        const records = yield* Runs.readRecords(folder, "records.ndjson")
        assert.lengthOf(records, 20)
        for (const record of records) {
          assert.deepStrictEqual(
            Object.keys(record),
            Object.keys(CorrectnessRecord.fields).filter(
              (key) => !["agent", "credential_renewed", "connection_retry_s", "first_chunk_share"].includes(key)
            )
          )
          assert.isTrue(Schema.is(CorrectnessRecord)(record))
        }
        const verdicts = Runs.byId(records)
          .slice(0, 10)
          .map((record) => record["verdict"])
        assert.deepStrictEqual(verdicts, [
          "mismatch",
          "no_number",
          "error",
          "error",
          "no_number",
          "correct",
          "mismatch",
          "correct",
          "correct",
          "correct"
        ])

        const responses = yield* Runs.readRows(folder, "org-demo-7b_correctness_individual_responses.json")
        assert.lengthOf(responses, 20)
        const inOrder = records.toSorted((a, b) => Number(a["request_id"]) - Number(b["request_id"]))
        for (const [i, response] of responses.entries()) {
          const record = inOrder[i] ?? {}
          const { expected, generated_text, verdict, ...metrics } = record
          assert.deepStrictEqual(
            Object.keys(metrics),
            Object.keys(RequestRecord.fields).filter(
              (key) => !["agent", "credential_renewed", "connection_retry_s", "first_chunk_share"].includes(key)
            )
          )
          assert.deepStrictEqual(response, {
            metrics,
            generated_text,
            request_config: {
              model: "org/demo-7b",
              prompt: [CorrectnessWorkload.prompt(Number(expected)), metrics["number_input_tokens"]],
              sampling_params: { temperature: 0, top_p: 0.5 },
              llm_api: "scripted",
              metadata: { rnd_number: expected }
            },
            verdict
          })
          assert.strictEqual(metrics["target_output_tokens"], null)
        }
        assert.deepStrictEqual(
          result.files.map((file) => file.slice(folder.length + 1)),
          [
            "org-demo-7b_correctness_summary.json",
            "org-demo-7b_correctness_individual_responses.json",
            "records.ndjson"
          ]
        )
        const manifest = yield* Runs.readSummary(folder, "run.json")
        assert.deepInclude(manifest, { run_id: "run1", planned: 20, open_loop: false })
      })
    )
  )

  it.effect("stops at its time, and counts what was cancelled as an error", () =>
    Effect.gen(function* () {
      const { log, result } = yield* complete({
        config: { maxNumCompletedRequests: 10, numConcurrentRequests: 2, timeoutSeconds: 1, graceSeconds: 2 },
        script: (plan) =>
          plan.id === 4 ? [Scripted.sent, Scripted.hang] : [Scripted.sent, Scripted.wait(600), ...right(plan).slice(1)]
      })
      assert.strictEqual(result.stopped, "timeout")
      assert.lengthOf(log.opened, 4)
      assert.strictEqual(result.notSent, 6)
      assert.deepInclude(result.correctness, { number_errors: 1, num_correct_requests: 3, num_completed_requests: 4 })
      assert.strictEqual(result.summary.num_cancelled_requests, 1)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("keeps what had ended when it is interrupted", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const stop = yield* Deferred.make<void>()
        const { fiber, live } = yield* start({
          config: { maxNumCompletedRequests: 100, numConcurrentRequests: 1, resultsDir: folder },
          run: { userStop: Deferred.await(stop) }
        })
        yield* TestClock.adjust("1 seconds")
        yield* Deferred.succeed(stop, undefined)
        yield* TestClock.adjust("1 seconds")
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result.stopped, "interrupted")
        assert.strictEqual(result.correctness.num_correct_requests, live.started)
        assert.isAbove(live.started, 2)
        assert.lengthOf(yield* Runs.readRecords(folder, "records.ndjson"), live.started)
      })
    )
  )

  it.effect("has no rates when nothing was sent", () =>
    Effect.gen(function* () {
      const { result } = yield* complete({
        run: { userStop: Effect.void },
        config: { graceSeconds: 0 },
        script: () => [Scripted.hang]
      })
      assert.strictEqual(result.correctness.num_non_errored_requests, 0)
      assert.strictEqual(result.correctness.answer_mismatch_rate, null)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("can be recovered to the very files that it writes", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const { result } = yield* complete({
          config: { resultsDir: folder, additionalSamplingParams: { top_p: 0.5 }, metadata: { gpu: "H100" } },
          script: mixed
        })
        const [summaryFile = "", responsesFile = ""] = result.files
        const summary = yield* Runs.readSummary(summaryFile)
        const responses = yield* Runs.readText(responsesFile)
        const recovered = yield* Recovery.recover({ directory: folder, force: true })
        assert.strictEqual(yield* Runs.readText(responsesFile), responses)
        const again = yield* Runs.readSummary(summaryFile)
        assert.deepStrictEqual(Object.keys(again), Object.keys(summary))
        for (const key of Object.keys(CorrectnessSummary.fields)) assert.strictEqual(again[key], summary[key])
        assert.strictEqual(again["stopped"], "recovered")
        assert.deepStrictEqual(recovered.answers?.summary, result.correctness)
        assert.deepStrictEqual(recovered.answers?.mismatches, result.mismatches)
      })
    )
  )

  it.effect("judges the simulated model in virtual time", () =>
    Effect.gen(function* () {
      const options = ModelServer.ModelServerOptions.make({ wrongRate: 0.2, silentRate: 0.1 })
      const { correctness } = yield* Correctness.run({ config: { ...config, maxNumCompletedRequests: 200 } }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.mergeAll(
            Layer.provide(SimulatedProvider.layer, ModelServer.layer(options)),
            Layer.provideMerge(layerInline, Tokenizer.layerLlama)
          ).pipe(Layer.provideMerge(VirtualClock.layer))
        )
      )
      assert.strictEqual(correctness.num_non_errored_requests, 200)
      assert.closeTo(correctness.num_mismatched_requests, 60, 20)
      assert.closeTo(correctness.num_no_number_requests, 20, 13)
    }).pipe(Runs.withoutFiles)
  )
})
