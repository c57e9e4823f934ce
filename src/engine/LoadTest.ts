/**
 * The load test: plans its requests, keeps the asked number of them in flight, and folds what comes back into a summary
 * and files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type * as Scope from "effect/Scope"
import { type LoadTestConfig } from "../domain/RunConfig.ts"
import type * as Ndjson from "../output/Ndjson.ts"
import { type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import { type FolderInUse } from "../output/RunLock.ts"
import { type Provider } from "../provider/Provider.ts"
import { type PromptError } from "../workload/Prompt.ts"
import { layerInline, type Options as PlanMakerOptions, PlanMaker } from "../workload/PlanMaker.ts"
import * as PlannedWorkload from "../workload/PlannedWorkload.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type Tokenizer, type TokenizerError } from "../workload/Tokenizer.ts"
import { expectedLengths } from "../workload/Workload.ts"
import { sent, sharedPrompts } from "./internal/sentPrompts.ts"
import * as Run from "./Run.ts"
import { type MakeSender } from "./Sender.ts"
import { type RunResult } from "./RunResult.ts"

/**
 * - `planMaker`: who builds what is sent, for this `config`; without one this thread does, which holds up a run of more than 4,096
 *   requests: see `PlanMaker.layerWorker`
 * - `sender`: who sends: `FleetSender.make` of some agents, or one of your own; without one this thread does
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never> extends Run.Options {
  readonly config: LoadTestConfig
  readonly planMaker?: PlanMaker["Service"] | undefined
  readonly sender?: MakeSender<E> | undefined
}

/**
 * What a `PlanMaker` for such a test is made with.
 *
 * @category constructors
 * @since 0.2.0
 */
export const planOptions = (config: LoadTestConfig): PlanMakerOptions => ({
  count: config.maxNumCompletedRequests,
  seed: config.seed,
  meanInputTokens: config.meanInputTokens,
  stddevInputTokens: config.stddevInputTokens,
  meanOutputTokens: config.meanOutputTokens,
  stddevOutputTokens: config.stddevOutputTokens,
  promptMode: config.promptMode,
  samePrompts: config.samePrompts
})

/**
 * Runs the test. It fails before anything is sent when one of the first prompts cannot be built (`PromptError`), the results
 * folder cannot be written to (`OutputError`), or an agent of the fleet cannot be made ready; when a later prompt cannot be
 * built, it fails once the requests in flight have ended. A request that fails is a row, never a failure of the test.
 * Interrupting it cancels the requests in flight and still writes the rows of all that ended.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("LoadTest.run")(function* <E = never>(
  options: Options<E>
): Effect.fn.Return<
  RunResult,
  E | PromptError | TokenizerError | OutputError | FolderInUse | Ndjson.RecordsError,
  Provider | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { config, planMaker, ...others } = options
  const directory = config.resultsDir === null ? null : yield* RunDirectory.open(config.resultsDir)
  const workload = yield* planMaker === undefined
    ? Effect.provide(PlannedWorkload.make(), layerInline(planOptions(config)))
    : Effect.provideService(PlannedWorkload.make(), PlanMaker, planMaker)
  return yield* Run.run<E | PromptError | TokenizerError, never>({
    ...others,
    settings: config,
    directory,
    load: {
      loop: { _tag: "Closed", concurrency: config.numConcurrentRequests },
      planned: config.maxNumCompletedRequests,
      plans: yield* sent(workload.plans, others.replaced),
      ready: workload.ready
    },
    logsSent: false,
    description: {
      files: ResultFiles.names(config.model, config.meanInputTokens, config.meanOutputTokens),
      resultsPrefix: "results_",
      sharedPrompts: sharedPrompts({ ...config, replaced: others.replaced ?? null, blocks: false }),
      parameters: ResultFiles.parameters(config),
      details: {
        prompt_mode: config.promptMode,
        seed: config.seed,
        ...ResultFiles.expectedLengths(yield* expectedLengths(config)),
        max_num_completed_requests: config.maxNumCompletedRequests,
        timeout_s: config.timeoutSeconds,
        request_timeout_s: config.requestTimeoutSeconds
      }
    },
    facts: () => ({
      details: {
        inexact_prompts: workload.counts.inexactPrompts,
        redrawn_input_tokens: workload.counts.redrawnInputTokens,
        redrawn_output_tokens: workload.counts.redrawnOutputTokens
      }
    })
  })
})
