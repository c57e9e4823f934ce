/**
 * What a load test sends: a plan of requests, decided by one seed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { RequestPlan } from "../domain/RequestPlan.ts"
import * as Planner from "./internal/planner.ts"
import * as Lengths from "./Lengths.ts"
import * as Prompt from "./Prompt.ts"
import { Tokenizer } from "./Tokenizer.ts"

/**
 * What decides a workload. All lengths are in tokens; `seed` is an integer. `samePrompts`: whether all prompts, those of other runs
 * too, may begin with the same instruction; each begins with words of its own otherwise, in `exact` mode.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Planner.Options {}

/**
 * A planned workload.
 *
 * Lengths are drawn from a normal distribution and drawn again when they are too small (below one token of output, below
 * the smallest possible prompt for the input, or in `exact` mode so close above it that no new text is left). What
 * remains is a truncated distribution, whose mean lies above the one asked for. How often that happened is counted:
 *
 * - `redrawnInputTokens`, `redrawnOutputTokens`: lengths that were thrown away
 * - `inexactPrompts`: prompts whose `inputTokens` are not their `targetInputTokens`. In `llmperf` mode nearly all are; in
 *   `exact` mode only those for which the tokenizer allows no exact text
 *
 * @category models
 * @since 0.1.0
 */
export interface Workload {
  readonly plans: ReadonlyArray<RequestPlan>
  readonly redrawnInputTokens: number
  readonly redrawnOutputTokens: number
  readonly inexactPrompts: number
}

/**
 * What the lengths of a workload come to, in tokens.
 *
 * @category models
 * @since 0.2.0
 */
export interface ExpectedLengths {
  readonly input: Lengths.Distribution
  readonly output: Lengths.Distribution
  readonly minimumInputTokens: number
}

/**
 * The lengths that are to be expected of a workload: lengths that are too small are drawn again, so that what is left is longer on
 * average and varies less than was asked for. `minimumInputTokens` is the smallest prompt that asks for the mean number of output
 * tokens.
 *
 * @category getters
 * @since 0.2.0
 */
export const expectedLengths = (options: Omit<Options, "count">): Effect.Effect<ExpectedLengths, never, Tokenizer> =>
  Effect.map(Tokenizer, (tokenizer) => {
    const { promptMode, samePrompts = false, seed } = options
    const prompts = Prompt.make(promptMode, tokenizer, { nonceSeed: samePrompts ? undefined : seed })
    const minimumInputTokens = prompts.minimumInputTokens(options.meanOutputTokens)
    return {
      input: Lengths.expected({ mean: options.meanInputTokens, stddev: options.stddevInputTokens }, minimumInputTokens),
      output: Lengths.expected({ mean: options.meanOutputTokens, stddev: options.stddevOutputTokens }, 1),
      minimumInputTokens
    }
  })

// Between two turns of the event loop when many prompts are built.
const PROMPTS_PER_TURN = 32

/**
 * Plans `count` requests, numbered from 1, without due times (a closed loop). Everything is built before it returns;
 * the event loop gets a turn now and then. `PlannedWorkload` gives the same plans little by little.
 *
 * The order of draws is LLMPerf's: for each request the output length, the input length, the order of the lines.
 * Fails with `TooShort` when the mean input length is below the smallest possible prompt, which the message gives;
 * with `ImpossibleLength` when a distribution gives no usable length; with `NotDistinct` when no new text is left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("Workload.make")(function* (
  options: Options
): Effect.fn.Return<Workload, Prompt.PromptError, Tokenizer> {
  const planner = Planner.make(options, yield* Tokenizer)
  const plans: Array<RequestPlan> = []
  let redrawnInputTokens = 0
  let redrawnOutputTokens = 0
  let inexactPrompts = 0
  while (plans.length < options.count) {
    const ask = { from: plans.length + 1, prompts: PROMPTS_PER_TURN, tokens: Number.POSITIVE_INFINITY }
    const batch = yield* Effect.fromResult(planner.build(ask))
    for (const built of batch.plans) {
      plans.push(built.plan)
      redrawnInputTokens += built.redrawnInputTokens
      redrawnOutputTokens += built.redrawnOutputTokens
      if (built.plan.inputTokens !== built.plan.targetInputTokens) inexactPrompts++
    }
    yield* Effect.yieldNow
  }
  return { plans, redrawnInputTokens, redrawnOutputTokens, inexactPrompts }
})
