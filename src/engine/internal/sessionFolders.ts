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
import { hostname } from "node:os"
import { fromPlatformError, type OutputError } from "../../output/OutputError.ts"
import * as RunDirectory from "../../output/RunDirectory.ts"

/** Sessions whose rows nobody has collected: of older ones than these the rows are deleted. */
const MOST_KEPT = 8

/** Holds the marker of a session. */
export const MARKER = "llmperf-session.json"
const MOST_MARKER_BYTES = 4_096

/**
 * A process, so that no other can be taken for it. A number alone is used again when a process has ended; it means something
 * else on another machine, after a restart, and in another container. What the system does not tell is `null`.
 *
 * - `boot`: of this start of the machine; `namespace`: within which `pid` counts
 * - `started`: when the process began, in ticks since the start of the machine (proc_pid_stat(5), field 22)
 */
const Owner = Schema.Struct({
  host: Schema.String,
  boot: Schema.NullOr(Schema.String),
  namespace: Schema.NullOr(Schema.String),
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  started: Schema.NullOr(Schema.String)
})
interface Owner extends Schema.Schema.Type<typeof Owner> {}

/** `folder`: its name, so that a copy of a session by another name is none. */
const Marker = Schema.Struct({
  format: Schema.Literal("llmperf agent session"),
  version: Schema.Literal(1),
  session: Schema.String,
  folder: Schema.String,
  made_at: Schema.Finite,
  owner: Owner
})
interface Marker extends Schema.Schema.Type<typeof Marker> {}

const MarkerText = Schema.fromJsonString(Marker)
const encodeMarker = Schema.encodeSync(MarkerText)
const decodeMarker = Schema.decodeOption(MarkerText)

/** Whether it may be part of the name of a folder: it comes from the network. */
export const isSessionName = (session: string): boolean => /^[\w.-]{1,200}$/.test(session) && !/^\.+$/.test(session)

/** State and start of a process in `/proc/<pid>/stat`; its name, in parentheses, may hold anything. */
const statOf = (text: string): { readonly state: string; readonly started: string } | null => {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  const [state] = fields
  const started = fields[19]
  return state === undefined || started === undefined ? null : { state, started }
}

const stat = (fs: FileSystem.FileSystem, pid: number) =>
  fs.readFileString(`/proc/${pid}/stat`).pipe(
    Effect.map(statOf),
    Effect.orElseSucceed(() => null)
  )

const known = <A, E>(value: Effect.Effect<A, E>) => Effect.orElseSucceed(value, () => null)

const thisProcess = Effect.fnUntraced(function* (fs: FileSystem.FileSystem) {
  return {
    host: hostname(),
    boot: yield* known(fs.readFileString("/proc/sys/kernel/random/boot_id").pipe(Effect.map((text) => text.trim()))),
    namespace: yield* known(fs.readLink("/proc/self/ns/pid")),
    pid: process.pid,
    started: (yield* stat(fs, process.pid))?.started ?? null
  } satisfies Owner
})

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

/** Whether the process has certainly ended. Of one on another machine, or in another container, nobody here can say. */
const hasEnded = Effect.fnUntraced(function* (fs: FileSystem.FileSystem, owner: Owner, self: Owner) {
  const isNear =
    owner.host === self.host &&
    owner.boot !== null &&
    owner.boot === self.boot &&
    owner.namespace !== null &&
    owner.namespace === self.namespace
  if (!isNear) return false
  if (!exists(owner.pid)) return true
  const now = yield* stat(fs, owner.pid)
  if (now === null || owner.started === null) return false
  return now.started !== owner.started || now.state === "Z" || now.state === "X"
})

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
  let self: Owner | null = null

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
  const forget = (process: Owner, current: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      const left: Array<Marker> = []
      for (const name of yield* fs.readDirectory(root)) {
        const marker = name === current ? Option.none() : yield* markerOf(name)
        if (Option.isNone(marker)) continue
        if (own.has(name) || (yield* hasEnded(fs, marker.value.owner, process))) left.push(marker.value)
      }
      const oldest = left.toSorted((a, b) => b.made_at - a.made_at).slice(MOST_KEPT - 1)
      for (const { folder } of oldest) yield* remove(folder)
    }).pipe(Effect.ignore)

  const open = Effect.fnUntraced(function* (session: string) {
    if (!isSessionName(session)) return yield* Effect.die(new Error(`no name of a session: ${session}`))
    self ??= yield* thisProcess(fs)
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
