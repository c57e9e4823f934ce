import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { parquetMetadata, parquetReadObjects } from "hyparquet"
import * as Rust from "parquet-wasm/node"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as ParquetFile from "../../src/output/ParquetFile.ts"
import { bytes, records, run } from "./exports.ts"

const bufferOf = (file: Uint8Array): ArrayBuffer => new Uint8Array(file).buffer

const read = (file: Uint8Array) => Effect.promise(() => parquetReadObjects({ file: bufferOf(file), utf8: true }))

/** The same table, read and written anew by the Rust implementation. */
const throughRust = (file: Uint8Array): Uint8Array => Rust.writeParquet(Rust.readParquet(file))

const encode = (
  columns: ReadonlyArray<ParquetFile.Column>,
  rows: ReadonlyArray<ParquetFile.Row>,
  rowGroupRows?: number
) =>
  Stream.fromIterable(rows).pipe(
    ParquetFile.encode(columns, { rowGroupRows }),
    Stream.runCollect,
    Effect.map((pieces) => ({ pieces: pieces.length, file: new Uint8Array(Buffer.concat(pieces)) }))
  )

const cells = (record: { readonly [key: string]: unknown }) =>
  Object.fromEntries(
    Object.keys(RequestRecord.fields).map((name) => {
      const value = record[name] ?? null
      const whole = /^(status|request_id|number_chunks|(number|target|usage|tokenizer|first|hidden)_.*_tokens)$/.test(
        name
      )
      if (whole && typeof value === "number") return [name, BigInt(value)]
      if (name === "error_code" && value !== null) return [name, String(value)]
      return [name, typeof value === "object" && value !== null ? JSON.stringify(value) : value]
    })
  )

describe("ParquetFile", () => {
  it.effect("is read by two implementations, with every value of every record", () =>
    Effect.gen(function* () {
      const file = yield* bytes(run(records, { run_id: "run1" }), "parquet")
      const expected = records.map(cells)
      assert.deepStrictEqual(yield* read(file), expected)
      assert.deepStrictEqual(yield* read(throughRust(file)), expected)
      const { created_by, key_value_metadata, num_rows, schema } = parquetMetadata(bufferOf(file))
      assert.strictEqual(num_rows, 16n)
      assert.strictEqual(created_by, "llmperf")
      assert.deepStrictEqual(key_value_metadata, [{ key: "llmperf.run_id", value: "run1" }])
      const types = new Map(schema.map(({ converted_type, name, type }) => [name, converted_type ?? type]))
      assert.deepStrictEqual(
        ["ttft_s", "status", "error_code", "rate_limit", "sampled"].map((name) => types.get(name)),
        ["DOUBLE", "INT64", "UTF8", "UTF8", "BOOLEAN"]
      )
    })
  )

  it.effect("has row groups of the size that is held in memory", () =>
    Effect.gen(function* () {
      const columns = [
        { name: "id", type: "INT64" },
        { name: "value", type: "DOUBLE" },
        { name: "text", type: "STRING" },
        { name: "flag", type: "BOOLEAN" }
      ] as const
      const rows = Array.from({ length: 1050 }, (_, i) => [
        i,
        i % 7 === 0 ? null : i / 3,
        i % 5 === 0 ? null : `é${i % 40}`,
        i % 3 === 0 ? null : i % 2 === 0
      ])
      const { file, pieces } = yield* encode(columns, rows, 100)
      assert.strictEqual(pieces, 12)
      const metadata = parquetMetadata(bufferOf(file))
      assert.deepStrictEqual(
        metadata.row_groups.map(({ num_rows }) => Number(num_rows)),
        [...Array.from({ length: 10 }, () => 100), 50]
      )
      const expected = rows.map(([id, value, text, flag]) => ({ id: BigInt(Number(id)), value, text, flag }))
      assert.deepStrictEqual(yield* read(file), expected)
      assert.deepStrictEqual(yield* read(throughRust(file)), expected)
    })
  )

  it.effect("can be of nothing that is known, and is not made of nothing", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(bytes(run([]), "parquet"))
      assert.match(message, /^Cannot export here as parquet: it holds no requests\. /)
      const columns = [
        { name: "a", type: "DOUBLE" },
        { name: "b", type: "STRING" }
      ] as const
      const { file } = yield* encode(columns, [
        [null, null],
        [null, null]
      ])
      const unknown = { a: null, b: null }
      assert.deepStrictEqual(yield* read(file), [unknown, unknown])
      assert.deepStrictEqual(yield* read(throughRust(file)), [unknown, unknown])
    })
  )
})
