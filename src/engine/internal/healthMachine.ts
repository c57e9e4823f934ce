import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { open, readFile } from "node:fs/promises"
import { cpus } from "node:os"

/** Processor time of the whole machine since it started, in any unit. */
export interface MachineTimes {
  readonly total: number
  readonly idle: number
  /** What the host gave to other machines; `null` where the system does not say. */
  readonly steal: number | null
}

/** Shares of the processor time between two readings; `null` when there was none. */
export const sharesOf = (
  before: MachineTimes,
  after: MachineTimes
): { readonly busy: number | null; readonly steal: number | null } => {
  const total = after.total - before.total
  if (total <= 0) return { busy: null, steal: null }
  const share = (part: number): number => Math.min(1, Math.max(0, part / total))
  const steal = after.steal === null || before.steal === null ? null : share(after.steal - before.steal)
  return { busy: share(total - (after.idle - before.idle) - (steal ?? 0) * total), steal }
}

/**
 * The first line of `/proc/stat` (proc_stat(5)): `cpu`, then user, nice, system, idle, iowait, irq, softirq, steal. What
 * guests use is in user already. Waiting for disks is idling.
 */
export const parseStat = (text: string): MachineTimes | null => {
  const line = /^cpu +([\d ]+)/.exec(text)?.[1]
  if (line === undefined) return null
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
    .split(" ")
    .map(Number)
  return {
    total: user + nice + system + idle + iowait + irq + softirq + steal,
    idle: idle + iowait,
    steal
  }
}

/** The soft limit in `/proc/self/limits` (proc_pid_limits(5)); `null` when there is none. */
export const parseOpenFiles = (text: string): number | null => {
  const soft = /^Max open files +(\d+)/m.exec(text)?.[1]
  return soft === undefined ? null : Number(soft)
}

const byNode: Effect.Effect<MachineTimes> = Effect.sync(() => {
  let total = 0
  let idle = 0
  for (const { times } of cpus()) {
    total += times.user + times.nice + times.sys + times.irq + times.idle
    idle += times.idle
  }
  return { total, idle, steal: null }
})

/**
 * Reads the processor times of the machine, `null` when it cannot. On Linux the file is read on a thread of Node's pool,
 * because the kernel takes milliseconds to write it where there are many processors.
 */
export const openMachine: Effect.Effect<Effect.Effect<MachineTimes | null>, never, Scope.Scope> = Effect.acquireRelease(
  Effect.option(Effect.tryPromise(() => open("/proc/stat"))),
  (file) => (file._tag === "None" ? Effect.void : Effect.ignore(Effect.tryPromise(() => file.value.close())))
).pipe(
  Effect.map((file) => {
    if (file._tag === "None") return byNode
    const buffer = Buffer.alloc(256)
    return Effect.tryPromise(() => file.value.read(buffer, 0, buffer.length, 0)).pipe(
      Effect.map(({ bytesRead }) => parseStat(buffer.toString("latin1", 0, bytesRead))),
      Effect.orElseSucceed(() => null)
    )
  })
)

/** How many files the process may have open; `null` where the system does not say. */
export const openFileLimit: Effect.Effect<number | null> = Effect.tryPromise(() =>
  readFile("/proc/self/limits", "latin1")
).pipe(
  Effect.map(parseOpenFiles),
  Effect.orElseSucceed(() => null)
)
