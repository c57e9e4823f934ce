import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Export from "../../output/Export.ts"
import { fromPlatformError } from "../../output/OutputError.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"

const cannotWrite = (target: string, problem: string): CommandError =>
  new CommandError({ description: `Cannot write ${target}: ${problem}`, exitCode: ExitCode.output })

/** Whoever reads our output has enough: `llmperf export … | head`. */
const readerIsGone = ({ reason }: PlatformError): boolean => {
  const { cause } = reason
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EPIPE"
}

/** Writes to standard output (`-`), or to a file as a whole or not at all. */
export const writeTo = Effect.fnUntraced(function* (target: string, bytes: ReturnType<typeof Export.encode>) {
  if (target !== "-") {
    return yield* Effect.catchTag(Export.write(target, bytes), "OutputError", ({ path, problem }) =>
      Effect.fail(cannotWrite(path, problem))
    )
  }
  const stdio = yield* Stdio.Stdio
  return yield* Stream.run(bytes, stdio.stdout()).pipe(
    Effect.catchTag("PlatformError", (error) =>
      readerIsGone(error)
        ? Effect.void
        : Effect.fail(cannotWrite("standard output", fromPlatformError("standard output")(error).problem))
    )
  )
})

/** A terminal cannot show it. */
export const refuseTerminal = Effect.fnUntraced(function* (format: Export.Format, target: string) {
  const stdio = yield* Stdio.Stdio
  if (format === "parquet" && target === "-" && (yield* stdio.stdoutIsTerminal)) {
    return yield* usage("Parquet is not text: name a file with --out, or send standard output to one")
  }
})
