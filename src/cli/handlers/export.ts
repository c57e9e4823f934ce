import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Command } from "effect/cli"
import * as Export from "../../output/Export.ts"
import * as RunReader from "../../output/RunReader.ts"
import { usage } from "../CommandError.ts"
import { type exportFlags } from "../internal/exportFlags.ts"
import { refuseTerminal, writeTo } from "../internal/exportOutput.ts"

type Input = Command.Command.Config.Infer<typeof exportFlags>

/** Writes the run in the format. */
export const handle = Effect.fn("export")(
  function* ({ format, out, run: given }: Input) {
    yield* refuseTerminal(format, out)
    const run = yield* RunReader.open(given)
    yield* writeTo(out, Export.encode(run, format))
    if (!run.summarized) {
      yield* Console.error(
        `${given} has no summary: the run has not ended yet, or was killed. What is exported are the requests that had ended.`
      )
    }
  },
  Effect.catchTags({
    RunReadError: (error) => Effect.fail(usage(error.message)),
    ExportError: (error) => Effect.fail(usage(error.message))
  })
)
