import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { exportFlags } from "../internal/exportFlags.ts"

/** `llmperf export`. */
export const exportRun = Command.make("export", exportFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/export.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Write the results of a run in the format of another tool: a row per request, or per chunk, for spreadsheets and data frames, or the summary for Prometheus. Results of LLMPerf can be exported too. A run that has not ended has its requests, but no summary."
  ),
  Command.withShortDescription("Write results in other formats"),
  Command.withExamples([
    {
      command: "llmperf export results --out requests.parquet",
      description: "For pandas, DuckDB, Polars"
    },
    { command: "llmperf export results --format csv > requests.csv", description: "For a spreadsheet" },
    {
      command: "llmperf export results --chunks --out chunks.parquet",
      description: "When every chunk arrived"
    },
    {
      command: "llmperf export results --out llmperf.prom",
      description: "For the textfile collector of Prometheus, or its push gateway"
    }
  ])
)
