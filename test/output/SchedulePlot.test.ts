import { assert, describe, it } from "@effect/vitest"
import type { Schedule } from "../../src/domain/Schedule.ts"
import * as Text from "../../src/output/internal/text.ts"
import * as SchedulePlot from "../../src/output/SchedulePlot.ts"

const scheduleOf = (
  offsets: ReadonlyArray<number>,
  tokens: ReadonlyArray<number> = offsets.map(() => 100),
  session: ReadonlyArray<number> | null = null
): Schedule => ({
  length: offsets.length,
  id: Uint32Array.from(offsets, (_, i) => i + 1),
  offsetSeconds: Float64Array.from(offsets),
  inputTokens: Uint32Array.from(tokens),
  outputTokens: Uint32Array.from(offsets, () => 1),
  session: session === null ? null : Uint32Array.from(session),
  prefix: null
})

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

const render = (schedule: Schedule, columns: number, color = false): string =>
  SchedulePlot.render(
    {
      title: "schedules/day.csv",
      source: [["format", "LLMPerf schedule"]],
      measures: SchedulePlot.measure(schedule, SchedulePlot.binsFor(columns)),
      prefix: [["prefix blocks", "12 of 16 tokens"]]
    },
    { columns, color }
  )

describe("measure", () => {
  it("an even rate", () => {
    const measures = SchedulePlot.measure(scheduleOf(range(101).map((i) => i / 4)))
    assert.strictEqual(measures.requests, 101)
    assert.strictEqual(measures.duration_s, 25)
    assert.strictEqual(measures.mean_rate_per_s, 4)
    assert.strictEqual(measures.peak_rate_per_s, 4)
    assert.strictEqual(measures.peak_at_s, 0)
    assert.strictEqual(measures.gap_mean_s, 0.25)
    assert.strictEqual(measures.gap_cv, 0)
    assert.strictEqual(measures.dispersion, 0)
    assert.isNull(measures.sessions)
  })

  it("bursts, by hand", () => {
    // Gaps 0 0 2.5 0 0.5, counts of the seconds 0 to 2: 3 0 2
    const { dispersion, gap_cv, mean_rate_per_s, peak_at_s, peak_rate_per_s } = SchedulePlot.measure(
      scheduleOf([0, 0, 0, 2.5, 2.5, 3])
    )
    assert.strictEqual(mean_rate_per_s, 5 / 3)
    assert.strictEqual(peak_rate_per_s, 3)
    assert.strictEqual(peak_at_s, 0)
    assert.closeTo(gap_cv ?? 0, Math.sqrt((3 * 0.36 + 1.9 ** 2 + 0.1 ** 2) / 4) / 0.6, 1e-12)
    assert.closeTo(dispersion ?? 0, ((3 - 5 / 3) ** 2 + (5 / 3) ** 2 + (2 - 5 / 3) ** 2) / 2 / (5 / 3), 1e-12)
  })

  it("a peak far from the start of a very long schedule", () => {
    const measures = SchedulePlot.measure(scheduleOf([1, 1e9 + 0.25, 1e9 + 0.5, 1e9 + 3]))
    assert.strictEqual(measures.peak_rate_per_s, 2)
    assert.strictEqual(measures.peak_at_s, 1e9)
  })

  it.each([
    { name: "one row", offsets: [3] },
    { name: "all at once", offsets: [0, 0, 0] }
  ])("$name: what has no meaning is null", ({ offsets }) => {
    const measures = SchedulePlot.measure(scheduleOf(offsets))
    assert.isNull(measures.mean_rate_per_s)
    assert.isNull(measures.gap_cv)
    assert.strictEqual(measures.peak_rate_per_s, offsets.length)
    assert.isFalse(JSON.stringify(measures).includes("NaN"))
  })

  it("rates over time add up to the requests", () => {
    const schedule = scheduleOf([0, 1, 1.5, 4, 9.99, 10])
    const { bin_s, per_s } = SchedulePlot.measure(schedule, 5).rate_over_time
    assert.strictEqual(bin_s, 2)
    assert.deepStrictEqual(per_s, [1.5, 0, 0.5, 0, 1])
  })

  it("lengths: quantiles by interpolation, bins from powers of two", () => {
    const { input_tokens } = SchedulePlot.measure(scheduleOf(range(6), [1, 2, 3, 4, 40, 0xffff_ffff]))
    assert.strictEqual(input_tokens.total, 50 + 0xffff_ffff)
    assert.strictEqual(input_tokens.min, 1)
    assert.strictEqual(input_tokens.p25, 2.25)
    assert.strictEqual(input_tokens.p50, 3.5)
    assert.strictEqual(input_tokens.max, 0xffff_ffff)
    assert.strictEqual(input_tokens.histogram.length, 32)
    assert.deepStrictEqual(input_tokens.histogram.slice(0, 3), [
      { from: 1, to: 1, count: 1 },
      { from: 2, to: 3, count: 2 },
      { from: 4, to: 7, count: 1 }
    ])
    assert.deepStrictEqual(input_tokens.histogram.at(-1), { from: 2 ** 31, to: 2 ** 32 - 1, count: 1 })
  })

  it("sessions and the requests that belong to one", () => {
    const { sessions } = SchedulePlot.measure(
      scheduleOf(
        range(5),
        range(5).map(() => 9),
        [1, 0, 2, 1, 0]
      )
    )
    assert.deepStrictEqual(sessions, { count: 2, requests: 3 })
  })
})

describe("render", () => {
  // Two requests in each of the first seconds, eight in each of the last
  const schedule = scheduleOf(
    range(40).flatMap((i) => range(i < 20 ? 2 : 8).map(() => i)),
    range(40).flatMap((i) => range(i < 20 ? 2 : 8).map(() => (i < 20 ? 200 : 1_000)))
  )

  it("plots the rate: as high as the rate, 0 at the bottom, time below", () => {
    const lines = render(schedule, 52).split("\n")
    const top = lines.indexOf("requests per second")
    assert.strictEqual(lines[top + 1]?.startsWith("8.21 ┤"), true)
    const plot = lines.slice(top + 1, top + 7).map((line) => line.slice(6))
    assert.strictEqual(plot.length, 6)
    // 8 in a bin of 0.975 s; a quarter of six rows is one and a half
    assert.strictEqual(plot[5]?.slice(0, 20).includes(" "), false)
    assert.match(plot[4]?.slice(0, 20) ?? "", /^[▄█ ]+$/)
    assert.strictEqual(plot[3]?.slice(0, 19).trim(), "")
    assert.strictEqual(plot[0]?.slice(-18), "█".repeat(18))
    assert.strictEqual(lines[top + 7], `   0 └${"─".repeat(40)}`)
    assert.match(lines[top + 8] ?? "", /^ {6}0 +39\.0 s$/)
  })

  it("plots lengths with ranges, counts and shares", () => {
    const lines = render(schedule, 60).split("\n")
    const input = lines.slice(lines.indexOf("input tokens") + 1, lines.indexOf("output tokens") - 1)
    assert.strictEqual(input.length, 3)
    assert.match(input[0] ?? "", /^ {3}128–255 █+[▏▎▍▌▋▊▉]? + 40 {2}20\.0 %$/)
    assert.match(input[1] ?? "", /^ {3}256–511 {2,} 0 {2}0\.0 %$/)
    assert.match(input[2] ?? "", /^ {2}512–1023 █+ 160 {2}80\.0 %$/)
    const bar = (line: string | undefined) => line?.match(/█/g)?.length ?? 0
    assert.closeTo(bar(input[0]) / bar(input[2]), 0.25, 0.04)
    assert.strictEqual(lines.at(-2)?.trimStart().startsWith("1 █"), true)
  })

  it("shows what is there, however little", () => {
    const lines = render(
      scheduleOf(
        range(2_001).map((i) => (i === 0 ? 0 : 100)),
        range(2_001).map((i) => (i === 0 ? 1 : 64))
      ),
      60
    ).split("\n")
    const top = lines.indexOf("requests per second")
    assert.match(lines[top + 6] ?? "", /│▁ +█$/)
    assert.match(lines.find((line) => line.includes("  1 ▏")) ?? "", / 1 {2}0\.0 %$/)
  })

  it("tells where it comes from and what it is", () => {
    const text = render(schedule, 80)
    assert.match(text, /^schedules\/day\.csv\n\nformat {9}LLMPerf schedule\nrequests {7}200 in 39\.0 s\n/)
    assert.match(text, /\nrate +5\.10 per second on average, at most 8 in the second at 20\.0 s\n/)
    assert.match(text, /\nprefix blocks {2}12 of 16 tokens\n/)
    assert.match(text, /\n +min +p25 +p50 +p75 +p90 +p99 +max +mean\ninput tokens +200 +1000 +1000/)
  })

  it.each([40, 52, 80, 100, 300])("no line is wider than %i columns, or than 100", (columns) => {
    for (const line of render(schedule, columns).split("\n")) {
      assert.isAtMost(Text.width(line), Math.min(columns, 100))
    }
  })

  it("marks only when it is asked to", () => {
    assert.isFalse(render(schedule, 80).includes("\u001B"))
    assert.isTrue(render(schedule, 80, true).includes("\u001B[1minput tokens\u001B[22m"))
  })

  it("plots no rate for requests that are all due at the start", () => {
    assert.isFalse(render(scheduleOf([0, 0]), 80).includes("requests per second"))
  })
})
