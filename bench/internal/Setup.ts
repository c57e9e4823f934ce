import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"

/**
 * What is measured, against what, and how often.
 *
 * - `llmperf`: the script of the command line, built if there is a build. A build made before its sources were last changed
 *   is `stale`
 * - `mockllm`: the binary of the mock server, `null` to serve with `llmperf serve`
 * - `handwritten`: the script of the yardstick
 * - `replayRows`: rows of a replay, `null` for the load in full
 */
export class Setup extends Context.Service<
  Setup,
  {
    readonly root: string
    readonly llmperf: { readonly script: string; readonly state: "built" | "stale" | "sources" }
    readonly mockllm: string | null
    readonly handwritten: string
    readonly pairs: number
    readonly memoryRequests: number
    readonly replayRows: number | null
  }
>()("llmperf/bench/internal/Setup") {}

const changed = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const { mtime } = yield* fs.stat(file)
  return Option.match(mtime, { onNone: () => 0, onSome: (date) => date.getTime() })
})

const isStale = Effect.fnUntraced(function* (build: string, sources: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files = yield* fs.readDirectory(sources, { recursive: true })
  const times = yield* Effect.forEach(files, (file) => changed(path.join(sources, file)))
  return Math.max(...times) > (yield* changed(build))
})

/**
 * Looks around from the root of the repository. `MOCKLLM` and `HANDWRITTEN` name a server and a yardstick; otherwise those
 * of `../shared` are taken where they are, or else our own. With `sources`, a build is left aside.
 */
export const layer = (options: {
  readonly pairs: number
  readonly memoryRequests: number
  readonly replayRows: number | null
  readonly sources: boolean
}) =>
  Layer.effect(
    Setup,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const root = path.resolve(import.meta.dirname, "..", "..")
      const existing = Effect.fnUntraced(function* (file: string) {
        const absolute = path.resolve(root, file)
        return (yield* fs.exists(absolute)) ? Option.some(absolute) : Option.none<string>()
      })
      const chosen = Effect.fnUntraced(function* (variable: string, usual: string) {
        const name = yield* Config.option(Config.String(variable))
        return Option.isSome(name) ? Option.some(path.resolve(root, name.value)) : yield* existing(usual)
      })

      const program = Effect.gen(function* () {
        const built = path.join(root, "dist", "bin", "llmperf.js")
        if (options.sources || !(yield* fs.exists(built))) {
          return { script: path.join(root, "src", "bin.ts"), state: "sources" } as const
        }
        const stale = yield* isStale(built, path.join(root, "src"))
        return { script: built, state: stale ? "stale" : "built" } as const
      })
      const mockllm = yield* chosen("MOCKLLM", "../shared/mockllm/target/release/mockllm")
      const handwritten = yield* chosen("HANDWRITTEN", "../shared/bench/handwritten-client.mjs")
      return Setup.of({
        root,
        llmperf: yield* program,
        mockllm: Option.getOrNull(mockllm),
        handwritten: Option.getOrElse(handwritten, () => path.join(root, "bench", "handwritten.mjs")),
        pairs: options.pairs,
        memoryRequests: options.memoryRequests,
        replayRows: options.replayRows
      })
    })
  )
