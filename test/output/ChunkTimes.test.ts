import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import * as RequestSink from "../../src/metrics/RequestSink.ts"
import * as ChunkTimes from "../../src/output/ChunkTimes.ts"
import { answer, measured, requests, start, timesOf } from "./chunkTimes.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"

const withPath = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* use(path.join(yield* fs.makeTempDirectoryScoped(), "chunks.arrow"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const write = (file: string, appended: (writer: ChunkTimes.ChunkWriter) => void, runId = "run1") =>
  Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* ChunkTimes.makeWriter(file, { runId })
      appended(writer)
      return yield* writer.close
    })
  )

const writeAll = (file: string, measurements: ReadonlyArray<RequestSink.Measurement>) =>
  write(file, (writer) => {
    for (const each of measurements) writer.append(each, start)
  })

const read = Effect.fnUntraced(function* (file: string) {
  const opened = yield* ChunkTimes.open(file)
  const times = yield* Stream.runCollect(opened.requests)
  return { runId: opened.runId, times, ending: opened.ending() }
})

const idsOf = (times: ReadonlyArray<ChunkTimes.RequestTimes>) => times.map(({ requestId }) => requestId)

/** A file system that does something else when its files are written to. */
const layerWriting = (write: (file: FileSystem.File, bytes: Uint8Array) => ReturnType<FileSystem.File["writeAll"]>) =>
  layerChanged((fs) => ({
    open: (path, options) =>
      Effect.map(
        fs.open(path, options),
        (file): FileSystem.File =>
          new Proxy(file, {
            get: (target, key) =>
              key === "writeAll" ? (bytes: Uint8Array) => write(file, bytes) : Reflect.get(target, key, target)
          })
      )
  }))

/** Where the messages of a file begin, and where it ends. */
const messageStarts = (bytes: Uint8Array): ReadonlyArray<number> => {
  const starts: Array<number> = []
  for (let at = 0; at + 8 <= bytes.length; at++) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at)
    if (
      at % 8 === 0 &&
      view.getInt32(0, true) === -1 &&
      view.getInt32(4, true) >= 0 &&
      view.getInt32(4, true) < 4_096
    ) {
      starts.push(at)
    }
  }
  return [...starts, bytes.length]
}

describe("ChunkTimes", () => {
  it.effect("gives back every stamp of every request, to the nanosecond", () =>
    withPath((file) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(requests, (measurements) =>
            Effect.gen(function* () {
              const fs = yield* FileSystem.FileSystem
              yield* fs.remove(file, { force: true })
              assert.strictEqual(yield* writeAll(file, measurements), measurements.length)
              assert.deepStrictEqual(yield* read(file), {
                runId: "run1",
                times: measurements.map(timesOf),
                ending: { _tag: "Closed" }
              })
            }).pipe(Effect.provide(NodeServices.layer), Effect.runPromise)
          ),
          { numRuns: 25 }
        )
      )
    )
  )

  it.effect("agrees with the row of every request, to the last bit", () =>
    withPath((file) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(requests, (measurements) =>
            Effect.gen(function* () {
              const fs = yield* FileSystem.FileSystem
              yield* fs.remove(file, { force: true })
              yield* writeAll(file, measurements)
              const { times } = yield* read(file)
              for (const [index, measurement] of measurements.entries()) {
                const { chunkNanos, requestId, sentNanos } = times[index] ?? assert.fail("a request is missing")
                const options = { source: null, tokens: { output: null, first: null }, start, xRequestId: null }
                const { interChunkSeconds, record } = RequestSink.toOutcome(measurement, options)
                const [first] = chunkNanos
                const last = chunkNanos.at(-1)
                const gaps = chunkNanos.subarray(1).map((at, before) => at - (chunkNanos[before] ?? NaN))
                const has = first !== undefined && last !== undefined
                assert.deepStrictEqual(
                  {
                    request_id: requestId,
                    number_chunks: chunkNanos.length,
                    sent_offset_s: sentNanos === null ? null : sentNanos / 1e9,
                    ttft_s: sentNanos === null || !has ? null : (first - sentNanos) / 1e9,
                    sum_inter_token_latency_s: has ? gaps.reduce((sum, each) => sum + each, 0) / 1e9 : null,
                    max_inter_chunk_latency_s: gaps.length === 0 ? null : Math.max(...gaps) / 1e9
                  },
                  {
                    request_id: record.request_id,
                    number_chunks: record.number_chunks,
                    sent_offset_s: record.sent_offset_s,
                    ttft_s: record.ttft_s,
                    sum_inter_token_latency_s: record.sum_inter_token_latency_s,
                    max_inter_chunk_latency_s: record.max_inter_chunk_latency_s
                  }
                )
                assert.deepStrictEqual(
                  gaps.map((each) => each / 1e9),
                  interChunkSeconds
                )
              }
            }).pipe(Effect.provide(NodeServices.layer), Effect.runPromise)
          ),
          { numRuns: 25 }
        )
      )
    )
  )

  it.effect("takes blocks of several senders, in the order in which they are handed in", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const one = yield* ChunkTimes.makeEncoder
        const other = yield* ChunkTimes.makeEncoder
        // Of another machine, whose clock began elsewhere
        const theirs: RequestSink.RunStart = { ...start, monotonicNanos: 17 }
        const moved = (measurement: RequestSink.Measurement): RequestSink.Measurement => {
          const to = (at: number): number => at - start.monotonicNanos + theirs.monotonicNanos
          const { chunkAt, sent } = measurement
          return { ...measurement, sent: sent && { ...sent, at: to(sent.at) }, chunkAt: chunkAt.map(to) }
        }
        const all = Array.from({ length: 300 }, (_, id) => answer(id, 100))
        for (const [id, each] of all.entries()) {
          if (id % 2 === 0) one.append(each, start)
          else other.append(moved(each), theirs)
        }
        const first = one.take()
        assert.deepStrictEqual([first.count, one.take()], [150, { bytes: new Uint8Array(), count: 0 }])
        assert.strictEqual(first.bytes.byteLength, first.bytes.buffer.byteLength)
        const written = yield* write(file, (writer) => {
          writer.append(measured(999, null, []), start)
          writer.appendBlocks(first)
          writer.appendBlocks({ bytes: new Uint8Array(), count: 0 })
          writer.appendBlocks(other.take())
        })
        assert.strictEqual(written, 301)
        const { ending, times } = yield* read(file)
        const odd = all.filter((_, id) => id % 2 === 1)
        const even = all.filter((_, id) => id % 2 === 0)
        assert.deepStrictEqual(ending, { _tag: "Closed" })
        assert.deepStrictEqual(
          [...times].toSorted((a, b) => a.requestId - b.requestId),
          [...all, measured(999, null, [])].map(timesOf)
        )
        assert.deepStrictEqual(
          idsOf(times).filter((id) => id !== 999),
          [...even, ...odd].map(({ plan }) => plan.id)
        )
      })
    )
  )

  it.effect("keeps blocks for another, who goes on where it was interrupted", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const encoder = yield* ChunkTimes.makeEncoder
        const log = yield* ChunkTimes.makeBlockLog(`${file}.kept`)
        const all = Array.from({ length: 200 }, (_, id) => answer(id, 100))
        for (const [id, each] of all.entries()) {
          encoder.append(each, start)
          if (id % 7 === 0) log.appendBlocks(encoder.take())
        }
        log.appendBlocks(encoder.take())
        assert.strictEqual(yield* log.close, 200)
        const whole = yield* fs.readFile(`${file}.kept`)
        // What is not whole yet is left out
        yield* fs.writeFile(`${file}.kept`, whole.subarray(0, -3))
        const options = { chunkSize: 2_000 }
        const first = yield* Stream.runCollect(
          Stream.take(ChunkTimes.readBlocks(`${file}.kept`, { ...options, from: 0 }), 5)
        )
        yield* fs.writeFile(`${file}.kept`, whole)
        const from = first.reduce((sum, { bytes }) => sum + bytes.length, 0)
        const rest = yield* Stream.runCollect(ChunkTimes.readBlocks(`${file}.kept`, { ...options, from }))
        assert.isAbove(rest.length, 5)
        const written = yield* write(file, (writer) => {
          for (const blocks of [...first, ...rest]) writer.appendBlocks(blocks)
        })
        assert.strictEqual(written, 200)
        assert.deepStrictEqual((yield* read(file)).times, all.map(timesOf))
        const wrong = yield* Effect.flip(
          Stream.runCollect(ChunkTimes.readBlocks(`${file}.kept`, { ...options, from: from + 5 }))
        )
        assert.strictEqual(wrong.message, `Cannot read chunk times from ${file}.kept: it is damaged`)
      })
    )
  )

  it.effect("takes less than four bytes a chunk", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* writeAll(
          file,
          Array.from({ length: 500 }, (_, id) => answer(id, 100))
        )
        const perChunk = Number((yield* fs.stat(file)).size) / 50_000
        assert.isTrue(perChunk > 1 && perChunk < 4, `${perChunk} bytes`)
      })
    )
  )

  it.effect("reads a file that was cut off at any byte, and tells how much it left out", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const encoder = yield* ChunkTimes.makeEncoder
        yield* write(file, (writer) => {
          for (let id = 1; id <= 3; id++) {
            encoder.append(answer(id, 20), start)
            writer.appendBlocks(encoder.take())
          }
        })
        const whole = yield* fs.readFile(file)
        const starts = messageStarts(whole)
        // The head, three blocks, the end
        assert.lengthOf(starts, 6)
        const lengths = new Set(starts.flatMap((at) => [at - 1, at, at + 1, at + 4, at + 8, at + 200]))
        for (let length = 3; length < whole.length; length += 29) lengths.add(length)
        for (const length of lengths) {
          if (length < 0 || length >= whole.length) continue
          yield* fs.writeFile(file, whole.subarray(0, length))
          const { ending, times } = yield* read(file)
          const before = starts.filter((at) => at <= length)
          const rest = length - (before.at(-1) ?? 0)
          assert.deepStrictEqual(
            [idsOf(times), ending],
            [
              [1, 2, 3].slice(0, Math.max(0, before.length - 2)),
              rest === 0 ? { _tag: "Open" } : { _tag: "Cut", bytes: rest }
            ],
            `${length} of ${whole.length} bytes`
          )
        }
      })
    )
  )

  it.effect("refuses what is no such file, and says which block is damaged", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const problemOf = Effect.map(Effect.flip(read(file)), (error) => {
          assert.strictEqual(error._tag, "ChunkTimesError")
          return error.message.replace(file, "FILE")
        })
        assert.strictEqual(yield* problemOf, "Cannot read chunk times from FILE: there is no such file")
        yield* fs.writeFileString(file, '{"error_code":null}\n')
        assert.strictEqual(yield* problemOf, "Cannot read chunk times from FILE: its beginning is damaged")

        yield* fs.remove(file)
        const encoder = yield* ChunkTimes.makeEncoder
        yield* write(file, (writer) => {
          for (const id of [1, 2]) {
            encoder.append(answer(id, 1_000), start)
            writer.appendBlocks(encoder.take())
          }
        })
        const whole = yield* fs.readFile(file)
        const [head = 0, , second = 0, end = 0] = messageStarts(whole)
        const broken = (at: number, ...bytes: ReadonlyArray<number>) => {
          const copy = whole.slice()
          copy.set(bytes, at)
          return fs.writeFile(file, copy)
        }
        yield* broken(second, 1, 2, 3)
        assert.strictEqual(yield* problemOf, "Cannot read chunk times from FILE: block 2 is damaged")
        // In the middle of what is compressed
        yield* broken(end - 2_000, ...Array.from({ length: 500 }, () => 0xaa))
        assert.strictEqual(yield* problemOf, "Cannot read chunk times from FILE: block 2 is damaged")
        // The name of a column
        yield* broken(head + Buffer.from(whole).indexOf("gap_ns"), 0x78)
        assert.strictEqual(
          yield* problemOf,
          "Cannot read chunk times from FILE: it is no file of chunk times, or one of another version"
        )
      })
    )
  )

  it.live("has what ended on disk within a second while the run goes on", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const written = yield* Deferred.make<void>()
        let writes = 0
        yield* Effect.gen(function* () {
          const writer = yield* ChunkTimes.makeWriter(file, { runId: "run1" })
          writer.append(answer(1, 10), start)
          yield* Deferred.await(written)
          const now = yield* read(file)
          assert.deepStrictEqual([now.times, now.ending], [[timesOf(answer(1, 10))], { _tag: "Open" }])
          writer.append(answer(2, 10), start)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            layerWriting((file, bytes) =>
              // The head comes first
              Effect.tap(file.writeAll(bytes), () => (++writes === 2 ? Deferred.succeed(written, void 0) : Effect.void))
            )
          )
        )
        const then = yield* read(file)
        assert.deepStrictEqual([idsOf(then.times), then.ending], [[1, 2], { _tag: "Closed" }])
      })
    )
  )

  it.effect("writes what is waiting when the run is interrupted", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const appended = yield* Deferred.make<void>()
        const fiber = yield* Effect.gen(function* () {
          const writer = yield* ChunkTimes.makeWriter(file, { runId: "run1" })
          for (let id = 0; id < 100; id++) writer.append(answer(id, 100), start)
          yield* Deferred.succeed(appended, void 0)
          return yield* Effect.never
        }).pipe(Effect.scoped, Effect.forkChild)
        yield* Deferred.await(appended)
        yield* Fiber.interrupt(fiber)
        const { ending, times } = yield* read(file)
        assert.deepStrictEqual([times.length, ending], [100, { _tag: "Closed" }])
      })
    )
  )

  it.effect("tells when writing has failed, and does not write into a file that is there", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* Effect.gen(function* () {
          const writer = yield* ChunkTimes.makeWriter(file, { runId: "run1" })
          for (let id = 0; id < 100; id++) writer.append(answer(id, 100), start)
          const error = yield* Effect.flip(writer.failure)
          assert.include(error.message, "no space is left on the disk")
          assert.strictEqual(Runtime.getErrorExitCode(error), 3)
          assert.strictEqual(yield* Effect.flip(writer.close), error)
          assert.strictEqual(writer.written(), 0)
        }).pipe(Effect.scoped, Effect.provide(layerWriting(() => Effect.fail(systemFailure("ENOSPC")))))
        yield* fs.writeFileString(file, "mine")
        assert.strictEqual((yield* Effect.flip(writeAll(file, [])))._tag, "OutputError")
        assert.strictEqual(yield* fs.readFileString(file), "mine")
      })
    )
  )
})
