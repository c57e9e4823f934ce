/**
 * Makes the results of a run that did not live to write them, from what it left on the disk: `run.json` and
 * `records.ndjson`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CorrectnessSummary, Mismatch } from "../domain/CorrectnessResults.ts"
import type { RequestRecord } from "../domain/RequestRecord.ts"
import type { Summary } from "../domain/Summary.ts"
import * as HealthSummary from "../metrics/HealthSummary.ts"
import { SummarySink } from "../metrics/SummarySink.ts"
import * as Verdict from "../metrics/Verdict.ts"
import * as CorrectnessFiles from "../output/CorrectnessFiles.ts"
import * as InputFile from "../output/InputFile.ts"
import * as Ndjson from "../output/Ndjson.ts"
import type { OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import * as RunLock from "../output/RunLock.ts"
import * as RunManifest from "../output/RunManifest.ts"
import * as VerdictText from "../output/VerdictText.ts"
import { detailsOf, recoveredAnswers, resultsOf } from "./internal/recoveredAnswers.ts"

/**
 * - `directory`: the folder of the run
 * - `force`: replace the summary of this run if there is one
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly directory: string
  readonly force?: boolean | undefined
}

/**
 * - `document`: the summary as it stands in the file, flat
 * - `notSent`: planned requests without a record: those that were in flight when the run ended, and those never started
 * - `files`: the paths of what was written, the summary first
 * - `answers`: what became of the answers of a correctness test; `null` for every other run
 *
 * @category models
 * @since 0.2.0
 */
export interface Recovered {
  readonly manifest: RunManifest.RunManifest
  readonly summary: Summary
  readonly verdict: Verdict.Verdict
  readonly document: ResultFiles.Document
  readonly notSent: number
  readonly files: ReadonlyArray<string>
  readonly answers: {
    readonly summary: CorrectnessSummary
    readonly mismatches: ReadonlyArray<Mismatch>
  } | null
}

/**
 * A run cannot be recovered from `directory`. `problem` says why, `advice` what to do about it.
 *
 * @category errors
 * @since 0.2.0
 */
export class RecoveryError extends Schema.TaggedError<RecoveryError>("llmperf/engine/RecoveryError")("RecoveryError", {
  directory: Schema.String,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `Cannot recover a run from ${this.directory}: ${this.problem}. ${this.advice}`
  }
}

/**
 * Folds the records of the run and publishes the summary and the individual responses as the run would have, under the
 * names it would have given them. The summary says `stopped: "recovered"`. The wall time is the end of the last request;
 * what is not in the records is `null`: gaps between chunks, how many requests waited for a place or were left out, and how
 * the client was; the verdict is from the records alone. What a
 * run counts besides (inexact prompts, the requests of each worker) is left out.
 * A last line of records that was cut off is left out. The records themselves are not touched.
 *
 * Fails before anything is written when the run cannot be told (`RecoveryError`), `run.json` or the records cannot be read,
 * or the folder holds the summary of this run already and `force` is not set; and when the run, or another one, is still writing into the
 * folder (`FolderInUse`).
 *
 * @category running
 * @since 0.2.0
 */
export const recover = Effect.fn("Recovery.recover")(function* (
  options: Options
): Effect.fn.Return<
  Recovered,
  RecoveryError | RunManifest.ManifestError | Ndjson.RecordsError | OutputError | RunLock.FolderInUse,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const path = yield* Path.Path
  const folder = path.resolve(options.directory)
  const files = RunDirectory.files(path, folder)
  const manifest = yield* readManifest(folder, files.manifest)
  yield* checkRecords(folder, files.records, manifest)
  yield* RunLock.hold(folder)

  const rows = yield* fold(Ndjson.read(files.records))
  const notSent = Math.max(0, (manifest.planned ?? 0) - rows.count)
  const summary: Summary = {
    ...rows.sink.summary({
      wallSeconds: rows.lastEnd,
      unsent: notSent,
      openLoop: manifest.openLoop ? { queued: 0, dropped: 0 } : null
    }),
    // They left no records
    num_queued_requests: null,
    num_dropped_requests: null
  }
  const evidence = { health: null, dispatch: rows.dispatch }
  const verdict = Verdict.judge({ ...evidence, summary, openLoop: manifest.openLoop })
  const answers = yield* recoveredAnswers(files.records, manifest)
  const { warmup, ...details } = manifest.details
  const describe = (parts: { readonly name: string; readonly timestamp: number }): ResultFiles.Document =>
    ResultFiles.document({
      ...parts,
      parameters: { ...resultsOf(answers), ...manifest.parameters },
      results: summary,
      resultsPrefix: manifest.resultsPrefix,
      details: {
        run_id: manifest.runId,
        ...details,
        start_time: rows.start ?? manifest.startTime,
        stopped: "recovered",
        ...detailsOf(answers),
        warmup,
        ...VerdictText.fields({ verdict, health: HealthSummary.make(null, rows.dispatch) })
      },
      metadata: manifest.metadata
    })
  if (options.force !== true) yield* checkSummary(folder, manifest, describe)

  let document: ResultFiles.Document | undefined
  const published = yield* ResultFiles.publish({
    directory: folder,
    names: manifest.files,
    summary: (parts) => (document = describe(parts)),
    records:
      answers === null
        ? Ndjson.readJson(files.records)
        : CorrectnessFiles.responses(Ndjson.readJson(files.records), answers.response)
  })
  return {
    manifest,
    summary,
    verdict,
    document: document ?? describe({ name: manifest.files.summary, timestamp: 0 }),
    notSent,
    files: [published.summary, published.individualResponses],
    answers
  }
}, Effect.scoped)

const readManifest = (folder: string, file: string) =>
  RunManifest.read(file).pipe(
    Effect.catchIf(
      (error) => error.missing,
      () =>
        Effect.flatMap(runsBelow(folder), (below) =>
          Effect.fail(
            new RecoveryError({
              directory: folder,
              problem: "it holds no run.json",
              advice:
                below.length === 0
                  ? "Give the folder that a run wrote its records to."
                  : `There are runs in it: ${below.slice(-3).join(", ")}. Give the folder of one of them.`
            })
          )
        )
    )
  )

/** The folders of runs in a results folder, the latest last. */
const runsBelow = Effect.fnUntraced(
  function* (folder: string) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* fs.readDirectory(folder)
    const candidates = names.filter((name) => name.includes("_schedule_run")).toSorted()
    return yield* Effect.filter(
      candidates.map((name) => path.join(folder, name)),
      (each) => fs.exists(RunDirectory.files(path, each).manifest)
    )
  },
  // They are only a hint
  Effect.orElseSucceed((): ReadonlyArray<string> => [])
)

const checkRecords = Effect.fnUntraced(function* (folder: string, records: string, { runId }: RunManifest.RunManifest) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(fs.exists(records), () => true))) {
    return yield* new RecoveryError({
      directory: folder,
      problem: "it holds no records.ndjson",
      advice: "Without its records nothing is left of a run."
    })
  }
  const found = yield* Ndjson.runIdOf(records)
  if (Option.isSome(found) && found.value !== runId) {
    return yield* new RecoveryError({
      directory: folder,
      problem: `run.json is of the run ${runId} and records.ndjson of the run ${found.value}`,
      advice: "Put those of one run together."
    })
  }
})

interface Rows {
  readonly sink: SummarySink
  readonly dispatch: Verdict.DispatchReport
  readonly count: number
  readonly lastEnd: number
  readonly start: number | null
}

const noGaps = new Float64Array(0)

const fold = <E, R>(records: Stream.Stream<RequestRecord, E, R>): Effect.Effect<Rows, E, R> =>
  Effect.suspend(() => {
    const sink = new SummarySink()
    const tally = new Verdict.DispatchTally()
    let count = 0
    let lastEnd = 0
    let start: number | null = null
    return records.pipe(
      Stream.runForEachArray((chunk) =>
        Effect.sync(() => {
          for (const record of chunk) {
            sink.add({ record, interChunkSeconds: noGaps })
            tally.add(record)
            count++
            lastEnd = Math.max(lastEnd, record.end_offset_s)
            start ??= startOf(record)
          }
        })
      ),
      Effect.map(() => ({ sink, dispatch: tally.report(), count, lastEnd, start }))
    )
  })

/** The start of the run in epoch seconds, to the microsecond: what both times of the end of a request differ by. */
const startOf = ({ end_offset_s, end_time }: RequestRecord): number | null =>
  end_time === null ? null : Math.round((end_time - end_offset_s) * 1e6) / 1e6

/** A summary may name every request that was lost. */
const MOST_SUMMARY_BYTES = 256_000_000

const decodeSummary = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/** Refuses when the summary that is there is of this run, or cannot be told to be of another. */
const checkSummary = Effect.fnUntraced(function* (
  folder: string,
  { files }: RunManifest.RunManifest,
  describe: (parts: { readonly name: string; readonly timestamp: number }) => ResultFiles.Document
) {
  const path = yield* Path.Path
  const name = `${files.summary}.json`
  const read = yield* Effect.result(InputFile.read(path.join(folder, name), { mostBytes: MOST_SUMMARY_BYTES }))
  if (Result.isFailure(read) && read.failure.missing) return
  const mine = describe({ name: files.summary, timestamp: 0 }).get("run_id")
  const summary = Result.isFailure(read) ? Option.none() : decodeSummary(read.success.text)
  if (Option.isSome(summary) && summary.value["run_id"] !== mine) return
  return yield* new RecoveryError({
    directory: folder,
    problem: Option.isSome(summary)
      ? `the summary of the run is there already (${name})`
      : `${name} is there and cannot be read`,
    advice: "To replace it, use --force."
  })
})
