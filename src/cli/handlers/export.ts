import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Command } from "effect/cli"
import * as Export from "../../output/Export.ts"
import * as RunReader from "../../output/RunReader.ts"
import { usage } from "../CommandError.ts"
import { type exportFlags } from "../internal/exportFlags.ts"
import { cutOff, formatOf, refuseTerminal, writeTo } from "../internal/exportOutput.ts"
import { letHeapGrow } from "../internal/heap.ts"

type Input = Command.Command.Config.Infer<typeof exportFlags>

/** Writes the run, or its chunks, in the format. */
export const handle = Effect.fn("export")(
  function* ({ chunks, format: asked, out, run: given }: Input) {
    const format = yield* formatOf(asked, out)
    yield* refuseTerminal(format, out)
    yield* letHeapGrow
    if (chunks) {
      if (Export.isOfSummary(format))
        return yield* usage(`--chunks can be written as csv, parquet or ndjson, not as ${format}`)
      const file = yield* Export.openChunks(given, format)
      yield* writeTo(out, Export.encodeChunks(file, format))
      const told = cutOff(file)
      return told === null ? undefined : yield* Console.error(told)
    }
    const run = yield* RunReader.open(given)
    yield* writeTo(out, Export.encode(run, format))
    if (!run.summarized) {
      yield* Console.error(
        `${given} has no summary: the run has not ended yet, or was killed. What is exported are the requests that had ended.`
      )
    }
  },
  Effect.catchTags({
    ChunkTimesError: (error) => Effect.fail(usage(error.message)),
    RunReadError: (error) => Effect.fail(usage(error.message)),
    ExportError: (error) => Effect.fail(usage(error.message))
  })
)
