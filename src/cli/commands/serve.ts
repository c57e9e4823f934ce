import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { serve as flags } from "../flags.ts"

/** `llmperf serve`. */
export const serve = Command.make("serve", flags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/serve.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Run a simulated LLM server, by default on 127.0.0.1, that speaks OpenAI's API: a queueing model of a continuous-batching server, with latencies and faults to order."
  ),
  Command.withShortDescription("Run a simulated LLM server on loopback"),
  Command.withExamples([
    { command: "llmperf serve", description: "Serve on port 8089 like a small model on one GPU" },
    {
      command: "llmperf serve --ttft lognormal:200ms:0.5 --itl 20ms",
      description: "First token after 200 ms on average, then one every 20 ms"
    },
    {
      command: "llmperf serve --fault 429@5% --fault reset:10@every=20",
      description: "Refuse 5 % of the requests, and break every 20th after 10 tokens"
    }
  ])
)
