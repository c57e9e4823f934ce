import { assert, describe, it } from "@effect/vitest"
import * as CalibrationConsole from "../../src/output/CalibrationConsole.ts"
import * as CalibrationFields from "../../src/output/CalibrationFields.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import { loadOf, machine } from "./calibrations.ts"
import { outcomes, summaryOf } from "./results.ts"

const load = loadOf("2026-01-02T03:04:05.000Z", { in_flight: 200, requests_per_s: 80, tokens_per_s: 9_500 })
const limits = {
  measured_at: "2026-01-02T03:04:15.000Z",
  requests: { per_s: 6_026.8, in_flight: 64, limit: "client" as const },
  tokens: { per_s: 440_097, in_flight: 32, limit: "server" as const },
  paced_tokens: { per_s: 20_000, in_flight: 400, limit: "none" as const },
  paced_itl_s: 0.02
}

/** The keys of a summary, and their values. */
const flat = (found: typeof load | null): ReadonlyMap<string, unknown> => {
  const document = ResultFiles.document({
    name: "n",
    parameters: {},
    results: summaryOf([], 1),
    resultsPrefix: "results_",
    details: CalibrationFields.fields(found),
    metadata: {},
    timestamp: 0
  })
  return new Map([...document].filter(([key]) => key.startsWith("calibration")))
}

describe("CalibrationFields", () => {
  it("says what is added, and at which load", () => {
    const { calibration } = CalibrationFields.fields(load)
    assert.deepInclude(calibration, {
      measured_at: "2026-01-02T03:04:05.000Z",
      in_flight: 200,
      requests_per_s: 80,
      tokens_per_s: 9_500
    })
    assert.deepInclude(calibration.added_ttft, { p50_s: 0.001, p99_s: 0.005, p999_s: 0.01 })
    assert.strictEqual(calibration.added_inter_token_latency.p50_s, 0.000002)
    assert.strictEqual(calibration.lag.p99_s, 0.01)
    assert.isTrue([...flat(load).keys()].includes("calibration_added_ttft_p50_s"))
    assert.strictEqual(
      CalibrationFields.sentence(load),
      "At this load the client adds 1.00 ms (p50), 5.00 ms (p99) to TTFT, and sees a token 0.300 ms (p50), 1.50 ms (p99) after it was sent."
    )
  })

  it("has the same keys when nothing is known, all null", () => {
    const nothing = flat(null)
    assert.deepStrictEqual([...nothing.keys()], [...flat(load).keys()])
    assert.isTrue([...nothing.values()].every((value) => value === null))
  })

  it("tells of other programs", () => {
    assert.include(CalibrationFields.sentence(loadOf("", {}, 0.4)), "other programs took 40.0 % of the machine")
  })

  it("takes the weight of a run from its summary, and hints at its pace", () => {
    const summary = summaryOf(outcomes, 8)
    const asked = CalibrationFields.askedOf("closed", summary)
    assert.deepStrictEqual(asked, {
      kind: "closed",
      in_flight: summary.max_requests_in_flight,
      requests_per_s: summary.num_requests_started / 8,
      tokens_per_s: (summary.total_output_tokens ?? 0) / 8
    })
    const { command } = CalibrationFields.hint(summary, "--num-concurrent-requests=5")
    assert.match(command ?? "", /^llmperf calibrate --num-concurrent-requests=5 --ttft \d+ms --itl 16ms$/)
    assert.strictEqual(CalibrationFields.hint(summaryOf([], 1), "").command, "llmperf calibrate")
    assert.isNull(CalibrationFields.askedOf("open", { ...summary, wall_time_s: 0 }).requests_per_s)
  })
})

describe("describe", () => {
  it("tells of the calibration that fits a run, or how to get one", () => {
    const summary = summaryOf(outcomes, 8)
    const heavy = loadOf("now", { in_flight: 500, requests_per_s: 500, tokens_per_s: 50_000 })
    const light = loadOf("now", { in_flight: 1, requests_per_s: 1, tokens_per_s: 1 })
    assert.deepStrictEqual(CalibrationFields.describe([light, heavy], "closed", summary, "--a=1"), {
      fields: CalibrationFields.fields(heavy),
      said: { text: CalibrationFields.sentence(heavy), command: null }
    })
    const unknown = { fields: CalibrationFields.fields(null), said: CalibrationFields.hint(summary, "--a=1") }
    assert.deepStrictEqual(CalibrationFields.describe([light], "closed", summary, "--a=1"), unknown)
    assert.deepStrictEqual(CalibrationFields.describe([heavy], "open", summary, "--a=1"), unknown)
  })
})

describe("CalibrationConsole", () => {
  const report = { machine, load, limits, file: "/home/me/.cache/llmperf/calibration-0.json" }

  it("shows everything, within the width", () => {
    for (const columns of [40, 60, 80, 160]) {
      const lines = CalibrationConsole.render(report, { columns, color: false }).split("\n")
      for (const line of lines) if (!line.includes("/home/me")) assert.isAtMost(line.length, columns)
      assert.isTrue(lines.some((line) => line.includes("added to TTFT")))
    }
    const text = CalibrationConsole.render(report, { columns: 160, color: false })
    assert.match(text, /added to TTFT \(ms\) +1\.000 +5\.000 +10\.000 +20\.000 +100/)
    assert.include(text, "Calibration: 200 in flight, 550 tokens in, 150 out, first token after 100 ms")
    assert.include(text, "6027 a second, 64 in flight (the client's thread was full)")
    assert.include(text, "440097 a second, 32 in flight (the null server's thread was full: the client may do more)")
    assert.include(text, "20000 a second, 400 streams")
    assert.include(text, "At this load the client adds 1.00 ms (p50)")
    assert.notInclude(text, "measure again")
  })

  it("says that the machine was not quiet", () => {
    const busy = CalibrationConsole.render({ ...report, load: loadOf("", {}, 0.5) }, { columns: 160, color: false })
    assert.include(busy, "measure again when the machine is quiet")
  })

  it("is JSON, whatever was left out", () => {
    assert.deepStrictEqual(JSON.parse(CalibrationConsole.toJson(report)), report)
    const less = { ...report, limits: null, file: null }
    assert.deepStrictEqual(JSON.parse(CalibrationConsole.toJson(less)), less)
    assert.notInclude(CalibrationConsole.render(less, { columns: 80, color: false }), "Kept in")
  })
})
