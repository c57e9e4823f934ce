import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { simulate as flags } from "../flags.ts"

/** `llmperf simulate`. */
export const simulate = Command.make("simulate", flags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/simulate.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Ask what a load would do to a server: run it against a model of a continuous-batching server in virtual time. An hour of traffic takes seconds, nothing is sent, and the same seed gives the same files to the last byte."
  ),
  Command.withShortDescription("Run a load against a modelled server in virtual time"),
  Command.withExamples([
    {
      command: "llmperf simulate --schedule-file schedules/diurnal_hour.csv",
      description: "A day in an hour, on a server like one large GPU with a small model"
    },
    {
      command: "llmperf simulate --ramp 1:40:10m --max-batch 64 --prefill-rate 4000",
      description: "Where does this server saturate?"
    },
    {
      command:
        "llmperf simulate --schedule-file AzureLLMInferenceTrace_conv.csv --speed 2 --results-dir result_outputs",
      description: "A production trace at twice its speed, with all result files"
    }
  ])
)
