import * as Effect from "effect/Effect"
import { Command } from "effect/cli"
import { fleetStatusFlags } from "../internal/fleetFlags.ts"

const status = Command.make("status", fleetStatusFlags, (input) =>
  Effect.flatMap(
    Effect.promise(() => import("../handlers/fleetStatus.ts")),
    ({ handle }) => handle(input)
  )
).pipe(
  Command.withDescription(
    "Ask agents who they are: version, machine, load, what they can do at most, how their clocks stand, and whether they are free. Ends with 1 when one of them cannot be used."
  ),
  Command.withShortDescription("Show agents and whether they can be used"),
  Command.withExamples([
    { command: "llmperf fleet status --agents 10.0.0.7:7070,10.0.0.8:7070 --token-file token" },
    {
      command:
        "llmperf fleet status --agents node-1,node-2 --token-file token --tls-cert me.pem --tls-key me.key --tls-ca ca.pem --json",
      description: "Over TLS, at port 7070 of each, as JSON"
    }
  ])
)

/** `llmperf fleet`. */
export const fleet = Command.make("fleet").pipe(
  Command.withDescription("Look at the agents that load tests can be shared among; see llmperf agent."),
  Command.withShortDescription("Show the agents of a fleet"),
  Command.withSubcommands([status])
)
