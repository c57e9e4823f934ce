import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { type ChunkFile, type ChunkTimesError } from "../../output/ChunkTimes.ts"
import * as Export from "../../output/Export.ts"
import { fromPlatformError } from "../../output/OutputError.ts"
import { type RunReadError } from "../../output/RunReader.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"

const cannotWrite = (target: string, problem: string): CommandError =>
  new CommandError({ description: `Cannot write ${target}: ${problem}`, exitCode: ExitCode.output })

/** Whoever reads our output has enough: `llmperf export … | head`. */
const readerIsGone = ({ reason }: PlatformError): boolean => {
  const { cause } = reason
  return typeof cause === "object" && cause !== null && "code" in cause && cause.code === "EPIPE"
}

type Bytes = Stream.Stream<Uint8Array, ChunkTimesError | Export.ExportError | RunReadError, FileSystem.FileSystem>

/** Writes to standard output (`-`), or to a file as a whole or not at all. */
export const writeTo = Effect.fnUntraced(function* (target: string, bytes: Bytes) {
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

/** What to say of a file of chunk times that was read and is not closed; `null` for none. */
export const cutOff = ({ ending, path }: ChunkFile): string | null => {
  const end = ending()
  if (end === null || end._tag === "Closed") return null
  const rest = end._tag === "Cut" ? ` Its last ${end.bytes} bytes are a part of a block, and are left out.` : ""
  return `${path} is not closed: the run has not ended yet, or was killed. What is exported are the chunks of the requests in it.${rest}`
}
