import type * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { type Command } from "effect/cli"
import { type LlmError } from "../../domain/LlmError.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RunConfig } from "../../domain/RunConfig.ts"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as Pacer from "../../engine/Pacer.ts"
import * as Replay from "../../engine/Replay.ts"
import { requestIdOf } from "../../engine/RequestId.ts"
import * as WarmUp from "../../engine/WarmUp.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Progress from "../../output/Progress.ts"
import * as Screen from "../../output/Screen.ts"
import * as OpenAi from "../../provider/OpenAi.ts"
import { type Provider } from "../../provider/Provider.ts"
import * as Transport from "../../provider/Transport.ts"
import { type SimulatorError } from "../../simulator/SimulatorError.ts"
import * as SimulatorThread from "../../simulator/SimulatorThread.ts"
import * as PromptMaker from "../../workload/PromptMaker.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import * as Workload from "../../workload/Workload.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type loadTest } from "../flags.ts"
import { Interruption } from "../Interruption.ts"
import { settleHeap } from "../internal/heap.ts"
import { connectionsOf, type Load, type OpenLoad, plannedOf, resolve } from "../internal/load.ts"
import { checkMetadata, conclude, whileRunning } from "../internal/outcome.ts"
import { modelOptions } from "../internal/simulated.ts"

type Input = Command.Command.Config.Infer<typeof loadTest>

/** `20261124T093000Z-k3f9qd`: sorts by time, and differs between runs of one second. */
const newRunId = Effect.gen(function* () {
  const now = yield* DateTime.now
  const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
  const letters = yield* Effect.forEach(Array.from({ length: 6 }), () => Random.nextIntBetween(0, digits.length))
  const time = DateTime.formatIso(now).replaceAll(/[-:]|\.\d+/g, "")
  return `${time}-${letters.map((index) => digits[index]).join("")}`
})

const configOf = (input: Input, runId: string): RunConfig => ({
  model: input.model,
  llmApi: input.llmApi,
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

/** The API under test; a simulated one is started first. */
const providerLayer = (
  input: Input,
  config: RunConfig
): Layer.Layer<Provider, LlmError | SimulatorError | Config.ConfigError, Transport.Transport> => {
  const options = {
    model: config.model,
    endpoint: input.endpoint,
    samplingParams: config.additionalSamplingParams,
    headers: Object.fromEntries(input.header),
    requestId:
      config.requestIdHeader === null ? null : { header: config.requestIdHeader, of: requestIdOf(config.runId) },
    ignoreEos: input.ignoreEos
  }
  switch (input.llmApi) {
    case "openai":
      return OpenAi.layerConfig({ ...options, apiBase: Option.getOrUndefined(input.apiBase) })
    case "simulated":
      return Layer.unwrap(
        Effect.map(
          SimulatorThread.start({
            model: modelOptions(input.sim, config.seed),
            http: { host: "127.0.0.1", port: 0, truth: false, truthLimit: 1 }
          }),
          ({ url }) => OpenAi.layer({ ...options, apiBase: url, apiKey: null })
        )
      )
  }
}

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

/** Ends at the first Ctrl-C, and says what comes now: without a word the grace looks like a hang. */
const userStop = Effect.fnUntraced(function* (config: RunConfig, quiet: boolean) {
  yield* yield* Interruption
  if (quiet) return
  const screen = yield* Screen.detect("stderr")
  // On a terminal, over the line that shows the progress.
  yield* Console.error(
    `${screen.animate ? "\r\u001B[2K" : ""}Stopping: no new requests; those in flight have ${config.graceSeconds} s to end. Ctrl-C again stops at once.`
  )
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

const runLoad = Effect.fnUntraced(function* (load: Load, tokenizer: string | undefined, quiet: boolean) {
  const { config } = load
  const live = LiveStats.make()
  yield* Effect.forkScoped(
    Progress.run({ snapshot: (now) => LiveStats.snapshot(live, now), total: plannedOf(load), quiet })
  )
  const requests = yield* warmUpPlans(load)
  const context = yield* Effect.context<Provider | Transport.Transport | Stdio.Stdio | Terminal.Terminal>()
  const hooks = {
    live,
    userStop: Effect.provideContext(userStop(config, quiet), context),
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
    const tokenizer = input.tokenizer === Tokenizer.llamaName ? undefined : input.tokenizer
    const layer = Layer.mergeAll(
      Tokenizer.layer(tokenizer),
      TokenCounter.layerWorker({ tokenizer }),
      providerLayer(input, config).pipe(
        Layer.provideMerge(Transport.layer({ connectSeconds: input.connectTimeout, idleSeconds: input.idleTimeout }))
      )
    )
    const { load, result } = yield* Effect.gen(function* () {
      const load = yield* resolve(input, config)
      yield* checkMetadata(config.metadata, load)
      return { load, result: yield* runLoad(load, tokenizer, input.quiet) }
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
