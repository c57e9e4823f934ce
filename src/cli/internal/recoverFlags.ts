import { Argument } from "effect/cli"
import * as Setting from "./setting.ts"

/** The argument and the flags of `llmperf recover`. */
export const recoverFlags = {
  directory: Argument.String("dir").pipe(
    Argument.withDescription("The folder of the run: the one with run.json and records.ndjson")
  ),
  force: Setting.toggle("force", false, "Replace the summary of the run if there is one already"),
  json: Setting.toggle("json", false, "Print the summary as JSON on standard output"),
  quiet: Setting.toggle("quiet", false, "Show no table")
}
