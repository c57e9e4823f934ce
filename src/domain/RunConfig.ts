/**
 * What a run is asked to do. The command line decodes its flags to this; as a library it is written directly.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { CountTokens } from "./TokenSource.ts"

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
 * What every run is asked, whatever its loop.
 *
 * - `graceSeconds`: how long requests in flight may go on once no new one starts, in seconds
 * - `requestTimeoutSeconds`: limit for a single request, in seconds; `null` for none
 * - `samePrompts`: whether prompts may begin alike, so that a server finds their beginnings in its cache; when left out each begins with
 *   words of its own, unless `promptMode` is `llmperf`
 * - `warmup`: open connections and exercise the client's own code first, without asking the model for anything
 * - `warmupRequests`: real requests sent and dropped before the clock starts
 * - `countTokens`: whose count of output tokens leads
 * - `runId`: begins every `x-request-id` and is kept in the results
 * - `resultsDir`: `null` to save nothing
 *
 * @category models
 * @since 0.2.0
 */
export const RunConfig = Schema.Struct({
  model: Schema.NonEmptyString,
  llmApi: Schema.NonEmptyString,
  graceSeconds: NonNegative,
  requestTimeoutSeconds: Schema.NullOr(Positive),
  additionalSamplingParams: Schema.Record(Schema.String, Schema.Unknown),
  metadata: Schema.Record(Schema.String, Schema.String),
  seed: NaturalInt,
  promptMode: PromptMode,
  samePrompts: Schema.optional(Schema.Boolean),
  countTokens: CountTokens,
  warmup: Schema.Boolean,
  warmupRequests: NaturalInt,
  requestIdHeader: Schema.NullOr(Schema.NonEmptyString),
  runId: Schema.NonEmptyString,
  resultsDir: Schema.NullOr(Schema.NonEmptyString)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface RunConfig extends Schema.Schema.Type<typeof RunConfig> {}

/**
 * A closed loop.
 *
 * - `…Tokens`: lengths, in tokens
 * - `maxNumCompletedRequests`: how many requests are sent in all, `numConcurrentRequests`: how many at a time
 * - `timeoutSeconds`: after this no new request starts; those in flight then have `graceSeconds` to end
 *
 * @category models
 * @since 0.1.0
 */
export const LoadTestConfig = Schema.Struct({
  ...RunConfig.fields,
  meanInputTokens: PositiveInt,
  stddevInputTokens: NonNegative,
  meanOutputTokens: PositiveInt,
  stddevOutputTokens: NonNegative,
  numConcurrentRequests: PositiveInt,
  maxNumCompletedRequests: PositiveInt,
  timeoutSeconds: Positive
})

/**
 * @category models
 * @since 0.1.0
 */
export interface LoadTestConfig extends Schema.Schema.Type<typeof LoadTestConfig> {}

const { maxNumCompletedRequests, numConcurrentRequests, timeoutSeconds } = LoadTestConfig.fields

/**
 * A correctness test: a closed loop too. `additionalSamplingParams` are the user's own, over a temperature of 0.
 *
 * @category models
 * @since 0.2.0
 */
export const CorrectnessConfig = Schema.Struct({
  ...Struct.omit(RunConfig.fields, ["promptMode", "samePrompts"]),
  numConcurrentRequests,
  maxNumCompletedRequests,
  timeoutSeconds
})

/**
 * @category models
 * @since 0.2.0
 */
export interface CorrectnessConfig extends Schema.Schema.Type<typeof CorrectnessConfig> {}

/**
 * What to do with a request that is due while as many are in flight as may be: let it wait (it is then late, and its lag
 * says so), leave it out, or end the test.
 *
 * @category models
 * @since 0.2.0
 */
export const WhenFull = Schema.Literals(["queue", "drop", "abort"])

/**
 * @category models
 * @since 0.2.0
 */
export type WhenFull = typeof WhenFull.Type

/**
 * An open loop: requests are sent when they are due.
 *
 * - `timeoutSeconds`: after this no new request starts; `null`: all are sent
 * - `maxInFlight`: most requests in flight, `null` for no limit; `whenFull`: what happens to those that find no place
 * - `maxSampledRequestsPerSecond`: how many requests of each second are measured, evenly picked; `null` for all
 *
 * @category models
 * @since 0.2.0
 */
export const ReplayConfig = Schema.Struct({
  ...RunConfig.fields,
  timeoutSeconds: Schema.NullOr(Positive),
  maxInFlight: Schema.NullOr(PositiveInt),
  whenFull: WhenFull,
  maxSampledRequestsPerSecond: Schema.NullOr(NaturalInt)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface ReplayConfig extends Schema.Schema.Type<typeof ReplayConfig> {}
