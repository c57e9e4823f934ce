import { availableParallelism, totalmem } from "node:os"
import {
  type EventLoopUtilization,
  monitorEventLoopDelay,
  performance,
  PerformanceObserver,
  type PerformanceEntry
} from "node:perf_hooks"
import type * as HealthReport from "../../metrics/HealthReport.ts"
import { type MachineTimes, sharesOf } from "./healthMachine.ts"

/** How often the delay of the event loop is probed. */
const PROBE_MILLIS = 10

export const cpuCount = availableParallelism

/**
 * The delays behind the intervals between two firings of a timer, given as the percentiles of a histogram of `count`
 * intervals in nanoseconds.
 *
 * While the loop was held up for longer than an interval the timer was silent. What would have happened meanwhile waited
 * too, the later the less: a delay for each interval that was missed stands for it, as HdrHistogram corrects for
 * coordinated omission.
 */
export const delaysOf = (percentiles: ReadonlyMap<number, number>, count: number): Array<number> => {
  const step = PROBE_MILLIS / 1_000
  const delays: Array<number> = []
  let before = 0
  for (const [percentile, nanos] of percentiles) {
    const rank = Math.round((percentile / 100) * count)
    for (let probe = before; probe < rank; probe++) {
      for (let delay = Math.max(0, nanos / 1e9 - step), first = true; first || delay > 0; delay -= step) {
        delays.push(delay)
        first = false
      }
    }
    before = Math.max(before, rank)
  }
  return delays
}

/** Watches the thread it is made on, until it is closed. */
export const makeProbe = (now: () => number, machineAtStart: MachineTimes | null) => {
  const delay = monitorEventLoopDelay({ resolution: PROBE_MILLIS })
  let pauses: Array<number> = []
  const collect = (entries: ReadonlyArray<PerformanceEntry>): void => {
    for (const entry of entries) pauses.push(entry.duration / 1_000)
  }
  const collections = new PerformanceObserver((list) => collect(list.getEntries()))
  collections.observe({ entryTypes: ["gc"] })
  delay.enable()

  const memory = memoryLimit()
  const start = now()
  let last = readings(start, machineAtStart)

  return {
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
        loopDelays: delay.count === 0 ? [] : delaysOf(delay.percentiles, delay.count),
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
      delay.reset()
      pauses = []
      last = next
      return sample
    },
    close: (): void => {
      delay.disable()
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
