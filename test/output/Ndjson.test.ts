import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as Stream from "effect/Stream"
import { RequestRecord } from "../../src/domain/RequestRecord.ts"
import * as Ndjson from "../../src/output/Ndjson.ts"
import { failure, record } from "../metrics/records.ts"
import { layerChanged, systemFailure } from "./failingFiles.ts"

const withPath = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return yield* use(path.join(yield* fs.makeTempDirectoryScoped(), "records.ndjson"))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const read = (file: string) => Stream.runCollect(Ndjson.read(file))

/** A file system whose files do something else when they are written to. */
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

describe("Ndjson", () => {
  it.effect("writes one line per record and reads them back", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const records = Array.from({ length: 1000 }, (_, i) => record({ request_id: i + 1, ttft_s: i / 7 }))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* Ndjson.makeWriter(file)
            for (const each of records) writer.append(each)
            assert.strictEqual(yield* writer.close, 1000)
          })
        )
        assert.deepStrictEqual(yield* read(file), records)
      })
    )
  )

  it.effect("writes the keys in the order of the schema, and null for what is not a number", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { error_code, error_msg, ...rest } = record({ ttft_s: Number.NaN })
        const text = "line 1\nline 2 \u2028 \uD800 é"
        const shuffled: RequestRecord = { ...rest, error_msg: error_msg + text, error_code }
        yield* Effect.scoped(Effect.map(Ndjson.makeWriter(file), (writer) => writer.append(shuffled)))
        const written = yield* fs.readFileString(file)
        assert.lengthOf(written.split("\n"), 2)
        const parsed = JSON.parse(written)
        assert.deepStrictEqual(
          Object.keys(parsed),
          Object.keys(RequestRecord.fields).filter(
            (key) => !["agent", "credential_renewed", "connection_retry_s", "first_chunk_share"].includes(key)
          )
        )
        assert.isNull(parsed.ttft_s)
        assert.strictEqual(parsed.error_msg, text)
      })
    )
  )

  it.effect("reads as not known what an old file has in the place of a server's count", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const counts = [7, 1.5, 1e308, -1, "12"]
        const lines = counts.map((count) => `${JSON.stringify({ ...record(), usage_output_tokens: count })}\n`)
        yield* fs.writeFileString(file, lines.join(""))
        assert.deepStrictEqual(
          (yield* read(file)).map((row) => row.usage_output_tokens),
          [7, null, null, null, null]
        )
      })
    )
  )

  it.effect("has a finished record on disk while the run goes on", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const written = yield* Deferred.make<void>()
        yield* Effect.gen(function* () {
          const writer = yield* Ndjson.makeWriter(file)
          writer.append(record({ request_id: 1 }))
          yield* Deferred.await(written)
          const now = yield* read(file)
          assert.lengthOf(now, 1)
          writer.append(record({ request_id: 2 }))
        }).pipe(
          Effect.scoped,
          Effect.provide(
            layerWriting((file, bytes) => Effect.tap(file.writeAll(bytes), Deferred.succeed(written, void 0)))
          )
        )
        assert.lengthOf(yield* read(file), 2)
      })
    )
  )

  it.effect("writes what is waiting when the run is interrupted", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const appended = yield* Deferred.make<void>()
        const fiber = yield* Effect.gen(function* () {
          const writer = yield* Ndjson.makeWriter(file)
          for (let i = 1; i <= 500; i++) writer.append(record({ request_id: i }))
          yield* Deferred.succeed(appended, void 0)
          return yield* Effect.never
        }).pipe(Effect.scoped, Effect.forkChild)
        yield* Deferred.await(appended)
        yield* Fiber.interrupt(fiber)
        const ids = (yield* read(file)).map((each) => each.request_id)
        assert.deepStrictEqual(
          ids,
          Array.from({ length: 500 }, (_, i) => i + 1)
        )
      })
    )
  )

  it.effect("puts what has gathered while a write was on its way into the next one", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const started = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const sizes: Array<number> = []
        yield* Effect.gen(function* () {
          const writer = yield* Ndjson.makeWriter(file)
          writer.append(record())
          yield* Deferred.await(started)
          // The disk is stuck; the producer is not
          for (let i = 0; i < 100; i++) writer.append(record())
          assert.strictEqual(writer.written(), 0)
          yield* Deferred.succeed(release, void 0)
          yield* writer.close
        }).pipe(
          Effect.scoped,
          Effect.provide(
            layerWriting((file, bytes) =>
              Effect.gen(function* () {
                sizes.push(new TextDecoder().decode(bytes).split("\n").length - 1)
                yield* Deferred.succeed(started, void 0)
                yield* Deferred.await(release)
                yield* file.writeAll(bytes)
              })
            )
          )
        )
        assert.deepStrictEqual(sizes, [1, 100])
      })
    )
  )

  it.effect("tells when writing has failed, and writes nothing after it", () =>
    withPath((file) =>
      Effect.gen(function* () {
        let writes = 0
        yield* Effect.gen(function* () {
          const writer = yield* Ndjson.makeWriter(file)
          writer.append(record())
          const error = yield* Effect.flip(writer.failure)
          assert.include(error.message, "no space is left on the disk")
          assert.strictEqual(Runtime.getErrorExitCode(error), 3)
          writer.append(record())
          assert.strictEqual(yield* Effect.flip(writer.close), error)
          assert.strictEqual(writer.written(), 0)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            layerWriting(() =>
              Effect.suspend(() => {
                writes++
                return Effect.fail(systemFailure("ENOSPC"))
              })
            )
          )
        )
        assert.strictEqual(writes, 1)
      })
    )
  )

  it.effect("does not write into a file that is there", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(file, "mine")
        const error = yield* Effect.flip(Effect.scoped(Ndjson.makeWriter(file)))
        assert.strictEqual(error._tag, "OutputError")
        assert.strictEqual(yield* fs.readFileString(file), "mine")
      })
    )
  )

  it.effect("reads back its own lines even when the file was renamed", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* Effect.scoped(
          Effect.gen(function* () {
            const writer = yield* Ndjson.makeWriter(file)
            for (let i = 1; i <= 300; i++) writer.append(record({ request_id: i, error_msg: "x".repeat(1000) }))
            yield* writer.close
            yield* fs.rename(file, `${file}.moved`)
            yield* fs.writeFileString(file, '"of another run"\n')
            assert.lengthOf(yield* Stream.runCollect(writer.stream), 300)
          })
        )
      })
    )
  )

  it.effect("reads no more of a file than is taken", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const line = `${JSON.stringify(record({ error_msg: "x".repeat(1_000) }))}\n`
        yield* fs.writeFileString(file, line.repeat(2_000))
        let bytes = 0
        const few = yield* Stream.runCollect(Stream.take(Ndjson.read(file), 10)).pipe(
          Effect.provide(
            layerChanged((fs) => ({
              stream: (path, options) =>
                Stream.tap(fs.stream(path, options), (chunk) =>
                  Effect.sync(() => {
                    bytes += chunk.length
                  })
                )
            }))
          )
        )
        assert.lengthOf(few, 10)
        assert.isTrue(bytes > 0 && bytes < 400_000)
      })
    )
  )

  it.effect("reads a file whose last line was torn at any byte", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const first = `${JSON.stringify(record({ request_id: 1 }))}\n`
        const last = new TextEncoder().encode(JSON.stringify(failure(500, "HttpStatus", "é€😀", { request_id: 2 })))
        for (let length = 0; length <= last.length; length += 3) {
          yield* fs.writeFile(file, Uint8Array.from([...new TextEncoder().encode(first), ...last.subarray(0, length)]))
          const ids = (yield* read(file)).map((each) => each.request_id)
          // Without its newline a line that is whole counts
          assert.deepStrictEqual(ids, length === last.length ? [1, 2] : [1], String(length))
        }
      })
    )
  )

  it.effect("refuses a broken line in the middle and says which", () =>
    withPath((file) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const good = JSON.stringify(record())
        yield* fs.writeFileString(file, `${good}\n${good}\n{"torn\n${good}\n`)
        const error = yield* Effect.flip(read(file))
        assert.strictEqual(error._tag, "RecordsError")
        assert.strictEqual(error.line, 3)
        yield* fs.writeFileString(file, `${good}\n{"request_id":"x"}\n`)
        assert.strictEqual((yield* Effect.flip(read(file))).line, 2)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(read(`${file}.missing`))))
      })
    )
  )
})
