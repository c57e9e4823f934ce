/**
 * What an agent says of itself and of the machine it is on.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Os from "node:os"
import * as Calibration from "../engine/Calibration.ts"
import { type AgentProfile, PROTOCOL } from "../engine/LoadAgent.ts"
import * as CalibrationCache from "../output/CalibrationCache.ts"

/**
 * The soft limit of open files in `/proc/self/limits` (proc_pid_limits(5)); `null` when it is not there or without limit.
 *
 * @category parsing
 * @since 0.2.0
 */
export const openFilesIn = (limits: string): number | null => {
  const soft = /^Max open files +(\d+) /m.exec(limits)?.[1]
  return soft === undefined ? null : Number(soft)
}

const openFiles = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return openFilesIn(yield* fs.readFileString("/proc/self/limits"))
}).pipe(Effect.orElseSucceed(() => null))

/** What of it this process may use: a container may be allowed less than there is. */
const memoryBytes = (): number => {
  const allowed = process.constrainedMemory()
  return allowed > 0 ? Math.min(allowed, Os.totalmem()) : Os.totalmem()
}

/**
 * All but what it works on. `version` is that of llmperf. The load is looked at anew every time; calibrations are those that
 * `llmperf calibrate` has kept on this machine for this version.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("Profile.make")(function* (
  version: string
): Effect.fn.Return<Omit<AgentProfile, "session">, never, FileSystem.FileSystem | Path.Path> {
  const machine = yield* Calibration.machine(version)
  const { calibrations } = yield* CalibrationCache.read(yield* CalibrationCache.folder, machine)
  const cores = machine.cpu_count
  return {
    protocol: PROTOCOL,
    version,
    host: Os.hostname(),
    pid: process.pid,
    cores,
    memoryBytes: memoryBytes(),
    load: (Os.loadavg()[0] ?? 0) / cores,
    openFiles: yield* openFiles,
    limits: calibrations.limits
  }
})
