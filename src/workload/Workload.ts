/**
 * What a load test sends: a plan of requests, decided by one seed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { RequestPlan } from "../domain/RequestPlan.ts"
import type { PromptMode } from "../domain/RunConfig.ts"
import * as Lengths from "./Lengths.ts"
import * as Prompt from "./Prompt.ts"
import * as PythonRandom from "./PythonRandom.ts"
import { Tokenizer } from "./Tokenizer.ts"

/**
 * What decides a workload. All lengths are in tokens; `seed` is an integer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly count: number
  readonly seed: number | bigint
  readonly meanInputTokens: number
  readonly stddevInputTokens: number
  readonly meanOutputTokens: number
  readonly stddevOutputTokens: number
  readonly promptMode: PromptMode
}

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

// How many other lengths are tried when no new text is left at the one drawn.
const MAXIMUM_LENGTHS = 100

// Between two turns of the event loop when many prompts are built.
const PROMPTS_PER_TURN = 32

const wrong = (reason: Prompt.PromptError["reason"]) => Result.fail(new Prompt.PromptError({ reason }))

const planner = (options: Options, tokenizer: Tokenizer["Service"]) => {
  const random = PythonRandom.make(options.seed)
  const builder = Prompt.make(options.promptMode, tokenizer)
  const input = { mean: options.meanInputTokens, stddev: options.stddevInputTokens }
  const output = { mean: options.meanOutputTokens, stddev: options.stddevOutputTokens }
  const tally = { redrawnInputTokens: 0, redrawnOutputTokens: 0, inexactPrompts: 0 }

  // A mean below the smallest prompt would leave only the upper end of the distribution.
  const drawInput = (from: PythonRandom.PythonRandom, outputTokens: number) => {
    const minimumInputTokens = builder.minimumInputTokens(outputTokens)
    return input.mean < minimumInputTokens
      ? wrong(new Prompt.TooShort({ inputTokens: input.mean, minimumInputTokens, outputTokens }))
      : Result.mapError(Lengths.draw(from, input, minimumInputTokens), (reason) => new Prompt.PromptError({ reason }))
  }

  const next = (id: number): Result.Result<RequestPlan, Prompt.PromptError> => {
    const answer = Lengths.positiveInt(random, output)
    if (Result.isFailure(answer)) return wrong(answer.failure)
    tally.redrawnOutputTokens += answer.success.redrawn
    const outputTokens = answer.success.tokens

    let length = drawInput(random, outputTokens)
    if (Result.isFailure(length)) return Result.fail(length.failure)
    tally.redrawnInputTokens += length.success.redrawn
    let prompt = builder.build(random, { inputTokens: length.success.tokens, outputTokens })
    for (let tries = 0; Result.isFailure(prompt) && tries < MAXIMUM_LENGTHS; tries++) {
      if (prompt.failure.reason._tag !== "NotDistinct" || input.stddev === 0) break
      // The main draws stay in step with LLMPerf's: other lengths come from a fork.
      const spare = random.fork(`request ${id} length ${tries}`)
      length = drawInput(spare, outputTokens)
      if (Result.isFailure(length)) return Result.fail(length.failure)
      tally.redrawnInputTokens += length.success.redrawn + 1
      prompt = builder.build(spare, { inputTokens: length.success.tokens, outputTokens })
    }
    if (Result.isFailure(prompt)) return Result.fail(prompt.failure)
    const { inputTokens, text } = prompt.success
    if (inputTokens !== length.success.tokens) tally.inexactPrompts++
    return Result.succeed({
      id,
      dueSeconds: null,
      sampled: true,
      prompt: text,
      inputTokens,
      targetInputTokens: length.success.tokens,
      outputTokens
    })
  }

  return { next, tally }
}

/**
 * Plans `count` requests, numbered from 1, without due times (a closed loop). Everything is built before it returns;
 * the event loop gets a turn now and then.
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
  const { next, tally } = planner(options, yield* Tokenizer)
  const plans: Array<RequestPlan> = []
  for (let id = 1; id <= options.count; id++) {
    plans.push(yield* Effect.fromResult(next(id)))
    if (id % PROMPTS_PER_TURN === 0) yield* Effect.yieldNow
  }
  return { plans, ...tally }
})

/**
 * The same plan as a stream that builds each request when it is pulled, for runs too long to be held in memory. Every
 * run of the stream starts anew and gives the same requests.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stream = (options: Options): Stream.Stream<RequestPlan, Prompt.PromptError, Tokenizer> =>
  Stream.unwrap(
    Effect.map(Tokenizer, (tokenizer) =>
      Stream.suspend(() => {
        const { next } = planner(options, tokenizer)
        return Stream.unfold(1, (id) =>
          id > options.count
            ? Effect.undefined
            : Effect.map(Effect.fromResult(next(id)), (plan) => [plan, id + 1] as const)
        )
      })
    )
  )
