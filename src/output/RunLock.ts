/**
 * Keeps two runs from writing into one folder.
 *
 * @since 0.2.0
 */
import * as CliError from "effect/cli/CliError"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { open } from "node:fs/promises"
import { clearInterval, setInterval } from "node:timers"
import { fromPlatformError, type OutputError } from "./OutputError.ts"
import * as ProcessIdentity from "./ProcessIdentity.ts"

/**
 * The name of the file that says that a run is writing into its folder.
 *
 * @category constants
 * @since 0.2.0
 */
export const NAME = ".llmperf-run.lock"

/** So often a run touches its lock. */
const TOUCH_MILLIS = 30_000
/** A lock that was not touched for so long is of a run that has ended, unless it is known to run. */
const STALE_MILLIS = 120_000
const MOST_BYTES = 4_096
const TRIES = 5

/** `token`: of this lock alone. */
const Lock = Schema.fromJsonString(
  Schema.Struct({
    format: Schema.Literal("llmperf run lock"),
    version: Schema.Literal(1),
    token: Schema.String,
    owner: ProcessIdentity.ProcessIdentity
  })
)
const encode = Schema.encodeSync(Lock)
const decode = Schema.decodeOption(Lock)

/**
 * Another run is writing into `folder`; `holder` says which as far as that is known, `advice` what to do about it. The program ends with
 * exit code 2.
 *
 * @category errors
 * @since 0.2.0
 */
export class FolderInUse extends Schema.TaggedError<FolderInUse>("llmperf/output/FolderInUse")("FolderInUse", {
  folder: Schema.String,
  holder: Schema.NullOr(Schema.String),
  advice: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 2

  override get message(): string {
    const holder = this.holder === null ? "" : ` (${this.holder})`
    return `Another run${holder} is writing into ${this.folder}. ${this.advice}`
  }

  override get [CliError.userMessage](): string {
    return this.message
  }
}

/** Shows others, on machines that cannot see this process, that it still runs. The content stays as it is. */
const touch = (file: string): Promise<unknown> =>
  open(file, "r+").then((handle) => handle.write("{", 0).finally(() => handle.close()))

/**
 * Marks the folder, which exists, as one that this process writes into, until the scope closes. Fails with `FolderInUse` when another run
 * has marked it, unless that has ended: then its process is gone, or, where that cannot be told from here, it has not touched its mark for
 * two minutes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const hold = Effect.fn("RunLock.hold")(function* (
  folder: string
): Effect.fn.Return<void, FolderInUse | OutputError, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(folder, NAME)
  const self = yield* ProcessIdentity.current
  const failed = Effect.mapError(fromPlatformError(file))

  const read = (at: string) =>
    Effect.orElseSucceed(
      Effect.flatMap(fs.stat(at), ({ size }) =>
        Number(size) > MOST_BYTES ? Effect.succeed("") : fs.readFileString(at)
      ),
      () => null
    )

  /** Makes the lock, whole from its first moment; `false` when there is one. */
  const make = (temporary: string, text: string) =>
    fs.link(temporary, file).pipe(
      // Not every file system has links
      Effect.catchIf(
        ({ reason }) => reason._tag !== "AlreadyExists",
        () => fs.writeFileString(file, text, { flag: "wx" })
      ),
      Effect.as(true),
      Effect.catchIf(
        ({ reason }) => reason._tag === "AlreadyExists",
        () => Effect.succeed(false)
      )
    )

  const ageMillis = (temporary: string) =>
    Effect.gen(function* () {
      const [now, then] = [yield* fs.stat(temporary), yield* fs.stat(file)]
      return Option.match(Option.all([now.mtime, then.mtime]), {
        onNone: () => 0,
        onSome: ([now, then]) => now.getTime() - then.getTime()
      })
    }).pipe(Effect.orElseSucceed(() => 0))

  /** Takes away the lock with this text; when it is another by now, that stays. */
  const takeAway = (text: string, temporary: string) =>
    Effect.gen(function* () {
      const aside = `${temporary}.old`
      yield* fs.rename(file, aside)
      if ((yield* read(aside)) !== text) yield* fs.link(aside, file)
      yield* fs.remove(aside)
    }).pipe(Effect.ignore)

  const taking = Effect.gen(function* () {
    const temporary = yield* fs.makeTempFileScoped({ directory: folder, prefix: ".llmperf-" })
    const text = encode({
      format: "llmperf run lock",
      version: 1,
      token: path.basename(path.dirname(temporary)) + path.basename(temporary),
      owner: self
    })
    yield* fs.writeFileString(temporary, text)
    for (let attempt = 1; ; attempt++) {
      if (yield* make(temporary, text)) return text
      const found = yield* read(file)
      if (found === null && attempt < TRIES) continue
      const owner = Option.getOrNull(decode(found ?? ""))?.owner ?? null
      const state = owner === null ? "unknown" : yield* ProcessIdentity.stateOf(owner, self)
      const hasEnded = state === "ended" || (state === "unknown" && (yield* ageMillis(temporary)) > STALE_MILLIS)
      if (found === null || !hasEnded || attempt >= TRIES) return yield* inUse(folder, file, owner, state, self)
      yield* takeAway(found, temporary)
    }
  }).pipe(
    Effect.scoped,
    Effect.catchTag("PlatformError", (error) => failed(Effect.fail(error)))
  )

  yield* Effect.acquireRelease(taking, (text) =>
    Effect.ignore(Effect.flatMap(read(file), (now) => (now === text ? fs.remove(file) : Effect.void)))
  )
  yield* Effect.acquireRelease(
    Effect.sync(() => setInterval(() => void touch(file).catch(() => {}), TOUCH_MILLIS).unref()),
    (timer) => Effect.sync(() => clearInterval(timer))
  )
})

const inUse = (
  folder: string,
  file: string,
  owner: ProcessIdentity.ProcessIdentity | null,
  state: "running" | "ended" | "unknown",
  self: ProcessIdentity.ProcessIdentity
) => {
  const holder = owner === null ? null : `pid ${owner.pid}${owner.host === self.host ? "" : ` on ${owner.host}`}`
  const otherwise = state === "unknown" ? ` If no run is, delete ${file}, or try again in two minutes.` : ""
  return new FolderInUse({ folder, holder, advice: `Choose another folder, or wait until it has ended.${otherwise}` })
}
