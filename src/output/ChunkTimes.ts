/**
 * `chunks.arrow`: when every chunk of every request arrived, on disk soon after the request is finished.
 * `docs/chunk-times.md` describes the file and how other programs read it.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { absurd } from "effect/Function"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Sink from "effect/Sink"
import { type Ended } from "../metrics/Ended.ts"
import type { Measurement, RunStart } from "../metrics/RequestSink.ts"
import { type Frame, makeFrames, rowsIn } from "./internal/chunkFrames.ts"
import { makeLineWriter } from "./internal/lineWriter.ts"
import { type Output } from "./Output.ts"
import { fromPlatformError, type OutputError } from "./OutputError.ts"

/**
 * A file of chunk times cannot be read. A file that is cut off at its end, as a killed run may leave it, is no such failure.
 *
 * @category errors
 * @since 0.2.0
 */
export class ChunkTimesError extends Schema.TaggedError<ChunkTimesError>("llmperf/output/ChunkTimesError")(
  "ChunkTimesError",
  { path: Schema.String, problem: Schema.String }
) {
  override get message(): string {
    return `Cannot read chunk times from ${this.path}: ${this.problem}`
  }
}

/**
 * The times of one request, in nanoseconds after the start of the run.
 *
 * - `sentNanos`: when it was written to the socket, `null` when it never was
 * - `chunkNanos`: when each chunk with content arrived, in the order of arrival
 *
 * @category models
 * @since 0.2.0
 */
export interface RequestTimes {
  readonly requestId: number
  readonly sentNanos: number | null
  readonly chunkNanos: Float64Array
}

/**
 * Blocks of a file, one after the other, and how many requests are in them. Blocks of several senders can follow each other
 * in any order.
 *
 * @category models
 * @since 0.2.0
 */
export interface Blocks {
  readonly bytes: Uint8Array
  readonly count: number
}

/**
 * Makes blocks, for a thread or a process that has no file.
 *
 * - `append` adds a request that has ended; the thread does nothing else for some microseconds, and once in a while for a part
 *   of a millisecond, when a block is full
 * - `take` gives the blocks of all requests since it was last called
 *
 * @category models
 * @since 0.2.0
 */
export interface Encoder {
  readonly append: (measurement: Measurement, start: RunStart) => void
  readonly take: () => Blocks & { readonly bytes: Uint8Array<ArrayBuffer> }
}

/**
 * A file that requests are appended to as they end. See `Ndjson.RecordWriter` for what the operations promise. Requests
 * gather for half a second at most, in real time, before they are written.
 *
 * @category models
 * @since 0.2.0
 */
export interface ChunkWriter {
  readonly append: (measurement: Measurement, start: RunStart) => void
  readonly appendBlocks: (blocks: Blocks) => void
  readonly failure: Effect.Effect<never, OutputError>
  readonly close: Effect.Effect<number, OutputError>
  readonly written: () => number
}

/**
 * How a file ends: closed as it should be; with a whole block, as that of a run that goes on; or in the middle of one, of
 * which there are `bytes`. In the last two cases the run may have been killed.
 *
 * @category models
 * @since 0.2.0
 */
export type Ending =
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Open" }
  | { readonly _tag: "Cut"; readonly bytes: number }

/**
 * A file that was found. `runId`: whose it is, `null` when it does not say; `requests`: in the order in which they ended;
 * `ending()`: how the file ends, known when `requests` has ended.
 *
 * @category models
 * @since 0.2.0
 */
export interface ChunkFile {
  readonly path: string
  readonly runId: string | null
  readonly requests: Stream.Stream<RequestTimes, ChunkTimesError, FileSystem.FileSystem>
  readonly ending: () => Ending | null
}

const GATHER_MILLIS = 500
const READ_BYTES = 256 * 1024

/** Needed by few runs, and some milliseconds to load. */
const chunkBlocks = Effect.promise(() => import("./internal/chunkBlocks.ts"))

/**
 * Makes an encoder, and warms it up: for the time before the run.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeEncoder: Effect.Effect<Encoder> = Effect.map(chunkBlocks, ({ Block, BLOCK_SIZE, rehearse }) => {
  rehearse()
  let block = new Block()
  let packed: Array<Uint8Array> = []
  let count = 0
  const pack = (): void => {
    if (block.requests === 0) return
    packed.push(block.pack())
    block = new Block()
  }
  return {
    append: ({ chunkAt, plan, sent }, { monotonicNanos }) => {
      block.add(plan.id, monotonicNanos, sent?.at ?? null, chunkAt)
      count++
      if (block.size >= BLOCK_SIZE) pack()
    },
    take: () => {
      pack()
      const taken = { bytes: joined(packed), count }
      packed = []
      count = 0
      return taken
    }
  }
})

/** The bytes own their memory: they can be handed to another thread. */
const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/**
 * Makes the file, which must not exist yet, and keeps it open until the scope closes. Whatever was appended is written
 * before that, also when the run is interrupted. For the time before the run, as `makeEncoder`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeWriter = Effect.fn("ChunkTimes.makeWriter")(function* (
  path: string,
  options: { readonly runId: string }
): Effect.fn.Return<ChunkWriter, OutputError, FileSystem.FileSystem | Scope.Scope> {
  const { BLOCK_SIZE, END, head } = yield* chunkBlocks
  const encoder = yield* makeEncoder
  const file = yield* makeLineWriter<never>(path, absurd)
  file.appendLines({ bytes: head(options.runId), count: 0 })
  let timer: ReturnType<typeof setTimeout> | undefined
  let gathered = 0
  let isEnded = false

  const handOver = (): void => {
    clearTimeout(timer)
    timer = undefined
    gathered = 0
    const blocks = encoder.take()
    if (blocks.count > 0) file.appendLines(blocks)
  }
  const end = Effect.sync(() => {
    if (isEnded) return
    isEnded = true
    handOver()
    file.appendLines({ bytes: END, count: 0 })
  })
  // Runs before what is waiting is written and the file closed
  yield* Effect.addFinalizer(() => end)

  return {
    append: (measurement, start) => {
      if (isEnded) return
      encoder.append(measurement, start)
      gathered += 1 + measurement.chunkAt.length
      if (gathered >= BLOCK_SIZE) handOver()
      // In real time whatever the clock of the run: it is about what is lost when the process is killed
      else timer ??= setTimeout(handOver, GATHER_MILLIS)
    },
    appendBlocks: (blocks) => {
      if (!isEnded && blocks.count > 0) file.appendLines(blocks)
    },
    failure: file.failure,
    close: Effect.andThen(end, file.close),
    written: file.written
  }
})

/**
 * `chunks.arrow` as an output of a run. `path` must not exist yet.
 *
 * @category outputs
 * @since 0.2.0
 */
export const output = (path: string): Output => ({
  name: "chunks.arrow",
  open: ({ runId }) =>
    Effect.map(makeWriter(path, { runId }), (writer) => {
      const append = (ended: Ended): void => {
        if (ended._tag === "Here") {
          for (const { measurement } of ended.requests) writer.append(measurement, ended.start)
        } else if (ended.chunks !== null) writer.appendBlocks(ended.chunks)
      }
      return {
        sink: Sink.forEachArray((batches: ReadonlyArray<Ended>) =>
          Effect.suspend(() => {
            batches.forEach(append)
            return Effect.raceFirst(writer.failure, Effect.void)
          })
        ),
        files: [path],
        fields: () => Effect.as(writer.close, {})
      }
    })
})

/**
 * Makes a file of blocks alone, for one who keeps them until another puts them into its own; for the rest as `makeWriter`.
 * `readBlocks` reads it.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeBlockLog = Effect.fn("ChunkTimes.makeBlockLog")(function* (
  path: string
): Effect.fn.Return<Omit<ChunkWriter, "append">, OutputError, FileSystem.FileSystem | Scope.Scope> {
  const { appendLines, close, failure, written } = yield* makeLineWriter<never>(path, absurd)
  return { appendBlocks: appendLines, failure, close, written }
})

/**
 * The whole blocks of a file, from so many bytes on, which must be where one begins. They come several at a time; how long
 * they are together says where to go on after an interruption.
 *
 * @category reading
 * @since 0.2.0
 */
export const readBlocks = (
  path: string,
  options: { readonly from: number; readonly chunkSize?: number | undefined }
): Stream.Stream<Blocks, ChunkTimesError, FileSystem.FileSystem> =>
  Stream.unwrap(
    Effect.map(FileSystem.FileSystem, (fs) => {
      const frames = makeFrames()
      const { chunkSize = READ_BYTES, from } = options
      return fs.stream(path, { offset: from, chunkSize }).pipe(
        Stream.mapError(unreadable(path)),
        Stream.map((piece) => frames.push(piece).flatMap((frame) => (frame._tag === "End" ? [] : frame.bytes))),
        Stream.filter((messages) => messages.length > 0),
        Stream.map((messages) => ({
          bytes: joined(messages),
          count: messages.reduce((sum, message) => sum + (rowsIn(message) ?? 0), 0)
        })),
        Stream.concat(
          Stream.suspend(() =>
            frames.isDamaged() ? Stream.fail(new ChunkTimesError({ path, problem: "it is damaged" })) : Stream.empty
          )
        )
      )
    })
  )

/**
 * What a block that another made is about, for whoever is to keep it: gives a function that tells the ids of the requests in
 * whole blocks, `null` when they are none, or of more than `most` requests.
 *
 * @category reading
 * @since 0.2.0
 */
export const makeIdReader: Effect.Effect<(blocks: Uint8Array, most: number) => ReadonlyArray<number> | null> =
  Effect.map(chunkBlocks, ({ requestIds }) => (blocks, most) => {
    const frames = makeFrames()
    try {
      const ids = frames.push(blocks).flatMap((frame) => {
        if (frame._tag === "End" || rowsIn(frame.bytes) === null) throw new RangeError("no block")
        return requestIds(frame.bytes, most)
      })
      return frames.isDamaged() || frames.rest() > 0 ? null : ids
    } catch {
      return null
    }
  })

/**
 * Opens a file. Requests go through as they are read: a file of any length fits. The last block is left out when it is cut off,
 * and `ending` tells it.
 *
 * @category reading
 * @since 0.2.0
 */
export const open = Effect.fn("ChunkTimes.open")(function* (
  path: string
): Effect.fn.Return<ChunkFile, ChunkTimesError, FileSystem.FileSystem> {
  const { readHead, unpack } = yield* chunkBlocks
  const fs = yield* FileSystem.FileSystem
  const bytes = Stream.mapError(fs.stream(path, { chunkSize: READ_BYTES }), unreadable(path))
  const damaged = (place: string) => new ChunkTimesError({ path, problem: `${place} is damaged` })

  let ending: Ending | null = null
  const all: Stream.Stream<Frame, ChunkTimesError> = Stream.suspend(() => {
    const frames = makeFrames()
    let count = 0
    let isClosed = false
    const end = Stream.suspend(() => {
      if (frames.isDamaged()) return Stream.fail(damaged(placeOf(count)))
      const rest = frames.rest()
      ending = isClosed ? { _tag: "Closed" } : rest === 0 ? { _tag: "Open" } : { _tag: "Cut", bytes: rest }
      return Stream.empty
    })
    return bytes.pipe(
      Stream.map((piece) => {
        const found = frames.push(piece)
        count += found.length
        isClosed ||= found.some(({ _tag }) => _tag === "End")
        return found
      }),
      Stream.flattenIterable,
      Stream.concat(end)
    )
  })

  const [first] = yield* Stream.runCollect(Stream.take(all, 1))
  if (first === undefined) return { path, runId: null, requests: Stream.drain(all), ending: () => ending }
  const headBytes = first._tag === "Message" ? first.bytes : new Uint8Array()
  const head = yield* Effect.try({ try: () => readHead(headBytes), catch: () => damaged(placeOf(0)) })
  if (head === undefined) {
    return yield* new ChunkTimesError({ path, problem: "it is no file of chunk times, or one of another version" })
  }
  return {
    path,
    runId: head.runId,
    requests: all.pipe(
      Stream.zipWithIndex,
      Stream.drop(1),
      Stream.mapEffect(([frame, index]) =>
        frame._tag === "End"
          ? Effect.succeed([])
          : Effect.try({ try: () => unpack(headBytes, frame.bytes), catch: () => damaged(placeOf(index)) })
      ),
      Stream.flattenIterable
    ),
    ending: () => ending
  }
})

/** Of the message with that index, the first of which is the head. */
const placeOf = (index: number): string => (index === 0 ? "its beginning" : `block ${index}`)

const unreadable =
  (path: string) =>
  (error: PlatformError): ChunkTimesError =>
    new ChunkTimesError({
      path,
      problem: error.reason._tag === "NotFound" ? "there is no such file" : fromPlatformError(path)(error).problem
    })
