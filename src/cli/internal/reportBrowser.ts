import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"

/** The program of each system that shows a file in what its user has chosen for it. */
const openers: { readonly [platform: string]: readonly [command: string, ...args: ReadonlyArray<string>] } = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"]
}

/** Shows a file in the browser. Where that does not work it is said, and nothing fails: the file is there. */
export const openInBrowser = Effect.fnUntraced(function* (file: string) {
  const path = yield* Path.Path
  const [command, ...args] = openers[process.platform] ?? ["xdg-open"]
  const spawner = yield* ChildProcessSpawner
  const opened = spawner.exitCode(
    ChildProcess.make(command, [...args, path.resolve(file)], { stdin: "ignore", stdout: "ignore", stderr: "ignore" })
  )
  const code = yield* Effect.option(Effect.timeout(opened, "10 seconds"))
  if (code._tag === "None" || code.value !== 0) yield* Console.error(`No browser could be started (${command}).`)
})
