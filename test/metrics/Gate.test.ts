import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type * as Comparison from "../../src/metrics/Comparison.ts"
import * as Gate from "../../src/metrics/Gate.ts"

const read = (text: string) =>
  Result.match(Gate.parse(text), {
    onFailure: ({ expected, position }) => `${position}: ${expected}`,
    onSuccess: ({ kind, limit, metric, operator, statistic }) => [
      metric,
      statistic,
      operator,
      kind,
      Number(limit.toFixed(9))
    ]
  })

const difference = (value: number, low: number, high: number): Comparison.Difference => ({
  value,
  interval: { low, high }
})

/** TTFT p99, so much of a baseline of 1 s higher. */
const comparison = (
  change: Comparison.Difference,
  more: Partial<Comparison.StatisticComparison> = {}
): ReadonlyArray<Comparison.MetricComparison> => [
  {
    metric: "ttft_s",
    label: "TTFT",
    unit: "s",
    better: "lower",
    count: { baseline: 2_000, candidate: 2_000 },
    blockLength: { baseline: 1, candidate: 1 },
    effect: null,
    statistics: [
      {
        statistic: "p99",
        baseline: 1,
        candidate: 1 + change.value,
        absolute: change,
        relative: change,
        shown:
          change.interval === null
            ? "unknown"
            : change.interval.low > 0
              ? "higher"
              : change.interval.high < 0
                ? "lower"
                : "none",
        enough: true,
        needed: 1_000,
        ...more
      }
    ]
  }
]

const outcome = (
  text: string,
  compared: ReadonlyArray<Comparison.MetricComparison>,
  when: Gate.FailWhen = "significant"
) => Gate.judge(Result.getOrThrow(Gate.parse(text)), compared, when).outcome

describe("Gate", () => {
  it("reads relative and absolute differences", () => {
    for (const [text, wanted] of [
      ["ttft_s.p99 > +5%", ["ttft_s", "p99", ">", "relative", 0.05]],
      ["ttft_s.p99 >= +20ms", ["ttft_s", "p99", ">=", "absolute", 0.02]],
      ["results_ttft_s.quantiles.p99.9 > + 1 s", ["ttft_s", "p99.9", ">", "absolute", 1]],
      ["end_to_end_latency_s.mean > +0.1s", ["end_to_end_latency_s", "mean", ">", "absolute", 0.1]],
      ["end_to_end_latency_s.mean > +0", ["end_to_end_latency_s", "mean", ">", "absolute", 0]],
      [
        "mean_output_throughput_token_per_s < -5%",
        ["mean_output_throughput_token_per_s", "value", "<", "relative", -0.05]
      ],
      ["request_rate_per_s < -2", ["request_rate_per_s", "value", "<", "absolute", -2]],
      ["error_rate > +0.5pp", ["error_rate", "value", ">", "absolute", 0.005]],
      ["error_rate > +50%", ["error_rate", "value", ">", "relative", 0.5]]
    ] as const) {
      assert.deepStrictEqual(read(text), [...wanted], text)
    }
  })

  it("says what is wrong, and where", () => {
    for (const [text, position, expected] of [
      ["ttft_s.p99 > 5%", 13, /> \+5%/],
      ["ttft_s.p99 > -5%", 13, /> \+5%/],
      ["ttft_s.p99 < +5%", 13, /< -5%/],
      ["ttft_s > +5%", 0, /ttft_s\.mean/],
      ["ttft_s.max > +5%", 0, /ttft_s\.p99/],
      ["error_rate.p99 > +5%", 0, /error_rate alone/],
      ["tttft_s.p99 > +5%", 0, /one of ttft_s, /],
      ["ttft_s.p99 > +20", 13, /^13: a unit: \+20 s\? write \+20ms or \+20s$/],
      ["ttft_s.p99 < -20", 13, /write -20ms or -20s/],
      ["ttft_s.p99 > +5pp", 15, /% for a relative difference; s, ms/],
      ["request_rate_per_s < -2ms", 23, /1\/s/]
    ] as const) {
      const found = String(read(text))
      assert.match(found, new RegExp(`^${position}: `), text)
      assert.match(found, expected, text)
    }
  })

  it("fails by what is seen, by what is shown, or by what is certain", () => {
    const table: ReadonlyArray<readonly [Comparison.Difference, ...ReadonlyArray<"passed" | "failed">]> = [
      // estimate, significant, certain
      [difference(0.04, 0.01, 0.08), "passed", "passed", "passed"],
      [difference(0.08, -0.01, 0.2), "failed", "passed", "passed"],
      [difference(0.08, 0.01, 0.2), "failed", "failed", "passed"],
      [difference(0.08, 0.06, 0.2), "failed", "failed", "failed"],
      [difference(-0.3, -0.4, -0.2), "passed", "passed", "passed"]
    ]
    for (const [change, ...wanted] of table) {
      const found = (["estimate", "significant", "certain"] as const).map((when) =>
        outcome("ttft_s.p99 > +5%", comparison(change), when)
      )
      assert.deepStrictEqual(found, wanted, JSON.stringify(change))
    }
    assert.strictEqual(outcome("ttft_s.p99 < -5%", comparison(difference(-0.3, -0.4, -0.2)), "certain"), "failed")
    assert.strictEqual(outcome("ttft_s.p99 < -25%", comparison(difference(-0.3, -0.4, -0.2)), "certain"), "passed")
    assert.strictEqual(outcome("ttft_s.p99 >= +8%", comparison(difference(0.08, 0.01, 0.2))), "failed")
    assert.strictEqual(outcome("ttft_s.p99 > +8%", comparison(difference(0.08, 0.01, 0.2))), "passed")
  })

  it("lets nothing through that cannot be judged", () => {
    const judge = (text: string, compared: ReadonlyArray<Comparison.MetricComparison>, when: Gate.FailWhen) => {
      const judged = Gate.judge(Result.getOrThrow(Gate.parse(text)), compared, when)
      return [judged.outcome, judged.unknown]
    }
    const unsure: Comparison.Difference = { value: 0.5, interval: null }
    const few = { enough: false }
    for (const when of ["significant", "certain"] as const) {
      for (const rule of ["ttft_s.p99 > +5%", "ttft_s.p99 > +60%"]) {
        assert.deepStrictEqual(judge(rule, comparison(unsure), when), ["unknown", "interval"])
      }
    }
    // An estimate needs no interval, and yet enough requests
    assert.deepStrictEqual(judge("ttft_s.p99 > +5%", comparison(unsure), "estimate"), ["failed", null])
    assert.deepStrictEqual(judge("ttft_s.p99 > +60%", comparison(unsure), "estimate"), ["passed", null])
    for (const when of ["estimate", "significant", "certain"] as const) {
      for (const change of [difference(0.08, 0.06, 0.2), difference(0, -0.1, 0.1)]) {
        assert.deepStrictEqual(judge("ttft_s.p99 > +5%", comparison(change, few), when), ["unknown", "few"])
      }
      assert.deepStrictEqual(judge("ttft_s.p99 > +5%", [], when), ["unknown", "missing"])
      const other = comparison(difference(0, 0, 0))
      assert.deepStrictEqual(judge("ttft_s.p50 > +5%", other, when), ["unknown", "missing"])
    }
  })

  it("takes any change from 0 for infinite", () => {
    const fromZero = { baseline: 0, relative: null }
    for (const when of ["estimate", "significant", "certain"] as const) {
      const rise = comparison(difference(0.01, 0.005, 0.02), fromZero)
      assert.strictEqual(outcome("ttft_s.p99 > +500%", rise, when), "failed")
      assert.strictEqual(outcome("ttft_s.p99 > +5%", comparison(difference(0, 0, 0), fromZero), when), "passed")
    }
    assert.strictEqual(outcome("ttft_s.p99 > +5%", comparison(difference(0.01, 0, 0.02), fromZero)), "passed")
  })

  it("asks for the statistics of its rules", () => {
    const rules = ["ttft_s.p75 > +5%", "ttft_s.p99.9 > +5%", "error_rate > +1pp"].map((text) =>
      Result.getOrThrow(Gate.parse(text))
    )
    assert.deepStrictEqual(
      [...Gate.statisticsOf(rules)].map(([metric, names]) => [metric, [...names]]),
      [
        ["ttft_s", ["p75", "p99.9"]],
        ["error_rate", ["value"]]
      ]
    )
  })
})
