/**
 * The correctness test: asks for numbers that are spelled in words and looks for their digits in the answers.
 *
 * It is a load test of a closed loop in everything else, with the same records and the same numbers.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CorrectnessRecord, type CorrectnessSummary, type Mismatch } from "../domain/CorrectnessResults.ts"
import { type RequestRecord } from "../domain/RequestRecord.ts"
import { type CorrectnessConfig } from "../domain/RunConfig.ts"
import { CorrectnessSink, judge } from "../metrics/CorrectnessSink.ts"
import { type Ended } from "../metrics/Ended.ts"
import * as RequestSink from "../metrics/RequestSink.ts"
import * as CorrectnessFiles from "../output/CorrectnessFiles.ts"
import type * as Ndjson from "../output/Ndjson.ts"
import * as Output from "../output/Output.ts"
import { type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import { type FolderInUse } from "../output/RunLock.ts"
import { type Provider } from "../provider/Provider.ts"
import * as CorrectnessWorkload from "../workload/CorrectnessWorkload.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type Tokenizer } from "../workload/Tokenizer.ts"
import * as Run from "./Run.ts"
import { type RunResult } from "./RunResult.ts"

/**
 * - `ofAnswers`: what follows from the numbers of the run and of its answers, for the summary
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends Run.Options {
  readonly config: CorrectnessConfig
  readonly ofAnswers?: ((run: Output.RunEnd, correctness: CorrectnessSummary) => ResultFiles.Fields) | undefined
}

/**
 * What a run comes back with, what became of its answers, and the first hundred of those that are not right.
 *
 * @category models
 * @since 0.2.0
 */
export interface CorrectnessResult extends RunResult {
  readonly correctness: CorrectnessSummary
  readonly mismatches: ReadonlyArray<Mismatch>
}

/**
 * What the provider of a correctness test has to be given as its sampling parameters: a temperature of 0, and over it what
 * the user wants. A `null` of the user takes the temperature away, for models that allow none.
 *
 * @category constructors
 * @since 0.2.0
 */
export const samplingParams = CorrectnessFiles.samplingParams

/**
 * Runs the test. It fails before anything is sent when the results folder cannot be written to (`OutputError`); a request
 * that fails and an answer that is wrong are rows, never a failure of the test. Interrupting it cancels the requests in
 * flight and still writes the rows of all that ended.
 *
 * The provider decides how the model is asked: give it `samplingParams(config.additionalSamplingParams)`.
 *
 * @category running
 * @since 0.2.0
 */
export const run = Effect.fn("Correctness.run")(function* (
  options: Options
): Effect.fn.Return<
  CorrectnessResult,
  OutputError | FolderInUse | Ndjson.RecordsError,
  Provider | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { config, ofAnswers, outputs = [], ...others } = options
  const directory = config.resultsDir === null ? null : yield* RunDirectory.open(config.resultsDir)
  const { numbers, plans } = yield* CorrectnessWorkload.make({
    count: config.maxNumCompletedRequests,
    seed: config.seed
  })
  const judged = (record: RequestRecord, measurement: RequestSink.Measurement): CorrectnessRecord => {
    const text = RequestSink.answerOf(measurement)
    const expected = numbers[record.request_id - 1] ?? 0
    const verdict = record.error_code === null ? judge(text, expected) : "error"
    return { ...record, expected, verdict, generated_text: text }
  }
  const answers = new CorrectnessSink()
  const add = (ended: Ended): void => {
    if (ended._tag === "Elsewhere") return
    for (const { measurement, record } of ended.requests) answers.add(judged(record, measurement))
  }
  const correctness = Output.make("correctness", {
    add,
    fields: (run) => Effect.sync(() => ofAnswers?.(run, answers.summary()) ?? {})
  })
  const result = yield* Run.run({
    ...others,
    outputs: [correctness, ...outputs],
    settings: config,
    directory,
    load: {
      loop: { _tag: "Closed", concurrency: config.numConcurrentRequests },
      planned: config.maxNumCompletedRequests,
      plans: Stream.fromIterable(plans),
      ready: Effect.void
    },
    logsSent: false,
    description: {
      files: ResultFiles.correctnessNames(config.model),
      resultsPrefix: "results_",
      sharedPrompts: "questions",
      parameters: CorrectnessFiles.parameters(config),
      details: {
        test: CorrectnessFiles.TEST,
        seed: config.seed,
        max_num_completed_requests: config.maxNumCompletedRequests,
        timeout_s: config.timeoutSeconds,
        request_timeout_s: config.requestTimeoutSeconds
      }
    },
    facts: () => ({
      results: CorrectnessFiles.results(answers.summary()),
      details: CorrectnessFiles.details(answers.summary())
    }),
    rows: {
      keys: Object.keys(CorrectnessRecord.fields),
      of: judged,
      responses: (rows) =>
        CorrectnessFiles.responses(rows, CorrectnessFiles.response(config, CorrectnessWorkload.prompt))
    }
  })
  return { ...result, correctness: answers.summary(), mismatches: answers.mismatches }
})
