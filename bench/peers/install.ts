import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { BenchError, during } from "../internal/BenchError.ts"
import { homeOf } from "./measure.ts"
import { type Peer } from "./Peer.ts"
import { installs } from "./tools.ts"

/** Runs a command in the shell's environment, its output shown. */
const command = Effect.fnUntraced(function* (file: string, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  yield* Console.error([file, ...args].join(" "))
  const exitCode = yield* spawner.exitCode(
    ChildProcess.make(file, args, { extendEnv: true, stdin: "ignore", stdout: "inherit", stderr: "inherit" })
  )
  if (exitCode !== 0) return yield* new BenchError({ description: `${file} ended with ${exitCode}` })
})

/** Installs a tool into the folder that is its own, with pip or cargo as they are set up here. */
export const install = Effect.fn("install")(
  function* (peer: Peer) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const home = yield* homeOf(peer)
    const how = installs[peer.name]
    if (how === undefined) return yield* new BenchError({ description: `${peer.name} cannot be installed` })
    yield* fs.makeDirectory(home, { recursive: true })
    if ("crate" in how) {
      yield* command("cargo", ["install", "--locked", "--root", home, how.crate])
    } else {
      const python = yield* Config.String("PYTHON").pipe(Config.withDefault("python3"))
      yield* command(python, ["-m", "venv", home])
      yield* command(path.join(home, "bin", "pip"), ["install", how.pip])
    }
  },
  Effect.catchTag("PlatformError", (error) => Effect.fail(during("Installing a tool")(error)))
)
