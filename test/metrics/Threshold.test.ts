import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Comparison from "../../src/metrics/Comparison.ts"
import { CorrectnessSink } from "../../src/metrics/CorrectnessSink.ts"
import * as Expression from "../../src/metrics/Expression.ts"
import * as HealthSummary from "../../src/metrics/HealthSummary.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Threshold from "../../src/metrics/Threshold.ts"
import { evidence } from "./health.ts"
import { failure, outcome, record } from "./records.ts"

/** The threshold, or where and why it cannot be read. */
const read = (text: string) =>
  Result.match(Threshold.parse(text), {
    onFailure: ({ expected, position }) => `${position}: ${expected}`,
    onSuccess: ({ limit, operator, path, unit }) => [path.join("."), operator, limit, unit]
  })

const threshold = (text: string): Threshold.Threshold => Result.getOrThrow(Threshold.parse(text))

const summary = (failures: number) => {
  const sink = new SummarySink()
  for (let i = 1; i <= 100; i++) sink.add(outcome(record({ request_id: i, ttft_s: i / 100 })))
  for (let i = 0; i < failures; i++) sink.add(outcome(failure(429, "RateLimited", "slow down")))
  return sink.summary({ wallSeconds: 10 })
}

describe("Threshold", () => {
  it("reads names, comparisons, numbers and units", () => {
    for (const [text, wanted] of [
      ["ttft_s.p99 < 0.5s", ["ttft_s.p99", "<", 0.5, "s"]],
      ["dispatch_lag_s.max <= 0", ["dispatch_lag_s.max", "<=", 0, "s"]],
      ["ttft_s.p99<500ms", ["ttft_s.p99", "<", 0.5, "s"]],
      ["  results_ttft_s.quantiles.p50 <= .25 s ", ["ttft_s.p50", "<=", 0.25, "s"]],
      ["dispatch_lag_s.p99.9 < 2000us", ["dispatch_lag_s.p999", "<", 0.002, "s"]],
      ["dispatch_lag_s.count > 10", ["dispatch_lag_s.count", ">", 10, ""]],
      ["error_rate < 1%", ["error_rate", "<", 0.01, "share"]],
      ["error_rate\t<\n0.01", ["error_rate", "<", 0.01, "share"]],
      ["mean_output_throughput_token_per_s >= 1e3", ["mean_output_throughput_token_per_s", ">=", 1000, ""]],
      ["request_output_throughput_token_per_s.mean > 20", ["request_output_throughput_token_per_s.mean", ">", 20, ""]],
      ["littles_law.relative_difference > -5%", ["littles_law.relative_difference", ">", -0.05, "share"]],
      ["usage_cached_input_tokens.share < 5%", ["usage_cached_input_tokens.share", "<", 0.05, "share"]],
      ["inter_chunk_burst_share < 10%", ["inter_chunk_burst_share", "<", 0.1, "share"]],
      ["quantile_error <= 0.1%", ["quantile_error", "<=", 0.001, "share"]],
      [
        "usage_input_tokens.mean_relative_difference < 5%",
        ["usage_input_tokens.mean_relative_difference", "<", 0.05, "share"]
      ],
      ["health_loop_delay_s.p99 < 20ms", ["health_loop_delay_s.p99", "<", 0.02, "s"]],
      ["health_machine_cpu_max < 90%", ["health_machine_cpu_max", "<", 0.9, "share"]],
      ["health_free_memory_min > 0.1", ["health_free_memory_min", ">", 0.1, "share"]],
      ["health_connection_wait_s_max < 1s", ["health_connection_wait_s_max", "<", 1, "s"]],
      ["health_late_requests <= 0", ["health_late_requests", "<=", 0, ""]],
      ["health_own_errors.EMFILE <= 0", ["health_own_errors.EMFILE", "<=", 0, ""]],
      ["health_loop_delay_s_quantiles_p99 < 20ms", ["health_loop_delay_s.p99", "<", 0.02, "s"]],
      ["results_ttft_s_quantiles_p99 < 1s", ["ttft_s.p99", "<", 1, "s"]],
      ["usage_cached_input_tokens_share < 5%", ["usage_cached_input_tokens.share", "<", 0.05, "share"]],
      ["error_code_frequency.429 < 3", ["error_code_frequency.429", "<", 3, ""]],
      ["failed_as_infinite.ttft_s.p99 < 2s", ["failed_as_infinite.ttft_s.p99", "<", 2, "s"]],
      ["num_late_requests <= 0", ["num_late_requests", "<=", 0, ""]],
      ["wall_time_s < 10min", ["wall_time_s", "<", 600, "s"]]
    ] as const) {
      const found = read(text)
      assert.deepStrictEqual(
        Array.isArray(found) ? found.map((part) => (typeof part === "number" ? Number(part.toFixed(9)) : part)) : found,
        [...wanted],
        text
      )
    }
  })

  it("says what is wrong, and where", () => {
    for (const [text, position, expected] of [
      ["", 0, /the name of a number/],
      ["< 5", 0, /the name of a number/],
      ["ttft_s.p99", 10, /one of <, <=, > and >=/],
      ["ttft_s.p99 = 5", 11, /one of <, <=, > and >=/],
      ["ttft_s.p99 << 5", 12, /a number, such as/],
      ["ttft_s.p99 < ", 13, /a number, such as/],
      ["ttft_s.p99 < 5 ms or so", 18, /nothing more/],
      ["ttft_s.p99 < 5 parsecs", 15, /s, ms, us or min/],
      ["ttft_s.p99 < 5%", 14, /s, ms, us or min/],
      ["error_rate < 5ms", 14, /%, or no unit/],
      ["num_late_requests < 5%", 21, /no unit/],
      ["ttft_s.p99 < +5s", 13, /without \+/],
      ["ttft_s.p99 < 500", 13, /^13: a unit: 500 s\? write 500ms or 500s$/],
      ["wall_time_s < -0.5", 14, /-0\.5 s\? write -0\.5ms or -0\.5s/],
      ["ttft_s < 0.5", 0, /ttft_s\.p25, .*ttft_s\.p99, .*ttft_s\.mean/],
      ["  ttft_s.p98 < 0.5", 2, /p99/],
      ["ttft.p99 < 0.5", 0, /such as ttft_s/],
      ["throughput > 1", 0, /request_output_throughput_token_per_s/],
      ["xyzzy < 1", 0, /such as ttft_s\.p99 or error_rate/],
      ["errors < 1", 0, /this is none/],
      ["toString < 1", 0, /name of a number/]
    ] as const) {
      const found = read(text)
      assert.isString(found, text)
      assert.match(String(found), new RegExp(`^${position}: `), text)
      assert.match(String(found), expected, text)
    }
  })

  it("points at the place", () => {
    const error = Result.getOrThrow(Result.flip(Threshold.parse(" ttft_s.p99 << 5")))
    assert.instanceOf(error, Expression.ExpressionError)
    assert.strictEqual(
      error.message,
      "at character 14, expected a number, such as 0.5, 500ms or 5%\n   ttft_s.p99 << 5\n               ^"
    )
  })

  it("checks a summary", () => {
    const passed = (text: string, failures = 0) =>
      Threshold.passed(Threshold.check([threshold(text)], { summary: summary(failures) }), { allowUnknown: false })
    assert.isTrue(passed("ttft_s.p50 < 0.51s"))
    assert.isFalse(passed("ttft_s.p50 < 0.505s"))
    assert.isTrue(passed("ttft_s.p50 <= 0.505s"))
    assert.isTrue(passed("ttft_s.p50 >= 505ms"))
    assert.isFalse(passed("ttft_s.p50 > 505ms"))
    assert.isTrue(passed("error_rate < 1%"))
    assert.isFalse(passed("error_rate < 1%", 1 + 100))
    assert.isFalse(passed("error_code_frequency.429 < 3", 3))
    assert.isTrue(passed("error_code_frequency.429 < 3", 2))
    assert.isTrue(passed("error_code_frequency.500 < 1", 2))
  })

  it("does not judge a number that is not there, or a percentile with fewer than ten requests beyond it", () => {
    const round = (value: number | null) => (value === null ? null : Number(value.toFixed(3)))
    const check = (text: string, failures = 50) => {
      const [found] = Threshold.check([threshold(text)], { summary: summary(failures) })
      return [found?.outcome, round(found?.value ?? null), found?.count, found?.needed]
    }
    assert.deepStrictEqual(check("num_late_requests < 5").slice(0, 2), ["unknown", null])
    assert.deepStrictEqual(check("ttft_s.p99 < 5s"), ["unknown", 0.99, 100, 1_000])
    assert.deepStrictEqual(check("ttft_s.p99 < 1ms"), ["unknown", 0.99, 100, 1_000])
    assert.deepStrictEqual(check("ttft_s.p90 < 5s").slice(2), [100, 100])
    assert.strictEqual(check("ttft_s.p90 < 5s")[0], "passed")
    assert.strictEqual(check("ttft_s.p95 < 5s")[0], "unknown")
    assert.strictEqual(check("ttft_s.p25 < 5s")[0], "passed")
    // Those that failed are among the values here
    assert.deepStrictEqual(check("failed_as_infinite.ttft_s.p90 < 1min"), ["failed", Infinity, 150, 100])
    assert.deepStrictEqual(check("failed_as_infinite.ttft_s.p95 < 1min", 100).slice(0, 2), ["failed", Infinity])
    assert.deepStrictEqual(check("failed_as_infinite.ttft_s.p99 < 1min").slice(0, 2), ["unknown", Infinity])
    // Counts, shares and extremes are exact
    assert.strictEqual(check("ttft_s.max < 5s")[0], "passed")
    assert.strictEqual(check("error_rate < 1%")[0], "failed")
  })

  it("does not judge totals of tokens when those of some answers are not known", () => {
    const sink = new SummarySink()
    for (let i = 0; i < 100; i++) {
      sink.add(outcome(record({ token_source: "server", ...(i < 5 ? { number_output_tokens: null } : {}) })))
    }
    const [throughput, latency, count] = Threshold.check(
      ["mean_output_throughput_token_per_s < 1000", "inter_token_latency_s.p90 < 1s", "error_rate < 1%"].map(threshold),
      { summary: sink.summary({ wallSeconds: 10 }) }
    )
    assert.deepInclude(throughput, { value: null, outcome: "unknown" })
    assert.deepInclude(throughput?.uncounted, { num_uncounted_requests: 5, num_completed_requests: 100 })
    assert.deepInclude(latency, { outcome: "unknown", count: 95, needed: 100, uncounted: null })
    assert.deepInclude(count, { outcome: "passed", uncounted: null })
  })

  it("wants as many values of a mean or a rate as a comparison does", () => {
    const sink = new SummarySink()
    for (let i = 1; i <= 29; i++) sink.add(outcome(record({ request_id: i })))
    const check = (text: string) => {
      const [found] = Threshold.check([threshold(text)], { summary: sink.summary({ wallSeconds: 10 }) })
      return [found?.outcome, found?.statistic, found?.count, found?.needed]
    }
    const { neededFor } = Comparison
    assert.deepStrictEqual(check("ttft_s.mean < 1min"), ["unknown", "mean", 29, neededFor("mean")])
    assert.deepStrictEqual(check("dispatch_lag_s.stddev < 1min"), ["unknown", "mean", 29, 30])
    assert.deepStrictEqual(check("mean_tokens_per_chunk > 0").slice(0, 2), ["unknown", "mean"])
    assert.deepStrictEqual(check("request_rate_per_s > 1"), ["unknown", "value", 29, neededFor("value")])
    for (const exact of ["num_completed_requests >= 5", "ttft_s.max < 1min", "error_rate <= 0"]) {
      assert.deepStrictEqual(check(exact).slice(0, 2), ["passed", null], exact)
    }
    sink.add(outcome(record({ request_id: 30 })))
    assert.strictEqual(check("ttft_s.mean < 1min")[0], "passed")
    assert.strictEqual(check("num_completed_requests_per_min > 1")[0], "passed")
  })

  it("checks the numbers of the client", () => {
    const { dispatch, health } = evidence()
    const check = (text: string, known = true) => {
      const [found] = Threshold.check([threshold(text)], {
        summary: summary(0),
        health: known ? HealthSummary.make(health, dispatch) : undefined
      })
      return found?.outcome
    }
    assert.strictEqual(check("health_loop_utilization_max <= 100%"), "passed")
    assert.strictEqual(check("health_late_requests < 0"), "failed")
    assert.strictEqual(check("health_own_errors.EMFILE <= 0"), "passed")
    assert.strictEqual(check("health_loop_utilization_max <= 100%", false), "unknown")
  })

  it("lets a run pass whose thresholds cannot be judged only where that is allowed", () => {
    const unknown = Threshold.check([threshold("error_rate < 1%"), threshold("ttft_s.p99 < 5s")], {
      summary: summary(0)
    })
    assert.isFalse(Threshold.passed(unknown, { allowUnknown: false }))
    assert.isTrue(Threshold.passed(unknown, { allowUnknown: true }))
    const failed = Threshold.check([threshold("error_rate < 1%")], { summary: summary(50) })
    assert.isFalse(Threshold.passed(failed, { allowUnknown: true }))
    assert.isTrue(Threshold.passed([], { allowUnknown: false }))
  })

  it("reads the numbers of a correctness test, where there is one", () => {
    const inTest = (text: string) =>
      Result.match(Threshold.parse(text, { answers: true }), {
        onFailure: ({ expected, position }) => `${position}: ${expected}`,
        onSuccess: ({ about, limit, path, unit }) => [about, path.join("."), limit, unit]
      })
    assert.deepStrictEqual(inTest("answer_mismatch_rate <= 5%"), ["answers", "answer_mismatch_rate", 0.05, "share"])
    assert.deepStrictEqual(inTest("num_mismatched_requests < 3"), ["answers", "num_mismatched_requests", 3, ""])
    assert.deepStrictEqual(inTest("error_rate < 0.1"), ["answers", "error_rate", 0.1, "share"])
    assert.deepStrictEqual(inTest("results_error_rate < 1%"), ["requests", "error_rate", 0.01, "share"])
    assert.deepStrictEqual(inTest("ttft_s.p99 < 20ms"), ["requests", "ttft_s.p99", 0.02, "s"])
    assert.match(String(inTest("mismatch < 1")), /^0: .*such as mismatch_rate, answer_mismatch_rate$/)
    assert.match(String(inTest("xyzzy < 1")), /such as answer_mismatch_rate or error_rate/)
    assert.match(String(inTest("results_mismatch_rate < 1")), /^0: .*such as .*mismatch_rate/)
    assert.match(String(inTest("num_mismatched_requests < 3%")), /no unit/)
    // A load test has no answers to judge
    assert.match(String(read("answer_mismatch_rate < 5%")), /^0: the name of a number/)
  })

  it("checks a correctness test, whose counts of requests are not those of a load test", () => {
    const sink = new CorrectnessSink()
    const judged = ["correct", "correct", "mismatch", "error"] as const
    for (const [i, verdict] of judged.entries()) {
      sink.add({ request_id: i + 1, expected: 1, verdict, generated_text: "" })
    }
    const check = (text: string, correctness = sink.summary()) => {
      const parsed = Result.getOrThrow(Threshold.parse(text, { answers: true }))
      const [checked] = Threshold.check([parsed], { summary: summary(1), correctness })
      return [checked?.value, checked?.outcome]
    }
    assert.deepStrictEqual(check("num_completed_requests >= 4"), [4, "passed"])
    assert.deepStrictEqual(check("results_num_completed_requests >= 4"), [100, "passed"])
    assert.deepStrictEqual(check("answer_mismatch_rate < 33%"), [1 / 3, "failed"])
    assert.deepStrictEqual(check("error_rate < 25%"), [0.25, "failed"])
    assert.deepStrictEqual(check("error_rate <= 25%"), [0.25, "passed"])
    assert.deepStrictEqual(check("num_no_number_requests <= 0"), [0, "passed"])
    // A share of nothing is not known, and what is not known is not met
    const nothing = new CorrectnessSink().summary()
    assert.deepStrictEqual(check("answer_mismatch_rate < 5%", nothing), [null, "unknown"])
  })
})
