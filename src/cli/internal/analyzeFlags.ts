import { Argument, Flag } from "effect/cli"
import * as Setting from "./setting.ts"

/** The argument and the flags of `llmperf analyze`. */
export const analyzeFlags = {
  run: Argument.String("run").pipe(
    Argument.withDescription("A results folder, or one of the files in it: a summary, individual responses, or records")
  ),
  from: Setting.optional("from", Setting.duration, "Leave out requests sent before this moment of the run"),
  to: Setting.optional("to", Setting.positiveDuration, "Leave out requests sent at this moment of the run or later"),
  skipFirst: Setting.optional("skip-first", Setting.naturalInt("requests"), "Leave out the first requests of the plan"),
  warmUp: Setting.optional("warm-up", Setting.duration, "Leave out requests sent in the first seconds of the run"),
  only: Setting.optional(
    "only",
    Setting.oneOf("sampled", "all"),
    "sampled: leave out requests that were not measured; all: measure them too"
  ),
  // Not from the environment, where it is meant for load tests
  tokenizer: Flag.String("tokenizer").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Refused: the texts that would have to be counted are not saved"),
    Flag.optional
  ),
  json: Setting.toggle("json", false, "Print the summary as JSON on standard output"),
  out: Setting.optional(
    "out",
    Setting.text("folder"),
    "Write the summary and the requests in it into this folder, as <name>_analyzed_summary.json and <name>_analyzed_individual_responses.json, for llmperf report, compare and export"
  ),
  quiet: Setting.toggle("quiet", false, "Show no table")
}
