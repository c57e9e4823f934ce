import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { loadTest as flags } from "../flags.ts"

/** `llmperf load-test`. */
export const loadTest = Command.make("load-test", flags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/loadTest.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    'Send streaming requests and measure every token: TTFT, inter-token latency, throughput. A closed loop keeps --num-concurrent-requests in flight. An open loop sends each request when it is due, at a rate (--request-rate, --ramp, --stages) or as a schedule or a trace says (--schedule-file). Durations are written 30s, 1m30s, 500ms, "2 seconds" or as a number of seconds.'
  ),
  Command.withShortDescription("Measure an LLM endpoint under load"),
  Command.withExamples([
    {
      command: "llmperf load-test --llm-api simulated --model demo",
      description: "Try it without an account, a key or a model"
    },
    {
      command:
        "llmperf load-test --model meta-llama/Llama-3.1-8B-Instruct --api-base http://127.0.0.1:8000/v1 --num-concurrent-requests 20 --max-num-completed-requests 200 --results-dir result_outputs",
      description: "Test a server of your own; OPENAI_API_KEY holds its key"
    },
    {
      command: "llmperf load-test --llm-api simulated --model demo --request-rate 8 --arrival poisson --duration 20s",
      description: "Open loop: requests arrive at random, 8 a second, whatever becomes of those before"
    },
    {
      command:
        "llmperf load-test --llm-api simulated --model demo --schedule-file schedules/bursty_schedule.csv --results-dir result_outputs",
      description: "Replay a schedule: every request at its time"
    },
    {
      command: "llmperf load-test --config run.yaml --json > summary.json",
      description: "Take the flags from a file, print the summary as JSON"
    }
  ])
)
