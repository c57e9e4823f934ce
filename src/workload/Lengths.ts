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
 * The mean and the standard deviation of what `draw` gives: those of a normal distribution without its part below `minimum`, in whole
 * tokens. Of lengths that are hardly ever too small they are those of `distribution`, the mean less half a token for the fractions
 * that are cut off. `minimum` is not above the mean.
 *
 * With α = (minimum − mean) / σ and λ = φ(α) / (1 − Φ(α)): mean + σ λ, and σ √(1 + α λ − λ²). Johnson, Kotz and Balakrishnan,
 * "Continuous Univariate Distributions" 1 (1994), 13.10.
 *
 * @category getters
 * @since 0.2.0
 */
export const expected = ({ mean, stddev }: Distribution, minimum: number): Distribution => {
  if (stddev === 0) return { mean: Math.trunc(mean), stddev }
  const alpha = (minimum - mean) / stddev
  const density = Math.exp((-alpha * alpha) / 2) / Math.sqrt(2 * Math.PI)
  const ratio = density / normalAbove(alpha)
  return { mean: mean + stddev * ratio - 0.5, stddev: stddev * Math.sqrt(1 + alpha * ratio - ratio * ratio) }
}

/** 1 − Φ(z), to 7.5 × 10⁻⁸: Abramowitz and Stegun (1964), 26.2.17. */
const normalAbove = (z: number): number => {
  const t = 1 / (1 + 0.2316419 * Math.abs(z))
  const powers = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  const beyond = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * powers
  return z > 0 ? beyond : 1 - beyond
}

/**
 * LLMPerf's length of an answer: `draw` with a minimum of 1 token.
 *
 * @category sampling
 * @since 0.1.0
 */
export const positiveInt = (random: PythonRandom, distribution: Distribution): Result.Result<Draw, ImpossibleLength> =>
  draw(random, distribution, 1)
