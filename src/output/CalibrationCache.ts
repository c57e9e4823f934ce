/**
 * Calibrations that are kept from run to run: a file for every machine and version, in the user's cache folder.
 *
 * @since 0.2.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { Calibrations, type Machine } from "../domain/CalibrationResults.ts"
import * as AtomicFile from "./AtomicFile.ts"
import * as InputFile from "./InputFile.ts"
import * as Json from "./internal/Json.ts"
import { fromPlatformError, OutputError } from "./OutputError.ts"

/** The form of the file; raised when it changes. */
const FORMAT = 1

const MOST_BYTES = 16_000_000

const File = Schema.Struct({ format: Schema.Literal(FORMAT), ...Calibrations.fields })

const encode = Schema.encodeEffect(File)
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(File))

const variable = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.orElseSucceed(() => Option.none<string>()),
    Effect.map(Option.filter((value) => value.trim() !== ""))
  )

/**
 * The folder: `LLMPERF_CACHE_DIR`, or else `llmperf` in `XDG_CACHE_HOME`, or else `.cache/llmperf` in the home folder. `null`
 * when none of these is set.
 *
 * @category reading
 * @since 0.2.0
 */
export const folder: Effect.Effect<string | null, never, Path.Path> = Effect.gen(function* () {
  const path = yield* Path.Path
  const own = yield* variable("LLMPERF_CACHE_DIR")
  if (Option.isSome(own)) return own.value
  // The XDG specification has relative paths ignored
  const caches = Option.filter(yield* variable("XDG_CACHE_HOME"), path.isAbsolute)
  if (Option.isSome(caches)) return path.join(caches.value, "llmperf")
  const home = yield* variable("HOME")
  const anyHome = Option.isSome(home) ? home : yield* variable("USERPROFILE")
  return Option.isSome(anyHome) ? path.join(anyHome.value, ".cache", "llmperf") : null
})

const facts = (machine: Machine): string =>
  JSON.stringify([
    machine.cpu_model,
    machine.cpu_count,
    machine.memory_bytes,
    machine.os,
    machine.node_version,
    machine.llmperf_version
  ])

/**
 * The name of the file of a machine. It says nothing that could be read back.
 *
 * @category getters
 * @since 0.2.0
 */
export const fileName = (machine: Machine): string =>
  `calibration-${createHash("sha256").update(facts(machine)).digest("hex").slice(0, 16)}.json`

/**
 * What is known of a machine, and a word about a file that could not be used, or `null`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Known {
  readonly calibrations: Calibrations
  readonly remark: string | null
}

/**
 * Reads what is known. A file that cannot be read, is damaged, or of another version's form counts as none.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("CalibrationCache.read")(function* (
  directory: string | null,
  machine: Machine
): Effect.fn.Return<Known, never, FileSystem.FileSystem | Path.Path> {
  const nothing: Calibrations = { machine, limits: null, loads: [] }
  if (directory === null) return { calibrations: nothing, remark: null }
  const path = yield* Path.Path
  const file = path.join(directory, fileName(machine))
  const unusable = (why: string): Known => ({
    calibrations: nothing,
    remark: `The calibration in ${file} is left aside: ${why}`
  })
  return yield* InputFile.read(file, { mostBytes: MOST_BYTES }).pipe(
    Effect.flatMap(({ text }) => decode(text)),
    Effect.map(({ limits, loads, machine: whose }): Known =>
      facts(whose) === facts(machine)
        ? { calibrations: { machine, limits, loads }, remark: null }
        : unusable("it is of another machine")
    ),
    Effect.catchTags({
      SchemaError: () => Effect.succeed(unusable("it is damaged, or another version of llmperf wrote it")),
      InputError: ({ missing, problem }) =>
        Effect.succeed(missing ? { calibrations: nothing, remark: null } : unusable(problem))
    })
  )
})

const inCache = (file: string) => (error: Parameters<ReturnType<typeof fromPlatformError>>[0]) =>
  new OutputError({
    path: file,
    problem: fromPlatformError(file)(error).problem,
    advice: "LLMPERF_CACHE_DIR names another folder for calibrations."
  })

/**
 * Keeps what is known, in the place of what was kept of this machine. Returns the path of the file, `null` without a folder.
 *
 * @category writing
 * @since 0.2.0
 */
export const write = Effect.fn("CalibrationCache.write")(function* (
  directory: string | null,
  calibrations: Calibrations
): Effect.fn.Return<string | null, OutputError, FileSystem.FileSystem | Path.Path> {
  if (directory === null) return null
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(directory, fileName(calibrations.machine))
  const encoded = yield* Effect.orDie(encode({ format: FORMAT, ...calibrations }))
  yield* Effect.mapError(fs.makeDirectory(directory, { recursive: true }), inCache(directory))
  yield* AtomicFile.write(file, Stream.succeed(`${Json.stringify(encoded)}\n`), inCache(file))
  return file
})
