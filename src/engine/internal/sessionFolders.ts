/**
 * The folders in which an agent keeps the rows of its sessions, side by side in a folder that may hold anything else too.
 *
 * Every one of them has a marker, which says what it is and which process made it. Only what has one is ever deleted, only when
 * that process no longer needs it, and of that only the files that an agent makes.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { rmdir } from "node:fs/promises"
import { fromPlatformError, type OutputError } from "../../output/OutputError.ts"
import * as ProcessIdentity from "../../output/ProcessIdentity.ts"
import * as RunDirectory from "../../output/RunDirectory.ts"

/** Sessions whose rows nobody has collected: of older ones than these the rows are deleted. */
const MOST_KEPT = 8

/** Holds the marker of a session. */
export const MARKER = "llmperf-session.json"
const MOST_MARKER_BYTES = 4_096

/** `folder`: its name, so that a copy of a session by another name is none. */
const Marker = Schema.Struct({
  format: Schema.Literal("llmperf agent session"),
  version: Schema.Literal(1),
  session: Schema.String,
  folder: Schema.String,
  made_at: Schema.Finite,
  owner: ProcessIdentity.ProcessIdentity
})
interface Marker extends Schema.Schema.Type<typeof Marker> {}

const MarkerText = Schema.fromJsonString(Marker)
const encodeMarker = Schema.encodeSync(MarkerText)
const decodeMarker = Schema.decodeOption(MarkerText)

/** Whether it may be part of the name of a folder: it comes from the network. */
export const isSessionName = (session: string): boolean => /^[\w.-]{1,200}$/.test(session) && !/^\.+$/.test(session)

/** A folder of rows: where it is, and how to delete it. */
export interface SessionFolder {
  readonly path: string
  readonly remove: Effect.Effect<void>
}

/** `open`: makes the folder of a session. Those that this agent made before are then no longer in use. */
export interface SessionFolders {
  readonly open: (session: string) => Effect.Effect<SessionFolder, OutputError>
}

/** Of an agent that keeps its rows in `root`. */
export const make = Effect.fnUntraced(function* (root: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const own = new Set<string>()
  const stateOf = (identity: ProcessIdentity.ProcessIdentity, here: ProcessIdentity.ProcessIdentity) =>
    Effect.provideService(ProcessIdentity.stateOf(identity, here), FileSystem.FileSystem, fs)
  let self: ProcessIdentity.ProcessIdentity | null = null

  const isFile = (at: string, mostBytes = Infinity) =>
    fs.lstat(at).pipe(
      Effect.map(({ size, type }) => type === "File" && Number(size) <= mostBytes),
      Effect.orElseSucceed(() => false)
    )

  /** The marker of a session in a folder of that name; none for whatever else may be there. */
  const markerOf = (name: string): Effect.Effect<Option.Option<Marker>> =>
    Effect.gen(function* () {
      const at = path.join(root, name)
      const marker = path.join(at, MARKER)
      const { type } = yield* fs.lstat(at)
      if (type !== "Directory" || !(yield* isFile(marker, MOST_MARKER_BYTES))) return Option.none()
      return Option.filter(decodeMarker(yield* fs.readFileString(marker)), ({ folder }) => folder === name)
    }).pipe(Effect.orElseSucceed(() => Option.none()))

  /** Deletes the files of a session, the marker last, and its folder when nothing else is in it. */
  const remove = (name: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      own.delete(name)
      if (Option.isNone(yield* markerOf(name))) return
      const at = path.join(root, name)
      const { chunks, records, requestsSent } = RunDirectory.files(path, at)
      for (const file of [records, requestsSent, chunks, path.join(at, MARKER)]) {
        if (yield* isFile(file)) yield* fs.remove(file)
      }
      yield* Effect.tryPromise(() => rmdir(at))
    }).pipe(Effect.ignore)

  /** Deletes sessions that nobody needs any more, but for the newest. */
  const forget = (process: ProcessIdentity.ProcessIdentity, current: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      const left: Array<Marker> = []
      for (const name of yield* fs.readDirectory(root)) {
        const marker = name === current ? Option.none() : yield* markerOf(name)
        if (Option.isNone(marker)) continue
        if (own.has(name) || (yield* stateOf(marker.value.owner, process)) === "ended") left.push(marker.value)
      }
      const oldest = left.toSorted((a, b) => b.made_at - a.made_at).slice(MOST_KEPT - 1)
      for (const { folder } of oldest) yield* remove(folder)
    }).pipe(Effect.ignore)

  const open = Effect.fnUntraced(function* (session: string) {
    if (!isSessionName(session)) return yield* Effect.die(new Error(`no name of a session: ${session}`))
    self ??= yield* Effect.provideService(ProcessIdentity.current, FileSystem.FileSystem, fs)
    yield* fs.makeDirectory(root, { recursive: true })
    // Nobody else has this one, also where several agents share a folder
    const at = yield* fs.makeTempDirectory({ directory: root, prefix: `${session}-` })
    const folder = path.basename(at)
    const marker: Marker = {
      format: "llmperf agent session",
      version: 1,
      session,
      folder,
      made_at: Number(yield* Clock.currentTimeMillis) / 1_000,
      owner: self
    }
    yield* fs.writeFileString(path.join(at, MARKER), `${encodeMarker(marker)}\n`, { flag: "wx" })
    yield* forget(self, folder)
    own.add(folder)
    return { path: at, remove: remove(folder) } satisfies SessionFolder
  })

  return {
    open: (session) => Effect.mapError(open(session), fromPlatformError(root))
  } satisfies SessionFolders as SessionFolders
})
