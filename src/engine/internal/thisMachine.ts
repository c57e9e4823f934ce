import * as Effect from "effect/Effect"
import * as Os from "node:os"
import { type Machine } from "../../domain/CalibrationResults.ts"

export const thisMachine = (llmperfVersion: string): Effect.Effect<Machine> =>
  Effect.sync(() => ({
    cpu_model: Os.cpus()[0]?.model.trim() ?? "unknown",
    // Those that this process may use
    cpu_count: Os.availableParallelism(),
    memory_bytes: Os.totalmem(),
    os: `${Os.platform()} ${Os.arch()} ${Os.release()}`,
    node_version: process.versions.node,
    llmperf_version: llmperfVersion
  }))
