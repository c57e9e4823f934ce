import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { type Command } from "effect/cli"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type CorrectnessConfig } from "../../domain/RunConfig.ts"
import * as Correctness from "../../engine/Correctness.ts"
import * as WarmUp from "../../engine/WarmUp.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Report from "../../output/CorrectnessConsole.ts"
import * as CorrectnessFiles from "../../output/CorrectnessFiles.ts"
import * as Progress from "../../output/Progress.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import * as Screen from "../../output/Screen.ts"
import { Provider } from "../../provider/Provider.ts"
import * as Transport from "../../provider/Transport.ts"
import * as CorrectnessWorkload from "../../workload/CorrectnessWorkload.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import { CommandError, usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { type correctnessFlags } from "../internal/correctnessFlags.ts"
import { settleHeap } from "../internal/heap.ts"
import { newRunId } from "../internal/newRunId.ts"
import * as Network from "../internal/network.ts"
import * as OwnProvider from "../internal/ownProvider.ts"
import * as Providers from "../internal/providers.ts"
import { userStop } from "../internal/userStop.ts"

type Input = Command.Command.Config.Infer<typeof correctnessFlags>

const configOf = (input: Input, runId: string): CorrectnessConfig => ({
  model: input.model,
  llmApi: OwnProvider.llmApiOf(input),
  numConcurrentRequests: input.numConcurrentRequests,
  maxNumCompletedRequests: input.maxNumCompletedRequests,
  timeoutSeconds: input.timeout,
  graceSeconds: input.grace,
  requestTimeoutSeconds: input.requestTimeout,
  additionalSamplingParams: input.additionalSamplingParams,
  metadata: Object.fromEntries(input.metadata.flat()),
  seed: input.seed,
  warmup: input.warmup,
  warmupRequests: input.warmupRequests,
  requestIdHeader: input.requestIdHeader,
  runId,
  resultsDir: Option.getOrNull(input.resultsDir)
})

const checkMetadata = ({ metadata }: CorrectnessConfig) => {
  const reserved = CorrectnessFiles.reservedMetadata(metadata)
  return reserved.length === 0
    ? Effect.void
    : Effect.fail(usage(`--metadata may not set ${reserved.join(", ")}: those are names of results`))
}

const providerLayer = (input: Input, config: CorrectnessConfig) =>
  Providers.layer(
    { ...input, ignoreEos: false },
    { ...config, additionalSamplingParams: Correctness.samplingParams(config.additionalSamplingParams) }
  )

/** Other questions than those of the test. */
const warmUpPlans = Effect.fnUntraced(function* ({ seed, warmupRequests }: CorrectnessConfig) {
  const { plans } = yield* CorrectnessWorkload.make({ count: warmupRequests, seed: seed + 1 })
  return plans.map((plan): RequestPlan => Object.assign({}, plan, { id: -plan.id }))
})

const runTest = Effect.fnUntraced(function* (config: CorrectnessConfig, network: Network.Network, quiet: boolean) {
  const { maxNumCompletedRequests, numConcurrentRequests, requestTimeoutSeconds, warmup } = config
  const live = LiveStats.make()
  yield* Effect.forkScoped(
    Progress.run({ snapshot: (now) => LiveStats.snapshot(live, now), total: maxNumCompletedRequests, quiet })
  )
  const requests = yield* warmUpPlans(config)
  const context = yield* Effect.context<Provider | Transport.Transport | Stdio.Stdio | Terminal.Terminal>()
  const warmUp = WarmUp.run({
    client: warmup,
    concurrency: Math.min(numConcurrentRequests, maxNumCompletedRequests),
    requests,
    requestTimeoutSeconds
  })
  return yield* Correctness.run({
    config,
    details: { network: network.facts((yield* Provider).origin) },
    live,
    userStop: Effect.provideContext(userStop(config.graceSeconds, quiet), context),
    warmUp: warmup || requests.length > 0 ? Effect.provideContext(warmUp, context) : undefined
  })
}, Effect.scoped)

const remarks = (
  { notSent, stopped, uncounted }: Correctness.CorrectnessResult,
  config: CorrectnessConfig
): ReadonlyArray<string> => [
  ...(stopped === "timeout"
    ? [
        `Test timed out before all requests could be completed: ${notSent} were not sent (--timeout ${config.timeoutSeconds}s).`
      ]
    : []),
  ...(stopped === "interrupted" ? [`Interrupted: ${notSent} requests were not sent.`] : []),
  ...(uncounted === null ? [] : [`Some answers could not be counted: ${uncounted.message}`])
]

const show = Effect.fnUntraced(function* (
  input: Input,
  config: CorrectnessConfig,
  result: Correctness.CorrectnessResult
) {
  if (input.json) yield* Console.log(ResultFiles.stringify(result.document).trimEnd())
  if (input.quiet) return
  const { llmApi, model, numConcurrentRequests, runId } = config
  // With --json, standard output belongs to the data.
  const stream = input.json ? "stderr" : "stdout"
  const text = Report.render(
    {
      ...result,
      title: `Correctness test of ${model} (${llmApi}), ${numConcurrentRequests} in flight, run ${runId}`,
      remarks: remarks(result, config)
    },
    yield* Screen.detect(stream)
  ).trimEnd()
  yield* input.json ? Console.error(text) : Console.log(text)
})

/** Why the test has failed, if it has one of the conditions for that. */
const failedCondition = (input: Input, { correctness }: Correctness.CorrectnessResult): string | undefined => {
  if (Option.isNone(input.maxMismatchRate)) return undefined
  const rate = correctness.answer_mismatch_rate
  const limit = input.maxMismatchRate.value
  const allowed = `--max-mismatch-rate allows ${Number((limit * 100).toPrecision(6))} %`
  if (rate === null) return `Nothing was answered, and ${allowed} of the answers to be wrong.`
  return rate > limit ? `${(rate * 100).toFixed(1)} % of the answers are wrong; ${allowed}.` : undefined
}

/** Shows the result, and ends with the exit code that fits. */
const conclude = Effect.fnUntraced(function* (
  input: Input,
  config: CorrectnessConfig,
  result: Correctness.CorrectnessResult
) {
  yield* show(input, config, result)
  if (result.stopped === "interrupted") return yield* new Ended({ exitCode: ExitCode.interrupted })
  const { num_completed_requests: completed, num_requests_started: started } = result.summary
  if (completed === 0 && started > 0) return yield* new Ended({ exitCode: ExitCode.failed })
  const failed = failedCondition(input, result)
  if (failed !== undefined) return yield* new CommandError({ description: failed, exitCode: ExitCode.failed })
})

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("correctness")(
  function* (input: Input) {
    yield* settleHeap
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const config = configOf(input, runId)
    yield* checkMetadata(config)
    const network = yield* Network.resolve(input, input.llmApi === "simulated" && Option.isNone(input.provider))
    const tokenizer = input.tokenizer === Tokenizer.llamaName ? undefined : input.tokenizer
    const layer = Layer.mergeAll(
      Tokenizer.layer(tokenizer),
      TokenCounter.layerWorker({ tokenizer }),
      providerLayer(input, config).pipe(
        Layer.provideMerge(Transport.layer({ ...network.options, idleSeconds: input.idleTimeout }))
      )
    )
    const result = yield* Effect.provide(runTest(config, network, input.quiet), layer)
    yield* conclude(input, config, result)
  },
  Effect.catchTags({
    LlmError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    ConfigError: (error) => Effect.fail(usage(error.message)),
    SimulatorError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
