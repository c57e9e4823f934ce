import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as fc from "fast-check"
import { gzipSync } from "node:zlib"
import type { Schedule } from "../../src/domain/Schedule.ts"
import * as ScheduleFile from "../../src/workload/ScheduleFile.ts"
import { loadText, offsetsOf, rowsOf } from "./trace/reading.ts"

const HEADER = "scheduled_offset_s,input_tokens,output_tokens"

const plain = "scheduled_offset_s,input_tokens,output_tokens\n0.000,600,200\n0.050,550,150\n0.1,500,100\n"

const plainRows = [
  { id: 1, offset: 0, input: 600, output: 200, session: null, blocks: null },
  { id: 2, offset: 0.05, input: 550, output: 150, session: null, blocks: null },
  { id: 3, offset: 0.1, input: 500, output: 100, session: null, blocks: null }
]

const problemsOf = (content: string | Uint8Array, options?: ScheduleFile.ReadOptions) =>
  Effect.map(Effect.flip(loadText(content, options)), (error) => {
    assert.strictEqual(error._tag, "ScheduleError")
    assert.strictEqual(error.reason._tag, "Invalid")
    return error.reason._tag === "Invalid" ? error.reason : assert.fail()
  })

const problem = (line: number | null, column: string | null, value: string | null, expected: string) => ({
  line,
  column,
  value,
  expected
})

const wholeTokens = "a whole number of tokens, 1 or more"
const seconds = "a number of seconds, 0 or more"

describe("what is accepted", () => {
  it.effect.each([
    { name: "the plain form", text: plain },
    { name: "CRLF", text: plain.replaceAll("\n", "\r\n") },
    { name: "CR", text: plain.replaceAll("\n", "\r") },
    { name: "no newline at the end", text: plain.trimEnd() },
    { name: "a byte order mark", text: `\uFEFF${plain}` },
    { name: "blank lines", text: `\n \n${plain.replaceAll("\n", "\n\n")}\n\n  \n,,\n` },
    { name: "spaces around names and cells", text: plain.replaceAll(",", " ,\t").replaceAll("\n", "  \n ") },
    { name: "quotes", text: plain.replaceAll(/[^,\n]+/g, '"$&"') },
    {
      name: "another order and more columns",
      text: 'note,output_tokens,input_tokens,scheduled_offset_s\na,200,600,0\n"b, c",150,550,0.05\n"d\ne",100,500,1e-1\n'
    },
    { name: "a plus, an exponent, minus zero", text: `${HEADER}\n-0.0,600,200\n+5.0e-2,550,150\n.1,500,100\n` },
    {
      name: "JSON lines",
      text: plainRows
        .map(({ offset, input, output }) =>
          JSON.stringify({ scheduled_offset_s: offset, input_tokens: input, output_tokens: output })
        )
        .join("\r\n")
    }
  ])("$name", ({ text }) =>
    Effect.gen(function* () {
      const loaded = yield* loadText(text)
      assert.deepStrictEqual(rowsOf(loaded.schedule), plainRows)
      assert.isFalse(Object.is(loaded.schedule.offsetSeconds[0], -0))
      assert.strictEqual(loaded.format.name, "llmperf")
      assert.strictEqual(loaded.rows, 3)
      assert.strictEqual(loaded.skipped, 0)
      assert.isTrue(loaded.sorted)
      // Any place may be the end of a piece, also the middle of a character or of a line end
      for (const bytes of [1, 2, 7]) {
        assert.deepStrictEqual(rowsOf((yield* loadText(text, {}, bytes)).schedule), plainRows)
      }
    })
  )

  it.effect("gzip, also in several members", () =>
    Effect.gen(function* () {
      const whole = yield* loadText(gzipSync(plain))
      assert.isTrue(whole.compressed)
      assert.deepStrictEqual(rowsOf(whole.schedule), plainRows)
      const members = Buffer.concat([gzipSync(plain.slice(0, 50)), gzipSync(plain.slice(50))])
      assert.deepStrictEqual(rowsOf((yield* loadText(members, {}, 3)).schedule), plainRows)
    })
  )

  it.effect("sorts by offset, keeps the order of equals, and the row numbers", () =>
    Effect.gen(function* () {
      const { schedule, sorted } = yield* loadText(`${HEADER}\n2,1,1\n1,2,1\n\n2,3,1\n0,4,1\n1,5,1\n`)
      assert.isFalse(sorted)
      assert.deepStrictEqual([...schedule.id], [4, 2, 5, 1, 3])
      assert.deepStrictEqual(offsetsOf(schedule), [0, 1, 1, 2, 2])
      assert.deepStrictEqual([...schedule.inputTokens], [4, 2, 5, 1, 3])
    })
  )

  it.effect("keeps offsets as they are, whatever the first is", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadText(`${HEADER}\n5.25,1,1\n6.123456789012345,1,1\n1e9,1,1\n`)
      assert.deepStrictEqual(offsetsOf(schedule), [5.25, 6.123456789012345, 1e9])
    })
  )

  it.effect("sessions and prefix blocks, sorted with their rows", () =>
    Effect.gen(function* () {
      const { schedule } = yield* loadText(
        `${HEADER},session,prefix_blocks_32\n3,100,1,b,7 8 9\n1,90,1,a,\n2,80,1,0,7\n2,70,1,,18446744073709551615\n4,60,1,a,7 8\n`
      )
      assert.deepStrictEqual(rowsOf(schedule), [
        { id: 2, offset: 1, input: 90, output: 1, session: 1, blocks: [] },
        { id: 3, offset: 2, input: 80, output: 1, session: 0, blocks: [7] },
        { id: 4, offset: 2, input: 70, output: 1, session: 0, blocks: [2 ** 64] },
        { id: 1, offset: 3, input: 100, output: 1, session: 2, blocks: [7, 8, 9] },
        { id: 5, offset: 4, input: 60, output: 1, session: 1, blocks: [7, 8] }
      ])
      assert.strictEqual(schedule.prefix?.blockTokens, 32)
    })
  )
})

describe("what is refused", () => {
  it.effect("says line, column, value and what was expected", () =>
    Effect.gen(function* () {
      const text = [
        HEADER,
        "0,600,200",
        "-1,600,200",
        "soon,600,200",
        "",
        "inf,600,200",
        "0x10,600.0,2e2",
        ",0,-5",
        "1,600",
        "1,600,200,9",
        "2,4294967296,1",
        "3, ,1"
      ].join("\n")
      const reason = yield* problemsOf(text)
      assert.deepStrictEqual(reason.problems, [
        problem(3, "scheduled_offset_s", "-1", seconds),
        problem(4, "scheduled_offset_s", "soon", seconds),
        problem(6, "scheduled_offset_s", "inf", seconds),
        problem(7, "scheduled_offset_s", "0x10", seconds),
        problem(7, "input_tokens", "600.0", wholeTokens),
        problem(7, "output_tokens", "2e2", wholeTokens),
        problem(8, "scheduled_offset_s", "", seconds),
        problem(8, "input_tokens", "0", wholeTokens),
        problem(8, "output_tokens", "-5", wholeTokens),
        problem(9, null, "2 cells", "3, as in the header"),
        problem(10, null, "4 cells", "3, as in the header"),
        problem(11, "input_tokens", "4294967296", wholeTokens),
        problem(12, "input_tokens", "", wholeTokens)
      ])
      assert.strictEqual(reason.count, 13)
      assert.isFalse(reason.wrongColumns)
    })
  )

  it.effect("checks the whole file, keeps the first 20 problems and counts the rest", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 5_000 }, (_, i) => `${i},${i % 2 === 0 ? "x" : 1},1`)
      const reason = yield* problemsOf([HEADER, ...lines].join("\n"))
      assert.strictEqual(reason.count, 2_500)
      assert.deepStrictEqual(
        reason.problems.map(({ line }) => line),
        Array.from({ length: ScheduleFile.MAXIMUM_PROBLEMS }, (_, i) => 2 + 2 * i)
      )
      assert.match(
        reason.message,
        /^2500 problems, the first 20 are\n {2}line 2, input_tokens: got "x", expected a whole/
      )
    })
  )

  it.effect("counts lines inside of quotes", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(`note,${HEADER}\n"a\r\nb",0,1,1\n"c\n\nd",0,1,x\n`)
      assert.deepStrictEqual(problems, [problem(4, "output_tokens", "x", wholeTokens)])
    })
  )

  it.effect("names the columns that are missing, and how others can be given", () =>
    Effect.gen(function* () {
      const reason = yield* problemsOf("scheduled_offset_s, tokens\n1,2\n")
      const expected = "a column of this name in the header, which has: scheduled_offset_s, tokens"
      assert.deepStrictEqual(reason.problems, [
        problem(1, "input_tokens", null, expected),
        problem(1, "output_tokens", null, expected)
      ])
      assert.isTrue(reason.wrongColumns)
      assert.match(reason.message, /--map offset=COLUMN,input=COLUMN,output=COLUMN$/)
    })
  )

  it.effect("measures a file by the format of which it has the most columns", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf("TIMESTAMP,ContextTokens\n2023-11-16 18:17:03,5\n")
      assert.deepStrictEqual(
        problems.map(({ column }) => column),
        ["GeneratedTokens"]
      )
    })
  )

  it.effect("a column that is there twice", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(`${HEADER},input_tokens\n0,1,1,2\n`)
      assert.deepStrictEqual(problems, [
        problem(1, "input_tokens", null, "one column of this name, and the header has two")
      ])
    })
  )

  it.effect.each([
    { name: "an empty file", text: "" },
    { name: "only white space", text: " \n\r\n\t" },
    { name: "only a header", text: `${HEADER}\n\n` },
    { name: "an empty file in gzip", text: gzipSync("") }
  ])("$name", ({ text }) =>
    Effect.gen(function* () {
      const reason = yield* problemsOf(text)
      assert.deepStrictEqual(reason.problems, [problem(null, null, null, "at least one row")])
      assert.isFalse(reason.wrongColumns)
    })
  )

  it.effect("CSV that is broken, and what was found before", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(`${HEADER}\n0,x,1\n0,"1,1\n0,1,1\n`)
      assert.deepStrictEqual(problems, [
        problem(2, "input_tokens", "x", wholeTokens),
        problem(3, null, null, "CSV: Unterminated quoted field")
      ])
    })
  )

  it.effect("JSON that does not parse, is no object or lacks a key", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(
        [
          '{"scheduled_offset_s":0,"input_tokens":1,"output_tokens":1}',
          '{"scheduled_offset_s":0,',
          "[1,2]",
          '{"scheduled_offset_s":null,"input_tokens":1.5,"output_tokens":true}',
          '{"scheduled_offset_s":1,"input_tokens":1}'
        ].join("\n")
      )
      assert.deepStrictEqual(problems, [
        problem(2, null, '{"scheduled_offset_s":0,', "a JSON object on one line"),
        problem(3, null, "[1,2]", "a JSON object on one line"),
        problem(4, "scheduled_offset_s", "null", seconds),
        problem(4, "input_tokens", "1.5", wholeTokens),
        problem(4, "output_tokens", "true", wholeTokens),
        problem(5, "output_tokens", null, wholeTokens)
      ])
    })
  )

  it.effect("a JSON document instead of lines", () =>
    Effect.gen(function* () {
      const one = yield* problemsOf('[{"a":1}]')
      assert.deepStrictEqual(one.problems, [problem(1, null, '[{"a":1}]', "a JSON object on one line")])
      const long = yield* problemsOf(`{"a":"${"x".repeat(17 * 2 ** 20)}`)
      assert.deepStrictEqual(
        long.problems.map(({ expected }) => expected),
        ["lines of at most 16777216 characters"]
      )
    })
  )

  it.effect("prompts that are too short to build, but not those made of blocks", () =>
    Effect.gen(function* () {
      const text = `${HEADER},prefix_blocks_16\n0,26,9,\n1,26,10,\n2,3,10,5\n3,25,10,\n`
      const { problems } = yield* problemsOf(text, {
        minimumInputTokens: (outputTokens) => 25 + String(outputTokens).length
      })
      const expected = "at least 27 tokens, the shortest prompt that asks for 10 output tokens"
      assert.deepStrictEqual(problems, [
        problem(3, "input_tokens", "26", expected),
        problem(5, "input_tokens", "25", expected)
      ])
    })
  )

  it.effect("ids of blocks that are none", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(`${HEADER},prefix_blocks_16\n0,26,9,1 2\n0,26,9,1 x\n0,26,9,-1\n`)
      assert.deepStrictEqual(problems, [
        problem(3, "prefix_blocks_16", "1 x", "whole numbers separated by spaces"),
        problem(4, "prefix_blocks_16", "-1", "whole numbers separated by spaces")
      ])
    })
  )

  it.effect("a line that is too long for a row", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf("\0".repeat(1_100_000))
      assert.deepStrictEqual(problems, [problem(1, null, null, "CSV with rows of at most 1048576 characters")])
    })
  )

  it.effect("shows only the beginning of a long value", () =>
    Effect.gen(function* () {
      const { problems } = yield* problemsOf(`${HEADER}\n${"9".repeat(1_000)}x,1,1\n`)
      assert.strictEqual(problems[0]?.value?.length, 60)
    })
  )

  it.effect("files that cannot be read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const describe = (path: string) =>
        Effect.map(Effect.flip(ScheduleFile.read(path)), ({ message }) => message.replace(folder, ""))
      yield* fs.writeFile(`${folder}/cut.csv.gz`, gzipSync(plain).subarray(0, 40))
      assert.strictEqual(yield* describe(`${folder}/none.csv`), "/none.csv: cannot be read: there is no such file")
      assert.strictEqual(yield* describe(folder), ": cannot be read: it is no regular file")
      assert.strictEqual(yield* describe("/dev/zero"), "/dev/zero: cannot be read: it is no regular file")
      assert.match(yield* describe(`${folder}/cut.csv.gz`), /^\/cut\.csv\.gz: cannot be read: it is not whole gzip: /)
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )
})

const anyOffset = fc.oneof(
  fc.double({ min: 0, max: 1e9, noNaN: true }),
  fc.integer({ min: 0, max: 1e12 }).map((ticks) => ticks / 1e7),
  fc.constantFrom(0, 1e-7, 5e-324, 1e-300, 123456.7890123)
)
const anyTokens = fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom(1, 0xffff_ffff))
const anyRow = fc.record({ offset: anyOffset, input: anyTokens, output: anyTokens })

const anySchedule: fc.Arbitrary<Schedule> = fc
  .record({
    rows: fc.array(
      fc.record({
        offset: anyOffset,
        input: anyTokens,
        output: anyTokens,
        session: fc.integer({ min: 0, max: 3 }),
        blocks: fc.array(fc.oneof(fc.maxSafeNat(), fc.constant(2 ** 63)), { maxLength: 4 })
      }),
      { minLength: 1, maxLength: 30 }
    ),
    blockTokens: fc.constantFrom(16, 512)
  })
  .map(({ blockTokens, rows }) => {
    const sorted = rows.toSorted((a, b) => a.offset - b.offset)
    const sessions = [...new Set([0, ...sorted.map(({ session }) => session)])]
    const ids = sorted.flatMap(({ blocks }) => blocks)
    const start = [0]
    for (const { blocks } of sorted) start.push((start.at(-1) ?? 0) + blocks.length)
    return {
      length: sorted.length,
      id: Uint32Array.from(sorted, (_, i) => i + 1),
      offsetSeconds: Float64Array.from(sorted, ({ offset }) => offset),
      inputTokens: Uint32Array.from(sorted, ({ input }) => input),
      outputTokens: Uint32Array.from(sorted, ({ output }) => output),
      session: sessions.length === 1 ? null : Uint32Array.from(sorted, ({ session }) => sessions.indexOf(session)),
      prefix: ids.length === 0 ? null : { blockTokens, start: Uint32Array.from(start), ids: Float64Array.from(ids) }
    }
  })

describe("properties", () => {
  it("what is written reads back as the same schedule, to the last bit", () =>
    fc.assert(
      fc.asyncProperty(anySchedule, fc.integer({ min: 1, max: 50 }), (schedule, chunkBytes) =>
        Effect.runPromise(
          Effect.map(loadText([...ScheduleFile.toCsv(schedule)].join(""), {}, chunkBytes), (loaded) => {
            assert.deepStrictEqual(loaded.schedule, schedule)
          })
        )
      ),
      { numRuns: 200 }
    ))

  const spaces = fc.constantFrom("", " ", "  ", "\t")

  it("order of columns, line ends, spaces, blank lines and pieces make no difference", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(anyRow, { minLength: 1, maxLength: 20 }),
        fc.shuffledSubarray(["scheduled_offset_s", "input_tokens", "output_tokens", "other", "TIMESTAMP"], {
          minLength: 5
        }),
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.infiniteStream(fc.tuple(spaces, spaces, fc.boolean())),
        fc.boolean(),
        fc.integer({ min: 1, max: 100 }),
        (rows, columns, lineEnd, noise, end, chunkBytes) => {
          const cellsOf: { readonly [column: string]: (row: (typeof rows)[number]) => number | string } = {
            scheduled_offset_s: ({ offset }) => offset,
            input_tokens: ({ input }) => input,
            output_tokens: ({ output }) => output,
            other: () => '"a "" b"'
          }
          const padded = (cell: string | number) => {
            const [before, after] = noise.next().value
            return typeof cell === "string" && cell.startsWith('"') ? cell : `${before}${cell}${after}`
          }
          const lines = [columns, ...rows.map((row) => columns.map((column) => cellsOf[column]?.(row) ?? ""))].flatMap(
            (cells) => [cells.map(padded).join(","), ...(noise.next().value[2] ? [""] : [])]
          )
          const text = lines.join(lineEnd) + (end ? lineEnd : "")
          const expected = rows
            .map(({ input, offset, output }, i) => ({ id: i + 1, offset, input, output, session: null, blocks: null }))
            .toSorted((a, b) => a.offset - b.offset)
          return Effect.runPromise(
            Effect.map(loadText(text, {}, chunkBytes), ({ schedule }) =>
              assert.deepStrictEqual(rowsOf(schedule), expected)
            )
          )
        }
      ),
      { numRuns: 200 }
    ))

  it("a wrong cell is found wherever it is", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(anyRow, { minLength: 1, maxLength: 20 }),
        fc.nat(),
        fc.constantFrom(
          [
            "scheduled_offset_s",
            ["-1", "nan", "NaN", "1_0", "1,0".replace(",", ""), "∞"].filter((t) => t !== "10")
          ] as const,
          ["input_tokens", ["0", "-1", "1.5", "1e3", "", "x"]] as const,
          ["output_tokens", ["0", "-1", "1.0", "4294967296", "١"]] as const
        ),
        fc.nat(),
        (rows, at, [column, wrong], which) => {
          const row = at % rows.length
          const value = wrong[which % wrong.length] ?? ""
          const lines = rows.map(({ input, offset, output }, i) => {
            const cells = { scheduled_offset_s: `${offset}`, input_tokens: `${input}`, output_tokens: `${output}` }
            return Object.values(i === row ? { ...cells, [column]: value } : cells).join(",")
          })
          return Effect.runPromise(
            Effect.map(problemsOf([HEADER, ...lines].join("\n")), ({ problems }) =>
              assert.deepStrictEqual(problems, [
                problem(row + 2, column, value, column === "scheduled_offset_s" ? seconds : wholeTokens)
              ])
            )
          )
        }
      ),
      { numRuns: 100 }
    ))
})
