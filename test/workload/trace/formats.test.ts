import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import type { Instant } from "../../../src/workload/trace/Format.ts"
import * as AzureLlm from "../../../src/workload/trace/AzureLlm.ts"
import * as Formats from "../../../src/workload/trace/Formats.ts"
import * as Mapped from "../../../src/workload/trace/Mapped.ts"
import * as ScheduleFile from "../../../src/workload/ScheduleFile.ts"
import { loadFixture, loadText, offsetsOf, rowsOf } from "./reading.ts"

const mapping = (text: string): Mapped.Mapping => Result.getOrThrow(Mapped.parse(text))

describe("Azure", () => {
  it.effect("2023: space, CRLF, no newline at the end, seven decimals", () =>
    Effect.gen(function* () {
      const { format, rows, schedule } = yield* loadFixture("azure-2023.csv")
      assert.strictEqual(format.name, "azure-llm")
      assert.strictEqual(rows, 12)
      // Differences of the time stamps, worked out by hand
      assert.deepStrictEqual(
        offsetsOf(schedule),
        [
          0, 0.0000001, 0.0065433, 1.8765434, 1.8765434, 2.8765432, 9.3765433, 9.3765443, 50401.8765432, 50401.8765433,
          50401.8765436, 50406.1265433
        ]
      )
      assert.deepStrictEqual([...schedule.inputTokens].slice(-2), [1200, 433])
      assert.deepStrictEqual([...schedule.outputTokens].slice(0, 3), [14, 9, 211])
      assert.isNull(schedule.session)
      assert.isNull(schedule.prefix)
    })
  )

  it.effect("2024: six decimals, zones, the end of February; a row without output is left out", () =>
    Effect.gen(function* () {
      const { rows, schedule, skipped, skippedWhat } = yield* loadFixture("azure-2024.csv")
      assert.strictEqual(rows, 12)
      assert.strictEqual(skipped, 1)
      assert.strictEqual(skippedWhat, "requests without input or output tokens")
      assert.deepStrictEqual(
        offsetsOf(schedule),
        [0, 0.000001, 0.75, 0.75, 1.25, 1.875, 2.750009, 6.749999, 6.75, 8.85, 10.45]
      )
      assert.deepStrictEqual([...schedule.id], [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
    })
  )

  it.effect("2025: images are out of the way, gzip", () =>
    Effect.gen(function* () {
      const { compressed, format, schedule } = yield* loadFixture("azure-2025.csv.gz")
      assert.strictEqual(format.name, "azure-multimodal")
      assert.isTrue(compressed)
      assert.deepStrictEqual(rowsOf(schedule)[2], {
        id: 3,
        offset: 0.3000001,
        input: 2988,
        output: 40,
        session: null,
        blocks: null
      })
    })
  )

  it.effect("says what a time must look like", () =>
    Effect.gen(function* () {
      const lines = ["2023-02-29 00:00:00", "2023-01-01 24:00:00", "2023-01-01", "1700000000", "2023-13-01 00:00:00"]
      const text = `TIMESTAMP,ContextTokens,GeneratedTokens\n${lines.map((line) => `${line},1,1`).join("\n")}\n`
      const { reason } = yield* Effect.flip(loadText(text))
      assert.deepStrictEqual(
        reason._tag === "Invalid" ? reason.problems : [],
        lines.map((value, i) => ({
          line: i + 2,
          column: "TIMESTAMP",
          value,
          expected: "a date and time such as 2023-11-16 18:17:03.9799600"
        }))
      )
    })
  )

  const time = AzureLlm.make().time
  const ticksOf = (text: string): bigint => {
    const into: Instant = { seconds: 0, ticks: 0 }
    assert.isTrue(time.kind === "instant" && time.read(text, into))
    return BigInt(into.seconds) * 10_000_000n + BigInt(into.ticks)
  }

  it("dates agree with the calendar of the platform", () => {
    fc.assert(
      fc.property(
        // From 1600 to 2999
        fc.integer({ min: -11_676_096_000_000, max: 32_503_679_999_999 }),
        fc.integer({ min: 0, max: 9_999 }),
        (milliseconds, rest) => {
          const text = DateTime.formatIso(DateTime.makeUnsafe(milliseconds))
            .replace("T", " ")
            .replace("Z", String(rest).padStart(4, "0"))
          assert.strictEqual(ticksOf(text), BigInt(milliseconds) * 10_000n + BigInt(rest))
        }
      )
    )
  })

  it("offsets are what integers of 100 ns give, in any order of the rows", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.bigInt({ min: 0n, max: 30n * 86_400n * 10_000_000n }), { minLength: 1, maxLength: 30 }),
        (ticks) => {
          const stampOf = (value: bigint): string => {
            const all = value + 17_000_000_000_000_000n
            const second = DateTime.makeUnsafe(Number(all / 10_000_000n) * 1_000)
            const seconds = DateTime.formatIso(second).slice(0, 19).replace("T", " ")
            return `${seconds}.${String(all % 10_000_000n).padStart(7, "0")}`
          }
          const text = `TIMESTAMP,ContextTokens,GeneratedTokens\r\n${ticks.map((value) => `${stampOf(value)},5,7`).join("\r\n")}`
          const sorted = ticks.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
          const expected = sorted.map((value) => Number(value - (sorted[0] ?? 0n)) / 1e7)
          return Effect.runPromise(
            Effect.map(loadText(text), ({ schedule }) => assert.deepStrictEqual(offsetsOf(schedule), expected))
          )
        }
      ),
      { numRuns: 100 }
    ))
})

describe("Mooncake", () => {
  it.effect("milliseconds, bursts, blocks of 512 tokens", () =>
    Effect.gen(function* () {
      const { format, schedule, syntax } = yield* loadFixture("mooncake.jsonl")
      assert.strictEqual(format.name, "mooncake")
      assert.strictEqual(syntax, "jsonl")
      assert.deepStrictEqual(offsetsOf(schedule), [0, 0, 3, 3, 3, 6, 9, 9, 12, 15, 15, 18])
      assert.strictEqual(schedule.prefix?.blockTokens, 512)
      assert.isNull(schedule.session)
      assert.deepStrictEqual(rowsOf(schedule)[5], {
        id: 6,
        offset: 6,
        input: 2048,
        output: 64,
        session: null,
        blocks: [0, 1, 5, 9]
      })
    })
  )

  it.effect("counts from the earliest row; sessions and rows without blocks", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadText(
        [
          '{"timestamp":27482,"input_length":10,"output_length":2,"session_id":"b"}',
          '{"timestamp":27001,"input_length":600,"output_length":2,"session_id":7,"hash_ids":[4,5]}',
          '{"timestamp":27482.5,"input_length":11,"output_length":3,"session_id":"7","hash_ids":[]}'
        ].join("\n")
      )
      assert.deepStrictEqual(rowsOf(schedule), [
        { id: 2, offset: 0, input: 600, output: 2, session: 1, blocks: [4, 5] },
        { id: 1, offset: 0.481, input: 10, output: 2, session: 2, blocks: [] },
        { id: 3, offset: 0.4815, input: 11, output: 3, session: 1, blocks: [] }
      ])
    })
  )
})

describe("Bailian", () => {
  it.effect("seconds, blocks of 16 tokens, turns are one session", () =>
    Effect.gen(function* () {
      const { format, schedule } = yield* loadFixture("bailian.jsonl")
      assert.strictEqual(format.name, "bailian")
      assert.strictEqual(schedule.prefix?.blockTokens, 16)
      assert.deepStrictEqual(
        offsetsOf(schedule),
        [0, 0, 3.868, 5.25, 8.781, 9.65, 9.754, 10.75, 12.5, 13.35, 13.35, 19.952]
      )
      assert.deepStrictEqual([...(schedule.session ?? [])], [1, 2, 1, 3, 1, 2, 4, 5, 4, 3, 6, 1])
    })
  )
})

describe("BurstGPT", () => {
  it.effect("seconds, sessions, failed requests are left out and counted", () =>
    Effect.gen(function* () {
      const { format, rows, schedule, skipped, skippedWhat } = yield* loadFixture("burstgpt.csv")
      assert.strictEqual(format.name, "burstgpt")
      assert.strictEqual(rows, 12)
      assert.strictEqual(skipped, 2)
      assert.strictEqual(skippedWhat, "failed requests (0 response tokens)")
      assert.deepStrictEqual([...schedule.id], [1, 2, 4, 5, 6, 8, 9, 10, 11, 12])
      assert.deepStrictEqual(offsetsOf(schedule), [0, 40, 113, 114.5, 118, 126, 126, 155, 194, 235])
      assert.deepStrictEqual([...(schedule.session ?? [])], [0, 1, 2, 1, 0, 2, 0, 3, 0, 3])
    })
  )

  it.effect("older files, with other columns in another order", () =>
    Effect.gen(function* () {
      const old = yield* loadFixture("burstgpt-v1.csv")
      const { schedule } = yield* loadFixture("burstgpt.csv")
      assert.deepStrictEqual(old.schedule, { ...schedule, session: null })
    })
  )

  it.effect("a trace of nothing but failed requests", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(loadText("Timestamp,Request tokens,Response tokens\n1,5,0\n2,5,0\n"))
      assert.match(reason.message, /expected a row to replay; all 2 are failed requests/)
    })
  )
})

describe("any other file", () => {
  it.effect("CSV with milliseconds since 1970", () =>
    Effect.gen(function* () {
      const { format, schedule } = yield* loadFixture("own-log.csv", {
        mapping: mapping("offset=ts:ms, input=prompt_len, output=gen_len, session=user")
      })
      assert.strictEqual(format.name, "mapped")
      assert.deepStrictEqual(offsetsOf(schedule).slice(0, 5), [0, 0.257, 0.514, 0.75, 1.007])
      assert.deepStrictEqual([...schedule.inputTokens].slice(0, 2), [300, 317])
      assert.deepStrictEqual([...(schedule.session ?? [])], [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4])
    })
  )

  it.effect("JSON lines with dates and blocks", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadFixture("own-log.jsonl", {
        mapping: mapping("offset=at:iso,input=tokens_in,output=tokens_out,session=conv,blocks=blocks:64")
      })
      assert.deepStrictEqual(offsetsOf(schedule).slice(0, 3), [0, 1.007, 2.014])
      assert.strictEqual(schedule.prefix?.blockTokens, 64)
      assert.deepStrictEqual(rowsOf(schedule)[4], {
        id: 5,
        offset: 4.028,
        input: 368,
        output: 52,
        session: 2,
        blocks: [1, 104]
      })
    })
  )

  it.effect("a mapping wins over what the file looks like", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadText("scheduled_offset_s,input_tokens,output_tokens,in2\n3,1,2,40\n4,1,2,41\n", {
        mapping: mapping("offset=scheduled_offset_s,input=in2,output=output_tokens")
      })
      assert.deepStrictEqual([...schedule.inputTokens], [40, 41])
      assert.deepStrictEqual(offsetsOf(schedule), [0, 1])
    })
  )

  it.effect.each([
    ["s", "1700000000.1234567", "1700000001.0000000", 0.8765433],
    ["s", "12", "12.00000004", 0],
    ["s", "12", "12.00000005", 0.0000001],
    ["s", "0.99999999", "1", 0],
    ["ms", "1700000000000", "1700000000000.5", 0.0005],
    ["ms", "1", "1001", 1],
    ["us", "1700000000123456", "1700000000123457", 0.000001],
    ["us", "7", "10", 0.000003],
    ["ns", "1700000000123456700", "1700000000123456800", 0.0000001],
    ["ns", "1", "2000000001", 2],
    ["iso", "2026-03-01T00:00:00Z", "2026-03-01 00:00:00.0000005+00:00", 0.0000005],
    ["iso", "2026-03-01T00:00:00-01:30", "2026-03-01 01:30:01Z", 1]
  ] as const)("time in %s: from %s to %s", ([unit, first, second, difference]) =>
    Effect.gen(function* () {
      const { schedule } = yield* loadText(`t,i,o\n${first},1,1\n${second},1,1\n`, {
        mapping: mapping(`offset=t:${unit},input=i,output=o`)
      })
      assert.deepStrictEqual(offsetsOf(schedule), [0, difference])
    })
  )

  it.effect("times too far apart to be exact", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(
        loadText("t,i,o\n0,1,1\n1000000000,1,1\n-1,1,1\nx,1,1\n", { mapping: mapping("offset=t,input=i,output=o") })
      )
      assert.deepStrictEqual(
        reason._tag === "Invalid" ? reason.problems.map(({ expected, line }) => [line, expected]) : [],
        [
          [3, "a time within 28 years of the first row"],
          [4, "a time in s, 0 or more"],
          [5, "a time in s, 0 or more"]
        ]
      )
    })
  )

  it.each([
    ["offset=a,input=b", "output is missing"],
    ["offset=a", "input, output are missing"],
    ["offset=a,input=b,output=c,input=d", "input is given twice"],
    ["offset=a,input=b,out=c", '"out" is none of offset, input, output, session, blocks'],
    ["offset=a,input=,output=c", '"input=" is not key=column'],
    ["a,b,c", '"a" is not key=column']
  ])("%s: %s", (text, expected) => {
    assert.deepStrictEqual(Mapped.parse(text), Result.fail(expected))
  })

  it("a colon may belong to the name of a column", () => {
    assert.deepStrictEqual(mapping("offset=time:stamp,input=a:ms,output=b c,blocks=h:16"), {
      offset: { column: "time:stamp", unit: "s" },
      input: "a:ms",
      output: "b c",
      session: null,
      blocks: { column: "h", blockTokens: 16 }
    })
    assert.deepStrictEqual(mapping("offset=t:us,input=i,output=o,blocks=h").blocks, { column: "h", blockTokens: 512 })
  })
})

describe("every format", () => {
  const fixtures = [
    "azure-2023.csv",
    "azure-2024.csv",
    "azure-2025.csv.gz",
    "mooncake.jsonl",
    "bailian.jsonl",
    "burstgpt.csv",
    "burstgpt-v1.csv"
  ]

  it.effect.each(fixtures)("%s becomes a schedule and reads back as the same", (name) =>
    Effect.gen(function* () {
      const { schedule } = yield* loadFixture(name)
      const again = yield* loadText([...ScheduleFile.toCsv(schedule)].join(""))
      assert.strictEqual(again.format.name, "llmperf")
      assert.deepStrictEqual(again.schedule, {
        ...schedule,
        id: Uint32Array.from(schedule.id, (_, i) => i + 1)
      })
    })
  )

  it("is recognised by its own columns, in any order, among others", () => {
    const names = ["llmperf", "azure-multimodal", "azure-llm", "bailian", "mooncake", "burstgpt"]
    for (const [index, make] of Formats.makers.entries()) {
      const format = make([])
      assert.strictEqual(format.name, names[index])
      fc.assert(
        fc.property(
          fc.shuffledSubarray(
            [...Formats.neededColumns(format), ...format.mark.slice(0, 1), "x", "hash_ids", "session"],
            {
              minLength: Formats.neededColumns(format).length + Math.min(1, format.mark.length) + 3
            }
          ),
          (columns) => {
            assert.strictEqual(Formats.recognise(columns).name, format.name)
          }
        ),
        { numRuns: 20 }
      )
    }
  })
})
