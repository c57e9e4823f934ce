/**
 * The results of a run in the formats of other tools: its requests or their chunks as a table, its summary as metrics.
 * `docs/export.md` describes them.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AtomicFile from "./AtomicFile.ts"
import * as ChunkTimes from "./ChunkTimes.ts"
import { csvLine } from "./internal/csvLine.ts"
import { chunkRows, chunkText, parquetColumns } from "./internal/exportChunks.ts"
import type { Column, Kind } from "./internal/exportColumns.ts"
import { tableOf } from "./internal/exportRows.ts"
import { textBytes } from "./internal/textBytes.ts"
import * as OpenMetrics from "./OpenMetrics.ts"
import { fromPlatformError, OutputError } from "./OutputError.ts"
import * as ParquetFile from "./ParquetFile.ts"
import * as RunReader from "./RunReader.ts"

/**
 * What can be written: requests as `csv`, `parquet` or `ndjson`, or the summary as `prometheus` or `openmetrics`.
 *
 * @category models
 * @since 0.2.0
 */
export const Format = Schema.Literals(["csv", "parquet", "ndjson", "prometheus", "openmetrics"])

/**
 * @category models
 * @since 0.2.0
 */
export type Format = typeof Format.Type

const extensions: ReadonlyMap<string, Format> = new Map([
  [".csv", "csv"],
  [".parquet", "parquet"],
  [".pq", "parquet"],
  [".ndjson", "ndjson"],
  [".jsonl", "ndjson"],
  [".prom", "prometheus"],
  [".openmetrics", "openmetrics"],
  [".om", "openmetrics"]
])

/**
 * The format that the name of a file says, `null` when it says none.
 *
 * @category getters
 * @since 0.2.0
 */
export const formatOf = (file: string): Format | null =>
  extensions.get(/\.[^./\\]+$/.exec(file)?.[0].toLowerCase() ?? "") ?? null

/**
 * A run that cannot be put into the format.
 *
 * @category errors
 * @since 0.2.0
 */
export class ExportError extends Schema.TaggedError<ExportError>("llmperf/output/ExportError")("ExportError", {
  path: Schema.String,
  format: Format,
  problem: Schema.String,
  advice: Schema.String
}) {
  override get message(): string {
    return `Cannot export ${this.path} as ${this.format}: ${this.problem}. ${this.advice}`
  }
}

/**
 * Whether the format is of the summary, which a run has only at its end.
 *
 * @category getters
 * @since 0.2.0
 */
export const isOfSummary = (format: Format): format is "prometheus" | "openmetrics" =>
  format === "prometheus" || format === "openmetrics"

/**
 * The run in that format. Requests go through as they are read: a run of any length fits.
 *
 * Fails with `ExportError` when there is no summary and the format is of it, when there are no requests for Parquet, or when a record has a value that its column does
 * not take, or a key that the first record did not have.
 *
 * @category encoding
 * @since 0.2.0
 */
export const encode = (
  run: RunReader.FinishedRun,
  format: Format
): Stream.Stream<Uint8Array, ExportError | RunReader.RunReadError, FileSystem.FileSystem> => {
  if (isOfSummary(format)) return run.summarized ? metrics(run, format) : Stream.fail(noSummary(run, format))
  if (format === "ndjson") return ndjson(run)
  return format === "csv" ? csv(run) : parquet(run)
}

/**
 * The formats of chunks.
 *
 * @category models
 * @since 0.2.0
 */
export type ChunkFormat = Exclude<Format, "prometheus" | "openmetrics">

/**
 * The chunks of a run, a row each: `request_id`; `chunk`, which counts from 1 within the request; and in seconds
 * `arrival_offset_s` after the start of the run, `since_sent_s` after the request was written, and `gap_s` after the chunk before, `null` for
 * the first. Requests go through as they are read, in the order of the file. Fails with `ExportError` when there are no chunks for Parquet.
 *
 * @category encoding
 * @since 0.2.0
 */
export const encodeChunks = (
  file: ChunkTimes.ChunkFile,
  format: ChunkFormat
): Stream.Stream<Uint8Array, ChunkTimes.ChunkTimesError | ExportError, FileSystem.FileSystem> =>
  format === "parquet" ? parquetOfChunks(file) : textBytes(chunkText(file.requests, format))

/**
 * The chunk times of a run, as `findChunks` finds them. `ExportError` when there are none.
 *
 * @category reading
 * @since 0.2.0
 */
export const openChunks = Effect.fn("Export.openChunks")(function* (
  given: string,
  format: ChunkFormat
): Effect.fn.Return<
  ChunkTimes.ChunkFile,
  ChunkTimes.ChunkTimesError | ExportError | RunReader.RunReadError,
  FileSystem.FileSystem | Path.Path
> {
  const found = yield* findChunks(given)
  if (found !== null) return found
  return yield* new ExportError({
    path: given,
    format,
    problem: "there are no chunk times of it",
    advice: "They are kept by a load test with --chunk-times."
  })
})

/**
 * Finds the chunk times of a run that is given as for `RunReader.open`, or as the file of chunk times itself; `null` when there are
 * none. Several runs may have left theirs in one folder: one that says it is another's is not taken.
 *
 * @category reading
 * @since 0.2.0
 */
export const findChunks = Effect.fn("Export.findChunks")(function* (
  given: string
): Effect.fn.Return<
  ChunkTimes.ChunkFile | null,
  ChunkTimes.ChunkTimesError | RunReader.RunReadError,
  FileSystem.FileSystem | Path.Path
> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { base, dir, ext } = path.parse(given)
  if (ext === ".arrow") return yield* ChunkTimes.open(given)
  const label = /^records(\..+)?\.ndjson$/.exec(base)
  const runId = label === null ? (yield* RunReader.open(given)).summary["run_id"] : null
  const isFolder = (yield* Effect.option(fs.stat(given))).pipe(Option.exists(({ type }) => type === "Directory"))
  const names =
    label === null
      ? ["chunks.arrow", ...(typeof runId === "string" && /^[\w-]+$/.test(runId) ? [`chunks.${runId}.arrow`] : [])]
      : [`chunks${label[1] ?? ""}.arrow`]
  for (const name of names) {
    const file = path.join(isFolder ? given : dir, name)
    const found = yield* Effect.option(fs.stat(file))
    if (Option.isNone(found)) continue
    const opened = yield* ChunkTimes.open(file)
    if (opened.runId === null || typeof runId !== "string" || opened.runId === runId) return opened
  }
  return null
})

/**
 * Writes a file, as a whole or not at all.
 *
 * @category writing
 * @since 0.2.0
 */
export const write = Effect.fn("Export.write")(function* <E, R>(
  target: string,
  bytes: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<void, OutputError | E, FileSystem.FileSystem | Path.Path | R> {
  yield* AtomicFile.write(target, bytes, (error) =>
    error.reason._tag === "NotFound"
      ? new OutputError({
          path: target,
          problem: "its folder does not exist",
          advice: "Make the folder, or choose another."
        })
      : fromPlatformError(target)(error)
  )
})

const noSummary = ({ path }: RunReader.FinishedRun, format: Format): ExportError =>
  new ExportError({
    path,
    format,
    problem: "the run has no summary",
    advice:
      "It has not ended yet, or was killed: llmperf recover makes the summary. The requests can be exported as they are."
  })

const metrics = ({ summary }: RunReader.FinishedRun, format: OpenMetrics.Format) =>
  Stream.encodeText(Stream.sync(() => OpenMetrics.render(summary, format)))

const ndjson = ({ records }: RunReader.FinishedRun) =>
  textBytes(Stream.map(records, (record) => `${JSON.stringify(record)}\n`))

const table = (run: RunReader.FinishedRun, format: Format) =>
  tableOf(
    run.records,
    (record, problem) =>
      new ExportError({
        path: run.path,
        format,
        problem: `request record ${record} does not fit into the table: ${problem}`,
        advice: "With --format ndjson records are written as they are."
      })
  )

const csv = (run: RunReader.FinishedRun) =>
  Stream.unwrap(
    Effect.map(table(run, "csv"), ({ columns, rows }) =>
      textBytes(Stream.concat(Stream.succeed(csvLine(columns.map(({ name }) => name))), Stream.map(rows, csvLine)))
    )
  )

const noRows = (path: string, rows: "chunks" | "requests"): ExportError =>
  new ExportError({
    path,
    format: "parquet",
    problem: `it holds no ${rows}`,
    advice: "Not every reader takes a Parquet file without rows; the other formats can be empty."
  })

const parquetTypes: { readonly [kind in Kind]: ParquetFile.Column["type"] } = {
  text: "STRING",
  code: "STRING",
  json: "STRING",
  number: "DOUBLE",
  integer: "INT64",
  count: "INT64",
  boolean: "BOOLEAN"
}

const aboutRun = (id: unknown): { readonly [key: string]: string } =>
  typeof id === "string" ? { "llmperf.run_id": id } : {}

const parquetColumn = ({ kind, name }: Column): ParquetFile.Column => ({ name, type: parquetTypes[kind] })

const parquet = (run: RunReader.FinishedRun) =>
  Stream.unwrap(
    Effect.map(table(run, "parquet"), ({ columns, isEmpty, rows }) => {
      if (isEmpty) return Stream.fail(noRows(run.path, "requests"))
      return ParquetFile.encode(columns.map(parquetColumn), { about: aboutRun(run.summary["run_id"]) })(rows)
    })
  )

const parquetOfChunks = ({ path, requests, runId }: ChunkTimes.ChunkFile): ReturnType<typeof encodeChunks> =>
  Stream.unwrap(
    Effect.map(Stream.runHead(chunkRows(requests)), (first): ReturnType<typeof encodeChunks> => {
      if (Option.isNone(first)) return Stream.fail(noRows(path, "chunks"))
      return ParquetFile.encode(parquetColumns, { about: aboutRun(runId) })(chunkRows(requests))
    })
  )
