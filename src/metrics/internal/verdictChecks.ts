import * as Record from "effect/Record"
import { type Summary } from "../../domain/Summary.ts"
import * as HealthReport from "../HealthReport.ts"
import * as Histogram from "../Histogram.ts"
import { LATE_SECONDS } from "../SummarySink.ts"
import * as DelayBuckets from "./delayBuckets.ts"
import { arrivalDelaysOf, type DispatchReport, type DispatchSlice, EXCEPTION } from "./verdictDispatch.ts"
import { checks, type Limit, type LimitName, type Limits } from "./verdictLimits.ts"

/** A value and the limit that holds for it here. `says`: the finding in a sentence, where more is known than the amount. */
export interface Finding {
  readonly check: LimitName
  readonly value: number
  readonly limit: Limit
  readonly says?: string | undefined
}

/** The 99th percentiles that the delays of the client are held against, in seconds: `null` where it was not measured. */
export interface Reference {
  readonly ttft: number | null
  readonly gap: number | null
}

/** Files of a process that are not connections to the server under test. */
const OTHER_FILES = 64

/** A rate cannot be told from fewer. */
const MIN_REQUESTS_OF_A_RATE = 20

export const referenceOf = (summary: Summary): Reference => ({
  ttft: summary.ttft_s.quantiles.p99 ?? summary.end_to_end_latency_s.quantiles.p99,
  gap: summary.inter_chunk_latency_s.quantiles.p99
})

/** Never below `least`; above it, the share of what is measured. */
const relative = (least: Limit, shares: Limit, measured: number): Limit => ({
  degraded:
    shares.degraded === null || least.degraded === null ? null : Math.max(least.degraded, shares.degraded * measured),
  invalid: shares.invalid === null || least.invalid === null ? null : Math.max(least.invalid, shares.invalid * measured)
})

/** The 99th percentiles of what delays may have added: `null` where nothing arrived or nobody watched. */
interface Delays {
  readonly ttft: number | null
  readonly gap: number | null
}

export const delayFindings = (delays: Delays, reference: Reference, limits: Limits): Array<Finding> => {
  const found: Array<Finding> = []
  const add = (
    check: "loop_delay_of_ttft" | "loop_delay_of_gap",
    value: number | null,
    measured: number | null
  ): void => {
    if (value === null || measured === null) return
    found.push({ check, value, limit: relative(limits.loop_delay, limits[check], measured) })
  }
  add("loop_delay_of_ttft", delays.ttft, reference.ttft)
  add("loop_delay_of_gap", delays.gap, reference.gap)
  return found
}

type Requests = Pick<
  DispatchSlice,
  "requests" | "sent" | "late" | "very_late" | "lag_total_s" | "in_flight_s" | "own_errors"
>

/** The requests of a slice, or of the whole run. */
const dispatchFindings = (requests: Requests, openLoop: boolean, limits: Limits): Array<Finding> => {
  const found: Array<Finding> = []
  const add = (check: LimitName, part: number, whole: number): void => {
    if (whole > 0) found.push({ check, value: part / whole, limit: limits[check] })
  }
  if (openLoop) {
    add("late_requests", requests.late, requests.sent)
    add("very_late_requests", requests.very_late, requests.sent)
  } else {
    add("lost_slot_time", requests.lag_total_s, requests.lag_total_s + requests.in_flight_s)
  }
  add("own_errors", requests.own_errors, requests.requests)
  return found
}

interface ThreadTime {
  readonly gcTime: number
  readonly loopUtilization: number
  readonly machineCpu: number | null
  readonly steal: number | null
  readonly freeMemory: number | null
}

const timeFindings = (time: ThreadTime, limits: Limits): Array<Finding> => {
  const found: Array<Finding> = []
  const add = (check: LimitName, value: number | null): void => {
    if (value !== null) found.push({ check, value, limit: limits[check] })
  }
  add("gc_time", time.gcTime)
  add("loop_utilization", time.loopUtilization)
  add("machine_cpu", time.machineCpu)
  add("steal", time.steal)
  add("used_memory", time.freeMemory === null ? null : 1 - time.freeMemory)
  return found
}

/** What is judged in a slice of the client as it was, and of the machine. */
export const ofHealth = (
  health: HealthReport.HealthSlice,
  given: { readonly reference: Reference; readonly threads: number; readonly limits: Limits }
): ReadonlyArray<Finding> => {
  const { limits, reference } = given
  const found = timeFindings(
    {
      gcTime: gcTime(health.gc_total_s, health.observed_s, given.threads),
      loopUtilization: health.loop_utilization,
      machineCpu: health.machine_cpu,
      steal: health.steal,
      freeMemory: health.free_memory
    },
    limits
  )
  if (reference.ttft !== null) {
    found.push({
      check: "gc_pause",
      value: health.gc_longest_s,
      limit: relative(limits.gc_pause, limits.loop_delay_of_ttft, reference.ttft)
    })
  }
  return found
}

/** What is judged in a slice. */
export const ofSlice = (
  slice: { readonly health: HealthReport.HealthSlice | null; readonly dispatch: DispatchSlice | null },
  given: {
    readonly reference: Reference
    readonly openLoop: boolean
    readonly threads: number
    readonly limits: Limits
  }
): ReadonlyArray<Finding> => {
  const { limits, openLoop, reference } = given
  const { dispatch, health } = slice
  const found = dispatch === null ? [] : dispatchFindings(dispatch, openLoop, limits)
  if (dispatch !== null) found.push(...delayFindings(delaysOfSlice(dispatch), reference, limits))
  return health === null ? found : [...found, ...ofHealth(health, given)]
}

const delaysOfSlice = ({ added_gap, added_ttft }: DispatchSlice): Delays => ({
  ttft: DelayBuckets.quantile(added_ttft, 0.99),
  gap: DelayBuckets.quantile(added_gap, 0.99)
})

/** What is judged of a run in which no request succeeded: whether the client is to blame for that. */
export const ofFailures = (summary: Summary, dispatch: DispatchReport, limits: Limits): ReadonlyArray<Finding> => [
  ...dispatchFindings(totalOf(dispatch), true, limits).filter(({ check }) => check === "own_errors"),
  ...providerFindings(summary, dispatch, limits)
]

/** Longest text of an exception within a sentence. */
const MOST_EXCEPTION = 160

/** Exceptions that a provider threw, with the first line of the first. */
const providerFindings = (summary: Summary, dispatch: DispatchReport, limits: Limits): ReadonlyArray<Finding> => {
  const { requests } = totalOf(dispatch)
  const thrown = dispatch.own_errors[EXCEPTION] ?? 0
  if (requests === 0) return []
  const value = thrown / requests
  const example = summary.errors.find(({ reason }) => reason === "Internal")?.example ?? ""
  // A provider of one's own is named before what it threw
  const [, provider = "", exception = ""] =
    /^(?:Internal error: )?(?:the provider (.*?) failed: )?(.*)/.exec(example) ?? []
  const said = `${checks.provider_errors.says(`${(value * 100).toFixed(1)} %`)}${provider === "" ? "" : ` ${provider}`}`
  const says = exception === "" ? said : `${said}: ${exception.slice(0, MOST_EXCEPTION)}`
  return [{ check: "provider_errors", value, limit: limits.provider_errors, says }]
}

/** What is judged over the whole run, but for its slices. `healthSlices`: those in which the server served something. */
export const ofRun = (
  run: {
    readonly summary: Summary
    readonly health: HealthReport.HealthReport | null
    readonly healthSlices: ReadonlyArray<HealthReport.HealthSlice>
    readonly dispatch: DispatchReport
  },
  given: { readonly openLoop: boolean; readonly limits: Limits }
): ReadonlyArray<Finding> => {
  const { dispatch, health, healthSlices, summary } = run
  const { limits, openLoop } = given
  const found = dispatchFindings(totalOf(dispatch), openLoop, limits)
  found.push(...providerFindings(summary, dispatch, limits))
  if (openLoop) found.push(...rateFindings(summary, dispatch, limits))
  const arrivals = arrivalDelaysOf(dispatch)
  const delays = {
    ttft: Histogram.quantile(arrivals.addedTtft, 0.99),
    gap: Histogram.quantile(arrivals.addedGap, 0.99)
  }
  found.push(...delayFindings(delays, referenceOf(summary), limits))
  if (health === null) return found
  const longest = Histogram.max(HealthReport.loopDelay(health))
  if (longest !== null) found.push({ check: "loop_delay_max", value: longest, limit: limits.loop_delay_max })
  const time = timeOf(healthSlices, health.threads)
  if (time !== null) found.push(...timeFindings(time, limits))
  if (health.open_file_limit !== null && health.open_file_limit > 0) {
    found.push({
      check: "open_files",
      value: (connectionsOf(summary, health) + OTHER_FILES) / health.open_file_limit,
      limit: limits.open_files
    })
  }
  return found
}

/** Connections open, or needed by the requests in flight: the most at a time. */
const connectionsOf = (summary: Summary, health: HealthReport.HealthReport): number =>
  health.slices.reduce((most, slice) => Math.max(most, slice.connections), summary.max_requests_in_flight)

const totalOf = ({ slices }: DispatchReport): Requests => {
  const total = { requests: 0, sent: 0, late: 0, very_late: 0, lag_total_s: 0, in_flight_s: 0, own_errors: 0 }
  for (const slice of slices) for (const name of Record.keys(total)) total[name] += slice[name]
  return total
}

const rateFindings = (summary: Summary, dispatch: DispatchReport, limits: Limits): Array<Finding> => {
  const found: Array<Finding> = []
  const dropped = summary.num_dropped_requests ?? 0
  const asked = summary.num_requests_started + dropped
  if (asked > 0) {
    found.push({
      check: "queued_requests",
      value: (summary.num_queued_requests ?? 0) / asked,
      limit: limits.queued_requests
    })
    found.push({ check: "dropped_requests", value: dropped / asked, limit: limits.dropped_requests })
  }
  const { first_due_s, first_sent_s, last_due_s, last_sent_s, slices } = dispatch
  const sent = slices.reduce((sum, slice) => sum + slice.sent, 0)
  if (first_due_s === null || last_due_s === null || first_sent_s === null || last_sent_s === null) return found
  const behind = last_sent_s - first_sent_s - (last_due_s - first_due_s)
  if (sent >= MIN_REQUESTS_OF_A_RATE) {
    found.push({
      check: "rate_shortfall",
      value: behind > LATE_SECONDS ? behind / (last_sent_s - first_sent_s) : 0,
      limit: limits.rate_shortfall
    })
  }
  return found
}

const gcTime = (seconds: number, observed: number, threads: number): number =>
  observed > 0 ? seconds / (observed * Math.max(1, threads)) : 0

/** Means of the run, weighted by time; `null` when nothing was observed. */
const timeOf = (slices: ReadonlyArray<HealthReport.HealthSlice>, threads: number): ThreadTime | null => {
  const mean = (read: (slice: HealthReport.HealthSlice) => number | null): number | null => {
    let sum = 0
    let seconds = 0
    for (const slice of slices) {
      const value = read(slice)
      if (value === null) continue
      sum += value * slice.observed_s
      seconds += slice.observed_s
    }
    return seconds > 0 ? sum / seconds : null
  }
  const loopUtilization = mean((slice) => slice.loop_utilization)
  if (loopUtilization === null) return null
  const observed = slices.reduce((sum, slice) => sum + slice.observed_s, 0)
  const free = slices.flatMap((slice) => (slice.free_memory === null ? [] : [slice.free_memory]))
  return {
    gcTime: gcTime(
      slices.reduce((sum, slice) => sum + slice.gc_total_s, 0),
      observed,
      threads
    ),
    loopUtilization,
    machineCpu: mean((slice) => slice.machine_cpu),
    steal: mean((slice) => slice.steal),
    freeMemory: free.length === 0 ? null : Math.min(...free)
  }
}
