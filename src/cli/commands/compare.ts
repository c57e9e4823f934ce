import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { compareFlags } from "../internal/compareFlags.ts"

/** `llmperf compare`. */
export const compare = Command.make("compare", compareFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/compare.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Compare runs with the first of them: every number side by side, the difference with an interval that holds the true one in 95 of 100 cases, and in words what differs. Results of LLMPerf can be compared too. With --fail-if it is a gate for a release."
  ),
  Command.withShortDescription("Compare the results of runs"),
  Command.withExamples([
    { command: "llmperf compare results/before results/after", description: "What has changed" },
    {
      command: 'llmperf compare results/before results/after --fail-if "ttft_s.p99 > +5%"',
      description: "In a pipeline: exit code 1 when it has become worse"
    },
    {
      command: "llmperf compare results/before results/after --format markdown > comment.md",
      description: "For a pull request"
    }
  ])
)
