import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as Pacer from "../../engine/Pacer.ts"
import * as Replay from "../../engine/Replay.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import * as Workload from "../../workload/Workload.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type loadTest } from "../flags.ts"
import { settleHeap } from "../internal/heap.ts"
import { connectionsOf, type Load, type OpenLoad, plannedOf, resolve } from "../internal/load.ts"
import { newRunId } from "../internal/newRunId.ts"
import { checkMetadata, conclude, whileRunning } from "../internal/outcome.ts"
import type * as Network from "../internal/network.ts"
import * as Providers from "../internal/providers.ts"
import * as Surroundings from "../internal/surroundings.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

/** Lengths for real warm-up requests. */
const warmUpLengths = (load: Load) => {
  if (load._tag === "Closed") return load.config
  const { origin, schedule } = load
  if (origin._tag === "Arrivals") return origin
  return {
    meanInputTokens: schedule.inputTokens[0] ?? 0,
    stddevInputTokens: 0,
    meanOutputTokens: schedule.outputTokens[0] ?? 0,
    stddevOutputTokens: 0
  }
}

/** Prompts for real warm-up requests: of the same lengths, but none that the test itself will send. */
const warmUpPlans = Effect.fnUntraced(function* (load: Load) {
  const { promptMode, seed, warmupRequests } = load.config
  if (warmupRequests === 0) return []
  const workload = yield* Workload.make({
    ...warmUpLengths(load),
    promptMode,
    seed: seed + 1,
    count: warmupRequests
  })
  return Surroundings.forWarmUp(workload.plans)
})

/** What an open loop needs besides: prompts made on a thread of their own, and exact waits. */
const openLayer = ({ config, schedule }: OpenLoad, tokenizer: string | undefined) =>
  Layer.merge(
    PromptMaker.layerWorker({
      seed: config.seed,
      promptMode: config.promptMode,
      blockTokens: schedule.prefix?.blockTokens ?? null,
      tokenizer
    }),
    Pacer.layerThread
  )

const runLoad = Effect.fnUntraced(function* (
  load: Load,
  tokenizer: string | undefined,
  network: Network.Network,
  quiet: boolean
) {
  const hooks = yield* Surroundings.hooks({
    config: load.config,
    total: plannedOf(load),
    connections: connectionsOf(load),
    requests: yield* warmUpPlans(load),
    network,
    quiet
  })
  const run =
    load._tag === "Closed"
      ? LoadTest.run({ ...hooks, config: load.config })
      : Effect.provide(
          Replay.run({ ...hooks, config: load.config, schedule: load.schedule, origin: load.origin }),
          openLayer(load, tokenizer)
        )
  return yield* whileRunning(hooks.live)(run)
}, Effect.scoped)

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("loadTest")(
  function* (input: Input) {
    yield* settleHeap
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const config = { ...Surroundings.configOf(input, runId), promptMode: input.promptMode }
    const network = yield* Surroundings.networkOf(input)
    const tokenizer = Surroundings.tokenizerOf(input)
    const layer = Surroundings.layer({
      tokenizer,
      provider: Providers.layer(input, config),
      network,
      idleSeconds: input.idleTimeout
    })
    const { load, result } = yield* Effect.gen(function* () {
      const load = yield* resolve(input, config)
      yield* checkMetadata(config.metadata, load)
      return { load, result: yield* runLoad(load, tokenizer, network, input.quiet) }
    }).pipe(Effect.provide(layer))
    yield* conclude(input, "Load test", load, result)
  },
  Effect.catchTags({
    LlmError: (error) => Effect.fail(usage(error.message)),
    PromptError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    ConfigError: (error) => Effect.fail(usage(error.message)),
    SimulatorError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
