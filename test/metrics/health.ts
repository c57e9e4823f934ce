import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import { type Summary } from "../../src/domain/Summary.ts"
import * as HealthReport from "../../src/metrics/HealthReport.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import { outcome, record } from "./records.ts"

export const facts: HealthReport.HealthFacts = { cpuCount: 4, openFileLimit: 1_024 }

/** A second in which nothing is wrong. */
export const sample = (overrides: Partial<HealthReport.HealthSample> = {}): HealthReport.HealthSample => {
  const fromSeconds = overrides.fromSeconds ?? 0
  return {
    fromSeconds,
    toSeconds: fromSeconds + 1,
    loopDelays: Array.from({ length: 100 }, () => 0.0005),
    loopUtilization: 0.3,
    events: 1_000,
    eventsWaiting: 100,
    gcPauses: [0.001, 0.002],
    processCores: 0.4,
    machineCpu: 0.2,
    steal: 0,
    connections: 10,
    rssBytes: 1e8,
    freeMemory: 0.5,
    ...overrides
  }
}

/** So many seconds, each as `of` says. */
export const health = (
  seconds: number,
  of: (second: number) => Partial<HealthReport.HealthSample> = () => ({}),
  given: HealthReport.HealthFacts = facts
): HealthReport.HealthReport => {
  const sink = new HealthReport.HealthSink(1, given)
  for (let second = 0; second < seconds; second++) sink.add(sample({ fromSeconds: second, ...of(second) }))
  return sink.report()
}

/** Ten requests a second for so many seconds: 500 ms to the first token, 20 ms from chunk to chunk, 1 s in all. */
export const records = (
  seconds: number,
  of: (index: number) => Partial<RequestRecord> = () => ({})
): ReadonlyArray<RequestRecord> =>
  Array.from({ length: seconds * 10 }, (_, index) => {
    const given = of(index)
    const due = given.intended_offset_s ?? index / 10
    const lag = given.dispatch_lag_s === undefined ? 0.001 : given.dispatch_lag_s
    const sent = lag === null ? null : due + lag
    return record({
      request_id: index + 1,
      intended_offset_s: due,
      sent_offset_s: sent,
      end_offset_s: (sent ?? due) + 1,
      ttft_s: 0.5,
      end_to_end_latency_s: 1,
      dispatch_lag_s: lag,
      ...given
    })
  })

const CHUNKS = 26

export type DelayOf = (record: RequestRecord, index: number) => number

/** The gaps of an answer of which every second chunk waits for so long. */
const gapsOf = (delay: number): ReadonlyArray<number> =>
  Array.from({ length: CHUNKS - 1 }, (_, index) => (index % 2 === 0 ? 0.02 : 0.02 + delay))

/** When what came of a request was looked at: its first token, and every second chunk after it, had waited for so long. */
const arrivalsOf = (record: RequestRecord, delay: number): Verdict.Arrivals => {
  const isStream = record.number_chunks > 0
  const latency = (isStream ? record.ttft_s : record.end_to_end_latency_s) ?? 0
  const stamps = [(record.sent_offset_s ?? 0) + latency]
  for (const gap of isStream ? gapsOf(delay) : []) stamps.push((stamps.at(-1) ?? 0) + gap)
  return {
    stamps: stamps.map((second) => second * 1e9),
    delays: Float64Array.from(stamps, (_, index) => (index % 2 === 0 ? delay : 0)),
    sendDelay: 0,
    startNanos: 0
  }
}

/** The request as it is measured when its answer waits for so long. */
const waiting = (record: RequestRecord, delay: number): RequestRecord =>
  delay === 0
    ? record
    : {
        ...record,
        ttft_s: record.ttft_s === null ? null : record.ttft_s + delay,
        end_to_end_latency_s: record.end_to_end_latency_s === null ? null : record.end_to_end_latency_s + delay
      }

export const dispatch = (all: ReadonlyArray<RequestRecord>, delayOf?: DelayOf): Verdict.DispatchReport => {
  const tally = new Verdict.DispatchTally()
  for (const [index, each] of all.entries()) {
    tally.add(each, false, delayOf === undefined ? null : arrivalsOf(each, delayOf(each, index)))
  }
  return tally.report()
}

export const summaryOf = (
  all: ReadonlyArray<RequestRecord>,
  openLoop: { readonly queued: number; readonly dropped: number } | null = null,
  delayOf: DelayOf = () => 0
): Summary => {
  const sink = new SummarySink()
  for (const [index, each] of all.entries()) sink.add(outcome(each, gapsOf(delayOf(each, index))))
  return sink.summary({ wallSeconds: Math.ceil(all.length / 10), openLoop })
}

/** A run of ten seconds that is VALID but for what is given. */
export const evidence = (
  given: {
    readonly records?: ReadonlyArray<RequestRecord>
    readonly health?: HealthReport.HealthReport | null
    readonly openLoop?: boolean
    readonly delayOf?: DelayOf | undefined
    readonly queued?: number
    readonly dropped?: number
    readonly limits?: Verdict.Limits
  } = {}
): Verdict.Evidence => {
  const openLoop = given.openLoop ?? true
  const { delayOf } = given
  const undisturbed = given.records ?? records(10)
  const all =
    delayOf === undefined ? undisturbed : undisturbed.map((each, index) => waiting(each, delayOf(each, index)))
  const waits = openLoop ? { queued: given.queued ?? 0, dropped: given.dropped ?? 0 } : null
  return {
    summary: summaryOf(all, waits, delayOf),
    health: given.health === undefined ? health(10) : given.health,
    dispatch: dispatch(all, delayOf),
    openLoop,
    limits: given.limits
  }
}
