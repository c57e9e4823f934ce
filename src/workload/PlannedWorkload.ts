/**
 * What a load test of any length sends: the plans of `Workload.make`, built ahead of those who send them.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { RequestPlan } from "../domain/RequestPlan.ts"
import * as Window from "./internal/window.ts"
import { type BuiltPlan, PlanMaker } from "./PlanMaker.ts"
import type { PromptError } from "./Prompt.ts"
import type { TokenizerError } from "./Tokenizer.ts"

/**
 * - `maximumPrompts`: how many prompts wait at most; 4,096 when left out
 * - `maximumTokens`: how many tokens they have together at most, about 5 bytes each; 8,000,000 when left out. Up to four
 *   prompts wait whatever their length
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly maximumPrompts?: number | undefined
  readonly maximumTokens?: number | undefined
}

/**
 * What became of the plans that were handed out so far; changes as they are. In the end the same as in `Workload.Workload`.
 *
 * - `plans`: how many
 * - `inexactPrompts`: those whose `inputTokens` are not their `targetInputTokens`
 * - `redrawnInputTokens`, `redrawnOutputTokens`: lengths that were thrown away for them
 *
 * @category models
 * @since 0.2.0
 */
export interface Counts {
  readonly plans: number
  readonly inexactPrompts: number
  readonly redrawnInputTokens: number
  readonly redrawnOutputTokens: number
}

/**
 * - `plans`: every plan once, in the order of its number, from those that wait. To be run once. When a prompt can't be built, the
 *   stream fails after the last plan before its batch
 * - `ready`: ends when as many plans wait as may, or all are built. Wait for it before the clock of the run starts. Fails when a
 *   prompt can't be built before that
 * - `waiting()`: how many plans wait now, or are being built, and their tokens
 * - `counts`: live
 *
 * @category models
 * @since 0.2.0
 */
export interface PlannedWorkload {
  readonly plans: Stream.Stream<RequestPlan, PromptError | TokenizerError>
  readonly ready: Effect.Effect<void, PromptError | TokenizerError>
  readonly waiting: () => { readonly prompts: number; readonly tokens: number }
  readonly counts: Counts
}

/**
 * Begins to build plans, batch by batch, in a fiber that ends with the scope, and goes on as they are taken. A plan is let go of when
 * it is handed out.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("PlannedWorkload.make")(function* (
  options: Options = {}
): Effect.fn.Return<PlannedWorkload, never, PlanMaker | Scope.Scope> {
  const maker = yield* PlanMaker
  const counts = { plans: 0, inexactPrompts: 0, redrawnInputTokens: 0, redrawnOutputTokens: 0 }
  let built = 0
  // Of the first plan nothing is known
  let nextTokens = maker.count > 0 ? 0 : null

  const source: Window.Source<BuiltPlan> = {
    next: (most) => {
      if (nextTokens === null) return null
      return nextTokens < most.tokens
        ? { prompts: Math.min(most.prompts, maker.count - built), tokens: most.tokens }
        : { prompts: 1, tokens: nextTokens }
    },
    build: ({ prompts, tokens }) =>
      Effect.map(maker.build({ from: built + 1, prompts, tokens }), (batch) => {
        built += batch.plans.length
        nextTokens = batch.nextTokens
        return batch.plans
      }),
    taken: ({ plan, redrawnInputTokens, redrawnOutputTokens }) => {
      counts.plans++
      if (plan.inputTokens !== plan.targetInputTokens) counts.inexactPrompts++
      counts.redrawnInputTokens += redrawnInputTokens
      counts.redrawnOutputTokens += redrawnOutputTokens
    }
  }
  return { ...(yield* Window.make(source, options)), counts }
})
