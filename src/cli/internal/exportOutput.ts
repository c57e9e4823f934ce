import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import type * as Stream from "effect/Stream"
import { type ChunkFile, type ChunkTimesError } from "../../output/ChunkTimes.ts"
import * as Export from "../../output/Export.ts"
import { type RunReadError } from "../../output/RunReader.ts"
import { usage } from "../CommandError.ts"
import * as StandardOutput from "./standardOutput.ts"

type Bytes = Stream.Stream<Uint8Array, ChunkTimesError | Export.ExportError | RunReadError, FileSystem.FileSystem>

/** Writes to standard output (`-`), or to a file as a whole or not at all. */
export const writeTo = Effect.fnUntraced(function* (target: string, bytes: Bytes) {
  if (target !== "-") {
    return yield* Effect.catchTag(Export.write(target, bytes), "OutputError", ({ path, problem }) =>
      Effect.fail(StandardOutput.cannotWrite(path, problem))
    )
  }
  return yield* StandardOutput.write(bytes)
})

const COMPRESSED = /\.(?:gz|gzip|zst|bz2|xz|zip)$/i

/** The format: as it is said, or as the name of the file says it. The two must not contradict each other. */
export const formatOf = (given: Option.Option<Export.Format>, target: string) => {
  const named = Export.formatOf(target)
  if (COMPRESSED.test(target)) {
    return Effect.fail(
      usage(
        `--out ${target}: export does not compress. Parquet is compressed by itself; for anything else: llmperf export … --format csv | gzip > requests.csv.gz`
      )
    )
  }
  if (Option.isNone(given)) {
    return named !== null
      ? Effect.succeed(named)
      : Effect.fail(
          usage(
            target === "-"
              ? "Say what to write to standard output with --format, or name a file: --out requests.csv"
              : `--out ${target} does not say the format: let it end in .csv, .parquet, .ndjson, .jsonl, .prom or .om, or give --format`
          )
        )
  }
  return named === null || named === given.value
    ? Effect.succeed(given.value)
    : Effect.fail(usage(`--format ${given.value} contradicts --out ${target}, whose name says ${named}`))
}

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
