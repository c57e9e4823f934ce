import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { probeFlags } from "../internal/probeFlags.ts"

/** `llmperf probe`. */
export const probe = Command.make("probe", probeFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/probe.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Send one request and show all of it: address, headers (secrets hidden), body, how the connection came about, status and headers of the answer, and every event with the time of its arrival after the request was written. When it fails, it says why and what to try. For when an endpoint does not work, or does something unexpected."
  ),
  Command.withShortDescription("Send one request and show everything about it"),
  Command.withExamples([
    {
      command: "llmperf probe --llm-api simulated --model demo",
      description: "See what it looks like, without an account, a key or a model"
    },
    {
      command:
        'llmperf probe --model meta-llama/Llama-3.1-8B-Instruct --api-base http://127.0.0.1:8000/v1 --prompt "What is TTFT?" --max-tokens 100',
      description: "Ask a server of your own; OPENAI_API_KEY holds its key"
    },
    {
      command:
        "llmperf probe --model gpt-5 --api-base https://llm.example.com/v1 --ca company-ca.pem --proxy http://proxy:3128",
      description: "Through a proxy, to a server whose certificate a company has signed"
    },
    {
      command: "llmperf probe --llm-api anthropic --model claude-sonnet-4-5 --json > probe.json",
      description: "All of it as JSON"
    }
  ])
)
