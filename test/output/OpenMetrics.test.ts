import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Summary } from "../../src/domain/Summary.ts"
import * as OpenMetrics from "../../src/output/OpenMetrics.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import { type Family, parse } from "./openMetricsParser.ts"
import { outcomes, summaryOf } from "./results.ts"

const results = summaryOf(outcomes, 5)

const written = (resultsPrefix: string, more: { readonly [key: string]: unknown } = {}) =>
  Object.fromEntries(
    ResultFiles.document({
      name: "demo_summary",
      parameters: { model: "org/demo", num_concurrent_requests: 4 },
      results,
      resultsPrefix,
      details: { run_id: "run1", tokenizer: "llama", start_time: 1_764_000_000.5, verdict: "DEGRADED", ...more },
      metadata: {},
      timestamp: 1_764_000_100
    })
  )

const one = (families: ReadonlyMap<string, Family>, name: string): Family => {
  const family = families.get(name)
  if (family === undefined) throw new Error(`there is no ${name}`)
  return family
}

const gauge = (families: ReadonlyMap<string, Family>, name: string): number => {
  const { samples, type } = one(families, name)
  assert.strictEqual(type, "gauge")
  assert.lengthOf(samples, 1)
  return samples[0]?.value ?? NaN
}

const quantiles = ({ name, samples }: Family): { readonly [quantile: string]: number | null } =>
  Object.fromEntries(
    samples.filter((sample) => sample.name === name).map(({ labels, value }) => [labels.get("quantile") ?? "", value])
  )

describe("OpenMetrics", () => {
  it("says what the summary says", () => {
    const families = parse(OpenMetrics.render(written("results_"), "openmetrics"))
    const ttft = one(families, "llmperf_ttft_seconds")
    assert.strictEqual(ttft.type, "summary")
    assert.strictEqual(ttft.unit, "seconds")
    const { p25, p50, p75, p90, p95, p99 } = results.ttft_s.quantiles
    assert.deepStrictEqual(quantiles(ttft), { 0.25: p25, 0.5: p50, 0.75: p75, 0.9: p90, 0.95: p95, 0.99: p99 })
    assert.strictEqual(gauge(families, "llmperf_ttft_mean_seconds"), results.ttft_s.mean)
    assert.strictEqual(gauge(families, "llmperf_tokens_per_chunk_max"), results.tokens_per_chunk.max)
    assert.strictEqual(gauge(families, "llmperf_error_ratio"), 0.25)
    assert.strictEqual(gauge(families, "llmperf_requests_failed"), 3)
    assert.strictEqual(gauge(families, "llmperf_start_timestamp_seconds"), 1_764_000_000.5)
    const lag = one(families, "llmperf_dispatch_lag_seconds").samples
    assert.strictEqual(lag.find(({ name }) => name.endsWith("_count"))?.value, 12)
    const sum = lag.find(({ name }) => name.endsWith("_sum"))?.value ?? NaN
    assert.closeTo(sum, 66 / 1024, 1e-12)
    assert.deepStrictEqual(
      one(families, "llmperf_verdict").samples.map(({ labels, value }) => [labels.get("llmperf_verdict"), value]),
      [
        ["VALID", 0],
        ["DEGRADED", 1],
        ["INVALID", 0]
      ]
    )
    assert.deepStrictEqual(
      one(families, "llmperf_errors").samples.map(({ labels, value }) => [
        labels.get("reason"),
        labels.get("code"),
        value
      ]),
      results.errors.map(({ code, count, reason }) => [reason, String(code), count])
    )
    for (const { samples } of families.values()) {
      for (const { labels } of samples) {
        assert.strictEqual(labels.get("model"), "org/demo")
        assert.strictEqual(labels.get("run_id"), "run1")
      }
    }
    assert.strictEqual(one(families, "llmperf_run").samples[0]?.labels.get("tokenizer"), "llama")
  })

  it("has every number of the results, and tells infinite from unknown", () => {
    // Every number another one, so that each is found again
    let next = 1000
    const numbered = (value: unknown): unknown => {
      if (typeof value === "number" || value === null) return next++
      if (typeof value !== "object" || Array.isArray(value)) return value
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, numbered(inner)]))
    }
    const all = Schema.decodeUnknownSync(Summary)(
      numbered({ ...results, error_code_frequency: {}, error_reason_frequency: {} })
    )
    const document = ResultFiles.document({
      name: "x",
      parameters: {},
      results: all,
      resultsPrefix: "",
      details: {},
      metadata: {},
      timestamp: 0
    })
    const values = new Set(
      [...parse(OpenMetrics.render(Object.fromEntries(document), "openmetrics")).values()].flatMap(({ samples }) =>
        samples.map(({ value }) => value)
      )
    )
    const missing = [...document].filter(
      ([key, value]) => typeof value === "number" && value >= 1000 && !values.has(value) && !key.endsWith("timestamp")
    )
    assert.deepStrictEqual(missing, [])

    const infinite = one(
      parse(OpenMetrics.render(written(""), "openmetrics")),
      "llmperf_end_to_end_latency_failed_as_infinite_seconds"
    )
    assert.deepStrictEqual(Object.values(quantiles(infinite)).slice(-3), [Infinity, Infinity, Infinity])
    assert.strictEqual(quantiles(infinite)["0.25"], results.failed_as_infinite.end_to_end_latency_s.quantiles.p25)
    const nothing = parse(
      OpenMetrics.render(
        Object.fromEntries(Object.entries(summaryOf([], 1)).map(([key, value]) => [`results_${key}`, value])),
        "openmetrics"
      )
    )
    assert.isFalse([...nothing.keys()].some((name) => name.includes("latency")))
    assert.strictEqual(gauge(nothing, "llmperf_requests_started"), 0)
  })

  it("escapes what stands in labels", () => {
    const nasty = 'a "b" \\n \\ {c="d"},\ne é 🦜 # EOF'
    const families = parse(OpenMetrics.render({ ...written("results_"), model: nasty, name: "\uD800x" }, "openmetrics"))
    assert.strictEqual(one(families, "llmperf_ttft_seconds").samples[0]?.labels.get("model"), nasty)
    assert.strictEqual(one(families, "llmperf_run").samples[0]?.labels.get("name"), "\uFFFDx")
  })

  it("reads LLMPerf's summaries, where some numbers are texts", () => {
    const old = {
      model: "m",
      results_ttft_s_mean: 0.5,
      results_number_output_tokens_max: "171",
      results_number_output_tokens_min: "",
      results_error_code_frequency: "{429.0: 1}"
    }
    const families = parse(OpenMetrics.render(old, "openmetrics"))
    assert.strictEqual(gauge(families, "llmperf_request_output_max_tokens"), 171)
    assert.deepStrictEqual(
      [...families.keys()].filter((name) => name !== "llmperf_request_output_max_tokens"),
      ["llmperf_run", "llmperf_ttft_mean_seconds"]
    )
  })

  it("writes Prometheus' format: no units, no end, gauges for what it does not know", () => {
    const text = OpenMetrics.render(written("results_"), "prometheus")
    assert.notInclude(text, "# UNIT")
    assert.notInclude(text, "# EOF")
    assert.include(
      text,
      '# TYPE llmperf_run_info gauge\nllmperf_run_info{model="org/demo",run_id="run1",name="demo_summary"'
    )
    assert.include(text, "# TYPE llmperf_verdict gauge\n")
    assert.match(
      text,
      /\n# TYPE llmperf_ttft_seconds summary\nllmperf_ttft_seconds\{model="org\/demo",run_id="run1",quantile="0\.25"\} 0\.\d+\n/
    )
    // Without what is different, both say the same
    const samples = (format: OpenMetrics.Format) =>
      OpenMetrics.render(written("results_"), format)
        .split("\n")
        .filter((line) => !line.startsWith("#"))
    assert.deepStrictEqual(samples("prometheus"), samples("openmetrics"))
    for (const line of text.split("\n").slice(0, -1)) assert.match(line, /^(# (HELP|TYPE) llmperf_|llmperf_\w+\{)/)
  })

  it("is refused by the reader when it is wrong", () => {
    const right = OpenMetrics.render(written("results_"), "openmetrics")
    for (const [from, to] of [
      ["# EOF\n", ""],
      ["# UNIT llmperf_ttft_seconds seconds", "# UNIT llmperf_ttft_seconds s"],
      ["llmperf_ttft_seconds{", "llmperf_ttft{"],
      ['quantile="0.25"', 'quantile="25"'],
      ["# HELP llmperf_ttft_seconds ", "# HELP llmperf_ttft_seconds x\n# HELP llmperf_ttft_seconds "],
      ['run_id="run1",', 'run_id="run1",run_id="run1",'],
      ["llmperf_run_info{", "llmperf_run{"]
    ] as const) {
      assert.include(right, from)
      assert.throws(() => parse(right.replace(from, to)), undefined, undefined, `${from} → ${to}`)
    }
  })
})
