import { Argument } from "effect/cli"
import { Format } from "../../output/Export.ts"
import * as Setting from "./setting.ts"

/** The argument and the flags of `llmperf export`. */
export const exportFlags = {
  run: Argument.String("run").pipe(
    Argument.withDescription(
      "A results folder, or one of the files in it: a summary, individual responses, records, or chunk times"
    )
  ),
  format: Setting.optional(
    "format",
    Setting.oneOf(...Format.literals),
    "What to write: the requests as csv, parquet or ndjson, or the summary as prometheus or openmetrics; left out, what the name of --out ends in: .csv, .parquet, .ndjson, .jsonl, .prom or .om"
  ),
  chunks: Setting.toggle(
    "chunks",
    false,
    "A row per chunk with its time of arrival, instead of one per request: of a run with --chunk-times, as csv, parquet or ndjson"
  ),
  out: Setting.withDefault("out", Setting.text("file"), "-", "Where to write it; - is standard output")
}
