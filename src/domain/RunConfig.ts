/**
 * What a load test is asked to do. The command line decodes its flags to this; as a library it is written directly.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const PositiveInt = Schema.Int.check(Schema.isGreaterThan(0))
const NaturalInt = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Positive = Schema.Finite.check(Schema.isGreaterThan(0))

/**
 * How prompts are made: `exact` counts the final text, `llmperf` repeats LLMPerf's algorithm bit for bit.
 *
 * @category models
 * @since 0.1.0
 */
export const PromptMode = Schema.Literals(["exact", "llmperf"])

/**
 * @category models
 * @since 0.1.0
 */
export type PromptMode = typeof PromptMode.Type

/**
 * - `…Tokens`: tokens; `…Seconds`: seconds; `null` means no limit or not set
 * - `maxNumCompletedRequests`: how many requests are sent in all, `numConcurrentRequests`: how many at a time
 * - `timeoutSeconds`: after this no new request starts; those in flight then have `graceSeconds` to end
 * - `requestTimeoutSeconds`: limit for a single request
 * - `warmup`: open connections and exercise the client's own code first, without asking the model for anything
 * - `warmupRequests`: real requests sent and dropped before the clock starts
 * - `resultsDir`: `null` to save nothing
 * - `runId`: begins every `x-request-id` and is kept in the results
 *
 * @category models
 * @since 0.1.0
 */
export const LoadTestConfig = Schema.Struct({
  model: Schema.NonEmptyString,
  llmApi: Schema.NonEmptyString,
  meanInputTokens: PositiveInt,
  stddevInputTokens: NonNegative,
  meanOutputTokens: PositiveInt,
  stddevOutputTokens: NonNegative,
  numConcurrentRequests: PositiveInt,
  maxNumCompletedRequests: PositiveInt,
  timeoutSeconds: Positive,
  graceSeconds: NonNegative,
  requestTimeoutSeconds: Schema.NullOr(Positive),
  additionalSamplingParams: Schema.Record(Schema.String, Schema.Unknown),
  metadata: Schema.Record(Schema.String, Schema.String),
  seed: NaturalInt,
  promptMode: PromptMode,
  warmup: Schema.Boolean,
  warmupRequests: NaturalInt,
  requestIdHeader: Schema.NullOr(Schema.NonEmptyString),
  runId: Schema.NonEmptyString,
  resultsDir: Schema.NullOr(Schema.NonEmptyString)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface LoadTestConfig extends Schema.Schema.Type<typeof LoadTestConfig> {}
