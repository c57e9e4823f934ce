import * as Effect from "effect/Effect"
import packageJson from "../../../package.json" with { type: "json" }
import { type RunResult } from "../../engine/RunResult.ts"
import { CommandError } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { cannotWrite } from "./reportOutput.ts"

/** Writes the report of a run beside its summary, with a name like its own. Gives its path; none when nothing was saved. */
export const writeReport = Effect.fnUntraced(
  function* ({ files }: Pick<RunResult, "files">) {
    const [summary] = files
    if (summary === undefined) return []
    const out = summary.replace(/summary\.json$/, "report.html")
    const { write } = yield* Effect.promise(() => import("../../output/Report.ts"))
    yield* write({ runs: [summary], out, version: packageJson.version })
    return [out]
  },
  Effect.catchTags({
    RunReadError: ({ message }) => Effect.fail(new CommandError({ description: message, exitCode: ExitCode.output })),
    OutputError: (error) => Effect.fail(cannotWrite(error))
  })
)
