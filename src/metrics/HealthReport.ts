/**
 * How the threads that drove the load were themselves during a run: whether they were there when something arrived.
 *
 * A report is plain data. Each thread makes one with a `HealthSink`; they are merged where the results are.
 *
 * @since 0.2.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Histogram from "./Histogram.ts"
import { at, Grid, onGrid, together } from "./internal/verdictGrid.ts"
import * as Quantile from "./Quantile.ts"

const NaturalInt = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/**
 * A slice of time. Where slices were joined, or threads merged, a mean is that of the time, and of several threads the
 * worst.
 *
 * - `from_s`, `to_s`: seconds after the start; `observed_s`: how much of that was seen
 * - `loop_delay_…_s`: how long what happened waited for the event loop. Of joined slices `p50` is the mean and `p99` the
 *   largest
 * - `loop_utilization`: share of the time in which the event loop was at work (`performance.eventLoopUtilization`)
 * - `events`, `events_waiting`: events of the loop, and how many of them were ready before it asked
 * - `gc_…`: pauses of the garbage collector of the thread
 * - `process_cores`: processors that the whole process kept busy; `machine_cpu`, `steal`: shares of all processors of the
 *   machine that were busy, and that its host gave to others; `null` where the system does not say
 * - `connections`: open TCP connections, the most; `rss_bytes`: memory of the process, the most; `free_memory`: share of
 *   the memory of the machine, or of what the process may use of it, that was left, the least. Both are `null` when the process had no
 *   file descriptor left to ask with
 *
 * @category models
 * @since 0.2.0
 */
export const HealthSlice = Schema.Struct({
  from_s: NonNegative,
  to_s: NonNegative,
  observed_s: NonNegative,
  loop_delay_p50_s: NonNegative,
  loop_delay_p99_s: NonNegative,
  loop_delay_max_s: NonNegative,
  loop_utilization: Share,
  events: NaturalInt,
  events_waiting: NaturalInt,
  gc_count: NaturalInt,
  gc_total_s: NonNegative,
  gc_longest_s: NonNegative,
  process_cores: NonNegative,
  machine_cpu: Schema.NullOr(Share),
  steal: Schema.NullOr(Share),
  connections: NaturalInt,
  rss_bytes: Schema.NullOr(NonNegative),
  free_memory: Schema.NullOr(Share)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface HealthSlice extends Schema.Schema.Type<typeof HealthSlice> {}

/**
 * - `threads`: how many threads it tells of
 * - `slice_s`: the width of a slice in seconds: what was asked for, or that times a power of two
 * - `slices`: in order of time, at most 120
 * - `loop_delay`: the delays of all threads, an encoded `Histogram` of seconds
 * - `cpu_count`: processors that the process may use; `open_file_limit`: the soft limit, `null` where it is not known
 *
 * @category models
 * @since 0.2.0
 */
export const HealthReport = Schema.Struct({
  threads: NaturalInt,
  slice_s: Schema.Finite.check(Schema.isGreaterThan(0)),
  slices: Schema.Array(HealthSlice),
  loop_delay: Schema.Uint8Array,
  cpu_count: NaturalInt,
  open_file_limit: Schema.NullOr(NaturalInt)
})

/**
 * @category models
 * @since 0.2.0
 */
export interface HealthReport extends Schema.Schema.Type<typeof HealthReport> {}

/**
 * What a thread sees of itself between two moments, in seconds after the start of the run. `loopDelays` are delays of the
 * event loop at regular moments in between, `gcPauses` the pauses of the garbage collector, all in seconds. The rest as in
 * `HealthSlice`.
 *
 * @category models
 * @since 0.2.0
 */
export interface HealthSample {
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly loopDelays: ReadonlyArray<number>
  readonly loopUtilization: number
  readonly events: number
  readonly eventsWaiting: number
  readonly gcPauses: ReadonlyArray<number>
  readonly processCores: number
  readonly machineCpu: number | null
  readonly steal: number | null
  readonly connections: number
  readonly rssBytes: number | null
  readonly freeMemory: number | null
}

/**
 * What does not change while a run goes on.
 *
 * @category models
 * @since 0.2.0
 */
export interface HealthFacts {
  readonly cpuCount: number
  readonly openFileLimit: number | null
}

/**
 * The report of one thread in the making. A sample that is longer than a slice, because the thread was held up, counts in
 * every slice that it covers.
 *
 * @category models
 * @since 0.2.0
 */
export class HealthSink {
  readonly #facts: HealthFacts
  readonly #delays = Histogram.make()
  readonly #grid: Grid<HealthSlice>
  #end = 0

  constructor(sliceSeconds: number, facts: HealthFacts) {
    this.#facts = facts
    this.#grid = new Grid(sliceSeconds, joinTimes)
  }

  /** Adds what was seen. An empty stretch of time is left out. */
  add(sample: HealthSample): void {
    const { fromSeconds, toSeconds } = sample
    if (!(toSeconds > fromSeconds)) return
    for (const delay of sample.loopDelays) Histogram.add(this.#delays, delay)
    const parts = covered(fromSeconds, toSeconds, this.#grid.width)
    const home = parts.reduce((a, b) => (b.seconds > a.seconds ? b : a))
    for (const part of parts) this.#grid.add(part.middle, sliceOf(sample, part.seconds, part === home))
    this.#end = Math.max(this.#end, toSeconds)
  }

  /** The last slice, `null` before there is one: for a display, at no cost. */
  latest(): HealthSlice | null {
    return this.#grid.last()
  }

  /** What was seen so far. */
  report(): HealthReport {
    const width = this.#grid.width
    return {
      threads: 1,
      slice_s: width,
      slices: this.#grid
        .entries()
        // The last slice ends where the run does
        .map(([index, slice]) => at(slice, index * width, Math.min((index + 1) * width, this.#end))),
      loop_delay: Histogram.encode(this.#delays),
      cpu_count: this.#facts.cpuCount,
      open_file_limit: this.#facts.openFileLimit
    }
  }
}

/**
 * The delays of the event loop over the whole run, as a histogram of seconds.
 *
 * @category reading
 * @since 0.2.0
 */
export const loopDelay = (report: HealthReport): Histogram.Histogram =>
  Result.getOrElse(Histogram.decode(report.loop_delay), Histogram.make)

/**
 * What the threads of both saw, as one. Their slices are laid side by side at the greater of their widths: the delay and
 * utilization of the worst thread, the connections and collections of all. The process and the machine are the same to
 * each.
 *
 * @category combining
 * @since 0.2.0
 */
export const merge = (left: HealthReport, right: HealthReport): HealthReport => {
  const width = Math.max(left.slice_s, right.slice_s)
  const delays = loopDelay(left)
  Histogram.merge(delays, loopDelay(right))
  const end = Math.max(left.slices.at(-1)?.to_s ?? 0, right.slices.at(-1)?.to_s ?? 0)
  return {
    threads: left.threads + right.threads,
    slice_s: width,
    slices: together(widened(left, width), widened(right, width), joinThreads).map(([index, slice]) =>
      at(slice, index * width, Math.min((index + 1) * width, end))
    ),
    loop_delay: Histogram.encode(delays),
    cpu_count: Math.max(left.cpu_count, right.cpu_count),
    open_file_limit: least(left.open_file_limit, right.open_file_limit)
  }
}

/**
 * The slices at a greater width.
 *
 * @category combining
 * @since 0.2.0
 */
export const widened = (report: HealthReport, width: number): ReadonlyMap<number, HealthSlice> =>
  onGrid(report.slices, width, joinTimes)

/** The slices that are seen for a half, or that hold half of the sample: a few milliseconds more do not touch the next. */
const covered = (from: number, to: number, width: number) => {
  const parts: Array<{ readonly middle: number; readonly seconds: number }> = []
  for (let index = Math.floor(from / width); index * width < to; index++) {
    const start = Math.max(from, index * width)
    const end = Math.min(to, (index + 1) * width)
    const seconds = end - start
    if (seconds >= width / 2 || seconds >= (to - from) / 2) parts.push({ middle: (start + end) / 2, seconds })
  }
  return parts.length > 0 ? parts : [{ middle: (from + to) / 2, seconds: to - from }]
}

const sliceOf = (sample: HealthSample, seconds: number, isHome: boolean): HealthSlice => {
  const delays = sample.loopDelays.toSorted((a, b) => a - b)
  const pauses = sample.gcPauses
  return {
    from_s: sample.fromSeconds,
    to_s: sample.toSeconds,
    observed_s: seconds,
    loop_delay_p50_s: Quantile.quantile(delays, 0.5) ?? 0,
    loop_delay_p99_s: Quantile.quantile(delays, 0.99) ?? 0,
    loop_delay_max_s: delays.at(-1) ?? 0,
    loop_utilization: sample.loopUtilization,
    events: isHome ? sample.events : 0,
    events_waiting: isHome ? sample.eventsWaiting : 0,
    gc_count: isHome ? pauses.length : 0,
    gc_total_s: isHome ? pauses.reduce((sum, pause) => sum + pause, 0) : 0,
    gc_longest_s: pauses.reduce((longest, pause) => Math.max(longest, pause), 0),
    process_cores: sample.processCores,
    machine_cpu: sample.machineCpu,
    steal: sample.steal,
    connections: sample.connections,
    rss_bytes: sample.rssBytes,
    free_memory: sample.freeMemory
  }
}

/** One slice after the other. */
const joinTimes = (earlier: HealthSlice, later: HealthSlice): HealthSlice => {
  const seconds = earlier.observed_s + later.observed_s
  const mean = (a: number, b: number): number =>
    seconds === 0 ? Math.max(a, b) : (a * earlier.observed_s + b * later.observed_s) / seconds
  const knownMean = (a: number | null, b: number | null): number | null =>
    a === null || b === null ? (a ?? b) : mean(a, b)
  return {
    ...worst(earlier, later),
    from_s: Math.min(earlier.from_s, later.from_s),
    to_s: Math.max(earlier.to_s, later.to_s),
    observed_s: seconds,
    loop_delay_p50_s: mean(earlier.loop_delay_p50_s, later.loop_delay_p50_s),
    loop_utilization: mean(earlier.loop_utilization, later.loop_utilization),
    process_cores: mean(earlier.process_cores, later.process_cores),
    machine_cpu: knownMean(earlier.machine_cpu, later.machine_cpu),
    steal: knownMean(earlier.steal, later.steal)
  }
}

/** Two threads at the same time. */
const joinThreads = (left: HealthSlice, right: HealthSlice): HealthSlice => ({
  ...worst(left, right),
  from_s: Math.min(left.from_s, right.from_s),
  to_s: Math.max(left.to_s, right.to_s),
  connections: left.connections + right.connections
})

const worst = (left: HealthSlice, right: HealthSlice): HealthSlice => ({
  from_s: left.from_s,
  to_s: left.to_s,
  observed_s: Math.max(left.observed_s, right.observed_s),
  loop_delay_p50_s: Math.max(left.loop_delay_p50_s, right.loop_delay_p50_s),
  loop_delay_p99_s: Math.max(left.loop_delay_p99_s, right.loop_delay_p99_s),
  loop_delay_max_s: Math.max(left.loop_delay_max_s, right.loop_delay_max_s),
  loop_utilization: Math.max(left.loop_utilization, right.loop_utilization),
  events: left.events + right.events,
  events_waiting: left.events_waiting + right.events_waiting,
  gc_count: left.gc_count + right.gc_count,
  gc_total_s: left.gc_total_s + right.gc_total_s,
  gc_longest_s: Math.max(left.gc_longest_s, right.gc_longest_s),
  process_cores: Math.max(left.process_cores, right.process_cores),
  machine_cpu: most(left.machine_cpu, right.machine_cpu),
  steal: most(left.steal, right.steal),
  connections: Math.max(left.connections, right.connections),
  rss_bytes: most(left.rss_bytes, right.rss_bytes),
  free_memory: least(left.free_memory, right.free_memory)
})

const most = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b)

const least = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b)
