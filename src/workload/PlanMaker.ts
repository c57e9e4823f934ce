/**
 * Builds the plans of a closed loop a few at a time, and without holding up the thread that reads sockets: all of a run of a
 * million requests would take hundreds of megabytes and minutes before the first is sent.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Planner from "./internal/planner.ts"
import * as Thread from "./internal/thread.ts"
import * as WorkerPlanner from "./internal/WorkerPlanner.ts"
import { attempt } from "./internal/wrong.ts"
import type { PromptError } from "./Prompt.ts"
import { llamaName, Tokenizer, type TokenizerError } from "./Tokenizer.ts"

/**
 * What decides the plans: as in `Workload.Options`. `count` may be infinite.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends Planner.Options {}

/**
 * A plan as `Workload.make` gives it, and how many lengths in tokens were thrown away for it.
 *
 * @category models
 * @since 0.2.0
 */
export interface BuiltPlan extends Planner.BuiltPlan {}

/**
 * What to build: at most `prompts` plans from number `from` on (the first is 1), and beyond the first of them only as long as they
 * have no more than `tokens` input tokens together.
 *
 * @category models
 * @since 0.2.0
 */
export interface Ask extends Planner.Ask {}

/**
 * Plans in their order. `nextTokens`: how many input tokens the one after these is to have, `null` when these end the run.
 *
 * @category models
 * @since 0.2.0
 */
export interface Batch extends Planner.Batch {}

/**
 * The maker of a run.
 *
 * - `count`: how many plans there are
 * - `build(ask)`: the plans that `Workload.make` gives at these places. What is asked before makes no difference but to the time: a
 *   call that goes on where the last one ended is quick, any other begins again with the first plan. Fails as `Workload.make` does
 *   when one of these plans can't be built
 *
 * @category services
 * @since 0.2.0
 */
export class PlanMaker extends Context.Service<
  PlanMaker,
  {
    readonly count: number
    readonly build: (ask: Ask) => Effect.Effect<Batch, PromptError | TokenizerError>
  }
>()("llmperf/workload/PlanMaker") {}

/**
 * Builds at once, on the calling thread, with the `Tokenizer` of the run. For virtual time, where a thread would answer
 * outside the clock, and for tests.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerInline = (options: Options): Layer.Layer<PlanMaker, never, Tokenizer> =>
  Layer.effect(
    PlanMaker,
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer
      const trying = attempt(tokenizer.name)
      const made = yield* Effect.cached(trying(() => Planner.make(options, tokenizer)))
      return PlanMaker.of({
        count: options.count,
        build: (ask) =>
          Effect.flatMap(made, ({ build }) =>
            Effect.flatMap(
              trying(() => build(ask)),
              Effect.fromResult
            )
          )
      })
    })
  )

/**
 * Builds on a worker thread of its own, with Llama's tokenizer or the one named (see `Tokenizer.layer`): the same bytes as
 * `layerInline`.
 *
 * The layer does not wait for the thread, which starts and loads the tokenizer beside. One batch goes over at a time, in the
 * order of the calls. When the tokenizer can't be loaded or the thread dies, every call fails with a `TokenizerError`.
 * Closing the scope ends the thread once it is done with its batch, and calls that still wait fail.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerWorker = (
  options: Options & { readonly tokenizer?: string | undefined }
): Layer.Layer<PlanMaker, TokenizerError> => {
  const { tokenizer = llamaName, ...rest } = options
  const workerData: typeof WorkerPlanner.WorkerData.Type = { tokenizer, options: rest }
  return Layer.effect(
    PlanMaker,
    Effect.map(WorkerPlanner.make(tokenizer), (build) => PlanMaker.of({ count: options.count, build }))
  ).pipe(
    Layer.provide(
      Thread.layer({ name: "llmperf-plans", moduleUrl: import.meta.url, script: "PlanMakerWorker", workerData })
    )
  )
}
