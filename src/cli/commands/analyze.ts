import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { analyzeFlags } from "../internal/analyzeFlags.ts"

/** `llmperf analyze`. */
export const analyze = Command.make("analyze", analyzeFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/analyze.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Recompute a run's summary from its records: for a part of the run, without its beginning, or with other requests measured. Nothing is sent, and the files of the run stay as they are."
  ),
  Command.withShortDescription("Summarize a part of a run"),
  Command.withExamples([
    { command: "llmperf analyze results --warm-up 10s", description: "Without the first ten seconds" },
    { command: "llmperf analyze results --from 60 --to 120 --json", description: "The second minute, as JSON" },
    { command: "llmperf analyze results --skip-first 100 --out analyses", description: "Keep the summary in a file" }
  ])
)
