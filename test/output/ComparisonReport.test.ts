import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { type Fields } from "../../src/domain/Fields.ts"
import { type RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Comparison from "../../src/metrics/Comparison.ts"
import * as Gate from "../../src/metrics/Gate.ts"
import * as RequestSeries from "../../src/metrics/RequestSeries.ts"
import { SummarySink } from "../../src/metrics/SummarySink.ts"
import * as Threshold from "../../src/metrics/Threshold.ts"
import * as ComparisonReport from "../../src/output/ComparisonReport.ts"
import * as ComparisonSettings from "../../src/output/ComparisonSettings.ts"
import * as Xml from "../../src/output/internal/xml.ts"
import type * as RunReader from "../../src/output/RunReader.ts"
import * as ThresholdReport from "../../src/output/ThresholdReport.ts"
import { uniformOf } from "../metrics/latencies.ts"
import { outcome, record } from "../metrics/records.ts"

/** Latencies of one to two times `scale`, drawn. `failing`: how many requests fail, evenly spread. */
const run = (requests: number, scale: number, failing = 0) => {
  const uniform = uniformOf(1)
  return RequestSeries.make(
    Array.from({ length: requests }, (_, start): RequestSeries.RequestRow => {
      const latency = scale * (1 + uniform())
      return {
        start,
        succeeded: failing === 0 || start % Math.round(requests / failing) !== 7,
        sent: true,
        outputTokens: 10,
        inFlight: latency,
        values: { ttft_s: latency, scheduled_ttft_s: latency * 1.001, number_output_tokens: 10 }
      }
    }),
    { wallSeconds: requests, places: null }
  )
}

const report = (
  rules: ReadonlyArray<string>,
  more: Partial<ComparisonReport.Candidate> = {}
): ComparisonReport.Report => {
  const metrics = Comparison.compare(run(1_200, 0.2), run(1_200, 0.23, 24), { seed: 1, resamples: 100 })
  const judgements = rules.map((rule) => Gate.judge(Result.getOrThrow(Gate.parse(rule)), metrics, "significant"))
  return {
    baseline: { path: "results/before", model: "m", requests: 1_200 },
    candidates: [
      { run: { path: "results/after", model: "m", requests: 1_200 }, warnings: [], metrics, judgements, ...more }
    ],
    resamples: 100,
    seed: 1,
    failWhen: "significant",
    allowUnknown: false
  }
}

const statistic = (more: Partial<Comparison.StatisticComparison>): Comparison.StatisticComparison => ({
  statistic: "p99",
  baseline: 1,
  candidate: 1.12,
  absolute: { value: 0.12, interval: { low: 0.04, high: 0.19 } },
  relative: { value: 0.12, interval: { low: 0.04, high: 0.19 } },
  shown: "higher",
  enough: true,
  needed: 1_000,
  ...more
})

const metric = (more: Partial<Comparison.MetricComparison> = {}): Comparison.MetricComparison => ({
  metric: "ttft_s",
  label: "TTFT",
  unit: "s",
  better: "lower",
  count: { baseline: 1, candidate: 1 },
  blockLength: { baseline: 1, candidate: 1 },
  effect: null,
  statistics: [],
  ...more
})

const screen = { columns: 120, color: false }

describe("ComparisonReport", () => {
  it("says a difference in a sentence", () => {
    const say = (more: Partial<Comparison.StatisticComparison>, of: Partial<Comparison.MetricComparison> = {}) =>
      ComparisonReport.sentence(metric(of), statistic(more))
    const down = { value: -0.031, interval: { low: -0.052, high: -0.011 } }
    const around = { value: 0.011, interval: { low: -0.03, high: 0.05 } }
    assert.strictEqual(say({}), "TTFT p99 is 12 % higher (95 % CI 4…19 %)")
    assert.strictEqual(
      say(
        { statistic: "value", relative: down, absolute: down, shown: "lower" },
        { label: "output throughput", unit: "tokens/s" }
      ),
      "Output throughput is 3.1 % lower (95 % CI 1.1…5.2 %)"
    )
    assert.strictEqual(
      say({ relative: around, absolute: around, shown: "none" }),
      "TTFT p99: no difference that this sample can show (95 % CI −3.0…+5.0 %)"
    )
    assert.strictEqual(
      say(
        { statistic: "value", absolute: { value: 0.02, interval: { low: 0.011, high: 0.029 } } },
        { label: "error rate", unit: "share" }
      ),
      "Error rate is 2.0 percentage points higher (95 % CI 1.1…2.9 pp)"
    )
    assert.strictEqual(say({ baseline: 0, relative: null }), "TTFT p99 is 120.0 ms higher (95 % CI 40.0…190.0 ms)")
    assert.strictEqual(
      say({ shown: "unknown", relative: { value: 1, interval: null } }),
      "TTFT p99: too few requests to say anything"
    )
    assert.strictEqual(say({ relative: null, absolute: null }), "TTFT p99: one of the runs has no such number")
  })

  it("shows a table, what differs, and the rules", () => {
    const text = ComparisonReport.render(
      report(["ttft_s.p99 > +5%", "error_rate > +5pp", "dispatch_lag_s.p50 > +5ms"]),
      screen
    )
    for (const part of [
      /^results\/after against results\/before\n {2}baseline {3}results\/before: 1200 requests, m\n/,
      /\nTTFT p99 \(ms\) +39\d\.\d +4\d\d\.\d +\+15 % +\+\d+…\+\d+ % +higher/,
      /\nTTFT mean \(ms\).* (small|medium|large) \(0\.\d\d\)\n/,
      /\nerror rate \(%\) +0\.0 +2\.0 +\+2\.0 pp +\+/,
      /\n- TTFT p50 is 15 % higher \(95 % CI \d+…\d+ %\)\.\n/,
      /\n- No difference that this sample can show: .*request rate/,
      /\n- Left out, as within 1 %.*: scheduled TTFT\.\n/,
      /\nFAILED {3}fail if ttft_s\.p99 > \+5%: \+15 %, 95 % CI \+/,
      /\npassed {3}fail if error_rate > \+5pp: \+2\.0 pp, 95 % CI /,
      /\nUNKNOWN {2}fail if dispatch_lag_s\.p50 > \+5ms: cannot be judged: the runs do not both have this number; fails the\n +comparison \(--allow-unknown lets it pass\)\n$/
    ]) {
      assert.match(text, part)
    }
    assert.notMatch(text, /output tokens|NaN|undefined|-0/)
    // A rule brings into view what is left out otherwise
    assert.match(ComparisonReport.render(report(["scheduled_ttft_s.p99 > +5%"]), screen), /\nscheduled TTFT p99/)
  })

  it("keeps to the width, and colours what is better and worse", () => {
    for (const columns of [40, 60, 80]) {
      const long = report(["dispatch_lag_s.p50 > +5ms"], { warnings: ["word ".repeat(40)] })
      const text = ComparisonReport.render(long, { columns, color: false })
      for (const line of text.split("\n")) assert.isAtMost(line.length, columns, line)
    }
    const colored = ComparisonReport.render(report(["ttft_s.p99 > +50%"]), { columns: 120, color: true })
    assert.match(colored, /\u001B\[31mTTFT p50/)
    assert.match(colored, /\u001B\[32mpassed/)
  })

  it("passes only when every rule did", () => {
    assert.isTrue(ComparisonReport.passed(report([])))
    assert.isTrue(ComparisonReport.passed(report(["ttft_s.p99 > +50%"])))
    assert.isFalse(ComparisonReport.passed(report(["ttft_s.p99 > +50%", "ttft_s.p99 > +5%"])))
    assert.isFalse(ComparisonReport.passed(report(["dispatch_lag_s.p99 > +50%"])))
    const allowed = (...rules: ReadonlyArray<string>) => ({ ...report(rules), allowUnknown: true })
    assert.isTrue(ComparisonReport.passed(allowed("dispatch_lag_s.p99 > +50%")))
    assert.isFalse(ComparisonReport.passed(allowed("dispatch_lag_s.p99 > +50%", "ttft_s.p99 > +5%")))
  })

  it("says of what cannot be judged how many requests it needs", () => {
    const metrics = Comparison.compare(run(300, 0.2), run(1_200, 0.23), { seed: 1, resamples: 100 })
    const rule = Result.getOrThrow(Gate.parse("ttft_s.p99 > +50%"))
    const unknown = report([], { metrics, judgements: [Gate.judge(rule, metrics, "significant")] })
    const words = /cannot be judged: p99 needs 1000 requests, and there are 300 and 1200 \(found \+[\d.]+ %, 95 % CI /
    assert.match(
      ComparisonReport.render(unknown, { ...screen, columns: 200 }),
      new RegExp(`\nUNKNOWN {2}fail if .*${words.source}`)
    )
    assert.match(ComparisonReport.markdown(unknown), /\| \*\*UNKNOWN\*\* \| `ttft_s\.p99 > \+50%` \| cannot be judged/)
    const [found] = JSON.parse(ComparisonReport.json(unknown)).candidates[0].rules
    assert.deepStrictEqual([found.outcome, found.needed], ["unknown", 1_000])
    assert.deepStrictEqual(found.num_values, { baseline: 300, candidate: 1_200 })
    assert.match(found.found, words)
    assert.match(
      ComparisonReport.junit(unknown),
      /tests="1" failures="0" errors="1" skipped="0".*<error message="[^"]+" type="unknown">ttft_s\.p99 &gt; \+50%: cannot/
    )
    const allowed = { ...unknown, allowUnknown: true }
    assert.match(ComparisonReport.markdown(allowed), /\| UNKNOWN \| /)
    assert.match(
      ComparisonReport.junit(allowed),
      /tests="1" failures="0" errors="0" skipped="1".*<skipped message="[^"]+needs 1000/
    )
  })

  it("writes Markdown that no name can break", () => {
    const text = ComparisonReport.markdown(
      report(["ttft_s.p99 > +5%"], { run: { path: "a|b`c\n<d>", model: null, requests: 3 }, warnings: ["<b>|*x*_y_`"] })
    )
    assert.match(text, /^### `a\\\|b'c <d>` against `results\/before`\n/)
    assert.include(text, "| **FAILED** | `ttft_s.p99 > +5%` | +15 %, 95 % CI ")
    assert.include(text, "> **Warning:** \\<b\\>\\|\\*x\\*\\_y\\_\\`\n")
    assert.match(text, /\n\| TTFT p99 \(ms\) \| 39\d\.\d \| 4\d\d\.\d \| \*\*\+15 %\*\* \| /)
    for (const table of text.split("\n\n").filter((part) => part.startsWith("| "))) {
      const widths = table.split("\n").map((line) => line.replaceAll("\\|", "").split("|").length)
      assert.strictEqual(new Set(widths).size, 1, table)
    }
  })

  it("writes JUnit XML that no name can break", () => {
    const nasty = `a&b<c>"d"'e'\u0000\u001B\uD800 ]]>`
    const text = ComparisonReport.junit(
      report(["ttft_s.p99 > +5%", "ttft_s.p99 > +50%", "dispatch_lag_s.p50 > +5ms"], {
        run: { path: nasty, model: null, requests: 3 },
        warnings: ["<&>\n]]>"]
      })
    )
    assert.match(
      text,
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="llmperf compare" tests="3" failures="1" errors="1" /
    )
    assert.include(
      text,
      'name="a&amp;b&lt;c&gt;&quot;d&quot;&apos;e&apos;\uFFFD\uFFFD\uFFFD ]]&gt; against results/before"'
    )
    assert.match(
      text,
      /<testcase [^>]*name="fail if ttft_s\.p99 &gt; \+5%" time="0"><failure message="([^"]+)" type="regression">[^<]+<\/failure><\/testcase>/
    )
    assert.match(text, /<testcase [^>]*name="fail if ttft_s\.p99 &gt; \+50%" time="0"\/>/)
    assert.match(text, /<error message="dispatch_lag_s\.p50 &gt; \+5ms: cannot be judged/)
    assert.include(text, "<system-out>Warning: &lt;&amp;&gt;\n]]&gt;\n")
    // Tags are closed in the order in which they were opened
    const open: Array<string> = []
    for (const [, close, name, , empty] of text.matchAll(/<(\/?)([a-z-]+)((?:\s[^<>]*?)?)(\/?)>/g)) {
      if (close === "/") assert.strictEqual(open.pop(), name)
      else if (empty === "") open.push(name ?? "")
    }
    assert.deepStrictEqual(open, [])
    assert.match(
      ComparisonReport.junit(report([])),
      /<testsuites [^>]*tests="1" failures="0" errors="0".*name="compared" time="0"\/>/
    )
  })

  it("escapes what stands in an attribute more than what stands in a text", () => {
    assert.strictEqual(
      Xml.element("a", { b: "\n\t\r" }, [Xml.text("\n\t\r\"'")]).markup,
      '<a b="&#10;&#9;&#13;">\n\t&#13;"\'</a>'
    )
    assert.strictEqual(Xml.text("😀").markup, "😀")
  })

  it("writes JSON with every number, null where there is none", () => {
    const json = JSON.parse(ComparisonReport.json(report(["error_rate > +5%"])))
    assert.deepStrictEqual(Object.keys(json), [
      "format",
      "confidence",
      "resamples",
      "seed",
      "fail_when",
      "allow_unknown",
      "passed",
      "baseline",
      "candidates"
    ])
    const [candidate] = json.candidates
    assert.deepStrictEqual(candidate.rules[0], {
      rule: "error_rate > +5%",
      outcome: "failed",
      found: "+∞ %",
      difference: null,
      low: null,
      high: null,
      num_values: { baseline: 1_200, candidate: 1_200 },
      needed: 30
    })
    assert.isFalse(json.passed)
    assert.closeTo(candidate.metrics.ttft_s.statistics.p99.relative_difference, 0.15, 0.01)
    assert.isNull(candidate.metrics.error_rate.statistics.value.relative_difference)
    assert.isNull(candidate.metrics.error_rate.cliffs_delta)
    assert.property(candidate.metrics, "scheduled_ttft_s")
  })
})

describe("ComparisonSettings", () => {
  let scale = 1
  // No two runs measure the same latencies
  const loaded = (summary: Fields, more: Partial<RunReader.LoadedRun> = {}): RunReader.LoadedRun => ({
    path: "a",
    summary,
    summarized: true,
    writer: "llmperf",
    itl: "between tokens",
    series: run(10, scale++),
    ...more
  })

  it("refuses other loads and warns of other surroundings", () => {
    const { refusals, warnings } = ComparisonSettings.compare(
      loaded({
        mean_input_tokens: 550,
        num_concurrent_requests: 8,
        model: "m",
        seed: 1,
        additional_sampling_params_top_p: 1,
        additional_sampling_params_response_format: { type: "json_schema", json_schema: { strict: true, of: [] } }
      }),
      loaded({ mean_input_tokens: 500, num_concurrent_requests: null, model: "n", seed: 1, prompt_mode: "exact" })
    )
    assert.deepStrictEqual(refusals, [
      "mean input tokens 550 against 500",
      "requests in flight 8 against none",
      "sampling parameter top_p 1 against none",
      "sampling parameter response_format type json_schema, json_schema (strict true, of (none)) against none"
    ])
    assert.deepStrictEqual(warnings, ["model m against n"])
  })

  it("notices a run that is compared with itself", () => {
    const series = run(10, 1)
    const warned = (a: Fields, b: Fields, other = series) =>
      ComparisonSettings.compare(loaded(a, { series }), loaded(b, { path: "copy", series: other })).warnings.join("\n")
    const itself = "copy is the same run as a: it is compared with itself."
    const one = { run_id: "r", start_time: 5, seed: 7 }
    assert.strictEqual(warned(one, one), itself)
    assert.strictEqual(warned({}, {}), itself)
    // Another run with the same --run-id, another part of the same run, other latencies of LLMPerf
    assert.notInclude(warned(one, { ...one, start_time: 6 }), itself)
    assert.notInclude(warned({ ...one, analysis_from_s: 0 }, { ...one, analysis_from_s: 9 }), itself)
    assert.strictEqual(warned({}, {}, run(10, 1.1)), "")
  })

  it("has nothing to say of runs that are alike", () => {
    const settings = ComparisonSettings.compare(
      loaded({ model: "m", stop: ["a"], verdict: "VALID", stopped: null }),
      loaded({ model: "m", stop: ["a"], timestamp: 5 })
    )
    assert.deepStrictEqual([settings.refusals, settings.warnings, [...settings.leftOut]], [[], [], []])
  })

  it("says when both runs sent the same prompts, and when one of them found more in a cache", () => {
    const share = (value: number) => ({ results_usage_cached_input_tokens_share: value })
    const warned = (a: Fields, b: Fields) =>
      ComparisonSettings.compare(loaded(a), loaded(b, { path: "b" })).warnings.join("\n")
    const same = { seed: 7, tokenizer: "llama", shared_prompts: "same-prompts", mean_input_tokens: 550 }
    assert.match(warned(same, same), /^Both runs sent the same prompts \(seed 7\).*Neither run says how much/)
    assert.match(
      warned({ ...same, ...share(0.98) }, same),
      /same prompts.* 98\.0 % of the input tokens of a came from the server's cache, b does not say\.$/
    )
    assert.match(warned(same, { ...same, ...share(0) }), / a does not say, 0\.0 % of the input tokens of b came/)
    assert.match(
      warned({ ...same, ...share(0) }, { ...same, ...share(0.983) }),
      /^Both runs sent the same prompts \(seed 7\)\. The server had 0\.0 % and 98\.3 % of the input tokens in its cache/
    )
    assert.match(warned({ ...same, ...share(0.98) }, { ...same, ...share(0.983) }), /same prompts.*98\.0 % and 98\.3 %/)
    // No cache: that they are the same does no harm
    assert.strictEqual(warned({ ...same, ...share(0) }, { ...same, ...share(0.01) }), "")
    assert.strictEqual(warned(same, { ...same, seed: 8 }), "")
    assert.strictEqual(warned(same, { ...same, mean_input_tokens: 500 }), "")
    assert.match(
      warned({ ...same, ...share(0.02) }, { ...same, seed: 8, ...share(0.9) }),
      /^The server had 2\.0 % and 90\.0 %/
    )
    const replaced = { seed: 1, shared_prompts: "sampling-params" }
    assert.match(warned(replaced, { ...replaced, seed: 2 }), /^Both runs sent the same prompts/)
  })

  it("warns of runs whose numbers are not what they seem", () => {
    const warned = (summary: Fields, more: Partial<RunReader.LoadedRun> = {}) =>
      ComparisonSettings.compare(loaded({}), loaded(summary, { path: "b", ...more })).warnings.join("\n")
    assert.strictEqual(
      warned({ verdict: "INVALID", verdict_reasons: ["late", { code: 1 }] }),
      "b is INVALID (late, code 1): the client, not the server, was the bottleneck."
    )
    const reason = { check: "loop_delay", verdict: "INVALID", what: "event-loop delay", value: 0.2, unit: "s" }
    assert.strictEqual(
      warned({ verdict: "INVALID", verdict_reasons: [{ ...reason, limit: 0.1, slices: [], advice: "Use less." }] }),
      "b is INVALID (event-loop delay: 200.0 ms (limit 100.0 ms)): the client, not the server, was the bottleneck."
    )
    const tokens = { ...reason, check: "token_mismatch_of_output", limit: 0.05, unit: "share", slices: [], advice: "" }
    assert.match(
      warned({ verdict: "INVALID", verdict_reasons: [tokens] }),
      /^b is INVALID \(.*\): tokens were counted by the wrong tokenizer\.$/
    )
    assert.match(
      warned({ results_verdict: "DEGRADED" }),
      /^b is DEGRADED: the client may have distorted some of its numbers/
    )
    assert.match(warned({ stopped: "timeout" }), /^b did not come to its end by itself \(timeout\)/)
    assert.match(warned({}, { summarized: false }), /^b has no summary/)
    assert.match(warned({}, { series: RequestSeries.make([], { wallSeconds: 1, places: null }) }), /does not say when/)
    const old = ComparisonSettings.compare(loaded({}), loaded({}, { writer: "LLMPerf", itl: "per token with TTFT" }))
    assert.deepStrictEqual([...old.leftOut], ["inter_token_latency_s"])
    assert.lengthOf(old.warnings, 2)
    const row = { start: 1, succeeded: true, sent: true, outputTokens: null, inFlight: 1, values: {} }
    assert.match(
      warned({}, { series: RequestSeries.make([row, { ...row, outputTokens: 5 }], { wallSeconds: 1, places: null }) }),
      /^b: the tokens of 1 of 2 answers are not known\. Its output throughput is unknown; .* --count-tokens tokenizer/
    )
    const tokenizers = ComparisonSettings.compare(loaded({ tokenizer: "a" }), loaded({ tokenizer: "b" }))
    assert.match(tokenizers.warnings[0] ?? "", /^tokenizer a against b: tokens of one are not tokens of the other/)
  })
})

describe("ThresholdReport", () => {
  const strict = { ...screen, allowUnknown: false }

  const checkedOf = (of: Partial<RequestRecord>, ...texts: ReadonlyArray<string>) => {
    const sink = new SummarySink()
    for (let i = 0; i < 30; i++) sink.add(outcome(record({ ttft_s: 0.25, ...of })))
    return Threshold.check(
      texts.map((text) => Result.getOrThrow(Threshold.parse(text))),
      { summary: sink.summary({ wallSeconds: 1 }) }
    )
  }

  const checked = (...texts: ReadonlyArray<string>) => checkedOf({}, ...texts)

  it("shows every threshold with what was found", () => {
    assert.strictEqual(
      ThresholdReport.render(
        checked(
          "ttft_s.mean < 0.5s",
          "error_rate > 1%",
          "num_completed_requests >= 5",
          "ttft_s.p99 < 1s",
          "num_late_requests < 1"
        ),
        strict
      ),
      [
        "Thresholds: 1 of 5 missed, 2 of 5 cannot be judged",
        "  met      ttft_s.mean < 0.5s           250.0 ms",
        "  MISSED   error_rate > 1%              0.00 %",
        "  met      num_completed_requests >= 5  30",
        "  UNKNOWN  ttft_s.p99 < 1s              250.0 ms, but p99 needs 1000 values, and there are 30: fails the run",
        "                                        (--allow-unknown lets it pass)",
        "  UNKNOWN  num_late_requests < 1        there is no such number in this run: fails the run (--allow-unknown lets it",
        "                                        pass)",
        ""
      ].join("\n")
    )
    assert.strictEqual(
      ThresholdReport.render(checked("ttft_s.mean < 0.5s"), strict).split("\n")[0],
      "Thresholds: all met"
    )
    assert.strictEqual(ThresholdReport.render([], strict), "")
    assert.match(
      ThresholdReport.render(checked("num_late_requests < 1"), { ...screen, allowUnknown: true }),
      / in this run: passes with --allow-unknown\n$/
    )
  })

  it("names the answers without a count where a total is not known", () => {
    assert.match(
      ThresholdReport.render(checkedOf({ number_output_tokens: null }, "total_output_tokens > 5"), strict),
      /^ {2}UNKNOWN {2}total_output_tokens > 5 {2}unknown: 30 of 30 answers could not be counted: fails the run/m
    )
  })

  it("says in a line each which thresholds make the run fail", () => {
    const all = checked("error_rate > 1%", "ttft_s.mean < 1s", "ttft_s.p99 < 1s")
    assert.deepStrictEqual(ThresholdReport.failures(all, { allowUnknown: false }), [
      "Threshold missed: error_rate > 1% (0.00 %).",
      "Threshold cannot be judged: ttft_s.p99 < 1s (250.0 ms, but p99 needs 1000 values, and there are 30). It fails the run (--allow-unknown lets it pass)."
    ])
    assert.lengthOf(ThresholdReport.failures(all, { allowUnknown: true }), 1)
  })

  it("gives objects for the summary", () => {
    assert.deepStrictEqual(ThresholdReport.document(checked("ttft_s.mean < 500ms", "num_late_requests < 1")), [
      { threshold: "ttft_s.mean < 500ms", value: 0.25, passed: true, outcome: "passed" },
      { threshold: "num_late_requests < 1", value: null, passed: false, outcome: "unknown" }
    ])
  })
})
