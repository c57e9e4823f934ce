import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as HealthReport from "../../src/metrics/HealthReport.ts"
import * as Histogram from "../../src/metrics/Histogram.ts"
import { facts, health, sample } from "./health.ts"

const bounds = ({ slices }: HealthReport.HealthReport) => slices.map(({ from_s, to_s }) => [from_s, to_s])

describe("HealthSink", () => {
  it("is empty at first", () => {
    const report = new HealthReport.HealthSink(1, facts).report()
    assert.deepStrictEqual(report.slices, [])
    assert.strictEqual(Histogram.count(HealthReport.loopDelay(report)), 0)
    assert.strictEqual(report.cpu_count, 4)
  })

  it("makes a slice of a sample", () => {
    const delays = Array.from({ length: 101 }, (_, index) => index / 1_000)
    const [slice] = health(1, () => ({ loopDelays: delays, gcPauses: [0.25, 0.5] })).slices
    assert.deepStrictEqual(slice, {
      from_s: 0,
      to_s: 1,
      observed_s: 1,
      loop_delay_p50_s: 0.05,
      loop_delay_p99_s: 0.099,
      loop_delay_max_s: 0.1,
      loop_utilization: 0.3,
      events: 1_000,
      events_waiting: 100,
      gc_count: 2,
      gc_total_s: 0.75,
      gc_longest_s: 0.5,
      process_cores: 0.4,
      machine_cpu: 0.2,
      steal: 0,
      connections: 10,
      rss_bytes: 1e8,
      free_memory: 0.5
    })
  })

  it("knows the last slice", () => {
    const sink = new HealthReport.HealthSink(1, facts)
    assert.isNull(sink.latest())
    for (const second of [0, 1, 2]) sink.add(sample({ fromSeconds: second, connections: second }))
    assert.strictEqual(sink.latest()?.connections, 2)
  })

  it("counts a sample that is too long in every slice it covers, its events once", () => {
    const sink = new HealthReport.HealthSink(1, facts)
    sink.add(sample({ fromSeconds: 0, toSeconds: 1 }))
    sink.add(sample({ fromSeconds: 1, toSeconds: 4.25, loopDelays: [3], gcPauses: [0.125], loopUtilization: 1 }))
    const { slices } = sink.report()
    assert.deepStrictEqual(bounds(sink.report()), [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4]
    ])
    assert.deepStrictEqual(
      slices.map((slice) => slice.loop_delay_max_s),
      [0.0005, 3, 3, 3]
    )
    assert.deepStrictEqual(
      slices.map((slice) => slice.gc_count),
      [2, 1, 0, 0]
    )
    assert.deepStrictEqual(
      slices.map(({ events }) => events),
      [1_000, 1_000, 0, 0]
    )
  })

  it("does not let a sample that ends a little late touch the next slice", () => {
    const sink = new HealthReport.HealthSink(1, facts)
    sink.add(sample({ fromSeconds: 0, toSeconds: 1.004, loopDelays: [0.2] }))
    sink.add(sample({ fromSeconds: 1.004, toSeconds: 2 }))
    assert.deepStrictEqual(
      sink.report().slices.map((slice) => slice.loop_delay_max_s),
      [0.2, 0.0005]
    )
  })

  it("ends the last slice where the run ends, however short it is", () => {
    const sink = new HealthReport.HealthSink(1, facts)
    sink.add(sample({ fromSeconds: 0, toSeconds: 1 }))
    sink.add(sample({ fromSeconds: 1, toSeconds: 1.25 }))
    sink.add(sample({ fromSeconds: 1.25, toSeconds: 1.25 }))
    assert.deepStrictEqual(bounds(sink.report()), [
      [0, 1],
      [1, 1.25]
    ])
    assert.strictEqual(sink.report().slices[1]?.observed_s, 0.25)
  })

  it("keeps at most 120 slices of a run of any length, and loses no maximum and no count", () => {
    for (const seconds of [120, 121, 1_000, 5_000]) {
      const report = health(seconds, (second) => (second === 77 ? { loopDelays: [2.5] } : {}))
      assert.isAtMost(report.slices.length, 120)
      assert.isAtLeast(report.slices.length, 60)
      assert.isTrue(Number.isInteger(Math.log2(report.slice_s)))
      assert.strictEqual(Math.max(...report.slices.map((slice) => slice.loop_delay_max_s)), 2.5)
      const bad = report.slices.filter((slice) => slice.loop_delay_p99_s > 1)
      assert.lengthOf(bad, 1)
      assert.isTrue((bad[0]?.from_s ?? 0) <= 77 && (bad[0]?.to_s ?? 0) >= 78)
      assert.strictEqual(
        report.slices.reduce((sum, slice) => sum + slice.gc_count, 0),
        2 * seconds
      )
      assert.strictEqual(report.slices.at(-1)?.to_s, seconds)
    }
  })

  it("takes means over time when slices are joined", () => {
    const report = health(240, (second) => (second % 2 === 0 ? { loopUtilization: 1, machineCpu: null } : {}))
    for (const slice of report.slices) {
      assert.closeTo(slice.loop_utilization, 0.65, 1e-12)
      assert.strictEqual(slice.machine_cpu, 0.2)
      assert.strictEqual(slice.observed_s, 2)
    }
  })
})

describe("merge", () => {
  const other = health(10, () => ({
    loopDelays: [0.004],
    loopUtilization: 0.9,
    processCores: 0.3,
    machineCpu: null,
    connections: 5,
    freeMemory: 0.25
  }))

  it("takes the worst of the threads, and sums what each has of its own", () => {
    const merged = HealthReport.merge(health(10), other)
    assert.strictEqual(merged.threads, 2)
    assert.lengthOf(merged.slices, 10)
    for (const slice of merged.slices) {
      assert.strictEqual(slice.loop_delay_max_s, 0.004)
      assert.strictEqual(slice.loop_utilization, 0.9)
      assert.strictEqual(slice.process_cores, 0.4)
      assert.strictEqual(slice.machine_cpu, 0.2)
      assert.strictEqual(slice.connections, 15)
      assert.strictEqual(slice.gc_count, 4)
      assert.strictEqual(slice.free_memory, 0.25)
      assert.strictEqual(slice.observed_s, 1)
    }
    assert.strictEqual(Histogram.count(HealthReport.loopDelay(merged)), 1_010)
  })

  it("knows the lower limit of open files, and the one that is known", () => {
    const limited = (openFileLimit: number | null) => health(1, () => ({}), { cpuCount: 2, openFileLimit })
    assert.strictEqual(HealthReport.merge(limited(100), limited(50)).open_file_limit, 50)
    assert.strictEqual(HealthReport.merge(limited(null), limited(50)).open_file_limit, 50)
    assert.isNull(HealthReport.merge(limited(null), limited(null)).open_file_limit)
  })

  it("lays slices of different widths side by side", () => {
    const long = health(200, (second) => (second === 150 ? { loopDelays: [1] } : {}))
    const merged = HealthReport.merge(health(10), long)
    assert.strictEqual(merged.slice_s, 2)
    assert.lengthOf(merged.slices, 100)
    const bad = merged.slices.filter((slice) => slice.loop_delay_max_s >= 1)
    assert.deepStrictEqual(
      bad.map(({ from_s, to_s }) => [from_s, to_s]),
      [[150, 152]]
    )
    assert.strictEqual(merged.slices[0]?.connections, 20)
  })

  const reports = fc
    .array(
      fc.record({
        loopDelays: fc.array(fc.integer({ min: 0, max: 1_000 }).map((millis) => millis / 1_024)),
        loopUtilization: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
        connections: fc.nat(1_000),
        steal: fc.option(fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8))
      }),
      { maxLength: 20 }
    )
    .map((seconds) => health(seconds.length, (second) => seconds[second] ?? {}))

  it("does not depend on the order of the threads", () => {
    fc.assert(
      fc.property(reports, reports, reports, (a, b, c) => {
        const left = HealthReport.merge(HealthReport.merge(a, b), c)
        const right = HealthReport.merge(c, HealthReport.merge(b, a))
        assert.deepStrictEqual(left.slices, right.slices)
        assert.strictEqual(
          Histogram.quantile(HealthReport.loopDelay(left), 0.99),
          Histogram.quantile(HealthReport.loopDelay(right), 0.99)
        )
      }),
      { numRuns: 15 }
    )
  })

  it("is plain data that comes through a message to another thread unharmed", () => {
    const report = health(3)
    const received = Schema.decodeUnknownSync(HealthReport.HealthReport)(structuredClone(report))
    assert.deepStrictEqual(received, report)
    assert.strictEqual(Histogram.count(HealthReport.loopDelay(received)), 300)
  })
})
