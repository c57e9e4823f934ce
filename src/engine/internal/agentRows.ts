/** The rows of a session that an agent keeps until they are collected. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { gzip } from "node:zlib"
import * as ChunkTimes from "../../output/ChunkTimes.ts"
import * as Ndjson from "../../output/Ndjson.ts"
import { fromPlatformError, type OutputError } from "../../output/OutputError.ts"
import * as RunDirectory from "../../output/RunDirectory.ts"
import * as SentLog from "../../output/SentLog.ts"
import { AgentFailed, type Log, type Piece } from "../LoadAgent.ts"

/** `keep` never waits; `close` ends when all is on the disk. `failure` is that of writing. */
export interface AgentRows {
  readonly keep: (ended: {
    readonly records: Uint8Array
    readonly sent: Uint8Array
    readonly chunks: Uint8Array
    readonly count: number
  }) => void
  readonly failure: Effect.Effect<never, OutputError>
  readonly close: Effect.Effect<void, OutputError>
  readonly collect: (log: Log, from: number) => Stream.Stream<Piece, AgentFailed>
}

/** What is read and compressed at a time. */
const PIECE_BYTES = 512 * 1024

const NEWLINE = 10

/** So fast that the network is not waited for. */
const compress = (bytes: Uint8Array) =>
  Effect.callback<Uint8Array<ArrayBuffer>, AgentFailed>((resume) => {
    gzip(bytes, { level: 1 }, (error, packed) => {
      resume(
        error === null
          ? Effect.succeed(new Uint8Array(packed))
          : Effect.fail(new AgentFailed({ description: `rows cannot be compressed: ${error.message}` }))
      )
    })
  })

const linesIn = (bytes: Uint8Array): number => {
  let lines = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++
  return lines
}

const joined = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  if (first.length === 0) return second
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}

/** Whole lines, as far as there are: a last one without its end is left out. */
const wholeLines = <E, R>(chunks: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.mapAccum(
    chunks,
    (): Uint8Array => new Uint8Array(0),
    (rest, chunk) => {
      const bytes = joined(rest, chunk)
      const end = bytes.lastIndexOf(NEWLINE) + 1
      return [bytes.subarray(end), end === 0 ? [] : [bytes.subarray(0, end)]]
    }
  )

const unreadable = (problem: string) => new AgentFailed({ description: `its rows cannot be read: ${problem}` })

/** Makes the files in that folder; they stay when the scope closes. */
export const make = Effect.fnUntraced(function* (options: {
  readonly folder: string
  readonly logsSent: boolean
  readonly chunkTimes: boolean
}): Effect.fn.Return<AgentRows, OutputError, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files = RunDirectory.files(path, options.folder)
  const records = yield* Ndjson.makeWriter(files.records)
  const sent = options.logsSent ? yield* SentLog.makeWriter(files.requestsSent) : null
  const chunks = options.chunkTimes ? yield* ChunkTimes.makeBlockLog(files.chunks) : null
  const logs = [records, sent, chunks].filter((log) => log !== null)
  const paths = { records: files.records, sent: files.requestsSent, chunks: files.chunks }

  return {
    keep: (ended) => {
      records.appendLines({ bytes: ended.records, count: ended.count })
      sent?.appendLines({ bytes: ended.sent, count: ended.count })
      chunks?.appendBlocks({ bytes: ended.chunks, count: ended.count })
    },
    failure: Effect.raceAllFirst(logs.map((log) => log.failure)),
    close: Effect.forEach(logs, (log) => log.close, { discard: true }),
    collect: (log, from) => {
      const whole: Stream.Stream<ChunkTimes.Blocks, AgentFailed, FileSystem.FileSystem> =
        log === "chunks"
          ? Stream.mapError(ChunkTimes.readBlocks(paths.chunks, { from, chunkSize: PIECE_BYTES }), ({ problem }) =>
              unreadable(problem)
            )
          : wholeLines(fs.stream(paths[log], { offset: from, chunkSize: PIECE_BYTES })).pipe(
              Stream.mapError((error) => unreadable(fromPlatformError(paths[log])(error).problem)),
              Stream.map((bytes) => ({ bytes, count: linesIn(bytes) }))
            )
      return Stream.mapEffect(whole, ({ bytes, count }) =>
        Effect.map(compress(bytes), (packed) => ({ bytes: packed, size: bytes.length, count }))
      ).pipe(Stream.provideService(FileSystem.FileSystem, fs))
    }
  }
})
