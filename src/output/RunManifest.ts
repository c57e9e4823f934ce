/**
 * `run.json`: what a run is, written before its first request, so that its summary can be made from its records when the
 * run is killed. `docs/results.md` describes its keys.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AtomicFile from "./AtomicFile.ts"
import * as InputFile from "./InputFile.ts"
import * as Json from "./internal/Json.ts"
import * as Text from "./internal/text.ts"
import { fromPlatformError, type OutputError } from "./OutputError.ts"

/**
 * The version of the format, the value of `format`.
 *
 * @category constants
 * @since 0.2.0
 */
export const FORMAT = 1

const MOST_BYTES = 16_000_000

/** The name of a file that lies in the folder of the run and nowhere else. */
const FileName = Schema.String.check(Schema.isPattern(/^[^/\\\0]{1,250}$/))

const Fields = Schema.Record(Schema.String, Schema.Unknown)

/**
 * What is known of a run before it begins.
 *
 * - `files`: the names of the two files of results, without `.json`; see `ResultFiles.Names`
 * - `resultsPrefix`, `parameters`, `details`, `metadata`: parts of the summary, see `ResultFiles.DocumentParts`
 * - `startTime`: epoch seconds
 * - `planned`: how many requests there are, `null` when that is not known
 * - `openLoop`: whether requests have due times
 *
 * @category models
 * @since 0.2.0
 */
export const RunManifest = Schema.Struct({
  runId: Schema.NonEmptyString,
  files: Schema.Struct({ summary: FileName, individualResponses: FileName }).pipe(
    Schema.encodeKeys({ individualResponses: "individual_responses" })
  ),
  resultsPrefix: Schema.String,
  startTime: Schema.Finite,
  planned: Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  openLoop: Schema.Boolean,
  parameters: Fields,
  details: Fields,
  metadata: Fields
})

/**
 * @category models
 * @since 0.2.0
 */
export interface RunManifest extends Schema.Schema.Type<typeof RunManifest> {}

const File = Schema.Struct({ format: Schema.Literal(FORMAT), ...RunManifest.fields }).pipe(
  Schema.encodeKeys({
    runId: "run_id",
    resultsPrefix: "results_prefix",
    startTime: "start_time",
    openLoop: "open_loop"
  })
)

/**
 * `path` cannot be read as a manifest. `missing`: there is no such file.
 *
 * @category errors
 * @since 0.2.0
 */
export class ManifestError extends Schema.TaggedError<ManifestError>("llmperf/output/ManifestError")("ManifestError", {
  path: Schema.String,
  missing: Schema.Boolean,
  problem: Schema.String
}) {
  override get message(): string {
    return `Cannot read ${this.path}: ${this.problem}`
  }
}

/**
 * Writes the manifest, as a whole or not at all. Values that JSON does not have are a defect.
 *
 * @category writing
 * @since 0.2.0
 */
export const write = Effect.fn("RunManifest.write")(function* (
  path: string,
  manifest: RunManifest
): Effect.fn.Return<void, OutputError, FileSystem.FileSystem | Path.Path> {
  const encoded = yield* Effect.orDie(encode({ format: FORMAT, ...manifest }))
  yield* AtomicFile.write(path, Stream.succeed(`${Json.stringify(encoded)}\n`), fromPlatformError(path))
})

/**
 * Reads a manifest and checks all of it.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("RunManifest.read")(function* (
  path: string
): Effect.fn.Return<RunManifest, ManifestError, FileSystem.FileSystem> {
  const broken = (problem: string) => new ManifestError({ path, missing: false, problem })
  const { text } = yield* InputFile.read(path, { mostBytes: MOST_BYTES }).pipe(
    Effect.mapError(({ missing, problem }) => new ManifestError({ path, missing, problem }))
  )
  const json = yield* Effect.mapError(parse(text), () => broken("it is not JSON"))
  const { format } = yield* Effect.mapError(decodeFormat(json), () => broken("it is not the manifest of a run"))
  if (format !== FORMAT) {
    return yield* broken(`it has format ${format}, and this version of llmperf reads format ${FORMAT}`)
  }
  const { format: _, ...manifest } = yield* Effect.mapError(decode(json), (error) =>
    broken(Text.oneLine(error.message))
  )
  return manifest
})

const encode = Schema.encodeEffect(File)
const parse = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))
const decodeFormat = Schema.decodeUnknownEffect(Schema.Struct({ format: Schema.Finite }))
const decode = Schema.decodeUnknownEffect(File)
