/**
 * The two files of results that LLMPerf writes, with its names and keys: `<model>_<in>_<out>_summary.json` and
 * `<model>_<in>_<out>_individual_responses.json`, or `summary.json` and `individual_responses.json` in the folder of a
 * schedule. `docs/results.md` describes them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Stream from "effect/Stream"
import { type Fields } from "../domain/Fields.ts"
import type { Frequency, Summary } from "../domain/Summary.ts"
import { SummarySink } from "../metrics/SummarySink.ts"
import * as AtomicFile from "./AtomicFile.ts"
import * as Json from "./internal/Json.ts"
import { fromPlatformError, type OutputError } from "./OutputError.ts"

/**
 * The version of LLMPerf's format, the value of `version`.
 *
 * @category constants
 * @since 0.1.0
 */
export const FORMAT_VERSION = "2023-08-31"

/**
 * The flat object of a summary file, keys in order. Write it with `stringify`.
 *
 * @category models
 * @since 0.1.0
 */
export type Document = Json.Ordered

/**
 * Named values as they come from outside; nested objects are flattened.
 *
 * @category models
 * @since 0.1.0
 */
export type { Fields }

/**
 * What a load test was asked for, the first keys of its summary. `numConcurrentRequests` is `null` in an open loop, which
 * has no such number.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parameters {
  readonly model: string
  readonly meanInputTokens: number
  readonly stddevInputTokens: number
  readonly meanOutputTokens: number
  readonly stddevOutputTokens: number
  readonly numConcurrentRequests: number | null
  readonly additionalSamplingParams: Fields
}

/**
 * What the run of a schedule was asked for.
 *
 * - `launched`, `unsampled`: the requests of the schedule that are measured, and the others
 * - `scheduleFile`: the path as it was given
 * - `resultsSubdir`: the folder of the run, `null` when nothing is saved
 *
 * @category models
 * @since 0.2.0
 */
export interface ScheduleParameters {
  readonly model: string
  readonly launched: number
  readonly unsampled: number
  readonly scheduleFile: string
  readonly resultsSubdir: string | null
  readonly additionalSamplingParams: Fields
}

/**
 * The parts of a summary file, in the order in which they stand there:
 *
 * - `name`: the file name without `.json`
 * - `parameters`: what was asked for, see `parameters`
 * - `results`: the numbers, each key with `resultsPrefix` before it
 * - `details`: more about the run (tokenizer, seed, …)
 * - `metadata`: what the user gave with `--metadata`; see `reservedMetadata`
 * - `timestamp`: epoch seconds
 *
 * @category models
 * @since 0.1.0
 */
export interface DocumentParts {
  readonly name: string
  readonly parameters: Fields
  readonly results: Summary
  readonly resultsPrefix: string
  readonly details: Fields
  readonly metadata: Fields
  readonly timestamp: number
}

/**
 * The paths of the published files.
 *
 * @category models
 * @since 0.1.0
 */
export interface Published {
  readonly summary: string
  readonly individualResponses: string
}

/**
 * The names of the two files, without `.json`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Names {
  readonly summary: string
  readonly individualResponses: string
}

const MAX_MODEL_BYTES = 180

/**
 * The beginning of both file names: `{model}_{mean input tokens}_{mean output tokens}`, where everything that is not a
 * letter, a digit, `_` or `-` has become `-`, and several `-` one. A model name beyond 180 bytes is cut, because file
 * systems take no name above 255.
 *
 * @category naming
 * @since 0.1.0
 */
export const baseName = (model: string, meanInputTokens: number, meanOutputTokens: number): string =>
  baseOf(model, `_${meanInputTokens}_${meanOutputTokens}`)

const baseOf = (model: string, rest: string): string => {
  let name = ""
  let bytes = 0
  for (const character of sanitize(model)) {
    bytes += Buffer.byteLength(character)
    if (bytes > MAX_MODEL_BYTES) break
    name += character
  }
  return `${name}${sanitize(rest)}`.replaceAll(/-+/g, "-")
}

/**
 * The names of the files of a load test: `baseName`, then `_summary` and `_individual_responses`.
 *
 * @category naming
 * @since 0.2.0
 */
export const names = (model: string, meanInputTokens: number, meanOutputTokens: number): Names =>
  namesAfter(baseName(model, meanInputTokens, meanOutputTokens))

/**
 * The names of the files of a correctness test: `{model}_correctness_summary` and so on, made as those of a load test.
 *
 * @category naming
 * @since 0.2.0
 */
export const correctnessNames = (model: string): Names => namesAfter(baseOf(model, "_correctness"))

const namesAfter = (base: string): Names => ({
  summary: `${base}_summary`,
  individualResponses: `${base}_individual_responses`
})

/**
 * The names in the folder of a schedule run.
 *
 * @category naming
 * @since 0.2.0
 */
export const scheduleNames: Names = { summary: "summary", individualResponses: "individual_responses" }

const sanitize = (text: string): string => text.replaceAll(/[^\p{L}\p{N}_-]+/gu, "-").replaceAll(/-+/g, "-")

/**
 * LLMPerf's keys for the parameters of a load test, in its order. No sampling parameters leave no key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parameters = (parameters: Parameters): Fields => ({
  model: parameters.model,
  mean_input_tokens: parameters.meanInputTokens,
  stddev_input_tokens: parameters.stddevInputTokens,
  mean_output_tokens: parameters.meanOutputTokens,
  stddev_output_tokens: parameters.stddevOutputTokens,
  num_concurrent_requests: parameters.numConcurrentRequests,
  additional_sampling_params: parameters.additionalSamplingParams
})

/** Mean and standard deviation, in tokens. */
interface Spread {
  readonly mean: number
  readonly stddev: number
}

/**
 * The keys for what the lengths that were asked for come to, when those that are too small are drawn again.
 *
 * @category constructors
 * @since 0.2.0
 */
export const expectedLengths = ({ input, output }: { readonly input: Spread; readonly output: Spread }): Fields => ({
  expected_mean_input_tokens: input.mean,
  expected_stddev_input_tokens: input.stddev,
  expected_mean_output_tokens: output.mean,
  expected_stddev_output_tokens: output.stddev
})

/**
 * LLMPerf's keys for the parameters of a schedule, in its order, then the sampling parameters.
 *
 * @category constructors
 * @since 0.2.0
 */
export const scheduleParameters = (parameters: ScheduleParameters): Fields => ({
  model: parameters.model,
  num_concurrent_requests: "scheduled",
  num_launched: parameters.launched,
  num_unsampled: parameters.unsampled,
  schedule_file: parameters.scheduleFile,
  results_subdir: parameters.resultsSubdir,
  additional_sampling_params: parameters.additionalSamplingParams
})

/**
 * The flat object of a summary: nested objects are joined with `_`, an empty object vanishes, lists stay lists. The two
 * frequencies (`error_code_frequency`, `error_reason_frequency`, `finish_reason_frequency`) stay objects, most frequent first.
 *
 * `metadata` may replace `version`, `name` and the parameters, as it may in LLMPerf, and what it replaces keeps its
 * place; it never replaces a result nor `timestamp`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const document = (parts: DocumentParts): Document => {
  const entries = new Map<string, unknown>()
  entries.set("version", FORMAT_VERSION)
  entries.set("name", parts.name)
  flattenAll(entries, parts.parameters)
  const results = resultEntries(parts.results, parts.resultsPrefix)
  for (const [key, value] of results) entries.set(key, value)
  flattenAll(entries, parts.details)
  const metadata = new Map<string, unknown>()
  flattenAll(metadata, parts.metadata)
  for (const [key, value] of metadata) {
    if (!results.has(key) && key !== TIMESTAMP) entries.set(key, value)
  }
  entries.set(TIMESTAMP, Math.floor(parts.timestamp))
  return entries
}

const TIMESTAMP = "timestamp"

/**
 * The keys of user metadata that would collide with results and are therefore not written: to be refused before a run.
 * With a prefix these are all names that begin with it, without one the names of the results.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reservedMetadata = (metadata: Fields, resultsPrefix: string): Array<string> => {
  const entries = new Map<string, unknown>()
  flattenAll(entries, metadata)
  const isOfResults =
    resultsPrefix === "" ? (key: string) => resultKeys().has(key) : (key: string) => key.startsWith(resultsPrefix)
  return [...entries.keys()].filter((key) => key === TIMESTAMP || ofClient.test(key) || isOfResults(key))
}

/** What is said of the client: a verdict must be nobody's but ours. */
const ofClient = /^(verdict|health|calibration)(_|$)/

/** The keys of the results: those of any summary, as they do not depend on the numbers. */
const resultKeys = (): Entries => resultEntries(new SummarySink().summary({ wallSeconds: 0 }), "")

/**
 * The text of a summary file: JSON, indented by four.
 *
 * @category encoding
 * @since 0.1.0
 */
export const stringify = (document: Document): string => `${Json.stringifyOrdered(document)}\n`

/**
 * Writes both files into `directory`, each as a whole or not at all: a reader sees the earlier file or the new one, never
 * a part. Files of the same name are replaced. `records` are written as they come, without gathering them, but for those
 * that are not measured (`sampled` is `false`); `summary` is given its name and the time of saving in epoch seconds.
 *
 * @category writing
 * @since 0.1.0
 */
export const publish = Effect.fn("ResultFiles.publish")(function* <E, R>(options: {
  readonly directory: string
  readonly names: Names
  readonly summary: (parts: { readonly name: string; readonly timestamp: number }) => Document
  readonly records: Stream.Stream<unknown, E, R>
}): Effect.fn.Return<Published, OutputError | E, FileSystem.FileSystem | Path.Path | R> {
  const path = yield* Path.Path
  const name = options.names.summary
  const published: Published = {
    summary: path.join(options.directory, `${name}.json`),
    individualResponses: path.join(options.directory, `${options.names.individualResponses}.json`)
  }
  // The records first: whoever waits for the summary finds the other file complete
  yield* AtomicFile.write(
    published.individualResponses,
    jsonArray(Stream.filter(options.records, isMeasured)),
    fromPlatformError(published.individualResponses)
  )
  const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  yield* AtomicFile.write(
    published.summary,
    Stream.succeed(stringify(options.summary({ name, timestamp }))),
    fromPlatformError(published.summary)
  )
  return published
})

const isMeasured = (record: unknown): boolean =>
  !(typeof record === "object" && record !== null && "sampled" in record && record.sampled === false)

type Entries = Map<string, unknown>

const resultEntries = (summary: Summary, prefix: string): Entries => {
  const entries: Entries = new Map()
  for (const [key, value] of Object.entries(summary)) {
    if (isFrequency(key)) {
      entries.set(prefix + key, mostFrequentFirst(summary[key]))
    } else {
      flatten(entries, prefix + key, value)
    }
  }
  return entries
}

const isFrequency = (
  key: string
): key is "error_code_frequency" | "error_reason_frequency" | "finish_reason_frequency" =>
  key === "error_code_frequency" || key === "error_reason_frequency" || key === "finish_reason_frequency"

const mostFrequentFirst = (frequency: Frequency): ReadonlyMap<string, number> =>
  new Map(Object.entries(frequency).toSorted((a, b) => b[1] - a[1]))

const flattenAll = (entries: Entries, object: Fields): void => {
  for (const [key, value] of Object.entries(object)) flatten(entries, key, value)
}

const flatten = (entries: Entries, key: string, value: unknown): void => {
  if (value === undefined) return
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    entries.set(key, value)
    return
  }
  for (const [name, inner] of Object.entries(value)) flatten(entries, `${key}_${name}`, inner)
}

/** `[`, the values one by one, `]`, as Python's `json.dump(…, indent=4)` writes a list. */
const jsonArray = <E, R>(values: Stream.Stream<unknown, E, R>): Stream.Stream<string, E, R> =>
  Stream.suspend(() => {
    let first = true
    const elements = Stream.mapArray(values, (chunk) => {
      // A list of the chunk without its brackets: its elements, indented as they have to be
      const text = `${first ? "[" : ","}\n${Json.stringify(chunk).slice(2, -2)}`
      first = false
      return [text] as const
    })
    return Stream.concat(
      elements,
      Stream.suspend(() => Stream.succeed(first ? "[]\n" : "\n]\n"))
    )
  })
