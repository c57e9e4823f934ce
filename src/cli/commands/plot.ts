import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { plotFlags } from "../internal/reportFlags.ts"

/** `llmperf plot`. */
export const plot = Command.make("plot", plotFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/plot.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription("Draw one chart of the report as an image, for a document or a slide."),
  Command.withShortDescription("Draw a chart of runs as an image"),
  Command.withExamples([
    {
      command: "llmperf plot result_outputs/demo --chart ttft-cdf --out ttft.svg",
      description: "The distribution of the time to the first token"
    },
    {
      command: "llmperf plot results/before results/after --chart throughput --theme dark --width 1280",
      description: "Two runs, one over the other, for a dark slide"
    },
    {
      command: "llmperf plot result_outputs/demo --chart rate --out rate.png",
      description: "As PNG, twice as fine as it is wide"
    }
  ])
)
