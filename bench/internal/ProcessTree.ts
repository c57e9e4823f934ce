import { readdirSync, readFileSync } from "node:fs"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ChildProcess } from "effect/process"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { BenchError, during } from "./BenchError.ts"

/** Any program to measure with all that it starts. It gets no environment but `env`. */
export interface Command {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string }
}

/**
 * A look at all processes of a run: when, in epoch seconds; the processor time that they and those before them have used; the
 * memory that they hold and that no file backs.
 */
export interface Sample {
  readonly at: number
  readonly cpuSeconds: number
  readonly memoryBytes: number
  readonly processes: number
}

/** A run that ended. */
export interface Ended {
  readonly startedAt: number
  readonly endedAt: number
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly samples: ReadonlyArray<Sample>
}

/** Linux counts processor time for programs in hundredths of a second, whatever its own timer does. */
const ticksPerSecond = 100
const pageBytes = 4_096
const period = Duration.millis(100)

/** Parent, session and processor time of a process; `null` when it is gone. */
const statOf = (pid: number) => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field, the name in brackets, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return {
      parent: Number(fields[1]),
      session: Number(fields[3]),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    }
  } catch {
    return null
  }
}

const memoryOf = (pid: number): number => {
  try {
    const [, resident = 0, ofFiles = 0] = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ").map(Number)
    return (resident - ofFiles) * pageBytes
  } catch {
    return 0
  }
}

/**
 * Looks at a process, its descendants and its session. The processor time of a process that is gone is what it had when it
 * was seen last: short-lived ones come out too cheap by up to a tenth of a second.
 */
const observer = (root: number) => {
  const cpuSeconds = new Map<number, number>()
  return (at: number): Sample => {
    const members = new Set<number>([root])
    const stats = new Map(
      readdirSync("/proc").flatMap((name) => {
        const pid = Number(name)
        const stat = Number.isInteger(pid) ? statOf(pid) : null
        return stat === null ? [] : [[pid, stat] as const]
      })
    )
    let known = 0
    while (known < members.size) {
      known = members.size
      for (const [pid, { parent, session }] of stats) {
        if (session === root || members.has(parent) || cpuSeconds.has(pid)) members.add(pid)
      }
    }
    let memoryBytes = 0
    let processes = 0
    for (const pid of members) {
      const stat = stats.get(pid)
      if (stat === undefined) continue
      cpuSeconds.set(pid, stat.cpuSeconds)
      memoryBytes += memoryOf(pid)
      processes++
    }
    return {
      at,
      cpuSeconds: [...cpuSeconds.values()].reduce((sum, seconds) => sum + seconds, 0),
      memoryBytes,
      processes
    }
  }
}

/** The processor time that a run had used at a moment, between two looks in a straight line. */
export const cpuAt = ({ samples }: Ended, at: number): number => {
  const next = samples.findIndex((sample) => sample.at >= at)
  const after = samples[next]
  const before = samples[next - 1]
  if (after === undefined) return samples.at(-1)?.cpuSeconds ?? 0
  if (before === undefined) return after.cpuSeconds
  return before.cpuSeconds + ((at - before.at) / (after.at - before.at)) * (after.cpuSeconds - before.cpuSeconds)
}

/** The most memory that a run held. */
export const peakBytes = ({ samples }: Ended): number =>
  samples.reduce((most, { memoryBytes }) => Math.max(most, memoryBytes), 0)

/** The most processes that a run had at the same moment. */
export const mostProcesses = ({ samples }: Ended): number =>
  samples.reduce((most, { processes }) => Math.max(most, processes), 0)

/** Runs a program to its end, which must come within `limit`, and looks at it ten times a second. Needs Linux's /proc. */
export const run = Effect.fn("ProcessTree.run")(
  function* (
    name: string,
    { file, args, env }: Command,
    options: { readonly cwd: string; readonly limit: Duration.Input }
  ) {
    const now = Effect.map(Clock.currentTimeMillis, (millis) => millis / 1e3)
    const samples: Array<Sample> = []
    const startedAt = yield* now
    const child = yield* ChildProcess.make(file, args, {
      cwd: options.cwd,
      stdin: "ignore",
      env,
      killSignal: "SIGKILL"
    })
    const observe = observer(child.pid)
    yield* Effect.map(now, (at) => samples.push(observe(at))).pipe(
      Effect.repeat(Schedule.spaced(period)),
      Effect.forkScoped
    )
    const text = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [stdout, stderr, exitCode] = yield* Effect.all([text(child.stdout), text(child.stderr), child.exitCode], {
      concurrency: "unbounded"
    }).pipe(
      Effect.timeoutOrElse({
        duration: options.limit,
        orElse: () =>
          Effect.fail(
            new BenchError({
              description: `${name} did not end within ${Duration.format(Duration.fromInputUnsafe(options.limit))}`
            })
          )
      })
    )
    const ended: Ended = { startedAt, endedAt: yield* now, exitCode, stdout, stderr, samples }
    return ended
  },
  Effect.scoped,
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Running a program")(error)))
)
