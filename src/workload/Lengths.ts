/**
 * How long prompts and answers are: whole numbers of tokens from a normal distribution.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { PythonRandom } from "./PythonRandom.ts"

/**
 * A normal distribution, in tokens; both numbers are finite.
 *
 * @category models
 * @since 0.1.0
 */
export interface Distribution {
  readonly mean: number
  readonly stddev: number
}

/**
 * A length, and how many draws before it were thrown away because they were below the minimum.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draw {
  readonly tokens: number
  readonly redrawn: number
}

/**
 * The distribution gives no length of at least `minimum` tokens, or so rarely that none came in thousands of draws.
 * LLMPerf would draw for ever.
 *
 * @category errors
 * @since 0.1.0
 */
export class ImpossibleLength extends Schema.TaggedError<ImpossibleLength>("llmperf/workload/Lengths/ImpossibleLength")(
  "ImpossibleLength",
  { mean: Schema.Finite, stddev: Schema.Finite, minimum: Schema.Int }
) {
  override get message(): string {
    return `No length of at least ${this.minimum} token(s) comes from mean ${this.mean} and standard deviation ${this.stddev}: raise the mean`
  }
}

const MAXIMUM_DRAWS = 10_000

/**
 * Draws a length of at least `minimum` tokens: a normal deviate, truncated toward zero, drawn again while it is too
 * small. This is LLMPerf's rule, with an end: it gives up after 10,000 draws, or after one when nothing varies.
 *
 * What comes out is a truncated normal distribution: its mean is above `mean` when the minimum cuts off a real part of
 * it (`redrawn` says how much), and half a token below otherwise.
 *
 * @category sampling
 * @since 0.1.0
 */
export const draw = (
  random: PythonRandom,
  distribution: Distribution,
  minimum: number
): Result.Result<Draw, ImpossibleLength> => {
  const draws = distribution.stddev === 0 ? 1 : MAXIMUM_DRAWS
  for (let redrawn = 0; redrawn < draws; redrawn++) {
    const tokens = Math.trunc(random.gauss(distribution.mean, distribution.stddev))
    if (tokens >= minimum) return Result.succeed({ tokens, redrawn })
  }
  return Result.fail(new ImpossibleLength({ ...distribution, minimum }))
}

/**
 * LLMPerf's length of an answer: `draw` with a minimum of 1 token.
 *
 * @category sampling
 * @since 0.1.0
 */
export const positiveInt = (random: PythonRandom, distribution: Distribution): Result.Result<Draw, ImpossibleLength> =>
  draw(random, distribution, 1)
