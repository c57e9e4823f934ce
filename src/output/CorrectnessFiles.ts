/**
 * What the two result files of a correctness test hold, with LLMPerf's names and keys: `<model>_correctness_summary.json`
 * and `<model>_correctness_individual_responses.json`. `docs/correctness.md` describes them.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { CorrectnessSummary } from "../domain/CorrectnessResults.ts"
import { type CorrectnessConfig } from "../domain/RunConfig.ts"
import * as ResultFiles from "./ResultFiles.ts"

type Fields = ResultFiles.Fields

/**
 * The value of `test` in the summary, which a load test does not have.
 *
 * @category constants
 * @since 0.2.0
 */
export const TEST = "correctness"

/**
 * The sampling parameters that are sent: a temperature of 0, and the user's own over it.
 *
 * @category constructors
 * @since 0.2.0
 */
export const samplingParams = (additional: Fields): Fields => ({ temperature: 0, ...additional })

/**
 * LLMPerf's keys for what was asked for, in its order.
 *
 * @category constructors
 * @since 0.2.0
 */
export const parameters = (config: CorrectnessConfig): Fields => ({
  model: config.model,
  num_concurrent_requests: config.numConcurrentRequests,
  additional_sampling_params: config.additionalSamplingParams,
  llm_api: config.llmApi
})

/**
 * LLMPerf's results, which come before everything else.
 *
 * @category constructors
 * @since 0.2.0
 */
export const results = (summary: CorrectnessSummary): Fields => ({
  number_errors: summary.number_errors,
  num_mismatched_requests: summary.num_mismatched_requests,
  error_rate: summary.error_rate,
  mismatch_rate: summary.mismatch_rate,
  num_completed_requests: summary.num_completed_requests,
  num_non_errored_requests: summary.num_non_errored_requests
})

/**
 * The results that LLMPerf does not have.
 *
 * @category constructors
 * @since 0.2.0
 */
export const details = (summary: CorrectnessSummary): Fields => ({
  num_correct_requests: summary.num_correct_requests,
  num_no_number_requests: summary.num_no_number_requests,
  answer_mismatch_rate: summary.answer_mismatch_rate
})

/**
 * The keys of user metadata that would collide with results: to be refused before a run.
 *
 * @category constructors
 * @since 0.2.0
 */
export const reservedMetadata = (metadata: Fields): Array<string> => {
  const own = Object.keys(CorrectnessSummary.fields).filter((key) => Object.hasOwn(metadata, key))
  return [...own, ...ResultFiles.reservedMetadata(metadata, "results_")]
}

/**
 * Makes an element of the individual responses from a row of `records.ndjson`: the measurements, the text, and what was
 * asked. `prompt` is given the number that was asked for.
 *
 * @category constructors
 * @since 0.2.0
 */
export const response = (
  config: Pick<CorrectnessConfig, "model" | "llmApi" | "additionalSamplingParams">,
  prompt: (number: number) => string
): ((row: unknown) => unknown) => {
  const sampling = samplingParams(config.additionalSamplingParams)
  return (row) => {
    if (!isFields(row)) return row
    const { expected, generated_text, verdict, ...metrics } = row
    return {
      metrics,
      generated_text,
      request_config: {
        model: config.model,
        // LLMPerf says 0 for the length of every prompt
        prompt: [typeof expected === "number" ? prompt(expected) : null, metrics["number_input_tokens"]],
        sampling_params: sampling,
        llm_api: config.llmApi,
        metadata: { rnd_number: expected }
      },
      verdict
    }
  }
}

/**
 * The individual responses of rows of `records.ndjson`, in the order of the questions: two runs of the same questions can be compared line
 * by line. Takes memory for all of them.
 *
 * @category constructors
 * @since 0.2.0
 */
export const responses = <E, R>(
  rows: Stream.Stream<unknown, E, R>,
  response: (row: unknown) => unknown
): Stream.Stream<unknown, E, R> =>
  Stream.unwrap(
    Effect.map(Stream.runCollect(rows), (all) =>
      Stream.fromIterable(all.toSorted((a, b) => idOf(a) - idOf(b)).map(response))
    )
  )

const idOf = (row: unknown): number => {
  const id = isFields(row) ? row["request_id"] : undefined
  return typeof id === "number" ? id : Infinity
}

const isFields = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
