/**
 * The folder that a run writes its results to.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Ndjson from "./Ndjson.ts"
import { fromPlatformError, OutputError } from "./OutputError.ts"
import * as RunLock from "./RunLock.ts"
import { type FolderInUse } from "./RunLock.ts"
import * as RunManifest from "./RunManifest.ts"

/**
 * The files in the folder of a run, besides the two of `ResultFiles`: `records.ndjson`, `run.json`, `chunks.arrow` where chunk
 * times are kept, and in that of a schedule `requests_sent.log` and `schedule.csv`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Files {
  readonly records: string
  readonly manifest: string
  readonly chunks: string
  readonly requestsSent: string
  readonly schedule: string
}

/**
 * A folder that exists and can be written to. `path` and those of the files are absolute; no file is yet at `records`,
 * `manifest`, `chunks` and `requestsSent`. `shown` is the folder as its user would write it; `kept` the path that the records of an
 * earlier run were moved to, `null` when there were none.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunDirectory extends Files {
  readonly path: string
  readonly shown: string
  readonly kept: string | null
}

/**
 * Where the files are in a folder.
 *
 * @category constructors
 * @since 0.2.0
 */
export const files = (path: Path.Path, folder: string): Files => ({
  records: path.join(folder, "records.ndjson"),
  manifest: path.join(folder, "run.json"),
  chunks: path.join(folder, "chunks.arrow"),
  requestsSent: path.join(folder, "requests_sent.log"),
  schedule: path.join(folder, "schedule.csv")
})

/**
 * Makes the folder with its parents, writes a file to it for a trial, and moves what an earlier run appended to out of the
 * way: `records.ndjson` becomes `records.<run id>.ndjson`, and in the same way `requests_sent.log`, `chunks.arrow` and `run.json`. Where no
 * run id can be found, the time of the last change stands in its place. Nothing is overwritten and nothing is deleted. For
 * the time before the run: a folder that cannot be written to fails here, with `OutputError`, and one that another run is writing into with
 * `FolderInUse`. Until the scope closes no other run is let in.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fn("RunDirectory.open")(function* (
  directory: string
): Effect.fn.Return<RunDirectory, OutputError | FolderInUse, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const path = yield* Path.Path
  const folder = path.resolve(directory)
  yield* makeFolder(folder)
  yield* tryWriting(folder)
  return yield* opened(folder, directory)
})

/**
 * The folder of the run of a schedule: `YYYY-MM-DDTHH-MM-SS_schedule_run` in `resultsDir`, the time in UTC, made for this
 * run alone; when another run of the same second was first, `-2`, `-3`, … is added. Without `subdir` it is `resultsDir`
 * itself: a `schedule.csv` of an earlier run is then moved away with its records, unless it `scheduleStays`. For the rest as
 * `open`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const openScheduleRun = Effect.fn("RunDirectory.openScheduleRun")(function* (options: {
  readonly resultsDir: string
  readonly subdir: boolean
  readonly scheduleStays?: boolean | undefined
}): Effect.fn.Return<RunDirectory, OutputError | FolderInUse, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const { resultsDir, scheduleStays = false } = options
  const path = yield* Path.Path
  const parent = path.resolve(resultsDir)
  if (!options.subdir) {
    yield* makeFolder(parent)
    yield* tryWriting(parent)
    return yield* opened(parent, resultsDir, !scheduleStays)
  }
  yield* makeFolder(parent)
  const name = yield* makeOwnFolder(parent)
  const folder = path.join(parent, name)
  yield* tryWriting(folder)
  return yield* opened(folder, path.join(resultsDir, name))
})

const opened = Effect.fnUntraced(function* (folder: string, shown: string, movesSchedule = false) {
  const path = yield* Path.Path
  const there = files(path, folder)
  yield* RunLock.hold(folder)
  const kept = yield* Effect.mapError(keepEarlier(folder, there, movesSchedule), fromPlatformError(there.records))
  return { path: folder, ...there, shown, kept }
})

const makeFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const found = yield* fs.stat(folder).pipe(Effect.option)
  if (Option.isSome(found) && found.value.type !== "Directory") {
    return yield* new OutputError({
      path: folder,
      problem: "it is not a folder",
      advice: "Move that file away, or choose another folder with --results-dir."
    })
  }
  return yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), fromPlatformError(folder))
})

/** Makes a folder that did not exist: of two runs that want the same name, one is told so. */
const makeOwnFolder = Effect.fnUntraced(function* (parent: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const time = DateTime.formatIso(yield* DateTime.now)
    .slice(0, "YYYY-MM-DDTHH:MM:SS".length)
    .replaceAll(":", "-")
  for (let n = 1; ; n++) {
    const name = `${time}_schedule_run${n === 1 ? "" : `-${n}`}`
    const folder = path.join(parent, name)
    const made = yield* fs.makeDirectory(folder).pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => error.reason._tag === "AlreadyExists",
        () => Effect.succeed(false)
      ),
      Effect.mapError(fromPlatformError(folder))
    )
    if (made) return name
  }
})

const tryWriting = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.makeTempFileScoped({ directory: folder, prefix: ".llmperf-" }).pipe(
    Effect.flatMap((file) => fs.writeFileString(file, "trial\n")),
    Effect.scoped,
    Effect.mapError(fromPlatformError(folder))
  )
})

/** Moves what an earlier run left, all of it under one label. Gives the new path of its records. */
const keepEarlier = Effect.fnUntraced(function* (folder: string, there: Files, movesSchedule: boolean) {
  const { chunks, manifest, records, requestsSent, schedule } = there
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const ofRun = yield* Effect.filter([records, manifest, requestsSent, chunks], (file) => fs.exists(file))
  const [first] = ofRun
  if (first === undefined) return null
  const earlier = movesSchedule && (yield* fs.exists(schedule)) ? [...ofRun, schedule] : ofRun
  const label = yield* labelOf(first, records, manifest)
  const keptAs = (file: string, n: number): string => {
    const { ext, name } = path.parse(file)
    return path.join(folder, `${name}.${label}${n === 1 ? "" : `.${n}`}${ext}`)
  }
  for (let n = 1; ; n++) {
    const taken = yield* Effect.filter(earlier, (file) => fs.exists(keptAs(file, n)))
    if (taken.length > 0) continue
    for (const file of earlier) yield* fs.rename(file, keptAs(file, n))
    return first === records ? keptAs(records, n) : null
  }
})

const labelOf = Effect.fnUntraced(function* (first: string, records: string, manifest: string) {
  const fs = yield* FileSystem.FileSystem
  const ofRecords = yield* Ndjson.runIdOf(records)
  if (Option.isSome(ofRecords)) return ofRecords.value
  const ofManifest = yield* Effect.option(RunManifest.read(manifest))
  if (Option.isSome(ofManifest) && isPlain(ofManifest.value.runId)) return ofManifest.value.runId
  const { mtime } = yield* fs.stat(first)
  return Option.match(mtime, {
    onNone: () => "earlier",
    onSome: (date) => DateTime.formatIso(DateTime.fromDateUnsafe(date)).replaceAll(/[:.]/g, "-")
  })
})

/** Whether it can be a part of a file name on every system. */
const isPlain = (runId: string): boolean => /^[\w-]{1,200}$/.test(runId)
