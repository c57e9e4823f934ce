import { readdirSync, readFileSync } from "node:fs"
import * as OperatingSystem from "node:os"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** The processor time of a process until now, in seconds: of its first thread, and of all of them. */
export interface Used {
  readonly main: number
  readonly all: number
}

/**
 * A look at processes and at the machine, at a moment in epoch seconds. `busy`: processor time of everything on the machine;
 * `waiting`: how long something was ready to run and had to wait for a processor (0 where Linux does not tell).
 */
export interface Sample {
  readonly at: number
  readonly busy: number
  readonly waiting: number
  readonly processes: ReadonlyMap<number, Used>
}

/** `add` has a process looked at too, as long as it runs. */
export interface Watch {
  readonly add: (pid: number) => void
  readonly samples: ReadonlyArray<Sample>
}

/** To the nanosecond, unlike what `stat` says; 0 for a thread that is gone. */
const ofTask = (folder: string): number => {
  try {
    return Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]) / 1e9
  } catch {
    return 0
  }
}

const tasksOf = (pid: number): ReadonlyArray<string> => {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** A thread that has ended counts with what it had when it was seen last. */
const observer = (pid: number) => {
  const seconds = new Map<string, number>()
  return (): Used => {
    for (const task of tasksOf(pid)) {
      seconds.set(task, Math.max(seconds.get(task) ?? 0, ofTask(`/proc/${pid}/task/${task}`)))
    }
    return {
      main: seconds.get(String(pid)) ?? 0,
      all: [...seconds.values()].reduce((sum, used) => sum + used, 0)
    }
  }
}

const busySeconds = (): number =>
  OperatingSystem.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1e3

const waitingSeconds = (): number => {
  try {
    return Number(/^some .*total=(\d+)$/m.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1] ?? 0) / 1e6
  } catch {
    return 0
  }
}

/** Looks five times a second, until the scope closes. Needs Linux's /proc. */
export const make = Effect.gen(function* () {
  const samples: Array<Sample> = []
  const observers = new Map<number, () => Used>()
  const look = Effect.map(Clock.currentTimeMillis, (millis) => {
    samples.push({
      at: millis / 1e3,
      busy: busySeconds(),
      waiting: waitingSeconds(),
      processes: new Map([...observers].map(([pid, observe]) => [pid, observe()]))
    })
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("200 millis")))
  const watch: Watch = {
    add: (pid) => {
      observers.set(pid, observer(pid))
    },
    samples
  }
  return watch
})

/** A span of time, in epoch seconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** How much a figure that only grows has grown in a span, with straight lines between the looks. */
export const growth = ({ samples }: Watch, { from, to }: Span, of: (sample: Sample) => number): number => {
  const valueAt = (at: number): number => {
    const next = samples.findIndex((sample) => sample.at >= at)
    const after = samples[next] ?? samples.at(-1)
    const before = samples[next - 1]
    if (after === undefined) return 0
    if (next < 0 || before === undefined) return of(after)
    return of(before) + ((at - before.at) / (after.at - before.at)) * (of(after) - of(before))
  }
  return valueAt(to) - valueAt(from)
}

/** The processor time of a process in a span, of its first thread or of all. */
export const used = (watch: Watch, span: Span, pid: number, which: keyof Used): number =>
  growth(watch, span, ({ processes }) => processes.get(pid)?.[which] ?? 0)

/**
 * Whether there were processors to spare in a span.
 *
 * - `busyCores`: how many were busy on average; `foreignCores`: with other than the processes that are looked at
 * - `waitingShare`: of the time, in which something was ready to run and had to wait
 */
export interface Room {
  readonly busyCores: number
  readonly foreignCores: number
  readonly waitingShare: number
}

/** Of this process too, which is part of the bench, only what it uses is known: it counts as one of ours. */
export const room = (watch: Watch, span: Span): Room => {
  const seconds = span.to - span.from
  const busy = growth(watch, span, (sample) => sample.busy)
  const ours = growth(watch, span, ({ processes }) => [...processes.values()].reduce((sum, { all }) => sum + all, 0))
  return {
    busyCores: busy / seconds,
    foreignCores: Math.max(0, busy - ours) / seconds,
    waitingShare: growth(watch, span, ({ waiting }) => waiting) / seconds
  }
}

/** With a larger share of the processors busy, requests wait for one of them, whoever sends them. */
const mostBusy = 0.6
/** Whatever else runs may keep this many busy. */
const mostForeign = 0.2

/** Whether lags say something about who sent. */
export const hasRoom = ({ busyCores, foreignCores }: Room): boolean =>
  busyCores <= mostBusy * OperatingSystem.availableParallelism() && foreignCores <= mostForeign

/** How many processors were busy in the runs of a side, and whether that left room to judge its lags. */
export const describe = (name: string, rooms: ReadonlyArray<Room>): string => {
  const busy = rooms.map(
    ({ busyCores, foreignCores }) => `${busyCores.toFixed(2)}, ${foreignCores.toFixed(2)} with others`
  )
  return `${name} ${busy.join(" / ")} (${rooms.every(hasRoom) ? "room enough" : "OVERSUBSCRIBED, not judged"})`
}

export const rule = `Lags are judged where at most ${mostBusy * 100} % of ${OperatingSystem.availableParallelism()} processors were busy, ${mostForeign} of one with others`
