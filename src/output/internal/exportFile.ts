import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"

/** As `AtomicFile.write`, for bytes. */
export const writeBytes = Effect.fnUntraced(function* <E, R, Failure>(
  target: string,
  bytes: Stream.Stream<Uint8Array, E, R>,
  describe: (error: PlatformError) => Failure
): Effect.fn.Return<void, Failure | E, FileSystem.FileSystem | Path.Path | R> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const described = Effect.mapError(describe)
  const fill = (file: string) =>
    Effect.gen(function* () {
      const opened = yield* fs.open(file, { flag: "w" }).pipe(described)
      yield* Stream.runForEach(bytes, (piece) => opened.writeAll(piece).pipe(described))
      if (file !== target) yield* opened.sync.pipe(described)
    }).pipe(Effect.scoped)

  const there = yield* Effect.option(fs.stat(target))
  if (Option.isSome(there) && there.value.type !== "File") return yield* fill(target)

  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.tmp`)
  yield* fill(temporary).pipe(
    Effect.andThen(fs.rename(temporary, target).pipe(described)),
    // What made it fail is told already; the leftover is of no use
    Effect.onError(() => Effect.ignore(fs.remove(temporary, { force: true })))
  )
})
