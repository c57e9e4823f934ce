/**
 * Makes the summary of a finished run anew from its records, of a part of the run or of all of it, without running again.
 * `docs/export.md` says what it can and what it cannot.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Fields } from "../domain/Fields.ts"
import { CorrectnessSummary } from "../domain/CorrectnessResults.ts"
import { Summary } from "../domain/Summary.ts"
import { fromPlatformError, type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunReader from "../output/RunReader.ts"
import { type Cut, take, type Taken, taken as recordsTaken } from "./internal/analysisRows.ts"

/**
 * What is taken of the run.
 *
 * - `path`: its results folder, or one of its files
 * - `fromSeconds`, `toSeconds`: requests sent at this moment or later, and before this moment, in seconds after the start of the
 *   run; a request that was never sent counts where it was due
 * - `skipFirst`: without the first so many of the plan
 * - `warmUpSeconds`: without those sent in the first so many seconds; the later of this and `fromSeconds` counts
 * - `only`: `sampled` leaves out what is in no distribution of the run; `all` puts it into the distributions. Left out, both are
 *   as they were in the run
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly path: string
  readonly fromSeconds?: number | undefined
  readonly toSeconds?: number | undefined
  readonly skipFirst?: number | undefined
  readonly warmUpSeconds?: number | undefined
  readonly only?: "sampled" | "all" | undefined
}

/**
 * - `name`: the name of the summary that `publish` writes, without `.json`
 * - `document`: the summary as it stands in the file, flat
 * - `records`: the requests that were taken, read anew from the files of the run
 * - `kept`, `leftOut`: how many requests were taken, and how many were not
 * - `remarks`: what a reader of the numbers must know
 *
 * @category models
 * @since 0.2.0
 */
export interface Analysis {
  readonly name: string
  readonly model: string | null
  readonly runId: string | null
  readonly summary: Summary
  readonly document: ResultFiles.Document
  readonly records: Stream.Stream<Fields, RunReader.RunReadError, FileSystem.FileSystem>
  readonly kept: number
  readonly leftOut: number
  readonly remarks: ReadonlyArray<string>
}

/**
 * The run at `path` cannot be analyzed. `problem` says why, `advice` what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class AnalysisError extends Schema.TaggedError<AnalysisError>("llmperf/engine/AnalysisError")("AnalysisError", {
  path: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `Cannot analyze ${this.path}: ${this.problem}.${this.advice === "" ? "" : ` ${this.advice}`}`
  }
}

/**
 * Folds the records into a summary. The wall time begins where the part begins: at `fromSeconds` or the end of the warm-up, or,
 * when the first requests are skipped, with the first one taken. It ends where the run ended, or, with `toSeconds`, with the last
 * request taken.
 *
 * Fails when there is no such run, its records are LLMPerf's or damaged, or nothing is left of it.
 *
 * @category running
 * @since 0.2.0
 */
export const analyze = Effect.fn("Analysis.analyze")(function* (
  options: Options
): Effect.fn.Return<Analysis, AnalysisError | RunReader.RunReadError, FileSystem.FileSystem | Path.Path> {
  const run = yield* RunReader.open(options.path)
  const path = run.path
  yield* checkWriter(run)
  const cut: Cut = {
    fromSeconds: Math.max(options.fromSeconds ?? 0, options.warmUpSeconds ?? 0),
    toSeconds: options.toSeconds ?? Infinity,
    skipFirst: options.skipFirst ?? 0,
    only: options.only ?? null
  }
  const taken = yield* take(
    run.records,
    cut,
    (record, problem) =>
      new AnalysisError({ path, problem: `request record ${record} is damaged: ${problem}`, advice: "" })
  )
  if (taken.kept === 0) {
    return yield* new AnalysisError({
      path,
      problem: taken.leftOut === 0 ? "it holds no requests" : `none of its ${taken.leftOut} requests is left`,
      advice: taken.leftOut === 0 ? "" : "Leave less out."
    })
  }
  const written = writtenOf(run.summary)
  const summary = summaryOf(taken, cut, written)
  const base = yield* baseName(run)
  const name = `${base}analyzed_summary`
  return {
    name,
    model: text(run.summary["model"]),
    runId: text(run.summary["run_id"]),
    summary,
    document: documentOf(run.summary, written.prefix, { name, summary, cut, taken }),
    records: recordsTaken(run.records, cut),
    kept: taken.kept,
    leftOut: taken.leftOut,
    remarks: remarks(taken, cut, written, run.summarized)
  }
})

/**
 * Writes the summary, with the time of writing, and the individual responses that it is made of into a folder, which is made when it
 * is not there: as `<name>_analyzed_summary.json` and `<name>_analyzed_individual_responses.json`, which are read as those of a
 * run are.
 *
 * @category writing
 * @since 0.2.0
 */
export const publish = Effect.fn("Analysis.publish")(function* (
  directory: string,
  { document, name, records }: Analysis
): Effect.fn.Return<ResultFiles.Published, OutputError | RunReader.RunReadError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.makeDirectory(directory, { recursive: true }), fromPlatformError(directory))
  return yield* ResultFiles.publish({
    directory,
    names: { summary: name, individualResponses: name.replace(/summary$/, "individual_responses") },
    summary: ({ timestamp }) => new Map(document).set("timestamp", timestamp),
    records
  })
})

const text = (value: unknown): string | null => (typeof value === "string" ? value : null)

/** The records of LLMPerf say neither when a request was sent after the start of the run nor what was planned. */
const checkWriter = Effect.fnUntraced(function* ({ path, records }: RunReader.FinishedRun) {
  const first = yield* Stream.runHead(records)
  if (Option.isSome(first) && !("sent_offset_s" in first.value)) {
    return yield* new AnalysisError({
      path,
      problem: "LLMPerf wrote it, and its records do not hold what a summary is made of",
      advice: "llmperf compare and llmperf export read such results."
    })
  }
})

/** What the file of the summary is named after: `X_` of `X_summary.json`, nothing in the folder of a schedule. */
const baseName = Effect.fnUntraced(function* ({ path: given, summary }: RunReader.FinishedRun) {
  const path = yield* Path.Path
  const file = path.basename(given, ".json")
  // With --metadata a name may be anything
  const name = file.endsWith("summary") ? file : path.basename(text(summary["name"]) ?? "")
  return name.endsWith("summary") ? name.slice(0, -"summary".length) : ""
})

/** What the run itself said of the things that are in no record. */
interface Written {
  readonly prefix: string
  readonly wallSeconds: number | null
  readonly unsent: number
  readonly unsampled: number
  readonly openLoop: { readonly queued: number | null; readonly dropped: number | null } | null
}

const PREFIX = "results_"

const writtenOf = (summary: Fields): Written => {
  const hasPrefix = Object.keys(summary).some((key) => key.startsWith(PREFIX))
  const prefix = hasPrefix || !("schedule_file" in summary) ? PREFIX : ""
  const number = (key: string): number | null => {
    const value = summary[prefix + key]
    return typeof value === "number" ? value : null
  }
  const inFlight = summary["num_concurrent_requests"]
  return {
    prefix,
    wallSeconds: number("wall_time_s"),
    unsent: number("num_unsent_requests") ?? 0,
    unsampled: number("num_unsampled_requests") ?? 0,
    openLoop:
      inFlight === null || inFlight === "scheduled"
        ? { queued: number("num_queued_requests"), dropped: number("num_dropped_requests") }
        : null
  }
}

const isWhole = ({ fromSeconds, skipFirst, toSeconds }: Cut): boolean =>
  fromSeconds === 0 && skipFirst === 0 && toSeconds === Infinity

const summaryOf = ({ firstSent, lastEnd, sink }: Taken, cut: Cut, written: Written): Summary => {
  const begin = cut.skipFirst > 0 ? (firstSent ?? 0) : cut.fromSeconds
  const end = cut.toSeconds === Infinity ? (written.wallSeconds ?? lastEnd ?? 0) : (lastEnd ?? 0)
  const whole = isWhole(cut)
  const summary = sink.summary({
    wallSeconds: end - begin,
    unsent: whole ? written.unsent : 0,
    openLoop: written.openLoop === null ? null : { queued: 0, dropped: 0 }
  })
  return {
    ...summary,
    num_queued_requests: whole ? (written.openLoop?.queued ?? null) : null,
    num_dropped_requests: whole ? (written.openLoop?.dropped ?? null) : null
  }
}

const ofAnswers = new Set(Object.keys(CorrectnessSummary.fields))

/** Judgements of the whole run: they need not hold for a part of it, and what they are made of is in no record. */
const isJudgement = (key: string): boolean => /^(verdict|health)(_|$)/.test(key) || ofAnswers.has(key)

const resultNames = Object.keys(Summary.fields)

/** The summary's own keys stay, in their places, but for results and judgements. */
const documentOf = (
  written: Fields,
  prefix: string,
  made: { readonly name: string; readonly summary: Summary; readonly cut: Cut; readonly taken: Taken }
): ResultFiles.Document => {
  const isResult = (key: string): boolean =>
    key.startsWith(prefix) && resultNames.some((name) => key === prefix + name || key.startsWith(`${prefix + name}_`))
  const before: { [key: string]: unknown } = {}
  const after: { [key: string]: unknown } = {}
  let passed = false
  for (const [key, value] of Object.entries(written)) {
    if (isResult(key)) passed = true
    else if (!isJudgement(key) && !["version", "name", "timestamp"].includes(key))
      (passed ? after : before)[key] = value
  }
  const { cut, name, summary, taken } = made
  return ResultFiles.document({
    name,
    parameters: before,
    results: summary,
    resultsPrefix: prefix,
    details: {
      ...after,
      analysis: {
        from_s: cut.fromSeconds,
        to_s: cut.toSeconds === Infinity ? null : cut.toSeconds,
        skip_first: cut.skipFirst,
        only: cut.only,
        num_requests_left_out: taken.leftOut
      }
    },
    metadata: {},
    timestamp: 0
  })
}

const remarks = (
  { kept, leftOut, unsampled }: Taken,
  cut: Cut,
  written: Written,
  summarized: boolean
): ReadonlyArray<string> => [
  `${kept} of ${kept + leftOut} requests are in these numbers.`,
  ...(summarized ? [] : ["The run has no summary: it has not ended yet, or was killed (llmperf recover makes one)."]),
  ...(written.unsampled > 0 && unsampled === 0 && cut.only !== "sampled"
    ? [`${written.unsampled} requests that were not measured have no record here: their records.ndjson is missing.`]
    : []),
  "Inter-chunk latency is unavailable: the gaps were not stored."
]
