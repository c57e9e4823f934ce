/**
 * Files that a user names and that are read as a whole: settings, certificates, tokens, summaries.
 *
 * @since 0.2.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { fromPlatformError } from "./OutputError.ts"

/**
 * A file cannot be read, or should not be. `missing`: there is no such file.
 *
 * @category errors
 * @since 0.2.0
 */
export class InputError extends Schema.TaggedError<InputError>("llmperf/output/InputError")("InputError", {
  path: Schema.String,
  missing: Schema.Boolean,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.path} cannot be read: ${this.problem}`
  }
}

/**
 * - `mostBytes`: a larger file is refused, and no more of it is read
 * - `pipes`: whether a pipe will do that the program was started with, such as `/dev/stdin` and what a shell makes of `<(…)`. No by default
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly mostBytes: number
  readonly pipes?: boolean
}

/**
 * The text of a file, and its permissions.
 *
 * @category models
 * @since 0.2.0
 */
export interface InputFile {
  readonly text: string
  readonly mode: number
}

/**
 * Reads a file of UTF-8. Devices are refused, and pipes that nobody may ever write to: either could be read for ever.
 *
 * @category reading
 * @since 0.2.0
 */
export const read = Effect.fn("InputFile.read")(function* (
  path: string,
  { mostBytes, pipes = false }: Options
): Effect.fn.Return<InputFile, InputError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const refuse = (problem: string) => new InputError({ path, missing: false, problem })
  const { mode, type } = yield* Effect.mapError(fs.stat(path), unreadable(path))
  const isPipe = type === "FIFO" && pipes && isInherited(path)
  if (type === "Directory") return yield* refuse("it is a folder")
  if (type !== "File" && !isPipe) return yield* refuse(`it is no regular file (${kinds[type] ?? "of an unknown kind"})`)
  const bytes = isPipe ? pipe(path) : fs.stream(path, { bytesToRead: mostBytes + 1 })
  let length = 0
  const text = yield* bytes.pipe(
    Stream.mapError(unreadable(path)),
    Stream.mapEffect((part) => {
      length += part.length
      return length > mostBytes
        ? Effect.fail(refuse(`it is too large: more than ${sizeText(mostBytes)}`))
        : Effect.succeed(part)
    }),
    Stream.decodeText,
    Stream.mkString
  )
  return { text, mode }
})

const kinds: { readonly [type: string]: string } = {
  BlockDevice: "a device",
  CharacterDevice: "a device",
  FIFO: "a pipe",
  Socket: "a socket"
}

/** Pipes that are open already: to open another may take for ever. */
const isInherited = (path: string): boolean => path === "/dev/stdin" || /^\/(?:dev|proc\/self)\/fd\/\d+$/.test(path)

/** `FileSystem` reads at positions, which a pipe does not have. */
const pipe = (path: string): Stream.Stream<Uint8Array, PlatformError> =>
  NodeStream.fromReadable({
    evaluate: () => createReadStream(path),
    onError: (cause) =>
      systemError({ module: "FileSystem", method: "stream", _tag: "Unknown", pathOrDescriptor: path, cause })
  })

const unreadable =
  (path: string) =>
  (error: PlatformError): InputError => {
    const missing = error.reason._tag === "NotFound"
    const denied = error.reason._tag === "PermissionDenied"
    return new InputError({
      path,
      missing,
      problem: missing
        ? "there is no such file"
        : denied
          ? "it may not be read by this user"
          : fromPlatformError(path)(error).problem
    })
  }

const sizeText = (bytes: number): string => `${Math.floor(bytes / 1e6)} MB`
