import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { agentFlags } from "../internal/agentFlags.ts"

/** `llmperf agent`. */
export const agent = Command.make("agent", agentFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/agent.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Send requests for load tests that are run on another machine: llmperf load-test --agents names all that take part. It works for one test after the other, until Ctrl-C or SIGTERM. Credentials for the API come from its own environment."
  ),
  Command.withShortDescription("Send a share of load tests that run elsewhere"),
  Command.withExamples([
    {
      command: "llmperf agent --token-file token",
      description: "For tests of the same machine; openssl rand -hex 32 > token && chmod 600 token makes a token"
    },
    {
      command:
        "llmperf agent --listen 0.0.0.0:7070 --token-file token --tls-cert agent.pem --tls-key agent.key --tls-ca ca.pem",
      description: "For coordinators on other machines with a certificate of that CA"
    }
  ])
)
