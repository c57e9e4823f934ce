/**
 * The results of a run in the formats of other tools: its requests as a table, its summary as metrics. `docs/export.md`
 * describes them.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Cell, Column, Kind } from "./internal/exportColumns.ts"
import * as AtomicFile from "./AtomicFile.ts"
import { tableOf } from "./internal/exportRows.ts"
import * as OpenMetrics from "./OpenMetrics.ts"
import { fromPlatformError, OutputError } from "./OutputError.ts"
import * as ParquetFile from "./ParquetFile.ts"
import type { FinishedRun, RunReadError } from "./RunReader.ts"

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
  run: FinishedRun,
  format: Format
): Stream.Stream<Uint8Array, ExportError | RunReadError, FileSystem.FileSystem> => {
  if (isOfSummary(format)) return run.summarized ? metrics(run, format) : Stream.fail(noSummary(run, format))
  if (format === "ndjson") return ndjson(run)
  return format === "csv" ? csv(run) : parquet(run)
}

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

const noSummary = ({ path }: FinishedRun, format: Format): ExportError =>
  new ExportError({
    path,
    format,
    problem: "the run has no summary",
    advice:
      "It has not ended yet, or was killed: llmperf recover makes the summary. The requests can be exported as they are."
  })

const metrics = ({ summary }: FinishedRun, format: OpenMetrics.Format) =>
  Stream.encodeText(Stream.sync(() => OpenMetrics.render(summary, format)))

const ndjson = ({ records }: FinishedRun) =>
  records.pipe(
    Stream.mapArray((chunk) => [chunk.map((record) => `${JSON.stringify(record)}\n`).join("")] as const),
    Stream.encodeText
  )

const table = (run: FinishedRun, format: Format) =>
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

const cellText = (cell: Cell): string => (cell === null ? "" : String(cell))

const csv = (run: FinishedRun) =>
  Stream.unwrap(
    Effect.map(table(run, "csv"), ({ columns, rows }) =>
      Stream.concat(
        Stream.succeed(columns.map(({ name }) => name)),
        Stream.map(rows, (row) => row.map(cellText))
      ).pipe(Stream.pipeThroughChannel(Csv.encode()))
    )
  )

const noRequests = ({ path }: FinishedRun): ExportError =>
  new ExportError({
    path,
    format: "parquet",
    problem: "it holds no requests",
    advice: "Not every reader takes a Parquet file without rows; the other formats can be empty."
  })

const parquetTypes: { readonly [kind in Kind]: ParquetFile.Column["type"] } = {
  text: "STRING",
  code: "STRING",
  json: "STRING",
  number: "DOUBLE",
  integer: "INT64",
  boolean: "BOOLEAN"
}

const parquetColumn = ({ kind, name }: Column): ParquetFile.Column => ({ name, type: parquetTypes[kind] })

const parquet = (run: FinishedRun) =>
  Stream.unwrap(
    Effect.map(table(run, "parquet"), ({ columns, isEmpty, rows }) => {
      if (isEmpty) return Stream.fail(noRequests(run))
      const id = run.summary["run_id"]
      return ParquetFile.encode(columns.map(parquetColumn), {
        about: typeof id === "string" ? { "llmperf.run_id": id } : {}
      })(rows)
    })
  )
