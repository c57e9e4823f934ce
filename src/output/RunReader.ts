/**
 * Reads what a finished run left: our files, and those of LLMPerf in any of its versions.
 *
 * @since 0.2.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Fields } from "../domain/Fields.ts"
import * as RequestSeries from "../metrics/RequestSeries.ts"
import { makeElements, parseLoosely } from "./internal/jsonElements.ts"
import * as InputFile from "./InputFile.ts"
import * as Ndjson from "./Ndjson.ts"
import { fromPlatformError } from "./OutputError.ts"
import * as RunManifest from "./RunManifest.ts"

/**
 * A run cannot be read from `path`. `problem` says why, `advice` what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class RunReadError extends Schema.TaggedError<RunReadError>("llmperf/output/RunReadError")("RunReadError", {
  path: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `Cannot read a run from ${this.path}: ${this.problem}.${this.advice === "" ? "" : ` ${this.advice}`}`
  }
}

/**
 * A run that was found.
 *
 * - `path`: as it was given
 * - `summary`: the flat object of the summary; for a run without one, what `run.json` says of it; empty when there is neither
 * - `summarized`: whether there is a summary
 * - `records`: its requests, in the order of the file. The list of individual responses leaves out requests that are not
 *   measured, `records.ndjson` does not: it is read where it is of the same run. Those of a correctness test hold what was asked
 *   for (`expected`), the `verdict` and the `generated_text` too, whichever file they are read from
 * - `manifest`: what `run.json` says of the run; `null` when there is none that can be read, or only one of another run
 *
 * @category models
 * @since 0.2.0
 */
export interface FinishedRun {
  readonly path: string
  readonly summary: Fields
  readonly summarized: boolean
  readonly manifest: RunManifest.RunManifest | null
  readonly records: Stream.Stream<Fields, RunReadError, FileSystem.FileSystem>
}

/**
 * What is compared of a run.
 *
 * - `writer`: whose files they are
 * - `itl`: what its inter-token latency is: time between tokens, or, in some versions of LLMPerf, the time per token with
 *   the TTFT in it
 *
 * @category models
 * @since 0.2.0
 */
export interface LoadedRun {
  readonly path: string
  readonly summary: Fields
  readonly summarized: boolean
  readonly writer: "llmperf" | "LLMPerf"
  readonly itl: "between tokens" | "per token with TTFT"
  readonly series: RequestSeries.RequestSeries
}

const RESPONSES = "individual_responses.json"
const RECORDS = "records.ndjson"
/** Of a later look at a run by `llmperf analyze`. */
const isOfAnalysis = (name: string): boolean => /(^|_)analyzed_(summary|individual_responses)\.json$/.test(name)

const isSummary = (name: string): boolean => /(^|_)summary\.json$/.test(name)

const ADVICE = "Give the results folder of a run, or its summary file."

/**
 * Finds a run by its folder, or by its summary, its individual responses or its records. A folder must hold one run: with
 * several summaries in it, name one. What `llmperf analyze` wrote is found in a folder of its own, or by its name.
 *
 * @category reading
 * @since 0.2.0
 */
export const open = Effect.fn("RunReader.open")(function* (
  given: string
): Effect.fn.Return<FinishedRun, RunReadError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const { type } = yield* Effect.mapError(fs.stat(given), (error) =>
    error.reason._tag === "NotFound"
      ? new RunReadError({ path: given, problem: "there is no such file or folder", advice: ADVICE })
      : unreadable(given, given)(error)
  )
  const found = type === "Directory" ? yield* inFolder(given) : yield* besideFile(given)
  const summary = found.summary === null ? null : yield* readSummary(given, found.summary)
  const manifest = yield* manifestOf(found, summary)
  const run = {
    path: given,
    summary:
      summary ?? (manifest === null ? {} : { ...manifest.parameters, ...manifest.details, ...manifest.metadata }),
    summarized: summary !== null,
    manifest
  }
  if (found.records !== null && (manifest !== null || found.responses === null)) {
    return { ...run, records: lines(given, found.records) }
  }
  if (found.responses === null) {
    return yield* new RunReadError({
      path: given,
      problem: "there are no individual responses beside the summary",
      advice: "They are what is compared: put the file back, under the name that the run gave it."
    })
  }
  return { ...run, records: list(given, found.responses) }
})

/** The manifest of these files. A later run that writes into the same folder leaves one of its own there. */
const manifestOf = Effect.fnUntraced(function* (
  { records, responses, summary: file }: Found,
  summary: Fields | null
): Effect.fn.Return<RunManifest.RunManifest | null, never, FileSystem.FileSystem | Path.Path> {
  const path = yield* Path.Path
  const any = records ?? responses ?? file
  if (any === null) return null
  // Those of earlier runs are `records.<run id>.ndjson` and `run.<run id>.json`
  const name = records === null ? "run.json" : manifestNameOf(path.basename(records))
  if (name === null) return null
  const read = yield* Effect.option(RunManifest.read(path.join(path.dirname(any), name)))
  const isOfRun = ({ files, runId }: RunManifest.RunManifest): boolean => {
    if (summary !== null) return summary["run_id"] === runId
    return records !== null || (responses !== null && path.basename(responses) === `${files.individualResponses}.json`)
  }
  return Option.getOrNull(Option.filter(read, isOfRun))
})

const manifestNameOf = (records: string): string | null => {
  const label = /^records((?:\..+)?)\.ndjson$/.exec(records)?.[1]
  return label === undefined ? null : `run${label}.json`
}

/**
 * Reads all requests of a run into columns.
 *
 * @category reading
 * @since 0.2.0
 */
export const load = Effect.fn("RunReader.load")(function* (
  given: string
): Effect.fn.Return<LoadedRun, RunReadError, FileSystem.FileSystem | Path.Path> {
  const { path, records, summarized, summary } = yield* open(given)
  const rows: Array<RequestSeries.RequestRow> = []
  let ours = false
  let perToken = false
  let first = Infinity
  let last = -Infinity
  yield* Stream.runForEachArray(records, (chunk) =>
    Effect.sync(() => {
      for (const record of chunk) {
        ours ||= "sent_offset_s" in record
        perToken ||= !("mean_inter_token_latency_s" in record) && "inter_token_latency_s" in record
        rows.push(rowOf(record))
        first = Math.min(first, numberOf(record, "start_time") ?? Infinity)
        last = Math.max(last, numberOf(record, "end_time") ?? -Infinity)
      }
    })
  )
  if (rows.length === 0) {
    return yield* new RunReadError({ path, problem: "it holds no requests", advice: "" })
  }
  return {
    path,
    summary,
    summarized,
    writer: ours ? "llmperf" : "LLMPerf",
    itl: perToken ? "per token with TTFT" : "between tokens",
    series: RequestSeries.make(rows, {
      wallSeconds: wallOf(summary) ?? (last > first ? last - first : null),
      // An open loop has no such number: null, or "scheduled"
      places: numberOf(summary, "num_concurrent_requests")
    })
  }
})

/** The wall time: as it is written, or from the completed requests per minute, which LLMPerf writes. */
const wallOf = (summary: Fields): number | null => {
  const result = (key: string): number | null => numberOf(summary, `results_${key}`) ?? numberOf(summary, key)
  const written = result("wall_time_s")
  if (written !== null) return written
  const completed = result("num_completed_requests")
  const perMinute = result("num_completed_requests_per_min")
  return completed !== null && perMinute !== null && perMinute > 0 ? (completed / perMinute) * 60 : null
}

const numberOf = (fields: Fields, key: string): number | null => {
  const value = fields[key]
  return typeof value === "number" && Number.isFinite(value) ? value : null
}

/** LLMPerf writes 0 or −1 where nothing came. */
const positive = (value: number | null): number => (value !== null && value > 0 ? value : NaN)

const inFlight = (record: Fields): number | null => {
  const between = (from: string, to: string): number | null => {
    const start = numberOf(record, from)
    const end = numberOf(record, to)
    return start === null || end === null ? null : Math.max(0, end - start)
  }
  if (record["sent_offset_s"] === null) return 0
  return between("sent_offset_s", "end_offset_s") ?? between("start_time", "end_time")
}

const rowOf = (record: Fields): RequestSeries.RequestRow => {
  const number = (key: string): number | null => numberOf(record, key)
  const outputTokens = number("number_output_tokens")
  const meanBetween = record["mean_inter_token_latency_s"]
  const start = number("sent_offset_s") ?? number("intended_offset_s") ?? number("start_time")
  return {
    start,
    succeeded: record["error_code"] === null,
    sent: "sent_offset_s" in record ? record["sent_offset_s"] !== null : true,
    // null is an answer without a count; a file that has no such key has no tokens
    outputTokens: "number_output_tokens" in record ? outputTokens : 0,
    inFlight: inFlight(record),
    values:
      record["sampled"] === false
        ? {}
        : {
            ttft_s: positive(number("ttft_s")),
            inter_token_latency_s: positive(
              meanBetween === undefined ? number("inter_token_latency_s") : number("mean_inter_token_latency_s")
            ),
            end_to_end_latency_s: positive(number("end_to_end_latency_s")),
            request_output_throughput_token_per_s: number("request_output_throughput_token_per_s") ?? NaN,
            scheduled_ttft_s: number("scheduled_ttft_s") ?? NaN,
            scheduled_end_to_end_latency_s: number("scheduled_end_to_end_latency_s") ?? NaN,
            dispatch_lag_s: number("dispatch_lag_s") ?? NaN,
            time_to_first_answer_s: number("time_to_first_answer_s") ?? NaN,
            number_input_tokens: number("number_input_tokens") ?? NaN,
            number_output_tokens: outputTokens ?? NaN
          }
  }
}

/** The files of a run, `null` for what is not there. */
interface Found {
  readonly summary: string | null
  readonly responses: string | null
  readonly records: string | null
}

const inFolder = Effect.fnUntraced(function* (
  folder: string
): Effect.fn.Return<Found, RunReadError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const all = yield* Effect.mapError(fs.readDirectory(folder), unreadable(folder, folder))
  const full = (name: string | undefined): string | null => (name === undefined ? null : path.join(folder, name))
  const records = full(all.find((name) => name === RECORDS))
  const ofRun = all.filter((name) => !isOfAnalysis(name))
  const isRun = records !== null || ofRun.some((name) => isSummary(name) || name.endsWith(RESPONSES))
  const names = isRun ? ofRun : all
  const summaries = names.filter(isSummary).toSorted()
  const [summary, ...more] = summaries
  if (summary !== undefined && more.length > 0) {
    return yield* new RunReadError({
      path: folder,
      problem: `it holds ${summaries.length} runs`,
      advice: `Give the summary of one: ${summaries.map((name) => path.join(folder, name)).join(", ")}.`
    })
  }
  if (summary !== undefined) return { summary: full(summary), responses: full(responsesOf(summary, names)), records }
  const responses = full(names.find((name) => name.endsWith(RESPONSES)))
  if (records !== null || responses !== null) return { summary: null, responses, records }
  const below = names.filter((name) => name.endsWith("_schedule_run")).toSorted()
  return yield* new RunReadError({
    path: folder,
    problem: "it holds no results",
    advice:
      below.length === 0
        ? ADVICE
        : `A replay has a folder of its own; in this one: ${below.map((name) => path.join(folder, name)).join(", ")}.`
  })
})

const besideFile = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<Found, RunReadError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.dirname(file)
  const name = path.basename(file)
  const names = yield* Effect.mapError(fs.readDirectory(folder), unreadable(file, folder))
  const full = (name: string | undefined): string | null => (name === undefined ? null : path.join(folder, name))
  if (isSummary(name)) {
    // Records are of the whole run
    const records = isOfAnalysis(name) ? null : full(names.find((name) => name === RECORDS))
    return { summary: file, responses: full(responsesOf(name, names)), records }
  }
  if (name.endsWith(RESPONSES)) {
    const before = name.slice(0, -RESPONSES.length)
    const summary = names.find((other) => other === `${before}summary.json` || `_${other}` === `${before}summary.json`)
    return { summary: full(summary), responses: file, records: null }
  }
  // Records of an earlier run in the same folder are `records.<run id>.ndjson`
  if (name.endsWith(".ndjson")) return { summary: null, responses: null, records: file }
  return yield* new RunReadError({ path: file, problem: "it is none of the files that a run writes", advice: ADVICE })
})

/** Beside `X_summary.json` it is `X_individual_responses.json`; some versions of LLMPerf put a `_` before the bare name. */
const responsesOf = (summary: string, names: ReadonlyArray<string>): string | undefined => {
  const name = `${summary.slice(0, -"summary.json".length)}${RESPONSES}`
  return (
    names.find((other) => other === name) ?? names.find((other) => summary === "summary.json" && other === `_${name}`)
  )
}

const unreadable =
  (given: string, path: string) =>
  (error: Parameters<ReturnType<typeof fromPlatformError>>[0]): RunReadError =>
    new RunReadError({ path: given, problem: `${path}: ${fromPlatformError(path)(error).problem}`, advice: "" })

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parsed = (text: string): Effect.Effect<unknown, "not JSON"> =>
  Effect.try({ try: () => parseLoosely(text), catch: () => "not JSON" as const })

/** A summary may name every request that was lost. */
const MOST_SUMMARY_BYTES = 256_000_000

const readSummary = Effect.fnUntraced(function* (given: string, file: string) {
  const { text } = yield* InputFile.read(file, { mostBytes: MOST_SUMMARY_BYTES }).pipe(
    Effect.mapError(({ problem }) => new RunReadError({ path: given, problem: `${file}: ${problem}`, advice: "" }))
  )
  const broken = new RunReadError({ path: given, problem: `${file} is not the JSON object of a summary`, advice: "" })
  const value = yield* Effect.mapError(parsed(text.replace(/^\uFEFF/, "")), () => broken)
  return isFields(value) ? value : yield* broken
})

const isRecord = (value: unknown): value is Fields =>
  isFields(value) && "error_code" in value && ("ttft_s" in value || "end_to_end_latency_s" in value)

const notARecord = (given: string, file: string, number: number): RunReadError =>
  new RunReadError({ path: given, problem: `${file}: number ${number} is not the record of a request`, advice: "" })

const recordIn = (value: unknown): Fields | null => {
  const record = isFields(value) && isRecord(value["metrics"]) ? ofCorrectness(value, value["metrics"]) : value
  return isRecord(record) ? record : null
}

const recordOf = (given: string, file: string, number: number, value: unknown): Effect.Effect<Fields, RunReadError> => {
  const record = recordIn(value)
  return record === null ? Effect.fail(notARecord(given, file, number)) : Effect.succeed(record)
}

/**
 * The record of a response of a correctness test, which `CorrectnessFiles.response` makes of one. What LLMPerf's has for an
 * inter-token latency is the sum of all gaps, or their list.
 */
const ofCorrectness = (response: Fields, metrics: Fields): Fields => {
  const { generated_text, request_config: config, verdict } = response
  const metadata = isFields(config) && isFields(config["metadata"]) ? config["metadata"] : {}
  const { inter_token_latency_s: _, ...others } = metrics
  return {
    ...("sent_offset_s" in metrics ? metrics : others),
    expected: metadata["rnd_number"],
    ...(verdict === undefined ? {} : { verdict }),
    generated_text
  }
}

const lines = (given: string, file: string): FinishedRun["records"] =>
  Ndjson.readJson(file).pipe(
    Stream.mapError(({ line, problem }) => {
      const place = line === null ? file : `${file}, line ${line}`
      return new RunReadError({ path: given, problem: `${place}: ${problem}`, advice: "" })
    }),
    (values) =>
      Stream.suspend(() => {
        let number = 0
        // Many at a time: an effect for each would cost as much as reading it
        return Stream.mapArrayEffect(values, (all) => {
          const records = Arr.map(all, recordIn)
          const wrong = records.findIndex((record) => record === null)
          if (wrong >= 0) return Effect.fail(notARecord(given, file, number + wrong + 1))
          number += all.length
          return Effect.succeed(Arr.map(records, (record) => record ?? {}))
        })
      })
  )

const list = (given: string, file: string): FinishedRun["records"] =>
  Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (fs) => {
      const elements = makeElements()
      const broken = (problem: string) => new RunReadError({ path: given, problem: `${file}: ${problem}`, advice: "" })
      const texts = fs.stream(file).pipe(
        Stream.mapError(unreadable(given, file)),
        Stream.decodeText,
        Stream.flatMap((piece) => Stream.fromArray(elements.push(piece)))
      )
      const whole = Stream.suspend(() =>
        elements.isWhole() ? Stream.empty : Stream.fail(broken("it is not a whole list of records"))
      )
      return Stream.concat(texts, whole).pipe(
        Stream.zipWithIndex,
        Stream.mapEffect(([text, index]) =>
          parsed(text).pipe(
            Effect.mapError(() => broken(`number ${index + 1} is not JSON`)),
            Effect.flatMap((value) => recordOf(given, file, index + 1, value))
          )
        )
      )
    })
  )
