/**
 * `records.ndjson`: one line of JSON per finished request, on disk as soon as it is finished.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { RequestRecord } from "../domain/RequestRecord.ts"
import { type Ended, type Packed } from "../metrics/Ended.ts"
import { type Found, makeJsonLines } from "./internal/jsonLines.ts"
import { lineSink, makeLineWriter } from "./internal/lineWriter.ts"
import * as Text from "./internal/text.ts"
import { type OutputError } from "./OutputError.ts"

/**
 * A file of records cannot be read: line `line` is not what it should be. A last line without its end, as a killed run
 * leaves it, is no such failure.
 *
 * @category errors
 * @since 0.1.0
 */
export class RecordsError extends Schema.TaggedError<RecordsError>("llmperf/output/RecordsError")("RecordsError", {
  path: Schema.String,
  line: Schema.NullOr(Schema.Int),
  problem: Schema.String
}) {
  override get message(): string {
    return this.line === null
      ? `Cannot read ${this.path}: ${this.problem}`
      : `Cannot read ${this.path}, line ${this.line}: ${this.problem}`
  }
}

/**
 * A file that records are appended to.
 *
 * - `sink` writes the rows of all requests that it is given; a batch is in the file before it takes the next. Use either it or `append`
 * - `append` never waits: it puts the record into a queue, from which a fiber writes everything that is waiting in one go
 * - `appendLines` the same with lines that another thread has made with `line`
 * - `failure` never succeeds; it fails when writing has failed. After that nothing more is written, so that the lines
 *   written before stay readable
 * - `close` writes what is waiting, has it put on the disk (fsync) and returns the number of lines in the file. Closing
 *   the scope does the same without telling of a failure
 * - `written` is the number of lines written so far
 * - `stream` reads back what has been written, through the handle of the file: a later run that renames the file does
 *   not confuse it
 *
 * @category models
 * @since 0.1.0
 */
export interface RecordWriter {
  readonly sink: Sink.Sink<void, Ended, never, OutputError>
  readonly append: (record: RequestRecord) => void
  readonly appendLines: (lines: Packed) => void
  readonly failure: Effect.Effect<never, OutputError>
  readonly close: Effect.Effect<number, OutputError>
  readonly written: () => number
  readonly stream: Stream.Stream<unknown, RecordsError>
}

/**
 * Makes the file, which must not exist yet, and keeps it open until the scope closes. Whatever was appended is written
 * before that, also when the run is interrupted. A line has the keys of `RequestRecord`, unless others are given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWriter = Effect.fn("Ndjson.makeWriter")(function* (
  path: string,
  keys: ReadonlyArray<string> = recordKeys
): Effect.fn.Return<RecordWriter, OutputError, FileSystem.FileSystem | Scope.Scope> {
  const writer = yield* makeLineWriter(path, line(keys))
  const { append, appendLines, bytes, close, failure, written } = writer
  const sink = lineSink(
    writer,
    ({ record }) => record,
    ({ records }) => records
  )
  return { sink, append, appendLines, failure, close, written, stream: decode(path, bytes) }
})

/**
 * The lines of a file of records, as JSON values. Reads as it goes: any size of file fits.
 *
 * @category reading
 * @since 0.1.0
 */
export const readJson = (path: string): Stream.Stream<unknown, RecordsError, FileSystem.FileSystem> =>
  Stream.unwrap(Effect.map(FileSystem.FileSystem, (fs) => decode(path, fs.stream(path))))

/**
 * The records of a file, checked against `RequestRecord`.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (path: string): Stream.Stream<RequestRecord, RecordsError, FileSystem.FileSystem> =>
  checked(path, readJson(path))

/**
 * The rows of requests that ended, also of those that another thread or machine has sent and packed. In rows of a test that adds to
 * them, what it adds is left out.
 *
 * @category reading
 * @since 0.2.0
 */
export const records = (ended: Ended): Effect.Effect<ReadonlyArray<RequestRecord>, RecordsError> =>
  ended._tag === "Here"
    ? Effect.succeed(ended.requests.map(({ record }) => record))
    : ended.records === null
      ? Effect.succeed([])
      : Stream.runCollect(checked(ended.sender, decode(ended.sender, Stream.succeed(ended.records.bytes))))

/**
 * The id of the run that wrote a file of records, taken from the `x_request_id` of its first line: `<run id>-<request
 * id>`. None when the file holds no such line.
 *
 * @category reading
 * @since 0.1.0
 */
export const runIdOf = (path: string): Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem> =>
  Stream.runHead(readJson(path)).pipe(
    // A file that cannot be read has no run id; it is kept all the same
    Effect.orElseSucceed(() => Option.none<unknown>()),
    Effect.map((first) =>
      Option.flatMap(first, (json) => {
        const identified = decodeIdentified(json)
        if (Option.isNone(identified)) return Option.none()
        const end = `-${identified.value.request_id}`
        const id = identified.value.x_request_id
        return id.length > end.length && id.endsWith(end) && /^[\w-]+$/.test(id)
          ? Option.some(id.slice(0, -end.length))
          : Option.none()
      })
    )
  )

const decodeRecord = Schema.decodeUnknownEffect(RequestRecord)

const checked = <R>(
  path: string,
  rows: Stream.Stream<unknown, RecordsError, R>
): Stream.Stream<RequestRecord, RecordsError, R> =>
  rows.pipe(
    Stream.zipWithIndex,
    Stream.mapEffect(([json, index]) =>
      Effect.mapError(
        decodeRecord(json),
        (error) => new RecordsError({ path, line: index + 1, problem: Text.oneLine(error.message) })
      )
    )
  )

const decodeIdentified = Schema.decodeUnknownOption(
  Schema.Struct({ request_id: Schema.Int, x_request_id: Schema.String })
)

const recordKeys = Object.keys(RequestRecord.fields)

/**
 * A record as its line, without the end: the keys in this order, those of `RequestRecord` unless others are given, whatever the
 * order in memory. Not a number becomes `null`.
 *
 * @category encoding
 * @since 0.2.0
 */
export const line =
  (keys: ReadonlyArray<string> = recordKeys) =>
  (record: RequestRecord): string => {
    const values: { readonly [key: string]: unknown } = { ...record }
    const ordered: { [key: string]: unknown } = {}
    for (const key of keys) ordered[key] = values[key]
    return JSON.stringify(ordered)
  }

const decode = <E extends { readonly message: string }, R>(
  path: string,
  bytes: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<unknown, RecordsError, R> =>
  Stream.suspend(() => {
    const lines = makeJsonLines()
    let before = 0
    const valuesOf = ({ problem, values }: Found): Stream.Stream<unknown, RecordsError> => {
      before += values.length
      const found = Stream.fromArray(values)
      return problem === null || problem.unterminated
        ? found
        : Stream.concat(found, Stream.fail(new RecordsError({ path, line: before + 1, problem: problem.problem })))
    }
    return bytes.pipe(
      Stream.mapError((error) => new RecordsError({ path, line: null, problem: error.message })),
      Stream.flatMap((piece) => valuesOf(lines.push(piece))),
      Stream.concat(Stream.suspend(() => valuesOf(lines.end())))
    )
  })
