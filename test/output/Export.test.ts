import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Export from "../../src/output/Export.ts"
import { bytes, folder, records, run, text } from "./exports.ts"

/** RFC 4180, read strictly: CRLF ends every line, and a quote stands only around a cell or doubled within one. */
const readCsv = (source: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines: Array<ReadonlyArray<string>> = []
  let cells: Array<string> = []
  let rest = source
  while (rest !== "") {
    const [whole = "", quoted, bare = "", end = ""] =
      /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest) ?? assert.fail(`not CSV: ${rest.slice(0, 40)}`)
    cells.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'))
    if (end !== ",") {
      lines.push(cells)
      cells = []
    }
    rest = rest.slice(whole.length)
  }
  return lines
}

const columns = Object.keys(RequestRecord.fields)

describe("Export", () => {
  it.effect("writes a CSV row per request, as RFC 4180 has it", () =>
    Effect.gen(function* () {
      const [header = [], ...rows] = readCsv(yield* text(run(records), "csv"))
      assert.deepStrictEqual(header, columns)
      assert.lengthOf(rows, records.length)
      for (const [index, row] of rows.entries()) {
        const expected = columns.map((name) => {
          const value = records[index]?.[name]
          if (value === null || value === undefined) return ""
          return typeof value === "object" ? JSON.stringify(value) : String(value)
        })
        assert.deepStrictEqual(row, expected)
      }
      const limited = rows.find((row) => row[columns.indexOf("rate_limit")] !== "") ?? []
      assert.strictEqual(limited[columns.indexOf("rate_limit")], '{"retry-after":"2"}')
      assert.strictEqual(limited[columns.indexOf("error_code")], "429")
      assert.deepStrictEqual(readCsv(yield* text(run([]), "csv")), [columns])
    })
  )

  it.effect("has no formula in a CSV: a text that looks like one has a mark before it", () =>
    Effect.gen(function* () {
      const [first = {}] = records
      const harmful = [
        '=HYPERLINK("http://x")',
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1"
      ]
      const harmless = ["-1", "+1.5e-3", "429", "a=b", "", "'", " =1", '{"-":1}']
      const rows = [...harmful, ...harmless].map((error_code) => ({
        ...first,
        error_code,
        error_msg: error_code,
        retry_after_s: -0.5,
        number_chunks: -2
      }))
      const [, ...read] = readCsv(yield* text(run(rows), "csv"))
      const column = (name: string) => read.map((row) => row[columns.indexOf(name)])
      const expected = [...harmful.map((value) => `'${value}`), ...harmless]
      assert.deepStrictEqual(column("error_code"), expected)
      assert.deepStrictEqual(column("error_msg"), expected)
      assert.deepStrictEqual(new Set(column("retry_after_s")), new Set(["-0.5"]))
      assert.deepStrictEqual(new Set(column("number_chunks")), new Set(["-2"]))
      const named = yield* text(run([{ ...first, "=1+1": 1 }]), "csv")
      assert.include(named.split("\r\n")[0], ",'=1+1")
    })
  )

  it.effect("writes records as they are in NDJSON", () =>
    Effect.gen(function* () {
      const lines = (yield* text(run(records), "ndjson")).split("\n")
      assert.strictEqual(lines.pop(), "")
      assert.deepStrictEqual(
        lines.map((line) => JSON.parse(line)),
        [...records]
      )
    })
  )

  it.effect("gives what a record has besides a column of its own", () =>
    Effect.gen(function* () {
      const answered = records.map((record, index) => ({
        ...record,
        expected: index,
        verdict: "correct",
        generated_text: "a,b",
        of_a_fork: { nested: [index] }
      }))
      const [header = [], first = []] = readCsv(yield* text(run(answered), "csv"))
      assert.deepStrictEqual(header, [...columns, "expected", "verdict", "generated_text", "of_a_fork"])
      assert.deepStrictEqual(first.slice(columns.length), ["0", "correct", "a,b", '{"nested":[0]}'])
      // Those of LLMPerf have less: the other columns are empty
      const few = { error_code: null, error_msg: "", ttft_s: 0.5 }
      const [, old = []] = readCsv(yield* text(run([few]), "csv"))
      assert.lengthOf(old, columns.length)
      assert.deepStrictEqual(
        old.filter((cell) => cell !== ""),
        ["0.5"]
      )
    })
  )

  it.effect("leaves out what an old file has in the place of a server's count", () =>
    Effect.gen(function* () {
      const [first = {}] = records
      const [names = [], ...rows] = readCsv(
        yield* text(run([7, 1.5, 1e308, -1, "12"].map((count) => ({ ...first, usage_output_tokens: count }))), "csv")
      )
      const at = names.indexOf("usage_output_tokens")
      assert.deepStrictEqual(
        rows.map((row) => row[at]),
        ["7", "", "", "", ""]
      )
    })
  )

  it.effect("fails rather than lose or bend a value", () =>
    Effect.gen(function* () {
      const [first = {}] = records
      for (const format of ["csv", "parquet"] as const) {
        const later = yield* Effect.flip(text(run([first, { ...first, added: 1 }]), format))
        assert.strictEqual(
          later.message,
          `Cannot export here as ${format}: request record 2 does not fit into the table: the first one has no added. With --format ndjson records are written as they are.`
        )
        for (const [name, value] of [
          ["ttft_s", "fast"],
          ["status", 200.5],
          ["number_chunks", 2 ** 60],
          ["sampled", 1],
          ["error_msg", 7],
          ["error_code", true]
        ] as const) {
          const bent = yield* Effect.flip(text(run([{ ...first, [name]: value }]), format))
          assert.include(
            bent.message,
            `request record 1 does not fit into the table: its ${name} is ${JSON.stringify(value)}`
          )
        }
      }
    })
  )

  it.effect("writes the summary where there is one", () =>
    Effect.gen(function* () {
      assert.match(
        yield* text(run([], { results_wall_time_s: 2 }), "openmetrics"),
        /\nllmperf_wall_time_seconds 2\n# EOF\n$/
      )
      assert.match(yield* text(run([], { results_wall_time_s: 2 }), "prometheus"), /\nllmperf_wall_time_seconds 2\n$/)
      const error = yield* Effect.flip(text(run(records), "prometheus"))
      assert.match(error.message, /^Cannot export here as prometheus: the run has no summary\. .*llmperf recover/)
    })
  )

  it.effect("writes a file as a whole or not at all", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const target = join(path, "out.parquet")
      const whole = yield* bytes(run(records), "parquet")
      yield* Export.write(target, Export.encode(run(records), "parquet"))
      assert.deepStrictEqual(new Uint8Array(readFileSync(target)), whole)

      const broken = Stream.concat(Stream.succeed(new Uint8Array([1])), Stream.fail("broken" as const))
      assert.strictEqual(yield* Effect.flip(Export.write(target, broken)), "broken")
      assert.deepStrictEqual(new Uint8Array(readFileSync(target)), whole)
      assert.deepStrictEqual(readdirSync(path), ["out.parquet"])

      const nowhere = yield* Effect.flip(Export.write(join(path, "none", "x"), Stream.empty))
      assert.strictEqual(nowhere.problem, "its folder does not exist")
      mkdirSync(join(path, "folder"))
      writeFileSync(join(path, "folder", "x"), "")
      assert.strictEqual((yield* Effect.flip(Export.write(join(path, "folder"), Stream.empty)))._tag, "OutputError")
      assert.deepStrictEqual(readdirSync(path), ["folder", "out.parquet"])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
