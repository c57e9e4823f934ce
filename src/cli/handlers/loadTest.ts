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
import { type LoadTestConfig } from "../../domain/RunConfig.ts"
import * as LoadTest from "../../engine/LoadTest.ts"
import * as WarmUp from "../../engine/WarmUp.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Report from "../../output/Console.ts"
import * as Progress from "../../output/Progress.ts"
import * as ResultFiles from "../../output/ResultFiles.ts"
import * as Screen from "../../output/Screen.ts"
import * as OpenAi from "../../provider/OpenAi.ts"
import { type Provider } from "../../provider/Provider.ts"
import * as Transport from "../../provider/Transport.ts"
import { type SimulatorError } from "../../simulator/SimulatorError.ts"
import * as SimulatorThread from "../../simulator/SimulatorThread.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import * as Workload from "../../workload/Workload.ts"
import { CommandError, usage } from "../CommandError.ts"
import { Ended, ExitCode } from "../ExitCode.ts"
import { type loadTest } from "../flags.ts"
import { Interruption } from "../Interruption.ts"
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

const configOf = (input: Input, runId: string): LoadTestConfig => ({
  model: input.model,
  llmApi: input.llmApi,
  meanInputTokens: input.meanInputTokens,
  stddevInputTokens: input.stddevInputTokens,
  meanOutputTokens: input.meanOutputTokens,
  stddevOutputTokens: input.stddevOutputTokens,
  numConcurrentRequests: input.numConcurrentRequests,
  maxNumCompletedRequests: input.maxNumCompletedRequests,
  timeoutSeconds: input.timeout,
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
  config: LoadTestConfig
): Layer.Layer<Provider, LlmError | SimulatorError | Config.ConfigError, Transport.Transport> => {
  const options = {
    model: config.model,
    endpoint: input.endpoint,
    samplingParams: config.additionalSamplingParams,
    headers: Object.fromEntries(input.header),
    requestId:
      config.requestIdHeader === null
        ? null
        : { header: config.requestIdHeader, of: LoadTest.requestIdOf(config.runId) },
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

/** Prompts for real warm-up requests: of the same lengths, but none that the test itself will send. */
const warmUpPlans = Effect.fnUntraced(function* (config: LoadTestConfig) {
  if (config.warmupRequests === 0) return []
  const workload = yield* Workload.make({ ...config, seed: config.seed + 1, count: config.warmupRequests })
  return workload.plans.map((plan): RequestPlan => Object.assign({}, plan, { id: -plan.id }))
})

/** Ends at the first Ctrl-C, and says what comes now: without a word the grace looks like a hang. */
const userStop = Effect.fnUntraced(function* (config: LoadTestConfig, quiet: boolean) {
  yield* yield* Interruption
  if (quiet) return
  const screen = yield* Screen.detect("stderr")
  // On a terminal, over the line that shows the progress.
  yield* Console.error(
    `${screen.animate ? "\r\u001B[2K" : ""}Stopping: no new requests; those in flight have ${config.graceSeconds} s to end. Ctrl-C again stops at once.`
  )
})

const runTest = Effect.fnUntraced(function* (config: LoadTestConfig, quiet: boolean) {
  const live = LiveStats.make()
  yield* Effect.forkScoped(
    Progress.run({
      snapshot: (now) => LiveStats.snapshot(live, now),
      total: config.maxNumCompletedRequests,
      quiet
    })
  )
  const requests = yield* warmUpPlans(config)
  const concurrency = Math.min(config.numConcurrentRequests, config.maxNumCompletedRequests)
  const context = yield* Effect.context<Provider | Transport.Transport | Stdio.Stdio | Terminal.Terminal>()
  return yield* LoadTest.run({
    config,
    live,
    userStop: Effect.provideContext(userStop(config, quiet), context),
    warmUp:
      config.warmup || requests.length > 0
        ? Effect.provideContext(
            WarmUp.run({
              client: config.warmup,
              concurrency,
              requests,
              requestTimeoutSeconds: config.requestTimeoutSeconds
            }),
            context
          )
        : undefined
  })
}, Effect.scoped)

const remarks = (result: LoadTest.LoadTestResult, config: LoadTestConfig): ReadonlyArray<string> => [
  ...(result.stopped === "timeout"
    ? [
        `Test timed out before all requests could be completed: ${result.notSent} were not sent (--timeout ${config.timeoutSeconds}s).`
      ]
    : []),
  ...(result.stopped === "interrupted" ? [`Interrupted: ${result.notSent} requests were not sent.`] : []),
  ...(result.uncounted === null ? [] : [`Some answers could not be counted: ${result.uncounted.message}`])
]

const present = Effect.fnUntraced(function* (input: Input, config: LoadTestConfig, result: LoadTest.LoadTestResult) {
  if (input.json) yield* Console.log(ResultFiles.stringify(result.document).trimEnd())
  if (!input.quiet) {
    // With --json, standard output belongs to the data.
    const stream = input.json ? "stderr" : "stdout"
    const screen = yield* Screen.detect(stream)
    const text = Report.render(
      {
        title: `Load test of ${config.model} (${config.llmApi}), ${config.numConcurrentRequests} in flight, run ${config.runId}`,
        summary: result.summary,
        remarks: remarks(result, config),
        files: result.files === null ? undefined : Object.values(result.files)
      },
      screen
    )
    yield* stream === "stderr" ? Console.error(text.trimEnd()) : Console.log(text.trimEnd())
  }
})

const checkMetadata = (config: LoadTestConfig) => {
  const reserved = ResultFiles.reservedMetadata(config.metadata, "results_")
  return reserved.length === 0
    ? Effect.void
    : Effect.fail(usage(`--metadata may not set ${reserved.join(", ")}: those are names of results`))
}

/** Runs the test, shows it, and ends with the exit code that fits. */
export const handle = Effect.fn("loadTest")(
  function* (input: Input) {
    const runId = Option.isSome(input.runId) ? input.runId.value : yield* newRunId
    const config = configOf(input, runId)
    yield* checkMetadata(config)
    const tokenizer = input.tokenizer === Tokenizer.llamaName ? undefined : input.tokenizer
    const layer = Layer.mergeAll(
      Tokenizer.layer(tokenizer),
      TokenCounter.layerWorker({ tokenizer }),
      providerLayer(input, config).pipe(
        Layer.provideMerge(Transport.layer({ connectSeconds: input.connectTimeout, idleSeconds: input.idleTimeout }))
      )
    )
    const result = yield* Effect.provide(runTest(config, input.quiet), layer)
    yield* present(input, config, result)
    const { num_completed_requests: completed, num_requests_started: started } = result.summary
    if (result.stopped === "interrupted") {
      return yield* new Ended({ exitCode: ExitCode.interrupted })
    }
    if (completed === 0 && started > 0) {
      return yield* new Ended({ exitCode: ExitCode.failed })
    }
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
