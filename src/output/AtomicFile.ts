/**
 * Files that are written as a whole or not at all.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"

/** A name that no other write has, so that two runs that end together do not share a file. It fits beside any target. */
const temporaryName = Effect.sync(() => `.llmperf-${randomBytes(8).toString("hex")}.tmp`)

/**
 * Writes to a file of its own beside the target, has it put on the disk, and renames it: a reader sees the earlier file or the new one,
 * never a part, whoever else writes to the same target. The file beside it is made here and nowhere else: what stands in its place, be it a
 * link, is a failure. A target that is there and no plain file (a device, a pipe) is written to as it is.
 * `describe` says of a failure of the file system what it means here; a failure of `content`
 * (text, or bytes as they are) stays as it is.
 *
 * @category writing
 * @since 0.2.0
 */
export const write = Effect.fn("AtomicFile.write")(function* <E, R, Failure>(
  target: string,
  content: Stream.Stream<string | Uint8Array, E, R>,
  describe: (error: PlatformError) => Failure
): Effect.fn.Return<void, Failure | E, FileSystem.FileSystem | Path.Path | R> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const encoder = new TextEncoder()
  const described = Effect.mapError(describe)
  const fill = (file: string, flag: "a" | "wx") =>
    Effect.gen(function* () {
      const opened = yield* fs.open(file, { flag }).pipe(described)
      yield* Stream.runForEach(content, (part) =>
        opened.writeAll(typeof part === "string" ? encoder.encode(part) : part).pipe(described)
      )
      if (file !== target) yield* opened.sync.pipe(described)
    }).pipe(Effect.scoped)

  const there = yield* Effect.option(fs.stat(target))
  // Appending names no position, which a pipe does not have
  if (Option.isSome(there) && there.value.type !== "File") return yield* fill(target, "a")

  const temporary = path.join(path.dirname(target), yield* temporaryName)
  yield* fill(temporary, "wx").pipe(
    Effect.andThen(fs.rename(temporary, target).pipe(described)),
    // What made it fail is told already; the leftover is of no use
    Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true })))
  )
})
