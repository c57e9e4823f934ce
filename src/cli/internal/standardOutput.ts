import * as Effect from "effect/Effect"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { fromPlatformError } from "../../output/OutputError.ts"
import { CommandError } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"

/** Data that cannot be written to `target`. */
export const cannotWrite = (target: string, problem: string): CommandError =>
  new CommandError({ description: `Cannot write ${target}: ${problem}`, exitCode: ExitCode.output })

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

/** Whoever reads our output has enough: `llmperf export … | head`. */
const readerIsGone = (error: unknown): boolean => codeOf(error) === "EPIPE"

const fromPlatform = (error: PlatformError): CommandError =>
  cannotWrite("standard output", fromPlatformError("standard output")(error).problem)

/** Why standard output fails, for who reads it; `null` when nobody does: `terminal` is one that was closed. */
export const problemOf = (error: unknown, terminal: boolean): CommandError | null =>
  readerIsGone(error) || (terminal && codeOf(error) === "EIO")
    ? null
    : fromPlatform(systemError({ module: "Stdio", method: "stdout", _tag: "Unknown", cause: error }))

/** Writes to standard output. Ends when whoever reads it has enough. */
export const write = Effect.fnUntraced(function* <E, R>(parts: Stream.Stream<string | Uint8Array, E, R>) {
  const stdio = yield* Stdio.Stdio
  const sink = Sink.mapError(stdio.stdout(), (error) => (readerIsGone(error.reason.cause) ? null : fromPlatform(error)))
  return yield* Effect.catchIf(
    Stream.run(parts, sink),
    (error) => error === null,
    () => Effect.void
  )
})
