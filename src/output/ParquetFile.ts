/**
 * Tables as Apache Parquet, written as the rows come.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from "hyparquet-writer"

/**
 * A column; every value may be `null`. `INT64` takes whole numbers up to 2⁵³, `STRING` is UTF-8.
 *
 * @category models
 * @since 0.2.0
 */
export interface Column {
  readonly name: string
  readonly type: "INT64" | "DOUBLE" | "BOOLEAN" | "STRING"
}

/**
 * The values of a row, in the order of the columns.
 *
 * @category models
 * @since 0.2.0
 */
export type Row = ReadonlyArray<string | number | boolean | null>

/**
 * So many rows are held in memory, and become one row group.
 *
 * @category constants
 * @since 0.2.0
 */
export const ROW_GROUP_ROWS = 20_000

/**
 * The bytes of a file with these columns, a piece per row group; compressed with Snappy. `about` is told in the metadata of the
 * file. At least one column and one row: a file without rows is not read by every implementation.
 *
 * @category encoding
 * @since 0.2.0
 */
export const encode =
  (
    columns: ReadonlyArray<Column>,
    options: {
      readonly rowGroupRows?: number | undefined
      readonly about?: { readonly [key: string]: string } | undefined
    } = {}
  ) =>
  <E, R>(rows: Stream.Stream<Row, E, R>): Stream.Stream<Uint8Array, E, R> =>
    Stream.suspend(() => {
      const about = Object.entries(options.about ?? {}).map(([key, value]) => ({ key, value }))
      const bytes = new ByteWriter()
      const writer = new ParquetWriter({
        writer: bytes,
        schema: schemaFromColumnData({ columnData: columnsOf(columns, []) }),
        createdBy: "llmperf",
        // An empty list would be written as one of bytes, which strict readers refuse
        ...(about.length === 0 ? {} : { kvMetadata: about })
      })
      const taken = (): Uint8Array => {
        const piece = bytes.getBytes().slice()
        // Its offset goes on: places in the file are counted from its beginning
        bytes.index = 0
        return piece
      }
      const groups = rows.pipe(
        Stream.grouped(options.rowGroupRows ?? ROW_GROUP_ROWS),
        Stream.mapEffect((group) =>
          Effect.sync(() => {
            // A writer in memory has nothing to wait for
            void writer.write({ columnData: columnsOf(columns, group), rowGroupSize: group.length })
            return taken()
          })
        )
      )
      const end = Stream.sync(() => {
        void writer.finish()
        return taken()
      })
      return Stream.concat(groups, end)
    })

const columnsOf = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<Row>): Array<ColumnSource> =>
  columns.map(({ name, type }, index) => ({
    name,
    type,
    data: rows.map((row) => {
      const value = row[index] ?? null
      return type === "INT64" && typeof value === "number" ? BigInt(value) : value
    })
  }))
