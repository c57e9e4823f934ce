import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const bin = join(import.meta.dirname, "..", "..", "src", "bin.ts")

export interface Running {
  readonly stdout: () => string
  readonly stderr: () => string
  readonly signal: (name: NodeJS.Signals) => void
  /** The exit status once it has ended and all of its output has been read; the name of a signal that ended it. */
  readonly ended: Effect.Effect<number | string>
  readonly isRunning: () => boolean
  /** Waits for what it must bring about, as `until`, and says what it said when it has ended before. */
  readonly until: (condition: () => boolean, what: string) => Effect.Effect<void>
}

/**
 * - `shell`: what `/bin/sh` does with the program, which is `"$@"`, instead of running it as it is
 */
interface Around {
  readonly shell?: string | undefined
}

/** Runs the program from a process of its own, which ends with the scope at the latest. */
export const start = (
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string } = {},
  { shell }: Around = {}
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const program = [process.execPath, bin, ...args]
        const [command = "", ...given] = shell === undefined ? program : ["/bin/sh", "-c", shell, "sh", ...program]
        return spawn(command, given, { env: { ...env }, stdio: ["ignore", "pipe", "pipe"] })
      }),
      (child) =>
        Effect.sync(() => {
          if (child.exitCode === null) child.kill("SIGKILL")
        })
    ),
    (child): Running => {
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (data) => (stdout += String(data)))
      child.stderr.on("data", (data) => (stderr += String(data)))
      let status: number | string | undefined
      child.on("close", (code, signal) => {
        status = code ?? signal ?? "?"
      })
      return {
        stdout: () => stdout,
        stderr: () => stderr,
        signal: (name) => child.kill(name),
        isRunning: () => status === undefined,
        until: (condition, what) =>
          Effect.andThen(
            until(() => status !== undefined || condition(), what),
            Effect.suspend(() =>
              condition() ? Effect.void : Effect.die(new Error(`ended before: ${what}\n${stdout}${stderr}`))
            )
          ),
        ended: Effect.map(
          until(() => status !== undefined, "the process ends"),
          () => status ?? "?"
        )
      }
    }
  )

/** Looks again and again, for at most a minute: the computer may be busy. */
export const until = Effect.fnUntraced(function* (condition: () => boolean, what: string) {
  for (let tries = 0; tries < 6_000; tries++) {
    if (condition()) return
    yield* Effect.sleep(10)
  }
  return yield* Effect.die(new Error(`waited in vain: ${what}`))
})

export type Fields = { readonly [key: string]: unknown }

export const json = (text: string): Fields => JSON.parse(text)

/** The rows of a file of records, of which every line must be whole. */
export const rowsIn = (path: string): ReadonlyArray<Fields> => {
  const text = readFileSync(path, "utf8")
  assert.isTrue(text === "" || text.endsWith("\n"))
  assert.notMatch(text, /NaN|Infinity/)
  return text.split("\n").slice(0, -1).map(json)
}
