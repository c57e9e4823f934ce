import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { reportFlags } from "../internal/reportFlags.ts"

/** `llmperf report`. */
export const report = Command.make("report", reportFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/report.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Write a report of finished runs: one HTML file with the verdict, all numbers, distributions, the course of the run, failures, the slowest requests and the configuration. It needs nothing but a browser, asks nobody for anything, and can be sent to a colleague. Results of LLMPerf can be shown too."
  ),
  Command.withShortDescription("Write an HTML report of runs"),
  Command.withExamples([
    { command: "llmperf report result_outputs/demo", description: "Writes result_outputs/demo/report.html" },
    {
      command: "llmperf report results/before results/after --out change.html --open yes",
      description: "Two runs, one over the other"
    }
  ])
)
