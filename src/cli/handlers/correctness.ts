import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { type CorrectnessConfig } from "../../domain/RunConfig.ts"
import * as Correctness from "../../engine/Correctness.ts"
import * as Threshold from "../../metrics/Threshold.ts"
import { type Asked } from "../../output/Console.ts"
import * as Report from "../../output/CorrectnessConsole.ts"
import * as CorrectnessFiles from "../../output/CorrectnessFiles.ts"
import * as ThresholdReport from "../../output/ThresholdReport.ts"
import * as CorrectnessWorkload from "../../workload/CorrectnessWorkload.ts"
import { CommandError, usage } from "../CommandError.ts"
import { ExitCode } from "../ExitCode.ts"
import { type correctnessFlags } from "../internal/correctnessFlags.ts"
import { settleHeap } from "../internal/heap.ts"
import { newRunId } from "../internal/newRunId.ts"
import type * as Network from "../internal/network.ts"
import * as Outcome from "../internal/outcome.ts"
import * as Providers from "../internal/providers.ts"
import { replacedPrompt } from "../internal/replacedPrompt.ts"
import { writeReport } from "../internal/reportBeside.ts"
import { seedOf } from "../internal/seed.ts"
import * as Surroundings from "../internal/surroundings.ts"
import { endBy, thresholdsOfTest } from "../internal/thresholdFlags.ts"
import { userStop } from "../internal/userStop.ts"
import { limitsOf } from "../internal/verdictFlags.ts"

type Input = Command.Command.Config.Infer<typeof correctnessFlags>

const configOf = (input: Input, run: Pick<CorrectnessConfig, "runId" | "seed">): CorrectnessConfig => ({
  ...Surroundings.configOf(input, run),
  countTokens: input.countTokens.value,
  numConcurrentRequests: input.numConcurrentRequests,
  maxNumCompletedRequests: input.maxNumCompletedRequests,
  timeoutSeconds: input.timeout
})

const providerLayer = (input: Input, config: CorrectnessConfig) =>
  Providers.layer(
    { ...input, ignoreEos: false, usagePerChunk: false },
    {
      ...config,
      tokenizer: input.tokenizer,
      additionalSamplingParams: Correctness.samplingParams(config.additionalSamplingParams)
    }
  )

/** Other questions than those of the test. */
const warmUpPlans = Effect.fnUntraced(function* ({ seed, warmupRequests }: CorrectnessConfig) {
  const { plans } = yield* CorrectnessWorkload.make({ count: warmupRequests, seed: seed + 1 })
  return Surroundings.forWarmUp(plans)
})

const runTest = Effect.fnUntraced(function* (
  input: Input,
  config: CorrectnessConfig,
  network: Network.Network,
  thresholds: ReadonlyArray<Threshold.Threshold>,
  stop: Effect.Effect<void>
) {
  const { maxNumCompletedRequests, numConcurrentRequests } = config
  const hooks = yield* Surroundings.hooks({
    config,
    total: maxNumCompletedRequests,
    connections: Math.min(numConcurrentRequests, maxNumCompletedRequests),
    requests: yield* warmUpPlans(config),
    network,
    limits: limitsOf(input.verdictLimit),
    abortOnErrors: input.abortOnErrors,
    quiet: input.quiet
  })
  const recovery = Outcome.recoverable()
  const running = Correctness.run({
    ...hooks,
    outputs: [recovery.output],
    userStop: stop,
    config,
    ofAnswers: (run, correctness) =>
      thresholds.length === 0
        ? {}
        : { thresholds: ThresholdReport.document(Threshold.check(thresholds, { ...run, correctness })) }
  })
  return { ...(yield* recovery.told(running)), asked: yield* Outcome.asked }
}, Effect.scoped)

/** Why the test has failed, if it has one of the conditions for that. */
const failedCondition = (input: Input, { correctness }: Correctness.CorrectnessResult): string | undefined => {
  if (Option.isNone(input.maxMismatchRate)) return undefined
  const rate = correctness.answer_mismatch_rate
  const limit = input.maxMismatchRate.value
  const allowed = `--max-mismatch-rate allows ${Number((limit * 100).toPrecision(6))} %`
  if (rate === null) return `Nothing was answered, and ${allowed} of the answers to be wrong.`
  return rate > limit ? `${(rate * 100).toFixed(1)} % of the answers are wrong; ${allowed}.` : undefined
}

const titleOf = ({ llmApi, model, numConcurrentRequests, runId, seed }: CorrectnessConfig): string =>
  `Correctness test of ${model} (${llmApi}), ${numConcurrentRequests} in flight, run ${runId}, seed ${seed}`

/** Shows the result, and ends with the exit code that fits. */
const conclude = Effect.fnUntraced(function* (
  input: Input,
  config: CorrectnessConfig,
  result: Correctness.CorrectnessResult & { readonly asked: Asked },
  thresholds: ReadonlyArray<Threshold.Threshold>
) {
  const remarks = Outcome.remarks(result, { flag: "--timeout", seconds: config.timeoutSeconds })
  const checked = Threshold.check(thresholds, result)
  yield* Outcome.show(
    input,
    result,
    (screen) => {
      const judged = ThresholdReport.render(checked, { ...screen, allowUnknown: input.allowUnknown })
      const shown = Report.render(
        { ...result, title: titleOf(config), remarks, cache: Outcome.cacheOf(result) },
        screen
      )
      return judged === "" ? shown : `${shown}\n${judged}`
    },
    Outcome.gates(result, checked, input)
  )
  yield* Outcome.end(result, input.strict)
  const failed = failedCondition(input, result)
  if (failed !== undefined) return yield* new CommandError({ description: failed, exitCode: ExitCode.failed })
  return yield* endBy(checked, input)
})

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("correctness")(
  function* (input: Input) {
    yield* settleHeap
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const config = configOf(input, { runId, seed: yield* seedOf(input) })
    yield* Outcome.refuse(CorrectnessFiles.reservedMetadata(config.metadata))
    if (replacedPrompt({ ...input, ignoreEos: false, usagePerChunk: false }, config.additionalSamplingParams) !== null)
      return yield* usage("--additional-sampling-params would replace the questions of the test")
    const thresholds = yield* thresholdsOfTest(input)
    if (input.report && config.resultsDir === null)
      return yield* usage("--report lies with the results: give --results-dir")
    const network = yield* Surroundings.networkOf(input)
    const layer = Surroundings.layer({
      tokenizer: Surroundings.tokenizerOf(input),
      provider: providerLayer(input, config),
      network,
      idleSeconds: input.idleTimeout
    })
    const { whileSending: stop } = yield* userStop(config.graceSeconds, input.quiet)
    const result = yield* Effect.provide(runTest(input, config, network, thresholds, stop), layer)
    const report = input.report ? yield* writeReport(result) : []
    yield* conclude(input, config, { ...result, files: [...result.files, ...report] }, thresholds)
  },
  Effect.scoped,
  Effect.catchTags({
    LlmError: (error) => Effect.fail(usage(error.message)),
    TokenizerError: (error) => Effect.fail(usage(error.message)),
    ConfigError: (error) => Effect.fail(usage(error.message)),
    SimulatorError: (error) => Effect.fail(usage(error.message)),
    RecordsError: (error) => Effect.fail(new CommandError({ description: error.message, exitCode: ExitCode.output }))
  })
)
