/**
 * The folder that a run writes its results to.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Ndjson from "./Ndjson.ts"
import { fromPlatformError, OutputError } from "./OutputError.ts"

/**
 * A folder that exists and can be written to. `records` is the path of `records.ndjson` in it, where no file is yet;
 * `kept` is the path that the records of an earlier run were moved to, `null` when there were none.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunDirectory {
  readonly path: string
  readonly records: string
  readonly kept: string | null
}

const RECORDS = "records.ndjson"

/**
 * Makes the folder with its parents, writes a file to it for a trial, and moves the records of an earlier run out of the
 * way: `records.ndjson` becomes `records.<run id>.ndjson`, or `records.<time of last change>.ndjson` when its lines do not
 * hold a run id. Nothing is overwritten and nothing is deleted. For the time before the run: a folder that cannot be
 * written to fails here, with `OutputError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fn("RunDirectory.open")(function* (
  directory: string
): Effect.fn.Return<RunDirectory, OutputError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.resolve(directory)

  const found = yield* fs.stat(folder).pipe(Effect.option)
  if (Option.isSome(found) && found.value.type !== "Directory") {
    return yield* new OutputError({
      path: folder,
      problem: "it is not a folder",
      advice: "Move that file away, or choose another folder with --results-dir."
    })
  }
  yield* fs
    .makeDirectory(folder, { recursive: true })
    .pipe(
      Effect.andThen(
        Effect.scoped(
          Effect.flatMap(fs.makeTempFileScoped({ directory: folder, prefix: ".llmperf-" }), (file) =>
            fs.writeFileString(file, "trial\n")
          )
        )
      ),
      Effect.mapError(fromPlatformError(folder))
    )

  const records = path.join(folder, RECORDS)
  const kept = yield* keepEarlier(folder, records).pipe(
    Effect.catchTag("PlatformError", (error) => Effect.fail(fromPlatformError(records)(error)))
  )
  return { path: folder, records, kept }
})

const keepEarlier = Effect.fnUntraced(function* (folder: string, records: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!(yield* fs.exists(records))) return null
  const info = yield* fs.stat(records)
  const label = Option.getOrElse(
    ByteSize.toBigInt(info.size) === 0n ? Option.none<string>() : yield* Ndjson.runIdOf(records),
    () =>
      Option.match(info.mtime, {
        onNone: () => "earlier",
        onSome: (date) => DateTime.formatIso(DateTime.fromDateUnsafe(date)).replaceAll(/[:.]/g, "-")
      })
  )
  for (let n = 1; ; n++) {
    const kept = path.join(folder, `records.${label}${n === 1 ? "" : `.${n}`}.ndjson`)
    if (yield* fs.exists(kept)) continue
    yield* fs.rename(records, kept)
    return kept
  }
})
