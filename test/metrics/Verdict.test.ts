import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import type { RequestRecord } from "../../src/domain/RequestRecord.ts"
import type * as HealthReport from "../../src/metrics/HealthReport.ts"
import * as Verdict from "../../src/metrics/Verdict.ts"
import { evidence, health, records } from "./health.ts"
import { record } from "./records.ts"

const judged = (given: Parameters<typeof evidence>[0] = {}) => Verdict.judge(evidence(given))

const allSeconds = (sample: Partial<HealthReport.HealthSample>) => health(10, () => sample)

/** The grade for which `check` is a reason, of the whole run; VALID when it is none. */
const gradeFor = (verdict: Verdict.Verdict, check: Verdict.LimitName): Verdict.Grade =>
  verdict.reasons.find((reason) => reason.check === check)?.grade ?? "VALID"

const lagging = (share: number, lag: number) =>
  records(100, (index) => (index < share * 1_000 ? { dispatch_lag_s: lag } : {}))

const delayed = (seconds: number) => ({ delayOf: () => seconds })

/** A hundredth of what arrives, or one request more. */
const inAHundred = (count: number, seconds: number) => ({
  records: records(100),
  delayOf: (_: unknown, index: number) => (index < count ? seconds : 0)
})

const ownFailures = (count: number) =>
  records(100, (index) =>
    index < count ? { error_code: "connect_error", error_reason: "Connect", error_msg: "connect EMFILE" } : {}
  )

function exceptions(
  count: number,
  message = "Internal error: TypeError: nothing.there is not a function\n    at stream (provider.ts:12:3)"
) {
  const thrown = {
    error_code: "internal_error",
    error_reason: "Internal",
    error_msg: message
  }
  return records(100, (index) => (index < count ? thrown : {}))
}

/** A loop that is held up. */
function held(seconds: number) {
  return allSeconds({ loopDelays: Array.from({ length: 100 }, () => seconds) })
}

// The TTFT of these runs is 500 ms and their gaps are 20 ms.
const cases: ReadonlyArray<
  readonly [check: Verdict.LimitName, what: string, given: Parameters<typeof evidence>[0], grade: Verdict.Grade]
> = [
  ["loop_delay_of_ttft", "55 ms beside a TTFT of 500", delayed(0.055), "VALID"],
  ["loop_delay_of_ttft", "56 ms", delayed(0.056), "DEGRADED"],
  ["loop_delay_of_ttft", "249 ms", delayed(0.249), "DEGRADED"],
  ["loop_delay_of_ttft", "251 ms", delayed(0.251), "INVALID"],
  ["loop_delay_of_ttft", "10 of 1000 requests", inAHundred(10, 0.4), "VALID"],
  ["loop_delay_of_ttft", "11 of 1000 requests", inAHundred(11, 0.4), "INVALID"],
  ["loop_delay_of_ttft", "all the time, but when nothing arrived", { health: held(0.4) }, "VALID"],
  ["loop_delay_of_gap", "9.9 ms beside a gap of 20", delayed(0.0099), "VALID"],
  ["loop_delay_of_gap", "10.1 ms", delayed(0.0101), "DEGRADED"],
  ["loop_delay_of_gap", "99 ms", delayed(0.099), "DEGRADED"],
  ["loop_delay_of_gap", "101 ms", delayed(0.101), "INVALID"],
  ["loop_delay_max", "0.99 s", { health: health(10, () => ({ loopDelays: [0.99] })) }, "VALID"],
  ["loop_delay_max", "1.01 s", { health: health(10, () => ({ loopDelays: [1.01] })) }, "DEGRADED"],
  ["gc_time", "9.9 %", { health: allSeconds({ gcPauses: [0.049, 0.05] }) }, "VALID"],
  ["gc_time", "10.1 %", { health: allSeconds({ gcPauses: [0.051, 0.05] }) }, "DEGRADED"],
  ["loop_utilization", "94 %", { health: allSeconds({ loopUtilization: 0.94 }) }, "VALID"],
  ["loop_utilization", "96 %", { health: allSeconds({ loopUtilization: 0.96 }) }, "DEGRADED"],
  ["machine_cpu", "97 %", { health: allSeconds({ machineCpu: 0.97 }) }, "VALID"],
  ["machine_cpu", "99 %", { health: allSeconds({ machineCpu: 0.99 }) }, "DEGRADED"],
  ["machine_cpu", "not known", { health: allSeconds({ machineCpu: null }) }, "VALID"],
  ["steal", "9.9 %", { health: allSeconds({ steal: 0.099 }) }, "VALID"],
  ["steal", "10.1 %", { health: allSeconds({ steal: 0.101 }) }, "DEGRADED"],
  ["used_memory", "94 %", { health: allSeconds({ freeMemory: 0.06 }) }, "VALID"],
  ["used_memory", "96 %", { health: allSeconds({ freeMemory: 0.04 }) }, "DEGRADED"],
  ["open_files", "850 connections of 1024 files", { health: allSeconds({ connections: 850 }) }, "VALID"],
  ["open_files", "865 connections", { health: allSeconds({ connections: 865 }) }, "DEGRADED"],
  ["late_requests", "exactly 1 %", { records: lagging(0.01, 0.02) }, "VALID"],
  ["late_requests", "1.1 %", { records: lagging(0.011, 0.02) }, "DEGRADED"],
  ["late_requests", "all, which is not INVALID", { records: lagging(1, 0.02) }, "DEGRADED"],
  ["late_requests", "by no more than 10 ms", { records: lagging(1, 0.01) }, "VALID"],
  ["very_late_requests", "all, by no more than 100 ms", { records: lagging(1, 0.1) }, "VALID"],
  ["very_late_requests", "exactly 1 %", { records: lagging(0.01, 0.2) }, "VALID"],
  ["very_late_requests", "1.1 %", { records: lagging(0.011, 0.2) }, "DEGRADED"],
  ["very_late_requests", "exactly 5 %", { records: lagging(0.05, 0.2) }, "DEGRADED"],
  ["very_late_requests", "5.1 %", { records: lagging(0.051, 0.2) }, "INVALID"],
  ["very_late_requests", "of a closed loop", { records: lagging(1, 0.2), openLoop: false }, "VALID"],
  ["lost_slot_time", "50 of 1050 ms", { records: lagging(1, 0.05), openLoop: false }, "VALID"],
  ["lost_slot_time", "54 of 1054 ms", { records: lagging(1, 0.054), openLoop: false }, "DEGRADED"],
  ["lost_slot_time", "330 of 1330 ms", { records: lagging(1, 0.33), openLoop: false }, "DEGRADED"],
  ["lost_slot_time", "340 of 1340 ms", { records: lagging(1, 0.34), openLoop: false }, "INVALID"],
  ["lost_slot_time", "of an open loop", { records: lagging(1, 5), openLoop: true }, "VALID"],
  ["rate_shortfall", "behind by 4.9 %", { records: falling(0.049) }, "VALID"],
  ["rate_shortfall", "behind by 5.1 %", { records: falling(0.051) }, "DEGRADED"],
  ["rate_shortfall", "behind by 19.9 %", { records: falling(0.199) }, "DEGRADED"],
  ["rate_shortfall", "behind by 20.1 %", { records: falling(0.201) }, "INVALID"],
  ["rate_shortfall", "late all along, but at the rate", { records: lagging(1, 3) }, "VALID"],
  ["queued_requests", "1 of 100", { queued: 1 }, "VALID"],
  ["queued_requests", "2 of 100", { queued: 2 }, "DEGRADED"],
  ["dropped_requests", "1 of 101", { dropped: 1 }, "VALID"],
  ["dropped_requests", "2 of 102", { dropped: 2 }, "DEGRADED"],
  ["dropped_requests", "11 of 111", { dropped: 11 }, "DEGRADED"],
  ["dropped_requests", "12 of 112", { dropped: 12 }, "INVALID"],
  ["own_errors", "none", { records: ownFailures(0) }, "VALID"],
  ["own_errors", "1 of 1000", { records: ownFailures(1) }, "DEGRADED"],
  ["own_errors", "10 of 1000", { records: ownFailures(10) }, "DEGRADED"],
  ["own_errors", "11 of 1000", { records: ownFailures(11) }, "INVALID"],
  ["token_mismatch_of_output", "5 %", { records: counted({ usage_output_tokens: 200 }, 210) }, "VALID"],
  ["token_mismatch_of_output", "5.5 %", { records: counted({ usage_output_tokens: 200 }, 211) }, "DEGRADED"],
  [
    "token_mismatch_of_output",
    "of hidden reasoning",
    { records: counted({ usage_output_tokens: 300, hidden_reasoning_tokens: 100 }, 200) },
    "VALID"
  ],
  [
    "token_mismatch_of_output",
    "where the server counts",
    { records: counted({ usage_output_tokens: 200, token_source: "server" }, 400) },
    "VALID"
  ],
  [
    "token_mismatch_of_input",
    "a chat template",
    { records: counted({ number_input_tokens: 50, usage_input_tokens: 98 }) },
    "VALID"
  ],
  [
    "token_mismatch_of_input",
    "20 % more at the server",
    { records: counted({ number_input_tokens: 752, usage_input_tokens: 1_000 }) },
    "VALID"
  ],
  [
    "token_mismatch_of_input",
    "20.1 % more at the server",
    { records: counted({ number_input_tokens: 751, usage_input_tokens: 1_000 }) },
    "DEGRADED"
  ],
  [
    "token_mismatch_of_input",
    "573 against 37, which no tokenizer explains",
    { records: counted({ number_input_tokens: 573, usage_input_tokens: 37 }) },
    "VALID"
  ],
  [
    "prompt_mismatch",
    "573 against 37",
    { records: counted({ number_input_tokens: 573, usage_input_tokens: 37 }) },
    "DEGRADED"
  ],
  [
    "prompt_mismatch",
    "111 against 37",
    { records: counted({ number_input_tokens: 111, usage_input_tokens: 37 }) },
    "VALID"
  ],
  [
    "prompt_mismatch",
    "37 against 573, a chat template among them",
    { records: counted({ number_input_tokens: 37, usage_input_tokens: 573 }) },
    "DEGRADED"
  ],
  ["provider_errors", "none", { records: ownFailures(20) }, "VALID"],
  ["provider_errors", "1 of 1000", { records: exceptions(1) }, "DEGRADED"],
  ["provider_errors", "11 of 1000", { records: exceptions(11) }, "INVALID"],
  ["own_errors", "exceptions of the provider", { records: exceptions(20) }, "VALID"],
  ["uncounted_answers", "none", { records: records(10) }, "VALID"],
  [
    "uncounted_answers",
    "1 of 100",
    { records: records(10, (index) => (index === 3 ? { token_source: "server", number_output_tokens: null } : {})) },
    "DEGRADED"
  ],
  ["bad_time", "1 of 10 s", { health: someSeconds(1, { loopUtilization: 1 }) }, "VALID"],
  ["bad_time", "2 of 10 s", { health: someSeconds(2, { loopUtilization: 1 }) }, "DEGRADED"],
  ["invalid_time", "2 of 100 s", spiky(2), "VALID"],
  ["invalid_time", "3 of 100 s", spiky(3), "DEGRADED"],
  ["invalid_time", "50 of 100 s", spiky(50), "DEGRADED"],
  ["invalid_time", "51 of 100 s", spiky(51), "INVALID"]
]

/** Requests whose tokens the server counted too. */
function counted(of: Partial<RequestRecord>, tokenizer = 10) {
  return records(10, () => ({ tokenizer_output_tokens: tokenizer, ...of }))
}

/** Seconds that are INVALID in a run in which less than a hundredth of all first tokens is delayed. */
function spiky(count: number) {
  const all = Array.from({ length: 100 }, (_, second) => {
    const isSpike = second < count
    return Array.from({ length: isSpike ? 1 : 200 }, (_, index) =>
      record({
        intended_offset_s: second + index / 400,
        sent_offset_s: second + index / 400,
        dispatch_lag_s: 0,
        ttft_s: 0.25,
        end_to_end_latency_s: 0.25,
        end_offset_s: second + index / 400 + 0.25,
        number_chunks: 0
      })
    )
  }).flat()
  return {
    records: all,
    delayOf: (of: { readonly intended_offset_s: number }) => (of.intended_offset_s < count ? 0.4 : 0),
    health: health(100)
  }
}

/** The first seconds of a run as `sample` says, the others well. */
function someSeconds(count: number, sample: Partial<HealthReport.HealthSample>, of = 10) {
  return health(of, (second) => (second < count ? sample : {}))
}

/** A client that falls behind ever more, so that its rate is lower by a share. */
function falling(share: number) {
  return records(10, (index) => ({ dispatch_lag_s: (index / 10) * (1 / (1 - share) - 1) }))
}

describe("judge", () => {
  it("finds nothing wrong where nothing is", () => {
    for (const openLoop of [true, false]) {
      const verdict = judged({ openLoop })
      assert.strictEqual(verdict.grade, "VALID")
      assert.deepStrictEqual(verdict.reasons, [])
      assert.lengthOf(verdict.slices, 10)
      assert.isTrue(verdict.slices.every(({ grade }) => grade === "VALID"))
      assert.isTrue(verdict.sampled)
    }
  })

  it.each(cases)("%s: %s", (check, _, given, grade) => {
    const verdict = judged(given)
    assert.strictEqual(gradeFor(verdict, check), grade)
    const reason = verdict.reasons.find((each) => each.check === check)
    if (reason !== undefined) {
      assert.isAbove(reason.value, reason.limit)
      assert.isNotEmpty(reason.advice)
      assert.notStrictEqual(verdict.grade, "VALID")
    }
  })

  it("is tried at every limit", () => {
    const tried = new Set(cases.map(([check]) => check))
    const others = Verdict.limitNames.filter((name) => !tried.has(name))
    assert.deepStrictEqual(others, ["loop_delay", "gc_pause"])
  })

  it("never holds a delay below 5 ms against the client, however short what it measures is", () => {
    const quick = records(10, () => ({ ttft_s: 0.001 }))
    assert.strictEqual(judged({ records: quick, ...delayed(0.0049) }).grade, "VALID")
    assert.strictEqual(judged({ records: quick, ...delayed(0.0051) }).grade, "DEGRADED")
    assert.strictEqual(judged({ records: quick, ...delayed(0.049) }).grade, "DEGRADED")
    assert.strictEqual(judged({ records: quick, ...delayed(0.051) }).grade, "INVALID")
  })

  it("does not hold a delay against the client that lengthened nothing beyond what is usual", () => {
    // Those that waited were answered sooner: what came in a hold may have come at its end
    const quick = records(100, (index) => (index % 10 === 0 ? { ttft_s: 0.1 } : {}))
    const delayOf = (_: unknown, index: number) => (index % 10 === 0 ? 0.4 : 0)
    const verdict = judged({ records: quick, delayOf })
    assert.strictEqual(gradeFor(verdict, "loop_delay_of_ttft"), "VALID")
    // 0.4 s more than usual: all of it may be the client's
    const slow = judged({ records: records(100), delayOf })
    assert.strictEqual(gradeFor(slow, "loop_delay_of_ttft"), "INVALID")
    assert.closeTo(slow.reasons.find(({ check }) => check === "loop_delay_of_ttft")?.value ?? 0, 0.4, 0.001)
  })

  it("judges pauses of the collector by slice", () => {
    const paused = (seconds: number) => judged({ health: someSeconds(1, { gcPauses: [seconds] }) }).slices[0]
    assert.deepStrictEqual(paused(0.0499)?.checks, [])
    assert.deepStrictEqual(paused(0.0501)?.checks, ["gc_pause"])
    assert.strictEqual(paused(0.0501)?.grade, "DEGRADED")
    assert.strictEqual(paused(0.09)?.grade, "DEGRADED")
  })

  it("calls a noisy laptop VALID or DEGRADED and a starved client INVALID", () => {
    const jittery = Array.from({ length: 100 }, (_, index) => (index % 10 === 0 ? 0.01 : 0.001))
    const noisy = judged({
      records: records(60, (index) => (index % 50 === 0 ? { dispatch_lag_s: 0.012 } : {})),
      delayOf: (_, index) => (index % 10 === 0 ? 0.01 : 0.001),
      health: health(60, () => ({ loopDelays: jittery, loopUtilization: 0.8, machineCpu: 0.9, steal: 0.03 }))
    })
    assert.notStrictEqual(noisy.grade, "INVALID")
    // Blocks of 300 ms after pauses of 100 ms
    const delayOf = (_: unknown, index: number) => Math.max(0, 0.3 - (index % 40) * 0.01)
    for (const openLoop of [true, false]) {
      const verdict = judged({ openLoop, delayOf, health: health(60, () => ({ loopUtilization: 0.8 })) })
      assert.strictEqual(verdict.grade, "INVALID")
    }
  })

  it("forgives a single hiccup in a long run, and says where it was", () => {
    const verdict = judged({
      records: records(110, () => ({ ttft_s: null, number_chunks: 0 })),
      delayOf: (_, index) => (index >= 560 && index < 565 ? 0.5 : 0),
      health: health(110)
    })
    assert.strictEqual(verdict.grade, "VALID")
    const bad = verdict.slices.filter(({ grade }) => grade !== "VALID")
    assert.deepStrictEqual(bad, [{ from_s: 57, to_s: 58, grade: "INVALID", checks: ["loop_delay_of_ttft"] }])
  })

  it("names the slices in which it was so, neighbours joined", () => {
    const verdict = judged({
      health: health(10, (second) => ([2, 3, 7].includes(second) ? { loopUtilization: 1 } : {}))
    })
    const reason = verdict.reasons.find(({ check }) => check === "bad_time")
    assert.deepStrictEqual(reason?.slices, [
      { from_s: 2, to_s: 4 },
      { from_s: 7, to_s: 8 }
    ])
    assert.closeTo(reason?.value ?? 0, 0.3, 1e-12)
    assert.include(reason?.what ?? "", "(loop_utilization)")
  })

  it("does not say the same twice: that slices are bad whose reason is one of the run", () => {
    const all = judged({ health: allSeconds({ loopUtilization: 1 }) })
    assert.deepStrictEqual(
      all.reasons.map(({ check }) => check),
      ["loop_utilization"]
    )
    const others = judged({
      health: health(10, (second) => ({ loopUtilization: 1, gcPauses: second === 3 ? [0.09] : [] }))
    })
    assert.deepStrictEqual(
      others.reasons.map(({ check }) => check),
      ["loop_utilization", "bad_time"]
    )
  })

  it("judges from the records alone where nobody watched", () => {
    const verdict = judged({ health: null })
    assert.strictEqual(verdict.grade, "VALID")
    assert.isFalse(verdict.sampled)
    assert.lengthOf(verdict.slices, 10)
    const late = judged({ health: null, records: lagging(0.5, 0.2) })
    assert.strictEqual(late.grade, "INVALID")
    assert.deepStrictEqual(late.reasons[0]?.slices, [{ from_s: 0, to_s: 50 }])
  })

  it("holds delays against the whole latency where answers do not stream", () => {
    const whole = records(10, () => ({ ttft_s: null, number_chunks: 0 }))
    assert.strictEqual(gradeFor(judged({ records: whole, ...delayed(0.11) }), "loop_delay_of_ttft"), "VALID")
    assert.strictEqual(gradeFor(judged({ records: whole, ...delayed(0.112) }), "loop_delay_of_ttft"), "DEGRADED")
  })

  const refusing = () => ({ error_code: 401, error_reason: "HttpStatus", error_msg: "HTTP 401", dispatch_lag_s: 0.2 })
  const busy = { loopUtilization: 1, machineCpu: 1, loopDelays: [2] }

  it("has no verdict where no request succeeded, however busy that made the client", () => {
    for (const openLoop of [true, false]) {
      const verdict = judged({ records: records(10, refusing), openLoop, health: health(10, () => busy) })
      assert.isNull(verdict.grade)
      assert.deepStrictEqual(verdict.reasons, [])
      assert.deepStrictEqual(verdict.slices, [])
    }
    assert.isNull(judged({ records: [], health: health(0) }).grade)
  })

  const empty = { ttft_s: null, number_chunks: 0, number_output_tokens: 0, tokenizer_output_tokens: 0 }

  it("has no verdict where no answer had content, and one where a single answer had", () => {
    assert.isNull(judged({ records: records(10, () => empty), health: health(10, () => busy) }).grade)
    assert.strictEqual(judged({ records: records(10, (index) => (index === 0 ? {} : empty)) }).grade, "VALID")
    const thrown = judged({ records: exceptions(1_000) })
    assert.deepInclude(thrown, { grade: "INVALID" })
  })

  it("names the exception of a provider, which is no want of files, ports or memory", () => {
    const [reason, ...others] = judged({ records: exceptions(20) }).reasons
    assert.lengthOf(others, 0)
    assert.strictEqual(
      reason?.sentence,
      "2.0 % of the requests failed with an exception in the provider: TypeError: nothing.there is not a function"
    )
    const own = "Internal error: the provider mine.ts failed: Error: no\n    at x"
    assert.match(
      judged({ records: exceptions(20, own) }).reasons[0]?.sentence ?? "",
      / in the provider mine\.ts: Error: no$/
    )
    assert.strictEqual(Verdict.partyOf("provider_errors"), "provider")
    assert.strictEqual(Verdict.partyOf("own_errors"), "client")
  })

  it("names both counts where the server read other prompts", () => {
    const [reason] = judged({ records: counted({ number_input_tokens: 573, usage_input_tokens: 37 }) }).reasons
    assert.strictEqual(reason?.sentence, "The server read 37 tokens per prompt where 573 were counted, 1449 % apart")
    assert.notInclude(reason?.advice, "--tokenizer")
  })

  it("holds failures of its own against the client all the same", () => {
    const verdict = judged({
      records: records(10, () => ({
        error_code: "connect_error",
        error_reason: "Connect",
        error_msg: "connect EMFILE"
      }))
    })
    assert.strictEqual(verdict.grade, "INVALID")
    assert.deepStrictEqual(
      verdict.reasons.map(({ check }) => check),
      ["own_errors"]
    )
  })

  it("does not take a server that is down for a while for a client that is overloaded", () => {
    const verdict = judged({
      openLoop: false,
      records: records(10, (index) => (index >= 50 ? refusing() : {})),
      delayOf: () => 0,
      // The last answers come until 6.5 s
      health: health(10, (second) => (second >= 7 ? busy : {}))
    })
    assert.strictEqual(gradeFor(verdict, "bad_time"), "VALID")
    assert.strictEqual(gradeFor(verdict, "loop_utilization"), "VALID")
    assert.strictEqual(gradeFor(verdict, "lost_slot_time"), "VALID")
    assert.isAtMost(verdict.slices.at(-1)?.to_s ?? 0, 7)
  })

  it("does not take the opening of connections for a lag", () => {
    const opened = records(10, () => ({ dispatch_lag_s: 0.5, dns_s: 0.2, connect_s: 0.1, tls_s: 0.199 }))
    for (const openLoop of [true, false]) {
      assert.strictEqual(judged({ records: opened, openLoop, health: null }).grade, "VALID")
    }
  })

  it("puts the worst reason first, and the verdict is that", () => {
    const verdict = judged({
      records: lagging(0.5, 0.2),
      health: health(100, () => ({ machineCpu: 1, loopUtilization: 1 }))
    })
    assert.strictEqual(verdict.grade, "INVALID")
    assert.strictEqual(verdict.reasons[0]?.grade, "INVALID")
    assert.strictEqual(verdict.reasons.at(-1)?.grade, "DEGRADED")
  })

  it("keeps to other limits when they are given, and to none where a limit is off", () => {
    const limits = { ...Verdict.defaultLimits, late_requests: { degraded: 0.5, invalid: 0.9 } }
    assert.strictEqual(gradeFor(judged({ records: lagging(0.4, 0.02), limits }), "late_requests"), "VALID")
    assert.strictEqual(gradeFor(judged({ records: lagging(0.8, 0.02), limits }), "late_requests"), "DEGRADED")
    assert.strictEqual(gradeFor(judged({ records: lagging(1, 0.02), limits }), "late_requests"), "INVALID")
    const never = { degraded: null, invalid: null }
    const off = { ...Verdict.defaultLimits, loop_delay_of_ttft: never, loop_delay_of_gap: never, loop_delay_max: never }
    assert.strictEqual(judged({ ...delayed(5), health: held(5), limits: off }).grade, "VALID")
  })

  it("lays requests and threads of different widths side by side", () => {
    const verdict = judged({ records: records(200), health: health(60, () => ({ loopUtilization: 1 })) })
    assert.lengthOf(verdict.slices, 100)
    assert.deepStrictEqual(
      verdict.slices.map(({ grade }) => grade),
      Array.from({ length: 100 }, (_, index) => (index < 30 ? "DEGRADED" : "VALID"))
    )
  })

  it("never becomes better when the client becomes worse", () => {
    const rank = (grade: Verdict.Grade | null) => ["VALID", "DEGRADED", "INVALID"].indexOf(grade ?? "")
    const millis = fc.integer({ min: 0, max: 600 })
    fc.assert(
      fc.property(millis, millis, millis, millis, fc.boolean(), (delay, more, lag, later, openLoop) => {
        const at = (delayMillis: number, lagMillis: number) =>
          judged({
            openLoop,
            records: records(3, () => ({ dispatch_lag_s: lagMillis / 1_000 })),
            ...delayed(delayMillis / 1_000)
          }).grade
        assert.isAtLeast(rank(at(delay + more, lag + later)), rank(at(delay, lag)))
      }),
      { numRuns: 20 }
    )
  })

  it("is plain data", () => {
    const verdict = judged({ records: lagging(0.5, 0.2) })
    const json = JSON.parse(JSON.stringify(verdict))
    assert.deepStrictEqual(Schema.decodeUnknownSync(Verdict.Verdict)(json), verdict)
  })
})

describe("current", () => {
  it("is what the delays at the last first tokens say, and what the thread saw of itself", () => {
    const [well] = allSeconds({}).slices
    const [busy] = allSeconds({ loopUtilization: 1 }).slices
    assert.isDefined(well)
    assert.isDefined(busy)
    const at = (delaySeconds: number | null, ttftSeconds: number | null = 0.5, slice = well) =>
      Verdict.current({ slice: slice ?? null, ttftSeconds, delaySeconds })
    assert.strictEqual(at(null), "VALID")
    assert.strictEqual(at(0.06), "DEGRADED")
    assert.strictEqual(at(0.3), "INVALID")
    assert.strictEqual(at(0.3, 10), "VALID")
    assert.strictEqual(at(0.3, null), "VALID")
    assert.strictEqual(at(null, null, busy), "DEGRADED")
    assert.strictEqual(Verdict.current({ slice: null, ttftSeconds: 0.5, delaySeconds: 0.3 }), "INVALID")
  })
})

describe("limits", () => {
  it("have defaults that a schema takes, each name once", () => {
    assert.deepStrictEqual(Schema.decodeUnknownSync(Verdict.Limits)(Verdict.defaultLimits), Verdict.defaultLimits)
    assert.deepStrictEqual([...Verdict.limitNames], Object.keys(Verdict.defaultLimits))
    assert.isTrue(Verdict.isLimitName("late_requests"))
    assert.isFalse(Verdict.isLimitName("toString"))
  })

  it("are never stricter for INVALID than for DEGRADED", () => {
    for (const name of Verdict.limitNames) {
      const { degraded, invalid } = Verdict.defaultLimits[name]
      if (degraded !== null && invalid !== null) assert.isAbove(invalid, degraded, name)
    }
  })
})

describe("worst", () => {
  it("is VALID of none", () => {
    assert.strictEqual(Verdict.worst([]), "VALID")
    assert.strictEqual(Verdict.worst(["VALID", "DEGRADED"]), "DEGRADED")
    assert.strictEqual(Verdict.worst(["INVALID", "DEGRADED", "VALID"]), "INVALID")
  })
})
