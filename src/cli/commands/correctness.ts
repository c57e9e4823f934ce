import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { correctnessFlags } from "../internal/correctnessFlags.ts"

/** `llmperf correctness`. */
export const correctness = Command.make("correctness", correctnessFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/correctness.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Ask a model for numbers that are spelled in words, under load, and look for their digits in its answers. Wrong answers are shown and counted; they do not fail the command unless --max-mismatch-rate or --threshold is given."
  ),
  Command.withShortDescription("Check the answers of an LLM endpoint under load"),
  Command.withExamples([
    {
      command: "llmperf correctness --llm-api simulated --model demo --sim-wrong-rate 5%",
      description: "Try it without an account, a key or a model"
    },
    {
      command:
        "llmperf correctness --model meta-llama/Llama-3.1-8B-Instruct --api-base http://127.0.0.1:8000/v1 --max-num-completed-requests 150 --results-dir result_outputs",
      description: "Test a server of your own; OPENAI_API_KEY holds its key"
    },
    {
      command: "llmperf correctness --config run.yaml --max-mismatch-rate 2% --quiet",
      description: "In a pipeline: exit code 1 when more than 2 % of the answers are wrong"
    }
  ])
)
