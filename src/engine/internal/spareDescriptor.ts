import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Scope from "effect/Scope"

/**
 * Holds a file descriptor, of the file at `path`, until `free` is run, or the scope closes. Connections may take all that the process may
 * have, and results are written all the same.
 */
export const spareDescriptor = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const holding = yield* Scope.fork(yield* Effect.scope)
  yield* Scope.provide(fs.open(path, { flag: "r" }), holding)
  return { free: Scope.close(holding, Exit.void) }
})
