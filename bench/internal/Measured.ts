import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { ChildProcess } from "effect/process"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { BenchError, during } from "./BenchError.ts"
import { ProcessReport } from "./ProcessReport.ts"
import { Setup } from "./Setup.ts"

/** A Node program to measure. It gets no environment but `env`, so that nothing set in the shell changes what it does. */
export interface Program {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
}

/** What is expected of it: so many answers from this origin, and how often its memory is looked at. */
export interface Expected {
  readonly origin: string
  readonly requests: number
  readonly sampleEvery: number
}

/**
 * - `runCpuSeconds`, `runWallSeconds`: from the first request to the end of the last answer
 * - `savedCpuSeconds`: from the first request to the end of the process
 * - `processCpuSeconds`: from the start of the process to its end
 */
export interface Measured {
  readonly runWallSeconds: number
  readonly runCpuSeconds: number
  readonly savedCpuSeconds: number
  readonly processCpuSeconds: number
  readonly peakResidentBytes: number
  readonly samples: ProcessReport["samples"]
}

const preload = new URL("preload.mjs", import.meta.url)

const decodeReport = Schema.decodeUnknownEffect(Schema.fromJsonString(ProcessReport))

/**
 * Runs the program in a process of its own to its end; gives what was reported of it and what it printed, also when it got
 * fewer answers than expected.
 */
export const observe = Effect.fn("Measured.observe")(
  function* (program: Program, expected: Expected) {
    const { root } = yield* Setup
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "llmperf-bench-" })
    const file = path.join(folder, "report.json")
    const child = yield* ChildProcess.make(process.execPath, ["--import", preload.href, ...program.args], {
      cwd: root,
      stdin: "ignore",
      env: {
        ...program.env,
        BENCH_REPORT: file,
        BENCH_ORIGIN: expected.origin,
        BENCH_REQUESTS: String(expected.requests),
        BENCH_SAMPLE_EVERY: String(expected.sampleEvery)
      }
    })
    const text = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [stdout, stderr, exitCode] = yield* Effect.all([text(child.stdout), text(child.stderr), child.exitCode], {
      concurrency: "unbounded"
    })
    if (exitCode !== 0) {
      return yield* new BenchError({ description: `${program.name} ended with ${exitCode}: ${stderr.slice(-2_000)}` })
    }
    const report = yield* decodeReport(yield* fs.readFileString(file))
    return { report, stdout }
  },
  Effect.scoped,
  Effect.catchTags({
    PlatformError: (error) => Effect.fail(during("Running a measured process")(error)),
    SchemaError: (error) => Effect.fail(during("Reading what a measured process reported")(error))
  })
)

/** As `observe`; gives what was measured, and fails unless every expected answer came and nothing failed. */
export const run = Effect.fn("Measured.run")(function* (program: Program, expected: Expected) {
  const { report, stdout } = yield* observe(program, expected)
  const { begin, end, exit, answers, failures } = report
  if (begin === null || end === null || answers !== expected.requests || failures > 0) {
    return yield* new BenchError({
      description: `${program.name} got ${answers} of ${expected.requests} answers, and ${failures} failures`
    })
  }
  const measured: Measured = {
    runWallSeconds: end.wallSeconds - begin.wallSeconds,
    runCpuSeconds: end.cpuSeconds - begin.cpuSeconds,
    savedCpuSeconds: exit.cpuSeconds - begin.cpuSeconds,
    processCpuSeconds: exit.cpuSeconds,
    peakResidentBytes: report.peakResidentBytes,
    samples: report.samples
  }
  return { measured, stdout }
})
