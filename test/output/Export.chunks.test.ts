import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { parquetMetadata, parquetReadObjects } from "hyparquet"
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ChunkTimes from "../../src/output/ChunkTimes.ts"
import * as Export from "../../src/output/Export.ts"
import * as RunManifest from "../../src/output/RunManifest.ts"
import { record } from "../metrics/records.ts"
import { answer, measured, start } from "./chunkTimes.ts"
import { folder } from "./exports.ts"

const fileOf = Effect.fnUntraced(function* (path: string, measurements: Parameters<typeof append>[1], runId = "run1") {
  yield* Effect.scoped(Effect.map(ChunkTimes.makeWriter(path, { runId }), (writer) => append(writer, measurements)))
  return path
})

const append = (writer: ChunkTimes.ChunkWriter, measurements: ReadonlyArray<ReturnType<typeof answer>>): void => {
  for (const each of measurements) writer.append(each, start)
}

const bytesOf = Effect.fnUntraced(function* (file: string, format: Export.ChunkFormat) {
  const pieces = yield* Stream.runCollect(Export.encodeChunks(yield* ChunkTimes.open(file), format))
  return new Uint8Array(Buffer.concat(pieces))
})

const textOf = (file: string, format: Export.ChunkFormat) =>
  Effect.map(bytesOf(file, format), (bytes) => new TextDecoder().decode(bytes))

const few = [
  measured(7, 1_000_000_001, [1_250_000_001, 1_250_000_001, 7_250_000_004]),
  measured(8, null, []),
  measured(9, 2_000_000_000, []),
  measured(10, 2_000_000_000, [2_000_000_001])
]

const inFolder = <A, E, R>(use: (path: string) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(folder, use).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

describe("Export.encodeChunks", () => {
  it.effect("writes a row per chunk, in seconds", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const file = yield* fileOf(join(path, "chunks.arrow"), few)
        assert.strictEqual(
          yield* textOf(file, "csv"),
          "request_id,chunk,arrival_offset_s,since_sent_s,gap_s\r\n" +
            "7,1,1.250000001,0.25,\r\n" +
            "7,2,1.250000001,0.25,0\r\n" +
            "7,3,7.250000004,6.250000003,6.000000003\r\n" +
            "10,1,2.000000001,1e-9,\r\n"
        )
        const lines = (yield* textOf(file, "ndjson")).split("\n")
        assert.strictEqual(lines.pop(), "")
        const expected = [
          { request_id: 7, chunk: 1, arrival_offset_s: 1.250000001, since_sent_s: 0.25, gap_s: null },
          { request_id: 7, chunk: 2, arrival_offset_s: 1.250000001, since_sent_s: 0.25, gap_s: 0 },
          { request_id: 7, chunk: 3, arrival_offset_s: 7.250000004, since_sent_s: 6.250000003, gap_s: 6.000000003 },
          { request_id: 10, chunk: 1, arrival_offset_s: 2.000000001, since_sent_s: 1e-9, gap_s: null }
        ]
        assert.deepStrictEqual(
          lines.map((line) => JSON.parse(line)),
          expected
        )
        const parquet = yield* bytesOf(file, "parquet")
        const buffer = new Uint8Array(parquet).buffer
        assert.deepStrictEqual(
          yield* Effect.promise(() => parquetReadObjects({ file: buffer })),
          expected.map((row) => ({ ...row, request_id: BigInt(row.request_id), chunk: BigInt(row.chunk) }))
        )
        assert.deepStrictEqual(parquetMetadata(buffer).key_value_metadata, [{ key: "llmperf.run_id", value: "run1" }])
      })
    )
  )

  it.effect("writes many rows in pieces, none of them lost", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const all = Array.from({ length: 100 }, (_, id) => answer(id, 150))
        const file = yield* fileOf(join(path, "chunks.arrow"), all)
        const pieces = yield* Stream.runCollect(Export.encodeChunks(yield* ChunkTimes.open(file), "csv"))
        assert.isAbove(pieces.length, 1)
        const rows = new TextDecoder().decode(Buffer.concat(pieces)).trimEnd().split("\r\n").slice(1)
        assert.lengthOf(rows, 15_000)
        assert.deepStrictEqual(
          rows.map((row) => Math.round(Number(row.split(",")[2]) * 1e9)),
          all.flatMap(({ chunkAt }) => chunkAt.map((at) => at - start.monotonicNanos))
        )
      })
    )
  )

  it.effect("has no chunks: Parquet is refused, the others are empty", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const file = yield* fileOf(join(path, "chunks.arrow"), few.slice(1, 3))
        assert.strictEqual(yield* textOf(file, "csv"), "request_id,chunk,arrival_offset_s,since_sent_s,gap_s\r\n")
        assert.strictEqual(yield* textOf(file, "ndjson"), "")
        const error = yield* Effect.flip(bytesOf(file, "parquet"))
        assert.match(error.message, /as parquet: it holds no chunks\./)
      })
    )
  )
})

describe("Export.openChunks", () => {
  it.effect("finds those of the run that is given, and of no other", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const summary = (name: string, runId: string) => {
          writeFileSync(join(path, `${name}_summary.json`), JSON.stringify({ name, run_id: runId }))
          writeFileSync(join(path, `${name}_individual_responses.json`), JSON.stringify([record()]))
        }
        const found = (given: string) =>
          Effect.map(Export.openChunks(given, "csv"), (file) => [file.runId, file.path.slice(path.length + 1)])
        // Of two runs in one folder, the second is the later one
        summary("a", "first")
        writeFileSync(join(path, "records.first.ndjson"), `${JSON.stringify(record())}\n`)
        yield* fileOf(join(path, "chunks.first.arrow"), few, "first")
        assert.deepStrictEqual(yield* found(path), ["first", "chunks.first.arrow"])
        summary("b", "second")
        writeFileSync(join(path, "records.ndjson"), `${JSON.stringify(record())}\n`)
        yield* RunManifest.write(join(path, "run.json"), {
          runId: "second",
          files: { summary: "b_summary", individualResponses: "b_individual_responses" },
          resultsPrefix: "",
          startTime: 0,
          planned: 1,
          openLoop: false,
          parameters: {},
          details: { run_id: "second" },
          metadata: {}
        })
        const missing = yield* Effect.flip(found(join(path, "b_summary.json")))
        assert.strictEqual(
          missing.message,
          `Cannot export ${join(path, "b_summary.json")} as csv: there are no chunk times of it. They are kept by a load test with --chunk-times.`
        )
        yield* fileOf(join(path, "chunks.arrow"), few, "second")
        for (const [given, expected] of [
          ["a_summary.json", ["first", "chunks.first.arrow"]],
          ["a_individual_responses.json", ["first", "chunks.first.arrow"]],
          ["records.first.ndjson", ["first", "chunks.first.arrow"]],
          ["chunks.first.arrow", ["first", "chunks.first.arrow"]],
          ["b_summary.json", ["second", "chunks.arrow"]],
          ["records.ndjson", ["second", "chunks.arrow"]]
        ] as const) {
          assert.deepStrictEqual(yield* found(join(path, given)), [...expected], given)
        }
        // A run that was killed has no summary
        const killed = join(path, "killed")
        mkdirSync(killed)
        for (const name of ["records.ndjson", "run.json", "chunks.arrow"])
          copyFileSync(join(path, name), join(killed, name))
        assert.deepStrictEqual(yield* found(killed), ["second", join("killed", "chunks.arrow")])
        const nothing = yield* Effect.flip(found(join(path, "none")))
        assert.strictEqual(nothing._tag, "RunReadError")
      })
    )
  )
})
