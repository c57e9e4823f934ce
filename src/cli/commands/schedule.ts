import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { convertFlags, generateFlags, inspectFlags } from "../internal/scheduleFlags.ts"

const inspect = Command.make("inspect", inspectFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/schedule.ts")),
    ({ inspect }) => inspect(input)
  )
).pipe(
  Command.withDescription(
    "Check a schedule or a trace and show what it holds: rate over time, gaps, lengths, sessions, shared prefixes."
  ),
  Command.withShortDescription("Check a schedule or trace and show what it holds"),
  Command.withExamples([
    { command: "llmperf schedule inspect schedules/bursty_schedule.csv" },
    {
      command: "llmperf schedule inspect log.jsonl --map offset=time:iso,input=prompt_tokens,output=completion_tokens",
      description: "A log of your own"
    }
  ])
)

const convert = Command.make("convert", convertFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/schedule.ts")),
    ({ convert }) => convert(input)
  )
).pipe(
  Command.withDescription(
    "Make a schedule (CSV) of a trace, or of a part of it, faster, longer, over and over. Changes are made in this order: from and to, speed, loop, max-rate, limit, scale."
  ),
  Command.withShortDescription("Make a schedule of a trace, or change one"),
  Command.withExamples([
    {
      command:
        "llmperf schedule convert AzureLLMInferenceTrace_conv.csv --from 10m --to 20m --speed 2 -o ten_minutes.csv",
      description: "Ten minutes of a trace in five"
    }
  ])
)

const generate = Command.make("generate", generateFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/schedule.ts")),
    ({ generate }) => generate(input)
  )
).pipe(
  Command.withDescription(
    "Make a schedule (CSV) from an arrival process and lengths. Give one of request-rate, ramp and stages."
  ),
  Command.withShortDescription("Make a schedule from an arrival process"),
  Command.withExamples([
    {
      command:
        "llmperf schedule generate --request-rate 4 --arrival gamma --burstiness 0.25 --duration 5m -o bursty.csv",
      description: "Bursty traffic: four times the variance of Poisson arrivals"
    },
    {
      command: "llmperf schedule generate --request-rate 0.2 --turns 4 --think-time 30s --limit 20 -o chats.csv",
      description: "Twenty conversations of four turns"
    }
  ])
)

/** `llmperf schedule`. */
export const schedule = Command.make("schedule").pipe(
  Command.withDescription("Look at schedules and traces of requests, convert them, make new ones."),
  Command.withShortDescription("Inspect, convert and generate schedules"),
  Command.withSubcommands([inspect, convert, generate])
)
