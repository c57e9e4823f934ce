import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { calibrateFlags } from "../internal/calibrationFlags.ts"

/** `llmperf calibrate`. */
export const calibrate = Command.make("calibrate", calibrateFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/calibrate.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Measure what llmperf itself adds to its results on this machine. It starts a server that does nothing but answer, in a process of its own, and puts a load on it. The server writes down when each request came and when each token was sent, so what is added is a difference of two measurements, not a guess. Give the flags of the load test that you have in mind; any flag of load-test is accepted, and only those count that say how heavy it is. The result is kept, and shown with later runs that are no heavier."
  ),
  Command.withShortDescription("Measure what llmperf itself adds on this machine"),
  Command.withExamples([
    { command: "llmperf calibrate", description: "Ten requests in flight, and the most that this machine can do" },
    {
      command: "llmperf calibrate --num-concurrent-requests 200 --mean-output-tokens 150",
      description: "The load of a test: its flags, with calibrate in the place of load-test"
    },
    {
      command: "llmperf calibrate --request-rate 50 --ttft 400ms --itl 35ms",
      description: "An open loop, against a server of about this pace"
    },
    {
      command: "llmperf calibrate --like 'load-test --config run.yaml' --no-limits --json > calibration.json",
      description: "The load of a config file, nothing else, as JSON"
    }
  ])
)
