import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { gauges } from "../../../src/output/internal/openMetricsFamilies.ts"
import * as LiveMetrics from "../../../src/output/internal/liveMetrics.ts"
import { parse } from "../expositionParser.ts"
import { anyReading, nothing, reading } from "../liveReadings.ts"

const run: LiveMetrics.Run = {
  runId: "run1",
  model: 'org/"demo"\\n\n',
  version: "1.2.3",
  planned: 100,
  info: { llm_api: "openai" }
}

const formats = ["prometheus", "openmetrics"] as const

describe("the text of live metrics", () => {
  it.each(formats)("says what the reading says (%s)", (format) => {
    const { families, sample } = parse(LiveMetrics.text(run, reading(), format), format)
    for (const { samples } of families.values()) {
      for (const { labels } of samples) assert.include(labels, { model: run.model, run_id: "run1" })
    }
    assert.strictEqual(sample("llmperf_run_info", { version: "1.2.3", llm_api: "openai" }), 1)
    assert.strictEqual(sample("llmperf_run_phase", { llmperf_run_phase: "running" }), 1)
    assert.strictEqual(sample("llmperf_run_phase", { llmperf_run_phase: "over" }), 0)
    assert.strictEqual(sample("llmperf_verdict", { llmperf_verdict: "DEGRADED" }), 1)
    assert.strictEqual(sample("llmperf_verdict_grade"), 1)
    assert.strictEqual(sample("llmperf_wall_time_seconds"), 4)
    assert.strictEqual(sample("llmperf_requests_planned"), 100)
    assert.strictEqual(sample("llmperf_requests_in_flight"), 1)
    assert.strictEqual(sample("llmperf_requests_started_total"), 4)
    assert.strictEqual(sample("llmperf_requests_completed_total"), 2)
    assert.strictEqual(sample("llmperf_requests_failed_total"), 1)
    assert.strictEqual(sample("llmperf_requests_late_total"), 1)
    assert.strictEqual(sample("llmperf_errors_total", { reason: "RateLimited", code: "429" }), 1)
    assert.strictEqual(sample("llmperf_input_tokens_total"), 100)
    assert.strictEqual(sample("llmperf_output_tokens_total"), 26)
    assert.strictEqual(sample("llmperf_chunks_total"), 20)
    assert.strictEqual(sample("llmperf_chunks_received_total"), 23)
    const le = (bound: string) => (format === "openmetrics" && /^\d+$/.test(bound) ? `${bound}.0` : bound)
    const below = (name: string, bound: string) => sample(`llmperf_${name}_bucket`, { le: le(bound) })
    assert.deepStrictEqual(
      ["0.2", "0.25", "2.5", "3.5", "+Inf"].map((bound) => below("ttft_seconds", bound)),
      [0, 1, 1, 2, 2]
    )
    assert.strictEqual(sample("llmperf_ttft_seconds_sum"), 3.25)
    assert.strictEqual(sample("llmperf_ttft_seconds_count"), 2)
    assert.deepStrictEqual(
      ["0.003", "0.005", "0.1"].map((bound) => below("inter_token_latency_seconds", bound)),
      [0, 1, 2]
    )
    assert.deepStrictEqual(
      ["0.00025", "0.01", "0.025"].map((bound) => below("dispatch_lag_seconds", bound)),
      [1, 1, 2]
    )
    assert.deepStrictEqual(
      ["1", "16"].map((bound) => below("request_output_tokens", bound)),
      [0, 2]
    )
    assert.closeTo(sample("llmperf_ttft_recent_seconds", { quantile: "0.5" }), 0.25, 0.01)
  })

  it("has units and types where the format has them", () => {
    const { families } = parse(LiveMetrics.text(run, reading(), "openmetrics"), "openmetrics")
    const told = ["ttft_seconds", "input_tokens", "requests_started", "run", "verdict", "ttft_recent_seconds"].map(
      (name) => {
        const family = families.get(`llmperf_${name}`)
        return [family?.type, family?.unit]
      }
    )
    assert.deepStrictEqual(told, [
      ["histogram", "seconds"],
      ["counter", "tokens"],
      ["counter", ""],
      ["info", ""],
      ["stateset", ""],
      ["summary", "seconds"]
    ])
    const counter = parse(LiveMetrics.text(run, reading(), "prometheus"), "prometheus").families
    assert.strictEqual(counter.get("llmperf_requests_started_total")?.type, "counter")
    assert.strictEqual(counter.get("llmperf_run_info")?.type, "gauge")
  })

  it("has the names of finished runs for the same things", () => {
    const { families } = parse(LiveMetrics.text(run, reading(), "openmetrics"), "openmetrics")
    const names = new Set(Object.values(gauges).map(({ name }) => `llmperf_${name}`))
    const counters = [...families.values()].filter(({ type }) => type === "counter").map(({ name }) => name)
    assert.deepStrictEqual(
      counters.filter((name) => !names.has(name)),
      // The first is there too, as a gauge of kinds
      ["llmperf_errors", "llmperf_chunks_received"]
    )
  })

  it("leaves out what is not known", () => {
    const { families, sample } = parse(
      LiveMetrics.text({ ...run, planned: null }, nothing(), "prometheus"),
      "prometheus"
    )
    for (const name of ["verdict", "verdict_grade", "requests_planned", "errors_total", "ttft_recent_seconds"]) {
      assert.isFalse(families.has(`llmperf_${name}`), name)
    }
    // What may yet be counted is there from the beginning, so that rates are right from the first request
    assert.strictEqual(sample("llmperf_requests_failed_total"), 0)
    assert.strictEqual(sample("llmperf_ttft_seconds_count"), 0)
  })

  it("is always well formed, whatever a server sends", () => {
    fc.assert(
      fc.property(anyReading, fc.constantFrom(...formats), (any, format) => {
        const { families } = parse(LiveMetrics.text(run, any, format), format)
        const errors = families.get(format === "openmetrics" ? "llmperf_errors" : "llmperf_errors_total")
        assert.deepStrictEqual(
          (errors?.samples ?? []).map(({ labels, value }) => ({
            reason: labels["reason"],
            code: labels["code"] ?? "",
            count: value
          })),
          [...any.errors]
        )
      })
    )
  })
})
