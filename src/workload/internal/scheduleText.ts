import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createGunzip } from "node:zlib"

/** The bytes of a file that begins like one of gzip cannot be unpacked. */
export class GzipError extends Schema.TaggedError<GzipError>("llmperf/workload/internal/GzipError")("GzipError", {
  description: Schema.String
}) {}

const CHUNK_BYTES = 256 * 1_024

/** Pulls until the beginning is enough to decide, and gives it with a stream of everything. */
const peek = Effect.fnUntraced(function* <A, E>(
  stream: Stream.Stream<A, E>,
  isEnough: (head: ReadonlyArray<A>) => boolean
) {
  const pull = yield* Stream.toPull(stream)
  const head: Array<A> = []
  let ended = false
  while (!isEnough(head)) {
    const chunk = yield* Pull.matchEffect(pull, {
      onSuccess: Effect.succeed,
      onFailure: Effect.failCause,
      onDone: () => Effect.undefined
    })
    if (chunk === undefined) {
      ended = true
      break
    }
    head.push(...chunk)
  }
  const begin = Stream.fromArray(head)
  return { head, stream: ended ? begin : Stream.concat(begin, Stream.fromPull(Effect.succeed(pull))) }
})

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

// createGunzip also reads files that are several packed ones in a row, as parallel packers write them.
const unpacked = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E | GzipError> =>
  NodeStream.pipeThroughDuplex(bytes, {
    evaluate: () => createGunzip({ chunkSize: CHUNK_BYTES }),
    onError: (error) => new GzipError({ description: error instanceof Error ? error.message : String(error) })
  })

/** A text piece by piece. */
export type Parts = Stream.Stream<string, PlatformError.PlatformError | GzipError>

/** A text that is read piece by piece, and its first character that is no white space (`""` when there is none). */
export interface Text {
  readonly first: string
  readonly compressed: boolean
  readonly parts: Parts
}

const notRead: ReadonlySet<string> = new Set(["FIFO", "CharacterDevice", "BlockDevice", "Socket"])

/** Opens a file of UTF-8, packed with gzip or not; a byte order mark is left out. The file is read once, front to back. */
export const open = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const found = yield* Effect.option(fs.stat(path))
  // A pipe can be read only once, and from its front; a device has no end
  if (Option.isSome(found) && notRead.has(found.value.type)) {
    return yield* PlatformError.systemError({
      _tag: "BadResource",
      module: "FileSystem",
      method: "open",
      pathOrDescriptor: path
    })
  }
  const bytes = yield* peek(fs.stream(path, { chunkSize: CHUNK_BYTES }), (head) => head.length > 0)
  const compressed = isGzip(bytes.head[0] ?? new Uint8Array())
  const text = Stream.decodeText(compressed ? unpacked(bytes.stream) : bytes.stream)
  const { head, stream } = yield* peek(text, (parts) => parts.some((part) => part.trim() !== ""))
  const first = head.join("").trimStart().slice(0, 1)
  const opened: Text = { first, compressed, parts: stream }
  return opened
})
