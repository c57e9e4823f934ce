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
import { type RequestPlan } from "../domain/RequestPlan.ts"
import { type LoadTestConfig } from "../domain/RunConfig.ts"
import type * as Ndjson from "../output/Ndjson.ts"
import { type OutputError } from "../output/OutputError.ts"
import * as ResultFiles from "../output/ResultFiles.ts"
import * as RunDirectory from "../output/RunDirectory.ts"
import { type Provider } from "../provider/Provider.ts"
import { type PromptError } from "../workload/Prompt.ts"
import { type TokenCounter } from "../workload/TokenCounter.ts"
import { type Tokenizer } from "../workload/Tokenizer.ts"
import * as Workload from "../workload/Workload.ts"
import * as ClosedLoop from "./ClosedLoop.ts"
import { measuredRun } from "./internal/measuredRun.ts"
import { type RunHooks } from "./RunHooks.ts"
import { type RunResult } from "./RunResult.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends RunHooks {
  readonly config: LoadTestConfig
}

/**
 * Runs the test. It fails before anything is sent when a prompt cannot be built (`PromptError`) or the results folder
 * cannot be written to (`OutputError`); a request that fails is a row, never a failure of the test. Interrupting it cancels
 * the requests in flight and still writes the rows of all that ended.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fn("LoadTest.run")(function* (
  options: Options
): Effect.fn.Return<
  RunResult,
  PromptError | OutputError | Ndjson.RecordsError,
  Provider | Tokenizer | TokenCounter | FileSystem.FileSystem | Path.Path | Scope.Scope
> {
  const { config, ...hooks } = options
  const directory = config.resultsDir === null ? null : yield* RunDirectory.open(config.resultsDir)
  const { plans, ...workload } = yield* Effect.map(
    Workload.make({ ...config, count: config.maxNumCompletedRequests }),
    (planned) => ({ ...planned, plans: takenOut([...planned.plans]) })
  )
  return yield* measuredRun({
    ...hooks,
    settings: config,
    directory,
    planned: config.maxNumCompletedRequests,
    openLoop: false,
    logsSent: false,
    ready: Effect.void,
    loop: ({ runner, stop }) => ClosedLoop.run({ plans, concurrency: config.numConcurrentRequests, stop, runner }),
    account: {
      files: ResultFiles.names(config.model, config.meanInputTokens, config.meanOutputTokens),
      resultsPrefix: "results_",
      parameters: ResultFiles.parameters(config),
      details: {
        prompt_mode: config.promptMode,
        seed: config.seed,
        max_num_completed_requests: config.maxNumCompletedRequests,
        timeout_s: config.timeoutSeconds,
        request_timeout_s: config.requestTimeoutSeconds,
        inexact_prompts: workload.inexactPrompts,
        redrawn_input_tokens: workload.redrawnInputTokens,
        redrawn_output_tokens: workload.redrawnOutputTokens
      }
    },
    lateDetails: () => ({})
  })
})

/** Hands out plans and lets go of them, so that prompts that have been sent take no memory. */
function* takenOut(plans: Array<RequestPlan | undefined>): Generator<RequestPlan> {
  for (let index = 0; index < plans.length; index++) {
    const plan = plans[index]
    plans[index] = undefined
    if (plan !== undefined) yield plan
  }
}
