import { availableParallelism, totalmem } from "node:os"
import { clearInterval, setImmediate, setInterval } from "node:timers"
import { type EventLoopUtilization, performance, PerformanceObserver, type PerformanceEntry } from "node:perf_hooks"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import { LoopDelays } from "../../metrics/LoopDelays.ts"
import { type MachineTimes, sharesOf } from "./healthMachine.ts"

/** How often the delay of the event loop is probed. */
const PROBE_MILLIS = 10

export const cpuCount = availableParallelism

/**
 * What moments 10 ms apart would have waited until the timer fired that was so many seconds late.
 *
 * While the loop was held up for longer than an interval the timer was silent. What would have happened meanwhile waited
 * too, the later the less: a delay for each interval that was missed stands for it, as HdrHistogram corrects for
 * coordinated omission.
 */
export const delaysOf = (lateSeconds: number): Array<number> => {
  const delays = [lateSeconds]
  for (let delay = lateSeconds - PROBE_MILLIS / 1_000; delay > 0; delay -= PROBE_MILLIS / 1_000) delays.push(delay)
  return delays
}

/** Watches the thread it is made on, until it is closed. */
export const makeProbe = (now: () => number, machineAtStart: MachineTimes | null) => {
  let loopDelays: Array<number> = []
  let pauses: Array<number> = []
  const collect = (entries: ReadonlyArray<PerformanceEntry>): void => {
    for (const entry of entries) pauses.push(entry.duration / 1_000)
  }
  const collections = new PerformanceObserver((list) => collect(list.getEntries()))
  collections.observe({ entryTypes: ["gc"] })

  const memory = memoryLimit()
  const start = now()
  const delays = new LoopDelays({ startNanos: start, stepNanos: PROBE_MILLIS * 1e6 })
  // An immediate runs when the loop has looked at every socket
  const settled = () => delays.settled(now())
  const timer = setInterval(() => {
    const { isLate, seconds } = delays.tick(now())
    if (isLate) setImmediate(settled)
    for (const delay of delaysOf(seconds)) loopDelays.push(delay)
  }, PROBE_MILLIS).unref()
  let last = readings(start, machineAtStart)

  return {
    delays,
    /** What happened since the last sample, or since the start. */
    sample: (machine: MachineTimes | null): HealthReport.HealthSample => {
      const next = readings(now(), machine)
      collect(collections.takeRecords())
      const shares =
        last.machine === null || next.machine === null
          ? { busy: null, steal: null }
          : sharesOf(last.machine, next.machine)
      const seconds = (next.at - last.at) / 1e9
      const sample = {
        fromSeconds: (last.at - start) / 1e9,
        toSeconds: (next.at - start) / 1e9,
        loopDelays,
        loopUtilization: performance.eventLoopUtilization(next.loop, last.loop).utilization,
        events: next.events - last.events,
        eventsWaiting: next.eventsWaiting - last.eventsWaiting,
        gcPauses: pauses,
        processCores: seconds > 0 ? (next.cpuMicros - last.cpuMicros) / 1e6 / seconds : 0,
        machineCpu: shares.busy,
        steal: shares.steal,
        connections: connections(),
        rssBytes: residentBytes(),
        freeMemory: freeShare(memory)
      }
      loopDelays = []
      pauses = []
      last = next
      return sample
    },
    close: (): void => {
      clearInterval(timer)
      collections.disconnect()
    }
  }
}

interface Readings {
  readonly at: number
  readonly loop: EventLoopUtilization
  readonly events: number
  readonly eventsWaiting: number
  readonly cpuMicros: number
  readonly machine: MachineTimes | null
}

const readings = (at: number, machine: MachineTimes | null): Readings => {
  const { events, eventsWaiting } = performance.nodeTiming.uvMetricsInfo
  const { system, user } = process.cpuUsage()
  return { at, loop: performance.eventLoopUtilization(), events, eventsWaiting, cpuMicros: user + system, machine }
}

/** Connections of this thread, of TCP and of TLS over it. */
const connections = (): number => {
  let count = 0
  for (const resource of process.getActiveResourcesInfo()) if (resource === "TCPSocketWrap") count++
  return count
}

/** Linux tells it in a file: unknown when the process has no file descriptor left for that. */
const residentBytes = (): number | null => {
  try {
    return process.memoryUsage.rss()
  } catch {
    return null
  }
}

/** What is left of the memory. Node.js says 0 when it cannot find out, for the same reason. */
const freeShare = (memory: number): number | null => {
  const available = process.availableMemory()
  return memory > 0 && available > 0 ? Math.min(1, available / memory) : null
}

/** The memory that the process may have: of its container, or of the machine. */
const memoryLimit = (): number => Math.min(process.constrainedMemory() || totalmem(), totalmem())
