import { assert, describe, it } from "@effect/vitest"
import * as CliOutput from "effect/cli/CliOutput"
import * as HealthSummary from "../../src/metrics/HealthSummary.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import * as ResultFiles from "../../src/output/ResultFiles.ts"
import * as VerdictText from "../../src/output/VerdictText.ts"
import { evidence, health, records } from "../metrics/health.ts"

const plain = { columns: 100, color: false }

const good = evidence()
const bad = evidence({
  records: records(10, (index) => (index >= 50 ? { dispatch_lag_s: 0.2 } : {})),
  health: health(10, (second) => (second >= 5 && second < 7 ? { loopDelays: [0.3], loopUtilization: 1 } : {}))
})

const documentOf = (given: Verdict.Evidence) => {
  const { dispatch, health: report, limits, summary } = given
  return ResultFiles.document({
    name: "n",
    parameters: {},
    results: summary,
    resultsPrefix: "results_",
    details: VerdictText.fields({
      verdict: Verdict.judge(given),
      health: HealthSummary.make(report, dispatch),
      limits
    }),
    metadata: {},
    timestamp: 0
  })
}

describe("fields", () => {
  it("are flat numbers, and lists where there are several", () => {
    const document = documentOf(good)
    assert.strictEqual(document.get("verdict"), "VALID")
    assert.deepStrictEqual(document.get("verdict_reasons"), [])
    assert.deepStrictEqual(document.get("verdict_slices"), [{ from_s: 0, to_s: 10, verdict: "VALID", checks: [] }])
    assert.strictEqual(document.get("health_watched"), true)
    assert.strictEqual(document.get("health_threads"), 1)
    assert.strictEqual(document.get("health_cpu_count"), 4)
    assert.strictEqual(document.get("health_slice_s"), 1)
    assert.strictEqual(document.get("health_loop_delay_s_quantiles_p99"), 0.0005)
    assert.strictEqual(document.get("health_loop_delay_s_max"), 0.0005)
    assert.closeTo(Number(document.get("health_loop_utilization_mean")), 0.3, 1e-12)
    assert.strictEqual(document.get("health_events_waiting"), 0.1)
    assert.strictEqual(document.get("health_gc_count"), 20)
    assert.strictEqual(document.get("health_gc_longest_s"), 0.002)
    assert.strictEqual(document.get("health_machine_cpu_max"), 0.2)
    assert.strictEqual(document.get("health_free_memory_min"), 0.5)
    assert.strictEqual(document.get("health_connections_max"), 10)
    assert.strictEqual(document.get("health_open_file_limit"), 1_024)
    assert.strictEqual(document.get("health_client_lag_s_max"), 0.001)
    assert.strictEqual(document.get("health_late_requests"), 0)
    assert.strictEqual(document.get("health_opened_connections"), 0)
    assert.isNull(document.get("health_connection_wait_s_max"))
  })

  it("have the same keys whether the client was watched or not, null then", () => {
    const unwatched = documentOf(evidence({ health: null }))
    assert.deepStrictEqual([...unwatched.keys()], [...documentOf(good).keys()])
    assert.strictEqual(unwatched.get("health_watched"), false)
    assert.isNull(unwatched.get("health_loop_delay_s_quantiles_p99"))
    assert.isNull(unwatched.get("health_loop_utilization_mean"))
    assert.isNull(unwatched.get("health_gc_count"))
    assert.strictEqual(unwatched.get("health_client_lag_s_max"), 0.001)
  })

  it("name reasons and slices, and join slices that are alike", () => {
    const document = documentOf(bad)
    assert.strictEqual(document.get("verdict"), "INVALID")
    const reasons = Verdict.judge(bad).reasons
    const listed = document.get("verdict_reasons")
    assert.isTrue(Array.isArray(listed) && listed.length === reasons.length)
    assert.deepStrictEqual(Array.isArray(listed) ? Object.keys(listed[0]) : [], [
      "check",
      "verdict",
      "what",
      "sentence",
      "value",
      "unit",
      "limit",
      "slices",
      "advice"
    ])
    const slices = document.get("verdict_slices")
    assert.deepStrictEqual(
      Array.isArray(slices) ? slices.map(({ from_s, to_s, verdict }) => [from_s, to_s, verdict]) : [],
      [
        [0, 5, "VALID"],
        [5, 7, "INVALID"],
        [7, 10, "INVALID"]
      ]
    )
  })

  it("tell of limits that are not the usual ones, and of no others", () => {
    const limits = { ...Verdict.defaultLimits, steal: { degraded: 0.5, invalid: null } }
    const document = documentOf(evidence({ limits }))
    const told = [...document.keys()].filter((key) => key.startsWith("verdict_limits"))
    assert.deepStrictEqual(told, ["verdict_limits_steal_degraded", "verdict_limits_steal_invalid"])
    assert.strictEqual(document.get("verdict_limits_steal_degraded"), 0.5)
    assert.notInclude([...documentOf(good).keys()].join(), "verdict_limits")
  })

  it("count failures of the client's own by their code", () => {
    const failed = { error_code: "connect_error", error_reason: "Connect", error_msg: "connect EMFILE" }
    const document = documentOf(evidence({ records: records(10, (index) => (index < 3 ? failed : {})) }))
    assert.strictEqual(document.get("health_own_errors_EMFILE"), 3)
  })

  it("hold no number that JSON does not know", () => {
    for (const given of [good, bad, evidence({ records: [], health: health(0) })]) {
      for (const [key, value] of documentOf(given)) {
        if (typeof value === "number") assert.isTrue(Number.isFinite(value), key)
      }
    }
  })
})

describe("lines", () => {
  const textOf = (given: Verdict.Evidence, options = plain) =>
    VerdictText.lines(Verdict.judge(given), given.summary, options).join("\n")

  it("say little of what is in order", () => {
    assert.strictEqual(textOf(good), "VALID: the client did not distort these numbers")
    assert.strictEqual(
      textOf(evidence({ health: null })),
      "VALID: the client did not distort these numbers (judged from the records alone)"
    )
  })

  it("say what was wrong, by how much, when, and what helps", () => {
    const text = textOf(bad, { columns: 400, color: false })
    assert.match(text, /^INVALID: the client, not the server, was the bottleneck/)
    assert.match(
      text,
      /^ {2}The client sent 50\.0 % of the requests more than 100 ms late \(limit 5\.0 %\), at 5\.0–10\.0 s$/m
    )
    assert.include(text, "--workers")
    const lines = text.split("\n")
    assert.strictEqual(lines.length, new Set(lines).size)
  })

  it("say where only a part is touched", () => {
    const degraded = evidence({ health: health(10, () => ({ machineCpu: 1 })) })
    assert.include(
      textOf(degraded, { columns: 400, color: false }),
      "DEGRADED: the client may have distorted some of these numbers"
    )
    assert.include(
      textOf(degraded, { columns: 400, color: false }),
      "The processors of this machine were 100.0 % busy (limit 98.0 %), throughout the run"
    )
  })

  it("say that nothing can be judged where no request succeeded", () => {
    const failed = records(10, () => ({ error_code: 401, error_reason: "HttpStatus", error_msg: "HTTP 401" }))
    const given = evidence({ records: failed, health: health(10, () => ({ loopUtilization: 1 })) })
    assert.strictEqual(textOf(given), "No verdict: no request succeeded, so there are no latencies to judge")
    assert.isNull(documentOf(given).get("verdict"))
  })

  it("say the grade of a reason only where it is not that of the run", () => {
    const text = textOf(bad, { columns: 400, color: false })
    assert.notMatch(text, /^ +INVALID/m)
    assert.match(text, /^ {2}DEGRADED: /m)
    const degraded = textOf(evidence({ health: health(10, () => ({ machineCpu: 1 })) }))
    assert.strictEqual(degraded.split("DEGRADED").length, 2)
  })

  it("say who is behind the worst of the reasons", () => {
    const wide = { columns: 400, color: false }
    const dropped = textOf(evidence({ dropped: 120, queued: 1 }), wide)
    assert.match(
      dropped,
      /^INVALID: the server did not keep up with the schedule \(--max-in-flight reached; 120 requests dropped; 1 request held back\)$/m
    )
    assert.notInclude(dropped, "the client, not the server")
    const limits = { ...Verdict.defaultLimits, token_mismatch_of_output: { degraded: 0.01, invalid: 0.02 } }
    const tokens = records(10, () => ({ usage_output_tokens: 8 }))
    assert.match(
      textOf(evidence({ records: tokens, limits }), wide),
      /^INVALID: tokens were counted by the wrong tokenizer$/m
    )
    const prompts = records(10, () => ({ number_input_tokens: 573, usage_input_tokens: 37 }))
    assert.match(
      textOf(evidence({ records: prompts }), wide),
      /^DEGRADED: the server read other prompts than the ones counted$/m
    )
    const both = textOf(evidence({ queued: 5, health: health(10, () => ({ machineCpu: 1 })) }), wide)
    assert.match(both, /^DEGRADED: the server did not keep up.*; the client may have distorted some of these numbers$/m)
  })

  it("say beside what is good that many requests failed", () => {
    const failed = (count: number) =>
      evidence({
        records: records(10, (index) =>
          index < count ? { error_code: 500, error_reason: "HttpStatus", error_msg: "HTTP 500", ttft_s: null } : {}
        )
      })
    assert.strictEqual(
      textOf(failed(70)),
      "VALID: the client did not distort these numbers; 70.0 % of the requests failed"
    )
    const [green] = VerdictText.lines(Verdict.judge(good), good.summary, { columns: 100, color: true })
    const [line] = VerdictText.lines(Verdict.judge(failed(70)), failed(70).summary, { columns: 100, color: true })
    assert.include(green, "\u001B[32m")
    assert.notInclude(line, "\u001B[32m")
  })

  it("say that nothing can be judged where no answer had content", () => {
    const empty = { ttft_s: null, number_chunks: 0, number_output_tokens: 0, tokenizer_output_tokens: 0 }
    const given = evidence({ records: records(2, () => empty) })
    assert.strictEqual(textOf(given), "No verdict: none of the 20 answers had content, so there is no TTFT to judge")
  })

  it("say when it was so and of what it came, where only a part is touched", () => {
    const slots = evidence({ openLoop: false, records: records(10, () => ({ dispatch_lag_s: 0.5 })) })
    assert.include(
      textOf(slots, { columns: 400, color: false }),
      "Slots stood empty 33.3 % of the time, waiting for the client (limit 25.0 %), throughout the run"
    )
    const busy = evidence({ health: health(10, (second) => (second < 3 ? { machineCpu: 1, loopUtilization: 1 } : {})) })
    assert.include(
      textOf(busy, { columns: 400, color: false }),
      "The client was overloaded for 30.0 % of the run (busy thread, CPU) (limit 10.0 %), at 0.0–3.0 s"
    )
  })

  it("are never too wide, and differ in nothing but colours", () => {
    for (let columns = 40; columns <= 140; columns += 10) {
      const without = VerdictText.lines(Verdict.judge(bad), bad.summary, { columns, color: false })
      const colored = VerdictText.lines(Verdict.judge(bad), bad.summary, { columns, color: true })
      for (const line of without) assert.isAtMost(CliOutput.displayWidth(line), columns, line)
      assert.include(colored.join(), "\u001B[")
      // eslint-disable-next-line no-control-regex
      assert.deepStrictEqual(
        colored.map((line) => line.replaceAll(/\u001B\[\d+m/g, "")),
        without
      )
    }
  })
})

describe("spans", () => {
  it("name three and count the rest", () => {
    const at = (from_s: number) => ({ from_s, to_s: from_s + 2 })
    assert.strictEqual(VerdictText.spans([at(12)]), "12.0–14.0 s")
    assert.strictEqual(VerdictText.spans([at(1), at(5), at(9), at(20)]), "1.0–3.0 s, 5.0–7.0 s, 9.0–11.0 s and 1 more")
  })
})

describe("word", () => {
  it("is one for each grade", () => {
    assert.deepStrictEqual(Verdict.Grade.literals.map(VerdictText.word), ["valid", "degraded", "invalid"])
  })
})
