import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { type Command } from "effect/cli"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RunConfig } from "../../domain/RunConfig.ts"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as Pacer from "../../engine/Pacer.ts"
import * as Replay from "../../engine/Replay.ts"
import * as WarmUp from "../../engine/WarmUp.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Progress from "../../output/Progress.ts"
import { Provider } from "../../provider/Provider.ts"
import * as Transport from "../../provider/Transport.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import * as Workload from "../../workload/Workload.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type loadTest } from "../flags.ts"
import { settleHeap } from "../internal/heap.ts"
import { connectionsOf, type Load, type OpenLoad, plannedOf, resolve } from "../internal/load.ts"
import { newRunId } from "../internal/newRunId.ts"
import { checkMetadata, conclude, whileRunning } from "../internal/outcome.ts"
import * as Network from "../internal/network.ts"
import * as OwnProvider from "../internal/ownProvider.ts"
import * as Providers from "../internal/providers.ts"
import { userStop } from "../internal/userStop.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

const configOf = (input: Input, runId: string): RunConfig => ({
  model: input.model,
  llmApi: OwnProvider.llmApiOf(input),
  graceSeconds: input.grace,
  requestTimeoutSeconds: input.requestTimeout,
  additionalSamplingParams: input.additionalSamplingParams,
  metadata: Object.fromEntries(input.metadata.flat()),
  seed: input.seed,
  promptMode: input.promptMode,
  warmup: input.warmup,
  warmupRequests: input.warmupRequests,
  requestIdHeader: input.requestIdHeader,
  runId,
  resultsDir: Option.getOrNull(input.resultsDir)
})

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
  return workload.plans.map((plan): RequestPlan => Object.assign({}, plan, { id: -plan.id }))
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
  const { config } = load
  const live = LiveStats.make()
  yield* Effect.forkScoped(
    Progress.run({ snapshot: (now) => LiveStats.snapshot(live, now), total: plannedOf(load), quiet })
  )
  const requests = yield* warmUpPlans(load)
  const context = yield* Effect.context<Provider | Transport.Transport | Stdio.Stdio | Terminal.Terminal>()
  const hooks = {
    live,
    details: { network: network.facts((yield* Provider).origin) },
    userStop: Effect.provideContext(userStop(config.graceSeconds, quiet), context),
    warmUp:
      config.warmup || requests.length > 0
        ? Effect.provideContext(
            WarmUp.run({
              client: config.warmup,
              concurrency: connectionsOf(load),
              requests,
              requestTimeoutSeconds: config.requestTimeoutSeconds
            }),
            context
          )
        : undefined
  }
  const run =
    load._tag === "Closed"
      ? LoadTest.run({ ...hooks, config: load.config })
      : Effect.provide(
          Replay.run({ ...hooks, config: load.config, schedule: load.schedule, origin: load.origin }),
          openLayer(load, tokenizer)
        )
  return yield* whileRunning(live)(run)
}, Effect.scoped)

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("loadTest")(
  function* (input: Input) {
    yield* settleHeap
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const config = configOf(input, runId)
    const network = yield* Network.resolve(input, input.llmApi === "simulated" && Option.isNone(input.provider))
    const tokenizer = input.tokenizer === Tokenizer.llamaName ? undefined : input.tokenizer
    const layer = Layer.mergeAll(
      Tokenizer.layer(tokenizer),
      TokenCounter.layerWorker({ tokenizer }),
      Providers.layer(input, config).pipe(
        Layer.provideMerge(Transport.layer({ ...network.options, idleSeconds: input.idleTimeout }))
      )
    )
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
