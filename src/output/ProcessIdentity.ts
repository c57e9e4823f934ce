/**
 * Which process made a file, and whether it still runs.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { hostname } from "node:os"

/**
 * A process, so that no other can be taken for it. A number alone is used again when a process has ended; it means something
 * else on another machine, after a restart, and in another container. What the system does not tell is `null`.
 *
 * - `boot`: of this start of the machine; `namespace`: within which `pid` counts
 * - `started`: when the process began, in ticks since the start of the machine (proc_pid_stat(5), field 22)
 *
 * @category models
 * @since 0.2.0
 */
export const ProcessIdentity = Schema.Struct({
  host: Schema.String,
  boot: Schema.NullOr(Schema.String),
  namespace: Schema.NullOr(Schema.String),
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  started: Schema.NullOr(Schema.String)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface ProcessIdentity extends Schema.Schema.Type<typeof ProcessIdentity> {}

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

/**
 * This process.
 *
 * @category constructors
 * @since 0.2.0
 */
export const current: Effect.Effect<ProcessIdentity, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return {
    host: hostname(),
    boot: yield* known(fs.readFileString("/proc/sys/kernel/random/boot_id").pipe(Effect.map((text) => text.trim()))),
    namespace: yield* known(fs.readLink("/proc/self/ns/pid")),
    pid: process.pid,
    started: (yield* stat(fs, process.pid))?.started ?? null
  }
})

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH")
  }
}

/**
 * What has become of a process, as far as `self` can tell: of one on another machine, or in another container, nobody here can.
 *
 * @category conversions
 * @since 0.2.0
 */
export const stateOf = Effect.fnUntraced(function* (
  identity: ProcessIdentity,
  self: ProcessIdentity
): Effect.fn.Return<"running" | "ended" | "unknown", never, FileSystem.FileSystem> {
  const { boot, host, namespace, pid, started } = identity
  const isNear =
    host === self.host && boot !== null && boot === self.boot && namespace !== null && namespace === self.namespace
  if (!isNear) return "unknown"
  if (!exists(pid)) return "ended"
  const now = yield* stat(yield* FileSystem.FileSystem, pid)
  if (now === null || started === null) return "unknown"
  return now.started !== started || now.state === "Z" || now.state === "X" ? "ended" : "running"
})
