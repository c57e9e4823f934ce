import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Command } from "effect/cli"
import { type AgentSpec, type Job } from "../../engine/LoadAgent.ts"
import * as Pacer from "../../engine/Pacer.ts"
import { RequestTap } from "../../engine/RequestTap.ts"
import { type OtlpCollector } from "../../output/OtlpCollector.ts"
import { Provider } from "../../provider/Provider.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import { CommandError } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import * as flags from "../flags.ts"
import * as Providers from "./providers.ts"
import { FIXED_SEED } from "./seed.ts"
import * as Spans from "./spans.ts"
import * as Surroundings from "./surroundings.ts"

type Input = Command.Command.Config.Infer<typeof flags.loadTest>

/** The coordinator has said all there is to say about the flags. */
const silent: Console.Console = { ...globalThis.console, error: () => {}, log: () => {} }

/** The flags of the command, read here as the coordinator has read them. */
const inputOf = Effect.fnUntraced(
  function* ({ args, variables }: Job) {
    let found: Input | undefined
    const loadTest = Command.make("load-test", flags.loadTest, (input) =>
      Effect.sync(() => {
        found = input
      })
    )
    const root = Command.make("llmperf").pipe(Command.withSubcommands([loadTest]))
    yield* Effect.mapError(
      Effect.provideService(
        Command.runWith(root, { version: "" })(args),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: variables })
      ),
      ({ message }) =>
        new CommandError({ description: `the command cannot be read here: ${message}`, exitCode: ExitCode.usage })
    )
    return found ?? (yield* Effect.die(new Error("the arguments of an agent are those of load-test")))
  },
  Effect.provideService(Console.Console, silent)
)

/** Its plans come ready made, and a simulated server is there already: no seed has a meaning here. */
const configOf = (input: Input, runId: string) => Surroundings.configOf(input, { runId, seed: FIXED_SEED })

/** Spans of what this agent sends. */
const spansLayer = (input: Input, collector: OtlpCollector, runId: string, agent: string | null) =>
  Layer.effect(
    RequestTap,
    Effect.gen(function* () {
      const { origin } = yield* Provider
      const config = configOf(input, runId)
      return Spans.tapOf(yield* Spans.make(input, { collector, config, origin, agent }))
    })
  )

/**
 * What an agent sends with, made of the arguments of the command. Credentials are those of its own environment, and files are
 * looked up where it is.
 */
export const services = ({ agent, job, runId }: AgentSpec) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const input = yield* inputOf(job)
      const network = yield* Effect.provideService(Surroundings.networkOf(input), Console.Console, silent)
      const asking = Surroundings.asking({
        provider: Providers.layer(input, { ...configOf(input, runId), tokenizer: input.tokenizer }, job.simulator),
        network,
        idleSeconds: input.idleTimeout
      })
      const collector = yield* Spans.collectorOf(input)
      return Layer.mergeAll(
        TokenCounter.layerWorker({ tokenizer: Surroundings.tokenizerOf(input) }),
        collector === null ? asking : Layer.provideMerge(spansLayer(input, collector, runId, agent), asking),
        job.isOpen ? Pacer.layerThread : Layer.empty
      )
    })
  )
