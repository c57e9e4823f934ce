import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { recoverFlags } from "../internal/recoverFlags.ts"

/** `llmperf recover`. */
export const recover = Command.make("recover", recoverFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/recover.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Make the summary and the individual responses of a run that was killed, from the records it left in its results folder. Everything that had ended by then is in them."
  ),
  Command.withShortDescription("Make the results of a run that was killed"),
  Command.withExamples([
    { command: "llmperf recover result_outputs", description: "A load test with --results-dir result_outputs" },
    {
      command: "llmperf recover result_outputs/2026-11-24T09-30-00_schedule_run",
      description: "The replay of a schedule has a folder of its own"
    },
    {
      command: "llmperf recover result_outputs --force --quiet --json > summary.json",
      description: "Again, as JSON"
    }
  ])
)
