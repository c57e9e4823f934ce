/**
 * What a correctness test sends: numbers in words, decided by a seed.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import { type RequestPlan } from "../domain/RequestPlan.ts"
import * as NumberWords from "./NumberWords.ts"
import * as PythonRandom from "./PythonRandom.ts"
import { Tokenizer } from "./Tokenizer.ts"

/**
 * The largest number asked for; the smallest is 0.
 *
 * @category constants
 * @since 0.2.0
 */
export const MAX_NUMBER = 10_000

/**
 * The text that asks for a number, as LLMPerf's documentation has it. (Its program sends `Print the number first.`
 * instead of the second sentence.)
 *
 * @category constructors
 * @since 0.2.0
 */
export const prompt = (number: number): string =>
  `Convert the following sequence of words into a number: ${NumberWords.fromNumber(number)}. Output just your final answer.`

/**
 * `numbers[i]` is what `plans[i]`, the request `i + 1`, asks for.
 *
 * @category models
 * @since 0.2.0
 */
export interface CorrectnessWorkload {
  readonly plans: ReadonlyArray<RequestPlan>
  readonly numbers: ReadonlyArray<number>
}

// Between two turns of the event loop.
const PROMPTS_PER_TURN = 256

/**
 * Plans `count` requests, numbered from 1, for numbers drawn uniformly from 0 to 10,000; the same number may come more than
 * once. They set no limit to the length of the answer.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fn("CorrectnessWorkload.make")(function* (options: {
  readonly count: number
  readonly seed: number | bigint
}): Effect.fn.Return<CorrectnessWorkload, never, Tokenizer> {
  const tokenizer = yield* Tokenizer
  const random = PythonRandom.make(options.seed).fork("correctness")
  const plans: Array<RequestPlan> = []
  const numbers: Array<number> = []
  for (let id = 1; id <= options.count; id++) {
    const number = random.randint(0, MAX_NUMBER)
    const text = prompt(number)
    const inputTokens = tokenizer.count(text)
    numbers.push(number)
    plans.push({
      id,
      dueSeconds: null,
      prompt: text,
      inputTokens,
      targetInputTokens: inputTokens,
      outputTokens: null,
      sampled: true
    })
    if (id % PROMPTS_PER_TURN === 0) yield* Effect.yieldNow
  }
  return { plans, numbers }
})
