/**
 * How the client itself was during a run, in numbers: the `health_…` keys of a summary. `docs/verdict.md` says what they mean.
 *
 * @since 0.2.0
 */
import * as Schema from "effect/Schema"
import * as HealthReport from "./HealthReport.ts"
import * as Histogram from "./Histogram.ts"
import * as Quantile from "./Quantile.ts"
import * as Verdict from "./Verdict.ts"

const Num = Schema.NullOr(Schema.Finite)
const Count = Schema.NullOr(Schema.Int)

const Distribution = Schema.Struct({
  quantiles: Schema.Struct({ p50: Num, p90: Num, p99: Num, p999: Num }),
  mean: Num,
  max: Num,
  count: Schema.Int
})

const client = {
  watched: Schema.Boolean,
  threads: Count,
  cpu_count: Count,
  slice_s: Num,
  loop_delay_s: Distribution,
  loop_utilization_mean: Num,
  loop_utilization_max: Num,
  events_waiting: Num,
  gc_count: Count,
  gc_total_s: Num,
  gc_longest_s: Num,
  process_cores_mean: Num,
  process_cores_max: Num,
  machine_cpu_mean: Num,
  machine_cpu_max: Num,
  steal_mean: Num,
  steal_max: Num,
  rss_max_bytes: Num,
  free_memory_min: Num,
  connections_max: Count,
  open_file_limit: Count
}

const requests = {
  first_token_delay_s: Distribution,
  chunk_delay_s: Distribution,
  added_ttft_s: Distribution,
  added_gap_s: Distribution,
  client_lag_s: Distribution,
  late_requests: Schema.Int,
  very_late_requests: Schema.Int,
  opened_connections: Schema.Int,
  connection_wait_s_mean: Num,
  connection_wait_s_max: Num,
  own_errors: Schema.Record(Schema.String, Schema.Int)
}

/**
 * What was not observed is `null`.
 *
 * @category models
 * @since 0.2.0
 */
export const HealthSummary = Schema.Struct({ ...client, ...requests })

/**
 * @category models
 * @since 0.2.0
 */
export interface HealthSummary extends Schema.Schema.Type<typeof HealthSummary> {}

/**
 * The numbers of what was observed of the client, `null` when nobody watched, and of its requests.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (health: HealthReport.HealthReport | null, dispatch: Verdict.DispatchReport): HealthSummary => ({
  ...healthFields(health),
  ...dispatchFields(dispatch)
})

const healthFields = (report: HealthReport.HealthReport | null): Pick<HealthSummary, keyof typeof client> => {
  const delays = report === null ? Histogram.make() : HealthReport.loopDelay(report)
  const { mean, most, sum } = readingsOf(report?.slices ?? [])
  const events = sum(({ events }) => events)
  const waiting = sum((slice) => slice.events_waiting)
  const free = most(({ free_memory }) => (free_memory === null ? null : 1 - free_memory))
  return {
    watched: report !== null,
    threads: report?.threads ?? null,
    cpu_count: report?.cpu_count ?? null,
    slice_s: report?.slice_s ?? null,
    loop_delay_s: distribution(delays),
    loop_utilization_mean: mean((slice) => slice.loop_utilization),
    loop_utilization_max: most((slice) => slice.loop_utilization),
    events_waiting: events === null || waiting === null || events === 0 ? null : waiting / events,
    gc_count: sum((slice) => slice.gc_count),
    gc_total_s: sum((slice) => slice.gc_total_s),
    gc_longest_s: most((slice) => slice.gc_longest_s),
    process_cores_mean: mean((slice) => slice.process_cores),
    process_cores_max: most((slice) => slice.process_cores),
    machine_cpu_mean: mean((slice) => slice.machine_cpu),
    machine_cpu_max: most((slice) => slice.machine_cpu),
    steal_mean: mean((slice) => slice.steal),
    steal_max: most((slice) => slice.steal),
    rss_max_bytes: most((slice) => slice.rss_bytes),
    free_memory_min: free === null ? null : 1 - free,
    connections_max: most((slice) => slice.connections),
    open_file_limit: report?.open_file_limit ?? null
  }
}

const dispatchFields = (report: Verdict.DispatchReport): Pick<HealthSummary, keyof typeof requests> => {
  const { opened_connections: opened } = report
  const arrivals = Verdict.arrivalDelaysOf(report)
  return {
    first_token_delay_s: distribution(arrivals.firstToken),
    chunk_delay_s: distribution(arrivals.chunk),
    added_ttft_s: distribution(arrivals.addedTtft),
    added_gap_s: distribution(arrivals.addedGap),
    client_lag_s: distribution(Verdict.lagOf(report)),
    late_requests: report.slices.reduce((count, { late }) => count + late, 0),
    very_late_requests: report.slices.reduce((count, { very_late }) => count + very_late, 0),
    opened_connections: opened,
    connection_wait_s_mean: opened === 0 ? null : report.connection_wait_total_s / opened,
    connection_wait_s_max: opened === 0 ? null : report.connection_wait_max_s,
    own_errors: report.own_errors
  }
}

const distribution = (histogram: Histogram.Histogram): typeof Distribution.Type => {
  const values = Histogram.ranked(histogram)
  const quantile = (q: number): number | null => Quantile.quantileOfRanked(values, 0, q)
  return {
    quantiles: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99), p999: quantile(0.999) },
    mean: Histogram.mean(histogram),
    max: Histogram.max(histogram),
    count: Histogram.count(histogram)
  }
}

type Read = (slice: HealthReport.HealthSlice) => number | null

/** Sums, means over time and maxima of what is known; `null` when nothing is. */
const readingsOf = (slices: ReadonlyArray<HealthReport.HealthSlice>) => {
  const known = (read: Read) =>
    slices.flatMap((slice) => {
      const value = read(slice)
      return value === null ? [] : [{ value, seconds: slice.observed_s }]
    })
  const fold = (read: Read, add: (sum: number, value: number, seconds: number) => number): number | null => {
    const values = known(read)
    return values.length === 0 ? null : values.reduce((sum, { seconds, value }) => add(sum, value, seconds), 0)
  }
  return {
    sum: (read: Read) => fold(read, (sum, value) => sum + value),
    most: (read: Read) => fold(read, (sum, value) => Math.max(sum, value)),
    mean: (read: Read): number | null => {
      const seconds = known(read).reduce((sum, { seconds }) => sum + seconds, 0)
      const weighted = fold(read, (sum, value, weight) => sum + value * weight)
      return weighted === null || seconds === 0 ? null : weighted / seconds
    }
  }
}
