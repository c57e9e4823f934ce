/** Chunk times as a table with a row per chunk. */
import * as Stream from "effect/Stream"
import type { RequestTimes } from "../ChunkTimes.ts"
import type * as ParquetFile from "../ParquetFile.ts"
import { csvLine } from "./csvLine.ts"

const names = ["request_id", "chunk", "arrival_offset_s", "since_sent_s", "gap_s"] as const

/** `null` is what there is not, such as a gap before the first chunk. */
type Row = readonly [id: number, chunk: number, offset: number, sinceSent: number | null, gap: number | null]

export const parquetColumns: ReadonlyArray<ParquetFile.Column> = names.map((name, index) => ({
  name,
  type: index < 2 ? "INT64" : "DOUBLE"
}))

/** The rows of one request. Divided as the numbers of its record are, so that they are equal to those. */
const rowsOf = <A>({ chunkNanos, requestId, sentNanos }: RequestTimes, make: (...row: Row) => A): ReadonlyArray<A> => {
  const rows: Array<A> = []
  let before: number | null = null
  for (const at of chunkNanos) {
    const sinceSent = sentNanos === null ? null : (at - sentNanos) / 1e9
    rows.push(make(requestId, rows.length + 1, at / 1e9, sinceSent, before === null ? null : (at - before) / 1e9))
    before = at
  }
  return rows
}

export const chunkRows = <E, R>(requests: Stream.Stream<RequestTimes, E, R>): Stream.Stream<Row, E, R> =>
  Stream.flattenIterable(Stream.map(requests, (request) => rowsOf(request, (...row) => row)))

const textLine = (...[id, chunk, offset, sinceSent, gap]: Row): string =>
  `${id},${chunk},${offset},${sinceSent ?? ""},${gap ?? ""}\r\n`

const jsonLine = (...[id, chunk, offset, sinceSent, gap]: Row): string =>
  `{"request_id":${id},"chunk":${chunk},"arrival_offset_s":${offset},"since_sent_s":${sinceSent},"gap_s":${gap}}\n`

/** The text of a table, with its header in CSV. */
export const chunkText = <E, R>(
  requests: Stream.Stream<RequestTimes, E, R>,
  format: "csv" | "ndjson"
): Stream.Stream<string, E, R> => {
  const lines = Stream.map(requests, (request) => rowsOf(request, format === "csv" ? textLine : jsonLine).join(""))
  return format === "csv" ? Stream.concat(Stream.succeed(csvLine(names)), lines) : lines
}
