import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { type Command } from "effect/cli"
import packageJson from "../../../package.json" with { type: "json" }
import * as Report from "../../output/Report.ts"
import { usage } from "../CommandError.ts"
import { openInBrowser } from "../internal/reportBrowser.ts"
import { type reportFlags } from "../internal/reportFlags.ts"
import { cannotWrite } from "../internal/reportOutput.ts"

type Input = Command.Command.Config.Infer<typeof reportFlags>

const NAME = "report.html"

/** The report of a single run lies with its results. */
const outOf = Effect.fnUntraced(function* ({ out, runs }: Input) {
  if (Option.isSome(out)) return out.value
  const [only, second] = runs
  if (only === undefined || second !== undefined) return NAME
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const there = yield* Effect.option(fs.stat(only))
  const isFolder = Option.isSome(there) && there.value.type === "Directory"
  return path.join(isFolder ? only : path.dirname(only), NAME)
})

/** Writes the report, and prints where it is. */
export const handle = Effect.fn("report")(
  function* (input: Input) {
    const out = yield* outOf(input)
    const { remarks } = yield* Report.write({ runs: input.runs, out, version: packageJson.version })
    yield* Effect.forEach(remarks, (remark) => Console.error(remark), { discard: true })
    yield* Console.log(out)
    if (input.open === "yes") yield* openInBrowser(out)
  },
  Effect.catchTags({
    RunReadError: (error) => Effect.fail(usage(error.message)),
    OutputError: (error) => Effect.fail(cannotWrite(error))
  })
)
